"""The package in AWS's own runtime: starts, texts, failures and logs."""

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.package import build
from local.emulator import CREDENTIALS, REGION, Emulator
from local.twilio import StandIn
from local.twilio_faults import BUSY, Fault
from simulation.http_server import Server
from stack import ROOT
from tests.judges.lambda_runtime import Function, complaints
from tests.local.conftest import SECONDS, System
from tests.unit.conftest import patience, server

__all__ = ["patience", "server"]

Start = Callable[..., Function]


@pytest.fixture(scope="module")
def system(emulator: Emulator, shared_twilio: StandIn) -> Iterator[System]:
    deployed = System(emulator, shared_twilio)
    yield deployed
    deployed.destroy()


@pytest.fixture
def start(system: System) -> Iterator[Start]:
    """Start a function with the handler and environment that the program declares."""
    with contextlib.ExitStack() as stack:
        yield lambda *what, **how: stack.enter_context(declared(system, *what, **how))


def declared(system: System, name: str, package: Path | None = None, **changes: Any) -> Function:
    """Return a function as the program declares it, with these changes."""
    configuration = system.aws["lambda"].get_function_configuration(
        FunctionName=system.outputs[f"{name}Function"]
    )
    environment = {
        **configuration["Environment"]["Variables"],
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": CREDENTIALS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS["aws_secret_access_key"],
        "AWS_ENDPOINT_URL": system.emulator.url,
        **changes.pop("environment", {}),
    }
    return Function(
        configuration["Handler"], package or build(ROOT / "handler"), environment, **changes
    )


def outcomes(function: Function, request_id: str) -> list[str]:
    """Return the outcomes that the function logged in one request."""
    return [line["outcome"] for line in function.lines() if line.get("requestId") == request_id]


def test_an_event_becomes_a_text_and_its_duplicate_does_not(start: Start, system: System) -> None:
    before = len(system.twilio.texts)
    notify = start("notify")
    event = system.event("runtime/web.log")
    assert notify.invoke(event, "first") is None
    assert outcomes(notify, "first") == ["seen", "sent"]
    assert notify.invoke(event, "second") is None
    assert outcomes(notify, "second") == ["seen", "duplicate"]
    (text,) = system.twilio.texts[before:]
    assert "runtime/web.log" in text.body
    assert complaints(notify.lines()) == []


def test_a_held_text_is_sent_by_the_next_flush(start: Start, system: System) -> None:
    before = len(system.twilio.texts)
    system.twilio.fault(BUSY)
    notify = start("notify")
    assert notify.invoke(system.event("runtime/held.log"), "first") is None
    system.twilio.end_fault()
    assert outcomes(notify, "first") == ["seen", "held"]
    flush = start("flush")
    assert flush.invoke({}, "flushing") is None
    assert "flushed" in outcomes(flush, "flushing")
    (text,) = system.twilio.texts[before:]
    assert "runtime/held.log" in text.body
    assert complaints([*notify.lines(), *flush.lines()]) == []


def test_an_unreadable_record_fails_and_stops_no_other(start: Start, system: System) -> None:
    before = len(system.twilio.texts)
    event = system.event("runtime/readable.log")
    unreadable = {"eventSource": "aws:s3", "eventVersion": "9.0", "mark": "of this test"}
    event["Records"].insert(0, unreadable)
    notify = start("notify")
    assert notify.invoke(event, "first") is None
    assert sorted(outcomes(notify, "first")) == ["failed", "seen", "sent"]
    assert len(system.twilio.texts) == before + 1
    assert unreadable in [message.get("unreadable") for message in system.on("failed")]
    assert complaints(notify.lines()) == []


def test_a_crash_is_reported_as_lambda_does_and_repeats_no_text(
    start: Start, system: System
) -> None:
    before = len(system.twilio.texts)
    event = system.event("runtime/crash.log")
    notify = start("notify")
    system.twilio.fault(Fault(delay=SECONDS), times=1)
    waiting = threading.Thread(target=notify.invoke, args=(event, "first"))
    waiting.start()
    system.twilio.wait_for(before + 1, seconds=SECONDS)  # accepted, but not answered yet
    (runtime,) = notify.runtimes()
    os.kill(runtime, signal.SIGKILL)
    waiting.join()
    assert notify.answer["errorType"] == "Runtime.ExitError"
    assert "signal: killed" in notify.answer["errorMessage"]
    # Lambda tries again in a new process. It must not send a text that may have been sent.
    assert notify.invoke(event, "second")["errorType"] == "LeaseHeld"
    assert len(system.twilio.texts) == before + 1
    assert complaints([line for line in notify.lines() if "outcome" in line]) == []


def test_a_timeout_is_reported_as_lambda_does_and_stops_no_later_event(
    start: Start, system: System, server: Server
) -> None:
    server.status = 0  # AWS does not answer
    notify = start("notify", environment={"AWS_ENDPOINT_URL": server.url}, timeout_seconds=2)
    assert notify.invoke(system.event("runtime/slow.log"), "first") == (
        "Task timed out after 2.00 seconds"
    )
    server.status = 200
    assert notify.invoke({"Event": "s3:TestEvent"}, "second") is None
    assert outcomes(notify, "first") == ["seen"]


def test_an_incomplete_environment_is_an_error_of_the_start(start: Start) -> None:
    answer = start("notify", environment={"MESSAGE": ""}).invoke({"Event": "s3:TestEvent"})
    assert answer["errorType"] == "SettingsError"
    assert "lacks MESSAGE" in answer["errorMessage"]


# Objections of the judge


def test_a_package_that_lacks_a_module_is_found(start: Start, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(build(ROOT / "handler"), package)
    shutil.rmtree(package / "requests")
    answer = start("notify", package=package).invoke({"Event": "s3:TestEvent"})
    assert answer["errorType"] == "Runtime.ImportModuleError"
    assert "requests" in answer["errorMessage"]


@pytest.mark.parametrize(
    "mistake",
    [
        {"timestamp": None},
        {"timestamp": "2026-11-24 21:48:03"},
        {"timestamp": "2026-11-24T21:48:03.120+01:00"},
        {"timestamp": 1795556883},
        {"requestId": None},
        {"level": "WARNING"},
        {"level": None},
    ],
    ids=str,
)
def test_a_line_that_lambda_would_not_understand_is_found(mistake: dict[str, Any]) -> None:
    right = {"timestamp": "2026-11-24T21:48:03.120Z", "level": "WARN", "requestId": "1"}
    assert complaints([right]) == []
    wrong = {key: value for key, value in {**right, **mistake}.items() if value is not None}
    assert complaints([wrong])
