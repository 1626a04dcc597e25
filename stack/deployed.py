"""A deployed stack, as an operator sees it: its outputs, its settings, its parts."""

import datetime
import email.utils
import functools
import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any, Protocol, Self

import boto3
import botocore.config

from handler.connections import new_session
from handler.environment import SettingsError, read_settings
from handler.sender import TwilioSender
from handler.settings import Settings
from local import ROOT
from local.emulator import Aws
from stack.cli import CliError, cli
from stack.running import DEMO, NotRunning, find


class OpsError(Exception):
    """Something that an operator must mend first. The message is one line: what, and how."""


def make(command: str, stack: str) -> str:
    """Return a command of make that acts on this stack, whatever stack the reader works on."""
    return f"make {command} STACK={shlex.quote(stack)}"


def pulumi(command: str, stack: str) -> str:
    """Return a command of Pulumi's that acts on this stack."""
    return f"pulumi {command} --stack {shlex.quote(stack)}"


def clock(answer: Mapping[str, Any]) -> datetime.datetime:
    """Return the time that AWS says it is in an answer, rounded down to the second.

    The clock of this machine may be wrong, and times of messages and log lines are AWS's.
    """
    date = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    return email.utils.parsedate_to_datetime(date).astimezone(datetime.UTC)


class Clients(Protocol):
    """Clients of AWS's services."""

    def __getitem__(self, service: str) -> Any:
        """Give the client of one service, such as `s3`."""


class Stack:
    """A deployed stack.

    Attributes:
        name: Its name.
        outputs: What the program exports.
        aws: Clients of the services that it runs on.
    """

    def __init__(self, name: str, outputs: Mapping[str, Any], aws: Clients) -> None:
        self.name = name
        self.outputs = outputs
        self.aws = aws

    @classmethod
    def open(cls, name: str) -> Self:
        """Open a stack: the running demo as `demo`, any other by Pulumi's CLI.

        Raises:
            OpsError: There is no such stack, or no CLI.
        """
        if name == DEMO:
            try:
                running = find()
            except NotRunning as error:
                raise OpsError(str(error)) from None
            return cls(name, running.outputs, Aws(running.url))
        outputs = _outputs(name)
        return cls(name, outputs, _Clients(_part_of_arn(outputs, 3)))

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

    def make(self, command: str) -> str:
        """Return a command of make that acts on this stack."""
        return make(command, self.name)

    def pulumi(self, command: str) -> str:
        """Return a command of Pulumi's that acts on this stack."""
        return pulumi(command, self.name)

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings in force, as the function `notify` is told them.

        Raises:
            OpsError: The function does not tell them.
        """
        found = self.aws["lambda"].get_function_configuration(
            FunctionName=self.outputs["notifyFunction"]
        )
        environment = found.get("Environment", {})
        if "Error" in environment:
            raise OpsError(
                "Your credentials may not use the stack's key for the functions' environment "
                f"(kms:Decrypt): {environment['Error'].get('Message', '')}"
            )
        try:
            return read_settings(environment.get("Variables", {}))
        except SettingsError:
            raise OpsError(
                f"Stack {self.name} runs another version of this program than is here. If yours is "
                f"the older: git pull. Only if it is the newer: {self.pulumi('up')}"
            ) from None

    @functools.cached_property
    def twilio(self) -> TwilioSender:
        """Twilio, with the credentials that the functions use."""
        return TwilioSender(self.settings, new_session())


class _Clients:
    """Clients of AWS in one region, with the operator's own credentials."""

    def __init__(self, region: str) -> None:
        self._session = boto3.session.Session(region_name=region)
        self._made: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._session.client(
                service,
                config=botocore.config.Config(
                    read_timeout=300,  # a flush of many texts takes minutes
                    retries={"mode": "standard"},
                ),
            )
        return self._made[service]


def ago(moment: datetime.datetime) -> str:
    """Say how long ago something was, as people do."""
    seconds = (datetime.datetime.now(datetime.UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"


def _part_of_arn(outputs: Mapping[str, Any], part: int) -> str:
    """Return a part of an ARN of the stack's: 3 is the region, 4 the account."""
    return str(outputs["alarmTopic"].split(":")[part])


def _outputs(name: str) -> dict[str, Any]:
    try:
        command = cli()
    except CliError as error:
        raise OpsError(str(error)) from None
    done = subprocess.run(
        [command, "stack", "output", "--json", "--non-interactive", "--stack", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise OpsError(_why_no_outputs(name, (done.stderr or done.stdout).strip()))
    outputs: dict[str, Any] = json.loads(done.stdout)
    if "alarmTopic" not in outputs:
        raise OpsError(f"Stack {name} is not deployed. Deploy it: {pulumi('up', name)}")
    return outputs


def _why_no_outputs(name: str, said: str) -> str:
    """Say why Pulumi's CLI gives no outputs, and what to do."""
    if "PULUMI_ACCESS_TOKEN" in said:
        return (
            f"Pulumi is not logged in, so that it knows no stack {name}. Log in where your state "
            "is: pulumi login (for a file or bucket, with its address). Then pulumi stack ls shows "
            "the stacks"
        )
    if "no stack named" in said:
        return (
            f"There is no stack {name} where Pulumi is logged in (pulumi whoami --verbose says "
            f"where). pulumi stack ls shows the stacks; for one of them: {make('status', 'NAME')}"
        )
    first = said.splitlines()[0].removeprefix("error: ") if said else "it does not say why"
    return f"Pulumi gives no outputs of stack {name}: {first}"
