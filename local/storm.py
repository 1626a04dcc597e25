"""A storm: many files at once for some phones, and the number of texts that each phone gets.

It ends with one line of JSON: the number of files; for each phone the number of texts, and of files
in them; the number of Twilio's lost answers; the seconds that it took; and the most memory that a
process of each function used.
"""

import collections
import dataclasses
import datetime
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from handler.log import masked
from local.deployment import Deployment
from local.emulator import LONG_TIMEOUTS, Emulator
from local.twilio import StandIn
from local.twilio_api import Text
from local.twilio_faults import RESET_AFTER_TEXT
from stack import log_lines, queues
from stack.waiting import NotInTime, wait_until

PHONES = 20
IN_FLIGHT = 16  # files at once: the emulator starts a process for each event
MAX_IDLE_SECONDS = 180  # after so long without progress, the storm fails
LOG_PAUSE_SECONDS = 0.1
UNLOGGED_SECONDS = 30  # after so long, a file without a line in the log counts as done
OUTCOMES = ("sent", "held", "failed", "duplicate")
FLUSH_PAUSE_SECONDS = 5  # Twilio is asked about a lost answer after a minute


class StormError(Exception):
    """The storm does not end, or its counts are wrong."""


def storm(
    emulator: Emulator,
    files: int,
    *,
    phones: int = PHONES,
    lose: int = 0,
    before_flush: Callable[[Deployment], object] = lambda _: None,
    **settings: str,
) -> dict[str, Any]:
    """Upload so many files, flush until nothing is held, and count texts and files per phone.

    Args:
        emulator: The emulator to which it deploys the program.
        files: The number of files.
        phones: The number of phones.
        lose: Lose every tenth of Twilio's answers if 10, and so on; 0 loses none.
        before_flush: Runs before each flush, such as to let a minute pass in the ledger.
        settings: More settings of the program.

    Raises:
        StormError: A phone was not texted about each file once.
    """
    started = time.monotonic()
    numbers = [f"+1500555{number:04}" for number in range(100, 100 + phones)]
    with StandIn() as twilio:
        if lose:
            twilio.fault(dataclasses.replace(RESET_AFTER_TEXT, every=lose))
        deployment = Deployment(
            emulator.aws,
            {
                **twilio.settings,
                "toNumbers": ",".join(numbers),
                "flushMinutes": "1440",  # the storm runs every flush itself
                "forceDestroy": "true",
                **settings,
            },
        )
        memory: dict[str, float] = {}
        notified = _Notified(deployment, numbers[-1])
        # With many phones each file takes long, and Lambda ends a function after a minute.
        at_once = max(2, min(IN_FLIGHT, 8 * IN_FLIGHT // phones))
        for number in range(files):
            if number % at_once == 0:
                notified.wait(number - at_once)
                _record_memory(memory)
            deployment.upload(f"app{number % 7}/{number}.log")
        notified.wait(files)
        _flush_all(
            deployment,
            memory,
            lambda: before_flush(deployment),
            lambda: _fewest_files(twilio.texts, numbers),
            files,
        )
        told = _count(twilio.texts, numbers)
        result = {
            "files": files,
            "phones": told,
            "lost_answers": twilio.requests // lose if lose else 0,
            "seconds": round(time.monotonic() - started, 1),
            "memory_mb": memory,
        }
        deployment.destroy()
    is_repeated = len({(text.to, text.body) for text in twilio.texts}) < len(twilio.texts)
    if is_repeated or any(counts["files"] != files for counts in told.values()):
        raise StormError(f"Not every phone was texted about each file once: {json.dumps(result)}")
    return result


def files_in(body: str) -> int:
    """Return how many files a text is about. A missing log does not count."""
    if summary := re.search(r"(?:^|\. )(\d+) more logs? since ", body):
        return int(summary[1])
    return 0 if body.startswith(("Missing: ", "Too small: ")) else 1


def _count(texts: Sequence[Text], phones: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the texts to each phone, and the files that they are about."""
    texts_to: collections.Counter[str] = collections.Counter()
    files: collections.Counter[str] = collections.Counter()
    for text in texts:
        texts_to[text.to] += 1
        files[text.to] += files_in(text.body)
    return {phone: {"texts": texts_to[phone], "files": files[phone]} for phone in phones}


def _fewest_files(texts: Sequence[Text], phones: Sequence[str]) -> int:
    """Return the number of files that every phone was texted about, at least."""
    return min(told["files"] for told in _count(texts, phones).values())


class _Notified:
    """The files that `notify` is done with, by its log."""

    def __init__(self, deployment: Deployment, last_phone: str) -> None:
        """Count from now on.

        Args:
            deployment: The program in the emulator.
            last_phone: The last phone that it texts about a file.
        """
        self._deployment = deployment
        self._phone = masked(last_phone)
        self._since = self._last_call = datetime.datetime.now(datetime.UTC)
        self._keys: set[str] = set()
        self._unlogged = 0

    def wait(self, files: int) -> None:
        """Wait until it is done with so many files, or stops making progress for half a minute.

        A busy emulator may lose a line of the log. The counts at the end decide.

        Args:
            files: All files but those that were uploaded since the last call.
        """
        try:
            wait_until(
                self._count,
                lambda count: count + self._unlogged >= files,
                seconds=UNLOGGED_SECONDS,
                poll_seconds=LOG_PAUSE_SECONDS,
                from_last_change=True,
            )
        except NotInTime as error:
            self._unlogged = files - error.seen
        # Every file that was uploaded before the last call has its line.
        self._since, self._last_call = self._last_call, datetime.datetime.now(datetime.UTC)

    def _count(self) -> int:
        lines = log_lines.read(
            self._deployment, since=self._since, outcomes=OUTCOMES, functions=["notify"]
        )
        self._keys |= {line.text("key") for line in lines if line.text("phone") == self._phone}
        return len(self._keys)


def _flush_all(
    deployment: Deployment,
    memory: dict[str, float],
    before_flush: Callable[[], object],
    files_told: Callable[[], int],
    files: int,
) -> None:
    """Flush until nothing is held, and each phone was texted about all files."""

    def flush() -> tuple[int, int]:
        before_flush()
        function = deployment.outputs["flushFunction"]
        answer = deployment.aws["lambda"].invoke(FunctionName=function)
        if "FunctionError" in answer:
            raise StormError(answer["Payload"].read().decode())
        _record_memory(memory)
        return _count_held(deployment), files_told()

    try:
        wait_until(
            flush,
            lambda seen: not seen[0] and seen[1] >= files,
            seconds=MAX_IDLE_SECONDS,
            poll_seconds=FLUSH_PAUSE_SECONDS,
            from_last_change=True,
        )
    except NotInTime as error:
        held, told = error.seen
        raise StormError(
            f"After many flushes, {held} messages are still held, and one phone was texted about "
            f"{told} of {files} files."
        ) from None


def _count_held(deployment: Deployment) -> int:
    return queues.count(deployment, "held").all


def _record_memory(memory: dict[str, float]) -> None:
    """Record the most memory that a process of each function has used so far (Linux only)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            status = (process / "status").read_text()
        except OSError:
            continue  # it has ended meanwhile
        function = re.search(r"ministack-lambda-(\w+)-.*_worker\.py", command)
        most = re.search(r"VmHWM:\s+(\d+) kB", status)
        if function and most:
            megabytes = round(int(most[1]) / 1000, 1)
            memory[function[1]] = max(memory.get(function[1], 0), megabytes)


def run(files: int, *, phones: int, lose: int) -> None:
    """Run a storm on an emulator of its own, and print the result.

    Raises:
        StormError: A phone was not texted about each file once.
    """
    sys.stderr.write(f"A storm of {files} files for {phones} phones ...\n")
    with Emulator(options=LONG_TIMEOUTS) as emulator:
        result = storm(emulator, files, phones=phones, lose=lose)
        sys.stdout.write(json.dumps(result) + "\n")
