"""The log lines have every metric, in the format that CloudWatch reads."""

import json
from typing import Any

import jsonschema
import pytest

from handler import metrics
from handler.log import Log
from handler.queues import VISIBILITY_SECONDS
from handler.refusals import NO_CONNECTION, refusal
from handler.sender import Delivery
from simulation.samples import PHONE, record, route
from simulation.world import World

# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
EMBEDDED = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "minItems": 1,
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1},
                                        "Unit": {"enum": ["Seconds", "Count"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


def what_nobody_foresaw(_phone: str) -> None:
    """Raise an error that the handler does not expect."""
    raise RuntimeError


def whatever_happens() -> None:
    """Cause every metric at least once."""
    World(to_numbers=(), routes=(route("one", "one/*", PHONE),)).notify(record("a.log"))
    world = World(to_numbers=(PHONE,), max_texts_per_hour=1)
    world.notify(record("a.log"), record("a.log"), record("b.log"), {"no": "record"})
    world.flush()
    world.now += 3600
    world.refuses = lambda _: refusal(401, 20003)
    world.notify(record("c.log"))
    world.flush()
    world.now += VISIBILITY_SECONDS + 1
    world.refuses = lambda _: refusal(400, 21610)
    world.flush()
    world.end_outages()
    world.down.add("dynamodb")
    world.notify(record("d.log"))
    world.end_outages()
    world.now += 3600
    world.refuses = what_nobody_foresaw
    world.notify(record("e.log"))
    world.end_outages()
    world.now += 3 * 3600  # the delay before the next query of a report
    first, second = (f"SM{number:032x}" for number in (1, 2))
    world.deliveries[first] = Delivery(status="delivered")
    world.deliveries[second] = Delivery(status="undelivered", code=30007)
    world.flush()
    inside = World(contains="ERROR")
    inside.objects["fine.log"] = b"all is well"
    inside.notify(record("fine.log"), record("gone.log"))
    expecting = World(expect="every 1h")
    expecting.flush()
    expecting.now += 3 * 3600
    expecting.flush()
    expecting.down.add("dynamodb")
    expecting.flush()


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    whatever_happens()
    printed = capsys.readouterr().out.splitlines()
    return [line for line in map(json.loads, printed) if "_aws" in line]


def test_every_metric_is_measured_with_its_unit_and_dimensions(lines: list[dict[str, Any]]) -> None:
    found = {}
    for line in lines:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == metrics.NAMESPACE
            for metric in directive["Metrics"]:
                found[metric["Name"]] = (metric["Unit"], directive["Dimensions"])
    assert found == {
        metric.name: (
            metric.unit,
            [["stack"], ["stack", metric.dimension]] if metric.dimension else [["stack"]],
        )
        for metric in metrics.ALL
    }


def test_every_line_with_metrics_has_the_form_that_cloudwatch_reads(
    lines: list[dict[str, Any]],
) -> None:
    for line in lines:
        jsonschema.validate(line, EMBEDDED)
        for directive in line["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                assert isinstance(line[metric["Name"]], int | float)
            for dimension in (one for some in directive["Dimensions"] for one in some):
                assert isinstance(line[dimension], str)


def test_a_backlog_is_as_old_as_the_oldest_file_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.notify(record("a.log", eventTime="2026-11-23T13:05:09Z"), record("b.log"))
    world.refuses = lambda _: NO_CONNECTION
    world.flush()
    world.end_outages()
    world.now += VISIBILITY_SECONDS + 1
    world.flush()
    flushed = [json.loads(one) for one in capsys.readouterr().out.splitlines() if "flushed" in one]
    assert [(line["Backlog"], line["BacklogAge"]) for line in flushed] == [(2, 3601), (0, 0)]


def test_a_decision_without_metrics_logs_none(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(to_numbers=())
    world.held.put(json.dumps({"Event": "s3:TestEvent"}))
    world.notify({**record("a.log"), "eventName": "ObjectRemoved:Delete"})
    assert "_aws" not in capsys.readouterr().out


def test_a_text_of_a_route_is_measured_for_the_route_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = Log("s3-logs/test")
    measured = {metrics.HELD: 1.0, metrics.ACCEPTED: 1.0, metrics.SEGMENTS: 1.0}
    log.decision("held", measured=measured, reason="digest", route="payments")
    log.decision("held", measured=measured, reason="digest")
    routed, plain = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert dimensions(routed) == {
        "TextsHeld": [["stack"], ["stack", "reason"], ["stack", "route"]],
        "TextsAccepted": [["stack"], ["stack", "route"]],
        "Segments": [["stack"]],
    }
    assert dimensions(plain) == {
        "TextsHeld": [["stack"], ["stack", "reason"]],
        "TextsAccepted": [["stack"]],
        "Segments": [["stack"]],
    }


def dimensions(line: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Return the dimensions of each metric in a line."""
    return {
        metric["Name"]: directive["Dimensions"]
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
