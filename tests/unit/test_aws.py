"""Calls to AWS, over real HTTP, to a server that answers what a test says."""

import json
from typing import Any

import botocore.session
import pytest

from handler import aws, connections
from handler.aws import Aws, AwsError
from handler.due import Due
from handler.memory import Claim, Memory
from tests.unit.fakes import PHONE, log_file
from tests.unit.http_server import Server

BUSY = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
THROTTLED = (400, b'{"__type": "com.amazonaws#ThrottlingException", "message": "slow down"}')
FINE = (200, b'{"fine": 1}')


def calling(server: Server, **changes: str) -> Aws:
    return Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_SESSION_TOKEN": "token",
            "AWS_ENDPOINT_URL": server.url,
            **changes,
        }
    )


def test_a_call_is_one_signed_request(server: Server) -> None:
    server.answers = [FINE]
    assert calling(server).call("dynamodb", "GetItem", {"Key": "ä"}) == {"fine": 1}
    ((path, headers, body),) = server.requests
    assert path == "/"
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.GetItem"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert headers["X-Amz-Security-Token"] == "token"
    assert "AKIAEXAMPLE/" in headers["Authorization"]
    assert "/eu-central-1/dynamodb/aws4_request" in headers["Authorization"]
    assert json.loads(body) == {"Key": "ä"}


def test_calls_share_one_connection(server: Server) -> None:
    calls = calling(server)
    for _ in range(3):
        calls.call("sqs", "ReceiveMessage", {})
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "passing",
    [
        *((400, json.dumps({"__type": f"com.amazonaws#{code}"}).encode()) for code in BUSY),
        *((500, b"oops"), (503, b"{}"), (200, b"<html>no JSON</html>")),
    ],
)
def test_what_passes_is_tried_again(server: Server, passing: tuple[int, bytes]) -> None:
    server.answers = [passing, passing, FINE]
    assert calling(server).call("sqs", "SendMessage", {}) == {"fine": 1}


def test_what_does_not_pass_is_raised_after_three_tries(server: Server) -> None:
    server.answers = [THROTTLED] * 4
    with pytest.raises(AwsError, match="SendMessage: ThrottlingException"):
        calling(server).call("sqs", "SendMessage", {})
    assert len(server.requests) == 3


def test_a_refusal_is_raised_at_once_with_its_details(server: Server) -> None:
    server.answers = [(400, b'{"__type": "x#AccessDeniedException", "message": "no"}')]
    with pytest.raises(AwsError) as caught:
        calling(server).call("sqs", "SendMessage", {"secret": "canary"})
    assert caught.value.code == "AccessDeniedException"
    assert caught.value.details["message"] == "no"
    assert "canary" not in str(caught.value)
    assert len(server.requests) == 1


