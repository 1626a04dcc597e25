"""Twilio's own client over real HTTP, with a server that answers as a test says."""

import base64
import contextlib
import datetime
import email.utils
import json
import logging
import traceback
import urllib.parse
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import sender
from handler.connections import new_session
from handler.refusals import NO_ANSWER, NOT_TWILIO, TOO_MANY_TEXTS, Kind, Refusal
from handler.sender import Delivery, Refused, SentText, TwilioSender
from simulation.http_server import Answer, Request, Server
from simulation.samples import PHONE, settings
from tests.unit.conftest import until
from tests.unit.examples import examples

TEXT_SID = "SM" + "0123456789abcdefABCDEF0123456789"
CREATED = b'{"sid": "%s", "status": "queued"}' % TEXT_SID.encode()
SID = "AC" + "0" * 32


@pytest.fixture
def twilio(server: Server) -> Server:
    server.status, server.body = 201, CREATED
    return server


@pytest.fixture(scope="module")
def lasting_server(patience: None) -> Iterator[Server]:
    """One server for all examples of a property."""
    with Server() as answering:
        yield answering


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
    assert len(twilio.requests) == 1  # Twilio may have processed it, so no retry


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
    """Twilio sent it. If it were in doubt, a flush would ask about it or send it again."""
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


# List of a phone's texts

MESSAGES = f"/2010-04-01/Accounts/{SID}/Messages.json"
NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)


def sid_of(number: int) -> str:
    return f"SM{number:032x}"


def record(number: int, **changes: object) -> dict[str, object]:
    """Return a record of the list. Each number is one second older than the one before."""
    at = email.utils.format_datetime(NOON - datetime.timedelta(seconds=number))
    return {
        "sid": sid_of(number),
        "to": PHONE,
        "body": f"text {number}",
        "date_created": at,
        "date_sent": at,
        "direction": "outbound-api",
        "status": "delivered",
    } | changes


def page(*records: object, next_page_uri: object = None, **more: object) -> tuple[int, bytes]:
    """Return a page of the list, for `Server.answers`."""
    answer = {"messages": records, "next_page_uri": next_page_uri, **more}
    return 200, json.dumps(answer).encode()


def more(number: int) -> str:
    return f"{MESSAGES}?To=%2B1500&PageSize=200&Page={number}&PageToken=PA{sid_of(number)}"


def texts_since(server: Server, seconds: float, *pages: tuple[int, bytes]) -> list[SentText]:
    """Return the texts since so many seconds before noon, if Twilio answers with these pages."""
    server.answers = list(pages)
    asking = TwilioSender(settings(twilio_api_url=server.url), new_session())
    return asking.messages_to(PHONE, NOON.timestamp() - seconds)


def refused_list(server: Server, *pages: tuple[int, bytes]) -> Refusal:
    with pytest.raises(Refused) as caught:
        texts_since(server, 3600, *pages)
    return caught.value.refusal


def test_the_texts_to_a_phone_are_listed_by_the_phone_alone(server: Server) -> None:
    """A filter by date sent would hide texts that Twilio has accepted but not sent yet."""
    queued = record(0, date_sent=None, status="queued")
    assert texts_since(server, 60, page(queued, record(1), record(61))) == [
        SentText(sid=sid_of(0), created_at=NOON.timestamp(), body="text 0"),
        SentText(sid=sid_of(1), created_at=NOON.timestamp() - 1, body="text 1"),
    ]
    (request,) = server.requests
    path, _, query = request.path.partition("?")
    assert (request.method, path) == ("GET", MESSAGES)
    assert dict(urllib.parse.parse_qsl(query)) == {"To": PHONE, "PageSize": "200"}
    assert request.headers["Authorization"] == basic(SID, "a secret")


