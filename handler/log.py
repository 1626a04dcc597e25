"""What the functions log: one line of JSON for each decision, for CloudWatch Logs Insights."""

import json
import sys
from typing import Literal

from handler.events import LogFile

Level = Literal["INFO", "WARNING", "ERROR"]


def decision(
    outcome: str,
    *,
    level: Level = "INFO",
    file: LogFile | None = None,
    phone: str | None = None,
    **details: object,
) -> None:
    """Log one decision.

    The line goes to the standard output as it is: Lambda's JSON log format passes JSON through.

    Args:
        outcome: What was decided, in the design's words: `sent`, `failed`, …
        level: Its weight.
        file: The log file it is about.
        phone: The phone it is about; only its last four digits are logged.
        details: Anything else worth searching for. Never a secret, a whole number or a whole text.
    """
    line: dict[str, object] = {"level": level, "outcome": outcome}
    if file:
        line |= {"bucket": file.bucket, "key": file.key, "size": file.size}
    if phone:
        line["phone"] = masked(phone)
    sys.stdout.write(json.dumps(line | details) + "\n")


def masked(phone: str) -> str:
    """Show a phone number's last four digits only: it is personal data."""
    return "…" + phone[-4:]
