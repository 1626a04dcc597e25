"""Calling one DynamoDB table: conditional updates, and batches with their unprocessed rest."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from handler.aws import Aws, AwsError
from handler.retries import TryAgain

BATCH_TRIES = 6
"""How often the rest of a batch is tried that the table was too busy for: within 3 seconds."""

PAUSE_SECONDS = 0.02


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
