"""Fixtures for the unit tests."""

from tests.unit.http_server import server

__all__ = ["server"]
