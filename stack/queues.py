"""The queues of a stack: how much waits there, why, and moving it back."""

import collections
import dataclasses
import datetime
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from handler import log
from handler.aws import batches
from handler.events import Unreadable, read
from handler.queues import BATCH
from stack.deployed import Stack, clock

PEEKED = 100
"""How many messages are looked at."""

PEEK_SECONDS = 20
"""How long a message is hidden at most while it is looked at."""

REDRIVE_SECONDS = 900
"""How long a message is hidden at most while it is moved, or kept from being received again."""

WAIT_SECONDS = 2
"""How long SQS looks for messages. Without waiting it asks some of its servers only."""

RECEIVES_IN_VAIN = 5
"""How often SQS may find nothing of what its own count says is there."""

PROGRESS = 500
"""After how many messages a redrive says how far it is."""

Message = dict[str, Any]


class Count(NamedTuple):
    """How many messages are on a queue, by SQS's own count, which lags behind by up to a minute.

    Attributes:
        visible: What whoever asks receives.
        hidden: What somebody has received and not deleted: a flush has it in hand, for example.
        hidden_minutes: For how long a flush hides what it receives, rounded up.
    """

    visible: int
    hidden: int
    hidden_minutes: int

    @property
    def all(self) -> int:
        """All of them."""
        return self.visible + self.hidden


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


@dataclasses.dataclass
class Redriven:
    """What a redrive did.

    Attributes:
        moved: How many messages it moved.
        twice: How many of these SQS did not delete from failed. A flush texts them once.
        refused: SQS's code for each message that it did not take, by id. They stay on failed.
        newer: How many came after the start. They stay on failed.
        unseen: How many are there still by SQS's count, but were not to be received: somebody else
            has received them.
    """

    moved: int = 0
    twice: int = 0
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    newer: int = 0
    unseen: int = 0


def count(stack: Stack, queue: str) -> Count:
    """Count the messages on a queue."""
    return _counted(_attributes(stack, queue))


def grouped(stack: Stack, queue: str) -> list[Group]:
    """Look at messages of a queue, without taking them, and group them by their reason."""
    groups = collections.defaultdict(list)
    for waiting in _peek(stack, queue):
        groups[waiting.why].append(waiting)
    found = [
        Group(why, len(some), min(some, key=lambda one: one.since)) for why, some in groups.items()
    ]
    return sorted(found, key=lambda group: -group.count)


def redrive(stack: Stack, say: Callable[[str], None]) -> Redriven:
    """Move what had failed by now back to the held.

    What fails while it runs stays: a flush may fail again at once what was moved, and that would
    go in circles. Each message is sent before it is deleted: one that is interrupted is on both
    queues, and a flush texts it once. SQS's own redrive takes all that comes, and an emulator has
    none.

    Args:
        stack: The stack.
        say: Told now and then how far it is.
    """
    answer = _attributes(stack, "failed")
    # SQS's clock, as its messages have it; a second later, since it is told without fractions.
    start = clock(answer) + datetime.timedelta(seconds=1)
    expected = _counted(answer).all
    done = Redriven()
    kept: dict[str, Message] = {}
    told = 0
    try:
        for messages in _receive_all(stack, "failed", kept):
            newer = {one["MessageId"] for one in messages if _sent_at(one) >= start}
            done.newer += len(newer - kept.keys())
            kept |= {one["MessageId"]: one for one in messages}
            for moved in _move(
                stack, [one for one in messages if one["MessageId"] not in newer], done
            ):
                del kept[moved]
            if done.moved - told >= PROGRESS:
                told = done.moved
                say(f"{done.moved} of {max(expected, done.moved)} are back on held ...")
        done.unseen = max(0, count(stack, "failed").all - len(kept) - done.twice)
    finally:
        _give_back(stack, "failed", kept.values())
    return done


def _attributes(stack: Stack, queue: str) -> Any:
    return stack.aws["sqs"].get_queue_attributes(
        QueueUrl=stack.outputs[f"{queue}Queue"],
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "VisibilityTimeout",
        ],
    )


