"""What the functions log: one line of JSON for each decision, for CloudWatch Logs Insights.

The metrics of a decision are in the same line, see `handler.metrics`.
"""

import json
import sys
from collections.abc import Mapping
from typing import Literal

from handler import metrics
from handler.events import LogFile
from handler.metrics import Metric

Level = Literal["INFO", "WARNING", "ERROR"]

NOTHING: Mapping[Metric, float] = {}


class _Process:
    """What is the same in every line of one process: a function belongs to one stack."""

    stack = ""


def of_stack(stack: str) -> None:
    """Say which stack's metrics the lines are to carry from now on."""
    _Process.stack = stack


def decision(
    outcome: str,
    *,
    level: Level = "INFO",
    file: LogFile | None = None,
    phone: str | None = None,
    measured: Mapping[Metric, float] = NOTHING,
    **details: object,
) -> None:
    """Log one decision.

    The line goes to the standard output as it is: Lambda's JSON log format passes JSON through.

    Args:
        outcome: What was decided, in the design's words: `sent`, `failed`, …
        level: Its weight.
        file: The log file it is about.
        phone: The phone it is about; only its last four digits are logged.
        measured: The metrics that it adds to.
        details: Anything else worth searching for. Never a secret, a whole number or a whole text.
    """
    line: dict[str, object] = {"level": level, "outcome": outcome}
    if file:
        line |= {"bucket": file.bucket, "key": file.key, "size": file.size}
    if phone:
        line["phone"] = masked(phone)
    line |= details | metrics.embedded(measured, _Process.stack)
    sys.stdout.write(json.dumps(line) + "\n")


def masked(phone: str) -> str:
    """Show a phone number's last four digits only: it is personal data."""
    return "…" + phone[-4:]
