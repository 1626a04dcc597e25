"""Held texts become one summary for each phone, and are deleted only then."""

import datetime
import itertools
import json
import random
import tracemalloc
import zoneinfo
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import (
    flusher,
    held_messages,
    message_reader,
    queue_messages,
    sender,
    summaries,
)
from handler.aws import AwsError
from handler.ledger import ASK_AFTER_SECONDS
from handler.queues import VISIBILITY_SECONDS, NotQueued
from handler.refusals import NO_ANSWER, NO_CONNECTION, NOT_TWILIO, Refusal, refusal
from handler.segments import segments
from handler.text import SUMMARY_KEYS, SUMMARY_SEGMENTS, summarize
from infra.queues import FLUSH_SECONDS, HELD_SECONDS
from simulation.quick_table import QuickTable
from simulation.samples import OTHER_PHONE, PHONE, TIME, log_file, record
from simulation.world import Crash, World

STOPPED = refusal(400, 21610)
NOT_THAT_COUNTRY = refusal(400, 21408)
MINUTE, DAY = 60, 24 * 60 * 60


@pytest.fixture
def world() -> World:
    """A world in which three files are held for two phones."""
    world = World(mode="digest")
    world.notify(record("app/a.log"), record("app/b.log"), record("db/c.log"))
    assert len(world.held) == 3
    return world


def held_by_hand(
    world: World, key: str, phone: str = PHONE, *, first: bool = False, **changes: Any
) -> None:
    message = queue_messages.to_message(log_file(key, **changes), [phone], "digest")
    world.held.put(message, first=first)


def put_all(world: World, bodies: Iterable[str]) -> None:
    for body in bodies:
        world.held.put(body)


def test_each_phone_gets_one_summary(world: World) -> None:
    world.flush()
    assert [(phone, body) for _, phone, body in world.texts] == [
        (
            phone,
            "3 more logs since 23 Nov 14:05 UTC: app/a.log, app/b.log, db/c.log",
        )
        for phone in (PHONE, OTHER_PHONE)
    ]
    assert world.held == []


def test_one_held_file_is_texted_as_itself() -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.notify(record("app/a.log"))
    world.flush()
    assert world.texts[0][2] == "New log app/a.log, 1.0 kB, 23 Nov 14:05 UTC in logs-1a2b3c4"


def test_an_empty_queue_causes_no_text() -> None:
    world = World()
    world.flush()
    assert world.texts == []


def test_a_duplicate_of_an_event_after_the_flush_causes_no_text(world: World) -> None:
    world.flush()
    world.notify(record("app/a.log"))
    assert world.held == []


def test_a_message_that_sqs_delivers_twice_is_texted_once(world: World) -> None:
    copies = [one.body for one in world.held]
    put_all(world, copies)
    world.flush()
    assert [body.split()[0] for _, _, body in world.texts] == ["3", "3"]
    put_all(world, copies)
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []


def test_one_file_announced_by_s3_and_eventbridge_is_one_text() -> None:
    """Both events have the same bucket, key and sequencer. EventBridge's time has no fraction."""
    world = World(to_numbers=(PHONE,))
    for time in (TIME, TIME.replace(microsecond=120_000)):
        held_by_hand(world, "a.log", time=time, sequencer="0A1B2C")
    world.flush()
    assert [body for _, _, body in world.texts] == [
        "New log a.log, 1.2 MB, 23 Nov 14:05 UTC in logs-1a2b3c4"
    ]
    assert world.held == []


def test_two_events_of_one_file_count_once_in_a_summary(world: World) -> None:
    again = record("app/a.log", eventTime="2026-11-23T14:05:10Z")
    event = {"requestContext": {}, "requestPayload": {"Records": [again]}}
    world.held.put(json.dumps(event))
    world.flush()
    assert [body.split()[0] for _, _, body in world.texts] == ["3", "3"]
    assert world.held == []


def test_a_refused_text_stays_held_until_twilio_accepts_it(world: World) -> None:
    world.refuses = lambda _: NO_CONNECTION
    for _ in range(5):
        world.flush()
        world.now += VISIBILITY_SECONDS + 1
    assert world.texts == []
    assert len(world.held) == 3
    world.refuses = lambda _: None
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []


def test_a_flush_tries_only_one_phone_while_twilio_is_out_of_reach(world: World) -> None:
    tried: list[str] = []

    def refuse(phone: str) -> Refusal:
        tried.append(phone)
        return NO_CONNECTION

    world.refuses = refuse
    world.flush()
    assert tried == [PHONE]


def test_a_phone_that_can_never_be_texted_fails_and_stops_no_other(world: World) -> None:
    world.refuses = lambda phone: STOPPED if phone == PHONE else None
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE] * 3
    assert json.loads(world.failed[0].body)["meaning"] == "the recipient replied STOP"
    assert world.held == []


