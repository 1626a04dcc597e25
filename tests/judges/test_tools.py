"""Without its tool, a judge's test is skipped with the reason, and fails in CI."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judges import tools

FETCHED: dict[str, Callable[[Path], object]] = {
    "There is no go here": lambda _: tools.runtime_emulator.__wrapped__(),
    "There is no go here: AWS's sample events": lambda _: tools.sample_events.__wrapped__(),
    "There is no npm here": lambda _: tools._twilio_package.__wrapped__(),
    "awslambdaric, is not installed": tools.runtime_client,
}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Go, npm and AWS's runtime client."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(tools, "KEPT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("reason", FETCHED)
def test_without_its_tools_a_judge_is_skipped_and_says_why(
    bare: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=reason):
        FETCHED[reason](bare)


@pytest.mark.parametrize("reason", FETCHED)
def test_in_ci_no_judge_is_skipped(
    bare: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"{reason}.* no judge is skipped"):
        FETCHED[reason](bare)


def test_a_package_of_another_content_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"tools/judges/package\.json"):
        tools.verify(b"another", "sha512-AAAA")
