"""From the texts that are held to one summary for each phone."""

import datetime
import time
from collections.abc import Callable, Iterator

from handler import due, log, metrics, text
from handler.audit import Audit
from handler.aws import AwsError
from handler.due import Due
from handler.ends import Ends, forgiven, refused
from handler.events import Unreadable
from handler.notifier import SECONDS_TO_SEND
from handler.queues import Message
from handler.sender import Refused, Sender
from handler.settings import Settings

MESSAGES = 20_000
"""What one run takes from the queue at most: some 40 MB. The next run takes the rest."""

DRAIN_SHARE = 0.4
"""The share of a run's time that goes into taking from the queue; the rest sends and deletes."""


class _Open:
    """A message, and how many of its texts have no end yet."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.left = 0


class Flusher:
    """Texts each phone once about all that is held for it."""

    def __init__(
        self,
        settings: Settings,
        *,
        sender: Sender,
        ends: Ends,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._zone = settings.zone
        self._quiet = settings.quiet
        self._sender = sender
        self._ends = ends
        self._clock = clock
        self._audit = Audit(memory=ends.memory, sender=sender, clock=clock)

    def flush(self, seconds_left: Callable[[], float]) -> None:
        """Drain the queue, text each phone, and delete what has an end; then ask after the sent.

        What Twilio does not accept stays on the queue, and comes back when the time of its
        visibility is over.

        Args:
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached. Nothing
                is lost: what is not deleted comes back.
        """
        moment = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        if self._quiet and moment in self._quiet:
            log.decision("quiet hours", measured={metrics.FLUSHES: 1})
        else:
            self._flush(seconds_left)
        self._audit.run(seconds_left)

    def _flush(self, seconds_left: Callable[[], float]) -> None:
        waiting, opened = self._drain(seconds_left)
        for phone, dues in self._unsent(waiting).items():
            if seconds_left() < SECONDS_TO_SEND or not self._text(phone, dues):
                break
            for wanted in dues:
                for one in waiting[wanted]:
                    one.left -= 1
        done = [one.message for one in opened if not one.left]
        left = self._ends.held.delete(done) + len(opened) - len(done)
        waits = [
            wanted.file.age(self._clock())
            for wanted, messages in waiting.items()
            if any(one.left for one in messages)
        ]
        log.decision(
            "flushed",
            measured={
                metrics.FLUSHES: 1,
                metrics.BACKLOG: left,
                metrics.BACKLOG_AGE: max(waits, default=0),
            },
            messages=len(opened),
        )

    def _drain(
        self, seconds_left: Callable[[], float]
    ) -> tuple[dict[Due, list[_Open]], list[_Open]]:
        """Take messages until there are none, or no room or time for more."""
        waiting: dict[Due, list[_Open]] = {}
        opened: list[_Open] = []
        until = seconds_left() * (1 - DRAIN_SHARE)
        while len(opened) < MESSAGES and seconds_left() > until:
            messages = self._ends.held.receive()
            if not messages:
                break
            for message in messages:
                opened.append(_Open(message))
                for wanted in self._readable(message):
                    opened[-1].left += 1
                    waiting.setdefault(wanted, []).append(opened[-1])
        return waiting, opened

    def _readable(self, message: Message) -> Iterator[Due]:
        for item in due.read(message.body, self._settings.to_numbers):
            if isinstance(item, Unreadable):
                self._ends.fail_unreadable(item)
            elif item.phone not in self._settings.to_numbers:
                log.decision("dropped", file=item.file, phone=item.phone, reason="left toNumbers")
            else:
                yield item

    def _unsent(self, waiting: dict[Due, list[_Open]]) -> dict[str, list[Due]]:
        """Give what is due to each phone, without what a message that came twice was sent for."""
        try:
            sent = self._ends.memory.sent(list(waiting))
        except AwsError as error:
            log.decision(
                "claim failed open",
                level="ERROR",
                measured={metrics.FAILED_OPEN: len(waiting)},
                meaning=str(error),
            )
            sent = set()
        by_phone: dict[str, list[Due]] = {}
        for wanted, messages in waiting.items():
            if wanted.id in sent:
                log.decision(
                    "duplicate",
                    file=wanted.file,
                    phone=wanted.phone,
                    measured={metrics.DUPLICATES: 1},
                )
                for one in messages:
                    one.left -= 1
            else:
                by_phone.setdefault(wanted.phone, []).append(wanted)
        return by_phone

    def _text(self, phone: str, dues: list[Due]) -> bool:
        """Text one phone about all its files. False if Twilio takes no texts now."""
        if len(dues) == 1:
            body = text.write(dues[0].file, self._settings.message, self._zone)
        else:
            body = text.summarize([wanted.file for wanted in dues], self._zone)
        with forgiven(1):
            self._ends.memory.count(phone)
        try:
            sid = self._sender.send(phone, body)
        except Refused as error:
            refusal = error.refusal
        else:
            now = self._clock()
            log.decision(
                "sent",
                phone=phone,
                measured={
                    metrics.ACCEPTED: 1,
                    metrics.SEGMENTS: text.segments(body),
                    metrics.SECONDS_HELD: max(wanted.file.age(now) for wanted in dues),
                },
                sid=sid,
                files=len(dues),
            )
            self._ends.remember_sent(dues, sid)
            return True
        if refusal.kind.passes:
            log.decision(
                "not sent",
                level="WARNING",
                phone=phone,
                measured=refused(refusal),
                files=len(dues),
                reason=refusal.kind,
                **refusal.details,
            )
            return False
        for wanted in dues:
            self._ends.fail(wanted, refusal)
        return True