def test_a_failed_text_is_sent_after_a_redrive(world: World) -> None:
    world.refuses = lambda phone: STOPPED if phone == PHONE else None
    world.flush()
    world.refuses = lambda _: None
    world.redrive()
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE, PHONE]
    assert world.held == world.failed == []


def test_an_event_that_lambda_gave_up_on_is_texted_after_a_redrive() -> None:
    world = World()
    world.notify(record("a.log"))
    event = {"Records": [record("a.log"), record("b.log")]}
    envelope = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    world.failed.put(json.dumps(envelope))
    world.redrive()
    world.flush()
    assert len(world.texts) == 4
    assert all("b.log" in body for _, _, body in world.texts[2:])
    assert world.held == []


@pytest.mark.parametrize("body", ["nonsense", '{"a": 1}', '{"file": {}, "phone": "+1"}', "[]"])
def test_an_unreadable_message_fails_and_stops_no_other(world: World, body: str) -> None:
    world.held.put(body, first=True)
    world.flush()
    assert len(world.texts) == 2
    assert len(world.failed) == 1
    world.redrive()
    world.flush()
    assert len(world.failed) == 1
    assert world.held == []


def test_an_unreadable_record_fails_unchanged_after_a_redrive() -> None:
    world = World()
    broken = record("a.log", eventVersion="9.0")
    world.notify(broken)
    before = json.loads(world.failed[0].body)
    world.redrive()
    world.flush()
    assert json.loads(world.failed[0].body) == before


def test_a_phone_removed_from_the_settings_is_not_texted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    held_by_hand(world, "a.log", phone="+15005550177")
    world.now += message_reader.OTHER_SETTINGS_SECONDS + 1
    world.flush()
    assert {phone for _, phone, _ in world.texts} == {PHONE, OTHER_PHONE}
    assert world.held == world.failed == []
    (dropped,) = logged(capsys, "dropped")
    assert dropped["phone"] == "…0177"


