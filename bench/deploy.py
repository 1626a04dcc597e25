"""The package: how long it takes cold and cached, and whether it is the same elsewhere."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from infra import package
from local import ROOT

_BUILD = """
import sys
from pathlib import Path
from infra import package
built = package.build(Path("handler"), cache=Path(sys.argv[1]))
print(package.content_hash(built))
"""


def measure() -> dict[str, Any]:
    """Build it anew, twice, in other folders and with other hash seeds; then from the cache."""
    hashes, seconds = [], []
    for seed in ("1", "2"):
        with tempfile.TemporaryDirectory() as cache:
            started = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", _BUILD, cache],
                cwd=ROOT,
                env={**os.environ, "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            )
            seconds.append(time.perf_counter() - started)
            hashes.append(done.stdout.strip())
    package.build(ROOT / "handler")
    started = time.perf_counter()
    built: Path = package.build(ROOT / "handler")
    return {
        "seconds_cold": round(min(seconds), 2),
        "milliseconds_cached": round((time.perf_counter() - started) * 1000, 2),
        "same_bytes_everywhere": len({*hashes, package.content_hash(built)}) == 1,
        "hash": hashes[0],
    }
