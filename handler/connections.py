"""The connections to AWS and to Twilio: one session for both."""

import functools
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool

from handler import ahead


@functools.cache
def session() -> requests.Session:
    """Give the one session of this process."""
    made = requests.Session()
    # Else the environment is asked for proxies, and .netrc for passwords, at each request.
    made.trust_env = False
    made.mount("https://", _Adapter(max_retries=1))
    made.mount("http://", HTTPAdapter(max_retries=1))  # to an emulator
    return made


class _Connection(HTTPSConnection):
    """A connection that may have been opened ahead."""

    def connect(self) -> None:
        """Take what was opened ahead, or connect."""
        if opened := ahead.take(self.host, self.port):
            self.sock = opened
            self.is_verified = True  # by the same context
        else:
            super().connect()


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    """Connections that trust whom `ahead` trusts."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Let all connections share one context."""
        super().init_poolmanager(*args, ssl_context=ahead.trust(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}

    def cert_verify(self, conn: Any, *args: Any) -> None:
        """Leave the certificates to the context."""
        super().cert_verify(conn, *args)  # type: ignore[no-untyped-call]
        conn.ca_certs = conn.ca_cert_dir = None
