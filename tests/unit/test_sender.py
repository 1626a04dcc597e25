"""Twilio's own client, over real HTTP, to a server that answers what a test says."""

import base64
import json
import logging
import traceback
import urllib.parse

import pytest

from handler import sender
from handler.connections import new_session
from handler.refusals import NO_ANSWER, NOT_TWILIO, Kind
from handler.sender import Delivery, Refused, TwilioSender
from simulation.http_server import Server
from simulation.samples import PHONE, settings
from tests.unit.conftest import until

TEXT_SID = "SM" + "0123456789abcdefABCDEF0123456789"
CREATED = b'{"sid": "%s", "status": "queued"}' % TEXT_SID.encode()
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
    sid = TwilioSender(settings(twilio_api_url=twilio.url), new_session()).send(PHONE, "a text")
    assert sid == TEXT_SID
    (request,) = twilio.requests
    assert request.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert request.headers["Authorization"] == basic(SID, "a secret")
    assert dict(urllib.parse.parse_qsl(request.body.decode())) == {
        "To": PHONE,
        "From": "+15005550006",
        "Body": "a text",
    }


def test_with_an_api_key_the_account_stays_in_the_address(twilio: Server) -> None:
    key = "SK" + "1" * 32
    TwilioSender(settings(twilio_api_url=twilio.url, twilio_api_key_sid=key), new_session()).send(
        PHONE, "a text"
    )
    request = twilio.requests[0]
    assert request.path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert request.headers["Authorization"] == basic(key, "a secret")


def test_a_messaging_service_takes_the_place_of_a_number(twilio: Server) -> None:
    service = "MG" + "2" * 32
    TwilioSender(
        settings(twilio_api_url=twilio.url, from_number="", messaging_service_sid=service),
        new_session(),
    ).send(PHONE, "a text")
    assert dict(urllib.parse.parse_qsl(twilio.requests[0].body.decode())) == {
        "To": PHONE,
        "MessagingServiceSid": service,
        "Body": "a text",
    }


def test_texts_share_one_connection(twilio: Server) -> None:
    texting = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    for _ in range(5):
        texting.send(PHONE, "a text")
    assert len(twilio.connections) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, b'{"code": 21610, "message": "m", "status": 400}', Kind.PHONE, 21610),
        (429, b'{"code": 20429, "message": "m", "status": 429}', Kind.BUSY, 20429),
        (502, b"<html>Bad Gateway</html>", Kind.IN_DOUBT, 502),
        (403, b"<html>a proxy's</html>", Kind.ACCOUNT, 403),
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
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert (error.refusal.kind, error.refusal.code) == (kind, code)
    assert len(twilio.requests) == 1  # nothing is retried that Twilio may have processed


def test_an_address_without_a_server_is_no_connection() -> None:
    error = refused(TwilioSender(settings(twilio_api_url="http://127.0.0.1:9"), new_session()))
    assert error.refusal.kind is Kind.BUSY


def test_no_answer_in_time_is_in_doubt(twilio: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_SECONDS", (0.2, 0.2))
    twilio.status = 0
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert error.refusal.kind is Kind.IN_DOUBT
    until(lambda: len(twilio.requests) == 1, "the one request")


def test_a_connection_that_breaks_before_the_answer_is_in_doubt(twilio: Server) -> None:
    twilio.status = 0
    twilio.closing.set()
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert error.refusal is NO_ANSWER
    assert len(twilio.requests) == 1


def test_a_refusal_shows_neither_secret_nor_number_nor_text(
    twilio: Server, caplog: pytest.LogCaptureFixture
) -> None:
    twilio.status = 400
    twilio.body = b'{"code": 21211, "message": "The number %s is invalid"}' % PHONE.encode()
    with caplog.at_level(logging.INFO):
        error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    exposed = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    for hidden in (PHONE, "a secret", "a text\n", SID):
        assert hidden not in exposed


def test_a_broken_connection_shows_neither_secret_nor_number_nor_text(
    twilio: Server, caplog: pytest.LogCaptureFixture
) -> None:
    texting = TwilioSender(settings(twilio_api_url="http://127.0.0.1:9"), new_session())
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING)
    with caplog.at_level(logging.INFO):
        error = refused(texting)
    exposed = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    for hidden in (PHONE, "a secret", "a text\n", SID):
        assert hidden not in exposed


def test_a_delivery_is_queried_by_the_sid_of_its_text(twilio: Server) -> None:
    twilio.status = 200
    twilio.body = b'{"sid": "%s", "status": "undelivered", "error_code": 30007, "to": "+1500"}' % (
        TEXT_SID.encode()
    )
    delivery = TwilioSender(settings(twilio_api_url=twilio.url), new_session()).delivery(TEXT_SID)
    assert delivery == Delivery(status="undelivered", code=30007, phone="+1500")
    assert twilio.requests[0].path == f"/2010-04-01/Accounts/{SID}/Messages/{TEXT_SID}.json"


