"""The retries of a request to a service: how often, and after how long a pause."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

BUSY_SECONDS = 5
"""After a service was too busy for all tries of one request, each request gets one try for so
long."""


class TryAgain(Exception):
    """A request was not processed, but the same request may be a moment later.

    Attributes:
        error: The error that the last try raises.
        is_busy: Whether the service had too much to do.
    """

    def __init__(self, error: Exception, *, is_busy: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_busy = is_busy


class Retries:
    """Tries requests to one service again, and remembers when the service is too busy.

    Then each request gets one try for a while, so many requests take little more time than one.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._busy_until = 0.0

    def run(self, request: Callable[[], T], *, tries: int, seconds: float) -> T:
        """Make a request until it does not raise `TryAgain`.

        Args:
            request: The request.
            tries: How often to make it at most.
            seconds: Half of the shortest first pause. Each pause is twice as long as the last one,
                and up to twice that by chance: processes must not all retry at once.

        Raises:
            Exception: The error of the last try, or what else the request raises.
        """
        if self._clock() < self._busy_until:
            tries = 1
        for attempt in range(1, tries + 1):
            try:
                return request()
            except TryAgain as again:
                if attempt == tries:
                    if again.is_busy:
                        self._busy_until = self._clock() + BUSY_SECONDS
                    raise again.error from None
            self._sleep(random.uniform(1, 2) * seconds * 2**attempt)  # noqa: S311  # no secret
        raise AssertionError  # the last try returns or raises
