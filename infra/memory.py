"""What remembers who was told of which file, and how often this hour."""

import pulumi
import pulumi_aws as aws

from infra.policy import Statement


class Memory(pulumi.ComponentResource):
    """A table for `handler.memory`, which costs nothing while nobody uses it.

    Attributes:
        table: The table.
        may_claim: The permission to claim a text and to record its end.
        may_recall: The permission to ask which texts were sent.
    """

    table: aws.dynamodb.Table
    may_claim: Statement
    may_recall: Statement

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the table."""
        super().__init__("s3logs:infra:Memory", name, None, opts)
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="id",
            attributes=[{"name": "id", "type": "S"}],
            ttl={"attribute_name": "expires", "enabled": True},
            opts=pulumi.ResourceOptions(parent=self),
        )
        # A transaction needs the permission for what it does; a batch has one of its own.
        self.may_claim = _may(self.table, "UpdateItem", "BatchWriteItem")
        self.may_recall = _may(self.table, "BatchGetItem")
        self.register_outputs({"table": self.table.name})


def _may(table: aws.dynamodb.Table, *operations: str) -> Statement:
    return {
        "Effect": "Allow",
        "Action": [f"dynamodb:{operation}" for operation in operations],
        "Resource": table.arn,
    }
