"""What an operator runs against a deployed stack; see docs/operations.md.

Each command takes the stack's outputs from Pulumi's CLI and your own credentials for AWS. The stack
`demo` is the running demo (make demo).
"""

import argparse
import datetime
import json
import sys
from collections.abc import Callable

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from rich.console import Console
from rich.text import Text

from ops import lines, queues
from ops.lines import Line
from ops.smoke import Smoke, Stopped
from ops.stack import OpsError, Stack
from ops.status import status

TAIL = datetime.timedelta(minutes=10)

_STYLES = {"WARN": "yellow", "ERROR": "red"}


def main() -> None:
    """Run the command line."""
    options = _options()
    console = Console(highlight=False, soft_wrap=True)
    try:
        COMMANDS[options.command](Stack.open(options.stack), console)
    except OpsError as error:
        _fail(str(error))
    except Stopped as error:
        _fail(f"Stopped: {error}.")
    except (NoCredentialsError, NoRegionError, ProfileNotFound) as error:
        _fail(f"AWS does not know who you are ({error}). For example: aws configure sso")
    except ClientError as error:
        said = error.response["Error"]
        _fail(f"AWS says no to {error.operation_name}: {said['Code']}: {said['Message']}")
    except BotoCoreError as error:
        _fail(f"AWS does not answer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ops",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stack", default="dev", help="the stack (dev)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.__doc__)
    return parser.parse_args()


def _status(stack: Stack, console: Console) -> None:
    """Show the last texts, what waits and why, what is in force, which alarms are on."""
    status(stack, console)


def _smoke(stack: Stack, console: Console) -> None:
    """Upload a log, follow it to Twilio's record of the text, and remove it."""
    Smoke(stack, lambda step: console.print(Text(step))).run()
    console.print("Everything works.", style="green")


def _redrive(stack: Stack, console: Console) -> None:
    """Move all that failed back to the held: the next flush texts it."""
    moved = queues.redrive(stack)
    if moved:
        console.print(f"{moved} back on held. The next flush texts them; at once: make flush")
    else:
        console.print("Nothing has failed.")


def _flush(stack: Stack, console: Console) -> None:
    """Text what is held, now."""
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1)
    before = queues.count(stack, "held")
    answer = stack.aws["lambda"].invoke(FunctionName=stack.outputs["flushFunction"])
    if "FunctionError" in answer:
        said = json.loads(answer["Payload"].read())
        raise OpsError(f"The flush failed: {said.get('errorType')}: {said.get('errorMessage')}")
    console.print(f"Flushed: {before} were held, {queues.count(stack, 'held')} are now.")
    for line in lines.read(stack, since=since):
        if line.function == "flush" and not line.of_lambda:
            _show(line, console)


def _tail(stack: Stack, console: Console) -> None:
    """Show what the functions decided in the last ten minutes, and go on (Ctrl-C ends it)."""
    for line in lines.follow(stack, since=datetime.datetime.now(datetime.UTC) - TAIL):
        if not line.of_lambda:
            _show(line, console)


def _show(line: Line, console: Console) -> None:
    said = f"{line.time:%H:%M:%S}  {line.function:<6}  {line}"
    console.print(Text(said, style=_STYLES.get(line.level, "")))


def _fail(message: str) -> None:
    sys.stderr.write(message.rstrip() + "\n")
    sys.exit(1)


COMMANDS: dict[str, Callable[[Stack, Console], None]] = {
    "status": _status,
    "smoke": _smoke,
    "redrive": _redrive,
    "flush": _flush,
    "tail": _tail,
}

if __name__ == "__main__":
    main()
