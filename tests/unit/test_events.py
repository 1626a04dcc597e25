"""Events of any shape are read without loss."""

import datetime
import json
import urllib.parse
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.events import LogFile, Unreadable, read
from simulation.samples import record

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def files(event: object) -> list[LogFile]:
    items = list(read(event))
    assert all(isinstance(item, LogFile) for item in items), items
    return items  # type: ignore[return-value]  # asserted above


@given(keys)
def test_a_key_is_decoded_exactly_once(key: str) -> None:
    encoded = urllib.parse.quote_plus(key)
    assert files({"Records": [record(encoded)]})[0].key == key


def test_a_record_gives_every_part_of_the_log_file() -> None:
    (file,) = files({"Records": [record("app/a+b%2Bc.log", size=1234, versionId="v1")]})
    assert file == LogFile(
        bucket="logs-1a2b3c4",
        key="app/a b+c.log",
        size=1234,
        time=datetime.datetime(2026, 11, 23, 14, 5, 9, 120000, tzinfo=datetime.UTC),
        version="v1",
        sequencer="0A1B2C",
        tag="d41d8cd9",
    )
    assert file.name == "a b+c.log"


def test_every_record_is_read_in_order() -> None:
    event = {"Records": [record(f"{number}.log") for number in range(25)]}
    assert [file.key for file in files(event)] == [f"{number}.log" for number in range(25)]


@pytest.mark.parametrize("version", ["2.0", "2.1", "2.6", "2.97"])
def test_minor_versions_and_unknown_fields_change_nothing(version: str) -> None:
    strange = record("a.log", eventVersion=version, glacierEventData={"new": [1]})
    assert [file.key for file in files({"Records": [strange], "more": {}})] == ["a.log"]


def test_an_event_is_read_from_any_number_of_lambdas_envelopes() -> None:
    event: dict[str, Any] = {"Records": [record("a.log")]}
    for _ in range(3):
        event = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    assert [file.key for file in files(event)] == ["a.log"]


def test_the_test_event_of_s3_holds_no_log_file() -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}
    assert files(event) == []


def event_names() -> list[str]:
    """Return the names, as in notifications, of all events in AWS's model of S3."""
    model = botocore.session.get_session().get_service_model("s3")
    names = [str(name).removeprefix("s3:") for name in model.shape_for("Event").enum]
    return [name for name in names if not name.endswith("*")]


def test_only_object_created_events_of_s3_are_logs() -> None:
    names = event_names()
    logs = [name for name in names if files({"Records": [record("a.log", eventName=name)]})]
    assert logs == [name for name in names if name.startswith("ObjectCreated:")]
    assert len(logs) == 4
    assert len(names) > 20


@pytest.mark.parametrize("name", event_names())
def test_an_event_name_is_read_alike_with_and_without_its_prefix(name: str) -> None:
    """Some of AWS's sample events have the prefix `s3:`."""
    with_prefix, without = (
        files({"Records": [record("a.log", eventName=each)]}) for each in (f"s3:{name}", name)
    )
    assert with_prefix == without


def bridged(kind: object = "Object Created", **described: Any) -> dict[str, Any]:
    """Return EventBridge's form of an event of S3."""
    return {
        "detail-type": kind,
        "source": "aws.s3",
        "time": "2026-11-23T14:05:09Z",
        "detail": {
            "bucket": {"name": "logs-1a2b3c4"},
            "object": {"key": "a.log", "size": 5, "etag": "e", "sequencer": "0A1B2C", **described},
        },
    }


@pytest.mark.parametrize(
    "kind",
    [
        "Object Deleted",
        "Object Restore Initiated",
        "Object Restore Completed",
        "Object Restore Expired",
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
        "Object Storage Class Changed",
        "Object Access Tier Changed",
        "Async Copy Completion",
    ],
)
def test_only_object_created_events_of_eventbridge_hold_a_log_file(kind: str) -> None:
    assert files(bridged()) != []
    assert files(bridged(kind)) == []
    assert files({"requestContext": {}, "requestPayload": bridged(kind)}) == []


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (bridged("Object Eaten"), "its detail-type is not known here"),
        (bridged("AWS API Call via CloudTrail"), "its detail-type is not known here"),
        (bridged(None), "its detail-type is not known here"),
        (bridged([]), "it is not a record of S3's notification"),
        (bridged(key=""), "its bucket or key is missing"),
        (bridged(key=5), "its bucket or key is missing"),
        (bridged() | {"time": "2026"}, "its eventTime is not a time"),
        (bridged(sequencer=7), "it is not a record of S3's notification"),
        ({"source": "aws.s3", "detail": {}}, "it has no detail-type"),
        (bridged() | {"source": "aws.ec2"}, "not an event of S3"),
    ],
)
def test_a_malformed_event_of_eventbridge_is_unreadable(event: dict[str, Any], reason: str) -> None:
    assert list(read(event)) == [Unreadable(reason=reason, record=event)]


def test_s3_and_eventbridge_identify_a_file_alike() -> None:
    def identity(event: dict[str, Any]) -> tuple[object, ...]:
        (file,) = files(event)
        return file.bucket, file.key, file.version, file.sequencer

    def of_s3(**changes: Any) -> dict[str, Any]:
        return {"Records": [record("a.log", **changes)]}

    assert identity(bridged()) == identity(of_s3())
    assert identity(bridged(**{"version-id": "v1"})) == identity(of_s3(versionId="v1"))
    assert identity(bridged(**{"version-id": "null"})) == identity(of_s3())
    assert identity(bridged(**{"version-id": "v1"})) != identity(of_s3())


