"""S3 Logs on this machine: upload a log, see the text.

The program is deployed to MiniStack, an emulator of AWS, and texts by a stand-in for Twilio; the
event, the function's process, Twilio's client and the HTTP between them are real.
"""

import argparse
import contextlib
import datetime
import io
import json
import os
import queue
import signal
import sys
import textwrap
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import pulumi
from botocore.exceptions import ClientError, HTTPClientError, ParamValidationError
from pulumi.automation.errors import CommandError

from local import engine, storm
from local.deployment import Deployed, Deployment, UploadError
from local.emulator import Aws, Emulator, EmulatorError, stop_signals
from local.loopback import PortInUse
from local.page.server import Page
from local.resources import ResourceError
from local.twilio import ACCOUNT_SID, GOOD_SENDER, SECRET, StandIn, Text
from ops.printable import printable
from stack import log_lines
from stack.cli import CliError
from stack.deployed import Stack
from stack.running import DEMO, NotRunning, Running, all_running, announced

SETTINGS = {
    "twilioAccountSid": ACCOUNT_SID,
    "twilioSecret": SECRET,
    "fromNumber": GOOD_SENDER,
    "toNumbers": "+15005550100",
    "flushMinutes": "1",
    "forceDestroy": "true",
}
EMULATOR_PORT = 4566  # as Pulumi.local.yaml has it
PATIENCE = 120  # seconds to wait for the first text, and longer where a flush is that rare
POLL_SECONDS = 0.2
AGAINST = ("held", "failed", "not sent")
"""The decisions after which there is no text, or none yet."""
PASSING = ("digest", "over the limit", "too much at once", "out of time")
"""The reasons for which a text is held no longer than until the next flush."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows its escape, rather than a traceback.
            stream.reconfigure(errors="backslashreplace")
    options = _options()
    try:
        with stop_signals():
            if options.command == "upload":
                _upload(options.file)
            elif options.command == "emulator":
                _emulate()
            elif options.command == "storm":
                storm.run(options.files)
            else:
                _demo(options)
    except (
        EmulatorError,
        NotRunning,
        PortInUse,
        ResourceError,
        CliError,
        storm.StormError,
        UploadError,
        pulumi.RunError,
    ) as error:
        _fail(str(error))
    except CommandError:
        _fail("Pulumi's engine says no; it has said why, above.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the first text")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument(
        "--engine", action="store_true", help="deploy by Pulumi's own engine, not by its mocks"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=_setting,
        help="set one of the program's settings, as pulumi config set would",
    )
    commands = parser.add_subparsers(dest="command", metavar="upload FILE | emulator | storm")
    upload = commands.add_parser("upload", help="put a file into the running demo's bucket")
    upload.add_argument("file", type=Path, help="the file; its key is the path as it is given")
    storms = commands.add_parser("storm", help="storm an emulator, and count what phones are told")
    storms.add_argument("files", nargs="?", type=int, default=10_000, help="how many (10000)")
    commands.add_parser("emulator", help=f"emulate AWS on port {EMULATOR_PORT}, without a demo")
    return parser.parse_args()


def _setting(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{pair} is not of the form KEY=VALUE")
    return key, value


def _demo(options: argparse.Namespace) -> None:
    started = time.monotonic()
    settings = _settings(dict(options.set))
    texts: queue.Queue[Text] = queue.Queue()
    hearers: list[Callable[[Text], None]] = [texts.put]

    def hear(text: Text) -> None:
        for one in hearers:
            one(text)

    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator())
        if settings.get("existingBucket"):
            _make_existing_bucket(emulator.aws, settings["existingBucket"])
        twilio = None
        if "twilioApiUrl" not in settings:
            twilio = stack.enter_context(StandIn(on_text=hear))
            settings["twilioApiUrl"] = twilio.url
        if options.engine:
            deployment = stack.enter_context(_deployed_by_engine(emulator, settings))
            _say("Deployed by Pulumi's engine.")
        else:
            deployment = mocked = Deployment(emulator.aws, settings)
            _say(
                f"Deployed {len(mocked.made)} resources to an emulator of AWS in "
                f"{time.monotonic() - started:.1f} s."
            )
        stack.enter_context(announced(Running(emulator.url, deployment.outputs)))
        if twilio and not options.once:
            page = Page(deployment, twilio)
            hearers.append(page.way.text)
            _open(stack.enter_context(page.served()), browser=not options.no_browser)
        prefix, suffix = deployment.filters
        key = f"{prefix or 'app/'}{datetime.datetime.now(datetime.UTC):%Y-%m-%d}/web{suffix}"
        _say(f"Uploading {key} to s3://{deployment.outputs['bucket']} ...", "")
        deployment.upload(key, b"127.0.0.1 GET / 500\n" * 60)
        came = _await_first_text(deployment, settings, texts, elsewhere=twilio is None)
        if options.once and not came:
            _no_text("No text comes", deployment)
        if options.once:
            return
        if not came:
            _say(f"No text comes before that changes. More: make status STACK={DEMO}", "")
        _say("Upload more:  make upload FILE=path/to/some.log")
        _say("Stop:         Ctrl-C", "")
        while True:
            _show(texts.get())


def _settings(changes: Mapping[str, str]) -> dict[str, str]:
    """Give the demo's settings with these changes."""
    settings = {**SETTINGS, **changes}
    if settings.get("existingBucket") and "forceDestroy" not in changes:
        del settings["forceDestroy"]  # the program deletes nothing in a bucket that it did not make
    return settings


