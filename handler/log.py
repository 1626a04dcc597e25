"""The log of the functions: one line of JSON for each decision, for CloudWatch Logs Insights.

The metrics of a decision are in the same line, see `handler.metrics`.
"""

import datetime
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from handler import metrics
from handler.metrics import Metric

if TYPE_CHECKING:
    from handler.events import LogFile
    from handler.missing_log import MissingLog

Level = Literal["INFO", "WARN", "ERROR"]
"""Levels as Lambda names them: it treats a line with any other level as INFO.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
"""

NOTHING: Mapping[Metric, float] = {}


class Log:
    """The log of one process.

    Attributes:
        request_id: Lambda's id of the current request; every line carries it.
    """

    def __init__(self, stack: str) -> None:
        """Make it.

        Args:
            stack: The project and the stack, such as `s3-logs/dev`: the dimension of all metrics.
        """
        self._stack = stack
        self.request_id = ""

    def decision(
        self,
        outcome: str,
        *,
        level: Level = "INFO",
        file: "LogFile | MissingLog | None" = None,
        phone: str | None = None,
        measured: Mapping[Metric, float] = NOTHING,
        **details: object,
    ) -> None:
        """Log one decision.

        The line goes to the standard output as it is: Lambda's JSON log format passes JSON through.
        It adds neither `timestamp` nor `requestId` there, so the line brings both.

        Args:
            outcome: The decision, in the design's words: `sent`, `failed`, …
            level: Its severity.
            file: The log file it is about.
            phone: The phone it is about; only its last four digits are logged.
            measured: The metrics that it adds to.
            details: Anything else worth searching for. Never a secret, a whole number or a whole
                text.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {"timestamp": now.replace("+00:00", "Z"), "level": level}
        if self.request_id:
            line["requestId"] = self.request_id
        line["outcome"] = outcome
        if file:
            line |= {"bucket": file.bucket, "key": file.key, "size": file.size}
        if phone:
            line["phone"] = masked(phone)
        is_routed = metrics.ROUTE in details
        line |= details | metrics.embedded(measured, self._stack, is_routed=is_routed)
        sys.stdout.write(json.dumps(line) + "\n")


def masked(phone: str) -> str:
    """Return the last four digits of a phone number, which is personal data."""
    return "…" + phone[-4:]
