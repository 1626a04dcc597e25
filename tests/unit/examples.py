"""The number of hypothesis's examples: a quarter in everyday runs, all in `make check`."""

from typing import Any

from hypothesis import settings

from simulation.quick_table import QuickTable
from simulation.table import Table


def _share() -> float:
    return settings().max_examples / settings.get_profile("thorough").max_examples


def examples(number: int, **others: Any) -> settings:
    """Return hypothesis's settings for a test.

    Args:
        number: The examples of a thorough run.
        others: Other settings.
    """
    return settings(max_examples=max(1, round(number * _share())), **others)


def is_thorough() -> bool:
    """Whether this run tries all examples, as `make check` does."""
    return _share() >= 1


def ledger_table() -> type[Table] | type[QuickTable]:
    """Return the table for long tests. Only that of a thorough run evaluates each expression."""
    return Table if is_thorough() else QuickTable
