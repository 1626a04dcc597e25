"""AWS, Twilio and a clock for a great many files: the handler's own code decides on them.

The tests' `World`, made quick for many, and counting what each request costs.
"""

import collections
import itertools
from collections.abc import Mapping
from typing import Any

from tests.unit.fake_world import VISIBILITY, Stored, World


class Measured(World):
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
        self._ready: collections.deque[Stored] = collections.deque()
        self._taken: collections.OrderedDict[str, Stored] = collections.OrderedDict()
        super().__init__(**changes)

    @property
    def waiting(self) -> int:
        """How many messages are on the queue `held`."""
        return len(self._ready) + len(self._taken)

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Count what a request costs, and answer it as `World` does."""
        self.requests[operation] += 1
        match operation:
            case "TransactWriteItems":
                items = payload["TransactItems"]
                self.units["write"] += 2 * len(items)  # a transaction writes everything twice
                self._claimed.setdefault(items[0]["Update"]["Key"]["id"]["S"], self.now)
            case "UpdateItem":
                self.units["write"] += 1
            case "BatchWriteItem":
                self._count_written(payload)
            case "BatchGetItem":
                ((_, wanted),) = payload["RequestItems"].items()
                self.units["read"] += len(wanted["Keys"])
            case "Query":
                self.units["read"] += 1
            case _:
                pass
        return super().call(service, operation, payload)

    def _count_written(self, payload: Mapping[str, Any]) -> None:
        ((_, requests),) = payload["RequestItems"].items()
        for request in requests:
            item = request["PutRequest"]["Item"]
            self.units["write"] += 2 if "audit" in item else 1  # the index is written as well
            if item["state"]["S"] == "sent":
                claimed = self._claimed.pop(item["id"]["S"], None)
                if claimed is not None:
                    self.delays.append(self.now - claimed)

    # The audit is a request to Twilio for each text, and a unit of writing: it costs nothing else.

    def _Query(self, payload: Any) -> dict[str, Any]:  # noqa: N802, ARG002
        return {"Items": []}

    # Queues as quick with many messages as with few

    def _SendMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802
        if payload["QueueUrl"] != self.settings.held_queue:
            return super()._SendMessageBatch(payload)
        for entry in payload["Entries"]:
            self._ready.append(Stored(entry["MessageBody"], self.now))
        return {}

    def _ReceiveMessage(self, payload: Any) -> dict[str, Any]:  # noqa: N802
        oldest = itertools.islice(self._taken.items(), payload["MaxNumberOfMessages"])
        for receipt, one in list(oldest):
            if one.visible_at <= self.now:
                self._ready.append(self._taken.pop(receipt))
        messages: list[dict[str, Any]] = []
        while self._ready and len(messages) < payload["MaxNumberOfMessages"]:
            one = self._ready.popleft()
            one.visible_at, one.receipt = self.now + VISIBILITY, f"r{next(self._receipts)}"
            self._taken[one.receipt] = one
            messages.append({"Body": one.body, "ReceiptHandle": one.receipt})
        return {"Messages": messages}

    def _DeleteMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802
        for entry in payload["Entries"]:
            del self._taken[entry["ReceiptHandle"]]
        return {}
