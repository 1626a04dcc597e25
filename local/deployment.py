"""The program, deployed to the emulator by Pulumi's mocks, which make each resource there."""

import contextlib
import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pulumi
from botocore.exceptions import ClientError
from pulumi.runtime import mocks

from handler.line_search import WordSearch, parse_words
from handler.log_content import BLOCK_BYTES, MAX_BYTES, LogContent, UnreadableLog
from handler.settings import Settings
from local import program, resources
from stack import log_lines
from stack.clients import Clients
from stack.deployed import Stack
from stack.running_demos import DEMO

MAX_KEY_BYTES = 1024
"""Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""

SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks secrets and archives in its messages, its "signature key"."""

_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
    """One resource in the emulator."""

    type: str
    name: str
    id: str
    state: dict[str, Any]


def names_of_phones(settings: Settings) -> dict[str, str]:
    """Return each phone with the names of its routes: `on-call, backup`; "" without any."""
    return {
        phone: ", ".join(route.name for route in settings.routes if phone in route.to_numbers)
        for phone in settings.phones
    }


class UploadError(Exception):
    """S3 rejects the file. The message is one sentence: the problem."""


class Deployed(Stack):
    """The program in an emulator, deployed by the mocks or by the engine."""

    def __init__(self, aws: Clients, outputs: Mapping[str, Any]) -> None:
        super().__init__(DEMO, outputs, aws)

    def upload(self, key: str, body: bytes | IO[bytes] = b"ERROR: one\n") -> str:
        """Put a file into the bucket.

        Returns:
            Why no phone is texted about it, by filters and routes, or "".

        Raises:
            UploadError: S3 rejects such a key, or the emulator refuses the file.
        """
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            raise UploadError(
                "The name of the file is not UTF-8, and S3 accepts nothing else. Rename the file."
            ) from None
        if length > MAX_KEY_BYTES:
            raise UploadError(
                f"The key has {length:,} bytes in UTF-8, and S3 accepts {MAX_KEY_BYTES:,} at "
                "most. Give the file a shorter name or path."
            )
        try:
            self.aws["s3"].put_object(Bucket=self.outputs["bucket"], Key=key, Body=body)
        except ClientError as error:
            raise UploadError(
                f"S3 refuses the file: {error.response['Error']['Message']}"
            ) from None
        return self.texts_nobody(key)

    def missing_words(self, key: str, body: IO[bytes]) -> str:
        """Return the words that the routes of a key look for, if no line of the file has any.

        Return "" if a phone is texted about the file.
        """
        contains = {route.contains for route in self.settings.matching(key) if route.to_numbers}
        searches = [WordSearch(parse_words(words)) for words in contains if words]
        blocks = iter(lambda: body.read(BLOCK_BYTES), b"")
        content = LogContent(blocks, is_late=lambda: False, max_bytes=MAX_BYTES)
        with contextlib.suppress(UnreadableLog):
            for block in content:
                for one in searches:
                    one.feed(block)
        is_texted = len(searches) < len(contains) or any(one.result().lines for one in searches)
        return "" if is_texted or not content.is_whole else " or ".join(sorted(contains))

    def logged(self, function: str = "notify") -> list[dict[str, Any]]:
        """Return the lines that a function logged, decoded. Other text is `{"text": …}`."""
        return [line.fields for line in log_lines.read(self, since=_EPOCH, functions=[function])]


class Deployment(Deployed):
    """The program, deployed by Pulumi's mocks.

    Attributes:
        made: Its resources, in the order in which they were made.
    """

    def __init__(
        self, aws: Clients, settings: Mapping[str, str], *, path: Path = program.PROGRAM
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
        monitor = program.Monitor(_Creator(aws, self.made))
        super().__init__(aws, program.run(monitor, settings, stack_name=DEMO, program=path))

    def resource(self, type_: str, name: str) -> Made:
        """Return the one resource of that type and name."""
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


class _Creator(mocks.Mocks):
    """Creates in the emulator each resource that the program declares."""

    def __init__(self, aws: Clients, made: list[Made]) -> None:
        self._aws = aws
        self._made = made

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        return resources.invoke(self._aws, args.token), []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom:
            return "", {}
        inputs = resources.with_name(args.typ, args.name, unwrap(args.inputs))
        id_, state = resources.create(self._aws, args.typ, args.name, inputs)
        self._made.append(Made(type=args.typ, name=args.name, id=id_, state=state))
        return id_, {**args.inputs, **{key: state[key] for key in state.keys() - args.inputs}}


def unwrap(value: Any) -> Any:
    """Unwrap secrets, and give archives as their folders."""
    match value:
        case pulumi.FileArchive():
            return str(value.path)
        case {"value": inner} if SIGNATURE_KEY in value:
            return unwrap(inner)
        case {"path": path} if SIGNATURE_KEY in value:
            return path
        case dict():
            return {key: unwrap(inner) for key, inner in value.items()}
        case list():
            return [unwrap(inner) for inner in value]
        case _:
            return value
