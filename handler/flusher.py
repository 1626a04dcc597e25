"""From the texts that are held to one summary for each phone."""

import functools
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from handler import metrics, queue_messages, text
from handler.aws import AwsError, batches
from handler.delivery_reports import DeliveryReports
from handler.errors import (
    ledger_errors_logged,
    missing_outcomes_logged,
    unexpected_errors_logged,
)
from handler.events import IS_FOLDER, Unreadable
from handler.ledger import Ledger
from handler.log import Log
from handler.notice import TRIED_SECONDS, Notice
from handler.notifier import SECONDS_TO_SEND
from handler.outcomes import Outcomes, refused
from handler.queues import BATCH, Message, NotQueued, Queue
from handler.quiet_hours import is_quiet
from handler.refusals import Breaker, Kind, Refusal
from handler.sender import Refused, Sender
from handler.settings import Settings

MESSAGES = 20_000
"""What one run takes from the queue at most: some 40 MB. The next run takes the rest."""

CHARACTERS = 30_000_000
"""What one run takes from the queue at most, where the messages are long: they stay in memory."""

DRAIN_SHARE = 0.4
"""The share of a run's time that goes into taking from the queue; the rest sends and deletes."""

FAILED_AT_ONCE = 250
"""How many texts are put to the failed ones before they are taken from the held ones."""

OTHER_SETTINGS_SECONDS = 6 * 60 * 60
"""How long a function may still run with settings other than this one's, which know other phones.

Lambda keeps an asynchronous event, such as the schedule's, for six hours at most:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

RECEIVES_TO_GIVE_BACK = 100
"""How often a message is given back at once. Then it comes back by itself, after four minutes.

