"""The dashboard: the journey of a log from left to right, then times, reasons, cost and errors."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from handler import metrics
from handler.metrics import Metric

COLUMNS = 24
"""The width of a dashboard.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

Widget = dict[str, Any]

EXPECTED_QUERY = (
    "filter outcome = 'expected' | stats latest(state) as state, latest(last) as last_log, "
    "latest(deadline) as next_deadline, latest(expect) as expected by route | sort route"
)

DECISIONS_QUERY = (
    "fields @timestamp, outcome, key, phone, reason, code, meaning "
    "| filter ispresent(outcome) and outcome not in ['seen', 'expected'] "
    "| sort @timestamp desc | limit 50"
)


def body(
    *,
    stack: str,
    region: pulumi.Input[str],
    functions: Mapping[str, pulumi.Input[str]],
    log_groups: Sequence[pulumi.Input[str]],
    queues: Mapping[str, pulumi.Input[str]],
    alarms: Sequence[pulumi.Input[str]],
    max_segments_per_day: int,
    has_routes: bool = False,
    expects_logs: bool = False,
    looks_inside: bool = False,
) -> dict[str, Any]:
    """Return the dashboard of a stack.

    Args:
        stack: The project and the stack, as in the metrics' dimension.
        region: The stack's region.
        functions: The names of the functions, by their labels.
        log_groups: The names of their log groups.
        queues: The names of the queues, by their labels.
        alarms: The ARNs of the alarms.
        max_segments_per_day: The line that the segments should stay below.
        has_routes: Whether the stack has routes, and so metrics of each.
        expects_logs: Whether any log is expected.
        looks_inside: Whether `notify` reads any log.
    """

    def own(metric: Metric, statistic: str = "Sum", **options: Any) -> list[Any]:
        return [
            *(metrics.NAMESPACE, metric.name, metrics.STACK, stack),
            {"stat": statistic, **options},
        ]

    def by_dimension(metric: Metric, dimension: str = "") -> list[Any]:
        dimension = dimension or metric.dimension
        search = (
            f"SEARCH('{{{metrics.NAMESPACE},{metrics.STACK},{dimension}}} "
            f'MetricName="{metric.name}" {metrics.STACK}="{stack}"\', \'Sum\', 300)'
        )
        return [{"expression": search, "label": f"{metric.name} ${{PROP('Dim.{dimension}')}}"}]

    def graph(title: str, *lines: list[Any], **options: Any) -> Widget:
        return {
            "type": "metric",
            "properties": {
                "title": title,
                "metrics": list(lines),
                "region": region,
                "period": 300,
                **options,
            },
        }

    def single_value(title: str, line: list[Any]) -> Widget:
        return graph(title, line, view="singleValue", setPeriodToTimeRange=True, sparkline=True)

    def of_functions(metric: str, statistic: str = "Sum") -> list[list[Any]]:
        return [
            ["AWS/Lambda", metric, "FunctionName", name, {"stat": statistic, "label": label}]
            for label, name in functions.items()
        ]

    def of_queues(metric: str) -> list[list[Any]]:
        return [
            ["AWS/SQS", metric, "QueueName", name, {"stat": "Maximum", "label": label}]
            for label, name in queues.items()
        ]

    sources = pulumi.Output.all(*log_groups).apply(
        lambda names: " | ".join(f"SOURCE '{name}'" for name in names)
    )
    of_routes = [
        graph(
            "Texts, by route",
            by_dimension(metrics.ACCEPTED, metrics.ROUTE),
            own(metrics.UNROUTED, label="logs that match no route"),
            stacked=True,
        ),
        graph("Held, by route", by_dimension(metrics.HELD, metrics.ROUTE), stacked=True),
    ]

    def table(title: str, query: str) -> Widget:
        return {
            "type": "log",
            "properties": {
                "title": title,
                "region": region,
                "query": pulumi.Output.concat(sources, " | ", query),
                "view": "table",
            },
        }

    expected = (
        6,
        [
            table("Expected logs", EXPECTED_QUERY),
            graph("Missing logs", own(metrics.MISSING), own(metrics.NOT_CHECKED)),
        ],
    )
    inside = (
        3,
        [
            single_value("Logs with nothing inside", own(metrics.NOTHING_INSIDE)),
            single_value("Logs not read", own(metrics.NOT_READ)),
        ],
    )
    rows: list[tuple[int, list[Widget]]] = [
        (
            4,
            [
                single_value("1. Log files", own(metrics.LOG_FILES)),
                single_value("2. Duplicates", own(metrics.DUPLICATES)),
                single_value("3. Held", own(metrics.HELD)),
                single_value("4. Accepted", own(metrics.ACCEPTED)),
                single_value("5. Delivered", own(metrics.DELIVERED)),
                single_value("Undelivered", own(metrics.UNDELIVERED)),
                single_value("Failed", own(metrics.FAILED)),
                single_value("Segments", own(metrics.SEGMENTS)),
            ],
        ),
        (
            6,
            [
                graph(
                    "Seconds from upload to text",
                    *(
                        own(metrics.SECONDS_TO_TEXT, percentile, label=percentile)
                        for percentile in ("p50", "p90", "p99")
                    ),
                ),
                graph(
                    "Seconds that texts were held",
                    own(metrics.SECONDS_HELD, "Maximum"),
                    own(metrics.BACKLOG_AGE, "Maximum"),
                ),
                graph(
                    "On the queues",
                    *of_queues("ApproximateNumberOfMessagesVisible"),
                    own(metrics.BACKLOG, "Maximum"),
                ),
            ],
        ),
        (
            6,
            [
                graph("Held, by reason", by_dimension(metrics.HELD), stacked=True),
                graph(
                    "Failed and undelivered, by Twilio's code",
                    by_dimension(metrics.FAILED),
                    by_dimension(metrics.UNDELIVERED),
                    stacked=True,
                ),
                graph(
                    "Segments a day, as Twilio charges them",
                    own(metrics.SEGMENTS),
                    period=24 * 60 * 60,
                    view="timeSeries",
                    annotations={
                        "horizontal": [
                            {"label": "maxSegmentsPerDay", "value": max_segments_per_day}
                        ]
                    },
                ),
            ],
        ),
        *([(6, of_routes)] if has_routes else []),
        (
            6,
            [
                graph("Errors", *of_functions("Errors"), *of_functions("Throttles")),
                graph(
                    "Refused settings, failing claims, unexpected errors, flushes",
                    own(metrics.SETTINGS_REFUSED),
                    own(metrics.FAILED_OPEN),
                    own(metrics.UNEXPECTED),
                    own(metrics.FLUSHES),
                ),
                graph("Milliseconds of the functions", *of_functions("Duration", "p99")),
            ],
        ),
        *([expected] if expects_logs else []),
        *([inside] if looks_inside else []),
        (
            3,
            [{"type": "alarm", "properties": {"title": "Alarms", "alarms": list(alarms)}}],
        ),
        (
            9,
            [table("The last decisions", DECISIONS_QUERY)],
        ),
    ]
    return {"widgets": _placed(rows)}


def _placed(rows: Sequence[tuple[int, Sequence[Widget]]]) -> list[Widget]:
    """Place rows of widgets of one height below each other, each row as wide as the dashboard."""
    placed, top = [], 0
    for height, widgets in rows:
        width = COLUMNS // len(widgets)
        for number, widget in enumerate(widgets):
            where = {"x": number * width, "y": top, "width": width, "height": height}
            placed.append(widget | where)
        top += height
    return placed
