"""Fakes of AWS's clients: a deployed stack as the operator's commands see it."""

import datetime
import email.utils
import io
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from handler.ledger import Limits, key_of_hour
from handler.notice import Attempt
from handler.sender import Delivery
from simulation import samples
from stack.deployed import Stack

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
EARLIER = NOW - datetime.timedelta(hours=1)
TWINS = ("+15005550100", "+13055550100")
"""Two phones with the same last four digits."""

ACCOUNT = "123456789012"
REGION = "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:s3-logs-prod-alarms-1a2b3c4"
HOSTILE = "\x1b[2Japp/[red]x[/red]\n12:00:00  notify  sent\u202e\x9b31m\r\x07.log"

OUTPUTS = {
    "alarmTopic": TOPIC,
    "bucket": "logs-1a2b3c4",
    "logKeys": "*.log",
    "dashboard": f"https://{REGION}.console.aws.amazon.com/cloudwatch/home#dashboards/dashboard/"
    + "s3-logs-prod-" * 8,
    "notifyFunction": "notify-1a2b3c4",
    "flushFunction": "flush-1a2b3c4",
    "notifyLogGroup": "notify",
    "flushLogGroup": "flush",
    "heldQueue": "https://sqs/held",
    "failedQueue": "https://sqs/failed",
}


def refusal(code: str, operation: str, message: str = "said AWS") -> ClientError:
    """Return the error that a client raises when AWS refuses a request."""
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


class Queue:
    """One queue. A received message is hidden until its visibility timeout ends."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.refuses: Callable[[str], str] = lambda _body: ""
        self.most_bytes = 10**6
        self.now = 0.0
        self.received = 0
        self.fails_to_delete = False
        self._ids = itertools.count()

    def put(
        self,
        body: str,
        *,
        sent: datetime.datetime = NOW,
        hidden: float = 0,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a message on the queue."""
        self.messages.append(
            {
                "id": f"id-{next(self._ids)}",
                "Body": body,
                "sent": sent,
                "hidden": hidden,
                "attributes": attributes,
            }
        )

    @property
    def bodies(self) -> list[str]:
        """Return the bodies of all messages."""
        return [one["Body"] for one in self.messages]

    @property
    def visible(self) -> list[dict[str, Any]]:
        """Return the messages that can be received."""
        return [one for one in self.messages if one["hidden"] <= self.now]


class Sqs:
    """SQS. Without long polling it returns no message, as AWS may do."""

    def __init__(self) -> None:
        self.queues = {"https://sqs/held": Queue(), "https://sqs/failed": Queue()}
        self.on_receive: Callable[[Queue], None] = lambda _queue: None

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Any) -> Any:  # noqa: N803  # AWS's names
        queue = self.queues[QueueUrl]
        visible = len(queue.visible)
        return _answer(
            Attributes={
                "ApproximateNumberOfMessages": str(visible),
                "ApproximateNumberOfMessagesNotVisible": str(len(queue.messages) - visible),
                "VisibilityTimeout": "240",
            }
        )

    def receive_message(self, **asked: Any) -> Any:
        queue = self.queues[asked["QueueUrl"]]
        queue.received += 1
        self.on_receive(queue)
        if not asked.get("WaitTimeSeconds"):
            return _answer()
        found = queue.visible[: asked["MaxNumberOfMessages"]]
        for one in found:
            one["hidden"] = queue.now + asked["VisibilityTimeout"]
        return _answer(
            Messages=[
                {
                    "MessageId": one["id"],
                    "ReceiptHandle": one["id"],
                    "Body": one["Body"],
                    "Attributes": {"SentTimestamp": str(int(one["sent"].timestamp() * 1000))},
                    **({"MessageAttributes": one["attributes"]} if one["attributes"] else {}),
                }
                for one in found
            ]
        )

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> Any:  # noqa: N803  # AWS's names
        queue, failed = self.queues[QueueUrl], []
        if sum(len(one["MessageBody"]) for one in Entries) > queue.most_bytes:
            raise refusal("AWS.SimpleQueueService.BatchRequestTooLong", "SendMessageBatch")
        for one in Entries:
            if code := queue.refuses(one["MessageBody"]):
                failed.append({"Id": one["Id"], "Code": code, "SenderFault": True})
            else:
                queue.put(one["MessageBody"])
        return _answer(Failed=failed) if failed else _answer()

    def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> Any:  # noqa: N803  # AWS's names
        queue = self.queues[QueueUrl]
        if queue.fails_to_delete:
            return _answer(Failed=[{"Id": one["Id"], "Code": "InternalError"} for one in Entries])
        gone = {one["ReceiptHandle"] for one in Entries}
        queue.messages = [one for one in queue.messages if one["id"] not in gone]
        return _answer()

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> Any:  # noqa: N803  # AWS's names
        queue = self.queues[QueueUrl]
        for entry in Entries:
            for one in queue.messages:
                if one["id"] == entry["ReceiptHandle"]:
                    one["hidden"] = queue.now + entry["VisibilityTimeout"]
        return _answer()


