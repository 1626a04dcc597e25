"""The connections to AWS and to Twilio: one session for both."""

import functools
import logging
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.response import HTTPResponse

from handler.preconnect import MAX_IDLE_SECONDS, Preconnector


def new_session(preconnector: Preconnector | None = None) -> requests.Session:
    """Make a session. It never repeats a request: a text might go out twice.

    Args:
        preconnector: Holds the connections that were opened early.
    """
    # At WARNING it prints addresses, which hold the account's SID.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    session = requests.Session()
    # Otherwise requests looks for proxies in the environment, and for passwords in .netrc, each
    # time.
    session.trust_env = False
    session.mount("https://", _Adapter(preconnector or Preconnector()))
    return session


class _Connection(HTTPSConnection):
    """A connection that may have been opened early, and that is used while it is fresh.

    Lambda freezes a function after each event. A frozen function does not notice that a server
    closed the connection, so the next text would fail first. See
    https://github.com/psf/requests/issues/4506.
    """

    _used_at = 0.0

    def __init__(self, *args: Any, preconnector: Preconnector, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._preconnector = preconnector

    @property
    def is_connected(self) -> bool:
        """Whether it may be used once more."""
        return super().is_connected and time.time() < self._used_at + MAX_IDLE_SECONDS

    def connect(self) -> None:
        """Take the connection that was opened early, or connect."""
        if opened := self._preconnector.take(self.host, self.port):
            self.sock = opened
            self.is_verified = True  # by the same context
        else:
            super().connect()

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3's own class of answers, not http.client's
        """Read the answer, which shows that the connection is alive."""
        answer = super().getresponse()
        self._used_at = time.time()
        return answer


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    """Connections of one TLS context, those that were opened early among them."""

    def __init__(self, preconnector: Preconnector) -> None:
        self._preconnector = preconnector
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all connections share the preconnector and its context."""
        context = self._preconnector.tls_context()
        super().init_poolmanager(*args, ssl_context=context, **kwargs)
        # A pool passes unknown arguments to its connections.
        pool = functools.partial(_Pool, preconnector=self._preconnector)
        self.poolmanager.pool_classes_by_scheme = {"https": pool}

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """Leave the certificates to the context."""
        super().cert_verify(conn, *args)  # type: ignore[no-untyped-call]  # requests has no types here
        conn.ca_certs = conn.ca_cert_dir = None
