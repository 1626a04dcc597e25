"""The demos that run on this machine: each leaves a note for the other commands."""

import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from typing import IO, Any

from stack import ROOT

DEMO = "demo"
"""The name of their stack."""

NOTES = ROOT / ".build" / "demos"
"""Where each running demo has a note, which it keeps locked. The lock ends with its process."""


class NotRunning(Exception):
    """No demo is running. The message says how to start one."""

    def __init__(self) -> None:
        super().__init__("No demo is running. Start one in another terminal: make demo")


@dataclasses.dataclass(frozen=True)
class Running:
    """A running demo.

    Attributes:
        url: The emulator's address.
        credentials: The emulator's credentials, as boto3's arguments.
        outputs: What the program exports.
    """

    url: str
    credentials: Mapping[str, str]
    outputs: Mapping[str, Any]


@contextlib.contextmanager
def noted(running: Running) -> Iterator[None]:
    """Leave the note of a demo while it runs."""
    NOTES.mkdir(parents=True, exist_ok=True)
    note = NOTES / f"{os.getpid()}.json"
    unlocked = note.with_suffix(".new")
    with unlocked.open("w") as file:
        json.dump(dataclasses.asdict(running), file)
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        unlocked.rename(note)  # only a locked note may be found
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def newest() -> tuple[Running, int]:
    """Return the demo that was started last, and how many run.

    Raises:
        NotRunning: None runs.
    """
    found = _all_running()
    if not found:
        raise NotRunning
    return found[-1], len(found)


def _all_running() -> list[Running]:
    """Find the demos that run, the newest last, and remove the notes of those that have ended."""
    found = []
    for note in NOTES.glob("*.json"):
        with contextlib.suppress(FileNotFoundError), note.open() as file:
            if _is_locked(file):
                found.append((os.fstat(file.fileno()).st_mtime, Running(**json.load(file))))
            else:
                note.unlink()  # its demo was killed
    return [running for _, running in sorted(found, key=lambda pair: pair[0])]


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
