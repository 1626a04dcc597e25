"""Sending texts with Twilio's own client, and asking Twilio for their delivery."""

import datetime
import email.utils
import functools
import json
import logging
import time
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from urllib3.exceptions import MaxRetryError

from handler.refusals import (
    NO_ANSWER,
    NO_CONNECTION,
    NOT_TWILIO,
    TOO_MANY_TEXTS,
    Refusal,
    read_code,
    read_word,
    refusal,
)
from handler.settings import Settings

if TYPE_CHECKING:
    from twilio.http.response import Response

TIMEOUT_SECONDS = (2.0, 10.0)
"""How long to wait for each of Twilio's addresses to connect, and then for the answer.
twilio-python has no default."""

SECONDS_TO_SEND = 30
"""How long one text may take at worst: connections to some of Twilio's addresses, the answer, and
what AWS records of it."""

SECONDS_TO_ASK = 2 * SECONDS_TO_SEND
"""How long `Sender.messages_to` may take at worst: the last page takes no longer than a text."""

PAGE_SIZE = 200
"""How many texts Twilio lists on a page. Its maximum, 1,000, takes several seconds and megabytes. A
phone seldom gets 200 texts while one of them is in doubt."""

MAX_PAGES = 50
"""How many pages are read: 10,000 texts, more than `maxTextsPerHour` allows in nine days."""


# By these variables Twilio's client would send the secret to another host than twilioApiUrl says.
# It reads them here instead: an empty mapping would make it read the real environment.
_NO_ENVIRONMENT = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}


