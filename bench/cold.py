"""Cold start: from a new process to the first byte of the request to Twilio.

Each round starts every variant once, so other programs on the machine disturb all of them alike.
If Valgrind is installed, it counts the instructions.
"""

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra import package
from simulation.services import BOOT, EVENT, Services
from stack import ROOT

ROUNDS = 25
ROUND_TRIP_SECONDS = 0.04
"""The seconds of the simulated round trip to Twilio, where a measurement has one."""

WORK_FOLDER = ROOT / ".build" / "bench"

OURS = "ours"
NO_BYTECODE = "ours, no bytecode"
INSTALLED = "all as installed"
REPLACED = "replaced project"
CLIENT = "Twilio's client alone"
REQUESTS = "requests alone"
FLOOR = "floor"
FLOOR_FOLDER = "floor, our certificates"
"""The floor that reads only the one certificate that it needs, as the package does."""

ONE_CPU = ", one CPU"
"""The suffix of a variant on one CPU, as in Lambda. The servers may use the other CPUs."""

GOALS = (
    (OURS, FLOOR, 1.7),
    (OURS + ONE_CPU, FLOOR + ONE_CPU, 1.7),
    (OURS, REPLACED, 0.7),
    (OURS, INSTALLED, 0.25),
)
"""A variant of this project, another variant, and the largest allowed ratio of their times."""

# Twilio's client and its dependencies, from this project's package but without its code.
_CLIENT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from twilio.rest import Client
client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_SECRET"])
client.api.base_url = os.environ["TWILIO_API_URL"]
client.messages.create(to="+15005550100", from_="+15005550006", body="New log file uploaded!")
"""
_REQUESTS = """
import os, sys
sys.path.insert(0, sys.argv[1])
import requests
requests.post(os.environ["TWILIO_API_URL"] + "/2010-04-01/Accounts/AC/Messages.json", {"To": "1"})
"""

_FLOOR = """
import http.client, os, ssl, sys
connection = http.client.HTTPSConnection(os.environ["TWILIO_API_URL"][8:])
connection.request("POST", "/2010-04-01/Accounts/AC/Messages.json", b"To=1", {})
connection.getresponse().read()
"""

# The two clients that the handler would need, without a request.
_BOTO3 = """
import boto3
for service in "dynamodb", "sqs":
    boto3.client(service, "eu-central-1", aws_access_key_id="A", aws_secret_access_key="B")
"""

# The replaced project, with the server's address. `_NODE_BOOT` starts it as Lambda does.
_NODE = """
require("dotenv").config();
const client = require("twilio")(process.env.TWILIO_ACCOUNT_SID, process.env.TWILIO_SECRET);
client.api.baseUrl = process.env.TWILIO_API_URL;

