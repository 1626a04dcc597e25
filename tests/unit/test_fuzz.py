"""No reader fails on random input or loses any of it. `make fuzz` tries far more examples."""

import contextlib
import datetime
import gc
import json
import re
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from handler import events, queue_messages, text
from handler.attempts import Attempts, PhoneAttempt
from handler.aws import Aws, AwsError
from handler.connections import new_session
from handler.delivery_reports import meaning
from handler.events import LogFile, Unreadable
from handler.ledger import Claim, Ledger, NotRecorded
from handler.missing_log import MissingLog
from handler.notice import ID_DIGITS, Attempt, Notice
from handler.queues import Message, NotQueued, Queue
from handler.refusals import Kind
from handler.report_index import ReportIndex
from handler.segments import segments
from handler.sender import Refused, TwilioSender
from handler.table import Table
from local.twilio import StandIn
from local.twilio_api import API, CREATE_PARAMETERS
from simulation.http_server import Server
from simulation.samples import LIMITS, MESSAGE, OTHER_PHONE, PHONE, log_file, record, settings
from simulation.world import World
from tests.unit.test_aws import Answering
from tests.unit.test_flusher import held_by_hand, with_file

ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        *("Records", "Event", "requestPayload", "requestContext", "source", "detail", "time"),
        *("s3", "bucket", "object", "key", "name", "size", "eventTime", "eventName", "version"),
        *("file", "phone", "reason", "unreadable", "sequencer", "eventVersion", "eventSource"),
    ]
)
WORDS = st.sampled_from(
    [
        "s3:TestEvent",
        "aws.s3",
        "aws:s3",
        "2.6",
        "ObjectCreated:Put",
        "2026-11-23T14:05:09Z",
        "x",
        "",
    ]
)
LIKELY: Any = st.recursive(
    ANYTHING | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(LIKELY)
def test_an_event_is_read_into_log_files_and_unreadable_records(event: Any) -> None:
    for item in events.read(event):
        assert isinstance(item, LogFile | Unreadable)
        if isinstance(item, Unreadable):
            assert item.reason


@given(st.dictionaries(NAMES, LIKELY, max_size=4), st.text(min_size=1))
def test_a_record_with_any_change_is_a_log_file_or_kept_unchanged(
    changes: dict[str, Any], key: str
) -> None:
    changed = {**record(key), **changes}
    for item in events.read({"Records": [changed]}):
        assert isinstance(item, LogFile) or item.record == changed


@given(st.text() | LIKELY.map(json.dumps))
def test_a_message_is_read_into_notices_and_unreadable_records(body: str) -> None:
    for item in queue_messages.read(body, lambda _key: (PHONE,)):
        assert isinstance(item, Notice | Unreadable)


FIELDS = ("bucket", "key", "size", "time", "version", "sequencer")
ODD = st.sampled_from(
    [
        *("2026-11-23T14:05:09", "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"),
        *("0001-01-01T00:00:00+14:00", "\ud800", "+1", "a" * 1025, 10**400, -1, True, 5, 0.5),
    ]
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "more"]), LIKELY | ODD, max_size=3), LIKELY | ODD)
def test_a_notice_with_any_change_is_unreadable_or_can_be_written_in_every_zone(
    changes: dict[str, Any], phone: Any
) -> None:
    message = json.loads(queue_messages.to_message(log_file(), [PHONE], "digest"))
    message["file"] |= changes
    old = {name: value for name, value in message.items() if name != "phones"}
    for body in (message, message | {"phones": [PHONE, phone]}, old | {"phone": phone}):
        for item in queue_messages.read(json.dumps(body)):
            if isinstance(item, Notice):
                assert len(item.id) == ID_DIGITS
                for zone in ("America/New_York", "Pacific/Kiritimati", "Etc/GMT+12"):
                    text.write(item.file, MESSAGE, zoneinfo.ZoneInfo(zone)).encode()
                assert item.file.age(0) < 0


@given(
    st.dictionaries(
        st.sampled_from([*MissingLog._fields, "more"]), LIKELY | ODD, min_size=1, max_size=3
    )
)
def test_a_missing_log_with_any_change_is_unreadable_or_can_be_written_in_every_zone(
    changes: dict[str, Any],
) -> None:
    moment = datetime.datetime(2026, 11, 25, 6, 30, tzinfo=datetime.UTC)
    missing = MissingLog("backup", "backup/*.log", moment, moment, "by 06:30", "a.log", 5, "1 kB")
    message = json.loads(queue_messages.to_message(missing, [PHONE], "missing"))
    message["file"] |= changes
    (item,) = queue_messages.read(json.dumps(message))
    if isinstance(item, Notice):
        assert len(item.id) == ID_DIGITS
        for zone in ("America/New_York", "Pacific/Kiritimati", "Etc/GMT+12"):
            text.write(item.file, MESSAGE, zoneinfo.ZoneInfo(zone)).encode()
        assert item.file.age(0) < 0


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_json_of_any_depth_is_kept_unchanged(body: str) -> None:
    assert list(queue_messages.read(body)) == [Unreadable(reason="not JSON", record=body)]


