"""boto3's clients of AWS's services, or of an emulator's."""

import os
import threading
from collections.abc import Mapping
from typing import Any, Protocol

import boto3
import botocore.session
from botocore.config import Config

READ_SECONDS = 300
"""How long to wait for an answer: a flush of many texts takes minutes."""


class Clients(Protocol):
    """A client for each service."""

    def __getitem__(self, service: str) -> Any:
        """Return the client of one service, such as `s3`."""


class Boto3Clients:
    """boto3's clients in one region, each made once. Several threads may share them."""

    def __init__(
        self, region: str, *, emulator: str = "", credentials: Mapping[str, str] | None = None
    ) -> None:
        """Prepare them.

        Args:
            region: The region.
            emulator: The address of an emulator, whose clients ignore this machine's profiles,
                proxies and environment. Without it the clients call AWS.
            credentials: boto3's arguments for credentials. Without them boto3 finds the operator's.
        """
        session = _isolated_session() if emulator else boto3.session.Session()
        config = _emulator_config() if emulator else Config()
        self._session = session
        self._arguments: dict[str, Any] = {
            "region_name": region,
            "endpoint_url": emulator or None,
            # AWS drops a connection now and then, and so does an emulator on a busy machine.
            "config": config.merge(Config(read_timeout=READ_SECONDS, retries={"mode": "standard"})),
            **(credentials or {}),
        }
        self._lock = threading.Lock()  # using a client is thread-safe, making one is not
        self._clients: dict[str, Any] = {}

    def __getitem__(self, service: str) -> Any:
        """Return the client of one service, such as `s3`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(service, **self._arguments)
            return self._clients[service]

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()


def _isolated_session() -> boto3.session.Session:
    """Return a session that reads none of this machine's profiles: one of them may be broken."""
    profile, no_file = (None, None, None, None), (None, None, os.devnull, None)
    return boto3.session.Session(
        botocore_session=botocore.session.Session(
            {"profile": profile, "config_file": no_file, "credentials_file": no_file}
        )
    )


def _emulator_config() -> Config:
    return Config(
        proxies={},
        s3={"addressing_style": "path"},
        max_pool_connections=50,
    )
