"""The demos that run on this machine: each leaves a record for the other commands."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from stack import ROOT

DEMO = "demo"
"""The name of the stack of every demo."""

RECORDS = ROOT / ".build" / "demos"
"""Each running demo keeps a locked record here. The lock ends with the demo's process."""


class NotRunning(Exception):
    """No demo is running. The message says how to start one."""

    def __init__(self) -> None:
        super().__init__("No demo is running. Start one in another terminal: make demo")


@dataclasses.dataclass(frozen=True)
class RunningDemo:
    """A running demo.

    Attributes:
        url: The emulator's address.
        credentials: The emulator's credentials, as boto3's arguments.
        outputs: The exports of the program.
    """

    url: str
    credentials: Mapping[str, str]
    outputs: Mapping[str, Any]


@contextlib.contextmanager
def recorded(running: RunningDemo) -> Iterator[None]:
    """Keep the record of a demo while it runs."""
    RECORDS.mkdir(parents=True, exist_ok=True)
    record = RECORDS / f"{os.getpid()}.json"
    unlocked = record.with_suffix(".new")
    with unlocked.open("w") as file:
        json.dump(dataclasses.asdict(running), file)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(record)  # other commands must find only locked records
        try:
            yield
        finally:
            record.unlink(missing_ok=True)


def newest() -> tuple[RunningDemo, int]:
    """Return the demo that was started last, and how many run.

    Raises:
        NotRunning: No demo runs.
    """
    found = _all_running()
    if not found:
        raise NotRunning
    return found[-1], len(found)


def _all_running() -> list[RunningDemo]:
    """Find the demos that run, the newest last, and remove the records of those that have ended."""
    found = []
    for record in RECORDS.glob("*.json"):
        with contextlib.suppress(FileNotFoundError), record.open() as file:
            if _is_locked(file):
                found.append((os.fstat(file.fileno()).st_mtime, RunningDemo(**json.load(file))))
            else:
                record.unlink()  # its demo was killed
    return [running for _, running in sorted(found, key=lambda pair: pair[0])]


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
