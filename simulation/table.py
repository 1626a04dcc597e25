"""The ledger's DynamoDB table, simulated by MiniStack within this process.

MiniStack parses and evaluates each condition, update and key condition as DynamoDB does. A wrong
expression therefore has the same effect here.
"""

import itertools
import json
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from ministack.core.responses import request_scope
from ministack.services import dynamodb

from handler.aws import AwsError
from handler.ledger import REPORT_INDEX

REGION = "eu-central-1"
OK = 200

PROJECTED = ("sent_at", "sid")
"""The attributes that the index holds besides the keys."""

_accounts = itertools.count(1)

_unused: list[tuple[str, str, dict[str, str]]] = []
"""The requests that delete the tables of ended simulations.

Python may collect a simulation during a request of another one. A request at that moment ends the
process with a segmentation fault, because MiniStack sets context variables for each request.
"""


class InvalidRequest(BaseException):
    """DynamoDB refuses the request as invalid: the code that made it is wrong.

    The handler catches the errors of AWS. It must not catch this one.
    """


class Table:
    """One table, in its own AWS account: no other simulation sees it."""

    def __init__(self, name: str, projected: Sequence[str] = PROJECTED) -> None:
        """Create the table and its index.

        Args:
            name: The table's name.
            projected: The attributes that the index holds besides the keys.
        """
        while _unused:
            _request(*_unused.pop())
        self.name = name
        self._account = f"{next(_accounts):012}"
        _request(
            self._account,
            "CreateTable",
            {
                "TableName": name,
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [
                    {"AttributeName": "ask_at", "AttributeType": "N"},
                    {"AttributeName": "report", "AttributeType": "S"},
                    {"AttributeName": "id", "AttributeType": "S"},
                ],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": REPORT_INDEX,
                        "KeySchema": [
                            {"AttributeName": "report", "KeyType": "HASH"},
                            {"AttributeName": "ask_at", "KeyType": "RANGE"},
                        ],
                        "Projection": {
                            "ProjectionType": "INCLUDE",
                            "NonKeyAttributes": list(projected),
                        },
                    }
                ],
            },
        )
        delete = (self._account, "DeleteTable", {"TableName": name})
        weakref.finalize(self, _unused.append, delete)

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation.

        Raises:
            AwsError: A condition does not hold.
            InvalidRequest: The request itself is wrong.
        """
        answer = _request(self._account, operation, payload)
        if operation == "BatchGetItem" and not payload["RequestItems"][self.name].get(
            "ConsistentRead"
        ):
            # Such a read may miss the last writes. This one misses all items.
            answer["Responses"] = {self.name: []}
        return answer

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        """All items, by their ids."""
        items = _request(self._account, "Scan", {"TableName": self.name})["Items"]
        return {item["id"]["S"]: item for item in items}


def _request(account: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    with request_scope(account, REGION):
        running = dynamodb.handle_request("POST", "/", headers, json.dumps(payload).encode(), {})
        try:
            running.send(None)
        except StopIteration as done:
            status, _, body = done.value
        else:  # without a network, MiniStack never waits
            raise NotImplementedError(operation)
    answer: dict[str, Any] = json.loads(body)
    if status == OK:
        return answer
    code = str(answer["__type"]).rpartition("#")[2]
    if code not in {"ConditionalCheckFailedException", "TransactionCanceledException"}:
        raise InvalidRequest(f"{operation}: {code}: {answer.get('message')}")
    reasons = answer.get("CancellationReasons", [])
    if any(reason["Code"] == "ValidationError" for reason in reasons):
        raise InvalidRequest(f"{operation}: {reasons}")
    raise AwsError(operation, code, answer, status)
