"""The queues of a stack: how much waits there, why, and moving it back."""

import collections
import dataclasses
import datetime
import json
from collections.abc import Iterator
from typing import Any

from handler import log
from handler.events import Unreadable, read
from handler.queues import BATCH
from ops.stack import Stack

PEEKED = 100
"""How many messages are looked at."""

PEEK_SECONDS = 5
"""How long a message is hidden at most while it is looked at."""


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A message that waits on a queue.

    Attributes:
        why: The reason, with Twilio's code and what it means.
        about: Which file for which phone, as far as the message says.
        since: When it came to the queue.
    """

    why: str
    about: str
    since: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Group:
    """Messages that wait for the same reason.

    Attributes:
        why: The reason.
        count: How many there are among those that were looked at.
        oldest: The one that waits longest.
    """

    why: str
    count: int
    oldest: Waiting


def count(stack: Stack, queue: str) -> int:
    """Count the messages on a queue, those included that somebody works on."""
    attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.aws["sqs"].get_queue_attributes(
        QueueUrl=stack.outputs[f"{queue}Queue"], AttributeNames=attributes
    )["Attributes"]
    return sum(int(found.get(attribute, 0)) for attribute in attributes)


def grouped(stack: Stack, queue: str) -> list[Group]:
    """Look at messages of a queue, without taking them, and group them by their reason."""
    groups = collections.defaultdict(list)
    for waiting in _peek(stack, queue):
        groups[waiting.why].append(waiting)
    found = [
        Group(why, len(some), min(some, key=lambda one: one.since)) for why, some in groups.items()
    ]
    return sorted(found, key=lambda group: -group.count)


def redrive(stack: Stack) -> int:
    """Move all that failed back to the held. Gives how many messages.

    Each is sent before it is deleted: one that is interrupted is on both queues, and the flush
    texts it once. SQS's own redrive would do as well, but not on an emulator.
    """
    sqs, failed, held = (
        stack.aws["sqs"], stack.outputs["failedQueue"], stack.outputs["heldQueue"]
    )  # fmt: skip
    moved = 0
    while messages := _receive(stack, "failed", seconds=60):
        entries = [
            {"Id": str(number), "MessageBody": message["Body"]}
            for number, message in enumerate(messages)
        ]
        sent = sqs.send_message_batch(QueueUrl=held, Entries=entries).get("Successful", [])
        done = [messages[int(one["Id"])] for one in sent]
        for message in done:
            sqs.delete_message(QueueUrl=failed, ReceiptHandle=message["ReceiptHandle"])
        moved += len(done)
    return moved


def _receive(stack: Stack, queue: str, *, seconds: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = (
        stack.aws["sqs"]
        .receive_message(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        .get("Messages", [])
    )
    return messages


def _peek(stack: Stack, queue: str) -> Iterator[Waiting]:
    messages: list[dict[str, Any]] = []
    while len(messages) < PEEKED:
        some = _receive(stack, queue, seconds=PEEK_SECONDS)
        if not some:
            break
        messages += some
    for message in messages:
        stack.aws["sqs"].change_message_visibility(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=0,
        )
        sent = int(message["Attributes"]["SentTimestamp"]) / 1000
        why, about = described(message["Body"])
        yield Waiting(why, about, datetime.datetime.fromtimestamp(sent, datetime.UTC))


def described(body: str) -> tuple[str, str]:
    """Say why a message is on a queue, and what it is about; see `handler.due.read`."""
    try:
        message = json.loads(body)
    except ValueError:
        return "not JSON", ""
    match message:
        case {"file": {"key": key}, "phone": str(phone), "reason": reason}:
            code = f" ({message['code']}: {message['meaning']})" if "code" in message else ""
            return f"{reason}{code}", f"{key} for {log.masked(phone)}"
        case {"unreadable": _, "reason": reason}:
            return f"unreadable: {reason}", ""
        case {"requestContext": dict(context), "requestPayload": payload}:
            files = [one.key for one in read(payload) if not isinstance(one, Unreadable)]
            why = context.get("condition", "for no reason that it says")
            return f"Lambda gave up on it: {why}", ", ".join(files)
        case {"source": "aws.s3", "detail": {"object": {"key": str(key)}}}:
            return "EventBridge gave up on it", key
        case _:
            return "unknown", ""
