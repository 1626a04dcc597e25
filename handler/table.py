"""Calling one DynamoDB table: conditional updates, and batches with their unprocessed rest."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from handler.aws import Aws, AwsError, as_list, batches, nested
from handler.retries import TryAgain

BATCH_TRIES = 6
"""How often a batch is tried while the table is too busy for a part of it: within 3 seconds."""

PAUSE_SECONDS = 0.02

READ_AT_ONCE = 100
"""Items that a table gives at once.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

TRANSACTION_TRIES = 3
"""How often a transaction that conflicts with another one is tried."""

CONDITION_FAILED = "ConditionalCheckFailed"
"""The code of the reason why an update of a transaction was refused."""

_CANCELLED = "TransactionCanceledException"


class Batch(NamedTuple):
    """The result of a batch.

    Attributes:
        answers: The table's answers to its parts.
        unprocessed: The part that was not done.
        error: Why not.
    """

    answers: list[dict[str, Any]]
    unprocessed: Any
    error: AwsError | None


class LookUp(NamedTuple):
    """The table's items with some ids.

    Attributes:
        items: Those that there are, by their ids.
        unknown: The ids of which the table did not say whether there is an item.
        error: Why not.
    """

    items: dict[str, Any]
    unknown: set[str]
    error: AwsError | None


class Table:
    """One table.

    Attributes:
        name: Its name.
        retries: How requests to it are tried again.
    """

    def __init__(self, aws: Aws, name: str) -> None:
        self._aws = aws
        self.name = name
        self.retries = aws.retries["dynamodb"]

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation of DynamoDB; see `Aws.call`."""
        return self._aws.call("dynamodb", operation, request)

    def update_if(self, id_: str, condition: str, change: Mapping[str, Any]) -> bool:
        """Change an item on a condition.

        Args:
            id_: The item's id.
            condition: The condition.
            change: The update expression, with its names and values.

        Returns:
            Whether the condition held.

        Raises:
            AwsError: The table cannot be reached.
        """
        try:
            self.call(
                "UpdateItem",
                {
                    "TableName": self.name,
                    "Key": {"id": {"S": id_}},
                    "ConditionExpression": condition,
                    **change,
                },
            )
        except AwsError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def transact(self, updates: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Make several conditional updates, or none.

        Returns:
            Nothing if they were made. If a condition did not hold, a reason for each update, with
            its `Code`.

        Raises:
            AwsError: The table cannot be reached, or is busy: see `is_contended`.
        """
        # By the token, DynamoDB makes a repeated transaction once, and repeats its answer.
        token = f"{random.getrandbits(128):032x}"  # no secret; uuid is slow to import
        items = [{"Update": update} for update in updates]
        request = {"TransactItems": items, "ClientRequestToken": token}

        def attempt() -> list[Any]:
            try:
                self.call("TransactWriteItems", request)
            except AwsError as error:
                reasons = as_list(error.details.get("CancellationReasons"))
                codes = [nested(reason, "Code") for reason in reasons]
                if error.code == _CANCELLED and CONDITION_FAILED in codes:
                    return reasons
                if is_contended(error) and not error.is_throttled:  # that has been tried again
                    busy = ("ThrottlingError", "ProvisionedThroughputExceeded")
                    is_busy = any(code in busy for code in codes)
                    raise TryAgain(error, is_busy=is_busy) from None
                raise
            return []

        return self.retries.run(attempt, tries=TRANSACTION_TRIES, seconds=PAUSE_SECONDS)

    def batch(self, operation: str, request_items: dict[str, Any], unprocessed_field: str) -> Batch:
        """Repeat a batch until the table has processed all of it, or all tries are used."""
        answers: list[dict[str, Any]] = []
        unprocessed: Any = request_items

        def attempt() -> None:
            nonlocal unprocessed
            answer = self.call(operation, {"RequestItems": unprocessed})
            rest = answer.get(unprocessed_field)
            if not isinstance(rest, dict):  # the table always names the rest
                raise AwsError(operation, "NotAnAnswerOfAws", {})
            answers.append(answer)
            if rest:
                unprocessed = rest
                raise TryAgain(AwsError(operation, "Throttled", {}), is_busy=True)

        try:
            self.retries.run(attempt, tries=BATCH_TRIES, seconds=PAUSE_SECONDS)
        except AwsError as error:
            return Batch(answers, unprocessed, error)
        return Batch(answers, {}, None)

    def look_up(self, ids: Iterable[str]) -> LookUp:
        """Read items by their ids, as they are now. A batch that fails affects no other one."""
        found: dict[str, Any] = {}
        unknown: set[str] = set()
        why = None
        for some in batches(list(dict.fromkeys(ids)), READ_AT_ONCE):
            request = {"Keys": [{"id": {"S": id_}} for id_ in some], "ConsistentRead": True}
            batch = self.batch("BatchGetItem", {self.name: request}, "UnprocessedKeys")
            for answer in batch.answers:
                for item in as_list(nested(answer, "Responses", self.name)):
                    id_ = nested(item, "id", "S")
                    if id_ in some:
                        found[id_] = item
            if batch.error:
                left = as_list(nested(batch.unprocessed, self.name, "Keys"))
                named = [nested(key, "id", "S") for key in left]
                unknown.update([id_ for id_ in some if id_ in named] or some)
                why = batch.error
        return LookUp(found, unknown - found.keys(), why)


def is_contended(error: AwsError) -> bool:
    """Whether too many write the same items at once, or DynamoDB throttles the table.

    Source: the reasons in https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    return error.is_throttled or error.code in {_CANCELLED, "TransactionInProgressException"}
