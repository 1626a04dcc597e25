"""How notices are written to a queue, and read from one."""

import datetime
import json
from collections.abc import Iterator, Sequence
from typing import Any

from handler import events
from handler.events import LogFile, Unreadable
from handler.notice import Notice


def to_message(notice: Notice, reason: str, **details: Any) -> str:
    """Write the message of a queue that `read` reads.

    Args:
        notice: The text.
        reason: Why it was held, or failed.
        details: More fields for an operator.
    """
    file = notice.file._asdict() | {"time": notice.file.time.isoformat()}
    return json.dumps({"file": file, "phone": notice.phone, "reason": reason, **details})


def read(body: str, phones: Sequence[str]) -> Iterator[Notice | Unreadable]:
    """Read a message of a queue: ours, or an event that Lambda gave up on, in its envelope.

    Args:
        body: The message.
        phones: The phones that are texted about the files in an event.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        yield Unreadable(reason="not JSON", record=body)
        return
    match message:
        case {"file": dict(file), "phone": str(phone)}:
            try:
                notice = Notice(_read_file(file), _validated_phone(phone))
            except (KeyError, TypeError, ValueError, OverflowError):
                yield Unreadable(reason="not a text that is due", record=message)
            else:
                yield notice
        case {"unreadable": str(whole)}:  # a message that was no JSON, or met an unknown error
            yield from read(whole, phones)
        case {"unreadable": {"eventSource": _} | {"s3": _} as record}:  # one of an event's records
            yield from _read_event({"Records": [record]}, phones)
        case {"unreadable": event}:
            yield from _read_event(event, phones)
        case _:
            yield from _read_event(message, phones)


def _read_event(event: object, phones: Sequence[str]) -> Iterator[Notice | Unreadable]:
    for item in events.read(event):
        if isinstance(item, Unreadable):
            yield item
        else:
            yield from (Notice(item, phone) for phone in phones)


def _read_file(fields: dict[str, Any]) -> LogFile:
    time = datetime.datetime.fromisoformat(fields["time"])
    if time.tzinfo is None:
        raise ValueError("its time has no zone")
    return events.validated(
        LogFile(
            bucket=fields["bucket"],
            key=fields["key"],
            size=fields["size"],
            time=time.astimezone(datetime.UTC),
            version=fields.get("version", ""),
            sequencer=fields.get("sequencer", ""),
        )
    )


def _validated_phone(number: str) -> str:
    """Check a number by E.164: a plus and at most 15 digits."""
    digits = number.removeprefix("+")
    if digits == number or not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise ValueError("its phone is not a number")
    return number
