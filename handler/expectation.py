"""Expected logs: their deadlines, and whether a log is missing.

Pure: times go in, times come out. `handler.expected_logs` keeps the times and sends the texts.
"""

import datetime
import enum
import re
from typing import NamedTuple

from handler.days import EVERY_DAY, parse_days

GRACE = datetime.timedelta(minutes=2)
"""How long after a deadline a flush looks for the log: S3 announces some logs late."""

DAY = datetime.timedelta(days=1)
MAX_EVERY = 7 * DAY
"""The longest time between two logs: the ledger forgets a log after thirty days."""

FORMS = "by 06:30, Mon-Fri by 06:30, Mon,Thu by 23:00, every 6h or every 45m"
SIZE_FORMS = "1 kB or 10 MB"

_BY = re.compile("(?:([A-Za-z,-]+) )?by ([01][0-9]|2[0-3]):([0-5][0-9])")
_EVERY = re.compile("every ([1-9][0-9]{0,4})([hm])")
_SIZE = re.compile("([1-9][0-9]{0,5}) ?(B|kB|MB|GB)")
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}  # decimal, as the texts count

_SECOND = datetime.timedelta(seconds=1)


class State(enum.StrEnum):
    """The state of an expected log."""

    NEW = "new"
    """The route is new or was changed: its first window does not count."""

    WAITING = "waiting"
    """No log has come yet, and the deadline is still ahead."""

    CAME = "came"
    """A log came in time."""

    LATE = "late"
    """A log came, after its deadline was missed."""

    MISSING = "missing"
    """The deadline has passed, and no log has come."""


class Known(NamedTuple):
    """The known times of one expected log, all aware.

    Attributes:
        since: When a flush first saw the route with its present settings.
        last: The time of the latest log that counts, if one came.
        is_late: Whether that log ended a miss.
    """

    since: datetime.datetime
    last: datetime.datetime | None = None
    is_late: bool = False


class Status(NamedTuple):
    """The state of an expected log at one moment.

    Attributes:
        state: The state.
        deadline: The next deadline; of a missing log, when the next text about it is due.
    """

    state: State
    deadline: datetime.datetime


class Daily:
    """A log is expected by a time of the day, on all days or on some days of the week.

    A window begins after one deadline and ends with the next one.

    Attributes:
        wording: The expectation as a text words it: `by 06:30`.
        shortest: The shortest time between two deadlines, on days on which no clock is changed.
    """

    def __init__(self, time: datetime.time, days: frozenset[int], zone: datetime.tzinfo) -> None:
        self._time = time
        self._days = days
        self._zone = zone
        self.wording = f"by {time:%H:%M}"
        ordered = sorted(days)
        following = [*ordered[1:], ordered[0] + 7]
        self.shortest = DAY * min(
            after - day for day, after in zip(ordered, following, strict=True)
        )

    def missed(self, known: Known, now: datetime.datetime) -> datetime.datetime | None:
        """Return the latest deadline, if it passed without a log; else None.

        A log that came after the deadline is no miss: nothing is missing any more.
        """
        deadline = self._previous(now - GRACE)
        start = self._previous(deadline - _SECOND)
        came = known.last is not None and known.last > start
        return None if came or start < known.since else deadline

    def status(self, known: Known, now: datetime.datetime) -> Status:
        """Return the state of the log, and the next deadline."""
        start = self._previous(now - GRACE)
        deadline = self._following(start)
        if known.last is not None and known.last > start:
            state = State.LATE if known.is_late else State.CAME
        elif self.missed(known, now):
            state = State.MISSING
        else:
            state = State.NEW if start < known.since else State.WAITING
        return Status(state, deadline)

    def _previous(self, moment: datetime.datetime) -> datetime.datetime:
        """Return the latest deadline that is not after a moment."""
        day = moment.astimezone(self._zone).date() + DAY
        while not (found := self._deadline(day)) or found > moment:
            day -= DAY
        return found

    def _following(self, moment: datetime.datetime) -> datetime.datetime:
        """Return the first deadline after a moment."""
        day = moment.astimezone(self._zone).date() - DAY
        while not (found := self._deadline(day)) or found <= moment:
            day += DAY
        return found

    def _deadline(self, day: datetime.date) -> datetime.datetime | None:
        """Return the deadline of a day in UTC; None if the day has none.

        If the clocks show the time twice, the second time counts. If they skip it, the moment of
        the change counts, unless they skip the whole day.
        """
        if day.weekday() not in self._days:
            return None
        local = datetime.datetime.combine(day, self._time, self._zone)
        before, after = (local.replace(fold=fold).astimezone(datetime.UTC) for fold in (1, 0))
        if self._shows(before, local) or self._shows(after, local):
            return max(moment for moment in (before, after) if self._shows(moment, local))
        # In a gap the two readings lie before and after the change of the clocks.
        while after - before > _SECOND:
            middle = before + (after - before) // 2
            middle = middle.replace(microsecond=0)
            if self._offset(middle) == self._offset(after):
                after = middle
            else:
                before = middle
        return after if after.astimezone(self._zone).date() == day else None

    def _shows(self, moment: datetime.datetime, local: datetime.datetime) -> bool:
        """Whether the clocks show that local time at a moment."""
        return moment.astimezone(self._zone).replace(tzinfo=None) == local.replace(tzinfo=None)

    def _offset(self, moment: datetime.datetime) -> datetime.timedelta | None:
        return moment.astimezone(self._zone).utcoffset()


