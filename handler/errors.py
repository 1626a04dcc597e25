"""Errors that stop one text, message or delivery report, and no other one."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from handler import metrics
from handler.aws import AwsError
from handler.ledger import NotRecorded
from handler.log import Log
from handler.queues import NotQueued


class LeaseHeld(Exception):
    """Another invocation holds the lease on a text: its outcome is not known yet."""


def error_details(error: Exception) -> dict[str, Any]:
    """Describe an unforeseen exception by its class alone: its message may hold a phone number."""
    return {
        "reason": "unexpected",
        "code": type(error).__name__,
        "meaning": "an error that this program does not know",
    }


def log_unexpected(log: Log, error: Exception, phone: str | None = None, **details: str) -> None:
    """Log and count an unforeseen exception that is not the outcome of a text."""
    log.decision(
        "unexpected",
        level="ERROR",
        phone=phone,
        measured={metrics.UNEXPECTED: 1},
        **(error_details(error) | details),
    )


@contextlib.contextmanager
def unexpected_errors_logged(log: Log, phone: str | None = None, **details: str) -> Iterator[None]:
    """Log and count an unforeseen exception, and go on.

    Args:
        log: The log.
        phone: The phone it is about.
        details: More fields of the line, such as the SID of a text.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
        log_unexpected(log, error, phone, **details)


@contextlib.contextmanager
def ledger_errors_logged(log: Log, count: int) -> Iterator[None]:
    """Go on without the ledger if it cannot record so many texts."""
    try:
        yield
    except (AwsError, NotRecorded) as error:
        _log_not_recorded(log, count, error)


def is_recorded(log: Log, count: int, request: Callable[[], bool | None]) -> bool:
    """Make a request to the ledger about so many texts. Go on without it if it fails.

    Returns:
        Whether it was made, and its condition held if it has one.
    """
    try:
        return request() is not False
    except (AwsError, NotRecorded) as error:
        _log_not_recorded(log, count, error)
        return False


def _log_not_recorded(log: Log, count: int, error: AwsError | NotRecorded) -> None:
    count = error.count if isinstance(error, NotRecorded) else count
    log.decision(
        "not recorded",
        level="ERROR",
        measured={metrics.FAILED_OPEN: count},
        meaning=str(error),
    )


@contextlib.contextmanager
def missing_outcomes_logged(log: Log, unfinished: list[Exception]) -> Iterator[None]:
    """Log and keep the error of a text without an outcome, and go on with the next text."""
    try:
        yield
    except (AwsError, NotQueued, LeaseHeld) as error:
        log.decision("no outcome yet", level="ERROR", meaning=str(error))
        unfinished.append(error)
