"""Serving on the loopback address, in a thread of its own, so that others just call it."""

import asyncio
import concurrent.futures
import errno
import functools
import socket
import threading
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Halt = Callable[[], object]


class PortInUse(OSError):
    """The port that somebody should listen on is taken."""


class Server:
    """Serves one application on 127.0.0.1.

    Attributes:
        url: Where it listens, such as `http://127.0.0.1:4010`; empty before it is started.
    """

    def __init__(self, build: Callable[[], web.Application], *, name: str, port: int = 0) -> None:
        """Prepare it.

        Args:
            build: Builds the application.
            name: What it is, in messages and for its thread.
            port: The port to listen on; 0 for any free one.
        """
        self.url = ""
        self._build = build
        self._name = name
        self._port = port
        self._thread: threading.Thread | None = None
        self._halt: _Halt = lambda: None

    def start(self) -> None:
        """Listen, until `stop`.

        Raises:
            PortInUse: Something else listens on the port.
        """
        listener = self._listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ready = concurrent.futures.Future[_Halt]()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name=self._name, daemon=True
        )
        self._thread.start()
        self._halt = ready.result()

    def stop(self) -> None:
        """Stop listening at once, whatever is under way."""
        if self._thread:
            self._halt()
            self._thread.join()
            self._thread = None

    def is_foreign(self, request: web.Request) -> bool:
        """Whether a web page from elsewhere asks for a change."""
        ours = {None, self.url, self.url.replace("127.0.0.1", "localhost")}
        changes = request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}
        return changes and request.headers.get(hdrs.ORIGIN) not in ours

    async def _serve(
        self, listener: socket.socket, ready: concurrent.futures.Future[_Halt]
    ) -> None:
        loop, halted = asyncio.get_running_loop(), asyncio.Event()
        # Two such timeouts pass before a request under way is cut off; zero would mean for ever.
        runner = web.AppRunner(self._build(), access_log=None, shutdown_timeout=0.05)
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            ready.set_result(functools.partial(loop.call_soon_threadsafe, halted.set))
            await halted.wait()
        finally:
            ready.cancel()  # unless it is ready
            await runner.cleanup()
            listener.close()

    def _listen(self) -> socket.socket:
        try:
            return socket.create_server(("127.0.0.1", self._port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise PortInUse(
                f"Port {self._port} of 127.0.0.1 is in use: choose another for the {self._name}, "
                "or 0 for any free one."
            ) from None


def refuse_foreign_page() -> web.HTTPForbidden:
    """Give the answer to a web page from elsewhere that asks for a change."""
    return web.HTTPForbidden(text="Another origin may not change anything here.\n")
