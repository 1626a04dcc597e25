"""Quiet hours in local time."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.days import NAMES
from handler.quiet_hours import QuietHours, is_quiet

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
UTC = datetime.UTC


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "quiet"),
    [
        ("22:00-07:00", "2026-11-23T20:59", False),
        ("22:00-07:00", "2026-11-23T21:00", True),  # 22:00 in winter
        ("22:00-07:00", "2026-11-24T05:59", True),
        ("22:00-07:00", "2026-11-24T06:00", False),
        ("22:00-07:00", "2026-07-01T19:59", False),
        ("22:00-07:00", "2026-07-01T20:00", True),  # 22:00 in summer
        ("12:00-13:00", "2026-11-23T11:30", True),
        ("12:00-13:00", "2026-11-23T12:00", False),
        ("00:00-06:00", "2026-11-22T23:00", True),
        # On 29 March 02:00 becomes 03:00; on 25 October 03:00 becomes 02:00.
        ("02:30-03:30", "2026-03-29T01:15", True),
        ("02:30-03:30", "2026-03-29T00:45", False),
        ("02:30-03:30", "2026-10-25T00:45", True),
        ("02:30-03:30", "2026-10-25T01:15", False),
        ("02:30-03:30", "2026-10-25T01:45", True),
    ],
)
def test_a_moment_is_quiet_by_the_local_clock(hours: str, moment: str, quiet: bool) -> None:
    assert (utc(moment) in QuietHours.parse(hours, BERLIN)) is quiet


@pytest.mark.parametrize(
    ("hours", "moment", "quiet"),
    [
        ("Mon-Fri 22:00-07:00, Sat-Sun 00:00-10:00", "2026-11-27T23:00", True),  # a Friday
        ("Mon-Fri 22:00-07:00, Sat-Sun 00:00-10:00", "2026-11-28T09:59", True),
        ("Mon-Fri 22:00-07:00, Sat-Sun 00:00-10:00", "2026-11-28T10:00", False),
        ("Mon-Fri 22:00-07:00, Sat-Sun 00:00-10:00", "2026-11-30T06:00", False),  # after Sunday's
        ("Fri 22:00-07:00", "2026-11-28T06:59", True),  # Friday's, until Saturday morning
        ("Fri 22:00-07:00", "2026-11-27T06:59", False),
        ("Sun 22:00-07:00", "2026-11-30T06:59", True),  # across the end of the week
        ("Mon,Thu 22:00-07:00", "2026-11-26T22:00", True),
        ("Mon,Thu 22:00-07:00", "2026-11-24T22:00", False),
        ("Sat-Mon 00:00-24:00", "2026-11-30T23:59", True),
        ("Sat-Mon 00:00-24:00", "2026-12-01T00:00", False),
        ("Mon , Thu - Fri 22:00-07:00 ,Sun 12:00-13:00", "2026-11-29T12:00", True),
    ],
)
def test_a_range_belongs_to_the_days_on_which_it_starts(
    hours: str, moment: str, quiet: bool
) -> None:
    assert (utc(moment) in QuietHours.parse(hours, UTC)) is quiet


WEEK = 7 * 24 * 60
Range = tuple[frozenset[int], int, int]  # days, first minute of the day, first minute after it

clock_times = st.integers(0, 24 * 60 - 1) | st.sampled_from([0, 60, 119, 120, 150, 180, 181])
ranges = st.tuples(
    st.frozensets(st.integers(0, 6), min_size=1), clock_times, clock_times | st.just(24 * 60)
).filter(lambda one: one[1] != one[2])
zones = st.sampled_from(
    [
        *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"),
        *("Africa/Casablanca", "Pacific/Apia", "America/Sao_Paulo"),
    ]
).map(zoneinfo.ZoneInfo)
moments = st.datetimes(
    utc("2010-01-01").replace(tzinfo=None),
    utc("2030-01-01").replace(tzinfo=None),
    timezones=st.just(UTC),
) | st.builds(  # near a change of the clocks
    lambda moment, minutes: utc(moment) + datetime.timedelta(minutes=minutes),
    st.sampled_from(
        [
            *("2026-03-29T01:00", "2026-10-25T01:00", "2026-03-08T07:00", "2026-11-01T06:00"),
            *("2026-04-04T15:00", "2026-10-03T15:30", "2011-12-30T10:00", "2026-02-15T02:00"),
        ]
    ),
    st.integers(-2000, 200),
)


def written(one: Range) -> str:
    days, start, end = one
    names = ",".join(NAMES[day] for day in sorted(days))
    return f"{names} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


def parsed(several: list[Range], zone: datetime.tzinfo = UTC) -> QuietHours:
    return QuietHours.parse(", ".join(map(written, several)), zone)


def quiet_minutes(several: list[Range]) -> list[bool]:
    """Return for each minute of the week whether it is quiet, by a walk through the minutes."""
    week = [False] * WEEK
    for days, start, end in several:
        for day in days:
            at = day * 24 * 60 + start
            while True:
                week[at % WEEK] = True
                at += 1
                if at % (24 * 60) == end % (24 * 60):
                    break
    return week


def is_quiet_then(week: list[bool], moment: datetime.datetime, zone: datetime.tzinfo) -> bool:
    local = moment.astimezone(zone)
    return week[local.weekday() * 24 * 60 + local.hour * 60 + local.minute]


some_ranges = st.lists(ranges, min_size=1, max_size=3)


@given(some_ranges, moments, zones)
def test_a_moment_is_quiet_if_its_minute_of_the_week_is(
    several: list[Range], moment: datetime.datetime, zone: datetime.tzinfo
) -> None:
    wanted = is_quiet_then(quiet_minutes(several), moment, zone)
    assert (moment in parsed(several, zone)) is wanted


@given(some_ranges, moments, zones)
def test_quiet_hours_end_at_the_first_minute_that_is_not_quiet(
    several: list[Range], moment: datetime.datetime, zone: datetime.tzinfo
) -> None:
    week = quiet_minutes(several)
    if not is_quiet_then(week, moment, zone):
        assert parsed(several, zone).end(moment) == moment
        return
    wanted: datetime.datetime | None = moment.replace(second=0, microsecond=0)
    for _ in range(2 * WEEK):
        assert wanted
        wanted += datetime.timedelta(minutes=1)
        if not is_quiet_then(week, wanted, zone):
            break
    else:
        wanted = None
    assert parsed(several, zone).end(moment) == wanted


@pytest.mark.parametrize(
    ("hours", "moment", "end"),
    [
        ("22:00-07:00", "2026-11-23T21:00", "2026-11-24T06:00"),
        ("Fri 22:00-24:00, Sat-Sun 00:00-24:00", "2026-11-27T22:30", "2026-11-29T23:00"),
        # At 01:00 UTC 02:00 becomes 03:00 on 29 March, and 03:00 becomes 02:00 on 25 October.
        ("01:00-02:30", "2026-03-29T00:30", "2026-03-29T01:00"),
        ("01:00-03:30", "2026-03-29T00:30", "2026-03-29T01:30"),
        ("01:00-02:30", "2026-10-25T00:00", "2026-10-25T00:30"),
        ("01:00-02:30", "2026-10-25T01:00", "2026-10-25T01:30"),
        ("22:00-07:00", "2026-10-24T20:00", "2026-10-25T06:00"),
    ],
)
def test_quiet_hours_end_by_the_local_clock(hours: str, moment: str, end: str) -> None:
    assert QuietHours.parse(hours, BERLIN).end(utc(moment)) == utc(end)


def test_quiet_hours_without_a_gap_never_end() -> None:
    hours = QuietHours.parse("Mon-Sun 00:00-24:00", BERLIN)
    assert hours.end(utc("2026-11-23T21:00")) is None
    assert hours.open_minutes == 0


@given(some_ranges)
def test_the_longest_open_time_is_counted_over_the_end_of_the_week(several: list[Range]) -> None:
    week = quiet_minutes(several)
    longest = current = 0
    for minute in range(2 * WEEK):
        current = 0 if week[minute % WEEK] else current + 1
        longest = max(longest, current)
    assert parsed(several).open_minutes == longest


@pytest.mark.parametrize(
    "hours",
    [
        *("22-7", "22:00", "24:00-07:00", "22:60-07:00", "07:00-07:00"),
        *("Mon-Fri", "Foo 22:00-07:00", "Mon- 22:00-07:00", "Mon-Fri22:00-07:00", "24:00-07:00"),
        *("22:00-07:00,", "22:00-07:00 12:00-13:00", "22:00-07:00,,12:00-13:00", "22:00-24:30"),
        *("mon 22:00-07:00", "Mon-Fri 22:00-07:00; Sat 22:00-07:00", "none", " 22:00-07:00"),
        *("07:00-0\uff17:00", "\u0662\u0662:00-07:00"),  # other Unicode digits
    ],
)
def test_a_value_that_is_no_range_is_refused(hours: str) -> None:
    with pytest.raises(ValueError, match="22:00-07:00"):
        QuietHours.parse(hours, UTC)


def test_a_moment_in_seconds_is_quiet_only_where_there_are_quiet_hours() -> None:
    hours = QuietHours.parse("22:00-07:00", BERLIN)
    assert is_quiet(hours, utc("2026-11-23T21:00").timestamp())
    assert not is_quiet(hours, utc("2026-11-23T20:59").timestamp())
    assert not is_quiet(None, utc("2026-11-23T21:00").timestamp())