def test_pages_are_followed_until_their_records_are_older(server: Server) -> None:
    found = texts_since(
        server,
        2.5,
        page(record(0), record(1), next_page_uri=more(1)),
        page(record(2), record(3), next_page_uri=more(2)),
        page(record(4), record(5), next_page_uri=more(3)),
        page(record(6)),
    )
    assert [text.sid for text in found] == [sid_of(0), sid_of(1), sid_of(2)]
    queries = [dict(urllib.parse.parse_qsl(one.path.partition("?")[2])) for one in server.requests]
    first = {"To": PHONE, "PageSize": "200"}
    assert queries == [
        first,
        first | {"Page": "1", "PageToken": f"PA{sid_of(1)}"},
        first | {"Page": "2", "PageToken": f"PA{sid_of(2)}"},
    ]


def test_pages_are_followed_to_the_last(server: Server) -> None:
    pages = [page(record(number), next_page_uri=more(number)) for number in range(9)]
    assert len(texts_since(server, 3600, *pages, page(record(9)))) == 10


def test_a_text_that_was_sent_late_does_not_end_the_list(server: Server) -> None:
    """Twilio sorts by date sent: newer texts may follow one that waited long."""
    waited = record(300, date_sent=record(1)["date_sent"])
    found = texts_since(server, 60, page(waited, next_page_uri=more(1)), page(record(2)))
    assert [text.sid for text in found] == [sid_of(2)]


def test_a_text_on_two_pages_is_one(server: Server) -> None:
    """A new text between two requests moves a record to the next page."""
    pages = page(record(0), record(1), next_page_uri=more(1)), page(record(1), record(2))
    assert len(texts_since(server, 60, *pages)) == 3


def test_a_phone_without_texts_has_none(server: Server) -> None:
    assert texts_since(server, 60, page()) == []


def test_a_page_of_a_thousand_other_texts_is_read(server: Server) -> None:
    others = [record(number, body="x" * 1600) for number in range(1000)]
    found = texts_since(server, 3600, page(*others, record(1000)))
    assert found[-1].body == "text 1000"


@pytest.mark.parametrize("body", ["", None])
def test_a_redacted_body_is_empty(server: Server, body: object) -> None:
    (text,) = texts_since(server, 60, page(record(0, body=body)))
    assert text.body == ""


def test_a_redacted_number_is_the_phone_that_was_asked_for(server: Server) -> None:
    assert texts_since(server, 60, page(record(0, to=PHONE[:-4] + "XXXX")))


@pytest.mark.parametrize("direction", ["inbound", "outbound-call", "outbound-reply"])
def test_a_text_that_no_request_created_is_not_listed(server: Server, direction: str) -> None:
    assert texts_since(server, 60, page(record(0, direction=direction))) == []


@pytest.mark.parametrize(
    "strange",
    [
        None,
        7,
        [],
        "SM",
        {},
        record(0, sid=None),
        record(0, sid="SM1"),
        record(0, to=None),
        record(0, to="+15005550199"),
        record(0, date_created=None),
        record(0, date_created=7),
        record(0, date_created=""),
        record(0, date_created="soon"),
        record(0, date_created="Tue, 24 Nov 2026 99:99:99 +0000"),
        record(0, date_created="Tue, 24 Nov 99999 10:00:00 +0000"),
        record(0, date_sent=[]),
        record(0, date_sent="soon"),
        record(0, body=7),
        record(0, body=["a text"]),
    ],
    ids=repr,
)
def test_a_strange_record_is_no_answer(server: Server, strange: object) -> None:
    """The record may be of the text in doubt. Ignoring it would repeat the text."""
    assert refused_list(server, page(record(1), strange)) is NOT_TWILIO


def test_a_strange_record_of_another_direction_is_left_out(server: Server) -> None:
    assert texts_since(server, 60, page(record(0, direction="inbound", to=7))) == []


STRANGE_URIS: tuple[object, ...] = (7, [], {}, True, "", "x", "?Page=", "[//")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"7",
        b'{"messages": null}',
        b'{"messages": {}}',
        b'{"messages": "none"}',
        b"<html>a captive portal</html>",
        b"[" * 100_000,
        b'{"messages": []}',
        *(page(record(1), next_page_uri=uri)[1] for uri in STRANGE_URIS),
    ],
    ids=repr,
)
def test_an_answer_that_is_no_list_is_no_answer(server: Server, answer: bytes) -> None:
    assert refused_list(server, (200, answer)) is NOT_TWILIO


