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

from handler import preconnect


@functools.cache
def session() -> requests.Session:
    """Give the one session of this process. It tries nothing again: a text might go out twice."""
    # At WARNING it prints addresses, which hold the account's SID.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    made = requests.Session()
    # Else the environment is asked for proxies, and .netrc for passwords, at each request.
    made.trust_env = False
    made.mount("https://", _Adapter())
    return made


class _Connection(HTTPSConnection):
    """A connection that may have been opened early, and that is used while it is fresh.

    Lambda freezes a function after each event, which does not hear then who hangs up on it: the
    next text would be the one to find out. See https://github.com/psf/requests/issues/4506.
    """

    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether it may be used once more."""
        return super().is_connected and time.time() < self._used_at + preconnect.FRESH_SECONDS

    def connect(self) -> None:
        """Take what was opened early, or connect."""
        if opened := preconnect.take(self.host, self.port):
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
    """Connections that trust whom `ahead` trusts."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all connections share one context."""
        super().init_poolmanager(*args, ssl_context=preconnect.trust(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """Leave the certificates to the context."""
        super().cert_verify(conn, *args)  # type: ignore[no-untyped-call]  # requests has no types here
        conn.ca_certs = conn.ca_cert_dir = None
