"""Fixtures for the unit tests."""

import datetime
import os
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from handler import aws, preconnect, sender
from ops import commands, smoke
from simulation.http_server import Server
from stack import log_lines
from stack.deployed import Stack
from tests.unit.operated import NOW, Operated, Run

PATIENCE = 60.0
"""Seconds that a test waits for an answer of this machine at most: it may be busy."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition without `time.sleep`, which some tests replace."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        threading.Event().wait(0.01)


@pytest.fixture(scope="session", autouse=True)
def certificates_once() -> Iterator[None]:
    """Read each bundle of certificates once: reading is slow, and hundreds of sessions need it."""
    read, contexts = preconnect._tls_context, dict[str, ssl.SSLContext]()

    def once() -> ssl.SSLContext:
        path = os.environ.get("REQUESTS_CA_BUNDLE", "")
        if path not in contexts:
            contexts[path] = read()
        return contexts[path]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(preconnect, "_tls_context", once)
        yield


@pytest.fixture(scope="module")
def patience() -> Iterator[None]:
    """Give the handler longer timeouts than in Lambda."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aws, "TIMEOUT_SECONDS", (PATIENCE, PATIENCE))
        patched.setattr(sender, "TIMEOUT_SECONDS", (PATIENCE, PATIENCE))
        patched.setattr(preconnect, "STEP_TIMEOUT_SECONDS", PATIENCE)
        yield


@pytest.fixture
def server(patience: None) -> Iterator[Server]:
    """A server that answers as the test says. The handler's timeouts are long."""
    with Server() as answering:
        yield answering


class Stopped(datetime.datetime):
    """A clock that stands still, so that a slow run does not change the age of a sample."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return NOW.astimezone(tz)


KEY = {"explain": ("--key", "app/web.log")}
"""The arguments of each command that needs some."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs a command without waiting: a fake answers at once or never."""
    for name in ("DECISION_SECONDS", "DELIVERY_SECONDS", "POLL_SECONDS"):
        monkeypatch.setattr(smoke, name, 0)
    monkeypatch.setattr(smoke, "NOTIFY_SECONDS", (0, 0, 0))
    monkeypatch.setattr("stack.flush.LOG_SECONDS", 0)
    monkeypatch.setattr(log_lines, "POLL_SECONDS", 0)
    monkeypatch.setattr(datetime, "datetime", Stopped)

    def ran(operated: Operated, command: str, *arguments: str) -> str:
        monkeypatch.setattr(Stack, "open", lambda _: operated.stack)
        given = arguments or KEY.get(command, ())
        monkeypatch.setattr(sys, "argv", ["ops", "--stack", operated.stack.name, command, *given])
        if command == "tail":
            reads = iter(range(len(log_lines.FUNCTIONS)))

            def end() -> None:
                if next(reads, None) is None:
                    raise KeyboardInterrupt

            operated.logs.on_read = end
        try:
            commands.main()
            code: object = 0
        except SystemExit as ended:
            code = ended.code
        shown = capsys.readouterr()
        assert bool(shown.err) == (code == 1), shown.err
        return shown.out + shown.err

    return ran
