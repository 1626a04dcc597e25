"""An HTTP server for tests and bench. It gives chosen answers, and keeps the requests."""

import dataclasses
import http.server
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Self

import trustme

MAX_SILENT_SECONDS = 5
"""Seconds after which a server that does not answer closes the connection."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        method: Its method, such as `POST`.
        path: Its path, with the query.
        headers: Its headers.
        body: Its body.
        client: The address and port that it came from.
        began: When its headers were read, by `time.perf_counter`.
    """

    method: str
    path: str
    headers: Message
    body: bytes
    client: tuple[str, int]
    began: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer. With status 0 the server stays silent, then closes the connection."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Server(http.server.ThreadingHTTPServer):
    """A server on this machine, in a thread of its own while its context lasts.

    Attributes:
        status: The status of each answer; see `Answer`.
        body: The body of each answer.
        answers: Statuses and bodies for the next requests. All later requests get the last one.
        closes_connections: Whether it closes the connection after each answer.
        closing: The event that ends the silence of status 0.
        requests: All requests, the oldest first.
        connections: The address and port of each client that connected.
    """

    daemon_threads = True

    def __init__(
        self, respond: Callable[[Request], Answer] | None = None, *, round_trip: float = 0
    ) -> None:
        """Listen on a free port. The server answers only inside its context.

        Args:
            respond: Returns the answer to a request. By default the attributes above decide.
            round_trip: The seconds of a round trip. A new connection takes two more round trips:
                one for TCP, one for TLS.
        """
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond or self._next_answer
        self.round_trip = round_trip
        self.status, self.body = 200, b"{}"
        self.answers: list[tuple[int, bytes]] = []
        self.closes_connections = False
        self.closing = threading.Event()
        self.requests: list[Request] = []
        self.connections: set[tuple[str, int]] = set()
        self._scheme = "http"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        """The server's address."""
        return f"{self._scheme}://127.0.0.1:{self.server_port}"

    def use_tls(self, authority: trustme.CA, name: str = "127.0.0.1") -> None:
        """Use TLS, with the authority's certificate for a host name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        # The handshake happens in each connection's own thread, at its first read.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self._scheme = "https"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *client: object) -> None:
        """Ignore a closed connection, such as that of a client that rejects the certificate."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(*client)  # type: ignore[arg-type]  # passed on unchanged

    def _next_answer(self, _: Request) -> Answer:
        if self.answers:
            self.status, self.body = self.answers.pop(0)
        return Answer(self.status, self.body)


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads requests from one connection, and writes the answers."""

    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Accept the connection."""
        self._wait_round_trips(2)
        self.server.connections.add(self.client_address)
        super().setup()

    def _handle(self) -> None:
        began = time.perf_counter()
        request = Request(
            method=self.command,
            path=self.path,
            headers=self.headers,
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
            client=self.client_address,
            began=began,
        )
        self.server.requests.append(request)
        answer = self.server.respond(request)
        if answer.status == 0:
            self.server.closing.wait(MAX_SILENT_SECONDS)
            self.close_connection = True
            return
        self._wait_round_trips(1)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = self.server.closes_connections

    def _wait_round_trips(self, round_trips: int) -> None:
        if self.server.round_trip:  # some tests count the calls of time.sleep
            time.sleep(round_trips * self.server.round_trip)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815  # the base class's names

    def log_message(self, *_: object) -> None:
        """Write no log."""
