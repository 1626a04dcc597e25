"""A notice: the unit that is claimed, sent, held or failed; and the attempt to send its text."""

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from handler.aws import as_number, nested
from handler.metrics import ROUTE

if TYPE_CHECKING:
    from handler.events import LogFile
    from handler.missing_log import MissingLog

ID_DIGITS = 32
"""The hexadecimal digits of an id: 128 bits, so that an attempt lists it in 16 bytes."""


SEVERAL_ROUTES = "several"
"""The route, in log lines and metrics, of a summary over several ones."""


class Attempt(NamedTuple):
    """The ledger's record of a text, written before Twilio receives it.

    Attributes:
        at: When, in seconds since the epoch.
        fingerprint: The length and a hash of its body, by which Twilio's record of it is found.
    """

    at: int
    fingerprint: str

    @classmethod
    def of(cls, body: str, at: float) -> Self:
        """Return the attempt at a text with this body."""
        return cls(int(at), fingerprint(body))

    @property
    def length(self) -> int:
        """The length of the body."""
        return as_number(self.fingerprint.partition(" ")[0]) or 0

    @property
    def values(self) -> dict[str, Any]:
        """The values that `SET_ATTEMPT` writes."""
        return {":attempt_at": {"N": str(self.at)}, ":fingerprint": {"S": self.fingerprint}}

    @classmethod
    def read(cls, item: object) -> Self | None:
        """Read the attempt in an item of the table; None if there is none."""
        at, mark = as_number(nested(item, "attempt_at", "N")), nested(item, "fingerprint", "S")
        return None if at is None or not isinstance(mark, str) else cls(at, mark)


def fingerprint(body: str) -> str:
    """Return the length and a hash of a body, without white space around it.

    Twilio does not document whether it keeps that.
    """
    body = body.strip()
    hashed = hashlib.sha256(body.encode(errors="replace")).hexdigest()
    return f"{len(body)} {hashed[:ID_DIGITS]}"


SET_ATTEMPT = "attempt_at = :attempt_at, fingerprint = :fingerprint"
REMOVE_ATTEMPT = "REMOVE attempt_at, fingerprint"


class Notice:
    """One log file, or one missing log, for one phone.

    Attributes:
        file: The log file, or the missing log.
        phone: The phone, in E.164.
        route: The label of the route that words the text; "" in a stack without routes.
    """

    __slots__ = ("_id", "file", "phone", "route")

    def __init__(
        self,
        file: "LogFile | MissingLog",
        phone: str,
        route: str = "",
    ) -> None:
        self.file = file
        self.phone = phone
        self.route = route
        self._id = ""

    @property
    def route_field(self) -> dict[str, Any]:
        """The field of a log line that names its route: none in a stack without routes."""
        return {ROUTE: self.route} if self.route else {}

    @property
    def id(self) -> str:
        """The id: the same for a duplicate of the event, another one for another write of the key.

        A hash: keys may be longer than DynamoDB's, and the table must not show phone numbers.
        """
        if not self._id:
            whole = json.dumps((*self.file.identity, self.phone)).encode()
            self._id = hashlib.sha256(whole).hexdigest()[:ID_DIGITS]
        return self._id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Notice) and (self.file, self.phone) == (other.file, other.phone)

    def __hash__(self) -> int:
        return hash((self.file, self.phone))

    def __repr__(self) -> str:
        """Show no whole number."""
        return f"Notice({self.file!r}, …{self.phone[-4:]})"


def shared_route_field(notices: Iterable[Notice]) -> dict[str, Any]:
    """Return the field of a log line that names the route of a text about several notices."""
    fields = {notice.route: notice.route_field for notice in notices}
    return {ROUTE: SEVERAL_ROUTES} if len(fields) > 1 else next(iter(fields.values()), {})


def by_file(notices: Iterable[Notice]) -> "list[tuple[LogFile | MissingLog, list[str]]]":
    """Group the phones of notices by their files, and by what was found in these."""
    phones: dict[object, tuple[LogFile | MissingLog, list[str]]] = {}
    for notice in notices:
        file = notice.file
        phones.setdefault((file.identity, file.found), (file, []))[1].append(notice.phone)
    return list(phones.values())
