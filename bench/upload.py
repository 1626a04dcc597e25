"""The time from the upload to the text on the emulator, and its parts."""

import statistics
import time
from typing import Any

from local.deployment import Deployment
from local.emulator import Emulator
from local.twilio import StandIn

FILES = 500
MAX_WAIT_SECONDS = 60


def measure() -> dict[str, Any]:
    """Upload files one by one, each after the text about the previous file."""
    with Emulator() as emulator, StandIn() as twilio:
        deployment = Deployment(
            emulator.aws,
            {
                **twilio.settings,
                "toNumbers": "+15005550100",
                "maxTextsPerHour": "1000000",
                "maxTextsAtOnce": "1000000",
                "flushMinutes": "1440",
                "forceDestroy": "true",
            },
        )
        started, uploaded = [], []
        for number in range(FILES + 1):  # the first, a cold start, does not count
            started.append(time.time())
            deployment.upload(f"app/{number:04}.log")
            uploaded.append(time.time())
            twilio.wait_for(number + 1, seconds=MAX_WAIT_SECONDS)
        accepted = [text.time.timestamp() for text in twilio.texts]
        notified = _notified_at(deployment)
    delays = [end - start for start, end in zip(started, accepted, strict=True)][1:]
    return {
        "files": FILES,
        "milliseconds": {
            "p50": round(statistics.median(delays) * 1000, 1),
            "p99": round(statistics.quantiles(delays, n=100)[98] * 1000, 1),
        },
        "of_these": {
            "upload": _median(started, uploaded),
            "S3 to notify": _median(uploaded, notified),
            "notify to Twilio": _median(notified, accepted),
        },
    }


def _notified_at(deployment: Deployment) -> list[float]:
    """Return the times at which `notify` saw the files, once its log has them all."""
    lines: list[dict[str, Any]] = []
    end = time.monotonic() + MAX_WAIT_SECONDS
    while len(lines) <= FILES and time.monotonic() < end:
        lines = [line for line in deployment.logged() if line.get("outcome") == "seen"]
    lines.sort(key=lambda line: str(line["key"]))
    return [line["_aws"]["Timestamp"] / 1000 for line in lines]


def _median(start: list[float], end: list[float]) -> float:
    return round(
        statistics.median(b - a for a, b in list(zip(start, end, strict=True))[1:]) * 1000, 1
    )
