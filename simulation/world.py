"""A clock, a table, two queues and Twilio, as the state machine and the unit tests need them.

They take the place of AWS where the handler calls it (`Aws.call`) and of Twilio where it sends
(`Sender.send`): all else is the real code.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import requests

from handler.aws import Aws, AwsError
from handler.events import Unreadable
from handler.flusher import Flusher
from handler.ledger import Ledger
from handler.log import Log
from handler.notice import Notice
from handler.notifier import Notifier
from handler.outcomes import Outcomes
from handler.queue_messages import read
from handler.queues import VISIBILITY_SECONDS, Queue
from handler.refusals import Kind, Refusal
from handler.sender import Delivery, Refused
from handler.settings import Settings
from simulation.samples import TIME, settings

VISIBILITY = VISIBILITY_SECONDS


class Crash(BaseException):
    """The function's process ends here: nothing in the handler may catch it."""


@dataclasses.dataclass(eq=False)
class Stored:
    """A message on a queue."""

    body: str
    visible_at: float
    receipt: str = ""
    received: int = 0

    def __post_init__(self) -> None:
        self.sent_at = self.visible_at

    def told(self) -> dict[str, Any]:
        """What SQS says of it."""
        return {
            "Body": self.body,
            "ReceiptHandle": self.receipt,
            "Attributes": {
                "SentTimestamp": str(int(self.sent_at * 1000)),
                "ApproximateReceiveCount": str(self.received),
            },
        }


