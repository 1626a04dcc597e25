"""Settings and hooks for all tests."""

import gc
import signal
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

# A shell lets background jobs ignore Ctrl-C, but tests send it to programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadlines, as a busy machine is slow at times.
for profile, max_examples in {"quick": 25, "thorough": 100, "fuzz": 20_000}.items():
    hypothesis.settings.register_profile(profile, max_examples=max_examples, deadline=None)
hypothesis.settings.load_profile("quick")  # `make check` chooses "thorough"

DEMOS = ("tests/local/test_demo.py", "tests/browser/")
"""Tests that start demos. One worker runs them all, as `make upload` finds every demo."""


class DemosInOneWorker(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """A scheduler that gives all tests of demos to one worker, first, and others one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return "demos" if nodeid.startswith(DEMOS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> DemosInOneWorker:
    """Return the scheduler for parallel workers."""
    return DemosInOneWorker(config, log)


def pytest_collection_finish() -> None:
    """Make garbage collection rarer, and skip all imported modules: it is slow."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
