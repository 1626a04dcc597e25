"""Check the requests and the stand-in's answers against Twilio's description of its API."""

import datetime
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from handler.connections import new_session
from handler.sender import Refused, TwilioSender
from local.twilio import StandIn
from local.twilio_api import CREATE_PARAMETERS, FILTERS, MESSAGES, PAGING, VALID_SENDER
from local.twilio_faults import BROKEN, BUSY, UNAUTHORIZED, Fault
from simulation.samples import settings
from tests.judges.openapi import Judge

ACCOUNT = "AC" + "1a" * 16
TOKEN = "2b" * 16
KEY = "SK" + "3c" * 16
KEY_SECRET = "4d" * 16
SERVICE = "MG" + "5e" * 16
US_PHONE = "+15005550100"
PHONE = "+447700900100"  # in a country that allows names as senders
UNREACHED = "+447700900101"

FORM = {"To": US_PHONE, "From": VALID_SENDER, "Body": "Hello"}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with StandIn(account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN, KEY: KEY_SECRET}) as running:
        running.undeliverable[UNREACHED] = 30003
        yield running


@pytest.fixture(scope="module")
def judge(stand_in: StandIn) -> Judge:
    return Judge(stand_in.url)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A session that the handler's code makes."""
    with new_session() as made:
        yield made


@pytest.fixture
def heard(session: requests.Session) -> list[requests.Response]:
    """Every answer to the session, with its request."""
    answers: list[requests.Response] = []

    def hear(answer: requests.Response, **_: Any) -> None:
        answers.append(answer)

    session.hooks["response"].append(hear)
    return answers


def raw(stand_in: StandIn, method: str = "POST", path: str = "", **how: Any) -> requests.Response:
    url = f"{stand_in.url}/2010-04-01/Accounts/{ACCOUNT}/Messages{path or '.json'}"
    return requests.request(method, url, **{"auth": (ACCOUNT, TOKEN), "timeout": 5, **how})


SENDERS = {
    "by number": {"from_number": VALID_SENDER},
    "by short code": {"from_number": "12345"},
    "by name": {"from_number": "S3 Logs"},
    "by Messaging Service": {"from_number": "", "messaging_service_sid": SERVICE},
    "by API key": {"twilio_api_key_sid": KEY, "twilio_secret": KEY_SECRET},
}


@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
@pytest.mark.parametrize("phone", [PHONE, UNREACHED])
def test_the_handler_asks_and_is_answered_as_twilio_describes_it(
    stand_in: StandIn,
    judge: Judge,
    session: requests.Session,
    heard: list[requests.Response],
    *,
    sender: dict[str, str],
    phone: str,
) -> None:
    account = {"twilio_account_sid": ACCOUNT, "twilio_secret": TOKEN}
    asking = TwilioSender(settings(twilio_api_url=stand_in.url, **account | sender), session)
    delivery = asking.delivery(asking.send(phone, "New log app/web.log, 1.2 kB, 世界"))
    assert delivery.status == ("delivered" if phone == PHONE else "undelivered")
    created, fetched = heard
    assert (created.status_code, fetched.status_code) == (201, 200)
    for answer in heard:
        assert judge.of_request(answer.request) == []
        assert judge.of_answer(answer) == []


def test_a_list_is_asked_for_and_answered_page_by_page(
    stand_in: StandIn, judge: Judge, session: requests.Session, heard: list[requests.Response]
) -> None:
    http = TwilioHttpClient(timeout=60)
    http.session = session
    client = Client(ACCOUNT, TOKEN, ACCOUNT, http_client=http)
    client.api.base_url = stand_in.url
    assert client.messages.list(to="+447700900199") == []
    for _ in range(3):
        raw(stand_in, data=FORM)
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    for filters in (
        {"to": US_PHONE},
        {"from_": VALID_SENDER},
        {"date_sent": now},
        {"date_sent_after": now - day, "date_sent_before": now + day},
    ):
        assert client.messages.list(page_size=1, limit=3, **filters)
    assert len(heard) > len(SENDERS) + 4
    for answer in heard:
        assert answer.status_code == 200
        assert judge.of_request(answer.request) == []
        assert judge.of_answer(answer) == []


