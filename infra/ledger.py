"""What remembers who was told of which file, and how often this hour."""

import pulumi
import pulumi_aws as aws

from handler.ledger import REPORT_INDEX
from infra.policy import Statement


class Ledger(pulumi.ComponentResource):
    """A table for `handler.ledger`, which costs nothing while nobody uses it.

    Attributes:
        table: The table.
        may_claim: The permission to claim a text and to record its end.
        may_read_sent: The permission to ask which texts were sent.
        may_read_reports: The permission to ask which texts are to be asked after.
    """

    table: aws.dynamodb.Table
    may_claim: Statement
    may_read_sent: Statement
    may_read_reports: Statement

    def __init__(self, name: str, *, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the table."""
        super().__init__("s3logs:infra:Ledger", name, None, opts)
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
                    "name": REPORT_INDEX,
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
        self.may_read_sent = _may(self.table.arn, "BatchGetItem")
        self.may_read_reports = _may(
            pulumi.Output.concat(self.table.arn, "/index/", REPORT_INDEX), "Query"
        )
        self.register_outputs({"table": self.table.name})


def _may(arn: pulumi.Input[str], *operations: str) -> Statement:
    return {
        "Effect": "Allow",
        "Action": [f"dynamodb:{operation}" for operation in operations],
        "Resource": arn,
    }
