"""AWS and Twilio as far as the handler calls them: they say yes at once, and look at the clock."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

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

ACCEPTED = json.dumps({"sid": "SM" + "0" * 32, "status": "queued"}).encode()


class Services(ThreadingHTTPServer):
    """One server for all.

    Attributes:
        texted: When requests to Twilio began to arrive, by `time.perf_counter`.
        connections: Who has connected.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.texted: list[float] = []
        self.connections: set[Any] = set()
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a function that calls them."""
        return {
            "_HANDLER": "handler.notify",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "eu-central-1",
            "AWS_SECRET_ACCESS_KEY": "example",
            "FAILED_QUEUE": "https://sqs/failed",
            "FROM_NUMBER": "+15005550006",
            "HELD_QUEUE": "https://sqs/held",
            "MAX_TEXTS_PER_HOUR": "1000000",
            "MEMORY_TABLE": "memory",
            "MESSAGE": "New log $key, $size, $time in $bucket",
            "MODE": "instant",
            "STACK": "s3-logs/bench",
            "TIMEZONE": "UTC",
            "TO_NUMBERS": "+15005550100",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_API_URL": self.url,
            "TWILIO_SECRET": "a secret",
        }

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Services
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        arrived = time.perf_counter()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        of_twilio = "X-Amz-Target" not in self.headers
        with self.server.arrived:
            self.server.connections.add(self.client_address)
            if of_twilio:
                self.server.texted.append(arrived)
                self.server.arrived.notify_all()
        body = ACCEPTED if of_twilio else b"{}"
        self.send_response(201 if of_twilio else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
