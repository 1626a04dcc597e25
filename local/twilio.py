"""A stand-in for Twilio's Messages API: what is texted through it, the phones on this machine show.

It answers as Twilio does, mistakes and magic numbers included, and fails on request. It listens on
127.0.0.1 only and runs in a thread of its own, so that the demo and the tests just call it.

Sources: https://www.twilio.com/docs/messaging/api/message-resource for requests and answers,
https://www.twilio.com/docs/api/errors for the codes, and
https://www.twilio.com/docs/iam/test-credentials for the magic numbers.
"""

import asyncio
import dataclasses
import datetime
import email.utils
import http.client
import json
import math
import re
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import BasicAuth, hdrs, web

from local.loopback import Handler, Server, refuse_foreign_page

API = "/2010-04-01"
ACCOUNT_SID = "AC" + "0" * 32
SECRET = "a-secret-of-this-machine-only"  # noqa: S105  # the stand-in's
GOOD_SENDER = "+15005550006"
"""Twilio's magic number that may send; here also the one number of every Messaging Service."""

# The parameters that the stand-in reads. As Twilio does, it ignores whatever else there is.
CREATE_PARAMETERS = ("To", "From", "MessagingServiceSid", "Body")
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
PAGING = ("PageSize", "Page", "PageToken")

_LONGEST_BODY = 1600
_LARGEST_PAGE = 1000
_PHONE = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)
_SHORT_CODE = re.compile("[0-9]{3,8}")
_NAME = re.compile("(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")

_SENDER_REFUSALS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_PHONE_REFUSALS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}

# What Twilio says to each code. As its own, the messages hold whole phone numbers.
_MESSAGES = {
    20001: "Invalid parameter: {name}.",
    20003: "Authenticate",
    20004: "Method not allowed",
    20404: "The requested resource {path} was not found",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {sender} is not a valid phone number, shortcode, or alphanumeric "
    "sender ID.",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' "
    "number: {to}.",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {sender} is not a valid, SMS-capable inbound phone number or "
    "short code for your account.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "SMS queue is full.",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: "
    "{sender} via SMS.",
    21614: "To number: {to}, is not a mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21701: "The Messaging Service does not exist",
}
_STATUSES = {20003: 401, 20004: 405, 20404: 404, 21611: 429}  # 400 for the others
_UNDELIVERED = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
}

SEGMENT_DOLLARS = 0.0083
"""What a segment costs in the US in November 2026, without carriers' fees.

Source: https://www.twilio.com/en-us/sms/pricing/us
"""

# How much of a segment each character of GSM-7 takes (3GPP TS 23.038, 6.2.1). Not the handler's
# own table and count, which it is to find wrong: tests/unit/test_text.py compares them.
_GSM_7 = dict.fromkeys(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
    1,
) | dict.fromkeys("\f^{}\\[~]|€", 2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """One accepted text, as the phone shows it.

    Attributes:
        sid: Twilio's name of the message, SM and 32 hexadecimal digits.
        to: The phone.
        sender: The number it comes from.
        service: The Messaging Service it was sent by, or None.
        body: The words.
        segments: How many segments it takes, which is what it costs.
        time: When it was accepted, in UTC.
        status: What became of it: `delivered` or `undelivered`.
        error_code: Why it was not delivered, or None.
    """

    sid: str
    to: str
    sender: str
    service: str | None
    body: str
    segments: int
    time: datetime.datetime
    status: str
    error_code: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """What Twilio does instead of, or besides, answering a request.

    Without a status and a reset the request is processed as ever, and answered after the delay:
    a client that does not wait so long is in doubt.

    Attributes:
        status: The HTTP status to answer, 400 to 599.
        code: Twilio's error code in the answer. Without one the answer is plain text, as if it
            came from something before Twilio.
        retry_after: The answer's Retry-After, in seconds.
        delay: Seconds to wait before the answer or the reset.
        reset: Whether to reset the TCP connection rather than answer.
        accepts: Whether the request is processed all the same, although the client cannot know.

    Raises:
        ValueError: The fault makes no sense.
    """

    status: int | None = None
    code: int | None = None
    retry_after: int | None = None
    delay: float = 0
    reset: bool = False
    accepts: bool = False

    def __post_init__(self) -> None:
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"status is {self.status}, and must be 400 to 599")
        if self.reset and self.status is not None:
            raise ValueError("after a reset there is no status")
        if self.status is None and (self.code is not None or self.retry_after is not None):
            raise ValueError("code and retry_after need a status")
        if self.retry_after is not None and self.retry_after < 0:
            raise ValueError("retry_after must not be negative")
        if not (math.isfinite(self.delay) and self.delay >= 0):
            raise ValueError("delay must be a number of seconds")


