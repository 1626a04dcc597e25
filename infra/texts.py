"""Where the texts are that no retry will mend."""

import pulumi
import pulumi_aws as aws

RETENTION_SECONDS = 14 * 24 * 60 * 60
"""The longest that SQS keeps a message: two weeks for an operator to look."""


class Texts(pulumi.ComponentResource):
    """The queue of what failed.

    Attributes:
        failed: What Lambda gave up on.
    """

    failed: aws.sqs.Queue

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the queue."""
        super().__init__("s3logs:infra:Texts", name, None, opts)
        self.failed = aws.sqs.Queue(
            f"{name}-failed",
            message_retention_seconds=RETENTION_SECONDS,
            sqs_managed_sse_enabled=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"failed": self.failed.url})
