"""A warm function: many events in one process, and the same requests without the handler."""

import contextlib
import http.client
import io
import os
import ssl
import statistics
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import handler
from infra.package import split_certificates
from simulation.services import EVENT, Services

EVENTS = 500
REQUESTS = 3  # the claim, the text, and the record that it was sent


class _Context:
    aws_request_id = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def measure() -> dict[str, Any]:
    """Send texts one after the other: by the handler, and by bare requests."""
    with Services(split_certificates) as services, _function(services):
        ours, wire_only = [], []
        connection = http.client.HTTPSConnection(
            services.twilio.url.removeprefix("https://"),
            context=ssl.create_default_context(cafile=services.bundle),
        )
        for _ in range(EVENTS):
            started = time.perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                handler.notify(EVENT, _Context())
            ours.append(time.perf_counter() - started)
            started = time.perf_counter()
            for _ in range(REQUESTS):
                connection.request("POST", "/", b"x" * 500, {"Content-Length": "500"})
                connection.getresponse().read()
            wire_only.append(time.perf_counter() - started)
        connection.close()
        whole, wire = statistics.median(ours) * 1000, statistics.median(wire_only) * 1000
        return {
            "events": EVENTS,
            "milliseconds_per_text": round(whole, 2),
            "milliseconds_on_the_wire": round(wire, 2),
            "milliseconds_of_our_own": round(whole - wire, 2),
            "texts_per_second": round(1000 / whole),
            "connections_of_ours": len(services.connections) - 1,
        }


@contextlib.contextmanager
def _function(services: Services) -> Iterator[None]:
    """Let the handler of this process call these services."""
    with mock.patch.dict(os.environ, services.environment):
        _reset_process()
        yield
        _reset_process()


def _reset_process() -> None:
    """Let the handler start as in a new process."""
    handler._process.cache_clear()  # noqa: SLF001  # no public function does this
