"""Sending one text by Twilio's own client."""

import logging
from typing import Protocol

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from handler.refusals import NO_ANSWER, NO_CONNECTION, NO_SENSE, Refusal, refusal
from handler.settings import Settings

SECONDS = 10.0
"""How long to wait for Twilio to connect, and then for its answer. twilio-python has no default."""


class Refused(Exception):
    """Twilio did not accept a text."""

    def __init__(self, refused: Refusal) -> None:
        super().__init__(f"{refused.code}: {refused.meaning}")
        self.refusal = refused


class Sender(Protocol):
    """Whatever sends a text."""

    def send(self, phone: str, body: str) -> str:
        """Send a text.

        Returns:
            Twilio's SID of the message. It is accepted, not yet delivered.

        Raises:
            Refused: It was not accepted, or that is in doubt.
        """


class TwilioSender:
    """Sends texts by Twilio's Messages API, over one connection that is kept open."""

    def __init__(self, settings: Settings) -> None:
        # At INFO it prints the account's SID and all headers.
        logging.getLogger("twilio.http_client").setLevel(logging.WARNING)
        client = Client(
            settings.twilio_api_key_sid or settings.twilio_account_sid,
            settings.twilio_secret,
            settings.twilio_account_sid,
            http_client=TwilioHttpClient(timeout=SECONDS, max_retries=1),
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
        try:
            return str(self._messages.create(to=phone, body=body, **self._sender).sid)
        except TwilioRestException as error:
            refused = refusal(error.status, error.code)
        except TwilioException as error:
            # An error in the newer form of RFC 9457, which is not a TwilioRestException.
            refused = refusal(getattr(error, "status", 500), getattr(error, "code", None))
        except requests.ReadTimeout:
            refused = NO_ANSWER
        except requests.RequestException:
            refused = NO_CONNECTION
        except ValueError:
            refused = NO_SENSE
        # Raised outside of the handlers: their exceptions hold whole numbers, and Lambda logs
        # what an exception was raised from.
        raise Refused(refused)
