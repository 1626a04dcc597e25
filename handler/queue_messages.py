"""The messages of the queues: one for a file and its phones."""

import datetime
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handler import events
from handler.events import LogFile, Unreadable
from handler.notice import Notice

if TYPE_CHECKING:
    from handler.missing_log import MissingLog

BEGINNING = '{"file": '
"""The beginning of each message of `to_message`. An event that Lambda gave up on begins
otherwise."""


def to_message(
    file: "LogFile | MissingLog", phones: Sequence[str], reason: str, **details: Any
) -> str:
    """Write the message of a queue that `read` reads.

    Args:
        file: The log file, or the missing log.
        phones: The phones that a text about it is held or failed for.
        reason: Why.
        details: More fields for an operator.
    """
    return json.dumps({"file": file.fields(), "phones": list(phones), "reason": reason, **details})


PhonesOf = Callable[[str], Iterable[str]]
"""Gives the phones that are texted about a log, by its key."""


def nobody(_key: str) -> Iterable[str]:
    """Return no phones, for a reader that needs none."""
    return ()


def read(body: str, phones_of: PhonesOf = nobody) -> Iterator[Notice | Unreadable]:
    """Read a message of a queue: one of this program's, or an event that Lambda gave up on.

    Args:
        body: The message.
        phones_of: Gives the phones that are texted about the files in an event.
    """
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        yield Unreadable(reason="not JSON", record=body)
        return
    match message:
        case {"file": dict(file), "phones": [_, *_] as numbers}:
            yield from _read_notices(message, file, numbers)
        case {"file": dict(file), "phone": str(number)}:  # of an earlier version: one phone
            yield from _read_notices(message, file, [number])
        case {"unreadable": str(whole)}:  # a message that was no JSON, or met an unknown error
            yield from read(whole, phones_of)
        case {"unreadable": {"eventSource": _} | {"s3": _} as record}:  # one of an event's records
            yield from _read_event({"Records": [record]}, phones_of)
        case {"unreadable": event}:
            yield from _read_event(event, phones_of)
        case _:
            yield from _read_event(message, phones_of)


def without(body: str, is_done: Callable[[Notice], bool]) -> str:
    """Leave out the phones that have an outcome. Return other messages unchanged."""
    notices = list(read(body))
    left = [one for one in notices if isinstance(one, Notice) and not is_done(one)]
    message = json.loads(body)
    if len(left) in {0, len(notices)} or "phones" not in message:
        return body
    return json.dumps({**message, "phones": [one.phone for one in left]})


def _read_notices(
    message: object, file: dict[str, Any], numbers: Sequence[object]
) -> Sequence[Notice | Unreadable]:
    """Read all notices of a message, or none: it is kept as a whole."""
    try:
        known = _read_file(file)
        return [Notice(known, phone) for phone in map(_validated_phone, dict.fromkeys(numbers))]
    except (KeyError, TypeError, ValueError, OverflowError):
        return [Unreadable(reason="not a text that is due", record=message)]


def _read_event(event: object, phones_of: PhonesOf) -> Iterator[Notice | Unreadable]:
    for item in events.read(event):
        if isinstance(item, Unreadable):
            yield item
        else:
            yield from (Notice(item, phone) for phone in phones_of(item.key))


def _read_file(fields: dict[str, Any]) -> "LogFile | MissingLog":
    if "deadline" in fields:
        from handler.missing_log import read_missing_log  # noqa: PLC0415  # few stacks have any

        return read_missing_log(fields)
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
            tag=fields.get("tag", ""),
            found=events.read_found(fields.get("inside")),
        )
    )


def _validated_phone(number: object) -> str:
    """Check a number by E.164: a plus and at most 15 digits."""
    if not isinstance(number, str):
        raise TypeError("its phone is not text")
    digits = number.removeprefix("+")
    if digits == number or not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise ValueError("its phone is not a number")
    return number
