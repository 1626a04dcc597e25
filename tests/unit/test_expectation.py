"""Deadlines and states of expected logs, in local time."""

import datetime
import functools
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.days import EVERY_DAY
from handler.expectation import (
    DAY,
    GRACE,
    Daily,
    Every,
    Expectation,
    Known,
    State,
    parse_expectation,
    parse_size,
)

UTC = datetime.UTC
MINUTE = datetime.timedelta(minutes=1)
HOUR = datetime.timedelta(hours=1)
WEEK = 7 * DAY

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # changes its clocks by half an hour
    "Africa/Casablanca",
    "America/Santiago",  # changes its clocks at midnight
    "Pacific/Apia",
    "Asia/Kathmandu",
]


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def berlin(text: str) -> Expectation:
    return parse_expectation(text, zoneinfo.ZoneInfo("Europe/Berlin"))


# Right settings


@pytest.mark.parametrize(
    ("text", "wording", "shortest"),
    [
        ("by 06:30", "by 06:30", DAY),
        ("Mon-Fri by 06:30", "by 06:30", DAY),
        ("Mon,Thu by 23:00", "by 23:00", 3 * DAY),
        ("Sun by 00:00", "by 00:00", WEEK),
        ("every 6h", "every 6h", 6 * HOUR),
        ("every 45m", "every 45m", 45 * MINUTE),
        ("every 168h", "every 168h", WEEK),
    ],
)
def test_an_expectation_is_read(text: str, wording: str, shortest: datetime.timedelta) -> None:
    read = berlin(text)
    assert (read.wording, read.shortest) == (wording, shortest)


@pytest.mark.parametrize(
    "text",
    [
        *("", "06:30", "by 6:30", "by 24:00", "by 06:60", "By 06:30", "by 06:30 ", "by  06:30"),
        *("mon by 06:30", "Mon-Fri 06:30", "Mon-Fri,by 06:30", "Mon, Thu by 06:30", " by 06:30"),
        *("every 0h", "every h", "every 6 h", "every 6", "every 1d", "every 6h30m", "every -6h"),
        *("every \u0666h", "by 0\uff16:30", "every 169h", "every 10081m", "every 99999h", "by"),
    ],
)
def test_another_expectation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        berlin(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1 kB", 1000), ("10 MB", 10_000_000), ("500 B", 500), ("2GB", 2_000_000_000)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "1", "0 kB", "-1 kB", "1 KB", "1,5 MB", "1  kB", "kB", "1 TB"]
)
def test_another_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="1 kB or 10 MB"):
        parse_size(text)


# Deadlines, compared with a walk through the minutes


@functools.cache
def walked(zone: str, day: datetime.date) -> dict[datetime.time, datetime.datetime]:
    """Return the times that a day's clocks show, each with the last minute that shows it."""
    local = zoneinfo.ZoneInfo(zone)
    begin = datetime.datetime.combine(day, datetime.time(), UTC) - 15 * HOUR
    shown: dict[datetime.time, datetime.datetime] = {}
    for number in range(54 * 60):
        moment = begin + number * MINUTE
        clock = moment.astimezone(local)
        if clock.date() == day:
            shown[clock.time()] = moment
    return shown


def walked_deadlines(
    zone: str, first: datetime.date, count: int, time: datetime.time, days: frozenset[int]
) -> list[datetime.datetime]:
    """Return each day's last minute that shows a time, else the first with a later time."""
    found = []
    for number in range(count):
        day = first + number * DAY
        if day.weekday() not in days:
            continue
        shown = walked(zone, day)
        later = [moment for clock, moment in shown.items() if clock > time]
        if time in shown or later:
            found.append(shown[time] if time in shown else later[0])
    return found


