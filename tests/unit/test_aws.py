"""Calls to AWS over real HTTP, to a server that answers as a test says."""

import json
from collections.abc import Sequence
from typing import Any

import botocore.session
import pytest
from requests import ConnectionError as NoConnection
from requests import Session

from handler import aws
from handler.attempts import Attempts, TextItem
from handler.aws import UNREACHABLE_SECONDS, Aws, AwsError
from handler.connections import new_session
from handler.ledger import Claim, Ledger, NotRecorded
from handler.notice import Notice
from handler.queues import UNKNOWN_AGE, Message, NotQueued, Queue
from handler.retries import BUSY_SECONDS
from handler.table import Table
from simulation.http_server import Server
from simulation.samples import LIMITS, PHONE, log_file
from tests.unit.conftest import until

BUSY = ("ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded")
THROTTLED = (400, b'{"__type": "com.amazonaws#ThrottlingException", "message": "slow down"}')
FINE = (200, b'{"fine": 1}')
NOTHING_LEFT = (200, b'{"UnprocessedItems": {}}')


class Clock:
    """A clock that moves only when a test moves it or the code waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    """A clock that jumps instead of waiting."""
    return Clock()


def calling(server: Server, clock: Clock | None = None, **changes: str) -> Aws:
    clock = clock or Clock()
    return Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_SESSION_TOKEN": "token",
            "AWS_ENDPOINT_URL": server.url,
            **changes,
        },
        new_session(),
        clock=clock,
        sleep=clock.wait,
    )


def test_a_call_is_one_signed_request(server: Server) -> None:
    server.answers = [FINE]
    assert calling(server).call("dynamodb", "GetItem", {"Key": "ä"}) == {"fine": 1}
    (request,) = server.requests
    path, headers, body = request.path, request.headers, request.body
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
        *((400, b'{"__type": "TransactionConflictException"}'), (429, b"slow down")),
        *((500, b"oops"), (503, b"{}"), (503, b'{"__type": "ServiceUnavailable"}')),
        *((502, b"<html>from a proxy</html>"), (500, b"[1]"), (200, b"<html>no JSON</html>")),
        *((200, b"[]"), (200, b"null"), (200, b'"fine"'), (200, b"[" * 100_000)),
    ],
)
def test_a_temporary_error_is_retried(server: Server, passing: tuple[int, bytes]) -> None:
    server.answers = [passing, passing, FINE]
    assert calling(server).call("sqs", "SendMessage", {}) == {"fine": 1}


def test_a_lasting_error_is_raised_after_three_tries(server: Server) -> None:
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


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (403, b"<html>from a proxy</html>", "HTTP403"),
        (407, b"", "HTTP407"),
        (400, b"[]", "HTTP400"),
        (400, b'{"__type": ["x"]}', "HTTP400"),
        (302, b"", "HTTP302"),
        (400, b'{"__type": "com.amazonaws#ValidationException"}', "ValidationException"),
    ],
)
def test_a_refusal_is_not_retried_for_any_body_and_does_not_block_the_service(
    server: Server, status: int, body: bytes, code: str
) -> None:
    calls = calling(server)
    server.status, server.body = status, body
    for requests in (1, 2):
        with pytest.raises(AwsError) as caught:
            calls.call("sqs", "SendMessage", {})
        assert caught.value.code == code
        assert len(server.requests) == requests
    server.answers = [FINE]
    assert calls.call("sqs", "SendMessage", {}) == {"fine": 1}


def test_a_missing_answer_is_raised(
    server: Server, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(aws, "TIMEOUT_SECONDS", (0.1, 0.1))
    server.status = 0
    calls = calling(server, clock)
    for _ in range(2):
        with pytest.raises(AwsError, match="SendMessage: no answer"):
            calls.call("sqs", "SendMessage", {})
    # The server may read a request after the client gave up, so wait for the third one.
    # The second call sent none: a silent service gets no request for a while.
    until(lambda: len(server.requests) == 3, f"three requests: {server.requests}")
    server.status = 200
    assert calls.call("dynamodb", "GetItem", {}) == {}
    clock.wait(UNREACHABLE_SECONDS)
    assert calls.call("sqs", "SendMessage", {}) == {}


@pytest.mark.parametrize("busy", [THROTTLED, (503, b"")])
def test_a_request_to_a_busy_service_gets_one_try_for_a_while(
    server: Server, clock: Clock, busy: tuple[int, bytes]
) -> None:
    calls = calling(server, clock)
    for requests in (3, 4, 5):
        server.answers = [busy] * 3
        with pytest.raises(AwsError):
            calls.call("dynamodb", "UpdateItem", {})
        assert len(server.requests) == requests
    server.answers = [busy, busy, FINE]
    assert calls.call("sqs", "SendMessage", {}) == {"fine": 1}  # SQS is not busy
    clock.wait(BUSY_SECONDS)
    server.answers = [busy, busy, FINE]
    assert calls.call("dynamodb", "UpdateItem", {}) == {"fine": 1}


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("eu-central-1", "https://sqs.eu-central-1.amazonaws.com"),
        ("cn-north-1", "https://sqs.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://sqs.eusc-de-east-1.amazonaws.eu"),
        ("us-gov-west-1", "https://sqs.us-gov-west-1.amazonaws.com"),
    ],
)
def test_each_region_has_its_address(region: str, address: str) -> None:
    asked: list[str] = []

    class Recording(Session):
        def post(self, url: Any, *_: Any, **__: Any) -> Any:
            asked.append(url)
            raise NoConnection

    environment = {
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "canary",
    }
    with pytest.raises(AwsError):
        Aws(environment, Recording(), sleep=Clock().wait).call("sqs", "SendMessage", {})
    assert set(asked) == {address}


def test_every_region_that_botocore_knows_has_its_address() -> None:
    """The isolated partitions and Europe's sovereign one have their own domains."""
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
            address = Aws({"AWS_REGION": region}, Session()).endpoint(service)
            assert address == f"https://{service}.{region}.{suffix}"


