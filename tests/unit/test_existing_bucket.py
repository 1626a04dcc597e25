"""An existing bucket of another program: the stack changes nothing of it and texts its logs."""

import datetime
import json
import re
import string
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.events import LogFile, Unreadable, read
from infra.existing_bucket import pattern
from simulation.samples import PHONE, record
from simulation.world import World
from stack.queues import describe
from tests.unit.recorded import SETTINGS, Recorded
from tests.unit.recorded import record as run

BUCKET = "their-logs"


@pytest.fixture(scope="module")
def program() -> Recorded:
    return run({**SETTINGS, "existingBucket": BUCKET, "filterPrefix": "app/"})


def test_no_resource_of_s3_is_declared(program: Recorded) -> None:
    assert not [one.type for one in program.resources if one.type.startswith("aws:s3")]
    assert program.outputs["bucket"] == BUCKET


def test_only_the_rule_of_eventbridge_may_call_the_function(program: Recorded) -> None:
    rule, target = program.the("EventRule"), program.the("EventTarget")
    assert json.loads(rule.inputs["eventPattern"]) == {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"bucket": {"name": [BUCKET]}, "object": {"key": [{"wildcard": "app/*.log"}]}},
    }
    permission = program.the("Permission")
    assert permission.inputs["principal"] == "events.amazonaws.com"
    assert permission.inputs["sourceArn"].endswith(":notify-1a2b3c4")
    assert target.inputs["arn"].endswith(":notify-1a2b3c4")
    assert permission.urn in program.after(target)


def test_an_event_that_eventbridge_cannot_deliver_goes_to_the_failed_queue(
    program: Recorded,
) -> None:
    target, permission = program.the("EventTarget"), program.the("QueuePolicy")
    failed = target.inputs["deadLetterConfig"]["arn"]
    assert failed.endswith(":texts-failed-1a2b3c4")
    assert permission.urn in program.after(target)
    (statement,) = json.loads(permission.inputs["policy"])["Statement"]
    assert statement["Action"] == "sqs:SendMessage"
    assert statement["Resource"] == failed
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"]["ArnEquals"]["aws:SourceArn"].endswith(":notify-1a2b3c4")


def test_an_operator_sees_the_event_that_eventbridge_gave_up_on() -> None:
    assert describe(json.dumps(event("a.log"))) == ("EventBridge gave up on it", "a.log")


def matches(wildcard: str, key: str) -> bool:
    """Return whether a key matches. `*` matches anything; a backslash escapes a character."""
    parts = re.findall(r"\\(.)|(\*)|(.)", wildcard)
    meant = [
        ".*" if anything else re.escape(escaped or plain) for escaped, anything, plain in parts
    ]
    return re.fullmatch("".join(meant), key, re.DOTALL) is not None


ENDS = st.text(alphabet=string.ascii_letters + "/.*\\ +é", max_size=6)


@given(prefix=ENDS, suffixes=st.lists(ENDS, min_size=1, max_size=3), middle=ENDS, end=ENDS)
def test_the_filters_match_the_keys_that_they_match_in_s3(
    prefix: str, suffixes: list[str], middle: str, end: str
) -> None:
    found = pattern(BUCKET, prefix, suffixes)["detail"].get("object")
    if not prefix and "" in suffixes:
        assert found is None
        return
    wildcards = [one["wildcard"] for one in found["key"]]
    for suffix in suffixes:
        assert any(matches(wildcard, prefix + middle + suffix) for wildcard in wildcards)
    key = middle + end
    if any(matches(wildcard, key) for wildcard in wildcards):
        assert key.startswith(prefix)
        assert key.endswith(tuple(suffixes))


def test_each_suffix_is_a_wildcard_of_the_rule() -> None:
    changed = {"existingBucket": BUCKET, "filterPrefix": "app/", "filterSuffix": ".log,.log.gz"}
    found = json.loads(run({**SETTINGS, **changed}).the("EventRule").inputs["eventPattern"])
    assert found["detail"]["object"] == {
        "key": [{"wildcard": "app/*.log"}, {"wildcard": "app/*.log.gz"}]
    }


# EventBridge's events


def event(key: str = "my logs/a+b%2F.log", **changes: Any) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "123456789012",
        "time": "2026-11-23T14:05:09Z",
        "region": "eu-central-1",
        "resources": [f"arn:aws:s3:::{BUCKET}"],
        "detail": {
            "version": "0",
            "bucket": {"name": BUCKET},
            "object": {"key": key, "size": 5, "etag": "b1946ac9", "sequencer": "00617F08"},
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            "reason": "PutObject",
        }
        | changes,
    }


def test_the_key_in_an_event_of_eventbridge_is_not_decoded() -> None:
    (file,) = read(event())
    assert file == LogFile(
        bucket=BUCKET,
        key="my logs/a+b%2F.log",
        size=5,
        time=datetime.datetime(2026, 11, 23, 14, 5, 9, tzinfo=datetime.UTC),
        sequencer="00617F08",
        tag="b1946ac9",
    )


def test_an_event_that_lambda_gave_up_on_is_read_in_its_envelope() -> None:
    (file,) = read({"requestContext": {}, "requestPayload": event("a.log")})
    assert isinstance(file, LogFile)
    assert file.key == "a.log"


@pytest.mark.parametrize("broken", [{"object": {}}, {"bucket": {}}, {"object": {"key": 1}}])
def test_an_unreadable_event_is_kept_unchanged(broken: dict[str, Any]) -> None:
    (item,) = read(event(**broken))
    assert isinstance(item, Unreadable)
    assert item.record == event(**broken)


def test_an_event_that_failed_as_unreadable_is_texted_after_a_redrive_once_it_can_be_read() -> None:
    world = World(to_numbers=(PHONE,))
    world.failed.put(json.dumps({"unreadable": event("a.log"), "reason": "not an event"}))
    world.redrive()
    world.flush()
    assert ["a.log" in body for _, _, body in world.texts] == [True]


def test_an_upload_that_s3_and_eventbridge_both_report_is_texted_once() -> None:
    world = World(to_numbers=(PHONE,))
    world.notify(record("a.log"))
    bridged = event("a.log", bucket={"name": "logs-1a2b3c4"})
    bridged["detail"]["object"]["sequencer"] = "0A1B2C"
    world.notifier.notify(bridged, lambda: 60.0)
    assert len(world.texts) == 1


# Settings


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"existingBucket": "s3://their-logs"},
            "pulumi config set --stack test existingBucket their-logs",
        ),
        (
            {"existingBucket": BUCKET, "expireLogsAfterDays": "3"},
            "pulumi config set --stack test expireLogsAfterDays 0",
        ),
        ({"existingBucket": BUCKET, "forceDestroy": "true"}, "never changes an existing bucket"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(
    settings: dict[str, str], expected: str
) -> None:
    with pytest.raises(pulumi.RunError, match=expected.replace("(", r"\(")):
        run({**SETTINGS, **settings})
