"""The server of the page: its files, its snapshots, and the actions of its buttons."""

import asyncio
import contextlib
import datetime
import functools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

from aiohttp import web

from handler.environment import variable
from local.deployment import Deployed, UploadError, names_of_phones
from local.loopback import Handler, Server
from local.page.journey import Event, Journey, next_try
from local.storm import IN_FLIGHT
from local.twilio import StandIn
from local.twilio_faults import RESET_AFTER_TEXT, UNAVAILABLE, Fault
from stack import log_lines, queues
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

PORT = 8321
"""The port of the page, unless another program has it: an open page finds a restarted demo."""

PRICE = "Twilio's list price for a segment in the US, November 2026, without carriers' fees"

MAX_FILE_BYTES = 10_000_000
STORM_FILES = 200
FOLDERS = ("app", "db", "backup")
POLL_SECONDS = 0.2
SNAPSHOT_SECONDS = 0.1
"""The shortest time between two snapshots."""
STORM_SECONDS = 300
ALL_DAY = "00:00-23:59"
RETRY_HIDDEN_SECONDS = 60
"""How long a failed message stays hidden while it moves to held, at most."""
OPTED_OUT = 21610
"""Twilio's code for a phone whose owner replied STOP."""

SAMPLE = {
    "log": "GET /orders 200\nGET /orders/17 200\n",
    "error_log": "GET /orders 200\nERROR: payment refused for order 17\nGET /orders 200\n",
}
"""The two logs that buttons upload, one of them with an error."""


class _Stopped(Exception):
    """The page is closed."""


