"""S3 Logs on this machine: upload a log, see the text.

The program runs on MiniStack, an emulator of AWS, and texts through a stand-in for Twilio. The
event, the function's process, Twilio's client and the HTTP between them are real.
"""

import argparse
import collections
import contextlib
import datetime
import functools
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
from local.deployment import Deployed, Deployment, UploadError, names_of_phones
from local.emulator import CREDENTIALS, Emulator, EmulatorError, clients, stop_signals
from local.page.server import PORT, Page
from local.resources import ResourceError
from local.twilio import ACCOUNT_SID, SECRET, StandIn
from local.twilio_api import VALID_SENDER, Text
from stack import log_lines
from stack.clients import Clients
from stack.printable import printable
from stack.pulumi_cli import CliError
from stack.reasons import in_words
from stack.running_demos import NotRunning, RunningDemo, newest, recorded
from stack.waiting import NotInTime, wait_until

# The globs begin with a star, because a key may begin with any filterPrefix.
ROUTES = (
    {
        "name": "on-call",
        "logs": "*",
        "except": "*backup/*",
        "toNumbers": "+15005550100",
        "contains": "ERROR",
    },
    {
        "name": "backup",
        "logs": "*backup/*",
        "toNumbers": "+15005550101",
        "expect": "every 2m",  # no less: the program wants twice flushMinutes at least
    },
)
SETTINGS = {
    "twilioAccountSid": ACCOUNT_SID,
    "twilioSecret": SECRET,
    "fromNumber": VALID_SENDER,
    "routes": json.dumps(ROUTES),
    "flushMinutes": "1",
    "forceDestroy": "true",
}
FIRST_LOG = b"GET / 200\nERROR: payment gateway refused\n" + b"GET / 500\n" * 60
EMULATOR_PORT = 4566  # the port in Pulumi.local.yaml
MIN_WAIT_SECONDS = 120  # for the first text; with rare flushes the demo waits longer
POLL_SECONDS = 0.2
BURST_SECONDS = 2  # texts that follow each other within this time are a burst
DRAWN_TEXTS = 3  # of each burst
NOT_SENT_OUTCOMES = ("held", "failed", "not sent")
"""The outcomes of a notice that was not sent, or not yet."""
HELD_UNTIL_NEXT_FLUSH = (
    "digest",
    "over the limit",
    "too many at once",
    "the table is busy",
    "out of time",
)
"""The reasons for which a text is held only until the next flush."""


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
                _upload(options.file, options.key)
            elif options.command == "emulator":
                _emulate()
            elif options.command == "storm":
                storm.run(options.files, phones=options.phones, lose=options.lose)
            else:
                _demo(options)
    except (
        EmulatorError,
        NotRunning,
        ResourceError,
        CliError,
        storm.StormError,
        UploadError,
        pulumi.RunError,
    ) as error:
        _fail(str(error))
    except CommandError:
        _fail("Pulumi's engine failed. Its message is above.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--once", action="store_true", help="exit after the first text")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument(
        "--engine", action="store_true", help="deploy with Pulumi's engine instead of its mocks"
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
    upload.add_argument("file", type=Path, help="the file")
    upload.add_argument("--key", default="", help="its key; by default the path as given")
    storms = commands.add_parser(
        "storm", help="upload many files at once, and count the texts of each phone"
    )
    storms.add_argument("files", nargs="?", type=int, default=10_000, help="how many files (10000)")
    storms.add_argument(
        "--phones", type=int, default=storm.PHONES, help=f"how many phones ({storm.PHONES})"
    )
    storms.add_argument(
        "--lose",
        type=int,
        default=0,
        metavar="N",
        help="lose every Nth answer of Twilio, although it accepted the text",
    )
    commands.add_parser("emulator", help=f"run only the emulator of AWS, on port {EMULATOR_PORT}")
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
    receivers: list[Callable[[Text], None]] = [texts.put]

    def receive(text: Text) -> None:
        for receiver in receivers:
            receiver(text)

    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator())
        if settings.get("existingBucket"):
            _make_existing_bucket(emulator.aws, settings["existingBucket"])
        twilio = None
        if "twilioApiUrl" not in settings:
            twilio = stack.enter_context(StandIn(on_text=receive))
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
        stack.enter_context(recorded(RunningDemo(emulator.url, CREDENTIALS, deployment.outputs)))
        if twilio and not options.once:
            page = Page(deployment, twilio)
            receivers.append(page.journey.add_text)
            url = stack.enter_context(page.served())
            if page.has_another_port:
                _say(f"Another program has port {PORT}, so the page has another port.")
            _open(url, browser=not options.no_browser)
        prefix, (suffix, *_) = deployment.filters
        key = f"{prefix or 'app/'}{datetime.datetime.now(datetime.UTC):%Y-%m-%d}/web{suffix}"
        _say(f"Uploading {key} to s3://{deployment.outputs['bucket']} ...", "")
        if excluded := deployment.upload(key, FIRST_LOG):
            _fail(f"Nobody is texted about it: the key {excluded}.")
        names = names_of_phones(deployment.settings)
        show = functools.partial(_show, names)
        arrived = _await_first_text(
            deployment,
            settings,
            texts,
            show,
            phones=len(deployment.settings.phones_of(key)),
            uses_other_service=twilio is None,
        )
        if options.once and not arrived:
            _no_text("No text comes", deployment)
        if options.once:
            return
        if not arrived:
            _say(f"No text comes until that changes. Details: {deployment.make('status')}", "")
        _say("Upload more:  make upload FILE=path/to/some.log")
        if len(names) > 1:
            _say("Another key:  make upload FILE=path/to/some.log KEY=backup/db.log")
        _say("Stop:         Ctrl-C", "")
        _show_all(texts, show)