def test_no_answer_is_raised(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "SECONDS", (0.1, 0.1))
    server.status = 0
    calls = calling(server)
    for _ in range(2):
        with pytest.raises(AwsError, match="SendMessage: no answer"):
            calls.call("sqs", "SendMessage", {})
    assert len(server.requests) == 3  # who is silent is not asked again for a while
    server.status = 200
    assert calls.call("dynamodb", "GetItem", {}) == {}
    monkeypatch.setattr("handler.aws.time.monotonic", lambda: float("inf"))
    assert calls.call("sqs", "SendMessage", {}) == {}


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://sqs.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://sqs.eusc-de-east-1.amazonaws.eu"),
        ("us-gov-west-1", "https://sqs.us-gov-west-1.amazonaws.com"),
    ],
)
def test_each_region_has_its_address(
    server: Server, region: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def post(url: str, **_: Any) -> None:
        asked.append(url)
        raise AssertionError

    calls = calling(server, AWS_REGION=region, AWS_ENDPOINT_URL="")
    monkeypatch.setattr(connections.session(), "post", post)
    with pytest.raises(AssertionError):
        calls.call("sqs", "SendMessage", {})
    assert asked == [address]


def test_every_region_that_botocore_knows_has_its_address() -> None:
    """The isolated partitions and Europe's sovereign one have domains of their own."""
    partitions = botocore.session.Session().get_component("data_loader").load_data("partitions")
    regions = {
        region: partition["outputs"]["dnsSuffix"]
        for partition in partitions["partitions"]
        for region in partition["regions"]
        if not region.endswith("-global")
    }
    assert len(regions) > 30
    for region, suffix in regions.items():
        for service in ("dynamodb", "sqs"):
            address = Aws({"AWS_REGION": region})._endpoint(service)
            assert address == f"https://{service}.{region}.{suffix}"


# What only AWS does, and no table of ours


def remembering(server: Server) -> Memory:
    return Memory(calling(server), "memory")


def test_a_batch_is_repeated_until_nothing_of_it_is_left(server: Server) -> None:
    dues = [Due(log_file(f"{number}.log"), PHONE) for number in range(3)]
    left = {"memory": {"Keys": [{"id": {"S": dues[2].id}}]}}

    def found(*wanted: Due) -> list[dict[str, Any]]:
        return [{"id": {"S": due.id}, "state": {"S": "sent"}} for due in wanted]

    server.answers = [
        (
            200,
            json.dumps(
                {"Responses": {"memory": found(*dues[:2])}, "UnprocessedKeys": left}
            ).encode(),
        ),
        (200, json.dumps({"Responses": {"memory": found(dues[2])}}).encode()),
    ]
    assert remembering(server).sent(dues) == {due.id for due in dues}
    assert json.loads(server.requests[1][2])["RequestItems"] == left


def test_a_batch_of_which_always_something_is_left_is_an_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    server.body = b'{"UnprocessedKeys": {"memory": {}}}'
    with pytest.raises(AwsError, match="BatchGetItem"):
        remembering(server).sent([Due(log_file(), PHONE)])


@pytest.mark.parametrize(
    ("code", "reasons", "claim"),
    [
        ("TransactionCanceledException", ["ConditionalCheckFailed", "None"], Claim.DUPLICATE),
        ("TransactionCanceledException", ["None", "ConditionalCheckFailed"], Claim.OVER_LIMIT),
        (
            "TransactionCanceledException",
            ["ConditionalCheckFailed", "ConditionalCheckFailed"],
            Claim.DUPLICATE,
        ),
        ("TransactionCanceledException", ["TransactionConflict", "None"], Claim.CONTENDED),
        ("TransactionCanceledException", ["None", "ThrottlingError"], Claim.CONTENDED),
        ("TransactionInProgressException", [], Claim.CONTENDED),
        *((code, [], Claim.CONTENDED) for code in BUSY),
        ("AccessDeniedException", [], Claim.UNKNOWN),
        ("ResourceNotFoundException", [], Claim.UNKNOWN),
    ],
)
def test_a_refused_transaction_says_why(
    server: Server, code: str, reasons: list[str], claim: Claim
) -> None:
    answer = {"__type": code, "CancellationReasons": [{"Code": reason} for reason in reasons]}
    server.status, server.body = 400, json.dumps(answer).encode()
    assert remembering(server).claim(Due(log_file(), PHONE), limit=30) is claim


def test_a_repeated_claim_is_the_same_transaction(server: Server) -> None:
    """An answer may be lost: the second request must not find the first one's claim."""
    server.answers = [(500, b""), (200, b"{}")]
    assert remembering(server).claim(Due(log_file(), PHONE), limit=30) is Claim.YOURS
    tokens = {json.loads(body)["ClientRequestToken"] for _, _, body in server.requests}
    assert len(server.requests) == 2
    assert len(tokens) == 1


def test_another_error_than_a_quick_flush_is_told_when_holding(server: Server) -> None:
    server.answers = [(400, b'{"__type": "ConditionalCheckFailedException"}')]
    remembering(server).hold(Due(log_file(), PHONE))
    server.answers = [(400, b'{"__type": "AccessDeniedException"}')]
    with pytest.raises(AwsError, match="AccessDenied"):
        remembering(server).hold(Due(log_file(), PHONE))
