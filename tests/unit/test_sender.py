"""Twilio's own client, over real HTTP, to a server that answers what a test says."""

import base64
import logging
import traceback
import urllib.parse

import pytest

from handler import sender
from handler.refusals import NO_ANSWER, Kind
from handler.sender import Delivery, Refused, TwilioSender
from tests.unit.fakes import PHONE, settings
from tests.unit.http_server import Server

CREATED = b'{"sid": "SM0123", "status": "queued"}'
SID = "AC" + "0" * 32


@pytest.fixture
def twilio(server: Server) -> Server:
    server.status, server.body = 201, CREATED
    return server


def refused(from_: TwilioSender) -> Refused:
    with pytest.raises(Refused) as caught:
        from_.send(PHONE, "a text")
    return caught.value


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_text_is_one_request_with_the_auth_token(twilio: Server) -> None:
    sid = TwilioSender(settings(twilio_api_url=twilio.url)).send(PHONE, "a text")
    assert sid == "SM0123"
    ((path, headers, form),) = twilio.requests
    assert path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert headers["Authorization"] == basic(SID, "a secret")
    assert dict(urllib.parse.parse_qsl(form)) == {
        "To": PHONE,
        "From": "+15005550006",
        "Body": "a text",
    }


def test_with_an_api_key_the_account_stays_in_the_address(twilio: Server) -> None:
    key = "SK" + "1" * 32
    TwilioSender(settings(twilio_api_url=twilio.url, twilio_api_key_sid=key)).send(PHONE, "a text")
    path, headers, _ = twilio.requests[0]
    assert path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert headers["Authorization"] == basic(key, "a secret")


def test_a_messaging_service_takes_the_place_of_a_number(twilio: Server) -> None:
    service = "MG" + "2" * 32
    TwilioSender(
        settings(twilio_api_url=twilio.url, from_number="", messaging_service_sid=service)
    ).send(PHONE, "a text")
    assert dict(urllib.parse.parse_qsl(twilio.requests[0][2])) == {
        "To": PHONE,
        "MessagingServiceSid": service,
        "Body": "a text",
    }


def test_texts_share_one_connection(twilio: Server) -> None:
    texting = TwilioSender(settings(twilio_api_url=twilio.url))
    for _ in range(5):
        texting.send(PHONE, "a text")
    assert len(twilio.connections) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, b'{"code": 21610, "message": "m", "status": 400}', Kind.PHONE, 21610),
        (429, b'{"code": 20429, "message": "m", "status": 429}', Kind.BUSY, 20429),
        (502, b"<html>Bad Gateway</html>", Kind.IN_DOUBT, 502),
        (403, b"<html>a proxy's</html>", Kind.SETTINGS, 403),
        (
            400,
            b'{"type": "t", "title": "t", "status": 400, "code": 21211, "detail": "d"}',
            Kind.PHONE,
            21211,
        ),
        (201, b"<html>a captive portal</html>", Kind.IN_DOUBT, 0),
    ],
)
def test_an_answer_is_classed(
    twilio: Server, status: int, body: bytes, kind: Kind, code: int
) -> None:
    twilio.status, twilio.body = status, body
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url)))
    assert (error.refusal.kind, error.refusal.code) == (kind, code)
    assert len(twilio.requests) == 1  # nothing is retried that Twilio may have processed


def test_nobody_at_the_address_is_no_connection() -> None:
    error = refused(TwilioSender(settings(twilio_api_url="http://127.0.0.1:9")))
    assert error.refusal.kind is Kind.BUSY


def test_no_answer_in_time_is_in_doubt(twilio: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SECONDS", (0.2, 0.2))
    twilio.status = 0
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url)))
    assert error.refusal.kind is Kind.IN_DOUBT
    assert len(twilio.requests) == 1


def test_a_connection_that_breaks_before_the_answer_is_in_doubt(twilio: Server) -> None:
    twilio.status = 0
    twilio.hangs.set()
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url)))
    assert error.refusal is NO_ANSWER
    assert len(twilio.requests) == 1


def test_a_refusal_tells_neither_secret_nor_number_nor_text(
    twilio: Server, caplog: pytest.LogCaptureFixture
) -> None:
    twilio.status = 400
    twilio.body = b'{"code": 21211, "message": "The number %s is invalid"}' % PHONE.encode()
    with caplog.at_level(logging.INFO):
        error = refused(TwilioSender(settings(twilio_api_url=twilio.url)))
    told = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    for hidden in (PHONE, "a secret", "a text\n", SID):
        assert hidden not in told


def test_a_connection_that_breaks_tells_nothing_either(
    twilio: Server, caplog: pytest.LogCaptureFixture
) -> None:
    texting = TwilioSender(settings(twilio_api_url="http://127.0.0.1:9"))
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING)
    with caplog.at_level(logging.INFO):
        error = refused(texting)
    told = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    for hidden in (PHONE, "a secret", "a text\n", SID):
        assert hidden not in told


def test_what_became_of_a_text_is_asked_by_its_sid(twilio: Server) -> None:
    twilio.status = 200
    twilio.body = b'{"sid": "SM0123", "status": "undelivered", "error_code": 30007, "to": "+1500"}'
    delivery = TwilioSender(settings(twilio_api_url=twilio.url)).delivery("SM0123")
    assert delivery == Delivery(status="undelivered", code=30007, phone="+1500")
    assert twilio.requests[0][0] == f"/2010-04-01/Accounts/{SID}/Messages/SM0123.json"


def test_a_text_that_twilio_has_no_record_of_is_refused(twilio: Server) -> None:
    twilio.status, twilio.body = 404, b'{"code": 20404, "message": "m", "status": 404}'
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url=twilio.url)).delivery("SM0123")
    assert caught.value.refusal.code == 20404
