"""The connections to AWS and to Twilio: one session, and connections that are opened ahead.

A new connection takes CPU for TLS, of which 256 MB buy an event a seventh, and three journeys to
Twilio and back. While Lambda starts a function it lends a whole CPU, and imports leave the network
idle.
"""

import contextlib
import functools
import os
import ssl
import threading
from typing import Any

import requests
from certifi import where
from requests.adapters import HTTPAdapter

AHEAD_SECONDS = (1.0, 3.0)
"""How long a connection that is opened ahead may take, and how long the answer on it."""

_making = threading.Lock()


def session() -> requests.Session:
    """Give the one session of this process. The first call reads the certificates."""
    with _making:
        return _make()


def open_ahead(url: str) -> None:
    """Open a connection beside all else. A request that comes before it is there opens its own.

    Args:
        url: An address that answers anybody. DynamoDB's own says that it is healthy.
    """
    threading.Thread(target=_open, args=[url], daemon=True).start()


def _open(url: str) -> None:
    with contextlib.suppress(requests.RequestException):
        session().get(url, timeout=AHEAD_SECONDS, allow_redirects=False)


@functools.cache
def _make() -> requests.Session:
    made = requests.Session()
    # Else the environment is asked for proxies, and .netrc for passwords, at each request.
    made.trust_env = False
    made.mount("https://", _Connections(max_retries=1))
    made.mount("http://", HTTPAdapter(max_retries=1))  # to an emulator
    return made


class _Connections(HTTPAdapter):
    """Connections that share the certificates of whom to trust.

    requests reads those anew for each connection, which takes 14 ms of a whole CPU:
    https://github.com/urllib3/urllib3/issues/3623
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all connections share one context."""
        # The variable by which requests is told of other certificates.
        trusted = os.environ.get("REQUESTS_CA_BUNDLE") or where()
        context = ssl.create_default_context(cafile=trusted)
        super().init_poolmanager(*args, ssl_context=context, **kwargs)

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """Leave the certificates to the context."""
        super().cert_verify(conn, *args)  # type: ignore[no-untyped-call]
        conn.ca_certs = None