# Answers that the simulated table never gives


def remembering(server: Server, clock: Clock | None = None) -> Ledger:
    return Ledger(Table(calling(server, clock), "ledger"))


def knowing(server: Server, clock: Clock | None = None) -> Attempts:
    return Attempts(Table(calling(server, clock), "ledger"))


def test_a_batch_is_repeated_until_no_key_is_unprocessed(server: Server) -> None:
    notices = [Notice(log_file(f"{number}.log"), PHONE) for number in range(3)]
    left = {"ledger": {"Keys": [{"id": {"S": notices[2].id}}]}}

    def found(*wanted: Notice) -> list[dict[str, Any]]:
        return [{"id": {"S": notice.id}, "state": {"S": "sent"}} for notice in wanted]

    server.answers = [
        (
            200,
            json.dumps(
                {"Responses": {"ledger": found(*notices[:2])}, "UnprocessedKeys": left}
            ).encode(),
        ),
        (
            200,
            json.dumps(
                {"Responses": {"ledger": found(notices[2])}, "UnprocessedKeys": {}}
            ).encode(),
        ),
    ]
    sent = {notice.id: TextItem("sent") for notice in notices}
    assert knowing(server).look_up(notices) == (sent, set(), None)
    assert json.loads(server.requests[1].body)["RequestItems"] == left


def test_a_batch_that_always_leaves_keys_unprocessed_is_unknown(
    server: Server, clock: Clock
) -> None:
    """The tries end within three seconds, and the next look-up gets one try only."""
    notice = Notice(log_file(), PHONE)
    left = {"ledger": {"Keys": [{"id": {"S": notice.id}}], "ConsistentRead": True}}
    server.body = json.dumps({"UnprocessedKeys": left}).encode()
    attempts, began = knowing(server, clock), clock.now
    recalled = attempts.look_up([notice])
    assert recalled[:2] == ({}, {notice.id})
    assert "BatchGetItem: Throttled" in str(recalled.error)
    assert clock.now - began < 3
    began, asked = clock.now, len(server.requests)
    attempts.look_up([notice])
    assert (clock.now, len(server.requests)) == (began, asked + 1)


DUES = [Notice(log_file(f"{number}.log"), PHONE) for number in range(300)]


def test_a_refused_batch_affects_no_other_batch(server: Server) -> None:
    """Of three batches AWS refuses the second: only its 100 texts are unknown."""

    def answered(notices: Sequence[Notice]) -> tuple[int, bytes]:
        found = [{"id": {"S": notice.id}, "state": {"S": "sent"}} for notice in notices]
        return 200, json.dumps({"Responses": {"ledger": found}, "UnprocessedKeys": {}}).encode()

    server.answers = [answered(DUES[:100]), *[THROTTLED] * 3, answered(DUES[200:])]
    recalled = knowing(server).look_up(DUES)
    assert recalled.items.keys() == {notice.id for notice in DUES[:100] + DUES[200:]}
    assert recalled.unknown == {notice.id for notice in DUES[100:200]}


