"""A deployed stack: its outputs, its settings and clients of its services."""

import datetime
import email.utils
import functools
import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any, Self

from handler.connections import new_session
from handler.environment import SettingsError, read_settings
from handler.sender import TwilioSender
from handler.settings import Settings
from stack import ROOT
from stack.clients import Boto3Clients, Clients
from stack.pulumi_cli import CliError, find_cli
from stack.running_demos import DEMO, NotRunning, newest


class StackError(Exception):
    """A problem that the operator must fix. The message is one line: the problem and the fix."""


def make(command: str, stack: str) -> str:
    """Return a command of make that acts on this stack."""
    return f"make {command} STACK={shlex.quote(stack)}"


def pulumi(command: str, stack: str) -> str:
    """Return a command of Pulumi's that acts on this stack."""
    return f"pulumi {command} --stack {shlex.quote(stack)}"


def answered_at(answer: Mapping[str, Any]) -> datetime.datetime:
    """Return when AWS sent an answer, by its own clock, rounded down to the second.

    Messages and log lines have AWS's times, and this machine's clock may be wrong.
    """
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    return email.utils.parsedate_to_datetime(date).astimezone(datetime.UTC)


class Stack:
    """A deployed stack.

    Attributes:
        name: Its name.
        outputs: The exports of the program.
        aws: Clients of the services that it runs on.
        note: A remark for the operator on the choice of this stack, or "".
    """

    def __init__(
        self, name: str, outputs: Mapping[str, Any], aws: Clients, *, note: str = ""
    ) -> None:
        self.name = name
        self.outputs = outputs
        self.aws = aws
        self.note = note

    @classmethod
    def open(cls, name: str) -> Self:
        """Open a stack: the running demo as `demo`, any other by Pulumi's CLI.

        Raises:
            StackError: There is no such stack, or no CLI.
        """
        if name == DEMO:
            try:
                demo, count = newest()
            except NotRunning as error:
                raise StackError(str(error)) from None
            aws = Boto3Clients(
                _part_of_arn(demo.outputs, 3), emulator=demo.url, credentials=demo.credentials
            )
            note = f"{count} demos are running. This is the one that was started last."
            return cls(name, demo.outputs, aws, note=note if count > 1 else "")
        outputs = _outputs(name)
        return cls(name, outputs, Boto3Clients(_part_of_arn(outputs, 3)))

    @property
    def is_demo(self) -> bool:
        """Whether it is the running demo, which Pulumi's CLI does not know."""
        return self.name == DEMO

    @property
    def region(self) -> str:
        """The region that it is in."""
        return _part_of_arn(self.outputs, 3)

    @property
    def account(self) -> str:
        """The account that it is in."""
        return _part_of_arn(self.outputs, 4)

    @property
    def filters(self) -> tuple[str, tuple[str, ...]]:
        """The prefix and the suffixes of the keys for which S3 calls `notify`."""
        prefix, _, suffixes = self.outputs["logKeys"].partition("*")
        return prefix, tuple(suffixes.split(","))

    def excludes(self, key: str) -> str:
        """Return how the filters exclude a key, such as `does not end with .log`, or ""."""
        prefix, suffixes = self.filters
        reasons = []
        if not key.startswith(prefix):
            reasons.append(f"does not begin with {prefix}")
        if not key.endswith(suffixes):
            reasons.append(f"does not end with {' or '.join(suffixes)}")
        return " and ".join(reasons)

    def texts_nobody(self, key: str) -> str:
        """Return why no phone is texted about a key, by filters and routes, or ""."""
        matches = self.settings.phones_of(key)
        return self.excludes(key) or ("" if matches else "matches no route, and toNumbers is empty")

    def make(self, command: str) -> str:
        """Return a command of make that acts on this stack."""
        return make(command, self.name)

    def pulumi(self, command: str) -> str:
        """Return a command of Pulumi's that acts on this stack."""
        return pulumi(command, self.name)

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            StackError: They cannot be read.
        """
        return self.read_settings()

    def read_settings(self) -> Settings:
        """Read the settings in force from the environment of the function `notify`.

        Raises:
            StackError: They cannot be read.
        """
        found = self.aws["lambda"].get_function_configuration(
            FunctionName=self.outputs["notifyFunction"]
        )
        environment = found.get("Environment", {})
        if "Error" in environment:
            raise StackError(
                "Your credentials cannot decrypt the functions' environment. Give them kms:Decrypt "
                f"for the stack's key: {environment['Error'].get('Message', '')}"
            )
        try:
            return read_settings(environment.get("Variables", {}))
        except SettingsError:
            raise StackError(
                f"Stack {self.name} runs another version of this program. If your copy is the "
                f"older one: git pull. If it is the newer one: {self.pulumi('up')}"
            ) from None

    @functools.cached_property
    def sender(self) -> TwilioSender:
        """Twilio, with the functions' credentials."""
        return TwilioSender(self.settings, new_session())


def ago(moment: datetime.datetime) -> str:
    """Return how long ago a moment was, such as `3 min ago`."""
    seconds = (datetime.datetime.now(datetime.UTC) - moment).total_seconds()
    return f"{duration(max(0, round(seconds)))} ago"


def duration(seconds: float) -> str:
    """Return a time in its largest unit, with a decimal below ten: `0.3 s`, `12 min`, `2.6 d`."""
    amount, unit = seconds, "s"
    for size, larger in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            amount, unit = seconds / size, larger
            break
    shown = f"{amount:.1f}".removesuffix(".0") if amount < 9.95 else f"{amount:.0f}"
    return f"{shown} {unit}"


def _part_of_arn(outputs: Mapping[str, Any], part: int) -> str:
    """Return a part of the ARN of the stack's topic: 3 is the region, 4 the account."""
    return str(outputs["alarmTopic"].split(":")[part])


def _outputs(name: str) -> dict[str, Any]:
    try:
        command = find_cli()
    except CliError as error:
        raise StackError(str(error)) from None
    done = subprocess.run(
        [command, "stack", "output", "--json", "--non-interactive", "--stack", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(_explain_no_outputs(name, (done.stderr or done.stdout).strip()))
    outputs: dict[str, Any] = json.loads(done.stdout)
    if "alarmTopic" not in outputs:
        raise StackError(f"Stack {name} is not deployed. Deploy it: {pulumi('up', name)}")
    return outputs


def _explain_no_outputs(name: str, message: str) -> str:
    """Return why Pulumi's CLI shows no outputs, and the next step.

    Args:
        name: The stack's name.
        message: The CLI's output.
    """
    if "PULUMI_ACCESS_TOKEN" in message:
        return (
            f"Pulumi is not logged in, so it cannot find stack {name}. Log in to the backend that "
            "has your state: pulumi login, or pulumi login ADDRESS for a bucket or a folder. "
            "Then pulumi stack ls shows the stacks"
        )
    if "no stack named" in message:
        return (
            f"The backend that Pulumi is logged in to has no stack {name} (pulumi whoami --verbose "
            f"shows which one it is). pulumi stack ls shows the stacks; for one of them: "
            f"{make('status', 'NAME')}"
        )
    first = message.splitlines()[0].removeprefix("error: ") if message else "no reason given"
    return f"Pulumi cannot show the outputs of stack {name}: {first}"