SHAPES: dict[str, Callable[[StandIn], object]] = {
    "sent": lambda _: None,
    "not sent yet": lambda to: to.queued.add(PHONE),
    "undelivered": lambda to: to.undeliverable.update({PHONE: 30003}),
    "of a trial account": lambda to: setattr(to, "is_trial", True),
    "redacted": lambda to: setattr(to, "redacts_bodies", True),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sender", SENDERS.values(), ids=SENDERS)
def test_the_handler_lists_the_texts_to_a_phone_as_twilio_describes_it(
    session: requests.Session,
    heard: list[requests.Response],
    monkeypatch: pytest.MonkeyPatch,
    *,
    shape: str,
    sender: dict[str, str],
) -> None:
    monkeypatch.setattr("handler.sender.PAGE_SIZE", 2)
    began = time.time()
    account = {"twilio_account_sid": ACCOUNT, "twilio_secret": TOKEN}
    with StandIn(account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN, KEY: KEY_SECRET}) as stand_in:
        SHAPES[shape](stand_in)
        asking = TwilioSender(settings(twilio_api_url=stand_in.url, **account | sender), session)
        assert asking.messages_to(PHONE, began - 60) == []
        sids = [asking.send(PHONE, f"New log app/{number}.log, 世界") for number in range(5)]
        asking.send(UNREACHED, "New log of another phone")
        heard.clear()
        texts = asking.messages_to(PHONE, began - 60)
        judge = Judge(stand_in.url)
        assert [text.sid for text in texts] == sids[::-1]
        for text, number in zip(texts, range(4, -1, -1), strict=True):
            body = f"New log app/{number}.log, 世界"
            assert text.body.endswith("" if shape == "redacted" else body)
            assert abs(text.created_at - began) < 60
        assert [answer.status_code for answer in heard] == [200] * 3
        for answer in heard:
            assert judge.of_request(answer.request) == []
            assert judge.of_answer(answer) == []


REFUSALS: dict[int, Callable[[StandIn], requests.Response]] = {
    20001: lambda to: raw(to, "GET", params={"DateSent": "yesterday"}),
    20003: lambda to: raw(to, data=FORM, auth=(ACCOUNT, "wrong")),
    20404: lambda to: raw(to, "GET", "/SM" + "0" * 32 + ".json"),
    21211: lambda to: raw(to, data=FORM | {"To": "+15005550001"}),
    21212: lambda to: raw(to, data=FORM | {"From": "+15005550001"}),
    21408: lambda to: raw(to, data=FORM | {"To": "+15005550003"}),
    21602: lambda to: raw(to, data=FORM | {"Body": ""}),
    21603: lambda to: raw(to, data=FORM | {"From": ""}),
    21604: lambda to: raw(to, data=FORM | {"To": ""}),
    21606: lambda to: raw(to, data=FORM | {"From": "+15005550007"}),
    21610: lambda to: raw(to, data=FORM | {"To": "+15005550004"}),
    21611: lambda to: raw(to, data=FORM | {"From": "+15005550008"}),
    21612: lambda to: raw(to, data=FORM | {"To": "+15005550002"}),
    21614: lambda to: raw(to, data=FORM | {"To": "+15005550009"}),
    21617: lambda to: raw(to, data=FORM | {"Body": "x" * 1601}),
    21701: lambda to: raw(to, data={"To": US_PHONE, "Body": "x", "MessagingServiceSid": "MG1"}),
}


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_is_as_twilio_describes_it(stand_in: StandIn, judge: Judge, code: int) -> None:
    answer = REFUSALS[code](stand_in)
    assert answer.json()["code"] == code
    assert judge.of_answer(answer) == []


def test_every_refusal_of_the_stand_in_is_judged() -> None:
    assert REFUSALS.keys() == MESSAGES.keys()


@pytest.mark.parametrize("fault", [BUSY, BROKEN, UNAUTHORIZED], ids=["429", "500", "401"])
def test_a_fault_is_as_twilio_describes_errors(
    stand_in: StandIn,
    judge: Judge,
    session: requests.Session,
    heard: list[requests.Response],
    fault: Fault,
) -> None:
    stand_in.fault(fault, times=1)
    asking = TwilioSender(
        settings(twilio_api_url=stand_in.url, twilio_account_sid=ACCOUNT), session
    )
    with pytest.raises(Refused):
        asking.send(PHONE, "Hello")
    (answer,) = heard
    assert answer.status_code == fault.status
    assert judge.of_answer(answer) == []


def test_the_stand_in_reads_the_parameters_that_twilio_describes(judge: Judge) -> None:
    assert set(CREATE_PARAMETERS) <= judge.parameters
    assert {*FILTERS, *PAGING} == judge.filters


