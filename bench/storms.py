"""Storms of log files: on the emulator, and larger ones in the simulation."""

import contextlib
import io
import time
import tracemalloc
from typing import Any

from bench.world import LIMITS, CountingWorld
from local.emulator import LONG_TIMEOUTS, Emulator
from local.storm import files_in, storm
from simulation.samples import OTHER_PHONE, PHONE, record

PHONES = 2
EMULATED: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("", 1_000, {}),
    ("", 10_000, {}),
    ("with `contains`", 1_000, {"contains": "ERROR"}),
    ("every third answer of Twilio lost", 1_000, {"lose": 3}),
)
"""The difference of each storm on the emulator, its files, and its arguments of `storm`."""

SIMULATED_FILES = (1_000, 10_000, 100_000)
FLUSH_EVERY = 60 * LIMITS["flush_minutes"]
FILES_PER_SECOND = 1000


def measure() -> dict[str, Any]:
    """Run all storms, with the default limits of the settings."""
    found: dict[str, Any] = {"emulator": [], "code": []}
    for special, files, arguments in EMULATED:
        with Emulator(options=LONG_TIMEOUTS) as emulator:
            result = storm(emulator, files, phones=PHONES, **arguments)
        found["emulator"].append({"special": special, **result})
    for files in SIMULATED_FILES:
        found["code"].append(_run_simulation(files))
    return found


def _run_simulation(files: int) -> dict[str, Any]:
    """Let files land at `FILES_PER_SECOND`, and flush until nothing is held.

    The memory is the peak of a flush, without the messages that the simulation keeps.
    """
    world = CountingWorld()
    started = time.perf_counter()
    start, peak, flushes = world.now, 0, 0
    with contextlib.redirect_stdout(io.StringIO()) as output:
        for number in range(files):
            world.now = start + number / FILES_PER_SECOND
            world.notify(record(f"app{number % 7}/{number}.log", sequencer=str(number)))
            output.seek(0)
            output.truncate()
        notified = time.perf_counter() - started
        while world.held:
            world.now += FLUSH_EVERY
            tracemalloc.start()
            world.flush()
            peak = max(peak, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            flushes += 1
            output.seek(0)
            output.truncate()
    return {
        "files": files,
        "phones": {
            phone: {
                "texts": sum(to == phone for _, to, _ in world.texts),
                "files": sum(files_in(body) for _, to, body in world.texts if to == phone),
            }
            for phone in (PHONE, OTHER_PHONE)
        },
        "flushes": flushes,
        "microseconds_per_file": round(notified / files * 1e6, 1),
        "peak_mb_of_a_flush": round(peak / 1e6, 1),
    }
