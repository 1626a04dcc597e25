"""What S3 says happened: events of every shape that can reach the function, read into log files."""

import datetime
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple


class LogFile(NamedTuple):
    """A log file that landed in the bucket, as its S3 event describes it.

    Attributes:
        bucket: The bucket's name.
        key: The object's key, decoded.
        size: Bytes, or None where the event does not say.
        time: When the upload ended (aware, UTC).
        version: The object's version id, or "" on a bucket without versions.
        sequencer: S3's order of the writes of one key; the same on a duplicate of an event. Where
            S3 sends none, the eTag and the time of the event stand in for it.
    """

    bucket: str
    key: str
    size: int | None
    time: datetime.datetime
    version: str = ""
    sequencer: str = ""

    def age(self, now: float) -> float:
        """How many seconds ago it was uploaded."""
        return round(now - self.time.timestamp(), 1)

    @property
    def name(self) -> str:
        """The last part of the key: `web.log` of `app/web.log`."""
        return self.key.rstrip("/").rpartition("/")[2] or self.key


class Unreadable(NamedTuple):
    """A record, or a whole event, that is none of the shapes known here.

    Attributes:
        reason: What is wrong with it, without any of its content.
        record: The record itself, so that nothing is lost.
    """

    reason: str
    record: Any


def read(event: object) -> Iterator[LogFile | Unreadable]:
    """Read every record of an event.

    The shapes: S3's notification; S3's `s3:TestEvent`, which tells nothing and yields nothing; what
    EventBridge makes of S3's events; and the envelope in which Lambda sends an event that it gave
    up on to the on-failure destination (`requestPayload`), so that redriving one works. Records of
    other event types than the creation of an object yield nothing.
    Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    and https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    match event:
        case {"Records": list(records)}:
            for record in records:
                yield from _read_one(record, _read_record)
        case {"source": "aws.s3", "detail": dict(detail), "time": time}:
            yield from _read_one(event, lambda _: _read_detail(detail, time))
        case {"Event": "s3:TestEvent"}:
            pass
        case {"requestContext": _, "requestPayload": payload}:
            yield from read(payload)
        case _:
            yield Unreadable(reason="not an event of S3", record=event)


def _read_one(
    record: Any, reader: Callable[[Any], LogFile | None]
) -> Iterator[LogFile | Unreadable]:
    try:
        file = reader(record)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        yield Unreadable(reason=_reason(error), record=record)
    else:
        if file:
            yield file


def _read_detail(detail: Mapping[str, Any], time: str) -> LogFile:
    """Read what EventBridge says of an object. Its key is as it is, not encoded."""
    described = detail["object"]
    size = described.get("size")
    return LogFile(
        bucket=_text(detail["bucket"]["name"]),
        key=_text(described["key"]),
        size=size if isinstance(size, int) and size >= 0 else None,
        time=_moment(time),
        version=described.get("version-id") or "",
        sequencer=described.get("sequencer") or f"{described.get('etag', '')} {time}",
    )


def _moment(time: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(time)
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _read_record(record: Mapping[str, Any]) -> LogFile | None:
    """Read one record of S3's notification; None if it is not about the creation of an object."""
    if record["eventSource"] != "aws:s3":
        raise ValueError("its eventSource is not aws:s3")
    # Minor versions add fields and come often (2.6 in 2026); only a major one may break.
    if record["eventVersion"].split(".")[0] != "2":
        raise ValueError("its eventVersion is not 2.x")
    if not record["eventName"].startswith("ObjectCreated:"):
        return None
    described = record["s3"]["object"]
    # S3 form-encodes the key in its notifications: `a b+c` arrives as `a+b%2Bc`. Decoded once.
    key = urllib.parse.unquote_plus(described["key"])
    size = described.get("size")
    return LogFile(
        bucket=_text(record["s3"]["bucket"]["name"]),
        key=_text(key),
        size=size if isinstance(size, int) and size >= 0 else None,
        time=_moment(record["eventTime"]),
        version=described.get("versionId") or "",
        sequencer=described.get("sequencer")
        or f"{described.get('eTag', '')} {record['eventTime']}",
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("its bucket or key is missing")
    return value


def _reason(error: Exception) -> str:
    """Say what is wrong with a record, without repeating what stands in it."""
    match error:
        case KeyError():
            return f"it has no {error.args[0]}"
        case ValueError() if "isoformat" not in str(error):
            return str(error)
        case ValueError():
            return "its eventTime is not a time"
        case _:
            return "it is not a record of S3's notification"