# Objections of the judge


@pytest.mark.parametrize(
    ("asked", "how", "objection"),
    [
        ("POST", {"data": FORM | {"Colour": "red"}}, "Colour"),
        ("POST", {"data": {"From": VALID_SENDER, "Body": "x"}}, "'To' is a required property"),
        ("POST", {"data": FORM | {"MessagingServiceSid": "MG1"}}, "MG1"),
        ("POST", {"json": FORM}, "application/json"),
        ("POST", {"data": FORM, "auth": None}, "Security"),
        ("POST", {"data": FORM, "params": {"To": PHONE}}, "there is no parameter To"),
        ("GET", {"params": {"Since": "2026-11-24"}}, "there is no parameter Since"),
        ("GET", {"params": {"PageSize": "many"}}, "many"),
        ("GET /SM1.json", {}, "SM1"),
        ("DELETE", {}, "Operation delete not found"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_request_that_twilio_does_not_describe_is_found(
    stand_in: StandIn, judge: Judge, asked: str, how: dict[str, Any], objection: str
) -> None:
    method, _, path = asked.partition(" ")
    (found,) = judge.of_request(raw(stand_in, method, path, **how).request)
    assert objection in found


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"sid": None}, "'sid' is a required property"),
        ({"sid": "SM1"}, "SM1"),
        ({"num_segments": 1}, "1 is not valid under any of the given schemas|1 is not of type"),
        ({"status": "well"}, "'well' is not one of"),
        ({"date_created": "2026-11-24T21:48:03Z"}, "2026-11-24"),
        ({"colour": "red"}, "'colour' was unexpected"),
    ],
    ids=str,
)
def test_an_answer_that_twilio_does_not_describe_is_found(
    stand_in: StandIn, judge: Judge, change: dict[str, Any], objection: str
) -> None:
    answer = raw(stand_in, data=FORM)
    assert judge.of_answer(answer) == []
    body = answer.json() | change
    answer._content = json.dumps({k: v for k, v in body.items() if k not in change or v}).encode()
    (found,) = judge.of_answer(answer)
    assert any(part in found for part in objection.split("|")), found


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"messages": None}, "'messages' is a required property"),
        ({"messages": {}}, "{} is not of type 'array'"),
        ({"messages": [{"sid": "SM1"}]}, "SM1|is a required property"),
        ({"next_page_uri": 7}, "7 is not"),
        ({"page_size": "two"}, "two"),
        ({"total": 7}, "'total' was unexpected"),
        ({"page": None}, "'page' is a required property"),
    ],
    ids=str,
)
def test_a_list_that_twilio_does_not_describe_is_found(
    stand_in: StandIn, judge: Judge, change: dict[str, Any], objection: str
) -> None:
    raw(stand_in, data=FORM)
    answer = raw(stand_in, "GET", params={"To": US_PHONE, "PageSize": "1"})
    assert judge.of_answer(answer) == []
    body = answer.json() | change
    kept = {k: v for k, v in body.items() if k not in change or v is not None}
    answer._content = json.dumps(kept).encode()
    (found,) = judge.of_answer(answer)
    assert any(part in found for part in objection.split("|")), found


@pytest.mark.parametrize(
    ("change", "objection"),
    [
        ({"date_created": "2026-11-24T21:48:03Z"}, "2026-11-24"),
        ({"date_sent": "soon"}, "soon"),
        ({"direction": "outward"}, "'outward' is not one of"),
        ({"colour": "red"}, "'colour' was unexpected"),
    ],
    ids=str,
)
def test_a_record_of_a_list_that_twilio_does_not_describe_is_found(
    stand_in: StandIn, judge: Judge, change: dict[str, Any], objection: str
) -> None:
    raw(stand_in, data=FORM)
    answer = raw(stand_in, "GET", params={"To": US_PHONE, "PageSize": "1"})
    body = answer.json()
    body["messages"][0] |= change
    answer._content = json.dumps(body).encode()
    (found,) = judge.of_answer(answer)
    assert objection in found


def test_an_error_without_a_code_and_an_unexpected_status_are_found(
    stand_in: StandIn, judge: Judge
) -> None:
    refused = raw(stand_in, data=FORM | {"Body": ""})
    refused._content = b'{"message": "no", "more_info": "", "status": 400}'
    assert "'code' is a required property" in judge.of_answer(refused)[0]
    created = raw(stand_in, data=FORM)
    created.status_code = 200
    assert judge.of_answer(created)
