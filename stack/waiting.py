"""Waiting until another program has done something."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

Seen = TypeVar("Seen")


class NotInTime(Exception):
    """A wait ended before its condition was met.

    Attributes:
        seen: The last thing that was seen.
    """

    def __init__(self, seconds: float, seen: Any) -> None:
        super().__init__(f"not within {seconds:g} s; last seen: {seen!r}")
        self.seen = seen


def wait_until(
    look: Callable[[], Seen],
    is_done: Callable[[Seen], object] = bool,
    *,
    seconds: float,
    poll_seconds: float,
    from_last_change: bool = False,
) -> Seen:
    """Look again and again until the result meets a condition.

    Args:
        look: Looks, and returns what it sees. It is called at least once.
        is_done: The condition; by default, that the result is true.
        seconds: The limit.
        poll_seconds: The pause between two looks.
        from_last_change: Whether the limit starts again whenever the result changes.

    Returns:
        The result that met the condition.

    Raises:
        NotInTime: No result met it within the limit.
    """
    seen = look()
    started = time.monotonic()
    while not is_done(seen):
        if time.monotonic() - started > seconds:
            raise NotInTime(seconds, seen)
        time.sleep(poll_seconds)
        before, seen = seen, look()
        if from_last_change and seen != before:
            started = time.monotonic()
    return seen