class Pages:
    """An operation whose answer has pages."""

    def __init__(self, pages: Callable[..., list[Any]]) -> None:
        self.paginate = pages


class Logs:
    """CloudWatch's logs."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, datetime.datetime, dict[str, Any] | str]] = []
        self.on_read: Callable[[], None] = lambda: None

    def add(self, function: str, *, at: datetime.datetime = NOW, **fields: Any) -> None:
        """Add a line to a function's log."""
        self.lines.append((function, at, fields))

    def get_paginator(self, _operation: str) -> Pages:
        return Pages(self._pages)

    def _pages(self, *, logGroupName: str, startTime: int, filterPattern: str) -> list[Any]:  # noqa: N803  # AWS's names
        self.on_read()
        events = []
        for number, (function, at, fields) in enumerate(self.lines):
            milliseconds = int(at.timestamp() * 1000)
            if function == logGroupName and milliseconds >= startTime:
                message = fields if isinstance(fields, str) else json.dumps(fields)
                events.append(
                    {"logStreamName": str(number), "timestamp": milliseconds, "message": message}
                )
        return [{"events": events}]


class Functions:
    """Lambda."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.on_invoke: Callable[[], Any] = lambda: None

    def get_function_configuration(self, **_asked: Any) -> Any:
        return _answer(Environment={"Variables": self.environment})

    def invoke(self, **_asked: Any) -> Any:
        failure = self.on_invoke()
        if failure:
            payload = io.BytesIO(json.dumps(failure).encode())
            return _answer(FunctionError="Unhandled", Payload=payload)
        return _answer()


class Bucket:
    """S3."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.uploads: list[str] = []
        self.bodies: list[bytes] = []
        self.on_put: Callable[[str], None] = lambda _key: None

    def put_object(self, **asked: Any) -> Any:
        self.keys.append(asked["Key"])
        self.uploads.append(asked["Key"])
        self.bodies.append(asked["Body"])
        self.on_put(asked["Key"])
        return _answer()

    def delete_object(self, **asked: Any) -> Any:
        self.keys = [key for key in self.keys if key != asked["Key"]]
        return _answer()


