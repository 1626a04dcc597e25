"""The package, run by AWS's own runtime client and runtime interface emulator."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import botocore.session
import jsonschema
import requests

from tests.judges import tools
from tests.local.conftest import SECONDS, until

LAMBDA_ADDS = re.compile(r"(START|END|REPORT) RequestId: ")
"""The log lines that Lambda writes itself."""

LINE = {
    "type": "object",
    "required": ["timestamp", "level", "requestId"],
    "properties": {
        "timestamp": {"type": "string", "format": "date-time", "pattern": "Z$"},
        "level": {
            "enum": botocore.session.Session()
            .get_service_model("lambda")
            .shape_for("ApplicationLogLevel")
            .enum
        },
    },
}
"""The JSON schema of a line that Lambda's log filters understand.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
"""


class Function:
    """One function, started by AWS's runtime with its first event.

    Attributes:
        answer: Lambda's last answer, decoded if it is JSON.
    """

    def __init__(
        self,
        handler: str,
        package: Path,
        environment: Mapping[str, str],
        *,
        timeout_seconds: int = 60,
    ) -> None:
        """Prepare the function.

        Args:
            handler: Lambda's `handler` setting.
            package: The folder that Lambda would unpack.
            environment: The function's environment, with the variables that Lambda adds.
            timeout_seconds: The time limit for one event.
        """
        self._handler = handler
        self._package = package
        self._environment = dict(environment)
        self._timeout_seconds = timeout_seconds
        self.answer: Any = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            emulator = tools.runtime_emulator()
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3-logs-")))
            log = stack.enter_context((self._folder / "log").open("w"))
            errors = stack.enter_context((self._folder / "errors").open("w"))
            client = self._folder / "client"
            client.mkdir()
            port = free_port()
            self._url = f"http://127.0.0.1:{port}"
            self._process = subprocess.Popen(
                [
                    str(emulator),
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
                    *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
                    # Without this machine's site-packages, only the package's modules exist.
                    *(sys.executable, "-S", "-m", "awslambdaric", self._handler),
                ],
                cwd=self._folder,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{tools.runtime_client(client)}{os.pathsep}{self._package}",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "LAMBDA_TASK_ROOT": str(self._package),
                    "AWS_LAMBDA_FUNCTION_NAME": self._handler,
                    "AWS_LAMBDA_FUNCTION_TIMEOUT": str(self._timeout_seconds),
                    "AWS_LAMBDA_LOG_FORMAT": "JSON",
                    **self._environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
                start_new_session=True,
            )
            stack.callback(self._end)
            until(self._listens, f"the runtime interface emulator listens at {self._url}")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def invoke(self, event: object, request_id: str = "") -> Any:
        """Call the function with an event, as one request of Lambda. Return its answer."""
        answer = requests.post(
            f"{self._url}/2015-03-31/functions/function/invocations",
            data=json.dumps(event),
            headers={"X-Amzn-RequestId": request_id or str(uuid.uuid4())},
            timeout=SECONDS,
        )
        try:
            self.answer = answer.json()
        except ValueError:
            self.answer = answer.text
        return self.answer

    def lines(self) -> list[dict[str, Any]]:
        """Return the function's log lines, without Lambda's.

        Raises:
            ValueError: A line is not JSON.
        """
        whole = (self._folder / "log").read_text()
        lines = [line for line in whole.splitlines() if not LAMBDA_ADDS.match(line)]
        return [json.loads(line) for line in lines if line]

    def runtimes(self) -> list[int]:
        """Return the ids of the processes that run the function."""
        marked = f"{self._folder}/client".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                mine = marked in (folder / "environ").read_bytes() and b"awslambdaric" in command
            except OSError:  # it has ended, or is another user's
                continue
            if mine and int(folder.name) != self._process.pid:
                found.append(int(folder.name))
        return found

    def _end(self) -> None:
        runtimes = self.runtimes()  # each has its own process group
        self._process.kill()
        self._process.wait()
        for pid in runtimes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _listens(self) -> bool:
        assert self._process.poll() is None, (self._folder / "errors").read_text()
        try:
            requests.get(self._url, timeout=1)
        except requests.ConnectionError:
            return False
        return True


def free_port() -> int:
    """Return a free port of this machine's loopback address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def complaints(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines that break Lambda's JSON log format, with the reasons."""
    judge = jsonschema.Draft202012Validator(
        LINE, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.message}: {line}" for line in lines for error in judge.iter_errors(line)]