def test_a_batch_that_is_not_recorded_affects_no_other_batch(server: Server) -> None:
    """The second batch is throttled; the third leaves one text unprocessed."""
    left = [{"PutRequest": {"Item": {"id": {"S": DUES[60].id}}}}]
    over = (200, json.dumps({"UnprocessedItems": {"ledger": left}}).encode())
    server.answers = [NOTHING_LEFT, *[THROTTLED] * 3, over, *[NOTHING_LEFT] * 10]
    with pytest.raises(NotRecorded, match="26 texts: BatchWriteItem") as caught:
        remembering(server, Clock()).record_sent([one.id for one in DUES], "SM1")
    assert caught.value.count == 26
    put = [json.loads(one.body)["RequestItems"]["ledger"] for one in server.requests]
    assert {len(requests) for requests in put} == {25, 1}
    assert len({one["PutRequest"]["Item"]["id"]["S"] for some in put for one in some}) == 301


@pytest.mark.parametrize(
    ("code", "reasons", "claim"),
    [
        (
            "TransactionCanceledException",
            ["None", "ConditionalCheckFailed"],
            Claim.TOO_MANY_AT_ONCE,
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
    assert remembering(server).claim(Notice(log_file(), PHONE), limits=LIMITS) is claim


def test_a_repeated_claim_is_the_same_transaction(server: Server) -> None:
    """If the first answer was lost, the retry must not be refused for its own claim."""
    server.answers = [(500, b""), (200, b"{}")]
    assert remembering(server).claim(Notice(log_file(), PHONE), limits=LIMITS) is Claim.CLAIMED
    tokens = {json.loads(one.body)["ClientRequestToken"] for one in server.requests}
    assert len(server.requests) == 2
    assert len(tokens) == 1


def test_holding_raises_every_error_but_that_of_a_quick_flush(server: Server) -> None:
    server.answers = [(400, b'{"__type": "ConditionalCheckFailedException"}')]
    remembering(server).hold(Notice(log_file(), PHONE))
    server.answers = [(400, b'{"__type": "AccessDeniedException"}')]
    with pytest.raises(AwsError, match="AccessDenied"):
        remembering(server).hold(Notice(log_file(), PHONE))


def test_an_update_that_conflicts_with_a_transaction_is_retried(server: Server) -> None:
    conflict = (400, b'{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException"}')
    server.answers = [conflict, conflict, (200, b"{}")]
    remembering(server).count(PHONE)
    assert len(server.requests) == 3


# SQS's answers about messages


class Answering(Aws):
    """AWS that gives every call the same answer or refusal."""

    def __init__(self, status: int, answer: Any) -> None:
        super().__init__({}, Session(), sleep=Clock().wait)
        self.status, self.answer = status, answer

    def call(self, service: Any, operation: str, payload: Any) -> dict[str, Any]:
        if self.status != 200:
            code = str(self.answer.get("__type"))
            raise AwsError(operation, code, self.answer, self.status)
        return dict(self.answer)


@pytest.mark.parametrize(
    "answer", [{}, {"Successful": []}, {"Successful": [{"Id": "1"}]}, {"Failed": [{"Id": "x"}]}]
)
def test_a_message_is_on_the_queue_only_if_sqs_says_so(answer: Any) -> None:
    with pytest.raises(NotQueued):
        Queue(Answering(200, answer), "https://sqs/held").send(["a"])


def test_a_message_without_a_receipt_is_dropped_and_one_without_a_body_received() -> None:
    received = [{"ReceiptHandle": "r"}, {"Body": "b"}, None, {"Body": 5, "ReceiptHandle": "s"}]
    queue = Queue(Answering(200, {"Messages": received}), "https://sqs/held")
    assert queue.receive() == [
        Message("", "r", UNKNOWN_AGE),
        Message("", "s", UNKNOWN_AGE),
    ]


@pytest.mark.parametrize(
    ("texts", "claim"),
    [
        ("29", Claim.TOO_MANY_AT_ONCE),
        ("30", Claim.OVER_LIMIT),
        ("31", Claim.OVER_LIMIT),
        ("many", Claim.TOO_MANY_AT_ONCE),
    ],
)
def test_a_refused_count_says_which_limit_is_reached(
    server: Server, texts: str, claim: Claim
) -> None:
    full = {"Code": "ConditionalCheckFailed", "Item": {"texts": {"N": texts}}}
    reasons = {"CancellationReasons": [{"Code": "None"}, full]}
    answer = {"__type": "TransactionCanceledException", **reasons}
    server.status, server.body = 400, json.dumps(answer).encode()
    assert remembering(server).claim(Notice(log_file(), PHONE), limits=LIMITS) is claim
