"""Fetch the judges: programs, models and samples of other projects.

`tools/judges` pins their versions. Downloads stay in `.build/judges`, or in Go's own cache.
"""

import base64
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

from stack import ROOT

PINS = ROOT / "tools" / "judges"
KEPT = ROOT / ".build" / "judges"

_RUNTIME_EMULATOR = "github.com/aws/aws-lambda-runtime-interface-emulator/cmd/aws-lambda-rie"
_SAMPLE_EVENTS = "github.com/aws/aws-lambda-go"
_TWILIO_OPENAPI = "package/src/services/twilio-api"


def absent(reason: str) -> NoReturn:
    """Skip the test, and say why. If `CI` is set, fail instead."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} With CI set, no judge is skipped.")
    pytest.skip(reason)


@functools.cache
def runtime_emulator() -> Path:
    """Build AWS's runtime interface emulator, unless it is built already."""
    _need("go", "AWS's runtime interface emulator is built by it")
    KEPT.mkdir(parents=True, exist_ok=True)
    built = KEPT / "aws-lambda-rie"
    _run("go", "build", "-o", str(built), _RUNTIME_EMULATOR)
    return built


def runtime_client(into: Path) -> Path:
    """Fill a folder with AWS's runtime client alone, as in Lambda. Return the folder."""
    if importlib.util.find_spec("awslambdaric") is None:
        absent("AWS's runtime client, awslambdaric, is not installed: it runs on Linux only.")
    for module in ("awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client"):
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        assert spec.origin is not None, module
        found = Path(spec.origin)
        found = found.parent if spec.submodule_search_locations else found
        (into / found.name).symlink_to(found)
    return into


@functools.cache
def sample_events() -> Path:
    """Return the folder of AWS's sample events."""
    _need("go", "AWS's sample events come in one of its modules")
    downloaded = json.loads(_run("go", "mod", "download", "-json", _SAMPLE_EVENTS))
    return Path(downloaded["Dir"]) / "events" / "testdata"


@functools.cache
def _twilio_package() -> Path:
    """Fetch Twilio's package, without the packages that it depends on."""
    pinned = json.loads((PINS / "package.json").read_text())
    ((name, version),) = pinned["dependencies"].items()
    kept = KEPT / f"twilio-{version}.tgz"
    if not kept.is_file():
        _need("npm", "Twilio's OpenAPI comes in one of its packages")
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as scratch:
            wanted = f"{name}@{version}"
            _run("npm", "pack", "--ignore-scripts", "--pack-destination", scratch, wanted)
            (packed,) = Path(scratch).glob("*.tgz")
            packed.rename(kept)
    verify(kept.read_bytes(), pinned["integrity"])
    return kept


def twilio_openapi(api: str) -> dict[str, Any]:
    """Return Twilio's own description of one of its APIs, such as `api_v2010`."""
    with tarfile.open(_twilio_package()) as archive:
        member = archive.extractfile(f"{_TWILIO_OPENAPI}/twilio_{api}.json")
        assert member is not None
        described: dict[str, Any] = json.load(member)
        return described


def verify(content: bytes, integrity: str) -> None:
    """Compare a download with the hash that was pinned together with its version."""
    algorithm, _, pinned = integrity.partition("-")
    found = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    assert found == pinned, (
        f"The package is not the one that tools/judges/package.json pins: its hash is "
        f"{algorithm}-{found}. Write that there only if you changed the version."
    )


def _need(command: str, reason: str) -> None:
    if shutil.which(command) is None:
        absent(f"There is no {command} here: {reason}.")


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=PINS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
    return done.stdout
