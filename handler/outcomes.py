"""The three outcomes of a text: sent, held, failed. Each is reached once it is remembered."""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handler import log, metrics, queue_messages
from handler.aws import AwsError
from handler.events import Unreadable
from handler.ledger import Ledger, NotRecorded, State
from handler.metrics import Metric
from handler.notice import Notice
from handler.queues import NotQueued, Queue
from handler.refusals import Refusal


class BeingSent(Exception):
    """Another invocation has claimed a text. What became of it, the next try of the event sees."""


class Outcomes:
    """Where texts end, and what remembers it.

    A queue that cannot be reached raises `handler.aws.AwsError` or `handler.queues.NotQueued`: the
    text has no outcome then. A table that cannot be reached does not: a duplicate beats a loss.

    Attributes:
        memory: Who was told of which file.
        held: The queue of the texts that are due later.
        failed: The queue of what no retry will mend.
    """

    def __init__(self, *, ledger: Ledger, held: Queue, failed: Queue) -> None:
        self.ledger = ledger
        self.held = held
        self.failed = failed

    def record_sent(self, notices: Sequence[Notice], sid: str) -> None:
        """End texts that Twilio has accepted under one SID: one, or all of a summary."""
        with ledger_errors_logged(len(notices)):
            self.ledger.settle(notices, State.SENT, sid)

    def hold(self, notice: Notice, reason: str, refusal: Refusal | None = None) -> None:
        """End a text for now: a flush takes it up again.

        Args:
            notice: The text.
            reason: Why it may not go now.
            refusal: Why Twilio did not take it, if it was asked.
        """
        details = refusal.details if refusal else {}
        self.held.send([queue_messages.to_message(notice, reason, **details)])
        with unexpected_errors_logged(
            phone=notice.phone
        ):  # it has its outcome: nothing may give it another one
            log.decision(
                "held",
                level="WARN" if refusal else "INFO",
                file=notice.file,
                phone=notice.phone,
                measured={metrics.HELD: 1, **refused(refusal)},
                reason=reason,
                **details,
            )
            with ledger_errors_logged(1):
                self.ledger.hold(notice)

    def fail(self, notices: Sequence[Notice], refusal: Refusal) -> None:
        """End texts that no retry will mend, with Twilio's reason."""
        self._fail(notices, {metrics.FAILED: 1}, reason=refusal.kind, **refusal.details)

    def fail_unexpected(self, notices: Sequence[Notice], error: Exception) -> None:
        """End texts that met an exception which this program did not foresee."""
        measured = {metrics.FAILED: 1, metrics.UNEXPECTED: 1}
        self._fail(notices, measured, **unexpected(error))

    def _fail(
        self, notices: Sequence[Notice], measured: Mapping[Metric, float], **details: str
    ) -> None:
        self.failed.send([queue_messages.to_message(notice, **details) for notice in notices])
        with unexpected_errors_logged():  # they have their end: nothing may give them another one
            for notice in notices:
                log.decision(
                    "failed",
                    level="ERROR",
                    file=notice.file,
                    phone=notice.phone,
                    measured=measured,
                    **details,
                )
            with ledger_errors_logged(len(notices)):
                self.ledger.settle(notices, State.FAILED)

    def release(self, notice: Notice) -> None:
        """Leave a text that could not reach any end to the next try of its event."""
        with ledger_errors_logged(1):
            self.ledger.release(notice)

    def fail_unreadable(self, *items: Unreadable) -> None:
        """End records that nobody can read, as they came.

        Args:
            items: The records; of one message, or of one event.
        """
        self.failed.send(
            [json.dumps({"unreadable": item.record, "reason": item.reason}) for item in items]
        )
        for item in items:
            log.decision(
                "failed",
                level="ERROR",
                measured={metrics.FAILED: 1},
                reason="unreadable",
                code="unreadable",
                meaning=item.reason,
            )

    def fail_message(self, body: str, error: Exception) -> None:
        """End a held message that met an exception which this program did not foresee."""
        details = unexpected(error)
        self.failed.send([json.dumps({"unreadable": body, **details})])
        measured = {metrics.FAILED: 1, metrics.UNEXPECTED: 1}
        log.decision("failed", level="ERROR", measured=measured, **details)


def refused(refusal: Refusal | None) -> dict[Metric, float]:
    """Count a refusal of what only an operator can mend."""
    lasts = refusal and refusal.kind.needs_operator
    return {metrics.SETTINGS_REFUSED: 1} if lasts else {}


def unexpected(error: Exception) -> dict[str, Any]:
    """Describe an unforeseen exception by its class alone: its message may hold a phone number."""
    return {
        "reason": "unexpected",
        "code": type(error).__name__,
        "meaning": "an error that this program does not know",
    }


def log_unexpected(error: Exception, phone: str | None = None, **details: str) -> None:
    """Log and count an unforeseen exception that is no text's end."""
    log.decision(
        "unexpected",
        level="ERROR",
        phone=phone,
        measured={metrics.UNEXPECTED: 1},
        **(unexpected(error) | details),
    )


@contextlib.contextmanager
def unexpected_errors_logged(phone: str | None = None, **details: str) -> Iterator[None]:
    """Count and log an unforeseen exception, and go on: for what needs no other end.

    Args:
        phone: The phone it is about.
        details: What the line says besides, such as the SID of a text.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
        log_unexpected(error, phone, **details)


@contextlib.contextmanager
def ledger_errors_logged(count: int) -> Iterator[None]:
    """Go on without the table, where it cannot be told of so many texts."""
    try:
        yield
    except (AwsError, NotRecorded) as error:
        count = error.count if isinstance(error, NotRecorded) else count
        log.decision(
            "not recorded",
            level="ERROR",
            measured={metrics.FAILED_OPEN: count},
            meaning=str(error),
        )


@contextlib.contextmanager
def errors_collected(unfinished: list[Exception]) -> Iterator[None]:
    """Let no text stop another one."""
    try:
        yield
    except (AwsError, NotQueued, BeingSent) as error:
        log.decision("no outcome yet", level="ERROR", meaning=str(error))
        unfinished.append(error)
