"""A storm: many files at once for two phones, and how many texts they get.

It ends with one line of JSON: the number of files; for each phone the number of texts, and of files
in them; the seconds it took; and the most memory that a process of each function used.
"""

import collections
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.deployment import Deployment
from local.emulator import Emulator
from local.twilio import StandIn
from stack import queues
from stack.waiting import NotInTime, wait_until

PHONES = ("+15005550100", "+15005550101")
IN_FLIGHT = 16  # files at once: the emulator starts a process for each event
MAX_IDLE_SECONDS = 180  # seconds without any progress


class StormError(Exception):
    """The storm does not end."""


def storm(emulator: Emulator, files: int, **settings: str) -> dict[str, Any]:
    """Upload so many files, flush until nothing is held, and count texts and files per phone.

    Args:
        emulator: Where the program is deployed to.
        files: How many.
        settings: More settings of the program.

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
                "flushMinutes": "1440",  # the storm runs every flush itself
                "forceDestroy": "true",
                **settings,
            },
        )
        memory: dict[str, float] = {}
        for number in range(files):
            if number % IN_FLIGHT == 0:
                _await(
                    lambda: len(twilio.texts) + _count_held(deployment), max(0, number - IN_FLIGHT)
                )
                _record_memory(memory)
            deployment.upload(f"app{number % 7}/{number}.log")
        _await(lambda: _count_outcomes(deployment), len(PHONES) * files)
        while _count_held(deployment):
            function = deployment.outputs["flushFunction"]
            answer = deployment.aws["lambda"].invoke(FunctionName=function)
            if "FunctionError" in answer:
                raise StormError(answer["Payload"].read().decode())
            _record_memory(memory)
        texts: collections.Counter[str] = collections.Counter()
        files_texted: collections.Counter[str] = collections.Counter()
        for text in twilio.texts:
            texts[text.to] += 1
            files_texted[text.to] += files_in(text.body)
        deployment.destroy()
    return {
        "files": files,
        "phones": {
            phone: {"texts": texts[phone], "files": files_texted[phone]} for phone in PHONES
        },
        "seconds": round(time.monotonic() - started, 1),
        "memory_mb": memory,
    }


def files_in(body: str) -> int:
    """Return how many files a text is about."""
    summary = re.match(r"(\d+) more logs since ", body)
    return int(summary[1]) if summary else 1


def _await(count: Callable[[], int], outcomes: int) -> None:
    """Wait until so many texts are sent or held."""
    try:
        wait_until(
            count,
            lambda counted: counted >= outcomes,
            seconds=MAX_IDLE_SECONDS,
            poll_seconds=0.02,
            from_last_change=True,
        )
    except NotInTime as error:
        raise StormError(f"Only {error.seen} of {outcomes} texts are sent or held.") from None


def _count_held(deployment: Deployment) -> int:
    return queues.count(deployment, "held").all


def _count_outcomes(deployment: Deployment) -> int:
    """Count the texts with an outcome in the ledger. A held message may hold several."""
    pages = (
        deployment.aws["dynamodb"]
        .get_paginator("scan")
        .paginate(
            TableName=deployment.resource("aws:dynamodb/table:Table", "ledger").id,
            Select="COUNT",
            FilterExpression="#state IN (:sent, :held, :failed)",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={f":{one}": {"S": one} for one in ("sent", "held", "failed")},
        )
    )
    return sum(page["Count"] for page in pages)


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


def run(files: int) -> None:
    """Run a storm on an emulator of its own, and print the result.

    Raises:
        StormError: Files get no outcome.
    """
    sys.stderr.write(f"A storm of {files} files for {len(PHONES)} phones ...\n")
    with Emulator() as emulator:
        sys.stdout.write(json.dumps(storm(emulator, files)) + "\n")
