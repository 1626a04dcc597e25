"""A stand-in for Twilio, which keeps the texts that it accepts.

It answers as Twilio's Messages API does, and fails on request. It listens on 127.0.0.1 only, in its
own thread, so the demo and the tests can call it directly.
"""

import asyncio
import collections
import datetime
import http.client
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import BasicAuth, hdrs, web

from local.loopback import Handler, Server
from local.segments import segments
from local.twilio_api import (
    API,
    CREATE_PARAMETERS,
    FILTERS,
    MAX_PAGE_SIZE,
    TRIAL_SENTENCE,
    VALID_SENDER,
    Text,
    error,
    filter_texts,
    message_resource,
    refusal,
    refused,
)
from local.twilio_faults import Fault, Operation

ACCOUNT_SID = "AC" + "0" * 32
SECRET = "a-secret-of-this-machine-only"  # noqa: S105  # the stand-in's


class StandIn:
    """One stand-in, with its own texts and faults.

    Attributes:
        undeliverable: The phones to which texts are not delivered, each with the code to report.
        queued: The phones whose texts Twilio has accepted and not sent yet.
        is_trial: Whether the account is a trial account: Twilio puts a sentence before each text.
        redacts_bodies: Whether the account has message redaction: Twilio keeps no body.
    """

    def __init__(
        self,
        *,
        account_sid: str = ACCOUNT_SID,
        credentials: Mapping[str, str] | None = None,
        on_text: Callable[[Text], None] | None = None,
    ) -> None:
        """Prepare it.

        Args:
            account_sid: The SID of its only account, AC…
            credentials: Passwords by user: the account's SID with its auth token, or the SID of
                an API key, SK…, with its secret. By default the account's SID with `SECRET`.
            on_text: Called with each accepted text, in the stand-in's thread: it must not block.
        """
        self._server = Server(self._application, name="stand-in for Twilio")
        self.undeliverable: dict[str, int] = {}
        self.queued: set[str] = set()
        self.is_trial = False
        self.redacts_bodies = False
        self._account_sid = account_sid
        self._credentials = dict(credentials or {account_sid: SECRET})
        self._on_text = on_text
        self._condition = threading.Condition()  # guards all below
        self._texts: list[Text] = []
        self._requests = 0
        self._faults: tuple[Fault, ...] = ()
        self._requests_met: collections.Counter[Fault] = collections.Counter()
        self._requests_to_fail: int | None = None

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:4010`; empty before it is started."""
        return self._server.url

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a stack that texts through it, with the first of its credentials."""
        user, secret = next(iter(self._credentials.items()))
        return {
            "twilioAccountSid": self._account_sid,
            "twilioApiKeySid": user if user != self._account_sid else "",
            "twilioSecret": secret,
            "twilioApiUrl": self.url,
            "fromNumber": VALID_SENDER,
        }

    def __enter__(self) -> Self:
        """Listen inside the context."""
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once. The texts stay readable."""
        self._server.stop()

    @property
    def texts(self) -> list[Text]:
        """The texts accepted so far, oldest first: a copy."""
        with self._condition:
            return list(self._texts)

    @property
    def requests(self) -> int:
        """How many requests to create a message arrived, the refused ones included."""
        with self._condition:
            return self._requests

    def wait_for(self, count: int, *, seconds: float) -> list[Text]:
        """Wait until so many texts were accepted in all.

        Returns:
            All accepted texts, oldest first; there may be more than `count`.

        Raises:
            TimeoutError: Fewer came in time. The message says how many.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: len(self._texts) >= count, seconds):
                raise TimeoutError(
                    f"{len(self._texts)} of {count} texts came within {seconds:g} s, "
                    f"in {self._requests} requests."
                )
            return list(self._texts)

    def fault(self, *faults: Fault, times: int | None = None) -> None:
        """Fail the next requests to Twilio's API. These faults replace the earlier ones.

        Args:
            faults: The ways to fail. A request fails by the first fault that applies to it.
            times: How many requests to fail; None for all until `end_fault`.
        """
        with self._condition:
            self._faults, self._requests_to_fail = faults, times
            self._requests_met.clear()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that are on now."""
        with self._condition:
            return self._faults

    def end_fault(self) -> None:
        """Answer the next requests as usual."""
        self.fault()

    def _application(self) -> web.Application:
        """Build the application: Twilio's Messages API."""
        self._operations: dict[Any, Operation] = {
            self._create: "create",
            self._fetch: "fetch",
            self._list: "list",
        }
        app = web.Application(middlewares=[self._middleware])
        messages = f"{API}/Accounts/{{account}}/Messages"
        app.add_routes(
            [
                web.post(f"{messages}.json", self._create),
                web.get(f"{messages}.json", self._list),
                web.get(f"{messages}/{{sid}}.json", self._fetch),
            ]
        )
        return app

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count, fail, authenticate and refuse."""
        await request.read()  # a fault must not come before the end of the request
        operation = self._operations.get(request.match_info.handler)
        phone = request.query.get("To") or (await request.post()).get("To")
        fault = self._count_request(operation, phone)
        if fault is None:
            return await self._process(request, handler)
        answer = None
        if fault.accepts or (fault.status is None and not fault.reset):
            answer = await self._process(request, handler)
        await asyncio.sleep(fault.delay)
        if fault.reset:
            _reset(request)
        if answer is None or fault.status is not None:
            answer = _failure(fault)
        return answer

    def _count_request(self, operation: Operation | None, phone: object) -> Fault | None:
        """Count a request, and return the fault by which it must fail, if any."""
        with self._condition:
            self._requests += operation == "create"
            for fault in self._faults:
                if fault.operation in {None, operation} and fault.phone in {"", phone}:
                    self._requests_met[fault] += 1
                    return (
                        self._fail(fault) if not self._requests_met[fault] % fault.every else None
                    )
            return None

    def _fail(self, fault: Fault) -> Fault:
        """Count a request that fails."""
        if self._requests_to_fail is not None:
            self._requests_to_fail -= 1
            if self._requests_to_fail == 0:
                self._faults = ()
        return fault

    async def _process(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_authenticated(request):
            return refused(20003)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return refused(20404, path=request.path)

    def _is_authenticated(self, request: web.Request) -> bool:
        try:
            user = BasicAuth.decode(request.headers.get(hdrs.AUTHORIZATION, ""), encoding="utf-8")
        except ValueError:
            return False
        password = self._credentials.get(user.login)
        return (
            password is not None
            and secrets.compare_digest(user.password.encode(), password.encode())
            and request.match_info.get("account", self._account_sid) == self._account_sid
        )

    async def _create(self, request: web.Request) -> web.Response:
        form = await request.post()
        to, sender, service, body = (str(form.get(name, "")) for name in CREATE_PARAMETERS)
        if code := refusal(to, sender, service, body):
            return refused(code, to=to, sender=sender)
        if self.is_trial:
            body = TRIAL_SENTENCE + body
        text = Text(
            sid=f"SM{secrets.token_hex(16)}",
            to=to,
            sender=sender or VALID_SENDER,
            service=service or None,
            body=body,
            segments=segments(body),
            time=datetime.datetime.now(datetime.UTC),
            status=self._status_of(to),
            error_code=self.undeliverable.get(to),
        )
        with self._condition:
            self._texts.append(text)
            self._condition.notify_all()
        if self._on_text:
            self._on_text(text)
        resource = self._resource(text)
        # When Twilio accepts a text, it does not know these yet.
        resource |= {"date_sent": None, "status": "queued", "error_code": None}
        resource["error_message"] = None
        if service and not sender:
            resource |= {"from": None, "num_segments": "0", "status": "accepted"}
        return web.json_response(resource, status=HTTPStatus.CREATED)

    async def _fetch(self, request: web.Request) -> web.Response:
        for text in self.texts:
            if text.sid == request.match_info["sid"]:
                return web.json_response(self._resource(text))
        raise web.HTTPNotFound

    async def _list(self, request: web.Request) -> web.Response:
        """List the newest texts first, as Twilio does. A token keeps pages apart."""
        query = request.query
        filters = {name: query[name] for name in FILTERS if query.get(name)}
        try:
            found = filter_texts(reversed(self.texts), filters)
            size = min(max(int(query.get("PageSize", 50)), 1), MAX_PAGE_SIZE)
            page = max(int(query.get("Page", 0)), 0)
            token = query.get("PageToken", "").removeprefix("PA")
            sids = [text.sid for text in found]
            begin = sids.index(token) + 1 if token else page * size
        except ValueError:
            return refused(20001, name="a date, a page or its size")
        page_texts = found[begin : begin + size]

        def uri(number: int, **token: str) -> str:
            return f"{request.path}?" + urlencode(
                filters | {"PageSize": str(size), "Page": str(number)} | token
            )

        more = begin + size < len(found)
        return web.json_response(
            {
                "messages": [self._resource(text) for text in page_texts],
                "uri": str(request.rel_url),
                "first_page_uri": uri(0),
                "previous_page_uri": uri(page - 1) if page else None,
                "next_page_uri": uri(page + 1, PageToken=f"PA{page_texts[-1].sid}")
                if more
                else None,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(len(page_texts) - 1, 0),
            }
        )

    def _resource(self, text: Text) -> dict[str, Any]:
        resource = message_resource(self._account_sid, text)
        return resource | {"body": ""} if self.redacts_bodies else resource

    def _status_of(self, phone: str) -> str:
        if phone in self.queued:
            return "queued"
        return "undelivered" if phone in self.undeliverable else "delivered"


def _failure(fault: Fault) -> web.Response:
    status = fault.status or HTTPStatus.INTERNAL_SERVER_ERROR
    if fault.code is None:
        return web.Response(status=status, text="A fault, as requested.\n")
    return error(status, fault.code, http.client.responses.get(status, "A fault"))


def _reset(request: web.Request) -> None:
    """Reset the connection: with a linger of zero seconds, closing it does that."""
    if request.transport:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