def test_a_list_with_names_that_are_new_is_read(server: Server) -> None:
    """Twilio's client raises an error about each unknown name."""
    assert texts_since(server, 60, page(record(0, colour="red"), colour="red", meta=7))


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, b'{"code": 20003, "message": "m", "status": 401}', Kind.ACCOUNT, 20003),
        (429, b'{"code": 20429, "message": "m", "status": 429}', Kind.BUSY, 20429),
        (503, b"<html>Unavailable</html>", Kind.BUSY, 503),
        (500, b"[]", Kind.IN_DOUBT, 500),
        (307, b"", Kind.UNKNOWN, 307),
        (400, b'{"code": [], "message": "m"}', Kind.UNKNOWN, 400),
    ],
)
def test_a_refused_list_is_classed(
    server: Server, status: int, body: bytes, kind: Kind, code: int
) -> None:
    found = refused_list(server, page(record(1), next_page_uri=more(1)), (status, body))
    assert (found.kind, found.code) == (kind, code)
    assert len(server.requests) == 2


def test_a_list_that_breaks_is_refused(server: Server) -> None:
    server.closing.set()
    assert refused_list(server, page(record(1), next_page_uri=more(1)), (0, b"")) is NO_ANSWER


@pytest.mark.parametrize(
    "prefix", ["http://127.0.0.1:9", "//127.0.0.1:9", "@127.0.0.1:9", "https://evil.example"]
)
def test_the_next_page_is_asked_for_at_the_same_host(server: Server, prefix: str) -> None:
    """Otherwise an answer could send the secret to another host."""
    uri = prefix + more(1)
    pages = page(record(0), next_page_uri=uri, meta={"next_page_url": uri}), page(record(1))
    assert len(texts_since(server, 60, *pages)) == 2
    assert all(one.path.startswith(MESSAGES + "?") for one in server.requests)


def test_a_list_without_an_end_is_refused(server: Server) -> None:
    assert refused_list(server, page(record(0), next_page_uri=more(1))) is TOO_MANY_TEXTS
    assert len(server.requests) == sender.MAX_PAGES


def test_a_list_that_takes_too_long_is_refused(server: Server) -> None:
    now = [0.0]

    def answer(_: Request) -> Answer:
        now[0] += 6
        return Answer(*page(record(0), next_page_uri=more(1)))

    server.respond = answer
    asking = TwilioSender(
        settings(twilio_api_url=server.url), new_session(), monotonic=lambda: now[0]
    )
    with pytest.raises(Refused) as caught:
        asking.messages_to(PHONE, 0)
    assert caught.value.refusal is NO_ANSWER
    assert now[0] <= sender.SECONDS_TO_ASK - sender.SECONDS_TO_SEND + 6


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(PHONE),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from([*record(0), "messages", "next_page_uri"]),
)
@examples(150)
def test_no_answer_leads_to_another_error(
    lasting_server: Server, strange: object, field: str
) -> None:
    one = record(0, **{field: strange})
    answer = {"messages": [one], "next_page_uri": None}
    lasting_server.answers = [(200, json.dumps(answer | {field: strange}).encode())]
    asking = TwilioSender(settings(twilio_api_url=lasting_server.url), new_session())
    with contextlib.suppress(Refused):
        for text in asking.messages_to(PHONE, 0):
            assert isinstance(text.body, str)
            assert isinstance(text.created_at, float)


def test_a_refused_list_shows_neither_secret_nor_number_nor_text(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [page(record(0), 7)]
    asking = TwilioSender(settings(twilio_api_url=server.url), new_session())
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused) as caught:
        asking.messages_to(PHONE, 0)
    exposed = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    for hidden in (PHONE, "a secret", "text 0", SID):
        assert hidden not in exposed
        assert hidden not in "".join(record.getMessage() for record in caplog.records)
