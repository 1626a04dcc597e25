"""The server of the page: its files, the events that it shows, and its buttons."""

import asyncio
import contextlib
import datetime
import functools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from handler.environment import variable
from handler.routes import write as write_routes
from local.deployment import Deployed, UploadError, names_of_phones
from local.loopback import Handler, Server
from local.page.journey import Event, Journey
from local.segments import SEGMENT_DOLLARS
from local.storm import IN_FLIGHT
from local.twilio import StandIn
from local.twilio_faults import RESET_AFTER_TEXT, UNAVAILABLE, Fault
from stack import log_lines
from stack.deployed import StackError
from stack.flush import run_flush
from stack.waiting import NotInTime, wait_until

FOLDER = Path(__file__).parent

ASSETS = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

PRICE = {
    "dollars": SEGMENT_DOLLARS,
    "source": "Twilio's list price for a segment in the US, November 2026, without carriers' fees",
}

MAX_FILE_BYTES = 10_000_000
STORM_FILES = 200
FOLDERS = ("app", "db", "web")
POLL_SECONDS = 0.2
STORM_SECONDS = 300
ALL_DAY = "00:00-23:59"
OPTED_OUT_NUMBER = "+15005550004"
"""Twilio's magic number of a phone whose owner replied STOP."""


def _toggled(phones: Sequence[str], phone: str) -> tuple[str, ...]:
    """Add a phone, or take it away if it is there."""
    others = tuple(one for one in phones if one != phone)
    return others if len(others) < len(phones) else (*phones, phone)


class _Stopped(Exception):
    """The page is closed."""