CHANGES = {  # the days before the clocks change, and other special days
    "UTC": ["2028-02-28", "2026-02-28", "2027-12-31"],
    "Europe/Berlin": ["2026-03-28", "2026-10-24", "2028-02-28"],
    "America/New_York": ["2026-03-07", "2026-10-31"],
    "Australia/Lord_Howe": ["2026-04-04", "2026-10-03"],
    "Africa/Casablanca": ["2026-02-14", "2026-03-21"],
    "America/Santiago": ["2026-04-04", "2026-09-05"],
    "Pacific/Apia": ["2011-12-29", "2011-12-28"],
    "Asia/Kathmandu": ["2026-07-01"],
}
places = st.sampled_from(ZONES).flatmap(
    lambda zone: st.tuples(st.just(zone), st.sampled_from(CHANGES[zone]))
)
times = st.builds(datetime.time, st.integers(0, 23), st.integers(0, 59))
risky = st.builds(datetime.time, st.sampled_from([0, 1, 2, 3]), st.sampled_from([0, 15, 30, 59]))
some_days = st.frozensets(st.sampled_from(sorted(EVERY_DAY)), min_size=1)


@given(places, times | risky, some_days | st.just(EVERY_DAY))
def test_deadlines_are_those_of_a_walk_through_all_minutes(
    place: tuple[str, str], time: datetime.time, days: frozenset[int]
) -> None:
    zone, start = place
    first = datetime.date.fromisoformat(start) - 2 * DAY
    expected = walked_deadlines(zone, first, 6, time, days)
    daily = Daily(time, days, zoneinfo.ZoneInfo(zone))
    known = Known(since=expected[0] if expected else utc("2000-01-01"))
    found = []
    if expected:
        moment = expected[0] - MINUTE
        while (moment := daily.status(known, moment + GRACE).deadline) <= expected[-1]:
            found.append(moment)
    assert found == expected


@pytest.mark.parametrize(
    ("text", "after", "deadline"),
    [
        ("by 06:30", "2026-11-23T05:29", "2026-11-23T05:30"),
        ("by 06:30", "2026-11-23T05:30", "2026-11-24T05:30"),
        ("by 06:30", "2026-03-28T12:00", "2026-03-29T04:30"),  # an hour shorter
        ("by 06:30", "2026-10-24T12:00", "2026-10-25T05:30"),  # an hour longer
        ("by 02:30", "2026-03-28T12:00", "2026-03-29T01:00"),  # skipped, as the clocks go forward
        ("by 02:30", "2026-10-24T12:00", "2026-10-25T01:30"),  # comes twice: the second one
        ("by 23:00", "2028-02-28T23:00", "2028-02-29T22:00"),
        ("by 23:00", "2027-02-28T23:00", "2027-03-01T22:00"),
        ("Mon-Fri by 06:30", "2026-11-27T12:00", "2026-11-30T05:30"),
    ],
)
def test_the_next_deadline(text: str, after: str, deadline: str) -> None:
    known = Known(since=utc("2026-01-01"))
    assert berlin(text).status(known, utc(after) + GRACE).deadline == utc(deadline)


# Misses and states


@given(
    places,
    st.tuples(times | risky, some_days | st.just(EVERY_DAY)),
    st.lists(st.integers(0, 6 * 24 * 60), max_size=8),
    st.integers(0, 6 * 24 * 60),
    st.integers(0, 3 * 24 * 60),
)
def test_a_daily_log_is_missed_if_its_last_whole_window_and_all_after_it_are_empty(
    place: tuple[str, str],
    schedule: tuple[datetime.time, frozenset[int]],
    logs: list[int],
    at: int,
    since: int,
) -> None:
    (zone, start), (time, days) = place, schedule
    first = datetime.date.fromisoformat(start) - 2 * DAY
    begin = datetime.datetime.combine(first, datetime.time(), UTC)
    now, seen = begin + at * MINUTE, begin + since * MINUTE
    came = [begin + log * MINUTE for log in logs if log <= at]
    deadlines = [
        deadline
        for deadline in walked_deadlines(zone, first - 17 * DAY, 26, time, days)
        if deadline <= now - GRACE
    ]
    before, last = deadlines[-2:]
    expected = None if any(log > before for log in came) or before < seen else last
    daily = Daily(time, days, zoneinfo.ZoneInfo(zone))
    assert daily.missed(Known(seen, max(came, default=None)), now) == expected


