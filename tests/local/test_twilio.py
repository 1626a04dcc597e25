"""The stand-in answers as Twilio does, to Twilio's client and during faults."""

import contextlib
import dataclasses
import datetime
import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from local.segments import segments
from local.twilio import StandIn
from local.twilio_api import TRIAL_SENTENCE, Text
from local.twilio_faults import (
    BROKEN,
    BUSY,
    ERROR_AFTER_TEXT,
    LIST_DOWN,
    RESET_AFTER_TEXT,
    SILENCE_AFTER_TEXT,
    UNAUTHORIZED,
    UNAVAILABLE,
    Fault,
)

ACCOUNT = "AC" + "1a" * 16
TOKEN = "2b" * 16
KEY = "SK" + "3c" * 16
KEY_SECRET = "4d" * 16
SERVICE = "MG" + "5e" * 16
SENDER = "+15005550006"
PHONE = "+14155552671"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    with StandIn(account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN, KEY: KEY_SECRET}) as running:
        yield running


@pytest.fixture
def client(stand_in: StandIn) -> Iterator[Client]:
    yield from connected(stand_in, ACCOUNT, TOKEN)


def connected(
    stand_in: StandIn, user: str, password: str, seconds: float = 60.0, account: str = ACCOUNT
) -> Iterator[Client]:
    http_client = TwilioHttpClient(timeout=seconds)
    made = Client(user, password, account, http_client=http_client)
    made.api.base_url = stand_in.url
    yield made
    http_client.session.close()


def text(client: Client, body: str = "Hello", to: str = PHONE, **how: str) -> Any:
    return client.messages.create(to=to, body=body, **(how or {"from_": SENDER}))


def refused(client: Client, **how: str) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as raised:
        text(client, **how)
    return raised.value


def raw(stand_in: StandIn, method: str = "POST", path: str = "", **how: Any) -> requests.Response:
    url = f"{stand_in.url}/2010-04-01/Accounts/{ACCOUNT}/Messages{path or '.json'}"
    return requests.request(method, url, **{"auth": (ACCOUNT, TOKEN), "timeout": 60, **how})


HOURS = 10_000.0  # in seconds: longer than any test waits
FORM = {"To": PHONE, "From": SENDER, "Body": "Hello"}


# Accepted texts


def test_an_accepted_text_is_on_the_phone(stand_in: StandIn, client: Client) -> None:
    before = datetime.datetime.now(datetime.UTC)
    message = text(client, "Hello, 世界")
    (shown,) = stand_in.texts
    assert shown == Text(
        sid=message.sid,
        to=PHONE,
        sender=SENDER,
        service=None,
        body="Hello, 世界",
        segments=1,
        time=shown.time,
        status="delivered",
        error_code=None,
    )
    assert before <= shown.time <= datetime.datetime.now(datetime.UTC)
    assert stand_in.requests == 1


def test_a_text_is_queued_first_and_delivered_when_asked_later(client: Client) -> None:
    message = text(client)
    assert (message.status, message.date_sent, message.direction) == (
        "queued",
        None,
        "outbound-api",
    )
    assert re.fullmatch("SM[0-9a-f]{32}", message.sid)
    later = client.messages(message.sid).fetch()
    assert (later.status, later.error_code) == ("delivered", None)
    assert later.date_sent == later.date_created


def test_a_messaging_service_picks_its_number_later(stand_in: StandIn, client: Client) -> None:
    message = text(client, messaging_service_sid=SERVICE)
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    later = client.messages(message.sid).fetch()
    assert (later.from_, later.messaging_service_sid, later.num_segments) == (SENDER, SERVICE, "1")
    assert stand_in.texts[0].service == SERVICE


@pytest.mark.parametrize(("sender", "to"), [("12345", PHONE), ("S3 Logs", "+4915112345678")])
def test_a_short_code_or_a_name_sends_too(
    stand_in: StandIn, client: Client, sender: str, to: str
) -> None:
    text(client, to=to, from_=sender)
    assert [(one.sender, one.to) for one in stand_in.texts] == [(sender, to)]


