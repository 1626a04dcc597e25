"""The operator's commands for a deployed stack; see docs/operations.md.

Each command reads the stack's outputs with Pulumi's CLI, and calls AWS with
your credentials. The stack `demo` is the running demo (make demo).
"""

import argparse
import collections
import datetime
import io
import sys
from collections.abc import Callable
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws_errors import explain as explain_error
from ops.explain import explain
from ops.redrive import HIDDEN_SECONDS, redrive
from ops.smoke import Smoke, SmokeFailed
from ops.status import status
from stack import log_lines
from stack.deployed import Stack, StackError
from stack.flush import run_flush
from stack.log_lines import Line
from stack.printable import printable
from stack.terminal import Terminal

TAIL = datetime.timedelta(minutes=10)
"""`tail` begins with the decisions of this time."""

_STYLES = {"WARN": "yellow", "ERROR": "red"}


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a character shows its escape, rather than a traceback.
            stream.reconfigure(errors="backslashreplace")
    options = _options()
    stack = None
    try:
        stack = Stack.open(options.stack)
        terminal = Terminal()
        if stack.note:
            terminal.say(stack.note)
        arguments = [options.key] if options.command == "explain" else []
        COMMANDS[options.command](stack, terminal, *arguments)
    except StackError as error:
        _fail(str(error))
    except SmokeFailed as error:
        _fail(f"Stopped: {error}.")
    except (BotoCoreError, ClientError) as error:
        _fail(explain_error(error, stack))
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
        command_parser = commands.add_parser(name, help=command.__doc__)
        if name == "explain":
            command_parser.add_argument("--key", required=True, help="the key of a log")
    return parser.parse_args()


def _status(stack: Stack, terminal: Terminal) -> None:
    """Show the settings, the alarms, the last texts, and those held or failed."""
    status(stack, terminal)


def _explain(stack: Stack, terminal: Terminal, key: str) -> None:
    """Show which phones would get a text about a log, and when. Send nothing."""
    explain(stack, terminal, key)


def _smoke(stack: Stack, terminal: Terminal) -> None:
    """Upload a log, follow it to Twilio's record of the text, and remove it."""
    held = Smoke(stack, terminal.say).run()
    if held:
        terminal.say(
            f"Held, as set: {held}. Everything before Twilio works; Twilio was not asked. The next "
            f"flush sends the held texts. To send them now: {stack.make('flush')}",
            "yellow",
        )
    else:
        terminal.say("Everything works.", "green")


def _redrive(stack: Stack, terminal: Terminal) -> None:
    """Move failed texts back to held: the next flush sends them."""
    done = redrive(stack, terminal.say)
    if done.moved:
        terminal.say(
            f"Moved to held: {done.moved}. The next flush sends them. To send them now: "
            f"{stack.make('flush')}"
        )
    elif not (done.refused or done.newer or done.not_received):
        terminal.say("Nothing has failed.")
    if done.on_both:
        terminal.say(f"Of these also still on failed: {done.on_both}. A flush texts each once.")
    if done.newer:
        terminal.say(
            f"Failed during the redrive, and not moved: {done.newer}. Why: {stack.make('status')}"
        )
    if done.not_received:
        terminal.say(
            f"Still on failed, by SQS's count: {done.not_received}. Another command has received "
            f"them, or the count lags behind. Try again in {HIDDEN_SECONDS // 60} min: "
            f"{stack.make('redrive')}"
        )
    if done.refused:
        codes = collections.Counter(done.refused.values()).most_common()
        why = ", ".join(f"{count} by {code}" for code, count in codes)
        raise StackError(
            f"SQS refused some messages, which stay on failed: {why}. To try again: "
            f"{stack.make('redrive')}"
        )


def _flush(stack: Stack, terminal: Terminal) -> None:
    """Run a flush now: send the held texts."""
    report = run_flush(stack)
    for line in report.lines:
        _show(line, terminal)
    terminal.say(report.texted)
    terminal.say(report.held, "yellow" if report.any_held else "")


def _tail(stack: Stack, terminal: Terminal) -> None:
    """Show the functions' decisions of the last ten minutes, then new ones until Ctrl-C."""
    for line in log_lines.follow(stack, since=datetime.datetime.now(datetime.UTC) - TAIL):
        if not line.is_platform:
            _show(line, terminal)


def _show(line: Line, terminal: Terminal) -> None:
    terminal.say(f"{line.time:%H:%M:%S}  {line.function:<6}  {line}", _STYLES.get(line.level, ""))


def _fail(message: str) -> NoReturn:
    sys.stderr.write(printable(message.strip()) + "\n")
    sys.exit(1)


COMMANDS: dict[str, Callable[..., None]] = {
    "status": _status,
    "explain": _explain,
    "smoke": _smoke,
    "redrive": _redrive,
    "flush": _flush,
    "tail": _tail,
}
