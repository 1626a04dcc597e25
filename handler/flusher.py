"""From the texts that are held to one summary for each phone."""

import functools
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from handler import metrics, queue_messages, text
from handler.aws import AwsError, batches
from handler.breaker import Breaker
from handler.delivery_reports import DeliveryReports
from handler.errors import (
    ledger_errors_logged,
    missing_outcomes_logged,
    unexpected_errors_logged,
)
from handler.events import LogFile, Unreadable
from handler.held_messages import HeldMessages
from handler.ledger import Ledger
from handler.log import Log
from handler.notice import Notice
from handler.outcomes import Outcomes, refusal_metrics
from handler.queues import BATCH, NotQueued, Queue
from handler.quiet_hours import is_quiet
from handler.refusals import Kind, Refusal
from handler.segments import segments
from handler.sender import SECONDS_TO_SEND, Refused, Sender
from handler.settings import Settings

if TYPE_CHECKING:
    from handler.expected_logs import ExpectedLogs

FAILED_AT_ONCE = 250
"""How many texts move to `failed` at once, before their messages are deleted from `held`."""


PROBING_SECONDS = 60 * 60
"""How long flushes probe, after one that received all met an outage. Then one receives all again.

Texts that expire must be found among all that is held, before SQS deletes them.
"""


class _Run(NamedTuple):
    """One flush.

    Attributes:
        messages: The messages that it received.
        breaker: Knows which phones Twilio refuses.
        seconds_left: How many seconds this invocation may still take.
        refusals: Twilio's refusals.
        unfinished: The errors that kept a message from its outcome. They stopped no other message.
    """

    messages: HeldMessages
    breaker: Breaker
    seconds_left: Callable[[], float]
    refusals: list[Refusal]
    unfinished: list[Exception]