def _make_existing_bucket(aws: Aws, name: str) -> None:
    """Make the bucket that the program expects to be there, with EventBridge on."""
    with contextlib.suppress(ClientError, ParamValidationError):  # the program says what is wrong
        aws["s3"].create_bucket(Bucket=name)
        aws["s3"].put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        _say(
            f"Made the bucket {name} in the emulator, with EventBridge on. On AWS it must be there "
            "before pulumi up."
        )


@contextlib.contextmanager
def _deployed_by_engine(emulator: Emulator, settings: Mapping[str, str]) -> Iterator[Deployed]:
    with engine.stack(emulator.url, settings) as made:
        outputs = made.up(on_output=_say).outputs
        yield Deployed(emulator.aws, {key: one.value for key, one in outputs.items()})


def _open(url: str, *, browser: bool) -> None:
    """Say where the page is, and open it where there is a display."""
    _say(f"The phone: {url}")
    display = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ}
    if browser and display:
        webbrowser.open(url)


def _await_first_text(
    deployment: Deployed,
    settings: Mapping[str, str],
    texts: "queue.Queue[Text]",
    *,
    elsewhere: bool,
) -> bool:
    """Wait for the first text, and say at once what the functions decide against it.

    Args:
        deployment: The program in the emulator.
        settings: Its settings.
        texts: The texts that the stand-in accepts.
        elsewhere: Whether another service than the stand-in takes the texts: then the functions'
            logs tell of the first one.

    Returns:
        Whether it came. It does not where the text to each phone failed, or is held for a reason
        that the next flush does not change.
    """
    uploaded = time.monotonic()
    minutes, phones = int(settings["flushMinutes"]), settings["toNumbers"].count(",") + 1
    patience = max(PATIENCE, 60 * minutes + 60)
    stack = Stack(DEMO, deployment.outputs, deployment.aws)
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    told: set[str] = set()
    in_vain = 0
    while True:
        if time.monotonic() > uploaded + patience:
            _no_text(f"No text came within {patience} s", deployment)
        with contextlib.suppress(queue.Empty):
            _show(texts.get(timeout=POLL_SECONDS), time.monotonic() - uploaded)
            return True
        for line in log_lines.read(stack, since=since, outcomes=("sent", *AGAINST)):
            if line.id in told:
                continue
            told.add(line.id)
            if line.outcome in AGAINST:
                next_flush = line.fields.get("reason") in PASSING
                in_vain += not next_flush
                _say(_against(line) + (f" Flush runs every {minutes} min." if next_flush else ""))
            elif elsewhere:
                url, fields = settings["twilioApiUrl"], line.fields
                _say(f"{url} accepted the text for {fields['phone']} as {fields['sid']}.", "")
                return True
        if in_vain >= phones:
            return False


def _against(line: log_lines.Line) -> str:
    """Say that a text is held or failed, and why."""
    what = "Failed" if line.outcome == "failed" else "Held"
    why = line.fields.get("meaning") or line.fields.get("reason")
    code = str(line.fields.get("code", "0"))
    twilio = f" (Twilio's code {code})" if code.isdigit() and int(code) else ""
    return f"{what} for {line.fields.get('phone', 'all phones')}: {why}{twilio}."


def _no_text(why: str, deployment: Deployed) -> NoReturn:
    said = [line.get("text") or json.dumps(line) for line in deployment.logged()]
    logs = "\n".join(f"  {printable(line)}" for line in said) or "  nothing: S3 did not call it"
    _fail(f"{why}. What the function logged:\n{logs}")


def _show(text: Text, seconds: float | None = None) -> None:
    """Draw a text as a phone does."""
    after = f"{seconds:.1f} s after the upload" if seconds else f"{text.time:%H:%M:%S} UTC"
    _say(f"  ┌ {text.to:<30}{after:>24}")
    for line in textwrap.wrap(text.body, 54, break_on_hyphens=False):
        _say(f"  │ {line}")
    _say(f"  └ from {text.sender}, {text.segments} segment{'s' * (text.segments > 1)}", "")


def _upload(file: Path) -> None:
    if file == Path():
        _fail("Which file? make upload FILE=app/web.log")
    name = printable(file)
    if file.is_dir():
        _fail(f"{name} is a directory. Upload a file in it: make upload FILE={name}/some.log")
    if not file.is_file():
        _fail(f"There is no file {name}.")
    demos = all_running()
    if not demos:
        raise NotRunning
    inside = not file.is_absolute() and ".." not in file.parts
    key = file.as_posix() if inside else file.name
    try:
        with contextlib.closing(Aws(demos[-1].url)) as aws, file.open("rb") as body:
            deployment = Deployed(aws, demos[-1].outputs)
            left_out = deployment.upload(key, body)
    except HTTPClientError:
        raise NotRunning from None
    except OSError as error:
        _fail(f"{name} cannot be read: {error.strerror}.")
    _say(f"Uploaded {file} to s3://{deployment.outputs['bucket']}/{key}")
    if left_out:
        _say(f"Nobody is texted about it: the key {left_out}.")
    if len(demos) > 1:
        _say(f"{len(demos)} demos are running. It went to the one that was started last.")


def _emulate() -> None:
    """Emulate AWS for the stack `local` (see Pulumi.local.yaml), until Ctrl-C."""
    with Emulator(port=EMULATOR_PORT) as emulator:
        _say(f"AWS is emulated at {emulator.url}, for this machine only: see README.md.")
        _say("Stop:  Ctrl-C. All that is deployed to it is gone then.")
        signal.pause()


def _say(*said: str) -> None:
    """Print lines. Whatever comes from outside in them does not control the terminal."""
    sys.stdout.writelines(f"{printable(line)}\n" for line in said)
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    sys.stderr.write("\n".join(map(printable, message.rstrip().split("\n"))) + "\n")
    sys.exit(1)
