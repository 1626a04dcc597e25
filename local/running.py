"""Where a running demo is: what it tells other commands of this machine."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from local import ROOT

DEMO = "demo"
"""What its stack is called."""

NOTE = ROOT / ".build" / "demo.json"


class NotRunning(Exception):
    """No demo is running. The message says how to start one."""

    def __init__(self) -> None:
        super().__init__("No demo is running. Start one in another terminal: make demo")


@dataclasses.dataclass(frozen=True)
class Running:
    """A running demo.

    Attributes:
        url: The emulator's address.
        outputs: What the program exports.
    """

    url: str
    outputs: Mapping[str, Any]


@contextlib.contextmanager
def announced(running: Running) -> Iterator[None]:
    """Tell where a demo runs, as long as it does."""
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(json.dumps(dataclasses.asdict(running)))
    try:
        yield
    finally:
        NOTE.unlink(missing_ok=True)


def find() -> Running:
    """Find the demo that runs.

    Raises:
        NotRunning: There is none.
    """
    try:
        return Running(**json.loads(NOTE.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        raise NotRunning from None
