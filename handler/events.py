"""What S3 says happened: events of every shape that can reach the function, read into log files."""

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogFile:
    """A log file that landed in the bucket, as its S3 event describes it.

    Attributes:
        bucket: The bucket's name.
        key: The object's key, decoded.
        size: Bytes, or None where the event does not say.
        time: When the upload ended (aware, UTC).
        version: The object's version id, or "" on a bucket without versions.
        sequencer: S3's order of the writes of one key; the same on a duplicate of an event. Where S3 sends
            none, the eTag and time of the event stand in for it.
    """

    bucket: str
    key: str
    size: int | None
    time: datetime.datetime
    version: str = ""
    sequencer: str = ""

    @property
    def name(self) -> str:
        """The last part of the key: `web.log` of `app/web.log`."""
        return self.key.rstrip("/").rpartition("/")[2] or self.key
