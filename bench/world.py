"""The simulation for a great many log files. It counts what each request costs."""

import collections
from collections.abc import Mapping
from typing import Any

from handler.sender import Delivery
from simulation.quick_table import QuickTable
from simulation.world import World


class CountingWorld(World):
    """A world that counts.

    Attributes:
        requests: How many requests of each kind were made.
        units: How many units of reading and of writing DynamoDB charges for.
        delays: Of each text about a file, the seconds from the claim to Twilio's acceptance.
    """

    def __init__(self, **changes: Any) -> None:
        self.requests: collections.Counter[str] = collections.Counter()
        self.units: collections.Counter[str] = collections.Counter()
        self.delays: list[float] = []
        self._claimed: dict[str, float] = {}
        super().__init__(table=QuickTable, **changes)

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Count what a request costs, and answer it as `World` does."""
        self.requests[operation] += 1
        match operation:
            case "TransactWriteItems":
                items = payload["TransactItems"]
                self.units["write"] += 2 * len(items)  # a transaction writes everything twice
                self._claimed.setdefault(items[0]["Update"]["Key"]["id"]["S"], self.now)
            case "UpdateItem":
                # The index is written as well, where a text is asked after.
                self.units["write"] += 2 if "ask_at" in payload["UpdateExpression"] else 1
                # An attempt lists its texts. It is written as it is opened, and as it is closed.
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

    # Twilio knows at the first question that a text has arrived, and little is to be asked after

    def delivery(self, sid: str) -> Delivery:
        """Answer as `World` does while Twilio refuses; else that the text has arrived."""
        super().delivery(sid)
        return Delivery(status="delivered", phone=self.settings.to_numbers[0])