FILES = st.builds(
    log_file,
    key=st.text(min_size=1, max_size=1024),
    bucket=st.text(min_size=3, max_size=63),
    size=st.none() | st.integers(0, 10**15),
    time=st.datetimes(
        datetime.datetime(1970, 1, 2),  # noqa: DTZ001  # hypothesis adds the zone
        datetime.datetime(9998, 12, 31),  # noqa: DTZ001  # the same
        timezones=st.just(datetime.UTC),
    ),
    version=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    sequencer=st.text("0123456789ABCDEF", max_size=40),
)


@given(FILES)
def test_a_text_due_is_read_from_its_message_as_it_was(file: LogFile) -> None:
    phones = [PHONE, OTHER_PHONE]
    message = queue_messages.to_message(file, phones, "digest")
    assert list(queue_messages.read(message)) == [Notice(file, phone) for phone in phones]


def visible(body: str) -> str:
    """Return a body without joiners, which emoji and some words contain."""
    return body.replace("\u200c", "").replace("\u200d", "")


@given(FILES)
def test_a_text_is_short_printable_and_says_something(file: LogFile) -> None:
    body = text.write(file, MESSAGE, datetime.UTC)
    assert 0 < len(body) <= text.MAX_CHARACTERS
    assert visible(body).isprintable()


@given(st.lists(FILES, min_size=2, max_size=30))
def test_a_summary_is_two_segments_at_most_and_printable(files: list[LogFile]) -> None:
    body = text.summarize(files, datetime.UTC)
    assert segments(body) <= text.SUMMARY_SEGMENTS
    assert visible(body).isprintable()


# Twilio's answers to its own client, over real HTTP

ASKED = "SM" + "0" * 32
TWILIO_LIKE: Any = st.fixed_dictionaries(
    {},
    optional={
        "sid": st.just(ASKED) | LIKELY,
        "status": st.sampled_from(["queued", "delivered", "undelivered", 401]) | LIKELY,
        "error_code": st.sampled_from([30007, "30007", "not_routable", 1e400]) | LIKELY,
        "date_created": st.just("Mon, 23 Nov 2026 14:05:09 +0000") | LIKELY,
        "to": st.just(PHONE) | LIKELY,
        "code": st.sampled_from([21610, "21610", "not_routable", 20003]) | LIKELY,
        "message": st.text() | LIKELY,
        "type": LIKELY,
        "title": LIKELY,
    },
)
DEEP = st.integers(1, 100_000).map(lambda depth: b"[" * depth)
BODIES = (
    (TWILIO_LIKE | LIKELY).map(lambda answered: json.dumps(answered).encode()) | st.binary() | DEEP
)
STATUSES = st.sampled_from([200, 201, 202, 204, 304, 307]) | st.integers(200, 599)


@pytest.fixture(scope="module")
def answering(patience: None) -> Iterator[Server]:
    """A server; while it runs, Python collects no garbage.

    Parsing deep JSON nearly fills the stack. A collection at that moment would run pytest's hooks
    for unclosed sockets, and they would overflow it.
    """
    gc.disable()
    with Server() as server:
        yield server
    gc.enable()


def set_answer(server: Server, status: int, body: bytes) -> TwilioSender:
    server.closes_connections = (
        True  # the client would read a body where HTTP allows none as the next answer
    )
    server.status, server.body = status, b"" if status in {204, 304} else body
    return TwilioSender(settings(twilio_api_url=server.url), new_session())


@given(status=STATUSES, body=BODIES)
def test_a_text_is_sent_with_a_sid_or_refused_for_any_answer_of_twilio(
    answering: Server, status: int, body: bytes
) -> None:
    texting = set_answer(answering, status, body)
    refused = None
    try:
        sid = texting.send(PHONE, "a text")
    except Refused as error:
        refused = error
    accepts = 200 <= status < 300
    if refused:
        assert PHONE not in f"{refused} {refused.refusal}"
        assert not accepts or refused.refusal.kind is Kind.IN_DOUBT
    else:
        assert accepts
        assert re.fullmatch("(SM|MM)[0-9a-fA-F]{32}", sid)
        assert json.loads(body)["sid"] == sid


@given(status=STATUSES, body=BODIES)
def test_a_delivery_is_read_or_refused_for_any_answer_of_twilio(
    answering: Server, status: int, body: bytes
) -> None:
    try:
        delivery = set_answer(answering, status, body).delivery(ASKED)
    except Refused:
        return
    assert status < 400
    assert json.loads(body)["sid"] == ASKED
    assert meaning(delivery.code)
    assert delivery.status


# The stand-in for Twilio, over real HTTP

SID, SECRET = "AC" + "0" * 32, "a secret of this test only"
FORMS = st.dictionaries(
    st.sampled_from(CREATE_PARAMETERS) | st.text(max_size=8),
    st.sampled_from(["+15005550006", "+15005550100", "MG" + "2" * 32, ""]) | st.text(max_size=80),
    max_size=6,
)


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with StandIn(account_sid=SID, credentials={SID: SECRET}) as running:
        yield running


