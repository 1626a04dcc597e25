"""The queues of the texts that are held, and of those that can never be delivered."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from handler.held_messages import EXPIRES_AFTER_SECONDS
from handler.queues import MAX_RECEIVES, VISIBILITY_SECONDS
from infra import policy
from infra.policy import Statement

DAYS = 24 * 60 * 60

FAILED_SECONDS = 14 * DAYS
"""SQS's longest retention. An operator has two weeks to look."""

HELD_SECONDS = EXPIRES_AFTER_SECONDS + 2 * DAYS
"""Less than `FAILED_SECONDS`: a message keeps its age when SQS moves it to the other queue.

At least two flushes, even daily ones, run between the last try and the deletion. One of them may be
late, or have no time for each phone.
"""

FLUSH_SECONDS = 240
"""The time that one flush may take."""


class TextQueues(pulumi.ComponentResource):
    """The queues of the texts that are held and of those that failed.

    Attributes:
        held: The queue of texts that go out later.
        failed: The queue of texts that no retry can send, and of events that Lambda gave up on.
        may_hold: The permission to hold a text.
        may_flush: The permissions to receive held texts, to delete them, to return them, to send
            them to the queue again, and to move them to `failed`.
    """

    held: aws.sqs.Queue
    failed: aws.sqs.Queue
    may_hold: Statement
    may_flush: Sequence[Statement]

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the queues."""
        super().__init__("s3logs:infra:TextQueues", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.failed = aws.sqs.Queue(
            f"{name}-failed",
            message_retention_seconds=FAILED_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        self.held = aws.sqs.Queue(
            f"{name}-held",
            message_retention_seconds=HELD_SECONDS,
            visibility_timeout_seconds=VISIBILITY_SECONDS,
            # SQS redrives only from the dead-letter queue of another queue.
            redrive_policy=policy.json(
                {"deadLetterTargetArn": self.failed.arn, "maxReceiveCount": MAX_RECEIVES}
            ),
            sqs_managed_sse_enabled=True,
            opts=child,
        )
        self.may_hold = policy.may_send(self.held.arn)
        self.may_flush = [
            {
                "Effect": "Allow",
                "Action": [
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:ReceiveMessage",
                    "sqs:SendMessage",
                ],
                "Resource": self.held.arn,
            },
            policy.may_send(self.failed.arn),
        ]
        self.register_outputs({"held": self.held.url, "failed": self.failed.url})
