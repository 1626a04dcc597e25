"""From an event to texts: every log file in it to every phone, each to one of three ends."""

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from handler import due, events, log, text
from handler.aws import AwsError
from handler.due import Due
from handler.events import Unreadable
from handler.memory import Claim, State
from handler.refusals import Refusal
from handler.sender import Refused, Sender
from handler.settings import Settings

BREAKER_SECONDS = 60
"""How long texts are held at once, without trying, after Twilio took none."""

SECONDS_TO_SEND = 30
"""What one text may take at worst: Twilio's connection twice and its answer, and AWS."""

SECONDS_IN_HOUR = 60 * 60


class Memory(Protocol):
    """What `handler.memory.Memory` does for the notifier."""

    def claim(self, due: Due, *, limit: int | None) -> Claim: ...  # noqa: D102
    def hold(self, due: Due) -> None: ...  # noqa: D102
    def settle(self, dues: list[Due], state: State) -> None: ...  # noqa: D102


class Queue(Protocol):
    """What `handler.queues.Queue` does for the notifier."""

    def send(self, bodies: list[str]) -> None: ...  # noqa: D102


class Notifier:
    """Tells every phone of every log file in an event."""

    def __init__(
        self,
        settings: Settings,
        *,
        sender: Sender,
        memory: Memory,
        held: Queue,
        failed: Queue,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._zone = settings.zone
        self._quiet = settings.quiet
        self._sender = sender
        self._memory = memory
        self._held = held
        self._failed = failed
        self._clock = clock
        self._refusing_until = 0.0
        self._full: dict[str, int] = {}

    def notify(self, event: object, seconds_left: Callable[[], float]) -> None:
        """Text every phone about every log file of an event; one that fails stops no other.

        Args:
            event: What S3 says happened.
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A text could be neither sent nor held,
                nor put to the failed ones. Lambda tries the event again; what was settled is not
                done twice.
        """
        for item in events.read(event):
            if isinstance(item, Unreadable):
                fail_unreadable(item, self._failed)
                continue
            log.decision("seen", file=item)
            for phone in self._settings.to_numbers:
                self._tell(Due(item, phone), seconds_left)

    def _tell(self, wanted: Due, seconds_left: Callable[[], float]) -> None:
        reason = self._why_not_now(wanted.phone, seconds_left)
        claim = self._claim(wanted, counted=not reason)
        if claim in {Claim.OVER_LIMIT, Claim.CONTENDED}:
            reason = "over the limit" if claim is Claim.OVER_LIMIT else "too much at once"
            claim = self._claim(wanted, counted=False)
        if claim is Claim.DUPLICATE:
            log.decision("duplicate", file=wanted.file, phone=wanted.phone)
            return
        if claim is Claim.UNKNOWN:
            # A duplicate beats a loss.
            log.decision("claim failed open", level="ERROR", file=wanted.file, phone=wanted.phone)
        if reason:
            self._hold(wanted, reason)
        else:
            self._send(wanted)

    def _claim(self, wanted: Due, *, counted: bool) -> Claim:
        limit = self._settings.max_texts_per_hour if counted else None
        claim = self._memory.claim(wanted, limit=limit)
        if claim is Claim.OVER_LIMIT:
            self._full[wanted.phone] = self._hour()
        return claim

    def _why_not_now(self, phone: str, seconds_left: Callable[[], float]) -> str:
        """Say why a text must be held; "" if it may go."""
        now = self._clock()
        if self._settings.mode == "digest":
            return "digest"
        if self._quiet and datetime.datetime.fromtimestamp(now, datetime.UTC) in self._quiet:
            return "quiet hours"
        if now < self._refusing_until:
            return "Twilio refuses"
        if self._full.get(phone) == self._hour():
            return "over the limit"
        if seconds_left() < SECONDS_TO_SEND:
            return "out of time"
        return ""

    def _hour(self) -> int:
        return int(self._clock()) // SECONDS_IN_HOUR

    def _send(self, wanted: Due) -> None:
        body = text.write(wanted.file, self._settings.message, self._zone)
        try:
            sid = self._sender.send(wanted.phone, body)
        except Refused as error:
            refusal = error.refusal
        else:
            log.decision(
                "sent",
                file=wanted.file,
                phone=wanted.phone,
                sid=sid,
                segments=text.segments(body),
                seconds=round(self._clock() - wanted.file.time.timestamp(), 1),
            )
            settle(self._memory, [wanted], State.SENT)
            return
        if refusal.kind.passes:
            self._refusing_until = self._clock() + BREAKER_SECONDS
            self._hold(wanted, refusal.kind, refusal)
        else:
            fail(wanted, refusal, self._failed, self._memory)

    def _hold(self, wanted: Due, reason: str, refusal: Refusal | None = None) -> None:
        details = refusal.details if refusal else {}
        self._held.send([due.to_message(wanted, reason, **details)])
        log.decision(
            "held",
            level="WARNING" if refusal else "INFO",
            file=wanted.file,
            phone=wanted.phone,
            reason=reason,
            **details,
        )
        with forgiven(1):
            self._memory.hold(wanted)


def fail(wanted: Due, refusal: Refusal, failed: Queue, memory: Memory) -> None:
    """Put a text to those that no retry will mend, with Twilio's reason.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued: It could not be put there.
    """
    failed.send([due.to_message(wanted, refusal.kind, **refusal.details)])
    log.decision(
        "failed",
        level="ERROR",
        file=wanted.file,
        phone=wanted.phone,
        reason=refusal.kind,
        **refusal.details,
    )
    settle(memory, [wanted], State.FAILED)


def fail_unreadable(item: Unreadable, failed: Queue) -> None:
    """Put a record that nobody can read to the failed ones, as it came.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued: It could not be put there.
    """
    failed.send([json.dumps({"unreadable": item.record, "reason": item.reason})])
    log.decision("failed", level="ERROR", reason="unreadable", meaning=item.reason)


def settle(memory: Memory, dues: list[Due], state: State) -> None:
    """Record the end of texts."""
    with forgiven(len(dues)):
        memory.settle(dues, state)


@contextlib.contextmanager
def forgiven(count: int) -> Iterator[None]:
    """Go on without the table: a duplicate of the event may then be texted again."""
    try:
        yield
    except AwsError as error:
        log.decision("not remembered", level="ERROR", count=count, meaning=str(error))