class Page:
    """The page of a running demo.

    Attributes:
        journey: The fate of each log file.
    """

    def __init__(self, deployment: Deployed, twilio: StandIn) -> None:
        """Prepare it.

        Args:
            deployment: The program in the emulator.
            twilio: The stand-in for Twilio.
        """
        self._settings = deployment.read_settings()
        self.journey = Journey(
            {
                "over the limit": f"over {self._settings.max_texts_per_hour} an hour",
                "too many at once": f"over {self._settings.max_texts_at_once} at once",
            }
        )
        self._deployment = deployment
        self._twilio = twilio
        self._prefix, (self._suffix, *_) = deployment.filters
        self._server = Server(self._application, name="page", port=PORT)
        self._stopped = threading.Event()
        self._settings_lock = threading.Lock()
        self._storms = self._samples = 0
        self._started = self._flushed = datetime.datetime.now(datetime.UTC)
        self._busy: dict[str, str] = {}  # the progress of each action that runs now
        self._message, self._messages = "", 0  # the last message, and the number of messages
        self._button_flush = self._started, self._started  # begin and end of the last one
        # The switches: the phones that replied STOP, and Twilio's faults.
        self._opted_out: set[str] = set()
        self._faults: set[Fault] = set()

    @property
    def url(self) -> str:
        """Its address."""
        return self._server.url

    @property
    def has_another_port(self) -> bool:
        """Whether another program has its port."""
        return not self.url.endswith(f":{PORT}")

    @contextlib.contextmanager
    def served(self) -> Iterator[str]:
        """Serve it inside the context. Yield its address."""
        self._server.start()
        thread = threading.Thread(target=self._follow_logs, name="journey", daemon=True)
        thread.start()
        try:
            yield self.url
        finally:
            self._stopped.set()
            thread.join()
            self._server.stop()

    # The snapshot

    def _follow_logs(self) -> None:
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)

        def wait(_seconds: float) -> None:
            if self._stopped.wait(POLL_SECONDS):
                raise _Stopped

        with contextlib.suppress(_Stopped):
            for line in log_lines.follow(self._deployment, since=since, wait=wait):
                self.journey.add_line(line)

    def _snapshot(self, texts_from: int) -> Event:
        """Return all that the page shows, as of one moment."""
        settings = self._settings
        shown = self.journey.snapshot(texts_from=texts_from)
        every = datetime.timedelta(minutes=settings.flush_minutes)
        moment = next_try(self._next_flush(every), every, shown["in_doubt_since"])
        return {
            **shown,
            "demo": self._started.isoformat(),
            "now": datetime.datetime.now(datetime.UTC).isoformat(),
            "bucket": self._deployment.outputs["bucket"],
            "suffix": self._suffix,
            "max_bytes": MAX_FILE_BYTES,
            "price": PRICE,
            "busy": dict(self._busy),
            "message": self._message,
            "messages": self._messages,
            "switches": {
                "twilio_down": UNAVAILABLE in self._faults,
                "lost_answers": RESET_AFTER_TEXT in self._faults,
                "quiet_hours": bool(settings.quiet_hours),
            },
            "phones": [
                {"number": number, "routes": routes, "opted_out": number in self._opted_out}
                for number, routes in names_of_phones(settings).items()
            ],
            "next_try": moment.isoformat(),
        }

    def _next_flush(self, every: datetime.timedelta) -> datetime.datetime:
        """Return when the schedule runs flush next. A flush by the button does not change that."""
        flushed = self.journey.flushed_at
        begin, end = self._button_flush
        if flushed and flushed > self._flushed and not begin <= flushed <= end:
            self._flushed = flushed
        return self._flushed + every

    # The actions; each blocks, and returns a message

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
                return f"Stopped early: {number} of {STORM_FILES} files are in the bucket."
            self.journey.add_upload(key)
            self._deployment.upload(key)
            self._busy["storm"] = f"{number + 1} of {STORM_FILES}"
        return f"{STORM_FILES} files are in the bucket."

    def _has_outcomes(self, outcomes: int) -> bool:
        if self._stopped.is_set():
            raise _Stopped
        return self.journey.outcomes >= outcomes

    def _upload_sample(self, kind: str) -> str:
        self._samples += 1
        name = "error" if kind == "error_log" else "ok"
        key = f"{self._prefix}app/{name}-{self._samples}{self._suffix}"
        return self._upload_file(key, SAMPLE[kind].encode())

    def _upload_file(self, key: str, body: bytes) -> str:
        """Upload a file.

        Raises:
            UploadError: S3 refuses it.
        """
        self.journey.add_upload(key)
        try:
            excluded = self._deployment.upload(key, body)
        except UploadError as error:
            self.journey.add_upload(key, f"not uploaded: {error}")
            raise
        if excluded:
            self.journey.add_upload(key, f"nobody is texted: the key {excluded}")
            return f"{key} is in the bucket, but nobody is texted: it {excluded}."
        return f"{key} is in the bucket."

    def _flush(self) -> str:
        begin = datetime.datetime.now(datetime.UTC)
        self._button_flush = begin, datetime.datetime.max.replace(tzinfo=datetime.UTC)
        try:
            report = run_flush(self._deployment)
        finally:
            self._button_flush = begin, datetime.datetime.now(datetime.UTC)
        return f"{report.texted} {report.held}"

    def _retry(self) -> str:
        """Move failed texts back to held, as `make redrive` does."""
        sqs, outputs = self._deployment.aws["sqs"], self._deployment.outputs
        moved = 0
        while messages := queues.receive(self._deployment, "failed", RETRY_HIDDEN_SECONDS):
            for message in messages:
                sqs.send_message(QueueUrl=outputs["heldQueue"], MessageBody=message["Body"])
                sqs.delete_message(
                    QueueUrl=outputs["failedQueue"], ReceiptHandle=message["ReceiptHandle"]
                )
            moved += len(messages)
        if not moved:
            return "Nothing has failed."
        self.journey.retry_failed()
        return (
            f"Back on held: {log_lines.plural(moved, 'message')}. The next flush sends the texts."
        )

    def _start_hour(self) -> str:
        """Reset the number of texts that each phone got in this hour, as the next hour does."""
        table, name = self._deployment.aws["dynamodb"], self._settings.ledger_table
        pages = table.get_paginator("scan").paginate(
            TableName=name, FilterExpression="attribute_exists(texts)"
        )
        for item in [item for page in pages for item in page["Items"]]:
            table.delete_item(TableName=name, Key={"id": item["id"]})
        self._change({})  # starts new processes of notify: running ones remember full hours
        return "A new hour: the limits of each phone start again."

    # The switches; each returns a message about its new state

    def _switch_twilio(self) -> str:
        if self._switch_fault(UNAVAILABLE):
            return "Twilio is down: every text waits."
        return f"Twilio is back. {self._what_waits()}"

    def _switch_lost_answers(self) -> str:
        if self._switch_fault(RESET_AFTER_TEXT):
            return (
                "Twilio accepts texts, but its answers are lost. "
                "A minute later a flush asks Twilio about each text, and does not send it again."
            )
        return "Twilio's answers arrive again."

    def _switch_opted_out(self, phone: str) -> str:
        if phone not in self._settings.phones:
            return f"No setting names {phone}."
        is_out = self._switch_fault(
            Fault(status=400, code=OPTED_OUT, operation="create", phone=phone)
        )
        self._opted_out ^= {phone}
        if is_out:
            return f"{phone} replied STOP: only its texts fail."
        return f"{phone} gets texts again. To send those that failed, press Retry what failed."

    def _switch_fault(self, fault: Fault) -> bool:
        """Switch a fault of Twilio's on or off. Return whether it is on."""
        self._faults ^= {fault}
        # The first fault that applies decides: an outage, then STOP, then a lost answer.
        self._twilio.fault(*sorted(self._faults, key=lambda one: (one.accepts, bool(one.phone))))
        return fault in self._faults

    def _switch_quiet_hours(self) -> str:
        switched_on = not self._settings.quiet_hours
        self._change({variable("quiet_hours"): ALL_DAY if switched_on else ""})
        if switched_on:
            return "Quiet hours: every text waits."
        return f"Quiet hours are over. {self._what_waits()}"

    def _what_waits(self) -> str:
        """Say what the next flush does, now that one of the two switches is off."""
        if UNAVAILABLE in self._faults:
            return "Twilio is still down: all texts wait."
        if self._settings.quiet_hours:
            return "Quiet hours go on: all texts wait."
        return "The next flush sends what waits."

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
        buttons: dict[str, Callable[[], str]] = {
            "storm": self._storm,
            "flush": self._flush,
            "retry": self._retry,
            "new_hour": self._start_hour,
            "twilio_down": self._switch_twilio,
            "lost_answers": self._switch_lost_answers,
            "quiet_hours": self._switch_quiet_hours,
            **{kind: functools.partial(self._upload_sample, kind) for kind in SAMPLE},
        }
        app.add_routes(
            [
                web.get("/events", self._events),
                web.post("/files", self._upload),
                web.post("/opted_out", self._opt_out),
                *(web.post(f"/{name}", self._button(name, buttons[name])) for name in buttons),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse changes by other pages, and requests by another host name."""
        if request.host not in {self.url.removeprefix("http://"), self._localhost}:
            raise web.HTTPForbidden(text="This is not the address of the page.\n")
        if self._server.is_foreign(request):
            raise web.HTTPForbidden(text="A page of another origin may change nothing here.\n")
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
        """Send a snapshot now and after each change, as server-sent events."""
        answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            async for snapshot in self._snapshots():
                await answer.write(f"data: {json.dumps(snapshot)}\n\n".encode())
        return answer

    async def _snapshots(self) -> AsyncIterator[Event]:
        loop, is_changed = asyncio.get_running_loop(), asyncio.Event()

        def listener() -> None:
            loop.call_soon_threadsafe(is_changed.set)

        self.journey.listen(listener)
        texts = 0
        try:
            while True:
                is_changed.clear()
                snapshot = self._snapshot(texts)
                texts += len(snapshot["texts"])
                yield snapshot
                await is_changed.wait()
                await asyncio.sleep(SNAPSHOT_SECONDS)
        finally:
            self.journey.remove(listener)

    async def _upload(self, request: web.Request) -> web.Response:
        """Put one file into the bucket: its name is in the query, its content in the body."""
        name = request.query.get("name", "").strip("/")
        if not name:
            return web.Response(status=400, text="The file has no name.\n")
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            megabytes = MAX_FILE_BYTES // 1_000_000
            return web.Response(status=413, text=f"{name} is larger than {megabytes} MB.\n")
        try:
            said = await asyncio.to_thread(self._upload_file, f"{self._prefix}{name}", body)
        except UploadError as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(text=f"{said}\n")

    async def _opt_out(self, request: web.Request) -> web.Response:
        phone = request.query.get("phone", "")
        return await self._press("opted_out", functools.partial(self._switch_opted_out, phone))

    def _button(self, name: str, action: Callable[[], str]) -> Handler:
        async def pressed(_request: web.Request) -> web.Response:
            return await self._press(name, action)

        return pressed

    async def _press(self, name: str, action: Callable[[], str]) -> web.Response:
        """Run the action of a button, once at a time. Every open page shows it as busy."""
        if name in self._busy:
            return web.Response(status=409, text="This action is already running.\n")
        self._busy[name] = ""
        self.journey.changed()
        try:
            self._message = await asyncio.to_thread(action)
        except (StackError, UploadError) as error:
            self._message = str(error)
        finally:
            self._messages += 1
            del self._busy[name]
            self.journey.changed()
        return web.Response(text=f"{self._message}\n")
