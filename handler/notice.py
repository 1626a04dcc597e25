"""A notice: the unit that is claimed, sent, held or failed."""

import hashlib
import json
from collections.abc import Iterable

from handler.events import LogFile

ID_DIGITS = 32
"""The hexadecimal digits of an id: 128 bits, so that an attempt lists it in 16 bytes."""


class Notice:
    """One log file for one phone.

    Attributes:
        file: The log file.
        phone: The phone, in E.164.
    """

    __slots__ = ("_id", "file", "phone")

    def __init__(self, file: LogFile, phone: str) -> None:
        self.file = file
        self.phone = phone
        self._id = ""

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


def by_file(notices: Iterable[Notice]) -> list[tuple[LogFile, list[str]]]:
    """Group the phones of notices by their files."""
    phones: dict[tuple[str, ...], tuple[LogFile, list[str]]] = {}
    for notice in notices:
        phones.setdefault(notice.file.identity, (notice.file, []))[1].append(notice.phone)
    return list(phones.values())
