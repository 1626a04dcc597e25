"""Settings and hooks for all tests."""

import gc
import signal
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell starts background jobs deaf to Ctrl-C, which tests send to the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines: a machine that does other things as well takes longer now and then.
for profile, max_examples in {"quick": 25, "thorough": 100, "fuzz": 20_000}.items():
    hypothesis.settings.register_profile(profile, max_examples=max_examples, deadline=None)
hypothesis.settings.load_profile("quick")  # `make check` chooses the thorough one

DEMOS = ("tests/local/test_demo.py", "tests/browser/")
"""Tests that start demos. One worker runs them, as `make upload` finds all demos of a checkout."""


class DemosInOneWorker(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker one test after the other, and one of them all tests of demos, first."""

    def _split_scope(self, nodeid: str) -> str:
        return "demos" if nodeid.startswith(DEMOS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> DemosInOneWorker:
    """Say how parallel workers share the tests."""
    return DemosInOneWorker(config, log)


def pytest_collection_finish() -> None:
    """Let Python search for garbage more rarely, and not among the modules: that takes long."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