def test_a_text_to_an_unknown_phone_is_held_for_a_flush_with_newer_settings(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """During a deployment a flush may still have the old settings."""
    new = "+15005550177"
    held_by_hand(world, "a.log", phone=new)
    world.now += message_reader.OTHER_SETTINGS_SECONDS - 1
    world.flush()
    assert {phone for _, phone, _ in world.texts} == {PHONE, OTHER_PHONE}
    assert [one.visible_at for one in world.held] == [world.now]
    (line,) = logged(capsys, "flushed")
    assert (line["for_other_settings"], line["given_back"], line["BacklogAge"]) == (1, 1, 0)
    world.settings = world.settings._replace(to_numbers=(new,))
    world.restart()
    world.flush()
    assert world.texts[-1][1] == new
    assert world.held == []


# A bad message delays no other


def logged(capsys: pytest.CaptureFixture[str], outcome: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["outcome"] == outcome]


def with_file(**changes: Any) -> str:
    message = json.loads(queue_messages.to_message(log_file(), [PHONE], "digest"))
    message["file"] |= changes
    return json.dumps(message)


POISON = [
    *(with_file(key=5), with_file(size="1 kB"), with_file(time="2026-11-23T14:05:09")),
    *(with_file(time="0001-01-01T00:00:00+00:00"), with_file(version=["v1"])),
    *("[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "", "null", "5"),
    json.dumps({"Records": [record("a.log", versionId=["v1"])]}),
    json.dumps({"Records": [record("a.log", eventTime="0001-01-01T00:00:00Z")]}),
]


@pytest.mark.parametrize("body", POISON)
def test_a_poisoned_message_fails_and_stops_neither_texts_nor_reports(body: str) -> None:
    world = World(timezone="America/New_York")
    world.notify(record("before.log"))
    world.now += 61
    world.held.put(body)
    held_by_hand(world, "a.log")
    held_by_hand(world, "b.log", phone=OTHER_PHONE)
    world.held.put(body)
    world.flush()
    assert [phone for _, phone, _ in world.texts[2:]] == [PHONE, OTHER_PHONE]
    assert len(world.queried_sids) == 2
    assert (len(world.failed), len(world.held)) == (2, 0)


def test_messages_of_any_size_and_shape_fit_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed JSON takes far more memory than its text, so unreadable messages stay text."""
    monkeypatch.setattr(held_messages, "MAX_CHARACTERS", 600_000)  # a fiftieth of the real limit
    heap = with_long_receipts()
    body = "[" + "[]," * 10_000 + "0]"  # 30 kB, and 20 times as much when parsed
    put_all(heap, [body] * 50)
    tracemalloc.start()
    heap.flush()
    peak = tracemalloc.get_traced_memory()[1] - sum(len(one.body) for one in heap.failed)
    tracemalloc.stop()
    assert len(heap.failed) == 20
    assert peak < 90_000_000 / 50


def test_an_unexpected_exception_fails_its_message_and_names_its_class(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, broken = (
        queue_messages.read,
        queue_messages.to_message(log_file("broken.log"), [PHONE], "digest"),
    )

    def reading(body: str, phones: Any) -> Any:
        if body == broken:
            raise ZeroDivisionError(PHONE)
        return read(body, phones)

    world.held.put(broken, first=True)
    monkeypatch.setattr(queue_messages, "read", reading)
    world.flush()
    assert len(world.texts) == 2
    (kept,) = [json.loads(one.body) for one in world.failed]
    assert (kept["unreadable"], kept["code"]) == (broken, "ZeroDivisionError")
    printed = capsys.readouterr().out
    assert '"UnexpectedErrors": 1' in printed
    assert PHONE not in printed
    monkeypatch.setattr(queue_messages, "read", read)  # a new deployment can read it
    world.redrive()
    world.flush()
    assert "broken.log" in world.texts[-1][2]
    assert world.held == world.failed == []


def raise_unexpected(*_: Any) -> None:
    raise RuntimeError(PHONE)


def test_an_accepted_text_is_not_repeated_when_recording_it_raises(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(world.operations, "BatchWriteItem", raise_unexpected)
    world.flush()
    assert (len(world.texts), len(world.held), len(world.failed)) == (2, 0, 0)
    assert [line["code"] for line in logged(capsys, "unexpected")] == ["RuntimeError"] * 2


def test_an_unexpected_error_while_failing_one_phone_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.refuses = lambda phone: STOPPED if phone == PHONE else None
    monkeypatch.setattr(world.outcomes, "fail", lambda *_, **__: raise_unexpected())
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert {notice.phone for notice in world.waiting} == {PHONE}
    assert len(logged(capsys, "unexpected")) == 1


def test_a_folder_in_a_redriven_event_causes_no_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    event = {"Records": [record("app/", size=0)]}
    world.held.put(json.dumps({"requestContext": {}, "requestPayload": event}))
    world.flush()
    assert (world.texts, len(world.held), len(world.failed)) == ([], 0, 0)
    assert len(logged(capsys, "ignored")) == 2


def test_a_text_that_was_not_counted_is_not_subtracted_from_the_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other text of this hour still counts."""
    world = World(to_numbers=(PHONE,), max_texts_per_hour=1)
    world.notify(record("a.log"))
    held_by_hand(world, "b.log")
    update = world.operations["UpdateItem"]

    def does_not_count(payload: Any) -> Any:
        if "texts :one" in payload["UpdateExpression"]:
            raise AwsError("UpdateItem", "InternalServerError", {})
        return update(payload)

    with monkeypatch.context() as patched:
        patched.setitem(world.operations, "UpdateItem", does_not_count)
        world.refuses = lambda _: NO_CONNECTION
        world.flush()
    world.end_outages()
    world.restart()
    world.notify(record("c.log"))
    assert len(world.texts) == 1


def test_an_unexpected_error_while_looking_up_texts_delays_no_report(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.flush()
    held_by_hand(world, "next.log")
    world.now += ASK_AFTER_SECONDS
    monkeypatch.setitem(world.operations, "BatchGetItem", raise_unexpected)
    world.flush()
    assert len(world.queried_sids) == 2
    assert [one.file.key for one in world.waiting] == ["next.log"]
    assert len(logged(capsys, "unexpected")) == 1


def test_a_message_fails_with_its_error_where_its_record_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_items: Any) -> None:
        raise RecursionError

    monkeypatch.setattr(world.flusher._outcomes, "fail_unreadable", fail)
    world.held.put('{"a": 1}')
    world.flush()
    assert [json.loads(one.body)["code"] for one in world.failed] == ["RecursionError"]
    assert world.held == []


def test_a_message_that_the_failed_queue_rejects_stays_held_and_the_drain_goes_on(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.held.put("more", first=True)
    world.held.put("nonsense", first=True)
    world.refused_entries = 2  # both tries of the first message
    with pytest.raises(NotQueued):
        world.flush()
    assert len(world.texts) == 2
    assert [one.body for one in world.held] == ["nonsense"]
    assert [json.loads(one.body)["unreadable"] for one in world.failed] == ["more"]
    assert len(logged(capsys, "no outcome yet")) == 1
    world.flush()
    assert (len(world.failed), len(world.held)) == (2, 0)


def test_a_text_that_the_failed_queue_rejects_stays_held_and_the_others_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summaries, "FAILED_AT_ONCE", 10)
    world = World(to_numbers=(PHONE,))
    for number in range(30):
        held_by_hand(world, f"{number}.log")
    world.refuses = lambda _: STOPPED
    world.refused_entries = 11  # the first ten, and then one of them again
    with pytest.raises(NotQueued):
        world.flush()
    assert len(world.waiting) == 10
    assert {one.file.key for one in world.notices_on(world.failed)} >= {
        f"{n}.log" for n in range(10, 30)
    }


@pytest.mark.parametrize("lost", ["SendMessageBatch", "DeleteMessageBatch"])
def test_every_phone_is_texted_although_one_sqs_operation_fails(
    world: World, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_payload: Mapping[str, Any]) -> dict[str, Any]:
        raise AwsError(lost, "AccessDeniedException", {})

    world.held.put("nonsense", first=True)
    world.operations[lost] = fail
    with pytest.raises(AwsError, match=lost):
        world.flush()
    assert len(world.texts) == 2


def test_a_drain_that_fails_midway_texts_the_messages_it_received(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receive, calls = world.operations["ReceiveMessage"], itertools.count()

    def once(payload: Mapping[str, Any]) -> dict[str, Any]:
        if next(calls):
            raise AwsError("ReceiveMessage", "", {})
        return receive(payload)

    world.notify(record("before.log"))
    world.operations["ReceiveMessage"] = once
    with pytest.raises(AwsError, match="ReceiveMessage"):
        world.flush()
    assert len(world.texts) == 2
    assert world.held == []
    assert len(logged(capsys, "flushed")) == 1


def test_an_unreadable_record_fails_once_and_after_the_rest_of_its_message_is_sent() -> None:
    world = World(to_numbers=(PHONE,))
    broken = record("b.log", eventVersion="9.0")
    event = {"Records": [record("a.log"), broken]}
    envelope = {"requestContext": {}, "requestPayload": event}
    world.held.put(json.dumps(envelope))
    world.refuses = lambda _: NO_CONNECTION
    for _ in range(5):
        world.flush()
        world.now += VISIBILITY_SECONDS + 1
    assert (len(world.failed), len(world.held)) == (0, 1)
    world.end_outages()
    world.flush()
    assert ["a.log" in body for _, _, body in world.texts] == [True]
    assert [json.loads(one.body)["unreadable"] for one in world.failed] == [broken]
    assert world.held == []


def test_the_batch_that_cannot_be_looked_up_stays_held_and_nothing_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(to_numbers=(PHONE,))
    for number in range(300):
        held_by_hand(world, f"{number}.log")
    again = [one.body for one in world.held]
    world.flush()
    put_all(world, again)
    held_by_hand(world, "new.log")
    get, calls = world.operations["BatchGetItem"], itertools.count()

    def fail_third(payload: Mapping[str, Any]) -> dict[str, Any]:
        if next(calls) == 3:
            raise AwsError("BatchGetItem", "ThrottlingException", {})
        return get(payload)

    world.operations["BatchGetItem"] = fail_third
    capsys.readouterr()
    world.flush()
    assert [body.split()[0] for _, _, body in world.texts] == ["300", "New"]
    (line,) = logged(capsys, "not looked up")
    assert line["ClaimsFailedOpen"] == len(world.held) == 100
    world.flush()
    assert (len(world.texts), len(world.held)) == (2, 0)


# Texts that a flush could not send


def test_a_refused_text_is_given_back_for_the_next_flush(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.refuses = lambda _: NO_CONNECTION
    world.flush()
    assert {one.visible_at for one in world.held} == {world.now}
    (line,) = logged(capsys, "flushed")
    values = [
        line[key] for key in ("messages", "given_back", "Backlog", "reason", "code", "meaning")
    ]
    assert values == [3, 3, 3, "busy", "0", "no connection to Twilio"]
    world.end_outages()
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []
    assert "reason" not in logged(capsys, "flushed")[0]


def test_refused_texts_are_given_back_after_every_phone_was_tried(world: World) -> None:
    """Otherwise another flush could receive them while this one is still sending."""
    hidden: list[bool] = []

    def refuse(phone: str) -> Refusal | None:
        hidden.append(all(one.visible_at > world.now for one in world.held))
        return NOT_THAT_COUNTRY if phone == PHONE else None

    world.refuses = refuse
    world.flush()
    assert hidden == [True, True]
    assert [one.visible_at for one in world.held] == [world.now] * 3


def test_giving_back_takes_no_more_time_than_there_is(world: World) -> None:
    for number in range(60):
        held_by_hand(world, f"{number}.log")
    world.refuses = lambda _: NO_CONNECTION
    begun = world.steps
    world.flusher.flush(lambda: 42.0 - (world.steps - begun))  # a step takes a second
    a_request_and_the_reports = 4
    last = 42 - held_messages.SECONDS_TO_GIVE_BACK + a_request_and_the_reports
    assert world.steps - begun <= last
    given_back = [one for one in world.held if one.visible_at == world.now]
    assert 0 < len(given_back) < len(world.held)


def test_a_message_that_cannot_be_given_back_waits_for_its_visibility_timeout(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_payload: Mapping[str, Any]) -> dict[str, Any]:
        raise AwsError("ChangeMessageVisibilityBatch", "AccessDeniedException", {})

    world.operations["ChangeMessageVisibilityBatch"] = fail
    world.refuses = lambda _: NO_CONNECTION
    world.flush()
    assert "AccessDenied" in logged(capsys, "not given back")[0]["meaning"]
    world.end_outages()
    world.flush()
    assert world.texts == []
    world.now += VISIBILITY_SECONDS + 1
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []


def test_a_flush_in_quiet_hours_receives_no_message() -> None:
    world = World(quiet_hours="14:00-15:00")
    world.notify(record("a.log"), record("b.log"))
    world.flush()
    assert world.texts == []
    assert all(one.receive_count == 0 for one in world.held)
    world.now += 3600
    world.flush()
    assert len(world.texts) == 2


def test_a_flush_counts_toward_the_limit_but_is_not_held_back_by_it() -> None:
    world = World(max_texts_per_hour=1, to_numbers=(PHONE,))
    world.notify(record("a.log"), record("b.log"))
    world.flush()
    assert len(world.texts) == 2
    world.now += 3600
    held_by_hand(world, "c.log")
    world.flush()
    world.notify(record("d.log"))
    assert len(world.texts) == 3
    assert len(world.held) == 1


def test_a_summary_that_may_have_gone_out_counts_toward_the_limit() -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.notify(record("a.log"))
    world.loses_answers = True
    world.flush()
    assert len(world.texts) == 1
    (count,) = (item for item in world.table.items.values() if "texts" in item)
    assert count["texts"] == {"N": "1"}


def test_without_the_table_summaries_stay_held_until_it_is_back(world: World) -> None:
    world.down = {"dynamodb"}
    world.flush()
    assert (len(world.texts), len(world.waiting)) == (0, 6)
    world.end_outages()
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []


def test_a_run_takes_no_more_than_it_has_room_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_messages, "MAX_MESSAGES", 2)
    for number in range(30):
        held_by_hand(world, f"{number}.log")
    world.flush()
    assert len(world.held) == 23  # one batch of ten
    for _ in range(3):
        world.flush()
    assert world.held == []
    count = sum(int(body.split()[0]) for _, phone, body in world.texts if phone == PHONE)
    assert count == 33


RESTING_MB, PEAK_MB = 60, 90
"""The memory of interpreter and libraries, and the additional memory of a flush."""


def with_long_receipts() -> World:
    """Return a world whose receipt handles are as long as those of SQS."""
    world = World(table=QuickTable, to_numbers=(PHONE,))
    receive, delete = (world.operations[f] for f in ("ReceiveMessage", "DeleteMessageBatch"))

    def longer(payload: Mapping[str, Any]) -> dict[str, Any]:
        messages = receive(payload)["Messages"]
        return {
            "Messages": [one | {"ReceiptHandle": f"{one['ReceiptHandle']:400}"} for one in messages]
        }

    def shorter(payload: Mapping[str, Any]) -> dict[str, Any]:
        entries = [
            entry | {"ReceiptHandle": entry["ReceiptHandle"].strip()}
            for entry in payload["Entries"]
        ]
        return delete({**payload, "Entries": entries})

    world.operations |= {"ReceiveMessage": longer, "DeleteMessageBatch": shorter}
    return world


def test_as_many_texts_as_a_run_takes_fit_the_function() -> None:
    """A flush leaves messages over its limit to the next. See also `test_times_agree`."""
    heap, count = with_long_receipts(), held_messages.MAX_MESSAGES + 1
    for number in range(count):
        held_by_hand(heap, f"application-{number % 50}/2026-11-23/host-{number}/web.log")
    peak, runs = 0, 0
    while heap.held:
        before = len(heap.held)
        if not runs:
            tracemalloc.start()
        heap.flush()
        runs += 1
        if tracemalloc.is_tracing():
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert before - len(heap.held) <= held_messages.MAX_MESSAGES
    counts = [int(body.split()[0]) for _, _, body in heap.texts[:-1]]
    assert sum(counts) + 1 == count  # the last run texts one file as itself
    assert (len(heap.texts), runs) == (2, 2)
    assert peak < PEAK_MB * 1_000_000


def test_many_failing_texts_to_one_phone_stop_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each flush stops when its time is up, and the next one goes on from there."""
    monkeypatch.setattr(summaries, "FAILED_AT_ONCE", 5)
    world = World()
    for number in range(60):
        held_by_hand(world, f"{number}.log")
    held_by_hand(world, "other.log", phone=OTHER_PHONE)
    world.refuses = lambda phone: STOPPED if phone == PHONE else None
    runs = 0
    while world.held:
        begun = world.steps
        world.flusher.flush(lambda: 60.0 - (world.steps - begun))  # noqa: B023  # it runs at once; a step takes a second
        calls = 4  # steps after the last one in time: the delivery reports
        assert world.steps - begun <= 60 - held_messages.SECONDS_TO_GIVE_BACK + calls
        world.now += VISIBILITY_SECONDS + 1
        runs += 1
    assert runs > 1
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert len(world.failed) == len({one.body for one in world.failed}) == 60


def test_failed_texts_are_deleted_from_held_before_more_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(summaries, "FAILED_AT_ONCE", 10)
    world = World(to_numbers=(PHONE,))
    for number in range(30):
        held_by_hand(world, f"{number}.log")
    world.refuses = lambda _: STOPPED
    world.crash_at = 92
    with pytest.raises(Crash):
        world.flush()
    assert 0 <= len(world.failed) + len(world.held) - 30 <= 10
    assert 0 < len(world.failed) < 30


def test_a_phone_in_a_forbidden_country_holds_only_its_own_texts(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.waiting] == [PHONE] * 3
    assert '"SettingsRefused": 1' in capsys.readouterr().out


def test_an_expired_text_fails_before_sqs_deletes_it(world: World) -> None:
    world.refuses = lambda _: NO_CONNECTION
    for _ in range(9):
        world.flush()
        world.now += DAY
    assert (len(world.held), len(world.failed)) == (3, 0)
    held_by_hand(world, "new.log")
    world.now += 1
    world.flush()
    assert [one.file.key for one in world.waiting] == ["new.log"]
    assert len(world.notices_on(world.failed)) == 6
    failed = json.loads(world.failed[0].body)
    assert (failed["reason"], failed["meaning"]) == ("expired", "no connection to Twilio")
    world.end_outages()
    world.redrive()
    world.now += VISIBILITY_SECONDS + 1
    world.flush()
    assert sorted(int(body.split()[0]) for _, _, body in world.texts) == [3, 4]


def test_sqs_deletes_nothing_although_a_flush_is_rare_and_runs_out_of_time() -> None:
    """Each daily flush comes a little later, and Twilio answers for none of 20 phones."""
    phones = tuple(f"+150055501{number:02}" for number in range(20))
    world = World(to_numbers=phones)
    for phone in phones:
        held_by_hand(world, "a.log", phone=phone)
    tries: list[str] = []

    def too_late(phone: str) -> Refusal:
        tries.append(phone)
        return NO_ANSWER

    world.refuses = too_late
    world.now += DAY - 60
    while world.held:
        tries.clear()
        world.flusher.flush(lambda: FLUSH_SECONDS - len(tries) * sum(sender.TIMEOUT_SECONDS))
        world.now += DAY + 20
        assert all(world.now - one.sent_at < HELD_SECONDS for one in world.held)
    assert len(world.failed) == 20


def test_expired_texts_to_a_refused_phone_fail_no_other_phones_texts(world: World) -> None:
    world.now += 9 * DAY + 1
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE] * 3
    assert world.held == []


def refuse_all(world: World, why: Refusal) -> list[str]:
    """Let Twilio refuse every phone, and return a live list of the phones it was asked to text."""
    tried: list[str] = []

    def refuse(phone: str) -> Refusal:
        tried.append(phone)
        return why

    world.refuses = refuse
    return tried


THIRD_PHONE = "+15005550102"
BUSY, BROKEN = refusal(503), refusal(500, 20500)


@pytest.mark.parametrize(
    "why",
    [BUSY, BROKEN, NO_ANSWER, NOT_TWILIO, *(refusal(400, one) for one in (21606, 21703, 29999))],
)
def test_one_refused_phone_stops_no_other(world: World, why: Refusal) -> None:
    world.refuses = lambda phone: why if phone == PHONE else None
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.waiting] == [PHONE] * 3


@pytest.mark.parametrize(
    ("why", "asked"),
    [(BUSY, 2), (BROKEN, 2), (NO_CONNECTION, 1), (refusal(401), 1), (refusal(400, 21606), 3)],
)
def test_no_more_phones_are_tried_once_twilio_refuses_all(why: Refusal, asked: int) -> None:
    world = World(to_numbers=(PHONE, OTHER_PHONE, THIRD_PHONE))
    for phone in world.settings.to_numbers:
        held_by_hand(world, "a.log", phone)
    tried = refuse_all(world, why)
    world.flush()
    assert len(tried) == asked
    assert len(world.held) == 3


def test_two_phones_that_twilio_always_refuses_stop_no_third() -> None:
    world = World(to_numbers=(PHONE, OTHER_PHONE, THIRD_PHONE), mode="digest")
    world.shuffle = random.Random(0).shuffle
    world.refuses = lambda phone: None if phone == THIRD_PHONE else BROKEN
    world.notify(record("a.log"))
    for _ in range(20):
        world.flush()
        world.now += VISIBILITY_SECONDS + 1
    assert [phone for _, phone, _ in world.texts] == [THIRD_PHONE]


def test_a_flush_puts_the_phones_into_another_order_by_itself() -> None:
    world = World()
    world.flusher = flusher.new_flusher(**world.parts)
    tried = refuse_all(world, NO_CONNECTION)
    for phone in (PHONE, OTHER_PHONE):
        held_by_hand(world, "a.log", phone)
    for _ in range(60):  # each tries one random phone: all equal once in 2**59
        world.flush()
        world.now += VISIBILITY_SECONDS + 1
    assert set(tried) == {PHONE, OTHER_PHONE}


@pytest.mark.parametrize("why", [NO_CONNECTION, refusal(401), BUSY])
def test_a_text_that_was_never_tried_does_not_expire(world: World, why: Refusal) -> None:
    world.now += 9 * DAY + 1
    world.refuses = lambda phone: why if phone == PHONE else None
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE] * 3


def test_a_text_near_expiry_is_tried_although_twilio_refuses_all() -> None:
    world = World()
    held_by_hand(world, "old.log", OTHER_PHONE)
    world.now += 9 * DAY + 1
    held_by_hand(world, "new.log", PHONE, first=True)
    tried = refuse_all(world, NO_CONNECTION)
    world.flush()
    assert tried == [PHONE, OTHER_PHONE]
    assert [one.file.key for one in world.notices_on(world.failed)] == ["old.log"]
    assert [one.file.key for one in world.waiting] == ["new.log"]


@pytest.mark.parametrize(("why", "count"), [(BUSY, 0), (STOPPED, 0), (NO_ANSWER, 1), (BROKEN, 1)])
def test_a_summary_that_twilio_certainly_refused_does_not_count(why: Refusal, count: int) -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.notify(record("a.log"))
    world.refuses = lambda _: why
    world.flush()
    (hour,) = (item for item in world.table.items.values() if "texts" in item)
    assert hour["texts"] == {"N": str(count)}


def test_an_unexpected_exception_fails_one_phone_and_stops_no_other(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def raise_unexpected(phone: str) -> None:
        if phone == PHONE:
            raise RuntimeError(f"of {phone}")

    world.refuses = raise_unexpected
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE] * 3
    assert json.loads(world.failed[0].body)["code"] == "RuntimeError"
    assert world.held == []
    printed = capsys.readouterr().out
    assert printed.count('"UnexpectedErrors": 1') == 3
    assert PHONE not in printed


def test_an_accepted_summary_is_sent_although_logging_it_raises(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = world.log.decision

    def fails(outcome: str, **details: Any) -> None:
        if outcome == "sent":
            raise RuntimeError
        decision(outcome, **details)

    monkeypatch.setattr(world.log, "decision", fails)
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE, OTHER_PHONE]
    assert world.held == world.failed == []
    assert capsys.readouterr().out.count('"UnexpectedErrors": 1') == 2
    assert {item["state"]["S"] for item in world.table.items.values() if "state" in item} == {
        "sent"
    }


def test_a_message_that_sqs_does_not_delete_delays_no_other_phone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, calls = world.operations["DeleteMessageBatch"], itertools.count()

    def fail_once(payload: Mapping[str, Any]) -> dict[str, Any]:
        if not next(calls):
            raise AwsError("DeleteMessageBatch", "", {})
        return delete(payload)

    world.operations["DeleteMessageBatch"] = fail_once
    with pytest.raises(AwsError, match="DeleteMessageBatch"):
        world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE, OTHER_PHONE]
    world.now += VISIBILITY_SECONDS + 1
    world.flush()
    assert len(world.texts) == 2
    assert world.held == []


def test_quiet_hours_that_begin_during_a_flush_leave_the_rest_for_later() -> None:
    world = World(quiet_hours="15:00-16:00")
    world.now = TIME.replace(hour=14, minute=59).timestamp()
    for phone in (PHONE, OTHER_PHONE):
        held_by_hand(world, "a.log", phone=phone)

    def a_minute_later(_phone: str) -> None:
        world.now += 60

    world.refuses = a_minute_later
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE]
    assert [one.phone for one in world.waiting] == [OTHER_PHONE]


def test_messages_beyond_a_runs_capacity_are_in_the_backlog_age(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(held_messages, "MAX_MESSAGES", 2)
    for number in range(30):
        held_by_hand(world, f"{number}.log")
    world.now += 3600
    for _ in range(2):
        world.flush()
    ages = [json.loads(line).get("BacklogAge") for line in capsys.readouterr().out.splitlines()]
    assert [age for age in ages if age is not None] == pytest.approx([3601, 3601], abs=1)
    for _ in range(3):
        world.flush()
    assert '"BacklogAge": 0,' in capsys.readouterr().out


def test_a_run_that_gets_late_leaves_the_rest_to_the_next(world: World) -> None:
    times = iter([100.0, 100.0, 29.0])
    world.flusher.flush(lambda: next(times, 29.0))
    assert world.texts == []
    assert len(world.held) == 3
    world.now += VISIBILITY_SECONDS + 1
    world.flush()
    assert len(world.texts) == 2


def test_two_flushes_at_once_text_each_phone_once(world: World) -> None:
    """The second flush starts while the first one is sending."""
    inner: list[int] = []

    def overlap(_phone: str) -> None:
        if not inner:
            inner.append(len(world.texts))
            world.flush()

    world.refuses = overlap
    world.flush()
    assert inner == [0]
    assert len(world.texts) == 2
    assert world.held == []


@given(
    st.lists(
        st.builds(
            lambda key, minutes: log_file(key, time=TIME.replace(minute=minutes)),
            st.text(min_size=1, max_size=1024),
            st.integers(0, 59),
        ),
        min_size=2,
        max_size=40,
    ),
    st.lists(st.text(), min_size=40, max_size=40) | st.just([]),
)
def test_a_summary_takes_two_segments_at_most(files: list[Any], routes: list[str]) -> None:
    body = summarize(files, zoneinfo.ZoneInfo("Asia/Kathmandu"), routes[: len(files)])
    assert segments(body) <= SUMMARY_SEGMENTS
    assert body.startswith(f"{len(files)} more logs since ")
    assert body.replace("\u200c", "").replace("\u200d", "").isprintable()


@given(
    st.lists(
        st.sampled_from(["app/a", "app/e", "db/b", "c", "x/y/z", "long" * 20 + "/a"]), min_size=2
    ).filter(lambda keys: len(set(keys)) > SUMMARY_KEYS)
)
def test_the_counts_of_a_summary_add_up(keys: list[str]) -> None:
    body = summarize([log_file(key) for key in keys], datetime.UTC)
    places = body.partition("UTC: ")[2].partition(". Last")[0].split(", ")
    assert sum(int(place.rsplit(" ", 1)[1]) for place in places) == len(keys)


def test_a_summary_names_some_folders_and_counts_the_rest() -> None:
    files = [log_file(f"folder{number}/a.log") for number in range(9) for _ in range(9 - number)]
    assert summarize(files, datetime.UTC) == (
        "45 more logs since 23 Nov 14:05 UTC: folder0/ 9, folder1/ 8, folder2/ 7, folder3/ 6, "
        "folder4/ 5, elsewhere 10. Last: folder0/a.log"
    )


def test_the_latest_is_the_latest_and_since_is_the_earliest() -> None:
    minutes = (30, 59, 10, 20)
    files = [log_file(f"{minute}.log", time=TIME.replace(minute=minute)) for minute in minutes]
    body = summarize(files, datetime.UTC)
    assert "since 23 Nov 14:10 UTC" in body
    assert body.endswith("Last: 59.log")


# Messages are held by file


def test_a_file_is_held_in_one_message_for_each_reason() -> None:
    phones = tuple(f"+150055501{number:02}" for number in range(20))
    world = World(mode="digest", to_numbers=phones)
    world.notify(record("a.log"))
    (message,) = (json.loads(one.body) for one in world.held)
    assert (message["phones"], message["reason"]) == (list(phones), "digest")
    world.flush()
    assert [phone for _, phone, _ in world.texts] == list(phones)
    assert world.held == []


def test_a_message_of_an_earlier_version_is_read() -> None:
    world = World()
    for phone in (PHONE, OTHER_PHONE):
        message = json.loads(queue_messages.to_message(log_file("a.log"), [phone], "digest"))
        del message["phones"]
        world.held.put(json.dumps(message | {"phone": phone}))
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE, OTHER_PHONE]
    assert world.held == []


def test_a_message_stays_until_each_of_its_phones_has_an_outcome(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same message comes again. Its sent text is not logged as a duplicate."""
    world = World(mode="digest")
    world.notify(record("a.log"))
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    for _ in range(3):
        world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    (message,) = world.held
    assert json.loads(message.body)["phones"] == [PHONE]
    assert json.loads(message.body)["reason"] == "digest"
    world.end_outages()
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE, PHONE]
    assert world.held == []
    assert logged(capsys, "duplicate") == []


def test_a_failed_text_fails_once_although_its_message_stays_for_another_phone() -> None:
    world = World(mode="digest")
    world.notify(record("a.log"))
    world.refuses = lambda phone: STOPPED if phone == PHONE else NOT_THAT_COUNTRY
    for _ in range(3):
        world.flush()
    assert [one.phone for one in world.notices_on(world.failed)] == [PHONE]
    assert [one.phone for one in world.notices_on(world.held)] == [OTHER_PHONE]


def test_a_duplicate_of_a_text_that_this_flush_has_finished_takes_no_other_one_along(
    world: World,
) -> None:
    """The second message comes after the first one's texts are sent, and has one more phone."""
    messages = held_messages.HeldMessages(
        world.flusher._held,
        settings=world.settings,
        quiet_routes=dict,
        log=world.log,
        clock=world.clock,
    )
    world.held.clear()
    held_by_hand(world, "a.log", PHONE)
    messages.drain(lambda: 240)
    messages.finish(messages.notices_for(PHONE))
    both = queue_messages.to_message(log_file("a.log"), [PHONE, OTHER_PHONE], "digest")
    world.held.put(both)
    messages.drain(lambda: 240)
    assert messages.phones == [OTHER_PHONE]
    messages.delete_finished()
    assert [one.body for one in world.held] == [both]
    messages.finish(messages.notices_for(OTHER_PHONE))
    messages.delete_finished()
    assert world.held == []
