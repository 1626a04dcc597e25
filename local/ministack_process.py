"""MiniStack in a process that ends with its parent, even if the parent is killed.

The parent holds the other end of this process's standard input. When that closes, this process
removes its folder, and ends itself and every process that it started. The parent runs this file by
its path. The functions run in the same interpreter, so this file imports nothing but the standard
library and MiniStack.
"""

import array
import fcntl
import hashlib
import os
import queue
import runpy
import shutil
import signal
import termios
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

LOG_SECONDS = 5
"""How long the last lines of an invocation may take to arrive."""

IDLE_SECONDS = 0.01
"""After so long without a line, all lines have been read."""


def _end_with_parent() -> None:
    os.read(0, 1)  # returns at the end of the input: nothing is ever written
    shutil.rmtree(Path.cwd(), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


def drain_stderr(worker: Any, **_: float) -> str:
    """Return all lines that a function has logged.

    On a busy machine, MiniStack's own adds late lines to the next invocation.

    Args:
        worker: The worker, a `ministack.core.lambda_runtime.Worker`.
    """
    process, lines, logged = worker._proc, [], worker._stderr_queue  # noqa: SLF001  # MiniStack's
    if not process:  # it has ended: the thread that reads its output soon ends too
        worker._stderr_thread.join(LOG_SECONDS)  # noqa: SLF001  # MiniStack's
    end = time.monotonic() + LOG_SECONDS
    while time.monotonic() < end:
        try:
            lines.append(logged.get(timeout=IDLE_SECONDS))
        except queue.Empty:
            if not process or not _unread_bytes(process.stderr.fileno()):
                break
    return "\n".join(lines)


def _unread_bytes(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


class SharedArchive(zipfile.ZipFile):
    """An archive whose files all processes of a function share.

    MiniStack unpacks the package of a function, some thousand files, for each process. That takes
    longer than all else in a start.
    """

    _unpacking = threading.Lock()

    def extractall(self, path: Any = None, *_: object) -> None:
        """Replace an empty folder with a link to the files, which are unpacked once.

        Args:
            path: The folder.
        """
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        shared = Path.cwd() / f"unpacked-{digest}"
        with self._unpacking:
            if not shared.exists():
                unfinished = shared.with_suffix(".new")
                super().extractall(unfinished)
                unfinished.rename(shared)
        folder = Path(path)
        folder.rmdir()
        folder.symlink_to(shared)


def _change_ministack() -> None:
    """Change in MiniStack what no option of it changes."""
    from ministack.core import lambda_runtime  # noqa: PLC0415  # only MiniStack's process has it

    lambda_runtime.Worker._drain_stderr_bounded = drain_stderr  # noqa: SLF001  # MiniStack's
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedArchive})


if __name__ == "__main__":
    _change_ministack()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
