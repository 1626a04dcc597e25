"""The modules imported before the first text: each one slows every cold start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.package import build, split_certificates
from simulation.services import BOOT, Services
from stack import ROOT

CEILING = Path(__file__).parent / "start_up_modules.txt"

OF_NEWER_PYTHONS = {"dataclasses"} if sys.version_info >= (3, 14) else set[str]()
"""Modules that the standard library imports: `logging` needs this for coloured tracebacks."""

_TEXT = f"""
import json, sys
before = set(sys.modules)
{BOOT}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The modules that one text imports. Those of the standard library have their first name."""
    with Services(split_certificates) as services:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _TEXT, str(build(ROOT / "handler"))],
            env={"PATH": os.environ["PATH"], **services.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(services.text_times) == 1
    found = json.loads(done.stdout.splitlines()[-1])
    names = {name.partition(".")[0] if is_standard(name) else name for name in found}
    return {name for name in names if not name.startswith("_")}


def is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def test_nothing_new_is_imported_before_the_first_text(imported: set[str]) -> None:
    """Measure a new module with `make bench`, and then add it to the list."""
    allowed = set(CEILING.read_text().split()) | OF_NEWER_PYTHONS
    assert sorted(imported - allowed) == []


def test_the_list_names_nothing_that_is_gone(imported: set[str]) -> None:
    """The standard library does not count: other versions of Python import other modules."""
    shipped = {path.name for path in build(ROOT / "handler").iterdir()}
    named = {name for name in CEILING.read_text().split() if name.partition(".")[0] in shipped}
    assert sorted(named - imported) == []


def test_the_list_holds_no_module_that_slows_a_start() -> None:
    slow = {"boto3", "botocore", "aiohttp", "dataclasses", "uuid"}
    assert not slow & set(CEILING.read_text().split())