SQS counts each receive, and moves a message to `failed` after a thousand. With a flush every minute
that would be within 17 hours: too soon for an outage of a weekend.
"""

SECONDS_TO_GIVE_BACK = 15
"""What one request to SQS may take at worst, with all its tries."""


class _Content(NamedTuple):
    """What a held message holds.

    Attributes:
        notices: The texts that are to be told of.
        is_readable: Whether all of it can be read. What cannot is read again when it fails: such
            JSON may take thirty times as much memory as its text.
        kept: How many texts are left to a flush with other settings.
        error: The exception that nobody foresaw, which the message met.
    """

    notices: Sequence[Notice] = ()
    is_readable: bool = True
    kept: int = 0
    error: Exception | None = None


class _Open:
    """A message, and how many of its texts have no outcome yet."""

    __slots__ = ("content", "deleted", "left", "message")

    def __init__(self, message: Message, content: _Content) -> None:
        self.message = message
        self.left = len(content.notices) + content.kept
        self.content = content if content.error or not content.is_readable else None
        self.deleted = False


class _Waiting:
    """A text that has no outcome yet, and the messages that hold it.

    S3 and EventBridge both tell of one file, at slightly different times: one file is what has one
    identity.
    """

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        self.messages: list[_Open] = []


class _Taken:
    """What one run has taken from the queue, until each text has an outcome.

    Attributes:
        messages: How many messages were taken.
        left: How many of them are not deleted.
        all: Whether nothing was left to take.
        kept: How many texts are for phones that other settings may know.
        refusal: The last refusal of Twilio's, if there was any.
        unfinished: What kept a message from its end; it did not stop the others.
    """

    def __init__(self, at: float) -> None:
        self._at = at
        self.messages = 0
        self.left = 0
        self.all = True
        self.kept = 0
        self.refusal: Refusal | None = None
        self.unfinished: list[Exception] = []
        self._oldest = 0.0
        self._characters = 0
        self._opened: list[_Open] = []
        self._waiting: dict[str, _Waiting] = {}  # by the identity of the text
        self._done: list[_Open] = []

    @property
    def notices(self) -> list[Notice]:
        """The texts that have no outcome yet, each once."""
        return [waiting.notice for waiting in self._waiting.values()]

    def add(self, message: Message, content: _Content) -> None:
        """Take a message, with what it holds."""
        # First whatever might raise, so that a message is taken as a whole or not at all.
        oldest = max((notice.file.age(self._at) for notice in content.notices), default=0.0)
        ids = [notice.id for notice in content.notices]
        self.messages += 1
        self.left += 1
        self.kept += content.kept
        self._characters += len(message.body)
        self._oldest = max(self._oldest, oldest)
        opened = _Open(message, content)
        self._opened.append(opened)
        for id_, notice in zip(ids, content.notices, strict=True):
            self._waiting.setdefault(id_, _Waiting(notice)).messages.append(opened)
        self._note(opened)

    def settle(self, notices: Iterable[Notice]) -> None:
        """Take note that texts have an outcome."""
        for notice in notices:
            for one in self._waiting.pop(notice.id).messages:
                one.left -= 1
                self._note(one)

    def _note(self, opened: _Open) -> None:
        if not opened.left and not opened.content:
            self._done.append(opened)

    @property
    def is_full(self) -> bool:
        """Whether there is no room for more messages."""
        return self.messages >= MESSAGES or self._characters >= CHARACTERS

    @property
    def to_fail(self) -> list[tuple[_Open, _Content]]:
        """The messages with something that nobody can read, and no text without an end."""
        return [(one, one.content) for one in self._opened if one.content and not one.left]

    def failed(self, opened: _Open) -> None:
        """Take note that what nobody can read of a message is on `failed`."""
        opened.content = None
        self._note(opened)

    def tried_in_vain(self, notices: Iterable[Notice]) -> list[Notice]:
        """Give those of the texts that have been held for as long as they are tried."""
        since = self._at - TRIED_SECONDS
        return [
            notice
            for notice in notices
            if any(one.message.sent_at < since for one in self._waiting[notice.id].messages)
        ]

    def delete_done(self, held: Queue) -> None:
        """Delete the messages all of whose texts have an outcome.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        self.left += held.delete([one.message for one in self._done]) - len(self._done)
        for one in self._done:
            one.deleted = True
        self._done = []

    @property
    def to_give_back(self) -> list[Message]:
        """The messages that this run could not end, and that the next one shall find at once."""
        return [
            one.message
            for one in self._opened
            if not one.deleted and one.message.receives <= RECEIVES_TO_GIVE_BACK
        ]

    @property
    def age(self) -> float:
        """How many seconds old the oldest file is that waits still; 0 if there is none.

        Of what could not even be taken nothing is known, but that it came after the oldest taken.
        """
        if not self.all:
            return self._oldest
        return max((notice.file.age(self._at) for notice in self.notices), default=0)


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
        log: Log,
        clock: Callable[[], float] = time.time,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        """Make one.

        Args:
            settings: The function's settings.
            sender: Who sends.
            ledger: Knows which texts were sent, and counts the texts of each phone.
            held: The queue of the texts that are held.
            outcomes: Gives each text its outcome.
            log: The log.
            clock: The time, in seconds since the epoch.
            shuffle: Puts the phones of a flush into another order, in place.
        """
        self._shuffle = shuffle
        self._settings = settings
        self._zone = settings.zone
        self._quiet = settings.quiet
        self._sender = sender
        self._ledger = ledger
        self._held = held
        self._outcomes = outcomes
        self._log = log
        self._clock = clock
        self._reports = DeliveryReports(ledger=ledger, sender=sender, log=log, clock=clock)

    def flush(self, seconds_left: Callable[[], float]) -> None:
        """Drain the queue, text each phone, and delete what has an outcome, then ask for reports.

        What Twilio does not accept stays on the queue: it is given back for the next flush.

        Args:
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached, or refused
                a message. All else was done, and nothing is lost: what is not deleted comes back.
        """
        unfinished: list[Exception] = []
        try:
            if is_quiet(self._quiet, self._clock()):
                self._log.decision("quiet hours", measured={metrics.FLUSHES: 1})
            else:
                taken = _Taken(self._clock())
                self._flush(taken, seconds_left)
                unfinished = taken.unfinished
        finally:
            # The reports of earlier texts have nothing to do with an error of this flush.
            self._reports.run(seconds_left)
        if unfinished:
            raise unfinished[0]

    def _flush(self, taken: "_Taken", seconds_left: Callable[[], float]) -> None:
        self._drain(taken, seconds_left)
        by_phone = self._unsent(taken)
        with missing_outcomes_logged(self._log, taken.unfinished):
            taken.delete_done(self._held)
        breaker = Breaker(math.inf)
        phones = list(by_phone)
        self._shuffle(phones)  # else the same two, if Twilio always refuses them, silence the rest
        for phone in phones:
            if seconds_left() < SECONDS_TO_SEND or is_quiet(self._quiet, self._clock()):
                break
            notices = by_phone[phone]
            # SQS will soon delete its oldest texts: it is asked once more, so that they can fail.
            if breaker.refuses_everybody(self._clock()) and not taken.tried_in_vain(notices):
                continue
            with (
                unexpected_errors_logged(self._log, phone),
                missing_outcomes_logged(self._log, taken.unfinished),
            ):
                self._tell(phone, notices, taken, breaker, seconds_left)
        self._fail_unreadable(taken, seconds_left)
        given_back = self._give_back(taken, seconds_left)
        details: dict[str, Any] = {"messages": taken.messages, "given_back": given_back}
        if taken.kept:
            details["for_other_settings"] = taken.kept
        if taken.refusal:
            details |= {"reason": taken.refusal.kind, **taken.refusal.details}
        self._log.decision(
            "flushed",
            measured={
                metrics.FLUSHES: 1,
                metrics.BACKLOG: taken.left,
                metrics.BACKLOG_AGE: taken.age,
            },
            **details,
        )

    def _fail_unreadable(self, taken: "_Taken", seconds_left: Callable[[], float]) -> None:
        """Move to `failed` what nobody can read. What `failed` does not take stays held."""
        for some in batches(taken.to_fail, BATCH):
            if seconds_left() < SECONDS_TO_SEND:
                break
            for opened, content in some:
                with missing_outcomes_logged(self._log, taken.unfinished):
                    self._fail_content(opened.message, content)
                    taken.failed(opened)
            with missing_outcomes_logged(self._log, taken.unfinished):
                taken.delete_done(self._held)

    def _fail_content(self, message: Message, content: _Content) -> None:
        if content.error:
            self._outcomes.fail_message(message.body, content.error)
            return
        try:
            items = queue_messages.read(message.body, ())
            self._outcomes.fail_unreadable(
                *(item for item in items if isinstance(item, Unreadable))
            )
        except (AwsError, NotQueued):
            raise
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            self._outcomes.fail_message(message.body, error)

    def _give_back(self, taken: "_Taken", seconds_left: Callable[[], float]) -> int:
        """Let the next flush find at once what this one could not end, as far as time allows.

        Returns:
            How many messages were given back. The others come back later by themselves.
        """
        given_back = 0
        for some in batches(taken.to_give_back, BATCH):
            if seconds_left() < SECONDS_TO_GIVE_BACK:
                break
            try:
                given_back += self._held.give_back(some)
            except AwsError as error:
                self._log.decision("not given back", level="WARN", meaning=str(error))
                break
        return given_back

    def _tell(
        self,
        phone: str,
        notices: list[Notice],
        taken: "_Taken",
        breaker: Breaker,
        seconds_left: Callable[[], float],
    ) -> None:
        """Text one phone about all that is held for it."""
        try:
            sid, body = self._text(phone, notices)
        except Refused as error:
            refusal = taken.refusal = error.refusal
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            end = functools.partial(self._outcomes.fail_unexpected, error=error)
            self._fail(notices, end, taken, seconds_left)
            return
        else:
            breaker.accepted(phone, self._clock())
            self._remember_sent(phone, notices, sid, body)
            taken.settle(notices)
            taken.delete_done(self._held)
            return
        if not refusal.kind.is_temporary:
            end = functools.partial(self._outcomes.fail, refusal=refusal)
            self._fail(notices, end, taken, seconds_left)
            return
        breaker.refused(phone, refusal, self._clock())
        self._log.decision(
            "not sent",
            level="WARN",
            phone=phone,
            measured=refused(refusal),
            files=len(notices),
            reason=refusal.kind,
            **refusal.details,
        )
        in_vain = refusal._replace(kind=Kind.IN_VAIN)
        end = functools.partial(self._outcomes.fail, refusal=in_vain)
        self._fail(taken.tried_in_vain(notices), end, taken, seconds_left)

    def _fail(
        self,
        notices: list[Notice],
        end: Callable[[Sequence[Notice]], None],
        taken: "_Taken",
        seconds_left: Callable[[], float],
    ) -> None:
        """End what can never be texted, some at a time: what time does not suffice for stays."""
        for some in batches(notices, FAILED_AT_ONCE):
            if seconds_left() < SECONDS_TO_SEND:
                break
            with missing_outcomes_logged(self._log, taken.unfinished):
                end(some)
                taken.settle(some)
                taken.delete_done(self._held)

    def _drain(self, taken: "_Taken", seconds_left: Callable[[], float]) -> None:
        """Take messages until there are none, or no room or time for more."""
        until = seconds_left() * (1 - DRAIN_SHARE)
        taken.all = False
        with missing_outcomes_logged(self._log, taken.unfinished):
            while messages := self._held.receive():
                for message in messages:
                    try:
                        taken.add(message, self._read(message))
                    except Exception as error:  # noqa: BLE001  # one message stops no other
                        taken.add(message, _Content(error=error))
                if taken.is_full or seconds_left() <= until:
                    return
            taken.all = True

    def _read(self, message: Message) -> _Content:
        notices: list[Notice] = []
        is_readable = True
        kept = 0
        is_old = self._clock() - message.sent_at > OTHER_SETTINGS_SECONDS
        for item in queue_messages.read(message.body, self._settings.to_numbers):
            if isinstance(item, Unreadable):
                is_readable = False
            elif item.file.is_folder:
                self._log.decision("ignored", file=item.file, phone=item.phone, reason=IS_FOLDER)
            elif item.phone in self._settings.to_numbers:
                notices.append(item)
            elif is_old:
                self._log.decision(
                    "dropped", file=item.file, phone=item.phone, reason="left toNumbers"
                )
            else:
                kept += 1
        return _Content(notices, is_readable, kept)

    def _unsent(self, taken: "_Taken") -> dict[str, list[Notice]]:
        """Give what is due to each phone, without what a message that came twice was sent for."""
        notices = taken.notices
        sent, unknown, error = self._ledger.recall(notices)
        if unknown:
            self._log.decision(
                "claim failed open",
                level="ERROR",
                measured={metrics.FAILED_OPEN: len(unknown)},
                meaning=str(error),
            )
        by_phone: dict[str, list[Notice]] = {}
        for notice in notices:
            if notice.id in sent:
                self._log.decision(
                    "duplicate",
                    file=notice.file,
                    phone=notice.phone,
                    measured={metrics.DUPLICATES: 1},
                )
                taken.settle([notice])
            else:
                by_phone.setdefault(notice.phone, []).append(notice)
        return by_phone

    def _text(self, phone: str, notices: list[Notice]) -> tuple[str, str]:
        """Text one phone about all its files.

        Returns:
            Twilio's SID of the text, and the text.

        Raises:
            Refused: Twilio did not accept it.
        """
        if len(notices) == 1:
            body = text.write(notices[0].file, self._settings.message, self._zone)
        else:
            body = text.summarize([notice.file for notice in notices], self._zone)
        at, counted = self._clock(), False
        with ledger_errors_logged(self._log, 1):
            self._ledger.count(phone)
            counted = True
        try:
            return self._sender.send(phone, body), body
        except Refused as error:
            if counted and error.refusal.kind is not Kind.IN_DOUBT:
                with ledger_errors_logged(self._log, 1):
                    self._ledger.uncount(phone, at)
            raise

    def _remember_sent(self, phone: str, notices: list[Notice], sid: str, body: str) -> None:
        """End the texts that Twilio accepted: whatever happens now, they must not be sent again."""
        with unexpected_errors_logged(self._log, phone, sid=sid):
            now = self._clock()
            self._log.decision(
                "sent",
                phone=phone,
                measured={
                    metrics.ACCEPTED: 1,
                    metrics.SEGMENTS: text.segments(body),
                    metrics.SECONDS_HELD: max(notice.file.age(now) for notice in notices),
                },
                sid=sid,
                files=len(notices),
            )
        with unexpected_errors_logged(self._log, phone, sid=sid):
            self._outcomes.record_sent(notices, sid)
