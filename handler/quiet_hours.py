"""Quiet hours: when nobody is texted."""

import bisect
import datetime
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Self

FORM = "22:00-07:00 or Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00"

_DAYS = "[A-Z][a-z]{2}(?: *[,-] *[A-Z][a-z]{2})*"
_TIME = "([01][0-9]|2[0-3]):([0-5][0-9])"
_RANGE = f"(?:({_DAYS}) +)?{_TIME}-(?:{_TIME}|24:00)"  # compiled only where there are quiet hours

_DAY = 24 * 60
_WEEK = 7 * _DAY

_LONGEST = datetime.timedelta(days=15)
"""The longest time from a moment to the next one that is not quiet: a change of the clocks may skip
the only one of a week."""


class _Range(NamedTuple):
    """A part of some days.

    Attributes:
        days: The days on which it starts, as `datetime.date.weekday` numbers them.
        start: Its first minute of the day.
        minutes: Its length; it may end on the day after.
    """

    days: frozenset[int]
    start: int
    minutes: int

    def left(self, local: datetime.datetime) -> datetime.timedelta:
        """Return how long it still lasts by the clock; 0 outside it."""
        now = datetime.timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        now += datetime.timedelta(microseconds=local.microsecond)
        start, length = (datetime.timedelta(minutes=one) for one in (self.start, self.minutes))
        left = datetime.timedelta()
        if local.weekday() in self.days and now >= start:
            left = max(left, start + length - now)
        if (local.weekday() - 1) % 7 in self.days:
            left = max(left, start + length - datetime.timedelta(minutes=_DAY) - now)
        return left


class QuietHours:
    """Times of the week in which texts are held, by the clocks of one time zone.

    A range across midnight belongs to the day on which it starts. Whether a moment is quiet does
    not depend on daylight saving: at any moment the clocks show one time.
    """

    def __init__(self, ranges: tuple[_Range, ...], zone: datetime.tzinfo) -> None:
        self._ranges = ranges
        self._zone = zone

    @classmethod
    def parse(cls, hours: str, zone: datetime.tzinfo) -> Self:
        """Read `22:00-07:00`, `Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00` or `Mon,Thu 12:00-13:00`.

        Raises:
            ValueError: It is not of that form, or a range starts when it ends.
        """
        try:
            return cls(tuple(_parse(hours)), zone)
        except ValueError:
            raise ValueError(f"not of the form {FORM}") from None

    @property
    def open_minutes(self) -> int:
        """The longest time in a row outside of them, in a week without a change of the clocks."""
        week = bytearray(_WEEK)
        for days, start, length in self._ranges:
            for minute in (day * _DAY + start + passed for day in days for passed in range(length)):
                week[minute % _WEEK] = True
        return max(map(len, (week + week).split(b"\1")))

    def end(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return the first moment that is not quiet, from an aware moment on; None if none is."""
        until = moment + _LONGEST
        while moment < until:
            left = self._left(moment)
            if not left:
                return moment
            moment = self._later(moment, left)
        return None

    def seconds_left(self, now: float, at_most: float) -> float:
        """Return the seconds until their end, or `at_most` if that is less.

        Args:
            now: The time, in seconds since the epoch.
            at_most: The most seconds to return.
        """
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
        end = self.end(moment)
        return at_most if end is None else min((end - moment).total_seconds(), at_most)

    def __contains__(self, moment: datetime.datetime) -> bool:
        return bool(self._left(moment))

    def _left(self, moment: datetime.datetime) -> datetime.timedelta:
        local = moment.astimezone(self._zone)
        return max(range_.left(local) for range_ in self._ranges)

    def _later(
        self, moment: datetime.datetime, by_the_clock: datetime.timedelta
    ) -> datetime.datetime:
        """Return the moment after some time by the clock, or the next change of the clocks."""
        before, after = self._offset(moment), moment + by_the_clock
        if self._offset(after) == before:
            return after
        moment = moment.replace(microsecond=0)
        seconds = range(int(by_the_clock.total_seconds()) + 1)
        change = bisect.bisect(
            seconds,
            False,
            key=lambda passed: self._offset(moment + datetime.timedelta(seconds=passed)) != before,
        )
        return moment + datetime.timedelta(seconds=change)

    def _offset(self, moment: datetime.datetime) -> datetime.timedelta | None:
        return moment.astimezone(self._zone).utcoffset()


def _parse(hours: str) -> Iterator[_Range]:
    from handler.days import EVERY_DAY, parse_days  # noqa: PLC0415  # few stacks have quiet hours

    at = 0
    while match := re.compile(_RANGE).match(hours, at):
        days = parse_days(match[1].replace(" ", "")) if match[1] else EVERY_DAY
        start = int(match[2]) * 60 + int(match[3])
        end = int(match[4]) * 60 + int(match[5]) if match[4] else _DAY
        if start == end:
            break
        yield _Range(days, start, end - start if start < end else end - start + _DAY)
        if match.end() == len(hours):
            return
        comma = re.compile(" *, *").match(hours, match.end())
        if not comma:
            break
        at = comma.end()
    raise ValueError


def read_hours(hours: str, zone: datetime.tzinfo) -> QuietHours | None:
    """Return the quiet hours that a setting describes; None for never."""
    return QuietHours.parse(hours, zone) if hours else None


def quiet_routes(hours: Mapping[str, QuietHours | None], now: float) -> dict[str, QuietHours]:
    """Return the quiet hours in force at a time, by the labels of the routes that have them.

    Args:
        hours: The quiet hours of each route, by its label.
        now: The time, in seconds since the epoch.
    """
    return {label: one for label, one in hours.items() if one and is_quiet(one, now)}


def is_quiet(hours: QuietHours | None, now: float) -> bool:
    """Say whether nobody is texted now, in seconds since the epoch; never without quiet hours."""
    return hours is not None and datetime.datetime.fromtimestamp(now, datetime.UTC) in hours
