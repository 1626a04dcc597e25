"""What the functions of a stack have decided: the lines of their logs."""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from stack.deployed import Stack

FUNCTIONS = ("notify", "flush")
POLL_SECONDS = 1.0

FLUSH_ENDS = ("flushed", "quiet hours")
FLUSH_REFUSALS = ("not sent", "no outcome yet")

_SHOWN = ("phone", "key", "reason", "code", "meaning", "sid")
_COUNTED = ("file", "message")
_PLATFORM = ("START ", "END ", "REPORT ", "INIT_START ")


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a function's log.

    Attributes:
        id: What tells it from any other.
        time: When it was written.
        function: Which function wrote it.
        fields: What it says; `text` where it is no JSON.
    """

    id: str
    time: datetime.datetime
    function: str
    fields: dict[str, Any]

    @property
    def outcome(self) -> str:
        """What was decided; "" if it is no decision."""
        return self.said("outcome")

    @property
    def level(self) -> str:
        """Its weight."""
        return str(self.fields.get("level", "INFO"))

    @property
    def of_lambda(self) -> bool:
        """Whether Lambda wrote it about its own doings: nothing that an operator looks for."""
        text = str(self.fields.get("text", ""))
        return text.startswith(_PLATFORM) or str(self.fields.get("type", "")).startswith("platform")

    @property
    def ends_flush(self) -> bool:
        """Whether it is the last word of a flush about what is held."""
        return self.function == "flush" and self.outcome in FLUSH_ENDS

    @property
    def refuses(self) -> bool:
        """Whether it says why a flush left texts where they were."""
        if self.ends_flush:
            return "code" in self.fields
        return self.function == "flush" and self.outcome in FLUSH_REFUSALS

    @property
    def why(self) -> str:
        """The reason, with the code and what it means, and which phone it is about."""
        reason, code, meaning, phone = map(self.said, ("reason", "code", "meaning", "phone"))
        details = ": ".join(one for one in (code, meaning) if one)
        said = reason or self.outcome
        said += f" ({details})" if details else ""
        return f"{said} for {phone}" if phone else said

    def said(self, key: str) -> str:
        """What it says; "" if it does not."""
        return str(self.fields.get(key) or "")

    def number(self, key: str) -> float:
        """What it counted or measured; 0 if it did not."""
        value = self.fields.get(key)
        return value if isinstance(value, int | float) else 0

    def __str__(self) -> str:
        if not self.outcome:
            return str(self.fields.get("text") or json.dumps(self.fields))
        told = [str(self.fields[key]) for key in _SHOWN if self.fields.get(key) not in (None, "")]
        told += [
            counted(self.number(f"{one}s"), one) for one in _COUNTED if f"{one}s" in self.fields
        ]
        return "  ".join([self.outcome, *told])


def counted(number: float, what: str) -> str:
    """Say how many there are of something."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def read(stack: Stack, *, since: datetime.datetime, outcomes: tuple[str, ...] = ()) -> list[Line]:
    """Read the lines of all functions, the oldest first.

    Args:
        stack: The stack.
        since: No lines from before.
        outcomes: Only decisions of these; all lines without.
    """
    pattern = " || ".join(f'$.outcome = "{outcome}"' for outcome in outcomes)
    found = []
    for function in FUNCTIONS:
        pages = (
            stack.aws["logs"]
            .get_paginator("filter_log_events")
            .paginate(
                logGroupName=stack.outputs[f"{function}LogGroup"],
                startTime=int(since.timestamp() * 1000),
                filterPattern=f"{{ {pattern} }}" if pattern else "",
            )
        )
        for page in pages:
            for event in page["events"]:
                line = Line(
                    # An emulator has no eventId.
                    id=f"{event['logStreamName']} {event['timestamp']} {event['message']}",
                    time=datetime.datetime.fromtimestamp(event["timestamp"] / 1000, datetime.UTC),
                    function=function,
                    fields=_decoded(event["message"]),
                )
                if not outcomes or line.outcome in outcomes:
                    found.append(line)
    return sorted(found, key=lambda line: line.time)


def follow(
    stack: Stack,
    *,
    since: datetime.datetime,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Line]:
    """Give the lines of all functions as they come, for ever."""
    seen: set[str] = set()
    while True:
        lines = read(stack, since=since)
        yield from (line for line in lines if line.id not in seen)
        if lines:
            # CloudWatch takes lines late: look a minute back, and skip what was given.
            since = max(since, lines[-1].time - datetime.timedelta(minutes=1))
            seen = {line.id for line in lines}
        wait(POLL_SECONDS)


def _decoded(message: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else {"text": message.rstrip()}