def _counted(answer: Any) -> Count:
    found = answer["Attributes"]
    return Count(
        visible=int(found.get("ApproximateNumberOfMessages", 0)),
        hidden=int(found.get("ApproximateNumberOfMessagesNotVisible", 0)),
        hidden_minutes=math.ceil(int(found["VisibilityTimeout"]) / 60),
    )


def _receive_all(stack: Stack, queue: str, kept: Mapping[str, Message]) -> Iterator[list[Message]]:
    """Receive until SQS finds nothing more, and its own count agrees.

    Args:
        stack: The stack.
        queue: The queue.
        kept: What was received, by id, and is not to be deleted.
    """
    in_vain = 0
    while in_vain < RECEIVES_IN_VAIN:
        messages = _receive(stack, queue, REDRIVE_SECONDS)
        if messages:
            in_vain = 0
            yield messages
        elif count(stack, queue).all <= len(kept):
            return
        else:
            in_vain += 1


def _receive(stack: Stack, queue: str, seconds: int) -> list[Message]:
    messages: list[Message] = (
        stack.aws["sqs"]
        .receive_message(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=WAIT_SECONDS,
            VisibilityTimeout=seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        .get("Messages", [])
    )
    return messages


def _sent_at(message: Message) -> datetime.datetime:
    milliseconds = int(message["Attributes"]["SentTimestamp"])
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)


def _move(stack: Stack, messages: Sequence[Message], done: Redriven) -> list[str]:
    """Move messages from the failed to the held. Return the ids of those that SQS took."""
    refused = _send(stack, list(enumerate(messages)))
    done.refused |= {messages[number]["MessageId"]: code for number, code in refused.items()}
    moved = [one for number, one in enumerate(messages) if number not in refused]
    done.moved += len(moved)
    if moved:
        entries = [
            {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]}
            for number, one in enumerate(moved)
        ]
        answer = stack.aws["sqs"].delete_message_batch(
            QueueUrl=stack.outputs["failedQueue"], Entries=entries
        )
        done.twice += len(answer.get("Failed", []))
    return [one["MessageId"] for one in moved]


def _send(stack: Stack, messages: Sequence[tuple[int, Message]]) -> dict[int, str]:
    """Send messages to the held. Return the numbers of those that SQS refused, with its code."""
    if not messages:
        return {}
    entries = [{"Id": str(number), "MessageBody": one["Body"]} for number, one in messages]
    try:
        answer = stack.aws["sqs"].send_message_batch(
            QueueUrl=stack.outputs["heldQueue"], Entries=entries
        )
    except ClientError as error:
        if "BatchRequestTooLong" not in error.response["Error"]["Code"] or len(messages) == 1:
            raise
        # Events may be large: ten together can be more than SQS takes at once.
        refused: dict[int, str] = {}
        for one in messages:
            refused |= _send(stack, [one])
        return refused
    return {int(one["Id"]): one["Code"] for one in answer.get("Failed", [])}


def _give_back(stack: Stack, queue: str, messages: Iterable[Message]) -> None:
    """Let others receive messages at once. What is not given back comes back by itself."""
    for some in batches(list(messages), BATCH):
        stack.aws["sqs"].change_message_visibility_batch(
            QueueUrl=stack.outputs[f"{queue}Queue"],
            Entries=[
                {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, one in enumerate(some)
            ],
        )


def _peek(stack: Stack, queue: str) -> Iterator[Waiting]:
    found: dict[str, Message] = {}
    messages: list[Message] = []
    visible = count(stack, queue).visible
    while len(found) < min(PEEKED, visible) and (some := _receive(stack, queue, PEEK_SECONDS)):
        messages += some
        found |= {one["MessageId"]: one for one in some}
    _give_back(stack, queue, messages)
    for message in found.values():
        why, about = described(message["Body"])
        yield Waiting(why, about, _sent_at(message))


def described(body: str) -> tuple[str, str]:
    """Say why a message is on a queue, and what it is about; see `handler.notice.read`."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return "not JSON", ""
    match message:
        case {"file": {"key": key}, "phone": str(phone), "reason": reason}:
            details = (message[one] for one in ("code", "meaning") if one in message)
            code = f" ({': '.join(map(str, details))})" if "code" in message else ""
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
