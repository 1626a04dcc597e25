"""The queues of a stack: how many messages are on them, and why."""

import collections
import dataclasses
import datetime
import json
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from handler import log
from handler.aws import batches
from handler.events import Unreadable, read
from handler.queues import BATCH, HELD_SINCE
from stack.deployed import Stack, answered_at
from stack.reasons import in_words

MAX_PEEKED = 100
"""The most messages that are read to describe a queue."""

PEEK_SECONDS = 20
"""How long a message stays hidden from others while it is read, at most."""

WAIT_SECONDS = 2
"""How long SQS waits for messages. Without a wait it asks only some of its servers."""

Message = dict[str, Any]


class Count(NamedTuple):
    """How many messages are on a queue, by SQS's own count, which lags behind by up to a minute.

    Attributes:
        visible: How many can be received.
        hidden: How many another program, such as a flush, has received and not deleted.
        hidden_minutes: How long a received message stays hidden, rounded up.
    """

    visible: int
    hidden: int
    hidden_minutes: int

    @property
    def all(self) -> int:
        """All of them."""
        return self.visible + self.hidden


class Content(NamedTuple):
    """The content of a message, in words for people.

    Attributes:
        reason: Why it is on the queue, with Twilio's code and what it means.
        subject: The file and its phones, as far as the message names them.
    """

    reason: str
    subject: str


class Queued(NamedTuple):
    """A message on a queue.

    Attributes:
        body: The message itself.
        content: Its content.
        sent_at: When it came to the queue.
    """

    body: str
    content: Content
    sent_at: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Group:
    """Messages that are on a queue for the same reason.

    Attributes:
        reason: The reason.
        count: How many of the messages that were read have it.
        oldest: The message of these that came first.
    """

    reason: str
    count: int
    oldest: Queued


def count(stack: Stack, queue: str) -> Count:
    """Count the messages on a queue."""
    return count_with_time(stack, queue)[0]


def count_with_time(stack: Stack, queue: str) -> tuple[Count, datetime.datetime]:
    """Count the messages on a queue. Return SQS's own time as well, rounded down to the second."""
    answer = stack.aws["sqs"].get_queue_attributes(
        QueueUrl=stack.outputs[f"{queue}Queue"],
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "VisibilityTimeout",
        ],
    )
    found = answer["Attributes"]
    counted = Count(
        visible=int(found.get("ApproximateNumberOfMessages", 0)),
        hidden=int(found.get("ApproximateNumberOfMessagesNotVisible", 0)),
        hidden_minutes=math.ceil(int(found["VisibilityTimeout"]) / 60),
    )
    return counted, answered_at(answer)


def group_by_reason(messages: Iterable[Queued]) -> list[Group]:
    """Group messages by their reason."""
    groups = collections.defaultdict(list)
    for queued in messages:
        groups[queued.content.reason].append(queued)
    found = [
        Group(reason, len(some), min(some, key=lambda one: one.sent_at))
        for reason, some in groups.items()
    ]
    return sorted(found, key=lambda group: -group.count)


def receive(stack: Stack, queue: str, seconds: int) -> list[Message]:
    """Receive up to ten messages, and hide them from others for so many seconds."""
    messages: list[Message] = (
        stack.aws["sqs"]
        .receive_message(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=[HELD_SINCE],
        )
        .get("Messages", [])
    )
    return messages


def sent_at(message: Message) -> datetime.datetime:
    """Return when a message first came to its queue. A flush may have renewed it since."""
    renewed = message.get("MessageAttributes", {}).get(HELD_SINCE, {})
    milliseconds = int(renewed.get("StringValue") or message["Attributes"]["SentTimestamp"])
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)


def give_back(stack: Stack, queue: str, messages: Iterable[Message]) -> None:
    """Let others receive messages at once, although they are still hidden."""
    for some in batches(list(messages), BATCH):
        stack.aws["sqs"].change_message_visibility_batch(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            Entries=[
                {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, one in enumerate(some)
            ],
        )


def peek(stack: Stack, queue: str) -> list[Queued]:
    """Read messages of a queue, and leave them on it."""
    found: dict[str, Message] = {}
    messages: list[Message] = []
    visible = count(stack, queue).visible
    while len(found) < min(MAX_PEEKED, visible) and (some := receive(stack, queue, PEEK_SECONDS)):
        messages += some
        found |= {one["MessageId"]: one for one in some}
    give_back(stack, queue, messages)
    return [
        Queued(message["Body"], describe(message["Body"]), sent_at(message))
        for message in found.values()
    ]


def describe(body: str) -> Content:
    """Describe the content of a message for people; see `handler.queue_messages.read`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return Content("not JSON", "")
    match message:
        case {"file": {"key": key}, "reason": reason} if phones := _phones(message):
            return Content(
                in_words(str(reason), message.get("code", ""), message.get("meaning", "")),
                f"{key} for {', '.join(map(log.masked, phones))}",
            )
        case {"unreadable": _, "reason": reason}:
            return Content(f"unreadable: {reason}", "")
        case {"requestContext": dict(context), "requestPayload": payload}:
            files = [one.key for one in read(payload) if not isinstance(one, Unreadable)]
            why = context.get("condition", "no reason given")
            return Content(f"Lambda gave up on it: {why}", ", ".join(files))
        case {"source": "aws.s3", "detail": {"object": {"key": str(key)}}}:
            return Content("EventBridge gave up on it", key)
        case _:
            return Content("unknown", "")


def _phones(message: Message) -> list[str]:
    """Return the phones that a message about a held or failed file names."""
    phones = message.get("phones", [message.get("phone")])
    return [one for one in phones if isinstance(one, str)] if isinstance(phones, list) else []
