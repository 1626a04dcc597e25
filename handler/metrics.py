"""The metrics of the functions: named once, for them, the dashboard and the alarms.

CloudWatch takes a metric from a line of the log (its embedded metric format), so measuring costs no
call. Every start of a function would import a library for that.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

NAMESPACE = "S3Logs"

STACK = "stack"
"""The dimension of every metric: the project and the stack, such as `s3-logs/dev`."""


ROUTE = "route"
"""A dimension of some metrics, and the field of the log's line with the route's name. A stack
without routes does not have it, since CloudWatch charges for each value of a dimension."""


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: Its name in CloudWatch, and that of its value in the log.
        unit: One of CloudWatch's units.
        dimension: A field of the log's line that is its second dimension.
        is_routed: Whether it has the dimension `ROUTE` as well, in a stack with routes.
    """

    name: str
    unit: str = "Count"
    dimension: str = ""
    is_routed: bool = False


LOG_FILES = Metric("LogFiles")
"""Log files that S3 announced; a duplicate of an event counts again."""

UNROUTED = Metric("LogFilesWithoutRoute")
"""Log files without a text, since they match no route and there are no flat phones."""

DUPLICATES = Metric("Duplicates")
"""Texts that were suppressed, since they had been sent, held or failed before."""

ACCEPTED = Metric("TextsAccepted", is_routed=True)
"""Texts that Twilio accepted."""

SEGMENTS = Metric("Segments")
"""Segments of accepted texts: Twilio charges for each."""

SECONDS_TO_TEXT = Metric("SecondsToText", "Seconds")
"""From the upload to Twilio's acceptance, of a text that was not held."""

HELD = Metric("TextsHeld", dimension="reason", is_routed=True)
"""Texts that were held."""

SECONDS_HELD = Metric("SecondsHeld", "Seconds")
"""From the upload to Twilio's acceptance, of the oldest file of a summary."""

FLUSHES = Metric("Flushes")
"""Flushes that were completed, those in quiet hours included."""

BACKLOG = Metric("Backlog")
"""Messages that a flush took and had to leave on the queue."""

BACKLOG_AGE = Metric("BacklogAge", "Seconds")
"""From the upload to now, of the oldest file that a flush had to leave; 0 if it left none. If it
could not take all, of the oldest that it took."""

FAILED = Metric("TextsFailed", dimension="code")
"""Texts that no retry will help, and events that nobody can read."""

SETTINGS_REFUSED = Metric("SettingsRefused")
"""Refusals by Twilio that last until an operator fixes a setting, here or at Twilio."""

FAILED_OPEN = Metric("ClaimsFailedOpen")
"""Texts for which the table gave no answer: sent without a claim, held, or not recorded."""

UNEXPECTED = Metric("UnexpectedErrors")
"""Exceptions that this program did not foresee: each stopped one text, message or report only."""

DELIVERED = Metric("TextsDelivered")
"""Texts that arrived, as Twilio said later."""

UNDELIVERED = Metric("TextsUndelivered", dimension="code")
"""Texts that Twilio accepted and that did not arrive, as it said later."""

NOTHING_INSIDE = Metric("LogsNothingInside")
"""Log files that some phone was not texted about, since no line had one of the words."""

NOT_READ = Metric("LogsNotRead")
"""Log files that could not be read, or only in part."""

MISSING = Metric("LogsMissing")
"""Deadlines of expected logs that passed without one."""

NOT_CHECKED = Metric("ExpectedLogsNotChecked")
"""Expected logs that the table could not record or look up."""

ALL = (
    LOG_FILES, UNROUTED, DUPLICATES, ACCEPTED, SEGMENTS, SECONDS_TO_TEXT, HELD, SECONDS_HELD,
    FLUSHES, BACKLOG, BACKLOG_AGE, FAILED, SETTINGS_REFUSED, FAILED_OPEN, UNEXPECTED, DELIVERED,
    UNDELIVERED, NOTHING_INSIDE, NOT_READ, MISSING, NOT_CHECKED,
)  # fmt: skip


def embedded(
    values: Mapping[Metric, float], stack: str, *, is_routed: bool = False
) -> dict[str, Any]:
    """Give the fields that make CloudWatch take metrics from a line of the log.

    The other dimensions of a metric must be in the line already, as strings.

    Args:
        values: The metrics.
        stack: The project and the stack: the first dimension.
        is_routed: Whether the line has the field `ROUTE`.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    if not values:
        return {}
    named: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for metric in values:
        others = (metric.dimension, ROUTE if is_routed and metric.is_routed else "")
        named.setdefault(others, []).append({"Name": metric.name, "Unit": metric.unit})
    directives = [
        {
            "Namespace": NAMESPACE,
            "Dimensions": [[STACK], *([STACK, other] for other in others if other)],
            "Metrics": found,
        }
        for others, found in named.items()
    ]
    return {
        STACK: stack,
        **{metric.name: value for metric, value in values.items()},
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directives},
    }
