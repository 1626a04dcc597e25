"""A server on the loopback address, in a thread of its own."""

import asyncio
import concurrent.futures
import contextlib
import functools
import socket
import threading
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Stop = Callable[[], object]


class Server:
    """Serves one application on 127.0.0.1.

    Attributes:
        url: Where it listens, such as `http://127.0.0.1:4010`; empty before it is started.
    """

    def __init__(
        self, build: Callable[[], web.Application], *, name: str, port: int | None = None
    ) -> None:
        """Prepare it.

        Args:
            build: Builds the application.
            name: The name of its thread.
            port: The port to listen on. If another program has it, or without it: any free one.
        """
        self.url = ""
        self._port = port
        self._build = build
        self._name = name
        self._thread: threading.Thread | None = None
        self._stop_loop: _Stop = lambda: None

    def start(self) -> None:
        """Listen until `stop`."""
        listener = self._listen()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ready = concurrent.futures.Future[_Stop]()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name=self._name, daemon=True
        )
        self._thread.start()
        self._stop_loop = ready.result()

    def _listen(self) -> socket.socket:
        """Listen on the chosen port, or on a free one."""
        if self._port:
            with contextlib.suppress(OSError):
                return socket.create_server(("127.0.0.1", self._port))
        return socket.create_server(("127.0.0.1", 0))

    def stop(self) -> None:
        """Stop at once. Requests in progress are cut off."""
        if self._thread:
            self._stop_loop()
            self._thread.join()
            self._thread = None

    def is_foreign(self, request: web.Request) -> bool:
        """Whether a page of another origin asks for a change."""
        own_origins = {None, self.url, self.url.replace("127.0.0.1", "localhost")}
        changes = request.method not in {hdrs.METH_GET, hdrs.METH_HEAD}
        return changes and request.headers.get(hdrs.ORIGIN) not in own_origins

    async def _serve(
        self, listener: socket.socket, ready: concurrent.futures.Future[_Stop]
    ) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        # aiohttp cuts a request off after two such timeouts, and never if they are zero.
        runner = web.AppRunner(self._build(), access_log=None, shutdown_timeout=0.05)
        try:
            await runner.setup()
            await web.SockSite(runner, listener).start()
            ready.set_result(functools.partial(loop.call_soon_threadsafe, stopped.set))
            await stopped.wait()
        finally:
            ready.cancel()  # unless it is ready
            await runner.cleanup()
            listener.close()
