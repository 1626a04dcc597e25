"""Check the handler's requests and the tests' faked answers against botocore's models of AWS."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.parsers
import botocore.serialize
import botocore.session
import pytest
from botocore.validate import ParamValidator

from handler.aws import Aws
from handler.connections import new_session
from simulation.http_server import Server
from simulation.samples import PHONE
from simulation.world import World
from stack import ROOT
from tests.unit.conftest import patience, server

__all__ = ["patience", "server"]

RECORDED = (
    "tests/unit/test_aws.py",
    "tests/unit/test_delivery_reports.py",
    "tests/unit/test_exactly_once.py",
    "tests/unit/test_flusher.py",
    "tests/unit/test_metrics.py",
    "tests/unit/test_never_lost.py",
    "tests/unit/test_notifier.py",
)

# To record the messages of this test would take a minute.
LEFT_OUT = "tests/unit/test_flusher.py::test_as_many_texts_as_a_run_takes_fit_the_function"

# All services have these errors, and no operation's model lists them.
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
COMMON_ERRORS = {"AccessDeniedException", "ThrottlingException", "ServiceUnavailable"}

SESSION = botocore.session.Session()


class Judge:
    """botocore's model of one operation."""

    def __init__(self, service: str, operation: str) -> None:
        self._service = SESSION.get_service_model(service)
        self._operation = self._service.operation_model(operation)
        self._name = operation

    def of_request(self, request: Mapping[str, Any]) -> list[str]:
        """Return the objections to a request."""
        return self._compared(request, self._operation.input_shape)

    def of_answer(self, answer: Mapping[str, Any]) -> list[str]:
        """Return the objections to an answer."""
        return self._compared(answer, self._operation.output_shape)

    def of_error(self, code: str, answer: Mapping[str, Any]) -> list[str]:
        """Return the objections to an error."""
        parsed = self._parsed(400, {"__type": f"com.amazonaws#{code}", **answer}, None)
        if parsed["Error"]["Code"] != code:
            return [f"{self._name}: {code} is read as {parsed['Error']['Code']}"]
        if code in COMMON_ERRORS:
            return []
        for shape in self._operation.error_shapes:
            if code in {shape.error_code, shape.name}:
                details = {name: part for name, part in answer.items() if name in shape.members}
                return self._compared(details, shape)
        return [f"{self._name} has no error {code}"]

    def headers(self, request: Mapping[str, Any]) -> tuple[dict[str, str], Any]:
        """Return the headers and the body that botocore would send."""
        serializer = botocore.serialize.create_serializer(self._service.resolved_protocol)
        made = serializer.serialize_to_request(dict(request), self._operation)
        return dict(made["headers"]), json.loads(made["body"])

    def _compared(self, value: Mapping[str, Any], shape: Any) -> list[str]:
        """Compare a value with a shape: types, required members and unknown names."""
        report = ParamValidator().validate(value, shape)
        if report.has_errors():
            return [f"{self._name}: {report.generate_report()}"]
        parsed = _as_json(self._parsed(200, value, shape))
        del parsed["ResponseMetadata"]
        return [f"{self._name}: {value} is read as {parsed}"] if parsed != value else []

    def _parsed(self, status: int, value: Mapping[str, Any], shape: Any) -> dict[str, Any]:
        parser = botocore.parsers.create_parser(self._service.resolved_protocol)
        parsed: dict[str, Any] = parser.parse(
            {"status_code": status, "headers": {}, "body": json.dumps(value).encode()}, shape
        )
        return parsed