class Page:
    """The page of a running demo.

    Attributes:
        journey: The journey of each log file.
    """

    def __init__(self, deployment: Deployed, twilio: StandIn) -> None:
        """Prepare it.

        Args:
            deployment: The program in the emulator.
            twilio: The stand-in for Twilio.
        """
        self.journey = Journey()
        self._deployment = deployment
        self._twilio = twilio
        self._prefix, (self._suffix, *_) = deployment.filters
        self._server = Server(self._application, name="page")
        self._stopped = threading.Event()
        self._settings_lock = threading.Lock()
        self._storms = 0
        self._settings = self._deployment.read_settings()

    @property
    def url(self) -> str:
        """Where it is."""
        return self._server.url

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve it inside the context. Give its address."""
        self._server.start()
        thread = threading.Thread(target=self._follow_logs, name="journey", daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self._stopped.set()
            thread.join()
            self._server.stop()

    # Events

    def _follow_logs(self) -> None:
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)

        def wait(_seconds: float) -> None:
            if self._stopped.wait(POLL_SECONDS):
                raise _Stopped

        with contextlib.suppress(_Stopped):
            for line in log_lines.follow(self._deployment, since=since, wait=wait):
                self.journey.add_line(line)

    def _controls(self) -> Event:
        """Return which buttons are on, and which phones are texted."""
        return {
            "twilio_down": UNAVAILABLE in self._twilio.faults,
            "lost_answers": RESET_AFTER_TEXT in self._twilio.faults,
            "quiet_hours": bool(self._settings.quiet_hours),
            "opted_out": OPTED_OUT_NUMBER in self._settings.phones,
            "phones": list(self._settings.phones),
            "names": names_of_phones(self._settings),
        }

    # The buttons; each blocks

    def _storm(self) -> str:
        self._storms += 1
        keys = [
            f"{self._prefix}{FOLDERS[number % len(FOLDERS)]}/storm-{self._storms}-{number:03}"
            f"{self._suffix}"
            for number in range(STORM_FILES)
        ]
        phones_of, before = self._settings.phones_of, self.journey.outcomes
        texts = [len(phones_of(key)) for key in keys]
        end = time.monotonic() + STORM_SECONDS
        for number, key in enumerate(keys):
            outcomes = before + sum(texts[: max(0, number - IN_FLIGHT + 1)])
            try:
                wait_until(
                    functools.partial(self._has_outcomes, outcomes),
                    seconds=end - time.monotonic(),
                    poll_seconds=0.05,
                )
            except (NotInTime, _Stopped):
                return "The storm was cut short."
            self._deployment.upload(key)
        return f"{STORM_FILES} files are in the bucket."

    def _has_outcomes(self, outcomes: int) -> bool:
        if self._stopped.is_set():
            raise _Stopped
        return self.journey.outcomes >= outcomes

    def _switch_twilio(self) -> str:
        if self._switch_fault(UNAVAILABLE):
            return "Twilio is down: every text is held."
        return f"Twilio is back. {self._next_flush()}"

    def _switch_lost_answers(self) -> str:
        if self._switch_fault(RESET_AFTER_TEXT):
            return (
                "Twilio accepts texts, and its answers are lost. "
                "After a minute a flush asks Twilio for each text, and does not repeat it."
            )
        return "Twilio's answers arrive again."

    def _switch_fault(self, fault: Fault) -> bool:
        """Switch a fault of Twilio's on or off. Return whether it is on."""
        others = [one for one in self._twilio.faults if one != fault]
        switched_on = len(others) == len(self._twilio.faults)
        on = [*others, fault] if switched_on else others
        self._twilio.fault(*sorted(on, key=lambda one: one.accepts))  # a Twilio down accepts none
        return switched_on

    def _switch_quiet_hours(self) -> str:
        switched_on = not self._settings.quiet_hours
        self._change({variable("quiet_hours"): ALL_DAY if switched_on else ""})
        if switched_on:
            return "Quiet hours: every text is held."
        return f"Quiet hours are over. {self._next_flush()}"

    def _next_flush(self) -> str:
        """Return what the next flush does, now that one of the two buttons is off."""
        if UNAVAILABLE in self._twilio.faults:
            return "Twilio is still down: held texts stay held."
        if self._settings.quiet_hours:
            return "Quiet hours go on: held texts stay held."
        return "The next flush sends the held texts."

    def _switch_opted_out(self) -> str:
        settings = self._settings
        switched_on = OPTED_OUT_NUMBER not in settings.phones
        if settings.routes:
            first, *others = settings.routes
            first = first._replace(to_numbers=_toggled(first.to_numbers, OPTED_OUT_NUMBER))
            self._change({variable("routes"): write_routes([first, *others], settings)})
        else:
            phones = _toggled(settings.to_numbers, OPTED_OUT_NUMBER)
            self._change({variable("to_numbers"): ",".join(phones)})
        if switched_on:
            return "A phone was added whose owner replied STOP: its texts fail, and no others."
        return "The bad number is gone."

    def _flush(self) -> str:
        try:
            report = run_flush(self._deployment)
        except StackError as error:
            return str(error)
        return f"{report.texted} {report.held}"

    def _change(self, changes: Mapping[str, str]) -> None:
        """Change the settings of both functions, as `pulumi up` would."""
        client = self._deployment.aws["lambda"]
        with self._settings_lock:
            for function in ("notifyFunction", "flushFunction"):
                name = self._deployment.outputs[function]
                found = client.get_function_configuration(FunctionName=name)
                variables = {**found["Environment"]["Variables"], **changes}
                client.update_function_configuration(
                    FunctionName=name, Environment={"Variables": variables}
                )
            self._settings = self._deployment.read_settings()

    # HTTP

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_FILE_BYTES)
        app.add_routes([web.get(path, self._file) for path in ASSETS])
        app.add_routes(
            [
                web.get("/events", self._events),
                web.post("/files", self._upload),
                web.post("/storm", self._button(self._storm)),
                web.post("/twilio_down", self._button(self._switch_twilio)),
                web.post("/lost_answers", self._button(self._switch_lost_answers)),
                web.post("/quiet_hours", self._button(self._switch_quiet_hours)),
                web.post("/opted_out", self._button(self._switch_opted_out)),
                web.post("/flush", self._button(self._flush)),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse changes by other pages, and requests by another host name."""
        if request.host not in {self.url.removeprefix("http://"), self._localhost}:
            raise web.HTTPForbidden(text="This page has another address.\n")
        if self._server.is_foreign(request):
            raise web.HTTPForbidden(text="Another origin may not change anything here.\n")
        answer = await handler(request)
        if not answer.prepared:
            answer.headers.update(HEADERS)
        return answer

    @property
    def _localhost(self) -> str:
        return self.url.removeprefix("http://").replace("127.0.0.1", "localhost")

    async def _file(self, request: web.Request) -> web.Response:
        name, type_ = ASSETS[request.path]
        return web.Response(text=(FOLDER / name).read_text(), content_type=type_)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Send the state so far, and then each event, as server-sent events."""
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            async for event in self._state_and_events():
                await answer.write(f"data: {json.dumps(event)}\n\n".encode())
        return answer

    async def _state_and_events(self) -> AsyncIterator[Event]:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def listener(event: Event) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        state = self.journey.listen(listener)
        try:
            yield {
                "kind": "state",
                **state,
                "controls": self._controls(),
                "price": PRICE,
                "bucket": self._deployment.outputs["bucket"],
                "suffix": self._suffix,
            }
            while True:
                yield await queue.get()
        finally:
            self.journey.remove(listener)

    async def _upload(self, request: web.Request) -> web.Response:
        """Put one file into the bucket: its name in the address, its content in the body."""
        name = request.query.get("name", "").strip("/")
        if not name:
            return web.Response(status=400, text="The file has no name.\n")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            megabytes = MAX_FILE_BYTES // 1_000_000
            return web.Response(status=413, text=f"{name} is larger than {megabytes} MB.\n")
        key = f"{self._prefix}{name}"
        try:
            excluded = await asyncio.to_thread(self._deployment.upload, key, body)
        except UploadError as error:
            return web.Response(status=400, text=f"{error}\n")
        if excluded:
            return web.Response(
                text=f"{key} is in the bucket, but nobody is texted: it {excluded}.\n"
            )
        return web.Response(text=f"{key} is in the bucket.\n")

    def _button(self, action: Callable[[], str]) -> Any:
        async def pressed(_request: web.Request) -> web.Response:
            answer = await asyncio.to_thread(action)
            self.journey.publish({"kind": "controls", "controls": self._controls()})
            return web.Response(text=f"{answer}\n")

        return pressed
