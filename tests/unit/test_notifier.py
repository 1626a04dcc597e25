"""Every text of `notify` ends as sent, held or failed, and a log line says so."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

import pytest

from handler import log
from handler.aws import Aws, AwsError
from handler.errors import LeaseHeld
from handler.events import LogFile, Unreadable
from handler.ledger import ASK_AFTER_SECONDS, LEASE_SECONDS
from handler.notice import Notice
from handler.notifier import BREAKER_SECONDS
from handler.queues import NotQueued
from handler.refusals import NO_ANSWER, NO_CONNECTION, NOT_TWILIO, Refusal, refusal
from handler.retries import BUSY_SECONDS
from handler.sender import SECONDS_TO_SEND
from simulation.samples import OTHER_PHONE, PHONE, TIME, record
from simulation.world import Crash, World

STOPPED = refusal(400, 21610)
UNAUTHORIZED = refusal(401, 20003)
NOT_THAT_COUNTRY = refusal(400, 21408)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in logged if line["outcome"] != "seen"]


def outcomes(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, str | None, str | None]]:
    return [(line["outcome"], line.get("phone"), line.get("reason")) for line in lines(capsys)]


def phones(world: World) -> list[str]:
    return [phone for _, phone, _ in world.texts]


def refusing(phone: str, with_: Refusal) -> Any:
    return lambda asked: with_ if asked == phone else None


def test_every_phone_is_texted_about_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.notify(record("a.log"), record("b.log"))
    assert phones(world) == [PHONE, OTHER_PHONE] * 2
    assert ["a.log" in body for _, _, body in world.texts] == [True, True, False, False]
    assert outcomes(capsys) == [("sent", "…0100", None), ("sent", "…0101", None)] * 2


def test_a_duplicate_of_an_event_causes_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.notify(record("a.log"))
    world.notify(record("a.log"), record("a.log"))
    assert phones(world) == [PHONE, OTHER_PHONE]
    assert [outcome for outcome, _, _ in outcomes(capsys)][2:] == ["duplicate"] * 4


def test_a_file_that_is_overwritten_on_purpose_is_texted_again() -> None:
    world = World()
    world.notify(record("a.log", sequencer="1"))
    world.notify(record("a.log", sequencer="2"))
    world.notify(record("a.log", sequencer="2", versionId="v2"))
    assert len(world.texts) == 6


def test_a_phone_that_can_never_be_texted_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    world.refuses = refusing(PHONE, STOPPED)
    world.notify(record("a.log"))
    assert phones(world) == [OTHER_PHONE]
    failed, _ = lines(capsys)
    assert (failed["outcome"], failed["level"], failed["code"]) == ("failed", "ERROR", "21610")
    assert failed["meaning"] == "the recipient replied STOP"
    kept = json.loads(world.failed[0].body)
    assert (kept["phones"], kept["code"], kept["reason"]) == ([PHONE], "21610", "phone")


@pytest.mark.parametrize("why", [NO_CONNECTION, NO_ANSWER, UNAUTHORIZED])
def test_a_text_that_twilio_may_accept_later_is_held(
    why: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(to_numbers=(PHONE,))
    world.refuses = refusing(PHONE, why)
    world.notify(record("a.log"))
    assert world.notices_on(world.held) == [Notice(world.notices_on(world.held)[0].file, PHONE)]
    assert json.loads(world.held[0].body)["reason"] == why.kind
    assert outcomes(capsys) == [("held", "…0100", why.kind)]


def test_no_text_is_tried_for_a_while_after_twilio_was_out_of_reach() -> None:
    world = World(to_numbers=(PHONE,))
    tried: list[str] = []

    def refuse(phone: str) -> Refusal:
        tried.append(phone)
        return NO_CONNECTION

    world.refuses = refuse
    for name in ("a.log", "b.log", "c.log"):
        world.notify(record(name))
    assert len(tried) == 1
    assert len(world.held) == 3
    world.now += BREAKER_SECONDS + 1
    world.notify(record("d.log"))
    assert len(tried) == 2


def test_a_phone_in_a_forbidden_country_stops_no_other_and_is_not_retried_at_once() -> None:
    world = World()
    tried: list[str] = []

    def refuse(phone: str) -> Refusal | None:
        tried.append(phone)
        return NOT_THAT_COUNTRY if phone == PHONE else None

    world.refuses = refuse
    for name in ("a.log", "b.log"):
        world.notify(record(name))
    assert tried == [PHONE, OTHER_PHONE, OTHER_PHONE]
    assert phones(world) == [OTHER_PHONE] * 2
    assert [one.phone for one in world.notices_on(world.held)] == [PHONE] * 2


THIRD_PHONE = "+15005550102"
BUSY, BROKEN = refusal(503), refusal(500, 20500)
OF_ONE_PHONE = [BUSY, BROKEN, NO_ANSWER, NOT_TWILIO, *(refusal(400, one) for one in (21606, 29999))]


class Tried(list[str]):
    """The phones that Twilio was asked to text, with the refusals that a test chooses."""

    def __init__(self, world: World, refused: dict[str, Refusal]) -> None:
        super().__init__()
        self._refused = refused
        world.refuses = self._refuse

    def _refuse(self, phone: str) -> Refusal | None:
        self.append(phone)
        return self._refused.get(phone)


@pytest.mark.parametrize("why", OF_ONE_PHONE)
def test_one_refused_phone_stops_no_other(why: Refusal) -> None:
    world = World()
    tried = Tried(world, {PHONE: why})
    for name in ("a.log", "b.log", "c.log"):
        world.notify(record(name))
    assert phones(world) == [OTHER_PHONE] * 3
    assert tried.count(PHONE) == 1
    assert [one.phone for one in world.notices_on(world.held)] == [PHONE] * 3


def test_no_more_phones_are_tried_once_a_second_phone_met_the_same_refusal() -> None:
    world = World(to_numbers=(PHONE, OTHER_PHONE, THIRD_PHONE))
    tried = Tried(world, dict.fromkeys((PHONE, OTHER_PHONE, THIRD_PHONE), BUSY))
    world.notify(record("a.log"), record("b.log"))
    assert tried == [PHONE, OTHER_PHONE]
    assert len(world.waiting) == 6


@pytest.mark.parametrize("why", [NO_CONNECTION, UNAUTHORIZED, refusal(403)])
def test_wrong_credentials_and_a_refused_connection_need_no_second_phone(why: Refusal) -> None:
    world = World()
    tried = Tried(world, {PHONE: why, OTHER_PHONE: why})
    world.notify(record("a.log"), record("b.log"))
    assert tried == [PHONE]
    assert len(world.waiting) == 4


def test_two_phones_that_twilio_always_refuses_stop_no_third() -> None:
    world = World(to_numbers=(PHONE, OTHER_PHONE, THIRD_PHONE))
    Tried(world, {PHONE: BROKEN, OTHER_PHONE: BROKEN})
    for name in ("a.log", "b.log", "c.log"):
        world.notify(record(name))
        world.now += BREAKER_SECONDS + 1
    assert phones(world) == [THIRD_PHONE] * 2  # all but the first


def test_a_text_that_twilio_certainly_refused_does_not_count(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=2)
    for number, why in enumerate([BUSY, STOPPED, NOT_THAT_COUNTRY, UNAUTHORIZED] * 3):
        world.refuses = lambda _, why=why: why  # type: ignore[misc]  # mypy infers no default
        world.notify(record(f"{number}.log"))
        world.now += BREAKER_SECONDS + 1
    world.end_outages()
    capsys.readouterr()
    for name in "abc":
        world.notify(record(name))
    assert outcomes(capsys) == [
        ("sent", "…0100", None),
        ("sent", "…0100", None),
        ("held", "…0100", "over the limit"),
    ]
    assert counted(world) == [2]


def test_a_text_in_doubt_counts() -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=2)
    world.refuses = lambda _: NO_ANSWER
    world.notify(record("a.log"))
    assert counted(world) == [1]


def test_a_count_is_given_back_to_the_hour_that_it_was_taken_from() -> None:
    world = World(to_numbers=(PHONE,))
    world.now = TIME.replace(minute=59, second=59).timestamp()

    def late(_phone: str) -> Refusal:
        world.now += 2
        return BUSY

    world.refuses = late
    world.notify(record("a.log"))
    assert counted(world) == [0]


def test_a_count_that_cannot_be_given_back_fails_no_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(to_numbers=(PHONE,))

    def busy_table(phone: str, at: float, limits: object) -> None:
        raise AwsError("UpdateItem", "ThrottlingException", {})

    monkeypatch.setattr(world.ledger, "uncount", busy_table)
    world.refuses = lambda _: BUSY
    world.notify(record("a.log"))
    assert [outcome for outcome, _, _ in outcomes(capsys)] == ["not recorded", "held"]
    assert counted(world) == [1]


def test_a_count_is_never_negative() -> None:
    world = World(to_numbers=(PHONE,))
    ledger = world.ledger
    ledger.uncount(PHONE, world.now)  # in an hour without a text
    assert counted(world) == []
    ledger.count(PHONE)
    for _ in range(3):
        ledger.uncount(PHONE, world.now)
    assert counted(world) == [0]


def counted(world: World) -> list[int]:
    """Return how many texts the table counts in each hour of a phone."""
    return [int(item["texts"]["N"]) for item in world.table.items.values() if "texts" in item]


@pytest.mark.parametrize(
    "code",
    ["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceeded"],
)
def test_a_throttled_table_holds_texts(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A storm of logs may throttle the table just when the limit matters most."""
    world = World(to_numbers=(PHONE,))
    world.throttled = code
    world.notify(record("a.log"))
    assert world.texts == []
    assert outcomes(capsys)[0] == ("held", "…0100", "the table is busy")


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_throttled_table_leaves_time_to_hold_the_text_of_every_phone(
    cancelled: bool,
) -> None:
    """All twenty texts are held long before Lambda ends the invocation, and none is sent."""
    world = Slow(to_numbers=tuple(f"+150055501{number:02}" for number in range(20)))
    code = "TransactionCanceledException" if cancelled else "ThrottlingException"
    reasons = {"CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "None"}]}
    world.refusal = AwsError("", code, reasons)
    begun = world.now
    world.notifier.notify({"Records": [record("a.log")]}, lambda: 60 - (world.now - begun))
    assert world.now - begun < 20
    assert world.texts == []
    assert {one.phone for one in world.notices_on(world.held)} == set(world.settings.to_numbers)
    world.refusal = None
    world.wait(BUSY_SECONDS)
    world.flush()
    assert len(world.texts) == 20


class Slow(World):
    """A world in which requests take time and the handler's own retries run."""

    refusal: AwsError | None = None  # the table's answer to every request

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def call(self, service: Any, operation: str, payload: Any) -> dict[str, Any]:
        return Aws.call(self, service, operation, payload)

    def _call(self, service: Any, operation: str, payload: Any) -> dict[str, Any]:
        self.wait(0.1)
        if self.refusal and service == "dynamodb":
            raise self.refusal
        return World.call(self, service, operation, payload)


@pytest.mark.parametrize("code", ["ThrottlingException", ""])
def test_a_claim_of_another_invocation_is_not_given_up(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A duplicate arrives during the sending. Its claim gets no answer, and SQS is down."""
    world = World(to_numbers=(PHONE,))

    def no_claim(_payload: Mapping[str, Any]) -> dict[str, Any]:
        raise AwsError("TransactWriteItems", code, {})

    def while_it_is_sent(_phone: str) -> None:
        world.refuses = lambda _: NO_CONNECTION
        world.down = {"sqs"}
        with monkeypatch.context() as patched:
            patched.setitem(world.operations, "TransactWriteItems", no_claim)
            with pytest.raises(AwsError):
                world.notify(record("a.log"))
        world.end_outages()
        with pytest.raises(LeaseHeld):
            world.notify(record("a.log"))

    world.refuses = while_it_is_sent
    world.notify(record("a.log"))
    assert len(world.texts) == 1


def test_a_claim_with_an_expired_lease_is_not_given_up() -> None:
    """The first invocation outlasts its lease, and SQS is down. The next one holds the text."""
    world = World(to_numbers=(PHONE,))

    def slowly(_phone: str) -> Refusal:
        world.now += LEASE_SECONDS + 1
        world.down = {"sqs"}
        return NO_CONNECTION

    world.refuses = slowly
    with pytest.raises(AwsError):
        world.notify(record("a.log"))
    world.end_outages()
    world.notify(record("a.log"))
    assert world.texts == []
    assert [json.loads(one.body)["reason"] for one in world.held] == ["in doubt"]


def test_without_the_table_each_copy_of_the_function_keeps_the_limit_by_itself() -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=3)
    world.down = {"dynamodb"}
    for number in range(10):
        world.notify(record(f"{number}.log", sequencer=str(number)))
    assert (len(world.texts), len(world.held)) == (3, 7)
    world.now += 3600
    world.notify(record("next.log"))
    assert len(world.texts) == 4


def test_a_text_that_may_have_gone_out_counts_too() -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=3)
    world.down, world.loses_answers = {"dynamodb", "sqs"}, True
    for number in range(6):
        with pytest.raises(AwsError):
            world.notify(record(f"{number}.log", sequencer=str(number)))
        world.now += BREAKER_SECONDS + 1
    assert len(world.texts) == 3


def test_over_the_limit_texts_are_held_until_the_next_hour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=2)
    for name in "abcd":
        world.notify(record(f"{name}.log"))
    assert len(world.texts) == 2
    assert outcomes(capsys)[2:] == [("held", "…0100", "over the limit")] * 2
    world.now += 3600
    world.notify(record("e.log"))
    assert len(world.texts) == 3


def test_one_phone_over_its_limit_holds_back_no_other() -> None:
    world = World(max_texts_per_hour=1)
    world.refuses = refusing(OTHER_PHONE, NO_ANSWER)  # in doubt
    world.notify(record("a.log"))
    world.restart()
    world.refuses = lambda _: None
    world.notify(record("b.log"))
    assert phones(world) == [PHONE]  # each has had its one text of this hour
    assert len(world.waiting) == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mode": "digest"}, "digest"),
        ({"quiet_hours": "14:00-15:00"}, "quiet hours"),
        ({"quiet_hours": "23:00-00:00", "timezone": "Asia/Tokyo"}, "quiet hours"),
    ],
)
def test_settings_may_hold_every_text(
    changes: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(to_numbers=(PHONE,), **changes)
    world.notify(record("a.log"))
    world.notify(record("a.log"))
    assert world.texts == []
    assert outcomes(capsys) == [("held", "…0100", reason), ("duplicate", "…0100", None)]


def test_the_remaining_texts_are_held_when_time_runs_short(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    world.notify(record("a.log"), seconds_left=SECONDS_TO_SEND - 1)
    assert world.texts == []
    assert [reason for _, _, reason in outcomes(capsys)] == ["out of time"] * 2


def test_without_the_table_the_text_goes_out(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(to_numbers=(PHONE,))
    world.down = {"dynamodb"}
    world.notify(record("a.log"))
    assert phones(world) == [PHONE]
    assert [outcome for outcome, _, _ in outcomes(capsys)] == [
        "claim failed open",
        "sent",
        "not recorded",
    ]


def test_conflicting_claims_are_retried(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(to_numbers=(PHONE,))
    world.conflicts = 2
    world.notify(record("a.log"))
    assert outcomes(capsys) == [("sent", "…0100", None)]


def test_texts_with_lasting_claim_conflicts_are_held(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,))
    world.conflicts = 3
    world.notify(record("a.log"))
    assert outcomes(capsys) == [("held", "…0100", "the table is busy")]


def test_a_text_that_cannot_be_held_is_left_to_lambdas_retry() -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.down = {"sqs"}
    with pytest.raises(AwsError):
        world.notify(record("a.log"))
    world.down = set()
    world.now += 60
    world.notify(record("a.log"))
    assert len(world.held) == 1


def test_a_text_that_another_invocation_sends_is_left_to_lambdas_retry_and_held_then() -> None:
    world = World(to_numbers=(PHONE,))
    world.crash_at = world.steps + 2  # after the claim, before the text
    with pytest.raises(Crash):
        world.notify(record("a.log"))
    world.crash_at = None
    world.restart()
    with pytest.raises(LeaseHeld, match="A text to …0100"):
        world.notify(record("a.log"), record("b.log"))
    assert ["b.log" in body for _, _, body in world.texts] == [True]
    world.now += LEASE_SECONDS + 1
    world.notify(record("a.log"), record("b.log"))
    assert [one.file.key for one in world.waiting] == ["a.log"]
    world.now += ASK_AFTER_SECONDS
    world.flush()
    assert [body.split()[2] for _, _, body in world.texts] == ["b.log,", "a.log,"]


def test_a_text_without_an_outcome_stops_no_other() -> None:
    world = World()
    world.down = {"sqs"}
    world.refuses = refusing(PHONE, STOPPED)
    with pytest.raises(AwsError):
        world.notify(record("a.log"), record("b.log"))
    assert phones(world) == [OTHER_PHONE] * 2
    world.end_outages()
    world.notify(record("a.log"), record("b.log"))  # no wait: the claims were given up
    assert sorted(phones(world)) == [PHONE] * 2 + [OTHER_PHONE] * 2


def test_an_entry_that_sqs_rejects_is_sent_again_once_and_then_raised() -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.refused_entries = 1
    world.notify(record("a.log"))
    assert len(world.held) == 1
    world.refused_entries = 2
    with pytest.raises(NotQueued, match="InternalError"):
        world.notify(record("b.log"))


def test_an_accepted_text_is_not_repeated_when_recording_it_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()

    def raise_unexpected(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setitem(world.operations, "BatchWriteItem", raise_unexpected)
    world.notify(record("a.log"))
    assert (len(world.texts), len(world.held), len(world.failed)) == (2, 0, 0)


def test_an_unexpected_exception_fails_one_text_and_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()

    def raise_unexpected(phone: str) -> None:
        if phone == PHONE:
            raise RuntimeError(f"of {phone}")

    world.refuses = raise_unexpected
    world.notify(record("a.log"))
    assert phones(world) == [OTHER_PHONE]
    failed, _ = lines(capsys)
    assert (failed["outcome"], failed["reason"], failed["code"]) == (
        "failed",
        "unexpected",
        "RuntimeError",
    )
    assert failed["UnexpectedErrors"] == 1
    assert PHONE not in json.dumps(failed)
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE]
    assert "RuntimeError" in world.failed[0].body
    world.end_outages()
    world.redrive()
    world.now += ASK_AFTER_SECONDS  # in doubt, so a flush asks Twilio
    world.flush()
    assert (phones(world), world.lists) == ([OTHER_PHONE, PHONE], 1)


def test_a_text_is_sent_once_although_logging_it_raises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(to_numbers=(PHONE,))
    monkeypatch.setattr(LogFile, "age", lambda _file, _now: 1 // 0)
    world.notify(record("a.log"))
    world.notify(record("a.log"))
    assert [(outcome, reason) for outcome, _, reason in outcomes(capsys)] == [
        ("unexpected", "unexpected"),
        ("duplicate", None),
    ]
    assert phones(world) == [PHONE]
    assert world.failed == []


def test_an_unreadable_record_fails_unchanged_and_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,))
    broken = record("a.log", eventVersion="9.0")
    world.notify(broken, record("b.log"))
    assert json.loads(world.failed[0].body) == {
        "unreadable": broken,
        "reason": "its eventVersion is not 2.x",
    }
    assert [outcome for outcome, _, _ in outcomes(capsys)] == ["sent", "failed"]


def test_an_unreadable_record_fails_once_although_its_event_is_retried() -> None:
    world = World(to_numbers=(PHONE,))
    event = [record("broken.log", eventVersion="9.0"), record("a.log")]

    def crash(_phone: str) -> Any:
        raise Crash

    world.refuses = crash
    with pytest.raises(Crash):
        world.notify(*event)
    world.end_outages()
    with pytest.raises(LeaseHeld):
        world.notify(*event)
    assert world.failed == []
    world.now += LEASE_SECONDS + 1
    world.notify(*event)
    assert (len(world.waiting), len(world.failed)) == (1, 1)


def test_a_record_that_cannot_be_written_stops_no_other() -> None:
    """Lambda tries the event again, and then puts it on `failed` unchanged."""
    world = World(to_numbers=(PHONE,))
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        world.notify(deep, record("a.log"))
    assert phones(world) == [PHONE]


def test_the_test_event_of_s3_causes_no_request() -> None:
    world = World()
    world.notifier.notify({"Event": "s3:TestEvent"}, lambda: 60)
    assert world.steps == 0


def test_a_folder_is_logged_and_not_texted(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(to_numbers=(PHONE,))
    world.notify(record("app/", size=0), record("app/a.log"))
    assert ["app/a.log" in body for _, _, body in world.texts] == [True]
    assert outcomes(capsys) == [("ignored", None, "a folder, not a log"), ("sent", "…0100", None)]


def test_an_empty_log_is_texted_as_empty_and_its_content_as_a_second_log() -> None:
    """Tools that mount a bucket, such as s3fs, create an empty object before they write it."""
    world = World(to_numbers=(PHONE,))
    world.notify(record("a.log", size=0, sequencer="1"))
    world.notify(record("a.log", size=512, sequencer="2"))
    assert [body.split(",")[1] for _, _, body in world.texts] == [" empty", " 512 B"]


def test_the_times_in_a_text_are_those_of_the_setting() -> None:
    world = World(timezone="Asia/Tokyo")
    world.notify(record("a.log"))
    assert "23 Nov 23:05 JST" in world.texts[0][2]


def test_a_log_line_has_file_phone_and_sid_but_no_whole_number_and_no_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,))
    world.log.request_id = "1"
    world.notify(record("a%0Ab.log"))
    printed = capsys.readouterr().out
    assert printed.count("\n") == 2
    line = json.loads(printed.splitlines()[1])
    del line["_aws"], line["timestamp"], line["requestId"]
    assert line == {
        "level": "INFO",
        "outcome": "sent",
        "bucket": "logs-1a2b3c4",
        "key": "a\nb.log",
        "size": 1024,
        "phone": "…0100",
        "sid": "SM" + "0" * 31 + "1",
        "stack": "s3-logs/test",
        "TextsAccepted": 1,
        "Segments": 1,
        "SecondsToText": 0.9,
    }
    assert PHONE not in printed
    assert world.texts[0][2] not in printed


def test_a_masked_number_shows_four_digits() -> None:
    assert log.masked("+4915112345678") == "…5678"


def test_the_ledger_holds_no_phone_number_and_expires(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.notify(record("a.log"))
    assert PHONE not in str(world.table.items)
    days = [(int(item["expires"]["N"]) - world.now) / 86400 for item in world.table.items.values()]
    assert all(0 < day <= 30 for day in days)


def test_the_time_of_a_file_is_kept_while_it_is_held() -> None:
    world = World(mode="digest")
    world.notify(record("a.log", eventTime="2026-11-23T03:00:00.500Z"))
    (first, _) = world.notices_on(world.held)
    assert not isinstance(first, Unreadable)
    assert first.file.time == datetime.datetime(2026, 11, 23, 3, 0, 0, 500000, datetime.UTC)


# Limits


def test_a_storm_of_200_files_is_five_texts_and_one_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(max_texts_at_once=5)
    for number in range(200):
        world.notify(record(f"app/{number}.log"))
        world.restart()  # another copy of the function for each log
    assert phones(world) == [PHONE, OTHER_PHONE] * 5
    assert {reason for outcome, _, reason in outcomes(capsys) if outcome == "held"} == {
        "too many at once"
    }
    world.flush()
    assert phones(world)[10:] == [PHONE, OTHER_PHONE]
    assert all(body.startswith("195 more logs") for _, _, body in world.texts[10:])
    assert world.held == []


@pytest.mark.parametrize(("minutes", "burst"), [(1, 60), (7, 420), (60, 3600), (1440, 3600)])
def test_a_burst_is_the_time_between_two_flushes_and_an_hour_at_most(
    minutes: int, burst: int
) -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=2, flush_minutes=minutes)
    world.now = TIME.replace(minute=0, second=0).timestamp()
    for seconds in (0, 1, burst - 1, burst, burst + 1):
        world.now = TIME.replace(minute=0, second=0).timestamp() + seconds
        world.notify(record(f"{seconds}.log"))
        world.restart()
    assert [body.split()[2] for _, _, body in world.texts] == [
        f"{seconds}.log," for seconds in (0, 1, burst, burst + 1)
    ]


def test_the_limit_of_the_hour_holds_over_all_its_bursts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=2, max_texts_per_hour=3)
    world.now = TIME.replace(minute=0, second=0).timestamp()
    for number in range(6):
        world.notify(record(f"{number}.log"))
        world.now += 110
        world.restart()
    assert outcomes(capsys) == [
        ("sent", "…0100", None),
        ("sent", "…0100", None),
        ("held", "…0100", "too many at once"),
        ("sent", "…0100", None),
        ("held", "…0100", "over the limit"),
        ("held", "…0100", "over the limit"),
    ]


def test_without_the_table_each_copy_of_the_function_keeps_the_burst_by_itself() -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=2)
    world.down = {"dynamodb"}
    for number in range(5):
        world.notify(record(f"{number}.log"))
    assert (len(world.texts), len(world.held)) == (2, 3)
    world.now += 300
    world.notify(record("next.log"))
    assert len(world.texts) == 3


def test_a_reached_limit_costs_the_table_one_refused_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=1)
    claims = 0
    transact = world.operations["TransactWriteItems"]

    def counted_transaction(payload: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal claims
        claims += len(payload["TransactItems"]) == 2
        return transact(payload)

    world.operations["TransactWriteItems"] = counted_transaction
    world.notify(record("first.log"))
    world.restart()
    for number in range(5):
        world.notify(record(f"{number}.log"))
    assert claims == 2


@pytest.mark.parametrize("why", [BUSY, STOPPED])
def test_a_text_that_twilio_certainly_refused_does_not_count_in_its_burst(why: Refusal) -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=1)
    world.refuses = lambda _: why
    world.notify(record("a.log"))
    world.end_outages()
    world.restart()
    world.notify(record("b.log"))
    assert phones(world) == [PHONE]


def test_a_summary_takes_no_texts_of_a_burst_away() -> None:
    world = World(to_numbers=(PHONE,), max_texts_at_once=1, mode="digest")
    world.notify(record("a.log"))
    world.flush()
    world.settings = world.settings._replace(mode="instant")
    world.restart()
    world.notify(record("b.log"))
    assert len(world.texts) == 2