exports.handler = async (event) => {
    try {
        return await client.messages.create(
            {body: "New log file uploaded!", from: "+15005550006", to: "+15005550100"});
    } catch (error) {
        return error;
    }
};
"""
_NODE_BOOT = f"""
require(process.argv[1]).handler({json.dumps(EVENT)}).then(() => process.exit(0));
"""
_NODE_PACKAGES = {"dotenv": "^8.2.0", "twilio": "^3.48.0"}


def measure() -> dict[str, Any]:
    """Measure all variants. Return milliseconds, instructions and sizes by variant."""
    variants, reasons = _variants()
    distant = {name: variants[name] for name in (OURS, REPLACED, FLOOR) if name in variants}
    with Services(package.split_certificates, ROUND_TRIP_SECONDS) as services:
        distant_times = _rounds(distant, services)
    with Services(package.split_certificates) as services:
        found = _rounds(variants, services)
        instructions = {
            name: _instructions(command, _environment(name, services))
            for name, command in variants.items()
            if name != REPLACED and not name.endswith(ONE_CPU)
        }
    return {
        "rounds": ROUNDS,
        "milliseconds": found,
        "round_trip_milliseconds": round(ROUND_TRIP_SECONDS * 1000),
        "milliseconds_with_round_trip": distant_times,
        "instructions": {name: count for name, count in instructions.items() if count},
        "milliseconds_of_boto3": _milliseconds_of_boto3(),
        "skipped": reasons,
        "megabytes_zipped": _sizes(),
    }


def _variants() -> tuple[dict[str, Sequence[str]], dict[str, str]]:
    """Return the command of each variant, and the reasons for missing ones."""
    ours = package.build(ROOT / "handler")
    python = [sys.executable, "-I", "-S"]  # without site-packages
    variants: dict[str, Sequence[str]] = {
        OURS: [*python, "-c", BOOT, str(ours)],
        NO_BYTECODE: [*python, "-B", "-c", BOOT, str(_without_bytecode(ours))],
        INSTALLED: [*python, "-B", "-c", BOOT, str(_installed())],
        CLIENT: [*python, "-c", _CLIENT, str(ours)],
        REQUESTS: [*python, "-c", _REQUESTS, str(ours)],
        FLOOR: [*python, "-c", _FLOOR],
        FLOOR_FOLDER: [*python, "-c", _FLOOR],
    }
    reasons = {}
    if shutil.which("npm"):
        variants[REPLACED] = ["node", "-e", _NODE_BOOT, str(_node() / "index.js")]
    else:
        reasons[REPLACED] = "there is no npm on this machine"
    if not shutil.which("valgrind"):
        reasons["instructions"] = "there is no valgrind on this machine"
    if hasattr(os, "sched_setaffinity"):
        variants |= {name + ONE_CPU: variants[name] for name in (OURS, FLOOR)}
    else:
        reasons[OURS + ONE_CPU] = "this system keeps no process on one CPU"
    return variants, reasons


def _environment(name: str, services: Services) -> dict[str, str]:
    environment = {"PATH": os.environ["PATH"], **services.environment}
    if name == INSTALLED:  # an ordinary certifi has no folder of certificates
        environment["REQUESTS_CA_BUNDLE"] = str(services.bundle)
    if name == FLOOR_FOLDER:
        environment |= {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": str(services.certificates)}
    return environment


def _rounds(
    variants: Mapping[str, Sequence[str]], services: Services
) -> dict[str, dict[str, float]]:
    """Start all variants in each round. Return the milliseconds of each."""
    found: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, command in variants.items():
            with _on_one_cpu() if name.endswith(ONE_CPU) else contextlib.nullcontext():
                found[name].append(_start(command, _environment(name, services), services))
    return {name: _spread(values) for name, values in found.items()}


def _start(command: Sequence[str], environment: Mapping[str, str], services: Services) -> float:
    """Start a process. Return the milliseconds until its request to Twilio arrives."""
    before = len(services.text_times)
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return (services.text_times[before] - started) * 1000


@contextlib.contextmanager
def _on_one_cpu() -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on one CPU."""
    all_cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(all_cpus)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cpus)


def _instructions(command: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Count the instructions of a whole process, in millions."""
    if not shutil.which("valgrind"):
        return None
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
        env={**environment, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    match = re.search(r"Collected : (\d+)", done.stderr)
    return round(int(match[1]) / 1e6) if match else None


def _milliseconds_of_boto3() -> float:
    """Measure the milliseconds that two boto3 clients add to an interpreter's start."""
    seconds: dict[str, list[float]] = {"": [], _BOTO3: []}
    for _ in range(ROUNDS):
        for code, found in seconds.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-I", "-c", code], check=True)
            found.append(time.perf_counter() - started)
    bare, with_boto3 = (statistics.median(found) for found in seconds.values())
    return round((with_boto3 - bare) * 1000)


def _without_bytecode(built: Path) -> Path:
    """Copy a package without its bytecode. Return the copy."""
    folder = WORK_FOLDER / "no-bytecode"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(built, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _installed() -> Path:
    """Install all dependencies in twilio's metadata, as for a zip of the whole directory."""
    folder = WORK_FOLDER / "installed"
    if not (folder / "twilio").is_dir():
        lock = (ROOT / "handler/requirements.txt").read_text()
        pins = re.findall(r"^(twilio|requests-aws4auth|tzdata)(==\S+)", lock, re.MULTILINE)
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"),
                *("--disable-pip-version-check", "--target", str(folder)),
                *("".join(pin) for pin in pins),
            ],
            check=True,
        )
    shutil.rmtree(folder / "handler", ignore_errors=True)
    shutil.copytree(
        ROOT / "handler", folder / "handler", ignore=shutil.ignore_patterns("__pycache__")
    )
    return folder


def _node() -> Path:
    folder = WORK_FOLDER / "node"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.js").write_text(_NODE)
    (folder / "package.json").write_text(json.dumps({"dependencies": _NODE_PACKAGES}))
    if not (folder / "node_modules" / "twilio").is_dir():
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=folder, check=True
        )
    return folder


def _sizes() -> dict[str, float]:
    folders = {
        OURS: package.build(ROOT / "handler"),
        INSTALLED: WORK_FOLDER / "installed",
        REPLACED: WORK_FOLDER / "node",
    }
    return {
        name: round(len(package.zipped(folder)) / 1e6, 2)
        for name, folder in folders.items()
        if folder.is_dir()
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": round(middle, 1), "low": round(low, 1), "high": round(high, 1)}