BUSY = Fault(status=429, code=20429, retry_after=1)
UNAVAILABLE = Fault(status=503)
BROKEN = Fault(status=500, code=20500)
IN_DOUBT = Fault(status=500, code=20500, accepts=True)
UNAUTHORIZED = Fault(status=401, code=20003)
RESET = Fault(reset=True)


class StandIn:
    """One stand-in, with its own texts and faults.

    Attributes:
        undeliverable: The phones that accepted texts do not reach, each with the code to report.
    """

    def __init__(
        self,
        *,
        account_sid: str = ACCOUNT_SID,
        credentials: Mapping[str, str] | None = None,
        port: int = 0,
        on_text: Callable[[Text], None] | None = None,
    ) -> None:
        """Make one; it listens once started.

        Args:
            account_sid: The one account that there is, AC…
            credentials: Passwords by user: the account's SID with its auth token, or the SID of
                an API key, SK…, with its secret. By default the account's SID with `SECRET`.
            port: The port to listen on; 0 for any free one.
            on_text: Called with each accepted text, in the stand-in's thread: it must not block.
        """
        self._server = Server(self.application, name="stand-in for Twilio", port=port)
        self.undeliverable: dict[str, int] = {}
        self._account_sid = account_sid
        self._credentials = dict(credentials or {account_sid: SECRET})
        self._on_text = on_text
        self._changed = threading.Condition()  # holds for the four below
        self._texts: list[Text] = []
        self._requests = 0
        self._fault: Fault | None = None
        self._times: int | None = None

    def start(self) -> None:
        """Listen, until `stop`.

        Raises:
            PortInUse: Something else listens on the port.
        """
        self._server.start()

    def stop(self) -> None:
        """Stop listening at once, whatever is under way. The texts stay readable."""
        self._server.stop()

    @property
    def url(self) -> str:
        """Where it listens, such as `http://127.0.0.1:4010`; empty before it is started."""
        return self._server.url

    @property
    def settings(self) -> dict[str, str]:
        """What a stack is set to that texts by it, with the first of its credentials."""
        user, secret = next(iter(self._credentials.items()))
        return {
            "twilioAccountSid": self._account_sid,
            "twilioApiKeySid": user if user != self._account_sid else "",
            "twilioSecret": secret,
            "twilioApiUrl": self.url,
            "fromNumber": GOOD_SENDER,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def texts(self) -> list[Text]:
        """The texts accepted so far, oldest first: a copy."""
        with self._changed:
            return list(self._texts)

    @property
    def requests(self) -> int:
        """How many requests to create a message arrived, the refused ones included."""
        with self._changed:
            return self._requests

    def wait_for(self, count: int, *, seconds: float) -> list[Text]:
        """Wait until so many texts were accepted in all.

        Returns:
            All accepted texts, oldest first; there may be more than asked for.

        Raises:
            TimeoutError: Fewer came in time. It says how many.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._texts) >= count, seconds):
                raise TimeoutError(
                    f"{len(self._texts)} of {count} texts came within {seconds:g} s, "
                    f"in {self._requests} requests."
                )
            return list(self._texts)

    def fault(self, fault: Fault, *, times: int | None = None) -> None:
        """Fail the next requests to Twilio's API, of every kind. It replaces an earlier fault.

        Args:
            fault: How to fail.
            times: How many requests to fail; None for all until `end_fault`.

        Raises:
            ValueError: Times is less than one.
        """
        if times is not None and times < 1:
            raise ValueError("times must be 1 or more")
        with self._changed:
            self._fault, self._times = fault, times

    @property
    def is_failing(self) -> bool:
        """Whether the next request fails."""
        with self._changed:
            return self._fault is not None

    def end_fault(self) -> None:
        """Answer the next requests as usual."""
        with self._changed:
            self._fault = None

    def application(self) -> web.Application:
        """Build what is served: Twilio's API, and the faults for other processes."""
        app = web.Application(middlewares=[self._refuse_foreign_pages, self._as_twilio])
        messages = f"{API}/Accounts/{{account}}/Messages"
        app.add_routes(
            [
                web.post(f"{messages}.json", self._create),
                web.get(f"{messages}.json", self._list),
                web.get(f"{messages}/{{sid}}.json", self._fetch),
                web.post("/faults", self._add_fault),
                web.delete("/faults", self._end_faults),
            ]
        )
        return app

    @web.middleware
    async def _refuse_foreign_pages(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Let no web page from elsewhere change anything; Twilio's API asks for a password."""
        if self._server.is_foreign(request) and not request.path.startswith(f"{API}/"):
            raise refuse_foreign_page()
        return await handler(request)

    @web.middleware
    async def _as_twilio(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Count, fail, authenticate and refuse, as far as Twilio's API is concerned."""
        if not request.path.startswith(f"{API}/"):
            return await handler(request)
        await request.read()  # all of it, lest a fault come before its end
        fault = self._arrived(creation=request.match_info.handler == self._create)
        if fault is None:
            return await self._processed(request, handler)
        answer = None
        if fault.accepts or (fault.status is None and not fault.reset):
            answer = await self._processed(request, handler)
        await asyncio.sleep(fault.delay)
        if fault.reset:
            _reset(request)
        if answer is None or fault.status is not None:
            answer = _failed(fault)
        return answer

    def _arrived(self, *, creation: bool) -> Fault | None:
        """Count a request, and say how it shall fail."""
        with self._changed:
            self._requests += creation
            fault = self._fault
            if fault and self._times is not None:
                self._times -= 1
                if self._times == 0:
                    self._fault = None
            return fault

    async def _processed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._knows(request):
            return _refused(20003)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _refused(20404, path=request.path)
        except web.HTTPMethodNotAllowed:
            return _refused(20004)

    def _knows(self, request: web.Request) -> bool:
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
        if code := _refusal(to, sender, service, body):
            return _refused(code, to=to, sender=sender)
        error_code = self.undeliverable.get(to)
        text = Text(
            sid=f"SM{secrets.token_hex(16)}",
            to=to,
            sender=sender or GOOD_SENDER,
            service=service or None,
            body=body,
            segments=segments(body),
            time=datetime.datetime.now(datetime.UTC),
            status="undelivered" if error_code else "delivered",
            error_code=error_code,
        )
        with self._changed:
            self._texts.append(text)
            self._changed.notify_all()
        if self._on_text:
            self._on_text(text)
        resource = self._resource(text)
        # What Twilio does not know yet when it accepts a text.
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
        """List the newest first, as Twilio does; the token keeps pages apart when more arrive."""
        query = request.query
        filters = {name: query[name] for name in FILTERS if query.get(name)}
        try:
            first, last = _period(filters)
            found = [
                text
                for text in reversed(self.texts)
                if filters.get("To", text.to) == text.to
                and filters.get("From", text.sender) == text.sender
                and first <= text.time <= last
            ]
            size = min(max(int(query.get("PageSize", 50)), 1), _LARGEST_PAGE)
            page = max(int(query.get("Page", 0)), 0)
            token = query.get("PageToken", "").removeprefix("PA")
            sids = [text.sid for text in found]
            begin = sids.index(token) + 1 if token else page * size
        except ValueError:
            return _refused(20001, name="a date, a page or its size")
        shown = found[begin : begin + size]

        def uri(number: int, **token: str) -> str:
            return f"{request.path}?" + urlencode(
                filters | {"PageSize": str(size), "Page": str(number)} | token
            )

        more = begin + size < len(found)
        return web.json_response(
            {
                "messages": [self._resource(text) for text in shown],
                "uri": str(request.rel_url),
                "first_page_uri": uri(0),
                "previous_page_uri": uri(page - 1) if page else None,
                "next_page_uri": uri(page + 1, PageToken=f"PA{shown[-1].sid}") if more else None,
                "page": page,
                "page_size": size,
                "start": page * size,
                "end": page * size + max(len(shown) - 1, 0),
            }
        )

    def _resource(self, text: Text) -> dict[str, Any]:
        """Give Twilio's message resource, once it is known what became of the text."""
        uri = f"{API}/Accounts/{self._account_sid}/Messages/{text.sid}"
        time = email.utils.format_datetime(text.time)
        return {
            "account_sid": self._account_sid,
            "api_version": API.removeprefix("/"),
            "body": text.body,
            "date_created": time,
            "date_sent": time,
            "date_updated": time,
            "direction": "outbound-api",
            "error_code": text.error_code,
            "error_message": _UNDELIVERED.get(text.error_code or 0),
            "from": text.sender,
            "messaging_service_sid": text.service,
            "num_media": "0",
            "num_segments": str(text.segments),
            "price": None,
            "price_unit": "USD",
            "sid": text.sid,
            "status": text.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": text.to,
            "uri": f"{uri}.json",
        }

    async def _add_fault(self, request: web.Request) -> web.Response:
        """Take a fault as JSON: the fields of `Fault`, and `times`."""
        try:
            fields = _fault_fields(await request.text())
            times = fields.pop("times", None)
            self.fault(Fault(**fields), times=times)
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"{error}.\n") from error
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _end_faults(self, _request: web.Request) -> web.Response:
        self.end_fault()
        return web.Response(status=HTTPStatus.NO_CONTENT)


def segments(body: str) -> int:
    """Count the segments of a text as the networks pack them, never splitting one character.

    A segment alone holds 160 of GSM-7 or 70 UTF-16 units; one of several 153 or 67, since a header
    joins them (3GPP TS 23.040, 9.2.3.24.1).
    """
    if all(character in _GSM_7 for character in body):
        sizes, alone, joined = [_GSM_7[character] for character in body], 160, 153
    else:
        sizes, alone, joined = [1 + (character > "\uffff") for character in body], 70, 67
    if sum(sizes) <= alone:
        return 1
    count = room = 0
    for size in sizes:
        if size > room:
            count, room = count + 1, joined
        room -= size
    return count


def _refusal(to: str, sender: str, service: str, body: str) -> int | None:  # noqa: PLR0911  # one return for each refusal
    """Say by which code Twilio refuses a message, if it does."""
    if not to:
        return 21604
    if not sender and not service:
        return 21603
    if sender and not any(form.fullmatch(sender) for form in (_PHONE, _SHORT_CODE, _NAME)):
        return 21212
    if service and not _SERVICE.fullmatch(service):
        return 21701
    if not _PHONE.fullmatch(to):
        return 21211
    if _NAME.fullmatch(sender) and to.startswith("+1"):  # the US and Canada allow no names
        return 21612
    if magic := _SENDER_REFUSALS.get(sender) or _PHONE_REFUSALS.get(to):
        return magic
    if not body:
        return 21602
    return 21617 if len(body) > _LONGEST_BODY else None


def _refused(code: int, **named: str) -> web.Response:
    return _error(_STATUSES.get(code, 400), code, _MESSAGES[code].format(**named))


def _failed(fault: Fault) -> web.Response:
    status = fault.status or HTTPStatus.INTERNAL_SERVER_ERROR
    if fault.code is None:
        answer = web.Response(status=status, text="A fault, as asked for.\n")
    else:
        answer = _error(status, fault.code, http.client.responses.get(status, "A fault"))
    if fault.retry_after is not None:
        answer.headers[hdrs.RETRY_AFTER] = str(fault.retry_after)
    return answer


def _error(status: int, code: int, message: str) -> web.Response:
    """Give an error in Twilio's shape."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    answer = web.json_response(
        {"code": code, "message": message, "more_info": more_info, "status": status}, status=status
    )
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="Twilio API"'
    return answer


def _reset(request: web.Request) -> None:
    """Reset the connection: with a linger of zero seconds, closing it does that."""
    if request.transport:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


def _period(filters: Mapping[str, str]) -> tuple[datetime.datetime, datetime.datetime]:
    """Read the filters by time, as a first and a last moment. They are inclusive and in UTC.

    Raises:
        ValueError: A date is none.
    """
    first = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    last = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    for name in filters.keys() - {"To", "From"}:
        begin = datetime.datetime.fromisoformat(filters[name])
        begin = begin.replace(tzinfo=begin.tzinfo or datetime.UTC)
        if name == "DateSent":
            begin = begin.replace(hour=0, minute=0, second=0)
        whole_day = name == "DateSent" or re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", filters[name])
        length = datetime.timedelta(days=1) if whole_day else datetime.timedelta(seconds=1)
        if name != "DateSent<":
            first = max(first, begin)
        if name != "DateSent>":
            last = min(last, begin + length - datetime.timedelta.resolution)
    return first, last


def _fault_fields(body: str) -> dict[str, Any]:
    """Read a fault's fields and how often it happens.

    Raises:
        ValueError: It is no JSON object, or a field is unknown or of another type.
    """
    known: dict[str, tuple[type, ...]] = {
        "status": (int, type(None)),
        "code": (int, type(None)),
        "retry_after": (int, type(None)),
        "delay": (int, float),
        "reset": (bool,),
        "accepts": (bool,),
        "times": (int, type(None)),
    }
    try:
        fields = json.loads(body)
    except ValueError:
        raise ValueError("That is no JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("A fault is a JSON object")  # noqa: TRY004  # one kind, for one answer
    for name, value in fields.items():
        if name not in known:
            raise ValueError(f"There is no field {name}. There are {', '.join(known)}")
        if type(value) not in known[name]:
            raise ValueError(f"{name} is not of the right type")
    return fields
