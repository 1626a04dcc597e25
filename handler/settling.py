"""Before a summary: find the texts to a phone that may be sent, and settle those in doubt."""

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from handler import metrics
from handler.attempts import Attempts, PhoneAttempt, TextItem
from handler.breaker import Breaker
from handler.doubts import Candidates, Doubt, may_ask, since
from handler.errors import is_recorded
from handler.held_messages import HeldMessages
from handler.ledger import State
from handler.log import Log
from handler.notice import Attempt, Notice
from handler.outcomes import Outcomes
from handler.refusals import NO_CONNECTION, Kind, Refusal
from handler.sender import SECONDS_TO_ASK, SECONDS_TO_SEND, Refused, Sender, SentText

NO_TABLE = Refusal(kind=Kind.BUSY, code=0, meaning="the table could not be reached")
NO_TIME = Refusal(kind=Kind.BUSY, code=0, meaning="no time left to ask Twilio")


class Run(NamedTuple):
    """One flush.

    Attributes:
        messages: The messages that it received.
        breaker: Knows which phones Twilio refuses.
        asking: Knows for which phones Twilio does not list its texts.
        seconds_left: How many seconds this invocation may still take.
        refusals: Twilio's refusals.
        unasked: The phones with a summary in doubt for which Twilio does not list its texts.
        unfinished: The errors that kept a message from its outcome. They stopped no other message.
    """

    messages: HeldMessages
    breaker: Breaker
    asking: Breaker
    seconds_left: Callable[[], float]
    refusals: list[Refusal]
    unasked: set[str]
    unfinished: list[Exception]


class Settled(NamedTuple):
    """The texts that may be sent to a phone now.

    Attributes:
        ready: The texts that certainly nobody has sent.
        last: The phone's last attempt, which is closed; None if nothing may be sent to it now.
        unsettled: The texts of which Twilio or the table does not say whether they were sent, or
            which the table cannot record.
        why: Why not.
    """

    ready: Sequence[Notice] = ()
    last: PhoneAttempt | None = None
    unsettled: Sequence[Notice] = ()
    why: Refusal = NO_TABLE


class _Sorted(NamedTuple):
    """Texts, by what the ledger knows of them.

    Attributes:
        sent: Those that were sent.
        ready: Those that are held, or failed before, and were certainly not sent.
        unheld: Those that nobody has sent or recorded as held.
        in_doubt: Those that `notify` may have sent, with its attempts.
        unknown: Those that could not be looked up.
    """

    sent: list[Notice]
    ready: list[Notice]
    unheld: list[Notice]
    in_doubt: dict[Notice, Attempt]
    unknown: list[Notice]


class _Accepted(NamedTuple):
    """A text in doubt that Twilio accepted.

    Attributes:
        record: Twilio's record of it.
        is_known: Whether the ledger knows its SID: a flush has logged it, and recorded it half-way.
    """

    record: SentText
    is_known: bool


