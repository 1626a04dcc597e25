"""The log of a function in the emulator."""

import queue
import select
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from local.ministack_process import drain_stderr

LATE_SECONDS = 0.2


@pytest.mark.parametrize("ends", [False, True])
def test_lines_that_come_late_are_in_the_log_of_their_invocation(ends: bool) -> None:
    program = r"import sys; sys.stderr.write('first\nlast\n'); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        lines: queue.Queue[str] = queue.Queue()
        assert process.stdin

        def read_late() -> None:
            time.sleep(LATE_SECONDS)  # as a thread of a busy machine does
            for line in process.stderr or ():
                lines.put(line.rstrip("\n"))

        reader = threading.Thread(target=read_late)
        reader.start()
        if ends:
            process.stdin.close()
            process.wait()
        else:
            _wait_for_output(process)
        worker = SimpleNamespace(
            _proc=None if ends else process, _stderr_queue=lines, _stderr_thread=reader
        )
        try:
            assert drain_stderr(worker) == "first\nlast"
        finally:
            process.stdin.close()
            reader.join()


def _wait_for_output(process: subprocess.Popen[str]) -> None:
    assert process.stderr
    select.select([process.stderr], [], [])
