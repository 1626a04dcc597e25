"""Fixtures for the tests that need Pulumi's CLI."""

import gc
import os
from collections.abc import Iterator

import pytest

from stack.pulumi_cli import CliError, find_cli


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip these tests without the CLI, and say why. In CI, fail."""
    try:
        find_cli()
    except CliError as error:
        if os.environ.get("CI"):
            raise pytest.UsageError(str(error)) from None
        for item in items:
            item.add_marker(pytest.mark.skip(reason=str(error)))


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Collect the objects that an update has left open, before the next test starts."""
    yield
    gc.collect()