def _as_json(parsed: Any) -> Any:
    """Encode the binary values in base64, as in JSON."""
    match parsed:
        case bytes():
            return base64.b64encode(parsed).decode()
        case dict():
            return {name: _as_json(part) for name, part in parsed.items()}
        case list():
            return [_as_json(part) for part in parsed]
    return parsed


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The handler's calls of AWS in the unit tests."""
    record = tmp_path_factory.mktemp("heard") / "calls"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "tests.judges.recording"),
            *("-p", "no:cacheprovider", "--hypothesis-seed=1", "--deselect", LEFT_OUT, *RECORDED),
        ],
        cwd=ROOT,
        env={**os.environ, "RECORD": str(record)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return [json.loads(line) for line in sorted(set(record.read_text().splitlines()))]


def test_every_request_is_one_that_aws_describes(heard: list[dict[str, Any]]) -> None:
    objections = {
        objection
        for call in heard
        for objection in Judge(call["service"], call["operation"]).of_request(
            json.loads(call["request"])
        )
    }
    assert objections == set()


def test_every_answer_that_the_tests_fake_is_one_that_aws_describes(
    heard: list[dict[str, Any]],
) -> None:
    assert set(_objections_to_answers(heard)) == set()


def _objections_to_answers(heard: list[dict[str, Any]]) -> Iterator[str]:
    for call in heard:
        judge = Judge(call["service"], call["operation"])
        if call["code"] is None:
            yield from judge.of_answer(call["answer"])
        elif call["code"] and not call["code"].startswith("HTTP"):
            yield from judge.of_error(call["code"], call["answer"])


def test_every_operation_and_the_important_errors_were_recorded(
    heard: list[dict[str, Any]],
) -> None:
    assert {call["operation"] for call in heard if call["code"] is None} == set(World().operations)
    assert {call["operation"] for call in heard if call["code"]} >= {
        "TransactWriteItems",
        "UpdateItem",
    }


def test_a_request_is_sent_as_botocore_would_send_it(server: Server) -> None:
    aws = Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "example",
            "AWS_ENDPOINT_URL": server.url,
        },
        new_session(),
    )
    for service, operation, request in (
        ("dynamodb", "UpdateItem", {"TableName": "ledger", "Key": {"id": {"S": "ä"}}}),
        ("sqs", "ReceiveMessage", {"QueueUrl": "https://sqs/held", "MaxNumberOfMessages": 10}),
    ):
        aws.call(service, operation, request)  # type: ignore[arg-type]  # both are literals
        headers, body = server.requests[-1].headers, server.requests[-1].body
        wanted, content = Judge(service, operation).headers(request)
        assert json.loads(body) == content
        assert {name: headers[name] for name in ("X-Amz-Target", "Content-Type")} == {
            name: wanted[name] for name in ("X-Amz-Target", "Content-Type")
        }


# Objections of the judge

ITEM = {"TableName": "ledger", "Key": {"id": {"S": "1"}}}
ENTRY = {"QueueUrl": "https://sqs/held", "Entries": [{"Id": "0", "MessageBody": PHONE}]}


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("dynamodb", "UpdateItem", ITEM | {"Key": {"id": "1"}}),
        ("dynamodb", "UpdateItem", ITEM | {"Key": {"id": {"N": 1}}}),
        ("dynamodb", "UpdateItem", ITEM | {"KeyCondition": "id = 1"}),
        ("dynamodb", "UpdateItem", {"TableName": "ledger"}),
        ("sqs", "SendMessageBatch", ENTRY | {"Entries": [{"Id": 0, "MessageBody": PHONE}]}),
        ("sqs", "SendMessageBatch", ENTRY | {"Entries": [{"Id": "0", "Body": PHONE}]}),
    ],
)
def test_a_request_that_aws_does_not_describe_is_found(
    service: str, operation: str, request_: dict[str, Any]
) -> None:
    judge = Judge(service, operation)
    assert judge.of_request(ITEM if service == "dynamodb" else ENTRY) == []
    assert len(judge.of_request(request_)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"Messages": [{"Body": 1}]},
        {"Messages": [{"Text": "x"}]},
        {"Messages": {"Body": "x"}},
        {"Attributes": {}},
        {"Messages": [{"Attributes": {"SentTimestamp": 1795556883000}}]},
    ],
    ids=str,
)
def test_an_answer_that_aws_does_not_describe_is_found(answer: dict[str, Any]) -> None:
    judge = Judge("sqs", "ReceiveMessage")
    right = {"Body": "x", "ReceiptHandle": "1", "Attributes": {"SentTimestamp": "1795556883000"}}
    assert judge.of_answer({"Messages": [right]}) == []
    assert len(judge.of_answer(answer)) == 1


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("TransactionCancelled", {}),
        ("ConditionalCheckFailedException", {}),
        ("TransactionCanceledException", {"CancellationReasons": ["ConditionalCheckFailed"]}),
    ],
)
def test_an_error_that_aws_does_not_describe_is_found(code: str, answer: dict[str, Any]) -> None:
    judge = Judge("dynamodb", "TransactWriteItems")
    reasons = [{"Code": "ConditionalCheckFailed"}, {"Code": "None"}]
    right = {"CancellationReasons": reasons, "message": "Transaction cancelled"}
    assert judge.of_error("TransactionCanceledException", right) == []
    assert len(judge.of_error(code, answer)) == 1