def test_a_phone_out_of_reach_is_reported_later(stand_in: StandIn, client: Client) -> None:
    stand_in.undeliverable[PHONE] = 30003
    message = text(client)
    assert (message.status, message.error_code) == ("queued", None)
    later = client.messages(message.sid).fetch()
    assert (later.status, later.error_code) == ("undelivered", 30003)
    assert stand_in.texts[0].error_code == 30003


def test_each_text_is_reported_once_as_it_is_accepted() -> None:
    reported: list[Text] = []
    with StandIn(
        account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN}, on_text=reported.append
    ) as stand_in:
        raw(stand_in, data=FORM)
        raw(stand_in, data={"To": PHONE})
        raw(stand_in, data=FORM)
        assert reported == stand_in.texts
        assert len(reported) == 2


def test_a_trial_account_puts_a_sentence_before_each_text(
    stand_in: StandIn, client: Client
) -> None:
    stand_in.is_trial = True
    message = text(client, "x" * 140)
    assert message.body == TRIAL_SENTENCE + "x" * 140
    assert [one.body for one in client.messages.list()] == [message.body]
    assert stand_in.texts[0].body == message.body
    assert message.num_segments == "2"


def test_an_account_that_redacts_bodies_shows_none_of_them(
    stand_in: StandIn, client: Client
) -> None:
    stand_in.redacts_bodies = True
    message = text(client, "a secret")
    listed = client.messages.list()
    assert [one.body for one in (message, message.fetch(), *listed)] == ["", "", ""]
    assert stand_in.texts[0].body == "a secret"  # the phone shows it


# Credentials


def test_an_api_key_is_accepted(stand_in: StandIn) -> None:
    for client in connected(stand_in, KEY, KEY_SECRET):
        assert text(client).account_sid == ACCOUNT


@pytest.mark.parametrize(
    ("user", "password", "account"),
    [
        (ACCOUNT, "wrong", ACCOUNT),
        (KEY, TOKEN, ACCOUNT),
        ("AC" + "0" * 32, TOKEN, ACCOUNT),
        (ACCOUNT, TOKEN, "AC" + "0" * 32),
        ("ü", "ü", ACCOUNT),
    ],
)
def test_other_credentials_are_refused(
    stand_in: StandIn, user: str, password: str, account: str
) -> None:
    for client in connected(stand_in, user, password, account=account):
        error = refused(client)
        assert (error.status, error.code) == (401, 20003)
    assert not stand_in.texts
    assert stand_in.requests == 1


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Bearer abc", "Basic YWJj"])
def test_a_malformed_authorization_is_refused(stand_in: StandIn, header: str) -> None:
    answer = raw(stand_in, data=FORM, auth=None, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    assert "WWW-Authenticate" in answer.headers


# Refused texts


@pytest.mark.parametrize(
    ("end", "code", "status"),
    [("0001", 21212, 400), ("0007", 21606, 400), ("0008", 21611, 429)],
)
def test_the_magic_senders_are_refused(
    stand_in: StandIn, client: Client, end: str, code: int, status: int
) -> None:
    error = refused(client, from_=f"+1500555{end}")
    assert (error.status, error.code) == (status, code)
    assert not stand_in.texts


@pytest.mark.parametrize(
    ("end", "code"),
    [("0001", 21211), ("0002", 21612), ("0003", 21408), ("0004", 21610), ("0009", 21614)],
)
def test_the_magic_phones_are_refused(
    stand_in: StandIn, client: Client, end: str, code: int
) -> None:
    error = refused(client, to=f"+1500555{end}", from_=SENDER)
    assert (error.status, error.code) == (400, code)
    assert not stand_in.texts


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": None}, 21604),
        ({"To": ""}, 21604),
        ({"To": "14155552671"}, 21211),
        ({"To": "+0155552671"}, 21211),
        ({"To": "+1"}, 21211),
        ({"To": "+1415555267112345"}, 21211),
        ({"To": PHONE + "\n"}, 21211),
        ({"To": "+1\u0664155552671"}, 21211),
        ({"From": None}, 21603),
        ({"From": "five!"}, 21212),
        ({"From": "12"}, 21212),
        ({"From": "S3 Logs"}, 21612),  # to a phone in the US
        ({"From": None, "MessagingServiceSid": "MG1"}, 21701),
        ({"Body": None}, 21602),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
    ],
)
def test_the_stand_in_refuses_each_text_that_twilio_refuses(
    stand_in: StandIn, change: dict[str, str | None], code: int
) -> None:
    answer = raw(stand_in, data=FORM | change)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert not stand_in.texts
    assert stand_in.requests == 1


