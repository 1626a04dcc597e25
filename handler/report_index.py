"""The index of the texts whose delivery reports have not come yet: part of the ledger's table."""

import time
from collections.abc import Callable
from typing import NamedTuple

from handler.aws import as_list, as_number, nested
from handler.ledger import REPORT_DUE, REPORT_INDEX
from handler.table import Table

MAX_TEXTS = 200
"""The most texts that the index gives at once."""


class PendingReport(NamedTuple):
    """A text that Twilio accepted, and whose delivery report has not come yet.

    Attributes:
        id: Its item in the table.
        sid: Twilio's SID of it.
        sent_at: When it was accepted, in seconds since the epoch.
    """

    id: str
    sid: str
    sent_at: int


class ReportIndex:
    """Gives the texts that Twilio is asked about."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def due(self) -> list[PendingReport]:
        """Give the texts that Twilio is asked about now, the longest due first.

        Raises:
            AwsError: The table cannot be reached.
        """
        answer = self._table.call(
            "Query",
            {
                "TableName": self._table.name,
                "IndexName": REPORT_INDEX,
                "KeyConditionExpression": "report = :due AND ask_at <= :now",
                "ExpressionAttributeValues": {
                    ":due": {"S": REPORT_DUE},
                    ":now": {"N": str(int(self._clock()))},
                },
                "Limit": MAX_TEXTS,
            },
        )
        found = [_pending(item) for item in as_list(answer.get("Items"))]
        return [one for one in found if one]

    def remove(self, pending: PendingReport) -> bool:
        """Record that the report of a text has come.

        Returns:
            False if it had come before.

        Raises:
            AwsError: The table cannot be reached.
        """
        return self._table.update_if(
            pending.id,
            "attribute_exists(report)",
            {"UpdateExpression": "REMOVE report, ask_at"},
        )

    def postpone(self, pending: PendingReport) -> None:
        """Ask about a text again when it is twice as old.

        Raises:
            AwsError: The table cannot be reached.
        """
        now = int(self._clock())
        self._table.update_if(
            pending.id,
            "attribute_exists(report)",
            {
                "UpdateExpression": "SET ask_at = :value",
                "ExpressionAttributeValues": {":value": {"N": str(now + now - pending.sent_at)}},
            },
        )


def _pending(item: object) -> PendingReport | None:
    """Read an item of the index; None if it has another shape."""
    id_, sid = nested(item, "id", "S"), nested(item, "sid", "S")
    at = as_number(nested(item, "sent_at", "N"))
    if not (isinstance(id_, str) and isinstance(sid, str)) or at is None:
        return None
    return PendingReport(id=id_, sid=sid, sent_at=at)
