"""The demo of `make demo ARGS=--once`: its times and its number of resources."""

import re
import statistics
import subprocess
import sys
import time
from typing import Any

from stack import ROOT

RUNS = 3


def measure() -> dict[str, Any]:
    """Run the demo several times, after one run that builds the package for Lambda."""
    _run()
    runs = [_run() for _ in range(RUNS)]
    return {
        "runs": RUNS,
        "resources": int(runs[0]["resources"]),
        **{
            name: round(statistics.median(run[name] for run in runs), 1)
            for name in ("seconds_to_deploy", "seconds_to_text", "seconds")
        },
    }


def _run() -> dict[str, float]:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "local", "--once"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - started
    deployed = re.search(r"Deployed (\d+) resources to .+ in ([\d.]+) s", done.stdout)
    texted = re.search(r"([\d.]+) s after the upload", done.stdout)
    if not deployed or not texted:
        raise RuntimeError(f"The demo's output has changed: {done.stdout}")
    return {
        "resources": float(deployed[1]),
        "seconds_to_deploy": float(deployed[2]),
        "seconds_to_text": float(texted[1]),
        "seconds": seconds,
    }