NO_TEXT = [
    b"{}",
    b"",
    b"null",
    b"[]",
    b'"SM"',
    b"7",
    b'{"sid": null}',
    b'{"sid": 7}',
    b'{"sid": ["%s"]}' % TEXT_SID.encode(),
    b'{"sid": "SM0123"}',
    b'{"sid": "XX%s"}' % (b"0" * 32),
    b'{"sid": "SM%s"}' % ("\u0660".encode() * 32),
    b'{"sid": "%s ", "status": "queued"}' % TEXT_SID.encode(),
    b'{"code": 20003, "message": "Authenticate", "status": 401}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("body", NO_TEXT, ids=range(len(NO_TEXT)))
def test_a_success_without_a_sid_is_in_doubt(twilio: Server, body: bytes, status: int) -> None:
    twilio.status, twilio.body = status, body
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert error.refusal is NOT_TWILIO


def test_a_success_without_a_body_is_in_doubt(twilio: Server) -> None:
    twilio.status, twilio.body = 204, b""
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert error.refusal is NOT_TWILIO


@pytest.mark.parametrize(
    "field", ["date_created", "date_sent", "date_updated", "num_segments", "price", "error_code"]
)
@pytest.mark.parametrize("strange", [b"7", b"[]", b"{}", b'"soon"', b"1e400"])
def test_a_success_with_a_sid_is_a_text_despite_strange_fields(
    twilio: Server, field: str, strange: bytes
) -> None:
    """It went out: taken for one in doubt, each flush would repeat it."""
    twilio.body = CREATED.replace(b"}", b', "%s": %s}' % (field.encode(), strange))
    assert (
        TwilioSender(settings(twilio_api_url=twilio.url), new_session()).send(PHONE, "a text")
        == TEXT_SID
    )


def test_the_sid_of_an_answer_is_never_that_of_the_next_text(
    twilio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    texting = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    texting.send(PHONE, "a text")
    monkeypatch.setattr("twilio.http.http_client.TwilioHttpClient.request", lambda *_, **__: 1 / 0)
    assert refused(texting).refusal is NOT_TWILIO


@pytest.mark.parametrize("form", ["SM", "MM"])
def test_a_sid_is_that_of_a_text_or_of_one_with_media(twilio: Server, form: str) -> None:
    sid = form + "0" * 32
    twilio.body = b'{"sid": "%s"}' % sid.encode()
    assert (
        TwilioSender(settings(twilio_api_url=twilio.url), new_session()).send(PHONE, "a text")
        == sid
    )


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        ({"code": "21610", "message": "m"}, Kind.PHONE, 21610),
        ({"code": "not_routable", "message": "m"}, Kind.UNKNOWN, "not_routable"),
        ({"code": f"no {PHONE}", "message": "m"}, Kind.UNKNOWN, 400),
        ({"code": {"a": [1]}}, Kind.UNKNOWN, 400),
        ({"type": 1, "title": 2, "status": [3], "code": "x"}, Kind.IN_DOUBT, "x"),
        ({"type": 1, "title": 2, "status": 10**30, "code": None}, Kind.IN_DOUBT, 500),
        ([], Kind.UNKNOWN, 400),
        (None, Kind.UNKNOWN, 400),
    ],
)
def test_a_code_may_be_a_number_a_text_a_word_or_nonsense(
    twilio: Server, raw: object, kind: Kind, code: int | str
) -> None:
    twilio.status, twilio.body = 400, json.dumps(raw).encode()
    error = refused(TwilioSender(settings(twilio_api_url=twilio.url), new_session()))
    assert (error.refusal.kind, error.refusal.code) == (kind, code)
    assert PHONE not in str(error)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": None},
        {"status": 7},
        {"status": "a sentence"},
        {"sid": None},
        {"sid": "SM" + "9" * 32},
    ],
)
def test_a_delivery_is_read_only_from_an_answer_of_twilios_form(
    twilio: Server, changes: dict[str, object]
) -> None:
    record = {"sid": TEXT_SID, "status": "delivered", "error_code": None, "to": PHONE}
    twilio.status, twilio.body = 200, json.dumps(record).encode()
    asking = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    assert asking.delivery(TEXT_SID) == Delivery(status="delivered", phone=PHONE)
    twilio.body = json.dumps(record | changes).encode()
    with pytest.raises(Refused) as caught:
        asking.delivery(TEXT_SID)
    assert caught.value.refusal is NOT_TWILIO


@pytest.mark.parametrize(
    ("raw", "code"),
    [("not_routable", "not_routable"), ("30007", 30007), ("a sentence", 0), ([1], 0), (1e400, 0)],
)
def test_the_code_of_a_delivery_may_be_a_word_or_nonsense(
    twilio: Server, raw: object, code: int | str
) -> None:
    answer = {"sid": TEXT_SID, "status": "undelivered", "error_code": raw, "to": [PHONE]}
    twilio.status, twilio.body = 200, json.dumps(answer).encode()
    asking = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    assert asking.delivery(TEXT_SID) == Delivery(status="undelivered", code=code)


def test_a_delivery_may_come_with_a_strange_date(twilio: Server) -> None:
    answer = {"sid": TEXT_SID, "status": "delivered", "date_sent": 7, "to": PHONE}
    twilio.status, twilio.body = 200, json.dumps(answer).encode()
    asking = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    assert asking.delivery(TEXT_SID) == Delivery(status="delivered", phone=PHONE)


def test_the_environment_variables_of_twilios_client_are_ignored(
    twilio: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_REGION": "ie1",
        "TWILIO_EDGE": "dublin",
        "TWILIO_ACCOUNT_SID": "AC" + "9" * 32,
        "TWILIO_AUTH_TOKEN": "another secret",
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    texting = TwilioSender(settings(twilio_api_url=twilio.url), new_session())
    texting.send(PHONE, "a text")
    twilio.status, twilio.body = 200, CREATED
    texting.delivery(TEXT_SID)
    for request in twilio.requests:
        assert request.path.startswith(f"/2010-04-01/Accounts/{SID}/Messages")
        assert request.headers["Host"] == twilio.url.removeprefix("http://")
        assert request.headers["Authorization"] == basic(SID, "a secret")
    assert len(twilio.requests) == 2


def test_a_text_that_twilio_has_no_record_of_is_refused(twilio: Server) -> None:
    twilio.status, twilio.body = 404, b'{"code": 20404, "message": "m", "status": 404}'
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url=twilio.url), new_session()).delivery(TEXT_SID)
    assert caught.value.refusal.code == 20404
