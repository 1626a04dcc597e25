"""The alarms and the dashboard: an alarm is mailed when texts do not go out, and only then."""

import itertools
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from handler import metrics
from infra.alarms import MAX_HELD_SECONDS, MISSING_FLUSHES
from infra.dashboard import COLUMNS
from infra.function import TIMEOUT_SECONDS
from stack import ROOT
from tests.unit import cloudwatch
from tests.unit.recorded import ACCOUNT, SETTINGS, Recorded, Resource, record

STACK = "s3-logs/test"
OF_AWS = {
    "AWS/Lambda": {"DestinationDeliveryFailures", "Duration", "Errors", "Throttles"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
}
FAILED = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")

Found = Mapping[tuple[str, str], float]  # namespace and metric, with the value in each period


def in_namespace(metric: metrics.Metric) -> tuple[str, str]:
    return metrics.NAMESPACE, metric.name


HEALTHY: Found = {
    in_namespace(metrics.FLUSHES): 1,
    in_namespace(metrics.BACKLOG): 0,
    in_namespace(metrics.BACKLOG_AGE): 0,
}
BUSY: Found = {
    **HEALTHY,
    FAILED: 0,
    in_namespace(metrics.ACCEPTED): 30,
    in_namespace(metrics.SEGMENTS): 900,
    in_namespace(metrics.HELD): 1000,
    in_namespace(metrics.DUPLICATES): 3,
    in_namespace(metrics.BACKLOG_AGE): MAX_HELD_SECONDS,
    ("AWS/Lambda", "Errors"): 0,
    ("AWS/Lambda", "Throttles"): 0,
}


@pytest.fixture(scope="module")
def program() -> Recorded:
    changes = {"alarmEmail": "on-call@example.com", "expect": "by 06:30", "contains": "ERROR"}
    return record({**SETTINGS, **changes})


def named(program: Recorded) -> dict[str, Resource]:
    return {one.name.removeprefix("s3-logs-test-"): one for one in program.of_type("MetricAlarm")}


def state(alarm: Resource, found: Found) -> str:
    """Return an alarm's state if each period has the same data."""
    inputs = alarm.inputs
    value = found.get((inputs["namespace"], inputs["metricName"]))
    length = int(inputs["period"]) // 60
    minutes = length * int(inputs["evaluationPeriods"])
    samples = [] if value is None else [(at, value) for at in range(0, minutes, length)]
    return cloudwatch.states(inputs, samples, minutes=minutes)[-1]


def alarms_mailed(program: Recorded, found: Found) -> set[str]:
    """Return the alarms that are mailed if these data follow healthy ones."""
    on = set()
    for name, alarm in named(program).items():
        before, now = state(alarm, HEALTHY), state(alarm, found)
        actions = {
            "OK": alarm.inputs.get("okActions"),
            "ALARM": alarm.inputs["alarmActions"],
            "INSUFFICIENT_DATA": alarm.inputs["insufficientDataActions"],
        }
        if now != before and actions[now]:
            on.add(name)
    return on


@pytest.mark.parametrize("found", [HEALTHY, BUSY], ids=["no traffic", "traffic"])
def test_a_healthy_stack_raises_no_alarm(program: Recorded, found: Found) -> None:
    assert {state(alarm, found) for alarm in named(program).values()} == {"OK"}
    assert alarms_mailed(program, found) == set()


def test_a_new_stack_raises_no_alarm(program: Recorded) -> None:
    """A new alarm has no data. CloudWatch mails only changes of its state."""
    states = {name: state(alarm, {}) for name, alarm in named(program).items()}
    assert states.pop("flush-missing") == "INSUFFICIENT_DATA"
    assert set(states.values()) == {"OK"}


@pytest.mark.parametrize(
    ("metric", "value", "alarm"),
    [
        (FAILED, 1, {"failed"}),
        (in_namespace(metrics.BACKLOG_AGE), MAX_HELD_SECONDS + 1, {"held-too-old"}),
        (in_namespace(metrics.SETTINGS_REFUSED), 1, {"settings-refused"}),
        (in_namespace(metrics.UNDELIVERED), 1, {"undelivered"}),
        (("AWS/Lambda", "Errors"), 1, {"notify-errors", "flush-errors"}),
        (("AWS/Lambda", "DestinationDeliveryFailures"), 1, {"notify-lost"}),
        (("AWS/Lambda", "Throttles"), 1, {"notify-throttled"}),
        (in_namespace(metrics.FLUSHES), None, {"flush-missing"}),
        (in_namespace(metrics.FAILED_OPEN), 1, {"claims-failing-open"}),
        (in_namespace(metrics.UNEXPECTED), 1, {"unexpected"}),
        (in_namespace(metrics.SEGMENTS), 1001, {"segments"}),
    ],
)
def test_each_metric_raises_exactly_its_alarms(
    program: Recorded, metric: tuple[str, str], value: float | None, alarm: set[str]
) -> None:
    found = {key: one for key, one in {**HEALTHY, metric: value}.items() if one is not None}
    assert alarms_mailed(program, found) == alarm


def test_every_alarm_has_a_test(program: Recorded) -> None:
    assert named(program).keys() == {
        "failed", "held-too-old", "settings-refused", "undelivered", "notify-errors",
        "notify-lost", "notify-throttled", "flush-errors", "flush-missing", "claims-failing-open",
        "unexpected", "segments",
    }  # fmt: skip


def test_alarms_are_about_this_stack_only(program: Recorded) -> None:
    names = {"notify-1a2b3c4", "flush-1a2b3c4", "texts-failed-1a2b3c4", STACK}
    for alarm in named(program).values():
        (value,) = alarm.inputs["dimensions"].values()
        assert value in names


def test_an_alarms_description_links_to_a_section_of_the_guide(program: Recorded) -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    sections = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
    for alarm in named(program).values():
        description = alarm.inputs["alarmDescription"]
        commands = r"First run (make|pulumi) .+: it .+\."
        assert re.match(
            rf"{STACK}: [A-Z].+\. [A-Z].+\. {commands} See docs/operations\.md#", description
        )
        assert description.rpartition("#")[2] in sections
        assert len(description) <= 1024


def test_each_command_in_an_alarms_description_names_its_stack() -> None:
    asked = record({**SETTINGS, "alarmEmail": "on-call@example.com"}, stack_name="prod")
    descriptions = [alarm.inputs["alarmDescription"] for alarm in named(asked).values()]
    commands = [
        one for text in descriptions for one in re.findall(r"(?:make|pulumi) [a-z][^,;.&]*", text)
    ]
    assert len(commands) > 8
    for text in descriptions:  # a setting takes effect with the next deployment
        assert ("config set" in text) == (" 10 && pulumi up --stack prod." in text)
    for command in commands:
        assert re.match(r"make \w+ STACK=prod\b|pulumi [a-z ]+ --stack prod\b", command), command


def test_alarms_go_to_a_topic_that_only_cloudwatch_of_this_account_may_publish_to(
    program: Recorded,
) -> None:
    (statement,) = program.the("TopicPolicy").policy()
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == "sns:Publish"
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    for alarm in named(program).values():
        assert alarm.inputs["alarmActions"] == [statement["Resource"]]


def test_the_mail_goes_to_the_address_that_is_set(program: Recorded) -> None:
    subscription = program.the("TopicSubscription").inputs
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "on-call@example.com")
    assert record().of_type("TopicSubscription") == []