def _settings(changes: Mapping[str, str]) -> dict[str, str]:
    """Return the demo's settings with these changes."""
    settings = {**SETTINGS, **changes}
    if "routes" not in changes and settings["flushMinutes"] != SETTINGS["flushMinutes"]:
        # The program refuses an `expect` that is shorter than twice flushMinutes.
        settings["routes"] = json.dumps([{**route, "expect": ""} for route in ROUTES])
    if "toNumbers" in changes and "routes" not in changes:
        del settings["routes"]  # the phones that are set get every log
    if settings.get("existingBucket") and "forceDestroy" not in changes:
        del settings["forceDestroy"]  # the program refuses it for a bucket that it did not make
    return settings


def _make_existing_bucket(aws: Clients, name: str) -> None:
    """Make the existing bucket that the settings name, with EventBridge on."""
    with contextlib.suppress(ClientError, ParamValidationError):  # the program reports it
        aws["s3"].create_bucket(Bucket=name)
        aws["s3"].put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        _say(
            f"Made the bucket {name} in the emulator, with EventBridge on.",
            "On AWS it must exist before pulumi up.",
        )


@contextlib.contextmanager
def _deployed_by_engine(emulator: Emulator, settings: Mapping[str, str]) -> Iterator[Deployed]:
    with engine.stack(emulator.url, settings) as made:
        outputs = made.up(on_output=_say).outputs
        yield Deployed(emulator.aws, {key: one.value for key, one in outputs.items()})


def _open(url: str, *, browser: bool) -> None:
    """Print the address of the page, and open it where there is a display."""
    _say(f"The phone: {url}")
    display = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ}
    if browser and display:
        webbrowser.open(url)


def _await_first_text(
    deployment: Deployed,
    settings: Mapping[str, str],
    texts: "queue.Queue[Text]",
    show: Callable[[Text, float], None],
    *,
    phones: int,
    uses_other_service: bool,
) -> bool:
    """Wait for the first text. Report at once each text that is held or failed.

    Args:
        deployment: The program in the emulator.
        settings: Its settings.
        texts: The texts that the stand-in accepts.
        show: Shows a text, and after how many seconds it came.
        phones: How many phones the log is for.
        uses_other_service: Whether another service than the stand-in gets the texts. Then the
            functions' logs show the first one.

    Returns:
        Whether it came. It does not come if the text to each phone failed, or is held for a reason
        that the next flush does not change.
    """
    uploaded = time.monotonic()
    minutes = int(settings["flushMinutes"])
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    seen: set[str] = set()
    without_text = 0

    def look() -> bool | None:
        """Return whether the first text came; None if it may still come."""
        nonlocal without_text
        with contextlib.suppress(queue.Empty):
            show(texts.get_nowait(), time.monotonic() - uploaded)
            return True
        for line in log_lines.read(deployment, since=since, outcomes=("sent", *NOT_SENT_OUTCOMES)):
            if line.id in seen:
                continue
            seen.add(line.id)
            if line.outcome in NOT_SENT_OUTCOMES:
                next_flush = line.fields.get("reason") in HELD_UNTIL_NEXT_FLUSH
                without_text += not next_flush
                _say(_explain(line) + (f" Flush runs every {minutes} min." if next_flush else ""))
            elif uses_other_service:
                url, fields = settings["twilioApiUrl"], line.fields
                _say(f"{url} accepted the text for {fields['phone']} as {fields['sid']}.", "")
                return True
        return False if without_text >= phones else None

    limit = max(MIN_WAIT_SECONDS, 60 * minutes + 60)
    try:
        found = wait_until(
            look, lambda came: came is not None, seconds=limit, poll_seconds=POLL_SECONDS
        )
    except NotInTime:
        _no_text(f"No text came within {limit} s", deployment)
    return bool(found)


