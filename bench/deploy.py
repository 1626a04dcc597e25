"""The package for Lambda: build time, and whether other Pythons build the same bytes."""

import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra import package
from stack import ROOT

_BUILD = """
import sys
from pathlib import Path
from infra import package
built = package.build(Path("handler"), cache=Path(sys.argv[1]))
print(package.content_hash(built))
"""

_VERSION = "import platform, sys; print(platform.python_version(), sys.version)"


def measure() -> dict[str, Any]:
    """Build the package with several hash seeds and Pythons, each in its own folder.

    Then time a read from the cache.
    """
    hashes, seconds = [], []
    for seed in ("1", "2"):
        started = time.perf_counter()
        hashes.append(_hash_built_by(sys.executable, seed))
        seconds.append(time.perf_counter() - started)
    package.build(ROOT / "handler")
    started = time.perf_counter()
    built: Path = package.build(ROOT / "handler")
    cached = time.perf_counter() - started
    hashes.append(package.content_hash(built))
    by, skipped = [platform.python_version()], {}
    for version, python in _other_pythons():
        try:
            hashes.append(_hash_built_by(python, seed="3"))
            by.append(version)
        except subprocess.CalledProcessError as error:
            message = error.stderr.replace(f"{ROOT}/", "").replace(python, Path(python).name)
            skipped[f"Python {version}"] = message.strip().rpartition("\n")[2]
    if len(by) == 1 and not skipped:
        minor = "python{}.{}".format(*sys.version_info)
        skipped["another Python"] = f"there is one build of {minor} on PATH"
    return {
        "seconds_cold": round(min(seconds), 2),
        "milliseconds_cached": round(cached * 1000, 2),
        "same_bytes_everywhere": len(set(hashes)) == 1,
        "hash": hashes[0],
        "built_by": by,
        "skipped": skipped,
    }


def _hash_built_by(python: str, seed: str) -> str:
    """Build the package in a new folder. Return its hash.

    Another Python may import this environment's pyOpenSSL.
    """
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [python, "-c", _BUILD, cache],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": sysconfig.get_path("platlib"),
            },
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout.strip()


def _other_pythons() -> Iterator[tuple[str, str]]:
    """Yield version and path of each other build of this minor Python version on PATH."""
    seen = {sys.version}
    for folder in os.get_exec_path():
        python = str(Path(folder, "python{}.{}".format(*sys.version_info)))
        try:
            version, _, built = subprocess.check_output(
                [python, "-c", _VERSION], stderr=subprocess.DEVNULL, text=True
            ).partition(" ")
        except (OSError, subprocess.CalledProcessError):  # no such file, or a shim of pyenv
            continue
        if (built := built.removesuffix("\n")) not in seen:
            seen.add(built)
            yield version, python
