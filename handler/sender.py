"""Sending one text, and asking for its delivery, by Twilio's own client."""

import json
import logging
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


# By these variables Twilio's client would send the secret to another host than twilioApiUrl says.
# It reads them here instead: an empty mapping would make it read the real environment.
_NO_ENVIRONMENT = {"TWILIO_EDGE": "", "TWILIO_REGION": ""}


class Refused(Exception):
    """Twilio did not accept a text."""

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


class _HttpClient(TwilioHttpClient):  # type: ignore[misc]  # twilio has no types here
    """Twilio's own, which keeps the answer.

    Attributes:
        answer: Twilio's answer to the last request, if there was one.
    """

    answer: "Response | None" = None

    def request(self, *args: Any, **kwargs: Any) -> "Response":
        """Make a request."""
        self.answer = super().request(*args, **kwargs)
        return self.answer

    def read(self) -> dict[str, Any] | None:
        """Return the last answer, if it was a success with an object of JSON."""
        if not self.answer or self.answer.status_code not in range(200, 300):
            return None
        try:
            read = json.loads(self.answer.text)
        except (ValueError, RecursionError):
            return None
        return read if isinstance(read, dict) else None


class TwilioSender:
    """Sends texts by Twilio's Messages API, over one connection that is kept open."""

    def __init__(self, settings: Settings, session: requests.Session) -> None:
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

    def _ask(self, request: Callable[[], object]) -> dict[str, Any]:
        """Make a request to Twilio.

        Returns:
            The answer to a success, as it came: Twilio's client reads all fields, and raises over
            each that is strange, even if the text went out.

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
            # An error in the newer form of RFC 9457, which is not a TwilioRestException.
            status: Any = getattr(error, "status", None)  # as the answer's body says
            known = isinstance(status, int) and status in range(300, 600)
            refused = refusal(status if known else 500, getattr(error, "code", None))
        except requests.RequestException as error:
            # So urllib3 says that it could not connect; what breaks later it raises as it is.
            unsent = any(isinstance(cause, MaxRetryError) for cause in error.args)
            refused = NO_CONNECTION if unsent else NO_ANSWER
        except Exception:  # noqa: BLE001, S110  # Twilio's client fails at a strange answer
            pass
        if refused is NOT_TWILIO and (answer := self._http.read()) is not None:
            return answer
        # Raised outside of the handlers: their exceptions hold whole numbers, and Lambda logs
        # what an exception was raised from.
        raise Refused(refused)


def _is_sid(value: object) -> TypeGuard[str]:
    """Whether a value has the form of the SID of a message."""
    return (
        isinstance(value, str)
        and len(value) == 34
        and value[:2] in {"SM", "MM"}
        and set(value[2:]) <= _HEX_DIGITS
    )


_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