class Flusher:
    """Texts each phone once about all that is held for it."""

    def __init__(
        self,
        settings: Settings,
        *,
        sender: Sender,
        ledger: Ledger,
        held: Queue,
        outcomes: Outcomes,
        reports: DeliveryReports,
        log: Log,
        expected: "ExpectedLogs | None" = None,
        clock: Callable[[], float] = time.time,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        """Make one.

        Args:
            settings: The function's settings.
            sender: Sends the texts.
            ledger: Knows which texts were sent, and counts the texts of each phone.
            held: The queue of the texts that are held.
            outcomes: Gives each text its outcome.
            reports: Asks for the delivery reports of texts.
            log: The log.
            expected: The logs that are expected, if any are.
            clock: The time, in seconds since the epoch.
            shuffle: Puts the phones of a flush into another order, in place.
        """
        self._shuffle = shuffle
        self._settings = settings
        self._zone = settings.zone
        self._quiet_hours = settings.quiet
        self._sender = sender
        self._ledger = ledger
        self._held = held
        self._outcomes = outcomes
        self._log = log
        self._clock = clock
        self._reports = reports
        self._expected = expected
        self._probe_until = 0.0  # Lambda may forget it with the process: then a flush receives all

    def flush(self, seconds_left: Callable[[], float]) -> None:
        """Drain the queue, text each phone, and delete what has an outcome, then ask for reports.

        Before that it looks for missing logs, in quiet hours too: the texts about them are held.

        A text that Twilio does not accept stays on the queue, for the next flush.

        Args:
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached, or refused
                a message. All else was done, and nothing is lost: undeleted messages come back.
        """
        unfinished: list[Exception] = []
        try:
            if self._expected:
                with unexpected_errors_logged(self._log):
                    self._expected.check()
            if is_quiet(self._quiet_hours, self._clock()):
                self._log.decision("quiet hours", measured={metrics.FLUSHES: 1})
            else:
                messages = HeldMessages(
                    self._held, phones=self._settings.to_numbers, log=self._log, clock=self._clock
                )
                breaker = Breaker(math.inf, in_outage=self._clock() < self._probe_until)
                self._flush(_Run(messages, breaker, seconds_left, [], unfinished))
        finally:
            # The reports of earlier texts have nothing to do with an error of this flush.
            self._reports.run(seconds_left)
        if unfinished:
            raise unfinished[0]

    def _flush(self, run: _Run) -> None:
        messages = run.messages
        is_outage = self._clock() < self._probe_until
        if is_outage:
            with missing_outcomes_logged(self._log, run.unfinished):
                messages.receive()
            self._text_phones(run, is_probe=True)
            is_outage = self._refuses_all(run) and not messages.has_expired
        if not is_outage:
            with missing_outcomes_logged(self._log, run.unfinished):
                messages.drain(run.seconds_left)
            self._text_phones(run)
            self._probe_until = self._clock() + PROBING_SECONDS if self._refuses_all(run) else 0.0
        self._fail_defective(run)
        given_back = messages.give_back(run.seconds_left)
        details: dict[str, Any] = {"messages": messages.received, "given_back": given_back}
        if messages.for_other_settings:
            details["for_other_settings"] = messages.for_other_settings
        if run.refusals:
            details |= {"reason": run.refusals[-1].kind, **run.refusals[-1].details}
        measured = {metrics.FLUSHES: 1, metrics.BACKLOG_AGE: messages.age}
        if not is_outage:  # else it does not know the other messages
            measured[metrics.BACKLOG] = messages.undeleted
        self._log.decision("flushed", measured=measured, **details)

    def _refuses_all(self, run: _Run) -> bool:
        """Whether Twilio refuses everybody, or each of the phones for its own reason."""
        now = self._clock()
        phones = self._settings.to_numbers
        return bool(run.refusals) and all(run.breaker.refuses(phone, now) for phone in phones)

    def _text_phones(self, run: _Run, *, is_probe: bool = False) -> None:
        """Text the phones about what was received so far; as a probe, until one accepts."""
        messages = run.messages
        with missing_outcomes_logged(self._log, run.unfinished):
            messages.delete_finished()
        phones = messages.phones
        self._shuffle(phones)  # else the same two, if Twilio always refuses them, silence the rest
        for phone in phones:
            if run.seconds_left() < SECONDS_TO_SEND or is_quiet(self._quiet_hours, self._clock()):
                break
            # SQS soon deletes expired texts: Twilio is asked about them once more, then they fail.
            is_refused = run.breaker.refuses(phone, self._clock())
            if is_refused and not messages.expired(messages.notices_for(phone)):
                continue
            with (
                unexpected_errors_logged(self._log, phone),
                missing_outcomes_logged(self._log, run.unfinished),
            ):
                self._text_phone(phone, run)
            if is_probe and not run.breaker.refuses(phone, self._clock()):
                return

    def _unsent(self, phone: str, messages: HeldMessages) -> list[Notice]:
        """Return the texts of a phone, without those that were sent already."""
        notices = messages.notices_for(phone)
        sent, unknown, error = self._ledger.look_up_sent(notices)
        if unknown:
            self._log.decision(
                "claim failed open",
                level="ERROR",
                measured={metrics.FAILED_OPEN: len(unknown)},
                meaning=str(error),
            )
        for notice in notices:
            if notice.id not in sent:
                continue
            # A message comes again, too, while it is held for another phone.
            if not messages.is_redelivered(notice):
                self._log.decision(
                    "duplicate",
                    file=notice.file,
                    phone=notice.phone,
                    measured={metrics.DUPLICATES: 1},
                )
            messages.finish([notice])
        return [notice for notice in notices if notice.id not in sent]

    def _text_phone(self, phone: str, run: _Run) -> None:
        """Send one phone one text about all that is held for it."""
        notices = self._unsent(phone, run.messages)
        with missing_outcomes_logged(self._log, run.unfinished):
            run.messages.delete_finished()
        if not notices:
            return
        try:
            sid, body = self._send(phone, notices)
        except Refused as error:
            refusal = error.refusal
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            fail = functools.partial(self._outcomes.fail_unexpected, error=error)
            self._fail(notices, fail, run)
            return
        else:
            run.breaker.accepted(phone, self._clock())
            self._record_sent(phone, notices, sid, body)
            run.messages.finish(notices)
            run.messages.delete_finished()
            return
        run.refusals.append(refusal)
        if not refusal.kind.is_temporary:
            self._fail(notices, functools.partial(self._outcomes.fail, refusal=refusal), run)
            return
        run.breaker.refused(phone, refusal, self._clock())
        self._log.decision(
            "not sent",
            level="WARN",
            phone=phone,
            measured=refusal_metrics(refusal),
            files=len(notices),
            reason=refusal.kind,
            **refusal.details,
        )
        expiry = refusal._replace(kind=Kind.EXPIRED)
        fail = functools.partial(self._outcomes.fail, refusal=expiry)
        self._fail(run.messages.expired(notices), fail, run)

    def _fail(
        self, notices: list[Notice], fail: Callable[[Sequence[Notice]], None], run: _Run
    ) -> None:
        """Fail texts, some at a time. Those that time does not suffice for stay held."""
        for some in batches(notices, FAILED_AT_ONCE):
            if run.seconds_left() < SECONDS_TO_SEND:
                break
            with missing_outcomes_logged(self._log, run.unfinished):
                fail(some)
                run.messages.finish(some)
                run.messages.delete_finished()

    def _fail_defective(self, run: _Run) -> None:
        """Move unreadable messages to `failed`. A message that SQS refuses there stays held."""
        for some in batches(run.messages.defective, BATCH):
            if run.seconds_left() < SECONDS_TO_SEND:
                break
            for one in some:
                with missing_outcomes_logged(self._log, run.unfinished):
                    self._fail_message(one.message.body, one.defect and one.defect.error)
                    run.messages.finish_defective(one)
            with missing_outcomes_logged(self._log, run.unfinished):
                run.messages.delete_finished()

    def _fail_message(self, body: str, error: Exception | None) -> None:
        if error:
            self._outcomes.fail_message(body, error)
            return
        try:
            items = queue_messages.read(body, ())
            self._outcomes.fail_unreadable(
                *(item for item in items if isinstance(item, Unreadable))
            )
        except (AwsError, NotQueued):
            raise
        except Exception as unforeseen:  # noqa: BLE001  # it is counted, with an alarm
            self._outcomes.fail_message(body, unforeseen)

    def _send(self, phone: str, notices: list[Notice]) -> tuple[str, str]:
        """Send one text about all files, and count it.

        Returns:
            Twilio's SID of the text, and the text.

        Raises:
            Refused: Twilio did not accept it.
        """
        body = self._word(notices)
        at, is_counted = self._clock(), False
        with ledger_errors_logged(self._log, 1):
            self._ledger.count(phone)
            is_counted = True
        try:
            return self._sender.send(phone, body), body
        except Refused as error:
            if is_counted and error.refusal.kind is not Kind.IN_DOUBT:
                with ledger_errors_logged(self._log, 1):
                    self._ledger.uncount(phone, at)
            raise

    def _word(self, notices: Sequence[Notice]) -> str:
        """Word one text about all files, and all missing logs first."""
        files = [notice.file for notice in notices if isinstance(notice.file, LogFile)]
        missing = [notice.file for notice in notices if not isinstance(notice.file, LogFile)]
        if len(files) == 1 and not missing:
            note = self._expected.note(files[0]) if self._expected else ""
            return text.write(files[0], self._settings.message, self._zone, note=note)
        return text.summarize(files, self._zone, missing=missing)

    def _record_sent(self, phone: str, notices: list[Notice], sid: str, body: str) -> None:
        """Record that Twilio accepted texts. No error may lead to sending them again."""
        with unexpected_errors_logged(self._log, phone, sid=sid):
            now = self._clock()
            self._log.decision(
                "sent",
                phone=phone,
                measured={
                    metrics.ACCEPTED: 1,
                    metrics.SEGMENTS: segments(body),
                    metrics.SECONDS_HELD: max(notice.file.age(now) for notice in notices),
                },
                sid=sid,
                files=len(notices),
            )
        with unexpected_errors_logged(self._log, phone, sid=sid):
            self._outcomes.record_sent(notices, sid)
