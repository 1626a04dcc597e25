"""A model of CloudWatch's alarms: it turns a series of samples into states."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Sample = tuple[float, float]
"""The time of a measurement, in minutes, and its value."""


def states(
    alarm: Mapping[str, Any], samples: Sequence[Sample], *, minutes: int, offset: int = 0
) -> list[str]:
    """Return an alarm's state at the end of each of its periods.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

    Args:
        alarm: The inputs of the alarm.
        samples: The measurements.
        minutes: The length of the time to evaluate.
        offset: The minute in which the periods begin. CloudWatch does not promise one.
    """
    length = int(alarm["period"]) // 60
    combined: Callable[[list[float]], float] = sum if alarm["statistic"] == "Sum" else max
    count = int(alarm["evaluationPeriods"])
    begin = offset - count * length
    found: dict[int, list[float]] = {}
    for at, value in samples:
        found.setdefault(int((at - begin) // length), []).append(value)
    periods = [
        combined(found[number]) if number in found else None
        for number in range(math.ceil((minutes - begin) / length))
    ]
    outcomes = range(count, len(periods) + 1)
    return [_state(alarm, periods[end - count : end]) for end in outcomes]


def mails(
    alarm: Mapping[str, Any], samples: Sequence[Sample], *, minutes: int, offset: int = 0
) -> int:
    """Return the number of mails of an alarm that starts healthy; see `states`."""
    actions = {
        "ALARM": alarm["alarmActions"],
        "INSUFFICIENT_DATA": alarm["insufficientDataActions"],
    }
    before, count = "OK", 0
    for state in states(alarm, samples, minutes=minutes, offset=offset):
        count += state != before and bool(actions.get(state))
        before = state
    return count


_WITHOUT_DATA = {"missing": "INSUFFICIENT_DATA", "notBreaching": "OK", "breaching": "ALARM"}


def _state(alarm: Mapping[str, Any], periods: Sequence[float | None]) -> str:
    if all(value is None for value in periods):
        return _WITHOUT_DATA[alarm["treatMissingData"]]
    bad = sum(
        alarm["treatMissingData"] == "breaching" if value is None else _is_bad(alarm, value)
        for value in periods
    )
    return "ALARM" if bad >= alarm["datapointsToAlarm"] else "OK"


def _is_bad(alarm: Mapping[str, Any], value: float) -> bool:
    threshold = alarm["threshold"]
    return bool(
        {"GreaterThanThreshold": value > threshold, "LessThanThreshold": value < threshold}[
            alarm["comparisonOperator"]
        ]
    )
