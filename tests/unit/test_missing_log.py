"""A missing log: the words of its text, and its message on a queue."""

import datetime
import json
import zoneinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.missing_log import MissingLog, read_missing_log
from handler.segments import segments
from handler.text import summarize, write_missing
from local.storm import files_in
from simulation.samples import log_file

UTC = datetime.UTC
HOUR = datetime.timedelta(hours=1)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def missing(**changes: Any) -> MissingLog:
    return MissingLog(
        **{
            "route": "backup",
            "logs": "backup/*.log",
            "deadline": datetime.datetime(2026, 11, 25, 6, 30, tzinfo=UTC),
            "since": datetime.datetime(2026, 11, 24, 3, 12, tzinfo=UTC),
            "expected": "by 06:30",
            **changes,
        }
    )


TOO_SMALL = {"small_key": "backup/db.log", "small_size": 120, "at_least": "1 kB"}


@pytest.mark.parametrize(
    ("log", "zone", "text"),
    [
        (
            missing(),
            UTC,
            "Missing: no backup/*.log since 24 Nov 03:12 UTC, expected by 06:30",
        ),
        (
            missing(expected="every 6h"),
            BERLIN,
            "Missing: no backup/*.log since 24 Nov 04:12 CET, expected every 6h",
        ),
        (missing(logs=""), UTC, "Missing: no log since 24 Nov 03:12 UTC, expected by 06:30"),
        (missing(**TOO_SMALL), UTC, "Too small: backup/db.log 120 B, expected at least 1 kB"),
    ],
)
def test_a_text_says_what_is_missing_since_when_and_when_it_was_expected(
    log: MissingLog, zone: datetime.tzinfo, text: str
) -> None:
    assert write_missing(log, zone) == text


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=1024)


@given(names, names, st.sampled_from(["Asia/Kathmandu", "UTC", "Australia/Lord_Howe"]))
def test_a_text_about_a_missing_log_takes_one_segment(logs: str, key: str, zone: str) -> None:
    for log in (missing(logs=logs), missing(**TOO_SMALL | {"small_key": key})):
        body = write_missing(log, zoneinfo.ZoneInfo(zone))
        assert segments(body) == 1
        assert ", expected " in body


moments = st.integers(0, 250 * 10**9).map(
    lambda seconds: datetime.datetime.fromtimestamp(seconds, UTC)
)
short = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(
    st.builds(
        MissingLog,
        **dict.fromkeys(("route", "logs", "expected", "small_key", "at_least"), short),
        deadline=moments,
        since=moments,
        small_size=st.integers(0, 2**62),
    )
)
def test_a_queue_keeps_a_missing_log_as_it_is(log: MissingLog) -> None:
    assert read_missing_log(json.loads(json.dumps(log.fields()))) == log


def test_fields_of_a_later_version_are_ignored_and_of_an_earlier_one_not_needed() -> None:
    fields = missing().fields() | {"colour": "red"}
    for name in ("small_key", "small_size", "at_least"):
        del fields[name]
    assert read_missing_log(fields) == missing()


@pytest.mark.parametrize(
    "changes",
    [
        {"route": 1},
        {"logs": "\ud800"},
        {"deadline": "soon"},
        {"deadline": "2026-11-25T06:30:00"},
        {"since": "9999-12-31T00:00:00+00:00"},
        {"since": None},
        {"small_size": "1 kB"},
        {"small_size": -1},
        {"expected": None},
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError, OverflowError)):
        read_missing_log(missing().fields() | changes)


def test_a_missing_log_is_one_for_each_route_and_deadline() -> None:
    other = datetime.datetime(2026, 11, 26, 6, 30, tzinfo=UTC)
    assert missing().identity == missing(since=other, logs="b/*", expected="").identity
    assert missing().identity != missing(deadline=other).identity
    assert missing().identity != missing(route="other").identity


def test_its_age_counts_from_the_deadline() -> None:
    assert missing().age(missing().deadline.timestamp() + 120) == 120


# Summaries


@given(
    st.lists(st.tuples(names, st.integers(0, 3)), min_size=1, max_size=6),
    st.lists(names.filter(bool), max_size=6),
)
def test_missing_logs_come_first_in_a_summary_of_three_segments_at_most(
    logs: list[tuple[str, int]], keys: list[str]
) -> None:
    lost = [
        missing(logs=logs, route=str(route), deadline=missing().deadline + number * HOUR)
        for number, (logs, route) in enumerate(logs)
    ]
    body = summarize([log_file(key) for key in keys], UTC, missing=lost)
    assert body.startswith("Missing: no ")
    assert segments(body) <= 3
    assert files_in(body) == len(keys)


def test_a_summary_tells_of_each_route_once_and_counts_those_without_room() -> None:
    lost = [
        missing(route=name, logs=f"{name}/*.log", deadline=missing().deadline + day * 24 * HOUR)
        for day in range(2)
        for name in ("backup", "db", "web", "app")
    ]
    body = summarize([log_file("x/a.log")], UTC, missing=lost)
    assert body == (
        "Missing: no backup/*.log since 24 Nov 03:12 UTC, expected by 06:30. "
        "Missing: no db/*.log since 24 Nov 03:12 UTC, expected by 06:30. "
        "Missing: no web/*.log since 24 Nov 03:12 UTC, expected by 06:30. "
        "1 more missing. 1 more log since 23 Nov 14:05 UTC: x/a.log"
    )
