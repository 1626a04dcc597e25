"""The table that records which phone was texted about which log file, and how often this hour."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from handler.ledger import REPORT_INDEX
from infra.policy import Statement

NO_TRANSACTION = {"StringNotEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"}}
"""The condition that allows an update but no claim: a claim is a transaction.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
"""


class Ledger(pulumi.ComponentResource):
    """A table for `handler.ledger`. It costs nothing while nobody uses it.

    Attributes:
        table: The table.
        may_claim: The permission to claim a text, and to record its outcome; where logs are
            expected, also to look up whether one is missing.
        may_flush: The permissions to look up what was sent and what to ask Twilio about, and to
            record outcomes and counts. They do not allow a claim.
    """

    table: aws.dynamodb.Table
    may_claim: Statement
    may_flush: Sequence[Statement]

    def __init__(
        self, name: str, *, expects_logs: bool = False, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Declare the table.

        Args:
            name: Its name.
            expects_logs: Whether any log is expected.
            opts: Pulumi's options.
        """
        super().__init__("s3logs:infra:Ledger", name, None, opts)
        self.table = aws.dynamodb.Table(
            name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="id",
            attributes=[
                {"name": "ask_at", "type": "N"},
                {"name": "report", "type": "S"},
                {"name": "id", "type": "S"},
            ],
            # It has only the texts whose delivery is not known yet.
            global_secondary_indexes=[
                {
                    "name": REPORT_INDEX,
                    "key_schemas": [
                        {"attribute_name": "report", "key_type": "HASH"},
                        {"attribute_name": "ask_at", "key_type": "RANGE"},
                    ],
                    "projection_type": "INCLUDE",
                    "non_key_attributes": ["sent_at", "sid"],
                }
            ],
            ttl={"attribute_name": "expires", "enabled": True},
            opts=pulumi.ResourceOptions(parent=self),
        )
        table, index = self.table.arn, pulumi.Output.concat(self.table.arn, "/index/", REPORT_INDEX)
        # A transaction needs the permissions of what it does; a batch has one of its own.
        reads = ["BatchGetItem"] if expects_logs else []
        self.may_claim = _may(table, "UpdateItem", "BatchWriteItem", *reads)
        self.may_flush = [
            {**_may(table, "UpdateItem"), "Condition": NO_TRANSACTION},
            _may(table, "BatchWriteItem", "BatchGetItem"),
            _may(index, "Query"),
        ]
        self.register_outputs({"table": self.table.name})


def _may(arn: pulumi.Input[str], *operations: str) -> Statement:
    return {
        "Effect": "Allow",
        "Action": [f"dynamodb:{operation}" for operation in operations],
        "Resource": arn,
    }
