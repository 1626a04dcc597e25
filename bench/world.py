"""The simulation of millions of log files, with the number of billed requests."""

import collections
from collections.abc import Mapping
from typing import Any

from bench import prices
from handler.sender import Delivery
from infra.setting_reader import DEFAULTS
from simulation.quick_table import QuickTable
from simulation.world import World

LIMITS = {
    "max_texts_at_once": int(DEFAULTS["maxTextsAtOnce"]),
    "max_texts_per_hour": int(DEFAULTS["maxTextsPerHour"]),
    "flush_minutes": int(DEFAULTS["flushMinutes"]),
}
"""The default limits of a stack."""


class CountingWorld(World):
    """A `World` that counts requests and texts. Its limits are the settings' defaults.

    Attributes:
        requests: The number of requests of each kind.
        units: The read and write units that DynamoDB bills.
        delays: For each file, the seconds from the claim to Twilio's acceptance of the text.
        texts_at_once: The number of texts that `notify` sent itself.
    """

    def __init__(self, **changes: Any) -> None:
        self.requests: collections.Counter[str] = collections.Counter()
        self.units: collections.Counter[str] = collections.Counter()
        self.delays: list[float] = []
        self.texts_at_once = 0
        self._claimed: dict[str, float] = {}
        super().__init__(table=QuickTable, **(LIMITS | changes))

    def notify(self, *records: dict[str, Any], seconds_left: float = 60) -> None:
        """Notify as `World` does, and count the texts that are sent."""
        before = len(self.texts)
        super().notify(*records, seconds_left=seconds_left)
        self.texts_at_once += len(self.texts) - before

    @property
    def requests_to_sqs(self) -> int:
        """The number of requests to SQS."""
        return sum(
            count for name, count in self.requests.items() if name.endswith(("Batch", "Message"))
        )

    @property
    def table_dollars(self) -> float:
        """The price of the requests to DynamoDB."""
        written = self.units["write"] * prices.DYNAMODB_WRITE
        return written + self.units["read"] * prices.DYNAMODB_READ

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Count the units of a request, and answer it as `World` does."""
        self.requests[operation] += 1
        match operation:
            case "TransactWriteItems":
                items = payload["TransactItems"]
                self.units["write"] += 2 * len(items)  # each write of a transaction costs two
                self._claimed.setdefault(items[0]["Update"]["Key"]["id"]["S"], self.now)
            case "UpdateItem":
                # A change of `ask_at` writes the index as well.
                self.units["write"] += 2 if "ask_at" in payload["UpdateExpression"] else 1
                # An attempt lists its texts. It is written twice: when it opens and when it closes.
                values = payload.get("ExpressionAttributeValues", {})
                listed = values.get(":ids", {"B": ""})["B"]
                self.units["write"] += 2 * (len(listed) * 3 // 4 // 1024)
            case "BatchWriteItem":
                self._count_written(payload)
            case "BatchGetItem":
                ((_, request),) = payload["RequestItems"].items()
                self.units["read"] += len(request["Keys"])
            case "Query":
                self.units["read"] += 1
            case _ if service == "dynamodb":
                raise NotImplementedError(f"What does {operation} cost?")
            case _:
                pass
        return super().call(service, operation, payload)

    def _count_written(self, payload: Mapping[str, Any]) -> None:
        ((_, requests),) = payload["RequestItems"].items()
        for request in requests:
            item = request["PutRequest"]["Item"]
            self.units["write"] += 2 if "report" in item else 1  # the index is written as well
            if item.get("state") == {"S": "sent"}:
                claimed = self._claimed.pop(item["id"]["S"], None)
                if claimed is not None:
                    self.delays.append(self.now - claimed)

    def delivery(self, sid: str) -> Delivery:
        """Answer that the text has arrived, unless Twilio refuses. One question is enough."""
        super().delivery(sid)
        return Delivery(status="delivered", phone=self.settings.to_numbers[0])
