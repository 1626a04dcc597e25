"""Connections that are opened before there is a request for them, while Lambda starts the function.

A connection to Twilio takes two journeys there and back, and what sends requests takes as long to
import, during which the network is idle. So this imports the standard library only.
"""

import contextlib
import functools
import os
import socket
import ssl
import threading
import time
import urllib.parse

SECONDS = 1.0
"""How long each step to a connection may take."""

FRESH_SECONDS = 5.0
"""How long a connection is good for, since it was begun or last used: servers hang up on who says
nothing, and Lambda may freeze the function before the next event."""

_openings: dict[tuple[str, int], "_Opening"] = {}
_reading = threading.Lock()


def open_connection(url: str) -> None:
    """Open a connection beside all else, and say nothing on it. Whether it works, `take` sees.

    Args:
        url: Where to. What is not https is on this machine, and needs no time.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        address = (parts.hostname, parts.port or 443)
        _openings[address] = _Opening(address)
        _openings[address].start()


def take(host: str, port: int) -> ssl.SSLSocket | None:
    """Give the connection that was opened to somebody, once. Waits for one that is on its way."""
    opening = _openings.pop((host, port), None)
    return opening.taken() if opening else None


def trust() -> ssl.SSLContext:
    """Give the context of all connections, made of the certificates of whom to trust.

    In the package these are a folder, of which OpenSSL reads what it needs. A file is read once: it
    takes 14 ms of a whole CPU, and requests does it for each connection.
    See https://github.com/urllib3/urllib3/issues/3623.
    """
    with _reading:
        return _trust()


@functools.cache
def _trust() -> ssl.SSLContext:
    from certifi import where  # noqa: PLC0415  # beside the imports, and beside the first journey

    # The variable by which requests is told of other certificates, in a file or in a folder.
    path = os.environ.get("REQUESTS_CA_BUNDLE") or where()
    if os.path.isdir(path):  # noqa: PTH112  # pathlib takes 2 ms
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


class _Opening(threading.Thread):
    """A connection on its way."""

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self._address = address
        self._opened: ssl.SSLSocket | None = None
        self._begun = time.time()

    def run(self) -> None:
        with contextlib.suppress(OSError):  # the request that needs it tries again, and tells
            plain = socket.create_connection(self._address, SECONDS)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._opened = trust().wrap_socket(plain, server_hostname=self._address[0])

    def taken(self) -> ssl.SSLSocket | None:
        self.join(2 * SECONDS)
        if self._opened and time.time() > self._begun + FRESH_SECONDS:
            self._opened.close()
            return None
        return self._opened
