"""Pulumi's engine, where its CLI is."""

import gc
import os
from collections.abc import Iterator

import pytest

from stack.pulumi_cli import CliError, find_cli


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the CLI where there is none, and say so; in CI that is a failure."""
    try:
        find_cli()
    except CliError as error:
        if os.environ.get("CI"):
            raise pytest.UsageError(str(error)) from None
        for item in items:
            item.add_marker(pytest.mark.skip(reason=str(error)))


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Sweep up what an update has left open, where it does no harm."""
    yield
    gc.collect()
