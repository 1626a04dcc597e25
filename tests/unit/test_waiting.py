"""Waiting for a condition has a time limit, and a failure shows the last value."""

import time

import pytest

from stack.waiting import NotInTime, wait_until


class Clock:
    """A clock that moves only when the code sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_wait_returns_the_value_that_met_the_condition(clock: Clock) -> None:
    seen = iter(range(10))
    assert wait_until(lambda: next(seen), lambda one: one == 3, seconds=60, poll_seconds=2) == 3
    assert clock.now == 6


def test_a_condition_that_is_met_at_once_costs_no_pause(clock: Clock) -> None:
    assert wait_until(lambda: "there", seconds=0, poll_seconds=1) == "there"
    assert clock.now == 0


def test_a_wait_that_times_out_names_the_last_value(clock: Clock) -> None:
    seen = iter(range(100))
    with pytest.raises(NotInTime, match=r"^not within 10 s; last seen: 11$") as caught:
        wait_until(lambda: next(seen), lambda _: False, seconds=10, poll_seconds=1)
    assert caught.value.seen == 11


def test_a_limit_from_the_last_change_lasts_as_long_as_something_changes(clock: Clock) -> None:
    def look() -> int:
        return min(int(clock.now), 100)

    with pytest.raises(NotInTime) as caught:
        wait_until(look, lambda _: False, seconds=10, poll_seconds=1, from_last_change=True)
    assert caught.value.seen == 100
    assert 110 <= clock.now <= 112