class Every:
    """A log is expected within some time after the one before, whatever the clocks show.

    A window begins with a log, or with the end of the first window, which does not count.

    Attributes:
        wording: The expectation as a text words it: `every 6h`.
        shortest: The time between two deadlines.
    """

    def __init__(self, period: datetime.timedelta, wording: str) -> None:
        self.shortest = period
        self.wording = wording

    def missed(self, known: Known, now: datetime.datetime) -> datetime.datetime | None:
        """Return the latest deadline that passed without a log, or None.

        While the log stays missing, there is one deadline a day.
        """
        first = self._deadline(known)
        days = (now - GRACE - first) // DAY
        return first + days * DAY if days >= 0 else None

    def status(self, known: Known, now: datetime.datetime) -> Status:
        """Return the state of the log, and the next deadline."""
        if missed := self.missed(known, now):
            return Status(State.MISSING, missed + DAY)
        deadline = self._deadline(known)
        if known.last is not None and known.last > known.since:
            state = State.LATE if known.is_late else State.CAME
        else:
            state = State.NEW if now - GRACE < known.since + self.shortest else State.WAITING
        return Status(state, deadline)

    def _deadline(self, known: Known) -> datetime.datetime:
        """Return the first deadline after the latest log."""
        if known.last is not None and known.last > known.since:
            return known.last + self.shortest
        return known.since + 2 * self.shortest


Expectation = Daily | Every


def parse_expectation(text: str, zone: datetime.tzinfo) -> Expectation:
    """Read `by 06:30`, `Mon-Fri by 06:30`, `Mon,Thu by 23:00`, `every 6h` or `every 45m`.

    Args:
        text: The setting.
        zone: The time zone of its time of the day.

    Raises:
        ValueError: It is of another form, or longer than a week.
    """
    if match := _BY.fullmatch(text):
        try:
            days = EVERY_DAY if match[1] is None else parse_days(match[1])
        except ValueError:
            raise ValueError(f"not of the form {FORMS}") from None
        return Daily(datetime.time(int(match[2]), int(match[3])), days, zone)
    if match := _EVERY.fullmatch(text):
        unit = "hours" if match[2] == "h" else "minutes"
        period = datetime.timedelta(**{unit: int(match[1])})
        if period > MAX_EVERY:
            raise ValueError("longer than a week")
        return Every(period, text)
    raise ValueError(f"not of the form {FORMS}")


def parse_size(text: str) -> int:
    """Read `1 kB` or `10 MB`, in bytes; decimal, as the texts count.

    Raises:
        ValueError: It is of another form.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"not of the form {SIZE_FORMS}")
    return int(match[1]) * _BYTES[match[2]]
