"""The lines that the functions of a stack log: their decisions, and errors."""

import dataclasses
import datetime
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from stack.deployed import Stack
from stack.reasons import in_words

FUNCTIONS = ("notify", "flush")
POLL_SECONDS = 1.0

MAX_EVENTS = 10_000
"""Events in one answer, at most.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

FLUSH_ENDS = ("flushed", "quiet hours")
FLUSH_REFUSALS = ("not sent", "not asked", "no outcome yet")

_SHOWN_FIELDS = ("phone", "key", "reason", "code", "meaning", "sid")
_COUNT_FIELDS = ("file", "message")
_PLATFORM_PREFIXES = ("START ", "END ", "REPORT ", "INIT_START ")


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a function's log.

    Attributes:
        id: A unique id.
        time: When it was written.
        function: Which function wrote it.
        fields: Its JSON. A line that is not JSON is the field `text`.
    """

    id: str
    time: datetime.datetime
    function: str
    fields: dict[str, Any]

    @property
    def outcome(self) -> str:
        """The decision; "" for a line without one."""
        return self.text("outcome")

    @property
    def level(self) -> str:
        """Its level, such as `WARN`."""
        return str(self.fields.get("level", "INFO"))

    @property
    def is_platform(self) -> bool:
        """Whether Lambda itself wrote it, about a start or a duration."""
        text = str(self.fields.get("text", ""))
        return text.startswith(_PLATFORM_PREFIXES) or str(self.fields.get("type", "")).startswith(
            "platform"
        )

    @property
    def ends_flush(self) -> bool:
        """Whether it is a flush's last line about the held texts."""
        return self.function == "flush" and self.outcome in FLUSH_ENDS

    @property
    def is_refusal(self) -> bool:
        """Whether it says why a flush left texts on held."""
        if self.ends_flush:
            return "code" in self.fields
        return self.function == "flush" and self.outcome in FLUSH_REFUSALS

    @property
    def reason(self) -> str:
        """The reason, with the code and its meaning, and the phone."""
        reason, code, meaning, phone = map(self.text, ("reason", "code", "meaning", "phone"))
        explanation = in_words(reason or self.outcome, code, meaning)
        return f"{explanation} for {phone}" if phone else explanation

    def text(self, key: str) -> str:
        """Return a field as text; "" if it is missing or empty."""
        return str(self.fields.get(key) or "")

    def number(self, key: str) -> float:
        """Return a field that is a number; 0 if it is missing or not a number."""
        value = self.fields.get(key)
        return value if isinstance(value, int | float) else 0

    def __str__(self) -> str:
        if not self.outcome:
            return str(self.fields.get("text") or json.dumps(self.fields))
        fields = self.fields | {"reason": in_words(self.text("reason"))}
        shown = [str(fields[key]) for key in _SHOWN_FIELDS if fields.get(key) not in (None, "")]
        shown += [
            plural(self.number(f"{one}s"), one) for one in _COUNT_FIELDS if f"{one}s" in self.fields
        ]
        # An unreadable message has the same word as its reason and as its code.
        return "  ".join(dict.fromkeys([self.outcome, *shown]))


def plural(number: float, noun: str) -> str:
    """Return a number with its noun, such as `1 file` or `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def read(
    stack: Stack,
    *,
    since: datetime.datetime,
    outcomes: Sequence[str] = (),
    functions: Sequence[str] = FUNCTIONS,
) -> list[Line]:
    """Read lines of the functions' logs, the oldest first.

    Args:
        stack: The stack.
        since: When the first line may have been written.
        outcomes: Only lines with one of these outcomes. Without any, all lines.
        functions: The functions whose logs to read.
    """
    pattern = " || ".join(f'$.outcome = "{outcome}"' for outcome in outcomes)
    found = []
    for function in functions:
        group = stack.outputs[f"{function}LogGroup"]
        for event in _events(stack, group, since, f"{{ {pattern} }}" if pattern else ""):
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


def _events(
    stack: Stack, group: str, since: datetime.datetime, pattern: str
) -> Iterator[dict[str, Any]]:
    """Yield the events of a log group from a time on.

    MiniStack's answer has no token for the events after the first `MAX_EVENTS`, so the search
    starts again at the time of the last one.
    """
    start, known = int(since.timestamp() * 1000), 0
    while True:
        pages = (
            stack.aws["logs"]
            .get_paginator("filter_log_events")
            .paginate(logGroupName=group, startTime=start, filterPattern=pattern)
        )
        events: list[dict[str, Any]] = []
        for page in pages:
            events = page["events"]
            yield from events[known:]
            known = 0
        if len(events) < MAX_EVENTS:
            return
        if (last := events[-1]["timestamp"]) > start:
            start, known = last, sum(event["timestamp"] == last for event in events)
        else:
            start += 1  # a search finds no more events of one millisecond


def follow(
    stack: Stack,
    *,
    since: datetime.datetime,
    wait: Callable[[float], object] = time.sleep,
) -> Iterator[Line]:
    """Yield the lines of all functions as they come. It never ends.

    Args:
        stack: The stack.
        since: When the first line may have been written.
        wait: Waits so many seconds before the next look.
    """
    seen: set[str] = set()
    while True:
        lines = read(stack, since=since)
        yield from (line for line in lines if line.id not in seen)
        if lines:
            # CloudWatch shows lines late: read a minute again, and skip the lines already shown.
            since = max(since, lines[-1].time - datetime.timedelta(minutes=1))
            seen = {line.id for line in lines}
        wait(POLL_SECONDS)


def _decoded(message: str) -> dict[str, Any]:
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else {"text": message.rstrip()}