class World(Aws):
    """All that is around the functions. Time stands still unless a test moves it."""

    def __init__(self, **changes: Any) -> None:
        self.settings: Settings = settings(**changes)
        self.now = TIME.timestamp() + 1
        super().__init__({}, requests.Session(), clock=self.clock, sleep=self.wait)
        self.table: dict[str, dict[str, Any]] = {}
        self.queues: dict[str, list[Stored]] = {
            self.settings.held_queue: [],
            self.settings.failed_queue: [],
        }
        self.texts: list[tuple[float, str, str]] = []  # when, phone, body: what phones received
        self.refuses: Callable[[str], Refusal | None] = lambda _phone: None
        self.shuffle: Callable[[list[str]], None] = lambda _phones: None  # in a flush
        self.deliveries: dict[str, Delivery] = {}  # what became of a text, where it is known
        self.asked: list[str] = []  # the SIDs that Twilio was asked about
        self.doubtful = False  # Twilio accepts, and its answer is lost
        self.down: set[str] = set()  # the services that do not answer
        self.throttled = ""  # the code by which the table refuses whatever it is asked
        self.contended = 0  # how many transactions are cancelled by others
        self.refused_entries = 0  # how many messages SQS refuses
        self.crash_at: int | None = None  # the step at which the process ends
        self.steps = 0
        self.waited: list[int] = []  # how long each receive was ready to wait
        self.projected = {"id", "audit", "ask_at", "sid", "sent_at"}  # what the index holds
        self._receipts = itertools.count(1)
        self.restart()

    def restart(self) -> None:
        """Start new processes, as Lambda does after a crash."""
        self.log = Log(self.settings.stack)
        self.ledger = Ledger(self, self.settings.ledger_table, clock=self.clock)
        held = Queue(self, self.settings.held_queue)
        failed = Queue(self, self.settings.failed_queue)
        self.outcomes = Outcomes(ledger=self.ledger, held=held, failed=failed, log=self.log)
        parts: dict[str, Any] = {
            "sender": self,
            "ledger": self.ledger,
            "outcomes": self.outcomes,
            "log": self.log,
            "clock": self.clock,
        }
        self.notifier = Notifier(self.settings, **parts)
        self.flusher = Flusher(self.settings, held=held, shuffle=self._in_order, **parts)

    def _in_order(self, phones: list[str]) -> None:
        self.shuffle(phones)

    def all_is_well(self) -> None:
        """Let Twilio and AWS answer as they should."""
        self.refuses, self.doubtful = (lambda _phone: None), False
        self.down, self.throttled, self.contended, self.refused_entries = set(), "", 0, 0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Wait before a request is tried again. No time passes."""

    def notify(self, *records: dict[str, Any], seconds_left: float = 60) -> None:
        self.notifier.notify({"Records": list(records)}, lambda: seconds_left)

    def flush(self, seconds_left: float = 240) -> None:
        self.flusher.flush(lambda: seconds_left)

    @property
    def held(self) -> list[Stored]:
        return self.queues[self.settings.held_queue]

    @property
    def failed(self) -> list[Stored]:
        return self.queues[self.settings.failed_queue]

    def redrive(self) -> None:
        """Move what failed back to the held, as SQS does."""
        self.held.extend(Stored(one.body, self.now) for one in self.failed)
        self.failed.clear()

    def on(self, queue: list[Stored]) -> list[Notice]:
        """Give the texts that are on a queue."""
        items = [item for one in queue for item in read(one.body, self.settings.to_numbers)]
        return [item for item in items if not isinstance(item, Unreadable)]

    def state(self, id_: str) -> str:
        return str(self.table[id_]["state"]["S"]) if id_ in self.table else ""

    # Twilio

    def send(self, phone: str, body: str) -> str:
        self._step()
        refusal = self.refuses(phone)
        if refusal:
            raise Refused(refusal)
        self.texts.append((self.now, phone, body))
        self._step()
        if self.doubtful:
            raise Refused(Refusal(kind=Kind.IN_DOUBT, code=500, meaning="in doubt"))
        return f"SM{len(self.texts):032x}"

    def delivery(self, sid: str) -> Delivery:
        self._step()
        self.asked.append(sid)
        refusal = self.refuses(sid)
        if refusal:
            raise Refused(refusal)
        return self.deliveries.get(sid, Delivery(status="sent"))

    # AWS

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self._step()
        if service in self.down:
            raise AwsError(operation, "", {})
        if service == "dynamodb" and self.throttled:
            raise AwsError(operation, self.throttled, {})
        answer = getattr(self, f"_{operation}")(payload)
        self._step()
        return dict(answer or {})

    def _step(self) -> None:
        self.steps += 1
        if self.crash_at is not None and self.steps > self.crash_at:
            raise Crash

    def _TransactWriteItems(self, payload: Any) -> None:  # noqa: N802  # AWS's name
        updates = [item["Update"] for item in payload["TransactItems"]]
        reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in updates]
        if self.contended:
            self.contended -= 1
            reasons[-1] = {"Code": "TransactionConflict"}
        for update, reason in zip(updates, reasons, strict=True):
            if not self._allowed(update):
                reason["Code"] = "ConditionalCheckFailed"
                if update.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                    reason["Item"] = self.table[update["Key"]["id"]["S"]]
        if any(reason["Code"] != "None" for reason in reasons):
            raise AwsError(
                "TransactWriteItems",
                "TransactionCanceledException",
                {"CancellationReasons": reasons},
            )
        for update in updates:
            self._UpdateItem(update)

    def _allowed(self, update: Any) -> bool:
        item = self.table.get(update["Key"]["id"]["S"])
        values = update.get("ExpressionAttributeValues", {})
        match update.get("ConditionExpression"):
            case None:
                return True
            case "attribute_not_exists(id) OR (#s = :sending AND lease < :now)":
                return item is None or (
                    item["state"] == values[":sending"]
                    and int(item["lease"]["N"]) < int(values[":now"]["N"])
                )
            case "attribute_not_exists(texts) OR texts < :limit":
                return item is None or int(item["texts"]["N"]) < int(values[":limit"]["N"])
            case "#s = :sending":
                return item is not None and item["state"] == values[":sending"]
            case "texts > :zero":
                return item is not None and int(item["texts"]["N"]) > 0
            case "attribute_exists(audit)":
                return item is not None and "audit" in item
            case other:
                raise AssertionError(other)

    def _UpdateItem(self, update: Any) -> None:  # noqa: N802  # AWS's name
        if not self._allowed(update):
            raise AwsError("UpdateItem", "ConditionalCheckFailedException", {})
        item = self.table.setdefault(update["Key"]["id"]["S"], {})
        values = update.get("ExpressionAttributeValues", {})
        match update["UpdateExpression"]:
            case "SET #s = :sending, lease = :lease, expires = :expires":
                item |= {"state": values[":sending"], "lease": values[":lease"]}
            case "SET expires = :expires ADD texts :one":
                item["texts"] = {"N": str(int(item.get("texts", {"N": "0"})["N"]) + 1)}
            case "ADD texts :less":
                item["texts"] = {"N": str(int(item["texts"]["N"]) + int(values[":less"]["N"]))}
                return
            case "SET #s = :value":
                item["state"] = values[":value"]
                return
            case "REMOVE audit, ask_at":
                del item["audit"], item["ask_at"]
                return
            case "SET ask_at = :value":
                item["ask_at"] = values[":value"]
                return
            case "SET lease = :value":
                item["lease"] = values[":value"]
                return
            case other:
                raise AssertionError(other)
        item["expires"] = values[":expires"]

    def _BatchWriteItem(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        (requests,) = payload["RequestItems"].values()
        assert len(requests) <= 25
        ids = [request["PutRequest"]["Item"]["id"]["S"] for request in requests]
        assert len(set(ids)) == len(ids)
        for request in requests:
            item = request["PutRequest"]["Item"]
            self.table[item["id"]["S"]] = dict(item)
        return {"UnprocessedItems": {}}

    def _BatchGetItem(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        ((table, wanted),) = payload["RequestItems"].items()
        assert len(wanted["Keys"]) <= 100
        found = [
            {"id": key["id"], **self.table[key["id"]["S"]]}
            for key in wanted["Keys"]
            # Other reads may not know yet what was written last.
            if key["id"]["S"] in self.table and wanted.get("ConsistentRead")
        ]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def _Query(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        assert payload["KeyConditionExpression"] == "audit = :due AND ask_at <= :now"
        values = payload["ExpressionAttributeValues"]
        now = int(values[":now"]["N"])
        found = [
            {
                key: value
                for key, value in {"id": {"S": id_}, **item}.items()
                if key in self.projected
            }
            for id_, item in self.table.items()
            if item.get("audit") == values[":due"] and int(item["ask_at"]["N"]) <= now
        ]
        found.sort(key=lambda item: int(item["ask_at"]["N"]))
        return {"Items": found[: payload["Limit"]]}

    def _SendMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        assert 0 < len(payload["Entries"]) <= 10
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for entry in payload["Entries"]:
            if self.refused_entries:
                self.refused_entries -= 1
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            else:
                self.queues[payload["QueueUrl"]].append(Stored(entry["MessageBody"], self.now))
                named = {"MessageId": f"m{len(done)}", "MD5OfMessageBody": "0" * 32}
                done.append({"Id": entry["Id"], **named})
        return {"Successful": done, "Failed": failed}

    def _ReceiveMessage(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        # Without waiting SQS asks some of its servers only, and may find nothing.
        self.waited.append(payload["WaitTimeSeconds"])
        if not payload["WaitTimeSeconds"]:
            return {"Messages": []}
        visible = [one for one in self.queues[payload["QueueUrl"]] if one.visible_at <= self.now]
        taken = visible[: payload["MaxNumberOfMessages"]]
        for one in taken:
            one.visible_at, one.receipt = self.now + VISIBILITY, f"r{next(self._receipts)}"
            one.received += 1
        return {"Messages": [one.told() for one in taken]}

    def _DeleteMessageBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        queue = self.queues[payload["QueueUrl"]]
        answer, found = self._each(payload)
        queue[:] = [one for one in queue if one not in found]
        return answer

    def _ChangeMessageVisibilityBatch(self, payload: Any) -> dict[str, Any]:  # noqa: N802  # AWS's name
        answer, found = self._each(payload)
        for one in found:
            (seconds,) = {
                entry["VisibilityTimeout"]
                for entry in payload["Entries"]
                if entry["ReceiptHandle"] == one.receipt
            }
            one.visible_at = self.now + seconds
        return answer

    def _each(self, payload: Any) -> tuple[dict[str, Any], list[Stored]]:
        """Find the messages that a batch is about, by the receipts of their last reception.

        Not quite SQS: it deletes by an older receipt as well.
        """
        ids = [entry["Id"] for entry in payload["Entries"]]
        assert 0 < len(set(ids)) == len(ids) <= 10
        by_receipt = {one.receipt: one for one in self.queues[payload["QueueUrl"]] if one.receipt}
        found, done, failed = [], [], []
        for entry in payload["Entries"]:
            if one := by_receipt.get(entry["ReceiptHandle"]):
                found.append(one)
                done.append({"Id": entry["Id"]})
            else:
                code = {"Code": "ReceiptHandleIsInvalid", "SenderFault": True}
                failed.append({"Id": entry["Id"], **code})
        return {"Successful": done, "Failed": failed}, found
