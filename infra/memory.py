"""What remembers who was told of which file, and how often this hour."""

import pulumi
import pulumi_aws as aws

from handler.memory import AUDIT_INDEX
from infra.policy import Statement


class Memory(pulumi.ComponentResource):
    """A table for `handler.memory`, which costs nothing while nobody uses it.

    Attributes:
        table: The table.
        may_claim: The permission to claim a text and to record its end.
        may_recall: The permission to ask which texts were sent.
        may_audit: The permission to ask which texts are to be asked after.
    """

    table: aws.dynamodb.Table
    may_claim: Statement
    may_recall: Statement
    may_audit: Statement

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the table."""
        super().__init__("s3logs:infra:Memory", name, None, opts)
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="id",
            attributes=[
                {"name": "ask_at", "type": "N"},
                {"name": "audit", "type": "S"},
                {"name": "id", "type": "S"},
            ],
            # Only the texts are in it of which it is not known yet what became of them.
            global_secondary_indexes=[
                {
                    "name": AUDIT_INDEX,
                    "key_schemas": [
                        {"attribute_name": "audit", "key_type": "HASH"},
                        {"attribute_name": "ask_at", "key_type": "RANGE"},
                    ],
                    "projection_type": "INCLUDE",
                    "non_key_attributes": ["sent_at", "sid"],
                }
            ],
            ttl={"attribute_name": "expires", "enabled": True},
            opts=pulumi.ResourceOptions(parent=self),
        )
        # A transaction needs the permission for what it does; a batch has one of its own.
        self.may_claim = _may(self.table.arn, "UpdateItem", "BatchWriteItem")
        self.may_recall = _may(self.table.arn, "BatchGetItem")
        self.may_audit = _may(pulumi.Output.concat(self.table.arn, "/index/", AUDIT_INDEX), "Query")
        self.register_outputs({"table": self.table.name})


def _may(arn: pulumi.Input[str], *operations: str) -> Statement:
    return {
        "Effect": "Allow",
        "Action": [f"dynamodb:{operation}" for operation in operations],
        "Resource": arn,
    }
