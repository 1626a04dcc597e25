"""Quiet hours, by the clocks of the place."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        # The night in which 02:00 becomes 03:00, and the one in which 03:00 becomes 02:00.
        ("02:30-03:30", "2026-03-29T01:15", True),
        ("02:30-03:30", "2026-03-29T00:45", False),
        ("02:30-03:30", "2026-10-25T00:45", True),
        ("02:30-03:30", "2026-10-25T01:15", False),
        ("02:30-03:30", "2026-10-25T01:45", True),
    ],
)
def test_a_moment_is_quiet_by_the_local_clock(hours: str, moment: str, quiet: bool) -> None:
    assert (utc(moment) in QuietHours.parse(hours, BERLIN)) is quiet


times = st.times().map(lambda time: time.replace(second=0, microsecond=0))


@given(times, times, st.datetimes(timezones=st.just(UTC)))
def test_a_range_and_its_reverse_make_a_day(
    start: datetime.time, end: datetime.time, moment: datetime.datetime
) -> None:
    if start != end:
        hours, reverse = f"{start:%H:%M}-{end:%H:%M}", f"{end:%H:%M}-{start:%H:%M}"
        assert (moment in QuietHours.parse(hours, UTC)) != (
            moment in QuietHours.parse(reverse, UTC)
        )


@pytest.mark.parametrize(
    "hours",
    [
        *("22-7", "22:00", "24:00-07:00", "22:60-07:00", "07:00-07:00"),
        *("07:00-0\uff17:00", "\u0662\u0662:00-07:00"),  # digits of another script
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