class Topics:
    """SNS."""

    def __init__(self) -> None:
        self.subscriptions: list[dict[str, str]] = []

    def subscribe(self, address: str, arn: str = f"{TOPIC}:1") -> None:
        """Subscribe an address. The ARN `PendingConfirmation` means that it has not confirmed."""
        self.subscriptions.append(
            {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": address, "TopicArn": TOPIC}
        )

    def get_paginator(self, _operation: str) -> Pages:
        return Pages(lambda **_asked: [{"Subscriptions": self.subscriptions}])


class Alarms:
    """CloudWatch's alarms."""

    def __init__(self) -> None:
        self.alarms: list[dict[str, Any]] = []

    def raise_alarm(self, description: str, topic: str = TOPIC) -> None:
        """Add an alarm that is on and notifies a topic."""
        self.alarms.append(
            {"AlarmDescription": description, "AlarmActions": [topic], "StateValue": "ALARM"}
        )

    def get_paginator(self, _operation: str) -> Pages:
        def pages(*, ActionPrefix: str) -> list[Any]:  # noqa: N803  # AWS's name
            found = [
                one
                for one in self.alarms
                if any(action.startswith(ActionPrefix) for action in one["AlarmActions"])
            ]
            return [{"MetricAlarms": found}]

        return Pages(pages)


class Table:
    """DynamoDB: the ledger's counts and attempts."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, int]] = {}
        self.attempts: dict[str, dict[str, Any]] = {}
        self.returned_at_once = 100
        self.denies = False

    def attempt(self, id_: str, at: datetime.datetime) -> None:
        """Add a text in doubt, whose attempt began at this time."""
        values = Attempt.of("a text", at.timestamp()).values
        names = {":attempt_at": "attempt_at", ":fingerprint": "fingerprint"}
        self.attempts[id_] = {"id": {"S": id_}} | {
            names[name]: value for name, value in values.items()
        }

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803  # AWS's name
        """Return items with attempts, and leave the last keys for another request."""
        if self.denies:
            raise refusal("AccessDeniedException", "BatchGetItem")
        ((name, asked),) = RequestItems.items()
        assert name == samples.settings().ledger_table
        assert len(asked["Keys"]) <= 100
        now, later = (
            asked["Keys"][: self.returned_at_once],
            asked["Keys"][self.returned_at_once :],
        )
        found = [self.attempts[key["id"]["S"]] for key in now if key["id"]["S"] in self.attempts]
        left = {name: asked | {"Keys": later}} if later else {}
        return _answer(Responses={name: found}, UnprocessedKeys=left)

    def count(self, phone: str, texts: int, in_burst: int = 0) -> None:
        """Set a phone's counts of this hour and burst; the length of a burst is the usual one."""
        usual = samples.settings()
        burst = Limits.of(usual, usual.flush_minutes).burst(NOW.timestamp())
        id_ = key_of_hour(phone, NOW.timestamp())["id"]["S"]
        self.items[id_] = {"texts": texts, f"b{burst}": in_burst}

    def get_item(self, *, TableName: str, Key: Any) -> Any:  # noqa: N803  # AWS's names
        assert TableName == samples.settings().ledger_table
        item = self.items.get(Key["id"]["S"])
        found = {name: {"N": str(value)} for name, value in (item or {}).items()}
        return _answer(Item=found) if item else _answer()


class Callers:
    """STS, which names the caller's account."""

    def __init__(self) -> None:
        self.account = ACCOUNT
        self.asked = 0

    def get_caller_identity(self) -> Any:
        self.asked += 1
        return _answer(Account=self.account)


class Twilio:
    """Twilio's answers about the delivery of texts."""

    def __init__(self) -> None:
        self.status = "delivered"

    def delivery(self, _sid: str) -> Delivery:
        return Delivery(status=self.status)


class Operated:
    """A stack with its fakes."""

    def __init__(self, name: str = "prod", **settings: Any) -> None:
        self.sqs, self.logs, self.s3 = Sqs(), Logs(), Bucket()
        self.sns, self.cloudwatch, self.sts = Topics(), Alarms(), Callers()
        in_force = samples.settings(stack=f"s3-logs/{name}", **settings)
        self.functions = Functions(samples.environment(in_force))
        self.twilio = Twilio()
        self.table = Table()
        aws = {
            "sqs": self.sqs,
            "logs": self.logs,
            "s3": self.s3,
            "sns": self.sns,
            "cloudwatch": self.cloudwatch,
            "sts": self.sts,
            "lambda": self.functions,
            "dynamodb": self.table,
        }
        self.stack = Stack(name, OUTPUTS, aws)
        self.stack.__dict__["sender"] = self.twilio

    @property
    def held(self) -> Queue:
        """The queue `held`."""
        return self.sqs.queues["https://sqs/held"]

    @property
    def failed(self) -> Queue:
        """The queue `failed`."""
        return self.sqs.queues["https://sqs/failed"]

    def sends(self, key: str, phone: str = "…0100", **fields: Any) -> None:
        """Log that notify saw a file and texted a phone."""
        self.logs.add("notify", outcome="seen", key=key)
        self.decides(key, phone, **fields)

    def decides(self, key: str, phone: str = "…0100", **fields: Any) -> None:
        """Log a decision of notify about a file and a phone."""
        line: dict[str, Any] = {
            "outcome": "sent",
            "sid": "SM1",
            "Segments": 1,
            "SecondsToText": 1.5,
        }
        line |= {"key": key, "phone": phone, **fields}
        self.logs.add("notify", **line)


Run = Callable[..., str]
"""A function that runs an operator's command on a stack and returns its output."""


def held_message(key: str = "app/web.log", reason: str = "busy", **details: Any) -> str:
    """Return the body of a message that notify puts on the queue `held`."""
    file = samples.log_file(key)._asdict() | {"time": samples.TIME.isoformat()}
    return json.dumps({"file": file, "phone": samples.PHONE, "reason": reason, **details})


def _answer(**fields: Any) -> dict[str, Any]:
    date = email.utils.format_datetime(NOW, usegmt=True)
    return {**fields, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}