@pytest.mark.parametrize("minutes", [1, 5, 60, 1440])
def test_cloudwatch_accepts_the_periods(minutes: int) -> None:
    """Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html"""
    asked = record({**SETTINGS, "flushMinutes": str(minutes), "maxSegmentsPerDay": "7"})
    for alarm in named(asked).values():
        period = alarm.inputs["period"]
        whole = period * alarm.inputs["evaluationPeriods"]
        assert period % 60 == 0
        assert whole <= (7 * 86400 if period >= 3600 else 86400)
    silent = named(asked)["flush-missing"].inputs
    assert silent["period"] >= minutes * 60
    assert silent["evaluationPeriods"] == MISSING_FLUSHES
    assert named(asked)["segments"].inputs["threshold"] == 7


# Alarms over time, for each minute in which CloudWatch may begin its periods


def offsets(alarm: Resource) -> range:
    """Return the minutes in which periods may begin."""
    return range(int(alarm.inputs["period"]) // 60)


@pytest.mark.parametrize("seconds", [0, 1, TIMEOUT_SECONDS])
def test_an_event_that_fails_each_time_raises_one_alarm(program: Recorded, seconds: int) -> None:
    """Lambda tries again one minute after the first failure, and two after the second.

    It counts a failure in the period in which the run began.
    """
    alarm = named(program)["notify-errors"]
    second = seconds / 60 + 1
    third = second + seconds / 60 + 2
    for begun in range(10):
        errors = [(5 + begun / 10 + at, 1) for at in (0, second, third)]
        for offset in offsets(alarm):
            assert cloudwatch.mails(alarm.inputs, errors, minutes=60, offset=offset) == 1


def test_an_event_whose_second_try_succeeds_raises_no_alarm(program: Recorded) -> None:
    alarm = named(program)["notify-errors"]
    tries: list[cloudwatch.Sample] = [(5, 1), (6, 0), (20, 1), (21, 0)]
    for offset in offsets(alarm):
        assert cloudwatch.mails(alarm.inputs, tries, minutes=60, offset=offset) == 0


def test_one_bad_sample_raises_one_alarm_wherever_a_period_begins(program: Recorded) -> None:
    """Only the skipped alarms count several samples, which periods could split."""
    for name, alarm in named(program).items():
        if name in {"notify-errors", "flush-missing", "segments"}:
            continue
        bad = [(30.0, alarm.inputs["threshold"] + 1)]
        for offset in offsets(alarm):
            assert cloudwatch.mails(alarm.inputs, bad, minutes=60, offset=offset) == 1, name


def test_a_queue_that_sends_no_metrics_raises_no_alarm_until_it_does(
    program: Recorded,
) -> None:
    """SQS sends metrics every minute, but stops when a queue was idle for six hours."""
    alarm = named(program)["failed"]
    empty = [(float(minute), 0.0) for minute in range(6 * 60)]
    woken = [(24 * 60.0 + minute, 1.0) for minute in range(6 * 60)]
    again = [(48 * 60.0 + minute, 2.0) for minute in range(6 * 60)]
    for offset in offsets(alarm):
        counts = [
            cloudwatch.mails(alarm.inputs, samples, minutes=72 * 60, offset=offset)
            for samples in ([], empty, empty + woken, empty + woken + again)
        ]
        assert counts == [0, 0, 1, 2]


@pytest.mark.parametrize("minutes", [1, 5, 7, 60])
def test_missing_flushes_are_mailed_once_and_late_flushes_are_not(minutes: int) -> None:
    alarm = named(record({**SETTINGS, "flushMinutes": str(minutes)}))["flush-missing"]
    late = [number * minutes + (number % 2) * minutes * 0.9 for number in range(-20, 20)]
    flushes: list[cloudwatch.Sample] = [(at, 1) for at in late]
    for offset in offsets(alarm):
        outcomes = int(late[-1])
        assert cloudwatch.mails(alarm.inputs, flushes, minutes=outcomes, offset=offset) == 0
        silent = outcomes + int(alarm.inputs["period"]) // 60 * (MISSING_FLUSHES + 2)
        assert cloudwatch.mails(alarm.inputs, flushes, minutes=silent, offset=offset) == 1


@pytest.mark.parametrize("minutes", [1, 5, 7, 60])
@pytest.mark.parametrize("name", ["held-too-old", "settings-refused", "flush-errors"])
def test_trouble_in_each_flush_raises_one_alarm(minutes: int, name: str) -> None:
    alarm = named(record({**SETTINGS, "flushMinutes": str(minutes)}))[name]
    bad = alarm.inputs["threshold"] + 1
    late = [number * minutes + (number % 2) * minutes * 0.9 for number in range(20)]
    flushes = [(at, bad) for at in late]
    for offset in offsets(alarm):
        assert cloudwatch.mails(alarm.inputs, flushes, minutes=int(late[-1]), offset=offset) == 1


def test_too_many_segments_in_a_day_are_mailed_once(program: Recorded) -> None:
    alarm, day = named(program)["segments"], 24 * 60
    flood: list[cloudwatch.Sample] = [(day + minute, 1) for minute in range(1001)]
    calm = [(at, 1.0) for at, _ in flood[:-1]]
    assert cloudwatch.mails(alarm.inputs, flood, minutes=3 * day) == 1
    assert cloudwatch.mails(alarm.inputs, calm, minutes=3 * day) == 0


# The dashboard


@pytest.fixture(scope="module")
def widgets(program: Recorded) -> list[dict[str, Any]]:
    dashboard = program.the("Dashboard").inputs
    assert dashboard["dashboardName"] == "s3-logs-test-eu-central-1"
    found = json.loads(dashboard["dashboardBody"])["widgets"]
    assert isinstance(found, list)
    return found


def shown(widgets: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the metrics that a dashboard shows."""
    found = set()
    for line in itertools.chain(*(one["properties"].get("metrics", []) for one in widgets)):
        if isinstance(line[0], dict):
            search = re.search(r"\{(\w+),[\w,]+\} MetricName=\"(\w+)\"", line[0]["expression"])
            assert search
            found.add((search[1], search[2]))
        else:
            found.add((line[0], line[1]))
    return found


def test_no_widget_overlaps_another_or_the_edge(widgets: list[dict[str, Any]]) -> None:
    for one in widgets:
        assert 0 <= one["x"] < one["x"] + one["width"] <= COLUMNS
        assert 1 <= one["height"] <= 1000
    for one, other in itertools.combinations(widgets, 2):
        assert (
            one["x"] + one["width"] <= other["x"]
            or other["x"] + other["width"] <= one["x"]
            or one["y"] + one["height"] <= other["y"]
            or other["y"] + other["height"] <= one["y"]
        )


def test_every_metric_that_is_shown_or_watched_is_measured(
    program: Recorded, widgets: list[dict[str, Any]]
) -> None:
    known = {in_namespace(metric) for metric in metrics.ALL}
    known |= {(namespace, name) for namespace, names in OF_AWS.items() for name in names}
    watched = {
        (one.inputs["namespace"], one.inputs["metricName"]) for one in named(program).values()
    }
    assert shown(widgets) | watched <= known


def test_every_metric_that_is_measured_is_shown(widgets: list[dict[str, Any]]) -> None:
    only_with_routes = {in_namespace(metrics.UNROUTED)}
    assert {in_namespace(metric) for metric in metrics.ALL} - only_with_routes <= shown(widgets)


def test_a_metric_is_searched_by_the_dimensions_it_is_measured_with(
    widgets: list[dict[str, Any]],
) -> None:
    whole = json.dumps(widgets)
    for metric in metrics.ALL:
        if metric.dimension:
            assert f"{{{metrics.NAMESPACE},{metrics.STACK},{metric.dimension}}}" in whole


def test_the_dashboard_shows_texts_and_held_per_route_where_there_are_routes(
    program: Recorded, widgets: list[dict[str, Any]]
) -> None:
    routes = [{"name": "payments", "logs": "payments/*", "toNumbers": "+15005550109"}]
    changes = {"expect": "by 06:30", "contains": "ERROR", "routes": json.dumps(routes)}
    asked = record({**SETTINGS, **changes})
    body = asked.the("Dashboard").inputs["dashboardBody"]
    found = json.loads(body)["widgets"]
    searched = f"{{{metrics.NAMESPACE},{metrics.STACK},{metrics.ROUTE}}}"
    added = [one for one in found if searched in json.dumps(one)]
    assert [one["properties"]["title"] for one in added] == ["Texts, by route", "Held, by route"]
    wanted = {metrics.UNROUTED, *(metric for metric in metrics.ALL if metric.is_routed)}
    assert shown(added) == {in_namespace(metric) for metric in wanted}
    assert searched not in json.dumps(widgets)
    assert len(found) == len(widgets) + len(added)
    assert "5550109" not in body
    test_no_widget_overlaps_another_or_the_edge(found)


def test_the_dashboard_shows_all_alarms_and_the_lines_of_both_functions(
    program: Recorded, widgets: list[dict[str, Any]]
) -> None:
    (alarms,) = (one for one in widgets if one["type"] == "alarm")
    assert len(alarms["properties"]["alarms"]) == len(named(program))
    for lines in (one for one in widgets if one["type"] == "log"):
        for function in ("notify", "flush"):
            assert f"SOURCE '/aws/lambda/{function}-1a2b3c4'" in lines["properties"]["query"]


def test_the_dashboard_shows_expected_logs_and_logs_that_are_read_where_there_are_any(
    widgets: list[dict[str, Any]],
) -> None:
    titles = [one["properties"]["title"] for one in widgets]
    assert {"Expected logs", "Logs with nothing inside", "Logs not read"} <= set(titles)
    (dashboard,) = (one.inputs for one in record(SETTINGS).of_type("Dashboard"))
    assert "Expected logs" not in dashboard["dashboardBody"]
    assert "nothing inside" not in dashboard["dashboardBody"]


def test_cloudwatch_accepts_the_dashboard(widgets: list[dict[str, Any]]) -> None:
    """Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"""
    assert len(widgets) <= 500
    for one in widgets:
        assert one["type"] in {"metric", "alarm", "log"}
        if one["type"] != "alarm":
            assert one["properties"]["region"] == "eu-central-1"
        assert len(one["properties"].get("metrics", [])) <= 500
        assert one["properties"]["title"]
