"""Fixtures for the deployed program: the emulator, a stand-in for Twilio, and waits."""

import contextlib
import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from handler.ledger import ASK_AFTER_SECONDS
from local.deployment import Deployed, Deployment
from local.emulator import LONG_TIMEOUTS, Emulator
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_api import Text
from stack.waiting import NotInTime, wait_until

SECRET = "canary-secret-of-the-tests"
PHONE = "+15005550100"
OTHER_PHONE = "+15005550101"
SECONDS = 180  # the limit of each wait, long enough for a busy machine
ATTEMPT = "attempt_at"  # in the items of the ledger

Seen = TypeVar("Seen")


class System(Deployment):
    """The program in an emulator, with a stand-in for Twilio."""

    def __init__(self, emulator: Emulator, twilio: StandIn, **settings: str) -> None:
        self.emulator = emulator
        self.twilio = twilio
        super().__init__(
            emulator.aws,
            {
                **twilio.settings,
                "toNumbers": PHONE,
                "forceDestroy": "true",
                **settings,
            },
        )

    def texts(self, count: int) -> list[Text]:
        """Wait for `count` texts."""
        return self.twilio.wait_for(count, seconds=SECONDS)

    def decided(self, *outcomes: str, count: int = 1, function: str = "notify") -> Any:
        """Wait until the log has `count` decisions with one of these outcomes."""

        def wanted(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [line for line in lines if line.get("outcome") in outcomes]

        lines = until(
            lambda: self.logged(function),
            f"{count} of {outcomes}",
            lambda lines: len(wanted(lines)) >= count,
        )
        return wanted(lines)

    def flush(self) -> None:
        """Run the flush now."""
        answer = self.aws["lambda"].invoke(FunctionName=self.outputs["flushFunction"])
        assert "FunctionError" not in answer, answer["Payload"].read()

    def on(self, queue: str) -> list[dict[str, Any]]:
        """Return the messages on a queue, `held` or `failed`, and leave them there."""
        url, found = self.outputs[f"{queue}Queue"], []
        while (
            messages := self.aws["sqs"]
            .receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=SECONDS)
            .get("Messages")
        ):
            found += messages
        for message in found:
            self.aws["sqs"].change_message_visibility(
                QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        return [json.loads(message["Body"]) for message in found]

    def change_ledger(self, field: str, change: Callable[[int], int], *, items: int) -> None:
        """Change a number in all ledger items that have it, once there are `items` of them."""
        found = until(
            lambda: _items_with(self, field),
            f"{items} items with {field}",
            lambda some: len(some) == items,
        )
        for item in found:
            _change_item(self, item, field, change(int(item[field]["N"])))

    def pass_a_minute(self) -> None:
        """Make all attempts a minute older: a flush then asks Twilio about them."""
        pass_a_minute(self)

    def event(self, key: str, sequencer: str = "0A") -> dict[str, Any]:
        """Make the event that S3 sends about a file."""
        described = {"key": key, "size": 7, "eTag": "e", "sequencer": sequencer}
        return {
            "Records": [
                {
                    "eventVersion": "2.6",
                    "eventSource": "aws:s3",
                    "eventTime": "2026-11-23T14:05:09.120Z",
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": self.outputs["bucket"]}, "object": described},
                }
            ]
        }

    def notify(self, event: dict[str, Any]) -> None:
        """Call the function with an event and wait for its end."""
        answer = self.aws["lambda"].invoke(
            FunctionName=self.outputs["notifyFunction"], Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()


def pass_a_minute(deployment: Deployed) -> None:
    """Make all attempts a minute older: a flush then asks Twilio about them."""
    for item in _items_with(deployment, ATTEMPT):
        # Not older: a text long after an attempt counts as another attempt's.
        latest = int(time.time()) - ASK_AFTER_SECONDS - 1
        _change_item(deployment, item, ATTEMPT, min(int(item[ATTEMPT]["N"]), latest))


def _items_with(deployment: Deployed, field: str) -> list[dict[str, Any]]:
    pages = (
        deployment.aws["dynamodb"]
        .get_paginator("scan")
        .paginate(TableName=deployment.settings.ledger_table)
    )
    return [item for page in pages for item in page["Items"] if field in item]


def _change_item(deployment: Deployed, item: dict[str, Any], field: str, value: int) -> None:
    dynamodb = deployment.aws["dynamodb"]
    with contextlib.suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.update_item(
            TableName=deployment.settings.ledger_table,
            Key={"id": item["id"]},
            UpdateExpression="SET #field = :value",
            ConditionExpression="attribute_exists(#field)",  # a function may have removed it
            ExpressionAttributeNames={"#field": field},
            ExpressionAttributeValues={":value": {"N": str(value)}},
        )


def leave_time_in_this_hour() -> None:
    """Wait for the next clock hour if this one ends soon: each hour has its own limit."""
    until(lambda: datetime.datetime.now(datetime.UTC).minute < 59, "the next hour")


def until(look: Callable[[], Seen], what: str, is_done: Callable[[Seen], object] = bool) -> Seen:
    """Wait for a condition. Fail with the condition and the last result."""
    try:
        return wait_until(look, is_done, seconds=SECONDS, poll_seconds=0.05)
    except NotInTime as error:
        pytest.fail(f"{what}: {error}")


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests of a worker. Each deployment has its own names."""
    with Emulator(options=LONG_TIMEOUTS) as running:
        yield running


@pytest.fixture(scope="module")
def shared_twilio() -> Iterator[StandIn]:
    with StandIn(credentials={ACCOUNT_SID: SECRET}) as running:
        yield running


@pytest.fixture
def twilio() -> Iterator[StandIn]:
    """A stand-in for this test alone."""
    with StandIn(credentials={ACCOUNT_SID: SECRET}) as running:
        yield running


Deploy = Callable[..., System]


@pytest.fixture
def deploy(emulator: Emulator, twilio: StandIn) -> Iterator[Deploy]:
    """Deploy the program with this test's own settings."""
    with contextlib.ExitStack() as stack:

        def deployed(**settings: str) -> System:
            system = System(emulator, twilio, **settings)
            stack.callback(system.destroy)
            return system

        yield deployed
