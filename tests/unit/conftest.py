"""Fixtures for the unit tests."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from handler import aws, preconnect, sender
from simulation.http_server import Server

PATIENCE = 60.0
"""Seconds that a test waits for an answer of this machine, which may be busy."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, without `time.sleep`, which some tests replace."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"not within {PATIENCE:g} s: {what}"
        threading.Event().wait(0.01)


@pytest.fixture(scope="module")
def patience() -> Iterator[None]:
    """Let the handler wait for longer than it does in Lambda."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(aws, "TIMEOUT_SECONDS", (PATIENCE, PATIENCE))
        patched.setattr(sender, "TIMEOUT_SECONDS", (PATIENCE, PATIENCE))
        patched.setattr(preconnect, "STEP_TIMEOUT_SECONDS", PATIENCE)
        yield


@pytest.fixture
def server(patience: None) -> Iterator[Server]:
    """A server that answers as the test says, and for which the handler waits."""
    with Server() as answering:
        yield answering
