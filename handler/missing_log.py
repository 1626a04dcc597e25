"""A log that did not come: the subject of a notice without a log file."""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

from handler.events import YEARS, is_name, is_size

MAX_LOGS_CHARACTERS = 4096
"""The most bytes of the globs of a route: Lambda allows no more for all settings together.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""


class MissingLog(NamedTuple):
    """A log of a route that was due, and did not come in time.

    Attributes:
        route: The route's name; "" for the flat settings.
        logs: The globs of its logs; "" for the flat settings.
        deadline: When the log was due (aware, UTC).
        since: When the last log of the route came; before the first one, since when one is
            expected.
        expected: The expectation as a text words it: `by 06:30`.
        small_key: The key of a log that came and was too small; "" if none did.
        small_size: Its size in bytes.
        at_least: The size that it should have had.
    """

    route: str
    logs: str
    deadline: datetime.datetime
    since: datetime.datetime
    expected: str
    small_key: str = ""
    small_size: int = 0
    at_least: str = ""

    # The attributes of a log file that a notice needs.

    @property
    def bucket(self) -> str:
        """No bucket: the log is in none."""
        return ""

    @property
    def size(self) -> None:
        """No size."""

    @property
    def is_folder(self) -> bool:
        """Never: a folder is no log."""
        return False

    @property
    def key(self) -> str:
        """The globs of its logs."""
        return self.logs

    @property
    def time(self) -> datetime.datetime:
        """The time from which its text is overdue."""
        return self.deadline

    @property
    def identity(self) -> tuple[str, ...]:
        """The identity of the deadline: more or fewer fields than a log file's identity."""
        return ("missing", self.route, self.deadline.isoformat())

    def age(self, now: float) -> float:
        """How many seconds ago it was due."""
        return round(now - self.deadline.timestamp(), 1)

    @property
    def found(self) -> None:
        """Nothing was found in it."""

    def fields(self) -> dict[str, Any]:
        """Return its fields for JSON."""
        times = {"deadline": self.deadline.isoformat(), "since": self.since.isoformat()}
        return self._asdict() | times


def read_missing_log(fields: Mapping[str, Any]) -> MissingLog:
    """Read what `MissingLog.fields` returned.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: It is something else.
    """
    read = MissingLog(
        **{name: fields[name] for name in MissingLog._fields if name in fields}
        | {name: _moment(fields[name]) for name in ("deadline", "since")}
    )
    names = (read.route, read.expected, read.small_key, read.at_least)
    are_names = all(map(is_name, names)) and is_name(read.logs, MAX_LOGS_CHARACTERS)
    if not are_names or not is_size(read.small_size):
        raise ValueError("not a log that is missing")
    return read


def _moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None or moment.year not in YEARS:
        raise ValueError("not a moment")
    return moment.astimezone(datetime.UTC)
