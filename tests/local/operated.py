"""The operator's commands, run for a stack on the emulator."""

import io

from ops import commands
from stack.deployed import Stack
from stack.terminal import Terminal
from tests.local.conftest import System

ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def stack_of(system: System) -> Stack:
    """Open a deployed system as the commands do."""
    return Stack("test", system.outputs, system.aws)


def output_of(command: str, system: System, *arguments: str) -> str:
    """Run a command as the command line does. Return its output."""
    written = io.StringIO()
    commands.COMMANDS[command](stack_of(system), Terminal(written, width=200), *arguments)
    return written.getvalue()