@given(
    st.integers(1, 7 * 24 * 60),
    st.lists(st.integers(0, 20 * 24 * 60), max_size=8),
    st.integers(0, 20 * 24 * 60),
)
def test_a_regular_log_is_missed_once_its_time_is_over_and_again_each_day(
    period: int, logs: list[int], at: int
) -> None:
    since = utc("2026-03-20")
    came = [log for log in logs if log <= at]
    start, missed = period, None  # the first window does not count
    for minute in range(at + 1):
        over = minute - start - period
        if minute in came and minute > 0:
            start, missed = minute, None
        elif over >= 0 and over % (24 * 60) == 0 and minute + 2 <= at:
            missed = minute
    last = max((since + log * MINUTE for log in came), default=None)
    found = Every(period * MINUTE, "").missed(Known(since, last), since + at * MINUTE)
    assert found == (None if missed is None else since + missed * MINUTE)


SEEN = "2026-11-20T10:00"  # a Friday


@pytest.mark.parametrize(
    ("text", "last", "is_late", "now", "expected"),
    [
        ("by 06:30", None, False, "2026-11-20T10:00", ("new", "2026-11-21T05:30")),
        ("by 06:30", None, False, "2026-11-21T05:31", ("new", "2026-11-21T05:30")),
        ("by 06:30", None, False, "2026-11-21T05:32", ("waiting", "2026-11-22T05:30")),
        ("by 06:30", "2026-11-20T11:00", False, "2026-11-20T12:00", ("came", "2026-11-21T05:30")),
        ("by 06:30", None, False, "2026-11-22T05:31", ("waiting", "2026-11-22T05:30")),
        ("by 06:30", None, False, "2026-11-22T05:32", ("missing", "2026-11-23T05:30")),
        (
            "by 06:30",
            "2026-11-22T05:30",
            False,
            "2026-11-22T05:32",
            ("waiting", "2026-11-23T05:30"),
        ),
        ("by 06:30", "2026-11-22T07:00", False, "2026-11-22T07:01", ("came", "2026-11-23T05:30")),
        (
            *("by 06:30", "2026-11-22T07:00", True),
            *("2026-11-23T05:31", ("late", "2026-11-23T05:30")),
        ),
        (
            *("by 06:30", "2026-11-22T07:00", True),
            *("2026-11-23T05:32", ("waiting", "2026-11-24T05:30")),
        ),
        ("Mon-Fri by 06:30", None, False, "2026-11-23T05:32", ("waiting", "2026-11-24T05:30")),
        ("every 6h", None, False, "2026-11-20T16:01", ("new", "2026-11-20T22:00")),
        ("every 6h", None, False, "2026-11-20T16:02", ("waiting", "2026-11-20T22:00")),
        ("every 6h", None, False, "2026-11-20T22:01", ("waiting", "2026-11-20T22:00")),
        ("every 6h", None, False, "2026-11-20T22:02", ("missing", "2026-11-21T22:00")),
        ("every 6h", None, False, "2026-11-21T22:02", ("missing", "2026-11-22T22:00")),
        ("every 6h", "2026-11-20T11:00", False, "2026-11-20T17:01", ("came", "2026-11-20T17:00")),
        (
            "every 6h",
            "2026-11-20T11:00",
            False,
            "2026-11-20T17:02",
            ("missing", "2026-11-21T17:00"),
        ),
        (
            *("every 6h", "2026-11-20T18:00", True),
            *("2026-11-20T19:00", ("late", "2026-11-21T00:00")),
        ),
    ],
)
def test_the_state_and_the_next_deadline(
    text: str, last: str | None, is_late: bool, now: str, expected: tuple[str, str]
) -> None:
    known = Known(utc(SEEN), utc(last) if last else None, is_late)
    assert berlin(text).status(known, utc(now)) == (State(expected[0]), utc(expected[1]))
