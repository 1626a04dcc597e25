"""Fixtures for the unit tests."""

from collections.abc import Iterator

import pytest

from simulation.http_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers as the test says."""
    with Server() as answering:
        yield answering
