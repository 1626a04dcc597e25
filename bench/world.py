"""AWS, Twilio and a clock for a great many files: the handler's own code decides on them.

The tests' `World`, made quick for many, and counting what each request costs.
"""

import collections
import itertools
from collections.abc import Mapping
from typing import Any

from handler.sender import Delivery
from simulation.world import VISIBILITY, Stored, World


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
        self._to_audit: dict[str, dict[str, Any]] = {}
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
                # The index is written as well, where a text is asked after.
                self.units["write"] += 2 if "ask_at" in payload["UpdateExpression"] else 1
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

    # Twilio knows at the first question that a text has arrived, and little is to be asked after

    def delivery(self, sid: str) -> Delivery:
        """Answer as `World` does while Twilio refuses; else that the text has arrived."""
        super().delivery(sid)
        return Delivery(status="delivered", phone=self.settings.to_numbers[0])

    def _BatchWriteItem(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        answer = super()._BatchWriteItem(payload)
        ((_, requests),) = payload["RequestItems"].items()
        for request in requests:
            item = request["PutRequest"]["Item"]
            if "audit" in item:
                id_ = item["id"]["S"]
                self._to_audit[id_] = self.table[id_]
        return answer

    def _Query(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        self._to_audit = {id_: item for id_, item in self._to_audit.items() if "audit" in item}
        whole, self.table = self.table, self._to_audit
        try:
            return super()._Query(payload)
        finally:
            self.table = whole

    # Queues as quick with many messages as with few

    def _SendMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        if payload["QueueUrl"] != self.settings.held_queue:
            return super()._SendMessageBatch(payload)
        for entry in payload["Entries"]:
            self._ready.append(Stored(entry["MessageBody"], self.now))
        return _done(payload)

    def _ReceiveMessage(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        oldest = itertools.islice(self._taken.items(), payload["MaxNumberOfMessages"])
        for receipt, one in list(oldest):
            if one.visible_at <= self.now:
                self._ready.append(self._taken.pop(receipt))
        messages: list[dict[str, Any]] = []
        while self._ready and len(messages) < payload["MaxNumberOfMessages"]:
            one = self._ready.popleft()
            one.visible_at, one.receipt = self.now + VISIBILITY, f"r{next(self._receipts)}"
            self._taken[one.receipt] = one
            messages.append(one.told())
        return {"Messages": messages}

    def _DeleteMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        for entry in payload["Entries"]:
            del self._taken[entry["ReceiptHandle"]]
        return _done(payload)

    def _ChangeMessageVisibilityBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        for entry in payload["Entries"]:
            one = self._taken[entry["ReceiptHandle"]]
            one.visible_at = self.now + entry["VisibilityTimeout"]
            self._taken.move_to_end(entry["ReceiptHandle"], last=bool(entry["VisibilityTimeout"]))
        return _done(payload)


def _done(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"Successful": [{"Id": entry["Id"]} for entry in payload["Entries"]]}
