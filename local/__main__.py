"""S3 Logs on this machine: upload a log, see the text.

The program is deployed to MiniStack, an emulator of AWS, and texts by a stand-in for Twilio; the
event, the function's process, Twilio's client and the HTTP between them are real.
"""

import argparse
import contextlib
import datetime
import json
import os
import queue
import sys
import textwrap
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from local.installed import lacking

try:
    import pulumi
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import EndpointConnectionError
    from pulumi.automation.errors import CommandError

    from local import engine, program
    from local.cli import CliError
    from local.deployment import Deployed, Deployment
    from local.emulator import Aws, Emulator, EmulatorError, stop_signals
    from local.loopback import PortInUse
    from local.page.server import Page
    from local.resources import ResourceError
    from local.running import NOTE, NotRunning, Running, announced, find
    from local.twilio import ACCOUNT_SID, GOOD_SENDER, SECRET, StandIn, Text
except ModuleNotFoundError as error:
    sys.exit(lacking(error, "local", "make demo"))


SETTINGS = {
    "twilioAccountSid": ACCOUNT_SID,
    "twilioSecret": SECRET,
    "fromNumber": GOOD_SENDER,
    "toNumbers": "+15005550100",
    "flushMinutes": "1",
    "forceDestroy": "true",
}
PATIENCE = 120  # seconds to wait for the first text; in digest mode a flush comes every minute


def main() -> None:
    """Run the command line."""
    options = _options()
    try:
        with stop_signals():
            if options.command == "upload":
                _upload(options.file)
            else:
                _demo(options)
    except (
        EmulatorError,
        NotRunning,
        PortInUse,
        ResourceError,
        CliError,
        pulumi.RunError,
    ) as error:
        _fail(str(error))
    except CommandError:
        _fail("Pulumi's engine says no; it has said why, above.")
    except KeyboardInterrupt:
        _say("\nStopped; nothing is left behind.")


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
    commands = parser.add_subparsers(dest="command", metavar="upload FILE")
    upload = commands.add_parser("upload", help="put a file into the running demo's bucket")
    upload.add_argument("file", type=Path, help="the file; its key is the path as it is given")
    return parser.parse_args()


def _setting(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{pair} is not of the form KEY=VALUE")
    return key, value


def _demo(options: argparse.Namespace) -> None:
    started = time.monotonic()
    settings = {**SETTINGS, **dict(options.set)}
    texts: queue.Queue[Text] = queue.Queue()
    hearers: list[Callable[[Text], None]] = [texts.put]

    def hear(text: Text) -> None:
        for one in hearers:
            one(text)

    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(Emulator())
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
        prefix, suffix = _filters(settings)
        if twilio and not options.once:
            page = Page(deployment, twilio, prefix=prefix, suffix=suffix)
            hearers.append(page.way.text)
            _open(stack.enter_context(page.served()), browser=not options.no_browser)
        key = f"{prefix or 'app/'}{datetime.datetime.now(datetime.UTC):%Y-%m-%d}/web{suffix}"
        _say(f"Uploading {key} to s3://{deployment.outputs['bucket']} ...\n")
        uploaded = time.monotonic()
        deployment.upload(key, b"127.0.0.1 GET / 500\n" * 60)
        if twilio:
            _show(_first(texts, deployment), time.monotonic() - uploaded)
        else:
            _await_decision(deployment, settings["twilioApiUrl"])
        if options.once:
            return
        _say("Upload more:  make upload FILE=path/to/some.log")
        _say("Stop:         Ctrl-C\n")
        while True:
            _show(texts.get())


@contextlib.contextmanager
def _deployed_by_engine(emulator: Emulator, settings: Mapping[str, str]) -> Iterator[Deployed]:
    with engine.stack(emulator.url, settings) as made:
        outputs = made.up(on_output=_say).outputs
        yield Deployed(emulator.aws, {key: one.value for key, one in outputs.items()})


def _filters(settings: Mapping[str, str]) -> tuple[str, str]:
    """Give the prefix and the suffix of the keys that the program's filters let through."""
    config, project = program.config_of(settings), program.PROJECT["name"]
    return config[f"{project}:filterPrefix"], config[f"{project}:filterSuffix"]


def _open(url: str, *, browser: bool) -> None:
    """Say where the page is, and open it where there is a display."""
    _say(f"The phone: {url}")
    display = sys.platform in {"darwin", "win32"} or {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ}
    if browser and display:
        webbrowser.open(url)


def _first(texts: "queue.Queue[Text]", deployment: Deployed) -> Text:
    try:
        return texts.get(timeout=PATIENCE)
    except queue.Empty:
        _no_text(f"No text came within {PATIENCE} s", deployment)


def _await_decision(deployment: Deployed, url: str) -> None:
    """Wait for what the function says became of the text: a real phone shows it elsewhere."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for line in deployment.logged():
            if line.get("outcome") == "sent":
                _say(f"{url} accepted the text for {line['phone']} as {line['sid']}.\n")
                return
            if line.get("outcome") in {"held", "failed"}:
                _no_text(f"{url} did not accept the text: {line.get('meaning')}", deployment)
        time.sleep(0.2)
    _no_text(f"The function decided nothing within {PATIENCE} s", deployment)


def _no_text(why: str, deployment: Deployed) -> NoReturn:
    lines = [line.get("text") or json.dumps(line) for line in deployment.logged()]
    logs = "\n".join(f"  {line}" for line in lines) or "  nothing: S3 did not call it"
    _fail(f"{why}. What the function logged:\n{logs}")


def _show(text: Text, seconds: float | None = None) -> None:
    """Draw a text as a phone does."""
    after = f"{seconds:.1f} s after the upload" if seconds else f"{text.time:%H:%M:%S} UTC"
    _say(f"  ┌ {text.to:<30}{after:>24}")
    for line in textwrap.wrap(text.body, 54, break_on_hyphens=False):
        _say(f"  │ {line}")
    _say(f"  └ from {text.sender}, {text.segments} segment{'s' * (text.segments > 1)}\n")


def _upload(file: Path) -> None:
    if file == Path():
        _fail("Which file? make upload FILE=app/web.log")
    if not file.is_file():
        _fail(f"There is no file {file}.")
    running = find()
    bucket = running.outputs["bucket"]
    aws = Aws(running.url)
    inside = not file.is_absolute() and ".." not in file.parts
    key = file.as_posix() if inside else file.name
    with contextlib.closing(aws), _connected():
        aws["s3"].upload_file(str(file), bucket, key)
    _say(f"Uploaded {file} to s3://{bucket}/{key}")


@contextlib.contextmanager
def _connected() -> Iterator[None]:
    try:
        yield
    except (S3UploadFailedError, EndpointConnectionError):
        NOTE.unlink(missing_ok=True)
        raise NotRunning from None


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    sys.stderr.write(message.rstrip() + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
