"""The queues `held` and `failed`, as the functions see them: SQS."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from handler.aws import Aws, AwsError, as_list, as_number, batches, nested
from handler.retries import TryAgain

BATCH = 10
"""How many messages SQS takes or gives at once."""

VISIBILITY_SECONDS = 250
"""How long a received message is hidden from other flushes: a little longer than one flush runs.

A flush gives back what it could not send. After a crash, SQS shows the messages again by itself.
"""

MAX_RECEIVES = 1000
"""How often SQS gives a message of `held` to a flush. Then it moves it to `failed`.

It is SQS's maximum: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
"""

HELD_SINCE = "HeldSince"
"""The attribute of a renewed message: when it was first held, in milliseconds since the epoch."""

MAX_CHARACTERS_AT_ONCE = 250_000
"""How long the messages of one request may be together: no more than SQS's 1 MiB, in any script."""

SEND_TRIES, PAUSE_SECONDS = 2, 0.02
"""How often a message is sent that SQS refuses in an answer of success, and the pause between."""

UNKNOWN_AGE = float("inf")
"""The `Message.sent_at` of a message whose age SQS does not tell: it counts as new."""


class NotQueued(Exception):
    """SQS did not accept a message: its text has no outcome yet."""


NONE_HIDDEN: Mapping[str, int] = {}


class Message(NamedTuple):
    """A message that was received and must be deleted once it is dealt with.

    Attributes:
        body: The body, as it was sent.
        receipt: The receipt handle, by which it is deleted.
        sent_at: When it was first put on the queue, before any renewal, in seconds since the epoch;
            `UNKNOWN_AGE` where SQS does not say.
        receive_count: How often it was received, this time included; 1 where SQS does not say.
    """

    body: str
    receipt: str
    sent_at: float
    receive_count: int = 1


class Queue:
    """One queue."""

    def __init__(self, aws: Aws, url: str) -> None:
        self._aws = aws
        self._url = url

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages.

        Raises:
            NotQueued: SQS did not take all of them.
            handler.aws.AwsError: SQS could not be reached.
        """
        for some in batches(bodies, BATCH):
            self._aws.retries["sqs"].run(
                self._send_rest(some), tries=SEND_TRIES, seconds=PAUSE_SECONDS
            )

    def _send_rest(self, bodies: Sequence[str]) -> Callable[[], None]:
        """Return a request that sends ten messages at most: at each try, those not taken yet."""
        left = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)]

        def attempt() -> None:
            nonlocal left
            # The answer is a success even if SQS refuses some. It takes only those that it names.
            done, refused = self._batch("SendMessageBatch", left)
            left = [entry for entry in left if entry["Id"] not in done]
            if left:
                error = NotQueued(f"SQS refused {len(left)} messages: {refused}")
                raise TryAgain(error, is_busy=False)

        return attempt

    def receive(self) -> list[Message]:
        """Receive at most ten messages; after a second without any, none.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        answer = self._aws.call(
            "sqs",
            "ReceiveMessage",
            {
                "QueueUrl": self._url,
                "MaxNumberOfMessages": BATCH,
                "WaitTimeSeconds": 1,
                "MessageSystemAttributeNames": ["SentTimestamp", "ApproximateReceiveCount"],
                "MessageAttributeNames": [HELD_SINCE],
            },
        )
        found = [_message(message) for message in as_list(answer.get("Messages"))]
        return [message for message in found if message.receipt]

    def delete(self, messages: Sequence[Message]) -> int:
        """Delete messages. One that is not deleted comes back, and is a duplicate then.

        Returns:
            How many SQS did not delete.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        left = 0
        error = None
        for some in batches(messages, BATCH):
            try:
                done, _ = self._batch("DeleteMessageBatch", _receipts(some))
            except AwsError as caught:
                done, error = set(), caught
            left += len(some) - len(done)
        if error:
            raise error
        return left

    def give_back(
        self, messages: Sequence[Message], hidden: Mapping[str, int] = NONE_HIDDEN
    ) -> list[Message]:
        """Make messages visible again, ten at most, so that the next flush receives them.

        Args:
            messages: The messages.
            hidden: For how many seconds some of them stay hidden, by their receipts.

        Returns:
            Those that SQS made visible. Each other one comes back later by itself.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        requested = [
            entry | {"VisibilityTimeout": hidden.get(entry["ReceiptHandle"], 0)}
            for entry in _receipts(messages)
        ]
        done, _ = self._batch("ChangeMessageVisibilityBatch", requested)
        return [one for number, one in enumerate(messages) if str(number) in done]

    def renew(self, messages: Sequence[Message]) -> list[Message]:
        """Put messages anew on the queue: SQS counts their receives from zero, but not their age.

        If the process ends before it deletes one, the text is on the queue twice. It is one text
        to the ledger.

        Returns:
            Those that SQS accepted anew.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        renewed: list[Message] = []
        length = sum(len(message.body) for message in messages)
        for some in batches(messages, BATCH if length <= MAX_CHARACTERS_AT_ONCE else 1):
            requested = [
                {"Id": str(number), "MessageBody": one.body, **_held_since(one)}
                for number, one in enumerate(some)
            ]
            done, _ = self._batch("SendMessageBatch", requested)
            accepted = [one for number, one in enumerate(some) if str(number) in done]
            renewed += accepted
            self.delete(accepted)
        return renewed

    def _batch(
        self, operation: str, requested: Sequence[Mapping[str, Any]]
    ) -> tuple[set[str], str]:
        """Do something to ten messages at most.

        Returns:
            The ids of the entries that SQS says it has done, and its codes for the others.
        """
        answer = self._aws.call("sqs", operation, {"QueueUrl": self._url, "Entries": requested})
        done = [nested(entry, "Id") for entry in as_list(answer.get("Successful"))]
        codes = {str(nested(entry, "Code")) for entry in as_list(answer.get("Failed"))}
        return {entry["Id"] for entry in requested if entry["Id"] in done}, ", ".join(sorted(codes))


def _receipts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {"Id": str(number), "ReceiptHandle": message.receipt}
        for number, message in enumerate(messages)
    ]


def _held_since(message: Message) -> dict[str, Any]:
    """Return the attribute of a renewed message, if its age is known."""
    if message.sent_at == UNKNOWN_AGE:
        return {}
    milliseconds = str(int(message.sent_at * 1000))
    return {"MessageAttributes": {HELD_SINCE: {"DataType": "Number", "StringValue": milliseconds}}}


def _message(received: object) -> Message:
    """Read a message; with an empty body or receipt where SQS sent none."""
    body, receipt = nested(received, "Body"), nested(received, "ReceiptHandle")
    held_since = as_number(nested(received, "MessageAttributes", HELD_SINCE, "StringValue"))
    sent_at = held_since or as_number(nested(received, "Attributes", "SentTimestamp"))
    return Message(
        body=body if isinstance(body, str) else "",
        receipt=receipt if isinstance(receipt, str) else "",
        sent_at=UNKNOWN_AGE if sent_at is None else sent_at / 1000,
        receive_count=as_number(nested(received, "Attributes", "ApproximateReceiveCount")) or 1,
    )
