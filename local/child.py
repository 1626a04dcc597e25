"""MiniStack in a process that ends with its parent, even if the parent is killed.

The parent holds the other end of this process's standard input. When it closes, this process, its
folder and all that it started are removed. The parent runs this file by its path: it imports only
the standard library and MiniStack, since the functions inherit this interpreter's surroundings.
"""

import os
import runpy
import shutil
import signal
import threading
from pathlib import Path


def _end_with_parent() -> None:
    os.read(0, 1)  # returns at the end of the input: nothing is ever written
    shutil.rmtree(Path.cwd(), ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
