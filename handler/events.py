"""S3's events, of every shape that can reach the function, read into log files."""

import datetime
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

# All other events of S3, none of which means a new log. An event of another name is unreadable,
# since it might mean one. Sources, in this order:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
# (here without what follows the colon) and
# https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-s3.html
_IGNORED_NAMES = frozenset(
    {
        "ObjectRemoved",
        "ObjectRestore",
        "ObjectTagging",
        "ObjectAcl",
        "ObjectAnnotation",
        "ObjectRetention",
        "ReducedRedundancyLostObject",
        "Replication",
        "LifecycleExpiration",
        "LifecycleTransition",
        "IntelligentTiering",
    }
)
_IGNORED_DETAIL_TYPES = frozenset(
    {
        "Object Deleted",
        "Object Restore Initiated",
        "Object Restore Completed",
        "Object Restore Expired",
        "Object Tags Added",
        "Object Tags Deleted",
        "Object ACL Updated",
        "Object Storage Class Changed",
        "Object Access Tier Changed",
        "Async Copy Completion",
    }
)

_SIZE_LIMIT = 2**63
"""No object is larger, and a larger number might overflow calculations."""

_MAX_BYTES = 1024
"""The most bytes of a key, in UTF-8, and of any other name in S3:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

YEARS = range(1970, 9999)
"""From the year of AWS's own sample events on. Neither end can leave Python's range in any time
zone."""


IS_FOLDER = "a folder, not a log"
"""The reason in the log for an object whose `LogFile.is_folder` is true."""


class Found(NamedTuple):
    """The lines found in a log that was looked into.

    Attributes:
        lines: How many lines there are, in all that was read.
        line: One of them, printable and without secrets; "" if there is none.
        note: Why it is not all of the log, in the words of a text; "" if it is.
        contains: The words that the lines were found by; "" for all lines.
    """

    lines: int = 0
    line: str = ""
    note: str = ""
    contains: str = ""

    @property
    def is_nothing(self) -> bool:
        """Whether the log certainly has no such line."""
        return not self.lines and not self.note

    @property
    def counted(self) -> str:
        """How many lines there are, in the words of a text."""
        return f"{self.lines}+" if self.note else str(self.lines)


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
        tag: The object's eTag, which shows whether a later write replaced it; "" if unknown.
        found: The lines found in it for one route; None if it was not looked into.
    """

    bucket: str
    key: str
    size: int | None
    time: datetime.datetime
    version: str = ""
    sequencer: str = ""
    tag: str = ""
    found: Found | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """The identity of the write: the same for a duplicate of the event, from any sender."""
        return self.bucket, self.key, self.version, self.sequencer

    def age(self, now: float) -> float:
        """How many seconds ago it was uploaded."""
        return round(now - self.time.timestamp(), 1)

    def fields(self) -> dict[str, Any]:
        """Return its fields for JSON."""
        fields = self._asdict() | {"time": self.time.isoformat()}
        found = fields.pop("found")
        return fields | ({"inside": found._asdict()} if found else {})

    @property
    def name(self) -> str:
        """The last part of the key: `web.log` of `app/web.log`."""
        return self.key.rstrip("/").rpartition("/")[2] or self.key

    @property
    def is_folder(self) -> bool:
        """Whether it is the empty object of a folder, as a console or a mounted bucket makes it."""
        return self.key.endswith("/") and self.size == 0


def read_found(fields: object) -> Found | None:
    """Read the lines found in a file, as `LogFile.fields` wrote them.

    Raises:
        TypeError, ValueError: It is something else.
    """
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise TypeError("the lines found in it are none")
    # An update changes the two functions one after the other: a field may be unknown here.
    found = Found(**{name: fields[name] for name in Found._fields if name in fields})
    if not is_size(found.lines) or not all(map(is_name, found[1:])):
        raise ValueError("the lines found in it are none")
    return found


def validated(file: LogFile) -> LogFile:
    """Return a log file if each field has the right type and is within its range.

    Raises:
        ValueError: A field is wrong. The message repeats nothing of it.
    """
    if not (file.bucket and file.key and is_name(file.bucket) and is_name(file.key)):
        raise ValueError("its bucket or key is not a name")
    if not (is_name(file.version) and is_name(file.sequencer) and is_name(file.tag)):
        raise ValueError("its version, sequencer or eTag is not a name")
    if file.size is not None and not is_size(file.size):
        raise ValueError("its size is not a number of bytes")
    if file.time.year not in YEARS:
        raise ValueError("its time is not a time of S3's")
    return file


def is_name(value: object, at_most: int = _MAX_BYTES) -> bool:
    """Whether a value may be the name of something at S3; "" too."""
    # A lone surrogate can stand in JSON, but not in UTF-8, and so neither in a key nor in a text.
    return (
        isinstance(value, str)
        and len(value) <= at_most
        and (value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value))
    )


