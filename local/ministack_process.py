"""MiniStack in a process that ends with its parent, even if the parent is killed.

The parent holds the other end of this process's standard input. When that closes, this process
removes its folder, and ends itself and every process that it started. The parent runs this file by
its path. The functions run in the same interpreter, so this file imports nothing but the standard
library and MiniStack.
"""

import array
import fcntl
import os
import queue
import runpy
import shutil
import signal
import termios
import threading
import time
from pathlib import Path
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


def _log_all_lines() -> None:
    from ministack.core.lambda_runtime import Worker  # noqa: PLC0415  # only MiniStack's process has it

    Worker._drain_stderr_bounded = drain_stderr  # noqa: SLF001  # there is no option for it


if __name__ == "__main__":
    _log_all_lines()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
