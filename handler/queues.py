"""The queues `held` and `failed`, as the functions see them: SQS."""

from collections.abc import Sequence
from typing import NamedTuple

from handler.aws import Aws, batches

BATCH = 10
"""What SQS takes or gives at once."""


class NotQueued(Exception):
    """SQS did not take a message: the text has no end yet."""


class Message(NamedTuple):
    """A message that was received and must be deleted once it is dealt with.

    Attributes:
        body: What was sent.
        receipt: What it is deleted by.
        sent_at: When it was put on the queue, in seconds since the epoch.
    """

    body: str
    receipt: str
    sent_at: float


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
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(some)]
            for _ in range(2):
                # The answer is a success even if some entries are refused: they stand in `Failed`.
                answer = self._aws.call(
                    "sqs", "SendMessageBatch", {"QueueUrl": self._url, "Entries": entries}
                )
                refused = {entry["Id"]: entry.get("Code") for entry in answer.get("Failed") or []}
                entries = [entry for entry in entries if entry["Id"] in refused]
                if not entries:
                    break
            else:
                raise NotQueued(f"SQS refused {len(entries)} messages: {set(refused.values())}")

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
                "MessageSystemAttributeNames": ["SentTimestamp"],
            },
        )
        return [
            Message(
                body=message["Body"],
                receipt=message["ReceiptHandle"],
                sent_at=int(message["Attributes"]["SentTimestamp"]) / 1000,
            )
            for message in answer.get("Messages") or []
        ]

    def delete(self, messages: Sequence[Message]) -> int:
        """Delete messages. One that is not deleted comes back, and is a duplicate then.

        Returns:
            How many SQS did not delete.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        left = 0
        for some in batches(messages, BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": message.receipt}
                for number, message in enumerate(some)
            ]
            answer = self._aws.call(
                "sqs", "DeleteMessageBatch", {"QueueUrl": self._url, "Entries": entries}
            )
            left += len(answer.get("Failed") or [])
        return left