def is_size(value: object) -> bool:
    """Whether a value may be the size of an object."""
    return type(value) is int and 0 <= value < _SIZE_LIMIT  # a bool is an int to Python, not to S3


class Unreadable(NamedTuple):
    """A record, or a whole event, of unknown shape.

    Attributes:
        reason: Its defect, without any of its content.
        record: The record itself, so that nothing is lost.
    """

    reason: str
    record: Any


def read(event: object) -> Iterator[LogFile | Unreadable]:
    """Read every record of an event.

    The shapes are S3's notification, S3's `s3:TestEvent`, EventBridge's event about an object, and
    an envelope (`requestPayload`). Lambda sends an event that it gave up on to the on-failure
    destination in such an envelope, so a redriven event works. A test event yields nothing, and
    neither does an event that S3 sends when no object was created.
    Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    and https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    # A loop, since an event that fails after each redrive comes in an envelope of envelopes.
    while isinstance(event, dict) and event.keys() >= {"requestContext", "requestPayload"}:
        event = event["requestPayload"]
    match event:
        case {"Records": list(records)}:
            for record in records:
                yield from _read_one(record, _read_record)
        case {"source": "aws.s3", "detail": dict()}:
            yield from _read_one(event, _read_eventbridge)
        case {"Event": "s3:TestEvent"}:
            pass
        case _:
            yield Unreadable(reason="not an event of S3", record=event)


def _read_one(
    record: Any, reader: Callable[[Any], LogFile | None]
) -> Iterator[LogFile | Unreadable]:
    try:
        file = reader(record)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        yield Unreadable(reason=_reason(error), record=record)
    else:
        if file:
            yield file


def _read_eventbridge(event: Mapping[str, Any]) -> LogFile | None:
    """Read EventBridge's form of an event of S3; None if no object was created.

    Its key is not encoded.
    """
    if event["detail-type"] in _IGNORED_DETAIL_TYPES:
        return None
    if event["detail-type"] != "Object Created":
        raise ValueError("its detail-type is not known here")
    object_ = event["detail"]["object"]
    return _log_file(
        bucket=event["detail"]["bucket"]["name"],
        key=object_["key"],
        size=object_.get("size"),
        time=event["time"],
        version=object_.get("version-id"),
        sequencer=object_.get("sequencer"),
        tag=object_.get("etag"),
    )


def _read_record(record: Mapping[str, Any]) -> LogFile | None:
    """Read one record of S3's notification; None if no object was created."""
    if record["eventSource"] != "aws:s3":
        raise ValueError("its eventSource is not aws:s3")
    # Minor versions add fields and come often (2.6 in 2026); only a major one may break.
    if record["eventVersion"].split(".")[0] != "2":
        raise ValueError("its eventVersion is not 2.x")
    # Some of AWS's sample events have the prefix, and so do some other servers of S3's API.
    family, colon, _ = record["eventName"].removeprefix("s3:").partition(":")
    if family in _IGNORED_NAMES:
        return None
    if family + colon != "ObjectCreated:":
        raise ValueError("its eventName is not known here")
    object_ = record["s3"]["object"]
    return _log_file(
        bucket=record["s3"]["bucket"]["name"],
        # S3 form-encodes the key in its notifications: `a b+c` arrives as `a+b%2Bc`. Decoded once.
        key=urllib.parse.unquote_plus(object_["key"]),
        size=object_.get("size"),
        time=record["eventTime"],
        version=object_.get("versionId"),
        sequencer=object_.get("sequencer"),
        tag=object_.get("eTag"),
    )


def _log_file(
    *,
    bucket: object,
    key: object,
    size: object,
    time: object,
    version: object,
    sequencer: object,
    tag: object,
) -> LogFile:
    """Check the fields of an object in an event.

    Raises:
        TypeError, ValueError: A field that a file cannot do without is missing or of another kind.
    """
    version, sequencer, tag = (_optional(value) for value in (version, sequencer, tag))
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise ValueError("its bucket or key is missing")
    file = LogFile(
        bucket=bucket,
        key=key,
        size=size if is_size(size) else None,  # type: ignore[arg-type]  # checked right here
        time=_moment(time),
        # For an object without versions, S3 names the version "null" or none.
        version="" if version == "null" else version,
        sequencer=sequencer or f"{tag} {time}",
        tag=tag,
    )
    return validated(file)


def _optional(value: object) -> str:
    """Give a field that may be missing; "" if it is."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return value


def _moment(time: object) -> datetime.datetime:
    if not isinstance(time, str):
        raise TypeError
    try:
        moment = datetime.datetime.fromisoformat(time)
    except ValueError:
        raise ValueError("its eventTime is not a time") from None
    if moment.year not in YEARS:
        raise ValueError("its eventTime is not a time of S3's")
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _reason(error: Exception) -> str:
    """Say what is wrong with a record, without repeating its content."""
    match error:
        case KeyError():
            return f"it has no {error.args[0]}"
        case ValueError():
            return str(error)
        case _:
            return "it is not a record of S3's notification"
