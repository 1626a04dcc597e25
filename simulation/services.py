"""Stand-ins for AWS and Twilio that accept every request.

They use HTTPS with their own certificate. A client also reads the usual certificates, because
that takes time in Lambda, too.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import certifi
import trustme

from simulation.http_server import Answer, Request, Server
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
"""The code of a new Lambda process at its first event. Its argument is the package's folder."""

_JSON = {"Content-Type": "application/json"}
ACCEPTED = json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}).encode()


class Services:
    """The stand-ins for AWS and Twilio, each with its own server.

    Attributes:
        text_times: The start times of the texts' requests to Twilio, by `time.perf_counter`.
        connections: The clients that sent a request.
        bundle: The file with all trusted certificates, in certifi's form.
        certificates: The folder with the same certificates, in the form of the package for Lambda.
    """

    def __init__(
        self, split_certificates: Callable[[Path, Path], None], round_trip: float = 0
    ) -> None:
        """Prepare both servers.

        Args:
            split_certificates: Writes each certificate of a bundle to its own file in a folder.
            round_trip: The seconds of a round trip to Twilio. AWS is in the same region.
        """
        self._folder = tempfile.TemporaryDirectory()
        self.bundle = Path(self._folder.name, "trusted.pem")
        shutil.copy(certifi.where(), self.bundle)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.bundle, append=True)
        self.certificates = Path(self._folder.name, "trusted")
        self.certificates.mkdir()
        split_certificates(self.bundle, self.certificates)
        self.text_times: list[float] = []
        self.connections: set[tuple[str, int]] = set()
        self._running = contextlib.ExitStack()
        self.aws = Server(self._answer_as_aws)
        self.twilio = Server(self._answer_as_twilio, round_trip=round_trip)
        for server in (self.aws, self.twilio):
            server.use_tls(authority)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a function that calls the stand-ins."""
        return {
            "_HANDLER": "handler.notify",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_REGION": "eu-central-1",
            "AWS_SECRET_ACCESS_KEY": "example",
            "FAILED_QUEUE": "https://sqs/failed",
            "FROM_NUMBER": "+15005550006",
            "FLUSH_MINUTES": "5",
            "HELD_QUEUE": "https://sqs/held",
            "MAX_TEXTS_AT_ONCE": "1000000",
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
            self._running.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()
        self._folder.cleanup()

    def _answer_as_aws(self, request: Request) -> Answer:
        return self._answer(request, b"{}")

    def _answer_as_twilio(self, request: Request) -> Answer:
        if request.method == "POST":
            self.text_times.append(request.began)
        return self._answer(request, ACCEPTED)

    def _answer(self, request: Request, body: bytes) -> Answer:
        if request.method != "POST":
            return Answer(200, b"", _JSON)
        self.connections.add(request.client)
        return Answer(200, body, _JSON)