def test_the_longest_body_is_accepted(stand_in: StandIn) -> None:
    assert raw(stand_in, data=FORM | {"Body": "x" * 1600}).status_code == 201


def test_an_error_has_twilios_shape_and_holds_the_whole_number(stand_in: StandIn) -> None:
    answer = raw(stand_in, data=FORM | {"To": "+15005550001"})
    assert answer.json() == {
        "code": 21211,
        "message": "The 'To' number +15005550001 is not a valid phone number.",
        "more_info": "https://www.twilio.com/docs/errors/21211",
        "status": 400,
    }


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/SM" + "0" * 32 + ".json", 404, 20404),
        ("GET", "/SM1/Media.json", 404, 20404),
    ],
)
def test_an_unknown_path_is_not_found(
    stand_in: StandIn, method: str, path: str, status: int, code: int
) -> None:
    answer = raw(stand_in, method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# Lists


def test_a_list_is_paged_newest_first(client: Client) -> None:
    sids = [text(client, f"{number}").sid for number in range(5)]
    assert [message.sid for message in client.messages.list(page_size=2)] == sids[::-1]
    assert [message.sid for message in client.messages.list(limit=3)] == sids[:1:-1]


def test_a_text_that_arrives_between_two_pages_shifts_nothing(client: Client) -> None:
    sids = [text(client).sid for _ in range(3)]
    first = client.messages.page(page_size=2)
    text(client)
    second = first.next_page()
    assert second is not None
    assert [message.sid for message in [*first, *second]] == sids[::-1]
    assert second.next_page() is None


def test_a_page_names_its_place_and_its_neighbours(stand_in: StandIn) -> None:
    for _ in range(3):
        raw(stand_in, data=FORM)
    page = raw(stand_in, "GET", params={"PageSize": 2, "Page": 1, "To": PHONE}).json()
    base = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json?"
    assert len(page.pop("messages")) == 1
    assert page == {
        "uri": f"{base}PageSize=2&Page=1&To=%2B14155552671",
        "first_page_uri": f"{base}To=%2B14155552671&PageSize=2&Page=0",
        "previous_page_uri": f"{base}To=%2B14155552671&PageSize=2&Page=0",
        "next_page_uri": None,
        "page": 1,
        "page_size": 2,
        "start": 2,
        "end": 2,
    }


def test_a_list_is_filtered_by_numbers(client: Client) -> None:
    text(client, "one")
    text(client, "two", to="+14155552672")
    text(client, "three", from_="+14155552673")
    assert [message.body for message in client.messages.list(to=PHONE)] == ["three", "one"]
    assert [message.body for message in client.messages.list(from_="+14155552673")] == ["three"]
    assert [message.body for message in client.messages.list(to=PHONE, from_=SENDER)] == ["one"]


def test_a_list_is_filtered_by_time(stand_in: StandIn, client: Client) -> None:
    text(client)
    sent = stand_in.texts[0].time
    day = datetime.timedelta(days=1)
    minute = datetime.timedelta(minutes=1)
    assert client.messages.list(date_sent=sent)
    assert not client.messages.list(date_sent=sent - day)
    assert client.messages.list(date_sent_after=sent)
    assert client.messages.list(date_sent_before=sent)
    assert client.messages.list(date_sent_after=sent - minute, date_sent_before=sent + minute)
    assert not client.messages.list(date_sent_after=sent + minute)
    assert not client.messages.list(date_sent_before=sent - minute)
    for name, days, shown in [
        ("DateSent", 0, 1),
        ("DateSent", 1, 0),
        ("DateSent>", 0, 1),
        ("DateSent>", 1, 0),
        ("DateSent<", 0, 1),
        ("DateSent<", -1, 0),
    ]:
        answer = raw(stand_in, "GET", params={name: f"{sent + days * day:%Y-%m-%d}"})
        assert len(answer.json()["messages"]) == shown, name


def test_a_queued_text_has_no_date_sent_and_is_hidden_by_every_filter_of_it(
    stand_in: StandIn, client: Client
) -> None:
    stand_in.queued.add(PHONE)
    text(client)
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    (shown,) = client.messages.list(to=PHONE)
    assert (shown.status, shown.date_sent) == ("queued", None)
    assert shown.date_created
    assert not client.messages.list(date_sent=now)
    assert not client.messages.list(to=PHONE, date_sent_after=now - day)
    assert not client.messages.list(to=PHONE, date_sent_before=now + day)


@pytest.mark.parametrize(
    "query",
    [{"DateSent": "today"}, {"DateSent>": "1"}, {"PageSize": "x"}, {"PageToken": "PASM1"}],
)
def test_a_list_with_wrong_parameters_is_refused(stand_in: StandIn, query: dict[str, str]) -> None:
    assert raw(stand_in, "GET", params=query).status_code == 400


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (BUSY, 429, 20429),
        (UNAVAILABLE, 503, 503),
        (BROKEN, 500, 20500),
        (UNAUTHORIZED, 401, 20003),
    ],
)
def test_a_fault_accepts_no_text_and_ends_after_its_times(
    stand_in: StandIn, client: Client, fault: Fault, status: int, code: int
) -> None:
    stand_in.fault(fault, times=2)
    for _ in range(2):
        error = refused(client)
        assert (error.status, error.code) == (status, code)
    assert not stand_in.texts
    text(client)
    assert stand_in.requests == 3


