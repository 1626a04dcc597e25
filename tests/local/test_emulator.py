"""The log and the files of a function in the emulator."""

import contextlib
import queue
import select
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.ministack_process import SharedArchive, drain_stderr
from tests.local.conftest import Deploy

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
            time.sleep(LATE_SECONDS)  # as a thread on a busy machine may
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


def test_processes_share_the_files_of_a_package_and_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for number, content in enumerate(("first", "first", "second")):
        archive, folder = tmp_path / f"{number}.zip", tmp_path / f"{number}"
        folder.mkdir()
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr(zipfile.ZipInfo("package/code.py"), content)
        with SharedArchive(archive) as read:
            read.extractall(folder)
        assert (folder / "package" / "code.py").read_text() == content
        found.append(folder.resolve())
    assert found[0] == found[1] != found[2]


@pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's /proc")
def test_both_functions_run_the_same_files(deploy: Deploy) -> None:
    system = deploy(mode="digest")
    system.upload("a.log")
    system.decided("held")
    system.flush()
    names = [system.outputs[f"{function}Function"] for function in ("notify", "flush")]
    folders = [
        (process / "cwd").readlink()
        for process in Path("/proc").glob("[0-9]*")
        if any(f"ministack-lambda-{name}-" in _command(process) for name in names)
    ]
    assert len(folders) == 2
    assert folders[0] == folders[1]


def _command(process: Path) -> str:
    with contextlib.suppress(OSError):  # it has ended meanwhile
        return (process / "cmdline").read_text()
    return ""
