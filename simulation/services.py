"""AWS and Twilio as far as the handler calls them: they say yes at once, and look at the clock.

They speak HTTPS with a certificate of their own making, which is trusted together with all that are
trusted anyway: to find or to read those takes its time, as it does in Lambda.
"""

import json
import shutil
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import certifi
import trustme

from simulation.samples import MESSAGE

EVENT: dict[str, Any] = {
    "Records": [
        {
            "eventVersion": "2.6",
            "eventSource": "aws:s3",
            "eventTime": "2026-11-23T14:05:09.120Z",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "bucket": {"name": "logs-1a2b3c4"},
                "object": {"key": "app/web.log", "size": 1024, "sequencer": "0A1B2C"},
            },
        }
    ]
}

BOOT = f"""
import sys
sys.path.insert(0, sys.argv[1])
import handler

class Context:
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self):
        return 60_000

handler.notify({EVENT!r}, Context())
"""
"""A new process of Lambda at its first event. The argument is the folder of the package."""

ACCEPTED = json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}).encode()


class Services:
    """Both, each with a server of its own.

    Attributes:
        texted: When requests to Twilio began to arrive, by `time.perf_counter`.
        connections: Who has connected.
        bundle: The certificates to trust, as certifi has them: in one file.
        certificates: The same as our package has them: in a folder.
    """

    def __init__(
        self, split_certificates: Callable[[Path, Path], None], journey: float = 0
    ) -> None:
        """Make them.

        Args:
            split_certificates: Puts each certificate of a bundle into a file in a folder.
            journey: How many seconds Twilio is away, there and back. AWS is in the same region.
        """
        self._folder = tempfile.TemporaryDirectory()
        self.bundle = Path(self._folder.name, "trusted.pem")
        shutil.copy(certifi.where(), self.bundle)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.bundle, append=True)
        self.certificates = Path(self._folder.name, "trusted")
        self.certificates.mkdir()
        split_certificates(self.bundle, self.certificates)
        self.texted: list[float] = []
        self.connections: set[Any] = set()
        self.aws = _Server(self, authority, 0, b"{}")
        self.twilio = _Server(self, authority, journey, ACCEPTED)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a function that calls them."""
        return {
            "_HANDLER": "handler.notify",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": "eu-central-1",
            "AWS_SECRET_ACCESS_KEY": "example",
            "FAILED_QUEUE": "https://sqs/failed",
            "FROM_NUMBER": "+15005550006",
            "HELD_QUEUE": "https://sqs/held",
            "MAX_TEXTS_PER_HOUR": "1000000",
            "LEDGER_TABLE": "ledger",
            "MESSAGE": MESSAGE,
            "MODE": "instant",
            "NODE_EXTRA_CA_CERTS": str(self.bundle),
            "REQUESTS_CA_BUNDLE": str(self.certificates),
            "SSL_CERT_FILE": str(self.bundle),
            "STACK": "s3-logs/bench",
            "TIMEZONE": "UTC",
            "TO_NUMBERS": "+15005550100",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_API_URL": self.twilio.url,
            "TWILIO_SECRET": "a secret",
        }

    def __enter__(self) -> Self:
        for server in (self.aws, self.twilio):
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self.aws, self.twilio):
            server.shutdown()
            server.server_close()
        self._folder.cleanup()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, services: Services, authority: trustme.CA, journey: float, answer: bytes
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.services = services
        self.journey = journey
        self.answer = answer
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        # The handshake is for the thread of each connection to do, at its first reading.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Let a connection take one journey for TCP and one for TLS."""
        time.sleep(2 * self.server.journey)
        super().setup()

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        arrived = time.perf_counter()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        services = self.server.services
        services.connections.add(self.client_address)
        if self.server is services.twilio:
            services.texted.append(arrived)
        self._answer(self.server.answer)

    def _answer(self, body: bytes) -> None:
        time.sleep(self.server.journey)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
