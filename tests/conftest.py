"""Settings and hooks for all tests."""

import signal
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell starts background jobs deaf to Ctrl-C, which tests send to the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("fuzz", max_examples=20_000, deadline=None)
# A machine that does other things as well takes longer now and then: that is no failure.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.load_profile("usual")

DEMOS = ("tests/local/test_demo.py", "tests/browser/")
"""Tests that start demos. One worker runs them, as `make upload` finds all demos of a checkout."""


class DemosInOneWorker(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each worker one test after the other, and one of them all tests of demos, first."""

    def _split_scope(self, nodeid: str) -> str:
        return "demos" if nodeid.startswith(DEMOS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> DemosInOneWorker:
    """Say how parallel workers share the tests."""
    return DemosInOneWorker(config, log)
