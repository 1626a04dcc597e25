"""AWS on this machine: MiniStack, as a child process that leaves nothing behind."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from stack.clients import Boto3Clients
from stack.waiting import NotInTime, wait_until

PROCESS = Path(__file__).with_name("ministack_process.py")

LONG_TIMEOUTS = {"PYTHONPATH": str(Path(__file__).with_name("long_timeouts"))}
"""Options for an emulator on a busy machine: its functions wait a minute for each answer."""

REGION = "us-east-1"
START_SECONDS = 120  # usually two; a busy machine takes longer

# The root user of MiniStack's account. MiniStack checks all other users' permissions.
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}

_WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class EmulatorError(Exception):
    """The emulator does not start. The message says why, and what to do."""


def clients(url: str) -> Boto3Clients:
    """Return clients of the emulator at an address, as its root user."""
    return Boto3Clients(REGION, emulator=url, credentials=CREDENTIALS)


class Emulator:
    """MiniStack, checking signatures and permissions as AWS does (`AUTH=true`)."""

    def __init__(self, *, port: int = 0, options: Mapping[str, str] | None = None) -> None:
        """Prepare it.

        Args:
            port: The port to listen on; 0 for any free one.
            options: MiniStack's own environment variables, for tests.
        """
        self._port = port
        self._options = dict(options or {})
        self._stack = contextlib.ExitStack()
        self.url = ""

    def __enter__(self) -> Self:
        """Start it, on the loopback address only.

        Raises:
            EmulatorError: It does not start.
        """
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="s3-logs-")))
            port = _free_port(self._port)
            self.url = f"http://127.0.0.1:{port}"
            log = stack.enter_context((folder / "log").open("w+"))
            # The functions inherit this environment, so it has nothing of this machine's in it.
            process = subprocess.Popen(
                # -P: modules beside that file must not hide modules that MiniStack imports.
                [sys.executable, "-P", str(PROCESS)],
                cwd=folder,
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "HOME": str(folder),
                    "TMPDIR": str(folder),
                    "AUTH": "true",
                    "BIND_HOST": "127.0.0.1",
                    "GATEWAY_PORT": str(port),
                    # This service ignores BIND_HOST, and would listen on all interfaces.
                    "IOT_MTLS_ENABLED": "0",
                    "MINISTACK_HOST": "127.0.0.1",
                    "MINISTACK_REGION": REGION,
                    **self._options,
                },
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.enter_context(process)  # closes its input
            stack.callback(_end, process)
            self._await_start(process, folder / "log")
            self.aws = clients(self.url)
            stack.callback(self.aws.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and its functions, and remove its files."""
        self._stack.close()

    def _await_start(self, process: subprocess.Popen[bytes], log: Path) -> None:
        with contextlib.suppress(NotInTime):
            wait_until(
                lambda: self._answers() or process.poll() is not None,
                seconds=START_SECONDS,
                poll_seconds=0.05,
            )
        if not self._answers():
            last = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise EmulatorError(
                f"The emulator of AWS, MiniStack, does not start. Its last output:\n{last}\n"
                "If its package is broken: make clean, then run the same command again."
            )

    def _answers(self) -> bool:
        try:
            with _WITHOUT_PROXY.open(f"{self.url}/_ministack/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """Let SIGTERM end this process as Ctrl-C does, after it has cleaned up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _free_port(port: int) -> int:
    try:
        with socket.create_server(("127.0.0.1", port)) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise EmulatorError(
            f"Port {port} of 127.0.0.1 is in use. End the program that listens there, such as "
            "another emulator, and run the command again."
        ) from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process group: a process and all that it started."""
    for signal_, seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
