"""A deployed stack, as an operator sees it: its outputs, its settings, its parts."""

import datetime
import functools
import json
import subprocess
from collections.abc import Mapping
from typing import Any, Protocol, Self

import boto3
import botocore.config

from handler.sender import TwilioSender
from handler.settings import Settings, SettingsError
from local import ROOT
from local.cli import CliError, cli
from local.emulator import Aws
from local.running import DEMO, NotRunning, find


class OpsError(Exception):
    """Something that an operator must mend first. The message is one line: what, and how."""


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
        region = outputs["alarmTopic"].split(":")[3]
        return cls(name, outputs, _Clients(region))

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
            return Settings.from_environment(environment.get("Variables", {}))
        except SettingsError:
            raise OpsError(
                f"Stack {self.name} runs another version of this program than is here. If yours is "
                f"the older: git pull. Only if it is the newer: pulumi up --stack {self.name}"
            ) from None

    @functools.cached_property
    def twilio(self) -> TwilioSender:
        """Twilio, with the credentials that the functions use."""
        return TwilioSender(self.settings)


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
        said = (done.stderr or done.stdout).strip().splitlines() or ["it says nothing"]
        raise OpsError(
            f"Pulumi knows no outputs of stack {name} ({said[0].removeprefix('error: ')}). "
            "pulumi stack ls shows the stacks; another one: STACK=…"
        )
    outputs: dict[str, Any] = json.loads(done.stdout)
    if "alarmTopic" not in outputs:
        raise OpsError(f"Stack {name} is not deployed: pulumi up --stack {name}")
    return outputs