def _explain(line: log_lines.Line) -> str:
    """Return a sentence: a text is held or failed, and why."""
    what = "Failed" if line.outcome == "failed" else "Held"
    why = line.text("meaning") or in_words(line.text("reason"))
    code = str(line.fields.get("code", "0"))
    twilio = f" (Twilio's code {code})" if code.isdigit() and int(code) else ""
    return f"{what} for {line.fields.get('phone', 'all phones')}: {why}{twilio}."


def _no_text(why: str, deployment: Deployed) -> NoReturn:
    lines = [line.get("text") or json.dumps(line) for line in deployment.logged()]
    logs = "\n".join(f"  {printable(line)}" for line in lines) or "  nothing: S3 did not call it"
    _fail(f"{why}. The function's log:\n{logs}")


def _show(names: Mapping[str, str], text: Text, seconds: float | None = None) -> None:
    """Draw a text as a phone does, below the names of the phone's routes."""
    after = f"{seconds:.1f} s after the upload" if seconds else f"{text.time:%H:%M:%S} UTC"
    phone = " ".join(filter(None, (text.to, names.get(text.to))))
    _say(f"  ┌ {phone:<30}{after:>24}")
    for line in textwrap.wrap(text.body, 54, break_on_hyphens=False):
        _say(f"  │ {line}")
    _say(f"  └ from {text.sender}, {text.segments} segment{'s' * (text.segments > 1)}", "")


def _show_all(texts: "queue.Queue[Text]", show: Callable[[Text], None]) -> NoReturn:
    """Draw texts as they come, without an end. Draw the first texts of a burst, and count the rest.

    Args:
        texts: The texts that the stand-in accepts.
        show: Draws a text.
    """
    while True:
        show(texts.get())
        drawn, uncounted = 1, collections.Counter[str]()
        with contextlib.suppress(queue.Empty):
            while True:
                text = texts.get(timeout=BURST_SECONDS)
                if drawn < DRAWN_TEXTS:
                    drawn += 1
                    show(text)
                else:
                    uncounted[text.to] += 1
        for phone, count in uncounted.items():
            _say(f"  … and {log_lines.plural(count, 'more text')} to {phone}", "")


def _upload(file: Path, key: str) -> None:
    if file == Path():
        _fail("Which file? make upload FILE=app/web.log")
    name = printable(file)
    if file.is_dir():
        _fail(f"{name} is a directory. Upload a file in it: make upload FILE={name}/some.log")
    if not file.is_file():
        _fail(f"There is no file {name}.")
    demo, count = newest()
    is_relative = not file.is_absolute() and ".." not in file.parts
    key = key or (file.as_posix() if is_relative else file.name)
    try:
        with contextlib.closing(clients(demo.url)) as aws, file.open("rb") as body:
            deployment = Deployed(aws, demo.outputs)
            excluded = deployment.upload(key, body)
            body.seek(0)
            words = "" if excluded else deployment.missing_words(key, body)
    except HTTPClientError:
        raise NotRunning from None
    except OSError as error:
        _fail(f"{name} cannot be read: {error.strerror}.")
    _say(f"Uploaded {file} to s3://{deployment.outputs['bucket']}/{key}")
    if excluded:
        _say(f"Nobody is texted about it: the key {excluded}.")
    if words:
        _say(f"Nobody is texted about it: no line has {words}.")
    if count > 1:
        _say(f"{count} demos are running. It went to the one that was started last.")


def _emulate() -> None:
    """Emulate AWS for the stack `local` (see Pulumi.local.yaml), until Ctrl-C."""
    with Emulator(port=EMULATOR_PORT) as emulator:
        _say(f"AWS is emulated at {emulator.url}, for this machine only: see README.md.")
        _say("Stop:  Ctrl-C. That deletes everything deployed to it.")
        signal.pause()


def _say(*lines: str) -> None:
    """Print lines, made printable."""
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    sys.stderr.write("\n".join(map(printable, message.rstrip().split("\n"))) + "\n")
    sys.exit(1)
