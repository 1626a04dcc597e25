"""The opening of connections before the first request, while Lambda starts the function.

A connection to Twilio takes two round trips. Importing the client takes as long, and leaves the
network idle meanwhile. So this module imports the standard library only.
"""

import contextlib
import os
import socket
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable

STEP_TIMEOUT_SECONDS = 1.0
"""How long each step to a connection may take."""

MAX_IDLE_SECONDS = 5.0
"""How long a connection is used after it was opened or last used. Servers close an idle one, and
Lambda may freeze the function before the next event."""


class Preconnector:
    """Opens connections early, and hands each to the request that needs it."""

    def __init__(self) -> None:
        self._openings: dict[tuple[str, int], _Opening] = {}
        self._context: ssl.SSLContext | None = None
        self._context_lock = threading.Lock()

    def open(self, url: str) -> None:
        """Begin to open a connection, in a thread of its own, and send nothing over it.

        Args:
            url: The address. An address without https is that of an emulator on this machine: it
                needs no preparation.
        """
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            address = (parts.hostname, parts.port or 443)
            self._openings[address] = _Opening(address, self.tls_context)
            self._openings[address].start()

    def wait(self) -> None:
        """Wait until each connection is open, or has failed."""
        for opening in self._openings.values():
            opening.join(2 * STEP_TIMEOUT_SECONDS)

    def take(self, host: str, port: int) -> ssl.SSLSocket | None:
        """Give the connection that was opened to a host, once; None if there is none.

        Waits for one that is still being opened.
        """
        opening = self._openings.pop((host, port), None)
        return opening.result() if opening else None

    def tls_context(self) -> ssl.SSLContext:
        """Give the context of all connections, with the certificates of the trusted authorities.

        In the package these are a folder, of which OpenSSL reads what it needs. A file is read
        once: requests reads it for each connection, which is slow.
        See https://github.com/urllib3/urllib3/issues/3623.
        """
        with self._context_lock:
            if not self._context:
                self._context = _tls_context()
            return self._context


def _tls_context() -> ssl.SSLContext:
    from certifi import where  # noqa: PLC0415  # beside the imports, and while a connection opens

    # The variable that gives requests other certificates, in a file or in a folder.
    path = os.environ.get("REQUESTS_CA_BUNDLE") or where()
    if os.path.isdir(path):  # noqa: PTH112  # pathlib is slow to import
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


class _Opening(threading.Thread):
    """A connection that is being opened."""

    def __init__(self, address: tuple[str, int], tls_context: Callable[[], ssl.SSLContext]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._tls_context = tls_context
        self._socket: ssl.SSLSocket | None = None
        self._started_at = time.time()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the request that needs it tries again, and reports
            plain = socket.create_connection(self._address, STEP_TIMEOUT_SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = self._tls_context().wrap_socket(plain, server_hostname=self._address[0])

    def result(self) -> ssl.SSLSocket | None:
        self.join(2 * STEP_TIMEOUT_SECONDS)
        if self._socket and time.time() > self._started_at + MAX_IDLE_SECONDS:
            self._socket.close()
            return None
        return self._socket
