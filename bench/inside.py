"""Search a log of 100 MB and its gzip: the handler compared with `zgrep`.

Both read the file on this machine. The handler also reads it over HTTP, as in Lambda. The memory is
the peak of the whole process, with all modules that `notify` imports.

The ratio compares CPU times, because a busy machine changes those little.
"""

import contextlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from handler.log_content import MAX_BYTES
from stack import ROOT

LOG_BYTES = 100_000_000
RUNS = 5
GOAL = 1.5
"""The largest allowed ratio of the handler's time to the time of `zgrep`."""

WORD = "ERROR"
"""A word that the log lacks, although it has each letter: the slowest search."""

COMMON_WORD = "INFO"
"""A word in every line of the log."""

_READ = """
import contextlib, json, resource, sys, time
from handler import log_content, log_reader, sender
from handler.connections import new_session
from handler.log_object import S3
from handler.log import Log
from simulation.samples import log_file, settings

url, path, word, limit = sys.argv[1:]
log_reader.MAX_BYTES = int(limit)
key = path.rpartition("/")[2]

class Local:
    @contextlib.contextmanager
    def open(self, file):
        with open(path, "rb") as content:
            yield iter(lambda: content.read(log_content.BLOCK_BYTES), b"")

credentials = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "AWS_REGION": "eu-central-1"}
objects = Local()
if url:
    objects = S3({**credentials, "AWS_ENDPOINT_URL": url}, new_session(), endpoint=url)

def peak_kb():
    # Linux's getrusage counts the memory of the process which started this one, too.
    with contextlib.suppress(FileNotFoundError), open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

before = peak_kb()
reader = log_reader.LogReader(settings(), objects=objects, log=Log("bench"))
start, cpu = time.perf_counter(), time.process_time()
found = reader.read(log_file(key, bucket="logs"), [word], lambda: False)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
after = peak_kb()
found = {"seconds": seconds, "cpu": cpu, "before": before, "after": after, "found": found[word]}
print(json.dumps(found))
"""


def measure() -> dict[str, Any]:
    """Read both files several times, in turn with `zgrep`. Return the best time of each."""
    with tempfile.TemporaryDirectory(prefix="s3-logs-") as folder:
        log = Path(folder, "logs", "web.log")
        log.parent.mkdir()
        write_log(log)
        subprocess.run(["gzip", "-k", log], check=True)
        packed = log.with_suffix(".log.gz")
        common = _read("", log, 10 * LOG_BYTES, COMMON_WORD)
        with _served(Path(folder)) as url:
            return {
                "log_mb": round(log.stat().st_size / 1e6),
                "gzip_mb": round(packed.stat().st_size / 1e6, 1),
                "plain": _compare(url, log),
                "gzip": _compare(url, packed),
                "every_line": {
                    "lines": common["found"][0],
                    "cpu_seconds": round(common["cpu"], 1),
                },
            }


def write_log(path: Path, size: int = LOG_BYTES) -> None:
    """Write a log of `size` bytes."""
    chance = random.Random(1)  # noqa: S311  # no secret
    with path.open("w") as file:
        number = 0
        while file.tell() < size:
            lines = [
                f"2026-11-24T15:{at // 6000 % 60:02}:{at // 100 % 60:02}Z INFO app[12] RETRY 0 "
                f"{at} of user {chance.randrange(500)} took {chance.randrange(200)} ms, it is ok\n"
                for at in range(number, number + 10_000)
            ]
            number += len(lines)
            file.write("".join(lines)[: size - file.tell()])


def _compare(url: str, path: Path) -> dict[str, Any]:
    ours, by_http, theirs, peaks, grown = [], [], [], [], []
    cpu, cpu_of_zgrep = [], []
    for _ in range(RUNS):
        # Read the whole log, as zgrep does, not only the first 64 MB.
        read = _read("", path, 10 * LOG_BYTES)
        ours.append(read["seconds"])
        cpu.append(read["cpu"])
        read = _read(url, path, 10 * LOG_BYTES)
        by_http.append(read["seconds"])
        peaks.append(read["after"])
        grown.append(read["after"] - read["before"])
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            ["zgrep", "-m1", "-F", WORD, path], env={**os.environ, "LC_ALL": "C"}, check=False
        )
        theirs.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_of_zgrep.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    limited = _read(url, path, MAX_BYTES)
    return {
        "seconds": round(min(ours), 3),
        "seconds_of_zgrep": round(min(theirs), 3),
        "ratio": round(min(cpu) / min(cpu_of_zgrep), 2),
        "cpu_seconds": round(min(cpu), 3),
        "cpu_seconds_of_zgrep": round(min(cpu_of_zgrep), 3),
        "seconds_by_http": round(min(by_http), 3),
        "seconds_for_64_mb": round(limited["seconds"], 3),
        "note_for_64_mb": limited["found"][2],
        "peak_mb": round(max(peaks) / 1024, 1),
        "grown_mb": round(max(grown) / 1024, 1),
    }


def _read(url: str, path: Path, limit: int, word: str = WORD) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _READ, url, path, word, str(limit)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))  # after the handler's own log


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP from another process. Yield its URL."""
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = str(server.stdout and server.stdout.readline()).split(" port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