class Settler:
    """Looks up texts in the ledger, and asks Twilio for those in doubt."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        sender: Sender,
        outcomes: Outcomes,
        log: Log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._attempts = attempts
        self._sender = sender
        self._outcomes = outcomes
        self._log = log
        self._clock = clock

    def settle(self, phone: str, last: PhoneAttempt | None, run: Run) -> Settled:
        """Find out which texts to a phone may be sent. Finish those that were sent.

        Args:
            phone: The phone.
            last: Its last attempt, as it was read before; None if it could not be.
            run: The flush.
        """
        notices = run.messages.notices_for(phone)
        if last and last.open and not may_ask(last.open, self._clock()):
            return Settled()  # another flush is sending, or did so within the last minute
        texts = self._sort(phone, notices, last)
        self._finish_duplicates(texts.sent, run)
        if not last:
            return Settled(unsettled=notices)
        ready = {notice.id for notice in texts.ready}
        why = NO_TABLE
        try:
            accepted = self._ask(phone, last, texts.in_doubt, run)
        except Refused as error:
            why = error.refusal
            if last.open:
                run.unasked.add(phone)
                return Settled(unsettled=notices, why=why)
        else:
            if last.open:
                told_of = set(last.ids)
                summarized = [notice for notice in notices if notice.id in told_of]
                found = accepted.get(last.ids[0])
                if not self._settle_summary(phone, last, found, summarized, run):
                    return Settled(unsettled=notices)
                if found:
                    ready -= told_of
                last = last._replace(open=None)
            for notice, attempt in texts.in_doubt.items():
                if self._settle_text(notice, attempt, accepted.get(notice.id), run):
                    ready.add(notice.id)
        for notice in texts.unheld:
            hold = functools.partial(self._attempts.hold, notice)
            if run.seconds_left() >= SECONDS_TO_SEND and is_recorded(self._log, 1, hold):
                ready.add(notice.id)
        in_order = [notice for notice in notices if notice.id in ready]
        others = (*texts.unknown, *texts.in_doubt, *texts.unheld)
        unsettled = [notice for notice in others if notice.id not in ready]
        return Settled(in_order, last, unsettled, why)

    def _sort(self, phone: str, notices: list[Notice], last: PhoneAttempt | None) -> _Sorted:
        """Look up texts. Without the phone's attempt, nothing is known of any."""
        texts = _Sorted([], [], [], {}, [])
        look_up = self._attempts.look_up(notices) if last else None
        now = self._clock()
        for notice in notices:
            if not look_up or notice.id in look_up.unknown:
                texts.unknown.append(notice)
                continue
            state, lease, attempt = look_up.items.get(notice.id, TextItem(""))
            if state == State.SENT:
                texts.sent.append(notice)
            elif not attempt:
                is_known = state in {State.HELD, State.FAILED}
                (texts.ready if is_known else texts.unheld).append(notice)
            elif may_ask(attempt, now) and not (state == State.SENDING and lease >= now):
                texts.in_doubt[notice] = attempt
        if texts.unknown:
            self._log.decision(
                "not looked up",
                level="ERROR",
                phone=phone,
                measured={metrics.FAILED_OPEN: len(texts.unknown)},
                meaning=str((look_up and look_up.error) or NO_TABLE.meaning),
            )
        return texts

    def _finish_duplicates(self, sent: Iterable[Notice], run: Run) -> None:
        for notice in sent:
            # A message comes again, too, while it is held for another phone.
            if not run.messages.is_redelivered(notice):
                self._log.decision(
                    "duplicate",
                    file=notice.file,
                    phone=notice.phone,
                    measured={metrics.DUPLICATES: 1},
                )
            run.messages.finish([notice])

    def _ask(
        self, phone: str, last: PhoneAttempt, in_doubt: Mapping[Notice, Attempt], run: Run
    ) -> dict[str, _Accepted]:
        """Ask Twilio which attempts it accepted.

        Returns:
            Those that it accepted, by the ids of their texts. A summary has its first text's id.

        Raises:
            Refused: Twilio does not say, or the table does not say whose the records are.
        """
        doubts = [Doubt(notice.id, attempt) for notice, attempt in in_doubt.items()]
        if last.open:
            doubts.append(Doubt(last.ids[0], last.open))
        if not doubts:
            return {}
        try:
            return self._match(phone, doubts, run)
        except Refused as error:
            self._log.decision(
                "not asked",
                level="WARN",
                phone=phone,
                attempts=len(doubts),
                reason=error.refusal.kind,
                **error.refusal.details,
            )
            raise

    def _match(self, phone: str, doubts: Sequence[Doubt], run: Run) -> dict[str, _Accepted]:
        now = self._clock()
        if run.asking.refuses_everybody(now):
            raise Refused(run.refusals[-1])
        if run.seconds_left() < SECONDS_TO_ASK:
            raise Refused(NO_TIME)
        try:
            texts = self._sender.messages_to(phone, since(doubts))
        except Refused as error:
            run.refusals.append(error.refusal)
            run.asking.refused(phone, error.refusal, now)
            if error.refusal == NO_CONNECTION:
                run.breaker.refused(phone, error.refusal, now)
            raise
        run.asking.accepted(phone, now)
        candidates = Candidates(doubts, texts)
        owners = self._attempts.owners(candidates.sids)
        if owners.unknown:
            raise Refused(NO_TABLE)
        return {
            id_: _Accepted(record, record.sid in owners.items)
            for id_, record in candidates.match(owners.items).items()
        }

    def _settle_summary(
        self,
        phone: str,
        last: PhoneAttempt,
        found: _Accepted | None,
        notices: Sequence[Notice],
        run: Run,
    ) -> bool:
        """Close an open attempt at a summary, whether Twilio accepted it or not.

        Returns:
            Whether it is closed now, and nobody else has closed it.
        """
        if found:
            if not self._record_sent(phone, found, notices, last.ids):
                return False
            run.messages.finish(notices)
        else:
            self._log.decision("not accepted", phone=phone, files=len(last.ids))
        close = functools.partial(self._attempts.close, phone, last.number)
        return is_recorded(self._log, len(last.ids), close)

    def _settle_text(
        self, notice: Notice, attempt: Attempt, found: _Accepted | None, run: Run
    ) -> bool:
        """Settle a text of `notify`'s, whether Twilio accepted it or not.

        Returns:
            Whether it may be sent.
        """
        if found:
            if self._record_sent(notice.phone, found, [notice], ()):
                run.messages.finish([notice])
            return False
        self._log.decision("not accepted", file=notice.file, phone=notice.phone)
        forget = functools.partial(self._attempts.forget, notice, attempt)
        return is_recorded(self._log, 1, forget)

    def _record_sent(
        self, phone: str, found: _Accepted, notices: Sequence[Notice], summary_of: Sequence[str]
    ) -> bool:
        """Record that Twilio had accepted a text, as its record says.

        Returns:
            Whether the table has recorded all of it.
        """
        if found.is_known:
            return self._outcomes.record_rest(phone, summary_of or [notices[0].id])
        return self._outcomes.record_sent(
            phone, found.record, notices, summary_of=summary_of, was_in_doubt=True
        )
