"""A notice: the unit that is claimed, sent, held or failed."""

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from handler.metrics import ROUTE

if TYPE_CHECKING:
    from handler.events import LogFile
    from handler.missing_log import MissingLog

ID_DIGITS = 32
"""The hexadecimal digits of an id: 128 bits, so that an attempt lists it in 16 bytes."""


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
        """The same for a duplicate of the event, and another one for another write of the key.

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


def by_file(notices: Iterable[Notice]) -> "list[tuple[LogFile | MissingLog, list[str]]]":
    """Group the phones of notices by their files, and by what was found in these."""
    phones: dict[object, tuple[LogFile | MissingLog, list[str]]] = {}
    for notice in notices:
        file = notice.file
        phones.setdefault((file.identity, file.found), (file, []))[1].append(notice.phone)
    return list(phones.values())
