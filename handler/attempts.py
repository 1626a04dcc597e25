"""The ledger's records that a flush reads before it texts a phone, and the attempt that it opens.

A phone has one item for its attempts at summaries, and at most one of them is open. So the item is
the lock between two flushes: only a flush that has read it as closed, and has looked up
the texts since then, may open it.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

from handler.aws import as_number, nested
from handler.ledger import KEPT_SECONDS, State
from handler.notice import ID_DIGITS, REMOVE_ATTEMPT, SET_ATTEMPT, Attempt, Notice
from handler.table import LookUp, Table

MAX_TEXTS = 25_000
"""How many texts one attempt lists at most: 16 bytes for each, and an item has room for 400 KB.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""

_NEVER_SENT = "attribute_not_exists(id) OR (#s = :sending AND attribute_not_exists(attempt_at))"


class TextItem(NamedTuple):
    """The ledger's record of a text.

    Attributes:
        state: Its state.
        lease: When the sender's exclusive claim ends, in seconds since the epoch.
        attempt: The attempt of `notify`, if the text may have been sent by it.
    """

    state: str
    lease: int = 0
    attempt: Attempt | None = None


class PhoneAttempt(NamedTuple):
    """The last attempt at a summary for a phone.

    Attributes:
        number: Its number; 0 before the first one.
        open: The attempt; None if it is closed.
        ids: While it is open, the ids of the texts that the summary tells of.
    """

    number: int = 0
    open: Attempt | None = None
    ids: tuple[str, ...] = ()

    @classmethod
    def read(cls, item: object) -> Self | None:
        """Read the item of a phone. None if it has another shape."""
        if item is None:
            return cls()
        number, attempt = as_number(nested(item, "attempt", "N")), Attempt.read(item)
        if not number or not attempt:
            return cls(number) if number and nested(item, "attempt_at") is None else None
        try:
            whole = base64.b64decode(nested(item, "ids", "B"), validate=True).hex()
        except (TypeError, ValueError):
            return None
        ids = (whole[start : start + ID_DIGITS] for start in range(0, len(whole), ID_DIGITS))
        return cls(number, attempt, tuple(ids)) if whole else None


class Attempts:
    """Reads, opens and closes attempts, and looks up texts."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def read(self, phones: Sequence[str]) -> dict[str, PhoneAttempt]:
        """Return the last attempt of each phone, except for those that could not be read."""
        ids = {id_of_phone(phone): phone for phone in phones}
        found, unknown, _ = self._table.look_up(ids)
        attempts = {
            phone: PhoneAttempt.read(found.get(id_))
            for id_, phone in ids.items()
            if id_ not in unknown
        }
        return {phone: attempt for phone, attempt in attempts.items() if attempt}

    def open(self, phone: str, last: PhoneAttempt, notices: Sequence[Notice], body: str) -> bool:
        """Open the next attempt at a summary, unless another flush has done so.

        Args:
            phone: The phone.
            last: Its last attempt, as it was before the texts were looked up.
            notices: The texts that the summary tells of.
            body: The body of the summary.

        Returns:
            Whether it is open now, and this flush may send the summary.

        Raises:
            AwsError: The table cannot be reached.
        """
        now = self._clock()
        condition = "attribute_not_exists(id)"
        if last.number:
            condition = "attempt = :last AND attribute_not_exists(attempt_at)"
        ids = bytes.fromhex("".join(notice.id for notice in notices))
        return self._table.update_if(
            id_of_phone(phone),
            condition,
            {
                "UpdateExpression": "SET attempt = :number, ids = :ids, expires = :expires, "
                + SET_ATTEMPT,
                "ExpressionAttributeValues": {
                    ":number": {"N": str(last.number + 1)},
                    ":ids": {"B": base64.b64encode(ids).decode()},
                    ":expires": {"N": str(int(now) + KEPT_SECONDS)},
                    **Attempt.of(body, now).values,
                    **({":last": {"N": str(last.number)}} if last.number else {}),
                },
            },
        )

    def close(self, phone: str, number: int) -> bool:
        """Close an attempt, unless that was done before.

        Raises:
            AwsError: The table cannot be reached.
        """
        return self._table.update_if(
            id_of_phone(phone),
            "attempt = :number AND attribute_exists(attempt_at)",
            {
                "UpdateExpression": f"{REMOVE_ATTEMPT}, ids",
                "ExpressionAttributeValues": {":number": {"N": str(number)}},
            },
        )

    def look_up(self, notices: Sequence[Notice]) -> LookUp:
        """Look up the ledger's records of texts, as `TextItem`s."""
        found = self._table.look_up([notice.id for notice in notices])
        items = {
            id_: TextItem(
                str(nested(item, "state", "S")),
                as_number(nested(item, "lease", "N")) or 0,
                Attempt.read(item),
            )
            for id_, item in found.items.items()
        }
        return found._replace(items=items)

    def owners(self, sids: Sequence[str]) -> LookUp:
        """Look up the id of the text that each SID belongs to, if the ledger knows it."""
        found = self._table.look_up(sids)
        items = {sid: nested(item, "text", "S") for sid, item in found.items.items()}
        return found._replace(items=items)

    def hold(self, notice: Notice) -> bool:
        """Record that a text is held, if it cannot have been sent. No other sender sends it then.

        Returns:
            False if it has been sent meanwhile, or may have been.

        Raises:
            AwsError: The table cannot be reached.
        """
        return self._table.update_if(
            notice.id,
            _NEVER_SENT,
            {
                "UpdateExpression": "SET #s = :held, expires = :expires",
                "ExpressionAttributeNames": {"#s": "state"},
                "ExpressionAttributeValues": {
                    ":sending": {"S": State.SENDING},
                    ":held": {"S": State.HELD},
                    ":expires": {"N": str(int(self._clock()) + KEPT_SECONDS)},
                },
            },
        )

    def forget(self, notice: Notice, attempt: Attempt) -> bool:
        """Record that a text is held, and that Twilio never accepted it.

        Returns:
            False if another flush has found out before.

        Raises:
            AwsError: The table cannot be reached.
        """
        return self._table.update_if(
            notice.id,
            "attempt_at = :attempt_at",
            {
                "UpdateExpression": f"SET #s = :held {REMOVE_ATTEMPT}",
                "ExpressionAttributeNames": {"#s": "state"},
                "ExpressionAttributeValues": {
                    ":held": {"S": State.HELD},
                    ":attempt_at": {"N": str(attempt.at)},
                },
            },
        )


def id_of_phone(phone: str) -> str:
    """Give the id of a phone's item: a hash, since the table must not show phone numbers."""
    return hashlib.sha256(f"attempts {phone}".encode()).hexdigest()[:ID_DIGITS]
