"""The program, deployed to the emulator by Pulumi's mocks: each resource it asks for is made."""

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pulumi
from botocore.exceptions import ClientError
from pulumi.runtime import mocks

from local import program, resources
from local.emulator import Aws
from stack.running import DEMO

LONGEST_KEY_BYTES = 1024
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

MARK = "4dabf18193072939515e22adb298388d"
"""How Pulumi marks what is no plain value, such as a secret or an archive, on its wire."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """One resource in the emulator."""

    type: str
    name: str
    id: str
    state: dict[str, Any]


class UploadError(Exception):
    """S3 takes no such file. The message is one sentence: what is wrong."""


class Deployed:
    """The program in an emulator, whoever deployed it.

    Attributes:
        aws: Clients of the emulator.
        outputs: What the program exports.
    """

    def __init__(self, aws: Aws, outputs: Mapping[str, Any]) -> None:
        self.aws = aws
        self.outputs = outputs

    @property
    def filters(self) -> tuple[str, str]:
        """The prefix and the suffix of the keys that S3 tells `notify` of."""
        prefix, _, suffix = self.outputs["logKeys"].partition("*")
        return prefix, suffix

    def upload(self, key: str, body: bytes | IO[bytes] = b"a line\n") -> str:
        """Put a file into the bucket.

        Returns:
            Why nobody is texted about it: the filter that leaves it out. Empty if none does.

        Raises:
            UploadError: S3 takes no such key, or the emulator refuses the file.
        """
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise UploadError("The name of the file is not UTF-8, and S3 takes no other.") from None
        if length > LONGEST_KEY_BYTES:
            raise UploadError(
                f"The key has {length:,} bytes in UTF-8, and S3 takes {LONGEST_KEY_BYTES:,} at "
                "most. Give the file a shorter name or path."
            )
        try:
            self.aws["s3"].put_object(Bucket=self.outputs["bucket"], Key=key, Body=body)
        except ClientError as error:
            raise UploadError(
                f"S3 refuses the file: {error.response['Error']['Message']}"
            ) from None
        prefix, suffix = self.filters
        reasons = []
        if not key.startswith(prefix):
            reasons.append(f"does not begin with {prefix}")
        if not key.endswith(suffix):
            reasons.append(f"does not end with {suffix}")
        return " and ".join(reasons)

    def logged(self, function: str = "notify") -> list[dict[str, Any]]:
        """Give what a function logged, decoded; lines that are no JSON as `{"text": …}`."""
        group = self.outputs[f"{function}LogGroup"]
        pages = self.aws["logs"].get_paginator("filter_log_events").paginate(logGroupName=group)
        lines = [event["message"] for page in pages for event in page["events"]]
        return [_decoded(line) for line in lines]


class Deployment(Deployed):
    """The program, deployed by Pulumi's mocks.

    Attributes:
        made: Its resources, in the order in which they were made.
    """

    def __init__(
        self, aws: Aws, settings: Mapping[str, str], *, path: Path = program.PROGRAM
    ) -> None:
        """Deploy the program.

        Args:
            aws: Clients of the emulator.
            settings: As `pulumi config set` would set them.
            path: The program's file.

        Raises:
            pulumi.RunError: The program refuses its settings.
            resources.ResourceError: AWS refused a resource.
        """
        self.made: list[Made] = []
        monitor = program.Monitor(_Makers(aws, self.made))
        super().__init__(aws, program.run(monitor, settings, stack_name=DEMO, program=path))

    def the(self, type_: str, name: str) -> Made:
        """Give the one resource of that type and name."""
        (found,) = (one for one in self.made if (one.type, one.name) == (type_, name))
        return found

    def destroy(self) -> None:
        """Delete everything, in reverse order.

        Raises:
            resources.ResourceError: AWS refused to.
        """
        while self.made:
            one = self.made[-1]
            resources.delete(self.aws, one.type, one.name, one.id, one.state)
            self.made.pop()


class _Makers(mocks.Mocks):
    """Make in the emulator what the program asks for."""

    def __init__(self, aws: Aws, made: list[Made]) -> None:
        self._aws = aws
        self._made = made

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return resources.invoke(self._aws, args.token), []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom:
            return "", {}
        inputs = resources.named(args.typ, args.name, plain(args.inputs))
        id_, state = resources.create(self._aws, args.typ, args.name, inputs)
        self._made.append(Made(type=args.typ, name=args.name, id=id_, state=state))
        return id_, {**args.inputs, **{key: state[key] for key in state.keys() - args.inputs}}


def plain(value: Any) -> Any:
    """Unwrap secrets, and give archives as their folders."""
    match value:
        case pulumi.FileArchive():
            return str(value.path)
        case {"value": inner} if MARK in value:
            return plain(inner)
        case {"path": path} if MARK in value:
            return path
        case dict():
            return {key: plain(inner) for key, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case _:
            return value


def _decoded(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        decoded = json.loads(line)
        if isinstance(decoded, dict):
            return decoded
    return {"text": line}
