"""The import of the package, here and in Lambda, and its two entry points."""

import datetime
import json
import os
import re
import subprocess
import sys

import pytest

import handler
from handler.environment import SettingsError, read_settings, to_environment
from simulation import samples
from simulation.http_server import Server
from simulation.samples import record, settings

ENVIRONMENT = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_SECRET": "a secret",
    "TWILIO_API_URL": "http://127.0.0.1:9",
    "FROM_NUMBER": "+15005550006",
    "TO_NUMBERS": "+15005550100,+15005550101",
    "MESSAGE": "New log $key, $size, $time in $bucket",
    "MODE": "instant",
    "MAX_TEXTS_PER_HOUR": "30",
    "MAX_TEXTS_AT_ONCE": "5",
    "FLUSH_MINUTES": "5",
    "TIMEZONE": "UTC",
    "LEDGER_TABLE": "ledger",
    "HELD_QUEUE": "https://sqs/held",
    "FAILED_QUEUE": "https://sqs/failed",
    "STACK": "s3-logs/test",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "example",
}


def imported(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script in its own interpreter, with this environment and the PATH only."""
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_the_handler_needs_no_environment_and_loads_nothing() -> None:
    done = imported("import handler, sys; print('twilio' in sys.modules, 'json' in sys.modules)")
    assert done.stdout == "False False\n", done.stderr


@pytest.mark.parametrize("function", ["handler.notify", "handler.flush"])
def test_in_lambda_everything_is_ready_before_the_first_event(function: str) -> None:
    done = imported(
        "import handler, sys; print('twilio.rest.api.v2010.account.message' in sys.modules)",
        _HANDLER=function,
        **ENVIRONMENT,
    )
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    ("function", "mode", "opened"),
    [
        ("handler.notify", "instant", {"twilio", "aws"}),
        ("handler.notify", "digest", {"aws"}),
        ("handler.flush", "instant", set()),
    ],
)
def test_in_lambda_the_connections_that_an_event_needs_are_preconnected(
    function: str, mode: str, opened: set[str]
) -> None:
    done = imported(
        """
import socket, threading
def connect(address, _):
    print(address[0])
    raise OSError
socket.create_connection = connect
import handler
[one.join(9) for one in threading.enumerate() if one.daemon]
""",
        _HANDLER=function,
        **ENVIRONMENT
        | {"MODE": mode, "TWILIO_API_URL": "https://twilio", "AWS_ENDPOINT_URL": "https://aws"},
    )
    assert (set(done.stdout.split()), done.stderr) == (opened, "")


def test_boto3_never_enters_the_start_up_path() -> None:
    done = imported(
        "import handler, sys; print([name for name in sys.modules if 'boto' in name])",
        _HANDLER="handler.notify",
        **ENVIRONMENT,
    )
    assert done.stdout == "[]\n", done.stderr


def test_in_lambda_an_incomplete_environment_is_one_message_that_names_all() -> None:
    done = imported("import handler", _HANDLER="handler.notify", TIMEZONE="UTC")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "handler.environment.SettingsError: The function's environment lacks TWILIO_ACCOUNT_SID, "
        "TWILIO_SECRET, TWILIO_API_URL, TO_NUMBERS, MESSAGE, MODE, MAX_TEXTS_PER_HOUR, "
        "MAX_TEXTS_AT_ONCE, FLUSH_MINUTES, LEDGER_TABLE, HELD_QUEUE, FAILED_QUEUE, STACK."
    )


def test_the_first_event_makes_it_ready_where_lambda_did_not() -> None:
    done = imported(
        """
import handler, types
handler.notify({'Event': 's3:TestEvent'}, types.SimpleNamespace(aws_request_id='1'))
""",
        **ENVIRONMENT,
    )
    assert done.returncode == 0, done.stderr


def test_the_handler_reads_the_environment_that_the_program_writes() -> None:
    wanted = settings()
    environment = samples.environment(wanted)
    assert environment["MESSAGE"] == wanted.message
    assert "MESSAGING_SERVICE_SID" not in environment
    assert read_settings(environment) == wanted


def test_the_program_cannot_write_a_setting_unknown_to_the_handler() -> None:
    with pytest.raises(TypeError, match="colour"):
        to_environment({**settings()._asdict(), "colour": "red"})


def test_neither_secret_nor_numbers_show_in_the_settings() -> None:
    assert "a secret" not in repr(settings())
    assert "+15005550100" not in repr(settings())


def test_settings_come_from_the_environment_only() -> None:
    with pytest.raises(SettingsError):
        read_settings({})
    assert handler.notify.__module__ == "handler"


class Context:
    def __init__(self, request: str = "00000000-0000-4000-8000-000000000000") -> None:
        self.aws_request_id = request

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.fixture
def environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The functions' environment, in which AWS is a server that answers as a test says."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": server.url}.items():
        monkeypatch.setenv(name, value)
    handler._process.cache_clear()
    return server


def test_notify_claims_a_text_for_each_phone(environment: Server) -> None:
    environment.status, environment.body = (
        400,
        (
            b'{"__type": "TransactionCanceledException",'
            b' "CancellationReasons": [{"Code": "ConditionalCheckFailed",'
            b' "Item": {"state": {"S": "sent"}}}, {"Code": "None"}]}'
        ),
    )
    handler.notify({"Records": [record("a.log")]}, Context())
    operations = [request.headers["X-Amz-Target"] for request in environment.requests]
    assert operations == ["DynamoDB_20120810.TransactWriteItems"] * 2  # two phones


def test_each_line_says_when_and_for_which_request(
    environment: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.body = b'{"Successful": [{"Id": "0"}]}'
    before = datetime.datetime.now(datetime.UTC)
    handler.notify({"Records": [record("a.log")]}, Context("first"))
    handler.flush({}, Context("second"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["requestId"] for line in lines if line["outcome"] == "seen"] == ["first"]
    assert [line["requestId"] for line in lines if line["outcome"] == "flushed"] == ["second"]
    second = datetime.timedelta(seconds=1)
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
        logged_at = datetime.datetime.fromisoformat(line["timestamp"])
        assert before - second < logged_at < datetime.datetime.now(datetime.UTC) + second


def test_flush_takes_from_the_held(environment: Server) -> None:
    handler.flush({}, Context())
    received, queried = environment.requests
    assert received.headers["X-Amz-Target"] == "AmazonSQS.ReceiveMessage"
    assert b"https://sqs/held" in received.body
    assert queried.headers["X-Amz-Target"] == "DynamoDB_20120810.Query"  # the due delivery reports


def test_each_module_of_the_handler_keeps_no_state_but_the_process() -> None:
    """All other state belongs to the one object that the entry point creates."""
    done = imported(
        """
import functools, importlib, pathlib, handler
kinds = (dict, list, set, functools._lru_cache_wrapper)
for path in pathlib.Path(handler.__file__).parent.glob('*.py'):
    name = 'handler' if path.stem == '__init__' else f'handler.{path.stem}'
    module = importlib.import_module(name)
    for key, value in vars(module).items():
        if key[:2] != '__' and not key.strip('_').isupper() and isinstance(value, kinds):
            print(f'{name}.{key}')
""",
    )
    assert done.stdout.split() == ["handler._process"], done.stderr