def test_an_event_of_eventbridge_gives_size_and_etag() -> None:
    (file,) = files(bridged())
    assert file.size == 5
    first, second = (files(bridged(sequencer=None, etag=tag))[0] for tag in ("1", "2"))
    assert first.sequencer != second.sequencer


@pytest.mark.parametrize(
    "time", ["2026-11-23T14:05:09", "2026-11-23T14:05:09Z", "2026-11-23T16:05:09+02:00"]
)
def test_a_time_in_any_zone_is_read_in_utc(time: str) -> None:
    (file,) = files({"Records": [record("a.log", eventTime=time)]})
    assert file.time == datetime.datetime(2026, 11, 23, 14, 5, 9, tzinfo=datetime.UTC)
    assert file.time.tzinfo is datetime.UTC
    assert file.age(file.time.timestamp() + 60) == 60


def test_the_longest_key_of_s3_is_read() -> None:
    assert files({"Records": [record("a" * 1024)]})[0].key == "a" * 1024


def test_an_event_in_ten_thousand_envelopes_is_read() -> None:
    event: dict[str, Any] = {"Records": [record("a.log")]}
    for _ in range(10_000):
        event = {"requestContext": {}, "requestPayload": event}
    assert [file.key for file in files(event)] == ["a.log"]


@pytest.mark.parametrize(
    ("key", "size", "is_folder"),
    [
        ("app/", 0, True),
        ("app/2026/", 0, True),
        ("app/", 1, False),
        ("app/", None, False),
        ("app/a.log", 0, False),
    ],
)
def test_an_empty_object_whose_key_ends_in_a_slash_is_a_folder(
    key: str, size: int | None, is_folder: bool
) -> None:
    assert files({"Records": [record(key, size=size)]})[0].is_folder is is_folder


@pytest.mark.parametrize(
    ("size", "read_as"),
    [
        (0, 0),
        (5 * 10**13, 5 * 10**13),
        (2**63, None),
        (-1, None),
        (True, None),
        ("1", None),
        (1.5, None),
    ],
)
def test_a_size_that_no_object_has_is_unknown(size: object, read_as: int | None) -> None:
    (file,) = files({"Records": [record("a.log", size=size)]})
    assert file.size == read_as


def test_etag_and_time_distinguish_two_writes_without_a_sequencer() -> None:
    first, second = (
        files({"Records": [record("a.log", sequencer=None, eTag=tag)]})[0] for tag in ("1", "2")
    )
    assert first.sequencer != second.sequencer
    assert "2026-11-23T14:05:09.120Z" in first.sequencer


def test_a_missing_size_is_unknown_and_not_zero() -> None:
    assert files({"Records": [record("a.log", size=None)]})[0].size is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (record("a.log", eventVersion="3.0"), "its eventVersion is not 2.x"),
        (record("a.log", eventSource="aws:sqs"), "its eventSource is not aws:s3"),
        (record("a.log", eventTime="yesterday"), "its eventTime is not a time"),
        (
            record("a.log", eventTime="0001-01-01T00:00:00+10:00"),
            "its eventTime is not a time of S3's",
        ),
        (record("a.log", eventTime="9999-12-31T23:00:00Z"), "its eventTime is not a time of S3's"),
        (record("a.log", eventTime="2026-13-01T00:00:00Z"), "its eventTime is not a time"),
        (record("a.log", eventName="ObjectEaten:Whole"), "its eventName is not known here"),
        (record("a.log", eventName="ObjectCreated"), "its eventName is not known here"),
        (record("a.log", eventName="s3:ObjectEaten:Whole"), "its eventName is not known here"),
        (record("a.log", eventName=["Put"]), "it is not a record of S3's notification"),
        (record("a.log", versionId=["v1"]), "it is not a record of S3's notification"),
        (record("a.log", sequencer={"a": 1}), "it is not a record of S3's notification"),
        (record("a.log", eTag=5), "it is not a record of S3's notification"),
        (record("a.log", eventTime=5), "it is not a record of S3's notification"),
        (record("a" * 1025), "its bucket or key is not a name"),
        (record("a.log", sequencer="0" * 1025), "its version, sequencer or eTag is not a name"),
        (record("\ud800.log"), "its bucket or key is not a name"),
        (record(""), "its bucket or key is missing"),
        ({"eventSource": "aws:s3"}, "it has no eventVersion"),
        ("nonsense", "it is not a record of S3's notification"),
    ],
)
def test_a_broken_record_is_reported_and_stops_no_other(broken: object, reason: str) -> None:
    event = {"Records": [record("a.log"), broken, record("b.log")]}
    before, wrong, after = read(event)
    assert isinstance(before, LogFile)
    assert isinstance(after, LogFile)
    assert wrong == Unreadable(reason=reason, record=broken)


@given(anything)
def test_every_event_is_read_ignored_or_unreadable(event: object) -> None:
    items = list(read(event))
    silent = isinstance(event, dict) and (event.get("Records") == [] or "Event" in event)
    assert silent or items


@given(st.lists(anything | st.just(record("a.log")), max_size=5))
def test_every_record_is_either_a_log_file_or_unreadable(records: list[Any]) -> None:
    items = list(read({"Records": records}))
    assert len(items) == len(records)


@given(anything)
def test_a_reason_repeats_nothing_of_the_record(value: object) -> None:
    hostile = record("a.log", eventTime=value, eventVersion=value)
    for item in read({"Records": [hostile]}):
        if isinstance(item, Unreadable):
            assert len(item.reason) < 60
            assert json.dumps(value)[:20] not in item.reason or len(json.dumps(value)) < 4