def test_a_fault_lasts_until_it_is_ended(stand_in: StandIn, client: Client) -> None:
    stand_in.fault(UNAVAILABLE)
    for _ in range(3):
        refused(client)
    with pytest.raises(TwilioException):
        client.messages.list()
    stand_in.end_fault()
    text(client)


@pytest.mark.parametrize(
    "fault",
    [ERROR_AFTER_TEXT, RESET_AFTER_TEXT, SILENCE_AFTER_TEXT],
    ids=["error", "reset", "silence"],
)
def test_a_text_arrives_although_its_answer_is_lost(stand_in: StandIn, fault: Fault) -> None:
    stand_in.fault(fault)
    seconds = 0.5 if fault is SILENCE_AFTER_TEXT else 60.0
    for client in connected(stand_in, ACCOUNT, TOKEN, seconds=seconds):
        with pytest.raises((TwilioRestException, requests.RequestException)):
            text(client)
        (listed,) = client.messages.list(to=PHONE)  # no other request fails
        assert listed.fetch().sid == stand_in.texts[0].sid


def test_a_list_is_down_while_texts_are_accepted(stand_in: StandIn, client: Client) -> None:
    stand_in.fault(LIST_DOWN)
    message = text(client)
    assert message.fetch().sid == message.sid
    with pytest.raises(TwilioException):
        client.messages.list(to=PHONE)


def test_every_third_answer_is_lost(stand_in: StandIn) -> None:
    stand_in.fault(dataclasses.replace(ERROR_AFTER_TEXT, every=3))
    answers = []
    for _ in range(7):
        answers.append(raw(stand_in, data=FORM).status_code)
        raw(stand_in, "GET")  # not counted
    assert answers == [201, 201, 500, 201, 201, 500, 201]
    assert len(stand_in.texts) == 7


def test_each_phone_may_have_a_fault_of_its_own(stand_in: StandIn) -> None:
    other, third = "+14155552672", "+14155552673"
    stand_in.fault(
        dataclasses.replace(UNAVAILABLE, phone=other), dataclasses.replace(LIST_DOWN, phone=third)
    )
    answers = {
        phone: (
            raw(stand_in, data=FORM | {"To": phone}).status_code,
            raw(stand_in, "GET", params={"To": phone}).status_code,
        )
        for phone in (PHONE, other, third)
    }
    assert answers == {PHONE: (201, 200), other: (503, 503), third: (201, 503)}


def test_a_slow_twilio_leaves_the_client_in_doubt(stand_in: StandIn) -> None:
    stand_in.fault(Fault(delay=30))
    for client in connected(stand_in, ACCOUNT, TOKEN, seconds=0.1):
        with pytest.raises(requests.ReadTimeout):
            text(client)
    assert len(stand_in.wait_for(1, seconds=60)) == 1


