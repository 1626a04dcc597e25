"""The operator's redrive: failed messages go back to held, and the next flush texts them."""

import dataclasses
import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence

from botocore.exceptions import ClientError

from stack import queues
from stack.deployed import Stack
from stack.queues import Message

HIDDEN_SECONDS = 900
"""How long a message stays hidden at most, while it is moved or kept on failed."""

EMPTY_RECEIVES = 5
"""How often in a row SQS may return no message while its own count says that there are more."""

PROGRESS = 500
"""The number of messages between two reports of progress."""


@dataclasses.dataclass
class Redriven:
    """The result of a redrive.

    Attributes:
        moved: How many messages it moved.
        on_both: How many of these SQS did not delete from failed. A flush texts each once.
        refused: SQS's code for each message that it did not accept on held, by id. These messages
            stay on failed.
        newer: How many came after the start. They stay on failed.
        not_received: How many more are on failed by SQS's count. Another command has received
            them, or the count lags behind.
    """

    moved: int = 0
    on_both: int = 0
    refused: dict[str, str] = dataclasses.field(default_factory=dict)
    newer: int = 0
    not_received: int = 0


def redrive(stack: Stack, say: Callable[[str], None]) -> Redriven:
    """Move the messages that have failed by now back to held.

    Messages that fail during the redrive stay on failed: a moved text may fail again at once, and
    the redrive would never end. Each message is sent before it is deleted. After an interruption
    one may be on both queues; a flush texts it once. SQS's own redrive also takes messages that
    fail meanwhile, and the emulator does not have it.

    Args:
        stack: The stack.
        say: Reports progress.
    """
    count, now = queues.count_with_time(stack, "failed")
    expected = count.all
    start = now + datetime.timedelta(seconds=1)  # SQS gives its time without fractions
    done = Redriven()
    kept: dict[str, Message] = {}
    reported = 0
    try:
        for messages in _receive_all(stack, kept):
            newer = {one["MessageId"] for one in messages if queues.sent_at(one) >= start}
            done.newer += len(newer - kept.keys())
            kept |= {one["MessageId"]: one for one in messages}
            for moved in _move(
                stack, [one for one in messages if one["MessageId"] not in newer], done
            ):
                del kept[moved]
            if done.moved - reported >= PROGRESS:
                reported = done.moved
                say(f"Moved to held so far: {done.moved} of {max(expected, done.moved)} ...")
        done.not_received = max(0, queues.count(stack, "failed").all - len(kept) - done.on_both)
    finally:
        queues.give_back(stack, "failed", kept.values())
    return done


def _receive_all(stack: Stack, kept: Mapping[str, Message]) -> Iterator[list[Message]]:
    """Receive from failed until SQS returns no more messages, and its own count agrees.

    Args:
        stack: The stack.
        kept: The messages that were received and stay, by id.
    """
    empty = 0
    while empty < EMPTY_RECEIVES:
        messages = queues.receive(stack, "failed", HIDDEN_SECONDS)
        if messages:
            empty = 0
            yield messages
        elif queues.count(stack, "failed").all <= len(kept):
            return
        else:
            empty += 1


def _move(stack: Stack, messages: Sequence[Message], done: Redriven) -> list[str]:
    """Move messages from failed to held. Return the ids of those that SQS accepted."""
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
        done.on_both += len(answer.get("Failed", []))
    return [one["MessageId"] for one in moved]


def _send(stack: Stack, messages: Sequence[tuple[int, Message]]) -> dict[int, str]:
    """Send messages to held. Return the numbers of those that SQS refused, with its code."""
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
        # Events may be large: ten together can be more than SQS accepts at once.
        refused: dict[int, str] = {}
        for one in messages:
            refused |= _send(stack, [one])
        return refused
    return {int(one["Id"]): one["Code"] for one in answer.get("Failed", [])}