@given(form=FORMS)
def test_the_stand_in_accepts_or_refuses_as_twilio_does(
    stand_in: StandIn, form: dict[str, str]
) -> None:
    answer = requests.post(
        f"{stand_in.url}{API}/Accounts/{SID}/Messages.json",
        data={name: value.encode("utf-8", "replace") for name, value in form.items()},
        auth=(SID, SECRET),
        timeout=60,
    )
    assert answer.status_code in {201, 400, 404, 429}
    answered = answer.json()
    assert answered["sid"].startswith("SM") if answer.status_code == 201 else answered["code"]


# A flush

OF_A_RECORD = ("eventVersion", "eventSource", "eventTime", "eventName")
OF_AN_OBJECT = ("key", "size", "eTag", "versionId", "sequencer")


@given(
    st.text(max_size=20)
    | LIKELY.map(json.dumps)
    | st.builds(
        lambda field, value: with_file(**{field: value}), st.sampled_from(FIELDS), LIKELY | ODD
    )
    | st.builds(
        lambda field, value: json.dumps({"Records": [record(**{"key": "x.log", field: value})]}),
        st.sampled_from([*OF_A_RECORD, *OF_AN_OBJECT]),
        LIKELY | ODD,
    )
)
def test_no_message_of_any_content_stops_a_flush(body: str) -> None:
    world = World()
    world.held.put(body)
    for phone in (PHONE, OTHER_PHONE):
        held_by_hand(world, "healthy.log", phone=phone)
    world.flush()
    assert {phone for _, phone, _ in world.texts} == {PHONE, OTHER_PHONE}
    assert world.notices_on(world.held) == []


# AWS's answers

ANSWERS: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["0", "S"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "__type",
                        "CancellationReasons",
                        "Code",
                        "Item",
                        "state",
                        "S",
                        "N",
                        "id",
                        "B",
                    ),
                    *("attempt", "attempt_at", "fingerprint", "texts", "text", "lease"),
                    *("Responses", "ledger", "UnprocessedKeys", "UnprocessedItems", "Keys"),
                    *("Items", "sid", "sent_at", "Messages", "Body", "ReceiptHandle"),
                    *("Attributes", "SentTimestamp", "Successful", "Failed", "Id"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(
    st.sampled_from([200, 400]),
    ANSWERS.filter(lambda answer: isinstance(answer, dict))
    | st.builds(
        lambda reasons: {
            "__type": "TransactionCanceledException",
            "CancellationReasons": reasons,
        },
        ANSWERS,
    ),
)
def test_an_answer_of_any_shape_raises_only_the_expected_errors(status: int, answer: Any) -> None:
    answering = Answering(status, answer)
    table, queue = Table(answering, "ledger"), Queue(answering, "https://sqs/held")
    ledger, index = Ledger(table), ReportIndex(table)
    wanted = Notice(log_file(), PHONE)
    attempts, attempt = Attempts(table), Attempt.of("a text", 0)
    assert isinstance(ledger.claim(wanted, body="a text", limits=LIMITS), Claim)
    assert attempts.look_up([wanted]).items.keys() <= {wanted.id}
    assert attempts.owners(["SM1"]).items.keys() <= {"SM1"}
    assert attempts.read([PHONE]).keys() <= {PHONE}
    for request in (
        lambda: ledger.record_sent([wanted.id], "SM1"),
        lambda: ledger.hold(wanted),
        lambda: ledger.fail(wanted),
        lambda: attempts.open(PHONE, PhoneAttempt(), [wanted], "a text"),
        lambda: attempts.close(PHONE, 1),
        lambda: attempts.hold(wanted),
        lambda: attempts.forget(wanted, attempt),
        lambda: ledger.count(PHONE),
        lambda: [len(one.id + one.sid) + one.sent_at for one in index.due()],
        lambda: [len(one.body + one.receipt) + one.sent_at for one in queue.receive()],
        lambda: queue.send(["a"]),
        lambda: queue.delete([Message("a", "r", 0)]),
        lambda: queue.give_back([Message("a", "r", 0)]),
    ):
        with contextlib.suppress(AwsError, NotRecorded, NotQueued):
            request()


@given(
    st.sampled_from([200, 302, 400, 403, 429, 500, 503]),
    st.binary(max_size=40) | ANSWERS.map(lambda answer: json.dumps(answer).encode()),
)
def test_an_answer_of_aws_is_an_object_or_an_error(
    answering: Server, status: int, body: bytes
) -> None:
    answering.closes_connections = False
    answering.status, answering.body = status, body
    aws = Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_ENDPOINT_URL": answering.url,
        },
        new_session(),
        sleep=lambda _: None,
    )
    try:
        answer: Any = aws.call("sqs", "ReceiveMessage", {})
    except AwsError as error:
        answer = error
    if isinstance(answer, AwsError):
        assert answer.code
        assert answer.is_temporary or 200 < status < 500
    else:
        assert status == 200
        assert isinstance(answer, dict)