@pytest.mark.parametrize("accepts", [False, True])
def test_a_reset_closes_the_connection_with_or_without_the_text(
    stand_in: StandIn, *, accepts: bool
) -> None:
    stand_in.fault(Fault(reset=True, accepts=accepts), times=1)
    with pytest.raises(requests.ConnectionError) as raised:
        raw(stand_in, data=FORM)
    assert "ConnectionResetError" in repr(raised.value)
    assert len(stand_in.texts) == accepts
    assert raw(stand_in, data=FORM).status_code == 201


# Waiting, starting, stopping


def test_waiting_ends_with_the_last_text(stand_in: StandIn) -> None:
    def send() -> None:
        for _ in range(3):
            raw(stand_in, data=FORM)

    sender = threading.Thread(target=send)
    sender.start()
    assert len(stand_in.wait_for(3, seconds=60)) == 3
    sender.join()


def test_a_wait_that_times_out_says_how_many_texts_came(stand_in: StandIn) -> None:
    raw(stand_in, data=FORM)
    with pytest.raises(TimeoutError, match=r"1 of 2 texts came within 0\.05 s"):
        stand_in.wait_for(2, seconds=0.05)


def test_texts_from_concurrent_clients_are_all_kept(stand_in: StandIn) -> None:
    senders = [
        threading.Thread(target=raw, args=(stand_in,), kwargs={"data": FORM | {"Body": f"{n}"}})
        for n in range(20)
    ]
    for sender in senders:
        sender.start()
    texts = stand_in.wait_for(20, seconds=60)
    for sender in senders:
        sender.join()
    assert {shown.body for shown in texts} == {f"{n}" for n in range(20)}
    assert len({shown.sid for shown in texts}) == 20


def test_two_stand_ins_share_neither_faults_nor_texts(stand_in: StandIn) -> None:
    with StandIn(account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN}) as other:
        other.fault(BUSY)
        assert raw(stand_in, data=FORM).status_code == 201
        assert raw(other, data=FORM).status_code == 429
        assert (len(stand_in.texts), len(other.texts)) == (1, 0)


def test_the_stand_in_listens_on_the_loopback_address_only(stand_in: StandIn) -> None:
    port = int(stand_in.url.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=60).close()


def test_the_stand_in_stops_with_a_pending_request_and_an_open_connection() -> None:
    cut: list[Exception] = []

    def send(stand_in: StandIn) -> None:
        try:
            raw(stand_in, data=FORM)
        except requests.ConnectionError as error:
            cut.append(error)

    with contextlib.ExitStack() as running, requests.Session() as session:
        stand_in = running.enter_context(StandIn(account_sid=ACCOUNT, credentials={ACCOUNT: TOKEN}))
        session.get(stand_in.url, timeout=5)
        stand_in.fault(Fault(delay=30))
        sender = threading.Thread(target=send, args=(stand_in,))
        sender.start()
        stand_in.wait_for(1, seconds=5)
        began = time.monotonic()
        running.close()
        assert time.monotonic() - began < 0.5
        sender.join()
    assert cut
    assert len(stand_in.texts) == 1  # they stay readable
    with pytest.raises(requests.ConnectionError):
        raw(stand_in, data=FORM)


# Segments


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("x" * 160, 1),
        ("x" * 161, 2),
        ("x" * 306, 2),
        ("x" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("[" * 152, 2),
        ("[" * 153, 3),  # 76 in each: the 153rd place stays empty
        ("`" + "x" * 69, 1),
        ("`" + "x" * 70, 2),
        ("世" * 134, 2),
        ("世" * 135, 3),
        ("🎉" * 35, 1),
        ("🎉" * 66, 2),
        ("🎉" * 67, 3),  # 33 in each: no character is split
    ],
)
def test_segments_are_counted_as_networks_do(body: str, count: int) -> None:
    assert segments(body) == count


@given(st.text(max_size=400), st.text(max_size=20))
def test_a_longer_text_never_takes_fewer_segments(body: str, more: str) -> None:
    assert 1 <= segments(body) <= segments(body + more)
