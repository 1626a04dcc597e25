"""A server on this machine that answers every request as a test says, and keeps the requests."""

import contextlib
import http.server
import sys
import threading
from collections.abc import Iterator
from email.message import Message

import pytest


class Server(http.server.ThreadingHTTPServer):
    """Answers with `status` and `body`, or with what `answers` holds, one after the other."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body = 200, b"{}"
        self.answers: list[tuple[int, bytes]] = []
        self.hangs = threading.Event()
        self.closes = False
        self.requests: list[tuple[str, Message, str]] = []
        self.connections: set[tuple[str, int]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *who: object) -> None:
        """Say nothing of a client that hangs up, as one does that does not trust this server."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*who)  # type: ignore[arg-type]  # handed on as they came


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.server.connections.add(self.client_address)
        super().setup()

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.requests.append((self.path, self.headers, form))
        if self.server.answers:
            self.server.status, self.server.body = self.server.answers.pop(0)
        if self.server.status == 0:
            self.server.hangs.wait(5)
            self.close_connection = True
            return
        body = self.server.body  # once: a test may set the next one when it has the headers
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.server.closes

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as answering:
        yield answering


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server in a thread of its own."""
    with Server() as answering:
        thread = threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield answering
        answering.hangs.set()
        answering.shutdown()
        thread.join()
