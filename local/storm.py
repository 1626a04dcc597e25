"""A storm: many files at once for two phones, and the texts that come of them.

It ends with one line of JSON: how many files, for each phone how many texts and how many files they
told of, the seconds it took, and the most memory that a process of each function used.
"""

import collections
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from local.deployment import Deployment
from local.emulator import Emulator
from local.twilio import StandIn
from stack import queues
from stack.deployed import Stack
from stack.running import DEMO

PHONES = ("+15005550100", "+15005550101")
IN_FLIGHT = 16  # files on their way at once: the emulator starts a process for each event
PATIENCE = 60  # seconds without any progress


class StormError(Exception):
    """The storm does not end."""


def storm(emulator: Emulator, files: int, **settings: str) -> dict[str, Any]:
    """Upload so many files, flush until nothing is held, and count what the phones were told.

    Args:
        emulator: Where the program is deployed to.
        files: How many.
        settings: Settings of the program, beside those that a storm needs.

    Raises:
        StormError: Files get no outcome.
    """
    started = time.monotonic()
    with StandIn() as twilio:
        deployment = Deployment(
            emulator.aws,
            {
                **twilio.settings,
                "toNumbers": ",".join(PHONES),
                "flushMinutes": "1440",  # no flush but ours
                "forceDestroy": "true",
                **settings,
            },
        )
        memory: dict[str, float] = {}
        for number in range(files):
            if number % IN_FLIGHT == 0:
                _await(deployment, twilio, len(PHONES) * max(0, number - IN_FLIGHT))
                _measure(memory)
            deployment.upload(f"app{number % 7}/{number}.log")
        _await(deployment, twilio, len(PHONES) * files)
        while _held(deployment):
            function = deployment.outputs["flushFunction"]
            answer = deployment.aws["lambda"].invoke(FunctionName=function)
            if "FunctionError" in answer:
                raise StormError(answer["Payload"].read().decode())
            _measure(memory)
        texts: collections.Counter[str] = collections.Counter()
        told: collections.Counter[str] = collections.Counter()
        for text in twilio.texts:
            texts[text.to] += 1
            told[text.to] += files_in(text.body)
        deployment.destroy()
    return {
        "files": files,
        "phones": {phone: {"texts": texts[phone], "files": told[phone]} for phone in PHONES},
        "seconds": round(time.monotonic() - started, 1),
        "memory_mb": memory,
    }


def files_in(body: str) -> int:
    """How many files a text tells of."""
    summary = re.match(r"(\d+) more logs since ", body)
    return int(summary[1]) if summary else 1


def _await(deployment: Deployment, twilio: StandIn, settled: int) -> None:
    """Wait until so many texts are sent or held."""
    last, since = -1, time.monotonic()
    while (now := len(twilio.texts) + _held(deployment)) < settled:
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            raise StormError(f"Only {now} of {settled} texts are sent or held.")
        time.sleep(0.02)


def _held(deployment: Deployment) -> int:
    return queues.count(Stack(DEMO, deployment.outputs, deployment.aws), "held").all


def _measure(memory: dict[str, float]) -> None:
    """Note the most memory that a process of each function has used so far (Linux only)."""
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


def run(files: int) -> None:
    """Storm an emulator of its own, and print what came of it.

    Raises:
        StormError: Files get no outcome.
    """
    sys.stderr.write(f"A storm of {files} files for {len(PHONES)} phones ...\n")
    with Emulator() as emulator:
        sys.stdout.write(json.dumps(storm(emulator, files)) + "\n")