class Refused(Exception):
    """Twilio did not accept a text, or did not answer a question."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.meaning}")
        self.refusal = refusal


class Delivery(NamedTuple):
    """The delivery of a text, as far as Twilio knows.

    Attributes:
        status: Twilio's word, such as `delivered`:
            https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
        code: Why it was not delivered, a number of Twilio's or another service's word; 0 if Twilio
            does not say.
        phone: The phone that it went to; "" if Twilio does not say.
    """

    status: str
    code: int | str = 0
    phone: str = ""


class SentText(NamedTuple):
    """Twilio's record of a text that it accepted.

    Attributes:
        sid: Its SID.
        created_at: When Twilio accepted it, in seconds since the epoch. Twilio gives whole seconds.
        body: Its body. A trial account's begins with a sentence of Twilio's. It is "" where the
            account redacts the bodies.
    """

    sid: str
    created_at: float
    body: str


class Sender(Protocol):
    """Sends texts, and asks for their delivery."""

    def send(self, phone: str, body: str) -> str:
        """Send a text.

        Returns:
            Twilio's SID of the message. It is accepted, not yet delivered.

        Raises:
            Refused: It was not accepted, or that is in doubt.
        """

    def delivery(self, sid: str) -> Delivery:
        """Ask for the delivery of a text.

        Raises:
            Refused: Twilio does not say.
        """

    def messages_to(self, phone: str, since: float) -> list[SentText]:
        """List the texts that Twilio accepted for a phone, the newest first.

        Args:
            phone: The phone.
            since: When the first of them was accepted, in seconds since the epoch.

        Raises:
            Refused: Twilio does not say, or not about all of them.
        """


class _HttpClient(TwilioHttpClient):  # type: ignore[misc]  # twilio has no types here
    """Twilio's own client, which keeps the last answer.

    Attributes:
        answer: Twilio's answer to the last request, if there was one.
    """

    answer: "Response | None" = None

    def request(self, *args: Any, **kwargs: Any) -> "Response":
        """Make a request."""
        self.answer = super().request(*args, **kwargs)
        return self.answer

    @property
    def status(self) -> int:
        """The HTTP status of the last answer; 0 without one."""
        return self.answer.status_code if self.answer else 0

    def read(self) -> dict[str, Any] | None:
        """Return the last answer, if it was an object of JSON."""
        try:
            read = json.loads(self.answer.text) if self.answer else None
        except (ValueError, RecursionError):
            return None
        return read if isinstance(read, dict) else None


class TwilioSender:
    """Sends texts by Twilio's Messages API, over one connection that is kept open."""

    def __init__(
        self,
        settings: Settings,
        session: requests.Session,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one.

        Args:
            settings: The account, its secret and the sender.
            session: The connections.
            monotonic: The seconds since any moment.
        """
        self._monotonic = monotonic
        # At INFO it prints the account's SID and all headers.
        logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
        http = self._http = _HttpClient()
        http.timeout = TIMEOUT_SECONDS  # its constructor takes one number only
        http.session = session
        client = Client(
            settings.twilio_api_key_sid or settings.twilio_account_sid,
            settings.twilio_secret,
            settings.twilio_account_sid,
            http_client=http,
            environment=_NO_ENVIRONMENT,
        )
        client.api.base_url = settings.twilio_api_url
        self._messages = client.messages
        self._sender = (
            {"messaging_service_sid": settings.messaging_service_sid}
            if settings.messaging_service_sid
            else {"from_": settings.from_number}
        )

    def send(self, phone: str, body: str) -> str:
        """Send a text; see `Sender.send`."""
        created = self._ask(lambda: self._messages.create(to=phone, body=body, **self._sender))
        sid = created.get("sid")
        if not _is_sid(sid):
            raise Refused(NOT_TWILIO)
        return sid

    def delivery(self, sid: str) -> Delivery:
        """Ask for the delivery of a text; see `Sender.delivery`."""
        found = self._ask(lambda: self._messages(sid).fetch())
        status = read_word(found.get("status"))
        if found.get("sid") != sid or not status:
            raise Refused(NOT_TWILIO)
        phone = found.get("to")
        return Delivery(
            status=status,
            code=read_code(found.get("error_code")),
            phone=phone if isinstance(phone, str) else "",
        )

    def messages_to(self, phone: str, since: float) -> list[SentText]:
        """List the texts to a phone; see `Sender.messages_to`.

        It filters by the phone alone: a text that Twilio has not sent yet has no date sent. Twilio
        lists the newest first, by the date sent, which never comes before the date created.
        """
        last_page_at = self._monotonic() + SECONDS_TO_ASK - SECONDS_TO_SEND
        found: dict[str, SentText] = {}  # by SID: a text that comes meanwhile shifts the pages
        where: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            if self._monotonic() > last_page_at:
                raise Refused(NO_ANSWER)
            request = functools.partial(self._messages.page, to=phone, page_size=PAGE_SIZE, **where)
            answer = self._ask(request)
            texts = _read_texts(answer, phone)
            found |= {text.sid: text for text, _ in texts if text.created_at >= since}
            next_page = _read_next_page(answer)
            if next_page is None or (texts and all(sent_at < since for _, sent_at in texts)):
                return list(found.values())
            where = next_page
        raise Refused(TOO_MANY_TEXTS)

    def _ask(self, request: Callable[[], object]) -> dict[str, Any]:
        """Make a request to Twilio.

        Returns:
            The JSON of a success. Twilio's client reads all its fields, and fails at a strange one
            even if the text went out.

        Raises:
            Refused: It is refused, or that is in doubt.
        """
        self._http.answer = None
        refused = NOT_TWILIO
        try:
            request()
        except TwilioRestException as error:
            refused = refusal(error.status, error.code)
        except TwilioException as error:
            # In RFC 9457's form the body says the status and the code; the error of a list has
            # neither.
            status: Any = getattr(error, "status", self._http.status)
            code = getattr(error, "code", (self._http.read() or {}).get("code"))
            known = isinstance(status, int) and status in range(300, 600)
            refused = refusal(status if known else 500, code)
        except requests.RequestException as error:
            # So urllib3 says that it could not connect; what breaks later it raises as it is.
            unsent = any(isinstance(cause, MaxRetryError) for cause in error.args)
            refused = NO_CONNECTION if unsent else NO_ANSWER
        except Exception:  # noqa: BLE001, S110  # Twilio's client fails at a strange answer
            pass
        if self._http.status in range(200, 300):
            refused = NOT_TWILIO
            if (answer := self._http.read()) is not None:
                return answer
        # Raised outside of the handlers: their exceptions hold whole numbers, and Lambda logs
        # what an exception was raised from.
        raise Refused(refused)


def _read_texts(answer: dict[str, Any], phone: str) -> list[tuple[SentText, float]]:
    """Read one page of the list of the texts to a phone.

    Returns:
        The texts that a request created, each with the time by which Twilio sorts: when it was
        sent, or created if it was not sent yet.

    Raises:
        Refused: A record is strange. It may be the very text that is in doubt.
    """
    records = answer.get("messages")
    if not isinstance(records, list):
        raise Refused(NOT_TWILIO)
    texts = []
    for record in records:
        if not isinstance(record, dict):
            raise Refused(NOT_TWILIO)
        if record.get("direction") in _OTHER_DIRECTIONS:
            continue
        sid, body, sent = (record.get(name) for name in ("sid", "body", "date_sent"))
        created_at = _read_time(record.get("date_created"))
        sent_at = created_at if sent is None else _read_time(sent)
        if (
            not _is_sid(sid)
            or not isinstance(body, str | None)
            # An account that redacts phone numbers replaces their last four digits.
            or record.get("to") not in (phone, f"{phone[:-4]}XXXX")
            or created_at is None
            or sent_at is None
        ):
            raise Refused(NOT_TWILIO)
        texts.append((SentText(sid=sid, created_at=created_at, body=body or ""), sent_at))
    return texts


def _read_next_page(answer: dict[str, Any]) -> dict[str, str] | None:
    """Read where the next page begins, as parameters of `page`; None after the last page.

    Only the parameters are taken over: an answer must not say which host gets the secret.

    Raises:
        Refused: It is strange.
    """
    uri = answer.get("next_page_uri", NOT_TWILIO)
    if uri is None:
        return None
    query = dict(urllib.parse.parse_qsl(uri.partition("?")[2])) if isinstance(uri, str) else {}
    parameters = {
        name: query[key]
        for key, name in {"Page": "page_number", "PageToken": "page_token"}.items()
        if key in query
    }
    if not parameters:
        raise Refused(NOT_TWILIO)
    return parameters


def _read_time(value: object) -> float | None:
    """Read a time in the form of RFC 2822, as seconds since the epoch; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        read = email.utils.parsedate_to_datetime(value)
        return read.replace(tzinfo=read.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError, IndexError):
        return None


def _is_sid(value: object) -> TypeGuard[str]:
    """Whether a value has the form of the SID of a message."""
    return (
        isinstance(value, str)
        and len(value) == 34
        and value[:2] in {"SM", "MM"}
        and set(value[2:]) <= _HEX_DIGITS
    )


_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")

_OTHER_DIRECTIONS = ("inbound", "outbound-call", "outbound-reply")
"""The directions of texts that no request of this kind created."""
