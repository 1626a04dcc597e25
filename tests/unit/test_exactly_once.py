"""A text in doubt is never repeated: a flush asks Twilio for it first."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pytest

from handler import events, queue_messages
from handler.attempts import MAX_TEXTS, PhoneAttempt
from handler.aws import AwsError
from handler.doubts import CLOCKS_DIFFER_SECONDS, Candidates, Doubt
from handler.errors import LeaseHeld
from handler.events import LogFile
from handler.held_messages import EXPIRES_AFTER_SECONDS
from handler.ledger import ASK_AFTER_SECONDS
from handler.notice import Attempt, Notice
from handler.queues import VISIBILITY_SECONDS
from handler.refusals import NO_ANSWER, NO_CONNECTION, Refusal, refusal
from handler.sender import Delivery, Refused, SentText
from handler.summaries import SECONDS_TO_BEGIN
from simulation.quick_table import QuickTable
from simulation.samples import OTHER_PHONE, PHONE, log_file, record
from simulation.world import Crash, World
from tests.unit.examples import ledger_table

BUSY, STOPPED, FORBIDDEN = refusal(503), refusal(400, 21610), refusal(403)
FLUSHES_EVERY = 300


def flush_until_nothing_is_held(world: World, flushes: int = 10) -> None:
    """Flush on schedule until the queue `held` is empty; fail after so many flushes."""
    for _ in range(flushes):
        world.now += FLUSHES_EVERY
        world.flush()
        if not world.held:
            return
    raise AssertionError([one.body for one in world.held])


def told_of(world: World, phone: str = PHONE) -> Counter[str]:
    """Count a phone's texts about each file. In these tests a text lists the keys of its files."""
    return Counter(key for _, to, body in world.texts for key in body.split(",") if to == phone)


@pytest.fixture(autouse=True)
def summaries_name_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "handler.text.summarize", lambda files, *_, **__: ",".join(file.key for file in files)
    )


def small_world(**changes: Any) -> World:
    return World(**{"to_numbers": (PHONE,), "message": "$key", **changes})


def logged(capsys: pytest.CaptureFixture[str], outcome: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["outcome"] == outcome]


# Lost answers


def test_a_phone_whose_answers_are_always_lost_gets_one_text_in_all() -> None:
    world = small_world()
    world.loses_answers = True
    world.notify(record("a.log"))
    for _ in range(288):
        world.now += FLUSHES_EVERY
        world.flush()
    assert told_of(world) == {"a.log": 1}
    assert world.held == world.failed == []


def test_a_summary_whose_answers_are_always_lost_is_sent_once() -> None:
    world = small_world(mode="digest")
    world.loses_answers = True
    world.notify(record("a.log"), record("b.log"))
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1, "b.log": 1}
    assert len(world.texts) == 1


def test_of_13_logs_with_every_second_answer_lost_each_is_told_of_once() -> None:
    world = small_world()
    for number in range(13):
        world.loses_answers = bool(number % 2)
        world.notify(record(f"{number}.log"))
        world.now += 61  # the pause after a failure is over
    world.loses_answers = True
    flush_until_nothing_is_held(world)
    assert told_of(world) == {f"{number}.log": 1 for number in range(13)}


def test_a_text_that_never_reached_twilio_joins_the_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = small_world()
    world.loses_requests = True
    world.notify(record("a.log"))
    world.end_outages()
    world.now += 61
    world.notify(record("b.log"))
    assert told_of(world) == {"b.log": 1}
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1, "b.log": 1}
    (line,) = logged(capsys, "not accepted")
    assert (line["key"], line["phone"]) == ("a.log", "…0100")


def test_a_text_in_doubt_that_cannot_be_held_is_not_sent_by_the_next_try() -> None:
    """The claim stays: without it the next try would send the text again."""
    world = small_world()
    world.loses_answers, world.down = True, {"sqs"}
    with pytest.raises(AwsError):
        world.notify(record("a.log"))
    world.end_outages()
    with pytest.raises(LeaseHeld):
        world.notify(record("a.log"))
    world.now += 60
    world.notify(record("a.log"))
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


def test_a_found_text_is_sent_with_its_sid_and_its_delivery_report_follows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = small_world()
    world.loses_answers = True
    world.notify(record("a.log"))
    world.now += ASK_AFTER_SECONDS
    capsys.readouterr()
    world.flush()
    (line,) = logged(capsys, "sent")
    assert (line["key"], line["sid"], line["was_in_doubt"]) == ("a.log", f"SM{1:032x}", True)
    world.now += ASK_AFTER_SECONDS
    world.flush()
    assert world.queried_sids == [f"SM{1:032x}"]


def test_twilio_is_asked_a_minute_after_the_attempt_and_once_a_phone_and_flush() -> None:
    world = small_world()
    world.loses_answers = True
    for name in "abc":
        world.notify(record(name))
        world.restart()
    world.now += ASK_AFTER_SECONDS - 1
    world.flush()
    assert (world.lists, len(world.waiting)) == (0, 3)
    world.now += 1
    world.flush()
    assert (world.lists, len(world.held)) == (1, 0)


@pytest.mark.parametrize("why", [BUSY, STOPPED, NO_CONNECTION, refusal(400, 21408)])
@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_a_refusal_for_certain_costs_no_look_up(why: Refusal, mode: str) -> None:
    world = small_world(mode=mode)
    world.refuses = lambda _: why
    world.notify(record("a.log"))
    for _ in range(3):
        world.now += FLUSHES_EVERY
        world.flush()
    world.end_outages()
    world.redrive()
    flush_until_nothing_is_held(world)
    assert (told_of(world), world.lists) == ({"a.log": 1}, 0)


# Twilio's list


LISTS_FAIL = [NO_ANSWER, NO_CONNECTION, BUSY, FORBIDDEN]


@pytest.mark.parametrize("why", LISTS_FAIL)
def test_while_twilio_cannot_be_asked_what_is_in_doubt_stays_held_and_the_rest_goes(
    why: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small_world(to_numbers=(PHONE, OTHER_PHONE))
    world.loses_answers = True
    world.notify(record("a.log"))
    world.loses_answers = False
    world.refuses_to_list = lambda _: why
    world.now += 61
    world.flusher._settings = world.settings
    for name in ("b.log", "c.log"):
        for phone in (PHONE, OTHER_PHONE):
            world.held.put(queue_messages.to_message(log_file(name), [phone], "digest"))
    for _ in range(5):
        world.now += FLUSHES_EVERY
        world.flush()
    assert told_of(world) == {"a.log": 1, "b.log": 1, "c.log": 1} or why == NO_CONNECTION
    assert {one.file.key for one in world.waiting} >= {"a.log"}
    assert logged(capsys, "not asked")
    world.end_outages()
    flush_until_nothing_is_held(world)
    for phone in (PHONE, OTHER_PHONE):
        assert told_of(world, phone) == {"a.log": 1, "b.log": 1, "c.log": 1}


@pytest.mark.parametrize("why", LISTS_FAIL)
def test_while_twilio_cannot_be_asked_a_phone_with_a_summary_in_doubt_gets_no_other(
    why: Refusal,
) -> None:
    world = small_world(mode="digest")
    world.loses_answers = True
    world.notify(record("a.log"))
    world.flush()
    world.end_outages()
    world.refuses_to_list = lambda _: why
    world.notify(record("b.log"))
    for _ in range(5):
        world.now += FLUSHES_EVERY
        world.flush()
    assert told_of(world) == {"a.log": 1}
    world.end_outages()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1, "b.log": 1}


@pytest.mark.parametrize("seconds", [-CLOCKS_DIFFER_SECONDS + 1, -3, 3, 30])
@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_clocks_may_differ_by_some_seconds(seconds: float, mode: str) -> None:
    world = small_world(mode=mode)
    world.twilio_clock, world.loses_answers = seconds, True
    world.notify(record("a.log"))
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


def test_a_slow_list_takes_no_time_that_sending_needs() -> None:
    """A flush asks about as many phones as it has time for; the next flush goes on."""
    phones = tuple(f"+150055501{number:02}" for number in range(20))
    world = small_world(to_numbers=phones)
    world.loses_answers = True
    for name in "ab":
        world.notify(record(name))
        world.restart()
    world.end_outages()
    world.list_seconds = 50
    flushes = 0
    while world.held:
        world.now += FLUSHES_EVERY
        begun = world.now
        world.flusher.flush(lambda: 240 - (world.now - begun))  # noqa: B023  # it runs at once
        assert world.now - begun <= 240
        flushes += 1
    assert flushes < 20
    assert all(told_of(world, phone) == {"a": 1, "b": 1} for phone in phones)


def test_a_text_is_found_among_a_thousand_others() -> None:
    world = small_world(mode="digest")
    world.loses_answers = True
    world.notify(record("a.log"))
    world.flush()
    at = int(world.now)
    others = [
        (PHONE, SentText(f"SM{number:032x}", at, f"{number}.log")) for number in range(9000, 10000)
    ]
    world.records = others[:500] + world.records + others[500:]
    flush_until_nothing_is_held(world)
    assert (told_of(world), world.lists) == ({"a.log": 1}, 1)


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_a_trial_account_puts_words_before_the_body(accepted: bool, mode: str) -> None:
    world = small_world(mode=mode)
    world.trial = "Sent from your Twilio trial account - "
    world.loses_answers, world.loses_requests = accepted, not accepted
    world.notify(record("a.log"))
    world.flush()
    world.end_outages()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


@pytest.mark.parametrize("accepted", [True, False])
def test_where_bodies_are_redacted_the_time_decides(accepted: bool) -> None:
    world = small_world(mode="digest")
    world.redacts = True
    world.notify(record("a.log"))
    world.flush()
    world.now += FLUSHES_EVERY
    world.notify(record("b.log"))
    world.loses_answers, world.loses_requests = accepted, not accepted
    world.flush()
    world.end_outages()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1, "b.log": 1}


@pytest.mark.parametrize(("first", "second"), [("b.log", "a/b.log"), ("a/b.log", "b.log")])
@pytest.mark.parametrize("is_apart", [True, False])
def test_a_text_is_not_taken_for_one_that_only_ends_alike(
    first: str, second: str, is_apart: bool
) -> None:
    """The first text never reached Twilio. The second may stay held for a later flush."""
    world = small_world()
    world.loses_requests = True
    world.notify(record(first))
    world.end_outages()
    world.restart()
    world.loses_answers = True
    world.notify(record(second))
    world.end_outages()
    world.now += ASK_AFTER_SECONDS
    if is_apart:
        earlier, later = (one.body for one in world.held)
        world.held.clear()
        world.held.put(earlier)
        world.flush()
        world.held.put(later)
    flush_until_nothing_is_held(world)
    assert told_of(world) == {first: 1, second: 1}


def test_the_longest_end_of_a_trial_accounts_body_decides() -> None:
    doubts = [Doubt(body, Attempt.of(body, 10)) for body in ("b.log", "a b.log")]
    texts = [SentText("SM1", 10, "Sent from your Twilio trial account - a b.log")]
    assert Candidates(doubts, texts).match({}).keys() == {"a b.log"}
    texts = [SentText("SM1", 10, "Sent from your Twilio trial account - b.log")]
    assert Candidates(doubts, texts).match({}).keys() == {"b.log"}


@pytest.mark.parametrize("trial", ["", "Sent from your Twilio trial account - "])
@pytest.mark.parametrize(("sent", "kept"), [("a\n", "a"), (" a", "a"), ("a ", "a "), ("a", "a")])
def test_white_space_around_a_body_does_not_matter(trial: str, sent: str, kept: str) -> None:
    texts = [SentText("SM1", 10, trial + kept)]
    assert Candidates([Doubt("a", Attempt.of(sent, 10))], texts).match({})


@pytest.mark.parametrize("accepted", ["a.log", "b.log"])
def test_of_two_redacted_texts_in_doubt_the_time_tells_which_was_sent(accepted: str) -> None:
    world = small_world()
    world.redacts = True
    for name in ("a.log", "b.log"):
        world.loses_answers, world.loses_requests = name == accepted, name != accepted
        world.notify(record(name))
        world.restart()
        world.now += CLOCKS_DIFFER_SECONDS + 1
    world.end_outages()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1, "b.log": 1}


# One record settles one attempt


def test_of_two_files_with_one_body_a_known_record_settles_only_its_own() -> None:
    """The table knows the first text's SID. The second text never reached Twilio."""
    world = small_world(message="a log")
    world.notify(record("a.log"))
    world.loses_requests = True
    world.notify(record("b.log"))
    world.end_outages()
    flush_until_nothing_is_held(world)
    assert [body for _, _, body in world.texts] == ["a log", "a log"]


def test_while_the_table_does_not_say_whose_a_record_is_it_settles_nothing() -> None:
    world = small_world(message="a log")
    world.notify(record("a.log"))
    world.loses_requests = True
    world.notify(record("b.log"))
    world.end_outages()
    get, gets = world.operations["BatchGetItem"], []

    def fails_third(payload: Any) -> Any:
        gets.append(payload)
        if len(gets) == 3:  # the attempts, the texts, the SIDs
            raise AwsError("BatchGetItem", "AccessDeniedException", {})
        return get(payload)

    world.operations["BatchGetItem"] = fails_third
    world.now += ASK_AFTER_SECONDS
    world.flush()
    assert (len(gets), len(world.texts), len(world.waiting)) == (3, 1, 1)
    flush_until_nothing_is_held(world)
    assert [body for _, _, body in world.texts] == ["a log", "a log"]


@pytest.mark.parametrize("accepted", [0, 1, 2, 3])
def test_of_three_files_with_one_body_each_is_told_of_once(accepted: int) -> None:
    world = small_world(message="a log")
    for number in range(3):
        world.loses_answers, world.loses_requests = number < accepted, number >= accepted
        world.notify(record(f"{number}.log"))
        world.restart()
        world.now += 1
    world.end_outages()
    flush_until_nothing_is_held(world)
    left = 3 - accepted
    assert len(world.texts) == accepted + (1 if left else 0)
    if left > 1:
        assert world.texts[-1][2].count(".log") == left


def test_records_are_matched_oldest_first_and_once() -> None:
    doubts = [Doubt(name, Attempt.of("a log", at)) for name, at in (("b", 20), ("a", 10))]
    texts = [SentText(f"SM{at}", at, "a log") for at in (21, 11)]
    found = Candidates(doubts, texts).match({})
    assert {text: one.sid for text, one in found.items()} == {"a": "SM11", "b": "SM21"}
    assert Candidates(doubts, texts).match({"SM11": "another"}).keys() == {"a"}
    assert Candidates(doubts, texts[:1]).match({"SM21": "b"}).keys() == {"b"}
    assert Candidates(doubts, texts[:1]).match({}).keys() == {"a"}


@pytest.mark.parametrize("body", ["a log", ""])
@pytest.mark.parametrize(
    ("seconds", "is_found"),
    [
        (-CLOCKS_DIFFER_SECONDS - 1, False),
        (-CLOCKS_DIFFER_SECONDS, True),
        (ASK_AFTER_SECONDS + CLOCKS_DIFFER_SECONDS, True),
        (ASK_AFTER_SECONDS + CLOCKS_DIFFER_SECONDS + 1, False),
    ],
)
def test_a_record_of_another_time_than_the_attempt_is_another_one(
    seconds: int, is_found: bool, body: str
) -> None:
    """A record counts only if the attempt's process could have sent it (`test_times_agree`)."""
    doubt = Doubt("a", Attempt.of("a log", 1000))
    text = SentText("SM1", 1000 + seconds, body)
    assert bool(Candidates([doubt], [text]).match({})) is is_found


@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_a_text_of_another_stack_with_the_same_wording_is_not_taken_for_one_in_doubt(
    mode: str,
) -> None:
    """The other stack texts the same phone after the process of this attempt has ended."""
    world = small_world(mode=mode)
    world.loses_requests = True
    world.notify(record("a.log"))
    world.flush()
    world.end_outages()
    at = int(world.now) + 2 * ASK_AFTER_SECONDS
    world.records.append((PHONE, SentText(f"SM{9000:032x}", at, "a.log")))
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


# Logs, counts and delivery reports of one text


@pytest.mark.parametrize(
    ("operation", "number", "files"),
    [("BatchWriteItem", 2, 30), ("UpdateItem", 3, 30), ("UpdateItem", 3, 1)],
    ids=["half of it", "not closed", "one file, not closed"],
)
def test_a_summary_that_is_recorded_half_way_counts_and_is_reported_once(
    operation: str, number: int, files: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recording 30 texts takes two requests. The delivery report is due before a flush asks."""
    world = small_world(mode="digest")
    world.deliveries = {f"SM{1:032x}": Delivery("delivered")}
    names = [f"{number}.log" for number in range(files)]
    world.notify(*map(record, names))
    works, calls = world.operations[operation], []

    def fails_once(payload: Any) -> Any:
        calls.append(payload)
        if len(calls) == number:
            raise AwsError(operation, "AccessDeniedException", {})
        return works(payload)

    world.operations[operation] = fails_once
    world.flush()
    assert len(calls) == number
    world.notify(record("later.log"))
    world.refuses_to_list = lambda _: BUSY
    flush_after(world, ASK_AFTER_SECONDS)
    world.end_outages()
    for _ in range(3):
        flush_after(world, FLUSHES_EVERY)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    accepted = [line["sid"] for line in lines if line.get("TextsAccepted")]
    assert accepted == [f"SM{number:032x}" for number in (1, 2)]
    assert [line["sid"] for line in lines if line["outcome"] == "delivered"] == accepted[:1]
    assert told_of(world) == {"later.log": 1, **dict.fromkeys(names, 1)}


def flush_after(world: World, seconds: float) -> None:
    world.now += seconds
    world.flush()


# Crashes, flushes at the same time, redrives

EARLIER = [(), ("1.log",), ("1.log", "2.log")]
"""The files of earlier summaries to the phone."""


def crash_at_every_step(
    names: Sequence[str],
    prepare: Callable[[World], None],
    run: Callable[[World], None],
    **changes: Any,
) -> int:
    """Crash a function at each step; in the end the phone is told of each file once."""
    step = 0
    while True:
        world = small_world(table=ledger_table(), **changes)
        prepare(world)
        world.crash_at = world.steps + step
        with contextlib.suppress(Crash):
            run(world)
            assert step > 10
            return step
        world.crash_at = None
        world.restart()
        world.now += 60
        with contextlib.suppress(Exception):
            run(world)  # Lambda's next try, or the next flush
        world.now += 60
        run(world)
        flush_until_nothing_is_held(world)
        assert told_of(world) == dict.fromkeys(names, 1), step
        assert world.failed == []
        step += 1


@pytest.mark.parametrize("loses_answers", [True, False])
@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_notify_may_be_killed_at_any_line(loses_answers: bool, mode: str) -> None:
    def prepare(world: World) -> None:
        world.loses_answers = loses_answers

    names = ("a.log", "b.log")
    crash_at_every_step(names, prepare, lambda world: world.notify(*map(record, names)), mode=mode)


@pytest.mark.parametrize("loses_answers", [True, False])
@pytest.mark.parametrize(("mode", "files"), [("instant", 2), ("digest", 2), ("digest", 30)])
def test_a_flush_may_be_killed_at_any_line(loses_answers: bool, mode: str, files: int) -> None:
    """In instant mode the single texts are in doubt. Recording 30 texts takes two requests."""
    names = [f"{number}.log" for number in range(files)]

    def prepare(world: World) -> None:
        world.loses_answers = True
        world.notify(*map(record, names))
        world.now += ASK_AFTER_SECONDS
        world.loses_answers = loses_answers

    crash_at_every_step(names, prepare, World.flush, mode=mode)


@pytest.mark.parametrize("loses_answers", [True, False])
@pytest.mark.parametrize("late", [0, ASK_AFTER_SECONDS - SECONDS_TO_BEGIN - 1])
@pytest.mark.parametrize("earlier", EARLIER)
def test_two_flushes_at_once_text_once_wherever_the_second_one_begins(
    loses_answers: bool, late: float, earlier: Sequence[str]
) -> None:
    """Two messages hold the same text, and each flush receives one of them."""
    step = 1
    while True:
        world = small_world(table=ledger_table(), mode="digest")
        tell_of(world, earlier)
        world.notify(record("a.log"))
        world.loses_answers = loses_answers
        world.at_step[world.steps + step] = lambda: second_flush(world, late)  # noqa: B023  # it runs at once
        world.flush()
        if world.at_step:
            break
        flush_until_nothing_is_held(world)
        assert told_of(world) == dict.fromkeys((*earlier, "a.log"), 1), step
        step += 1
    assert step > 15


def test_two_flushes_that_ask_for_one_text_at_once_send_it_once() -> None:
    """Both flushes find that Twilio never got the text. SQS delivers its message twice."""
    step = 1
    while True:
        world = small_world()
        world.loses_requests = True
        world.notify(record("a.log"))
        world.end_outages()
        world.now += ASK_AFTER_SECONDS
        world.at_step[world.steps + step] = lambda: second_flush(world, 0)  # noqa: B023  # it runs at once
        world.flush()
        if world.at_step:
            break
        flush_until_nothing_is_held(world)
        second_flush(world, FLUSHES_EVERY)
        assert told_of(world) == {"a.log": 1}, step
        step += 1
    assert step > 15


def test_a_flush_does_not_close_the_attempt_of_another_one() -> None:
    """Both flushes find that Twilio never got the summary. The second sends it without answer."""
    step = 1
    while True:
        world = small_world(mode="digest")
        world.notify(record("a.log"))
        world.loses_requests = True
        world.flush()
        world.end_outages()
        world.now += ASK_AFTER_SECONDS
        world.at_step[world.steps + step] = lambda: lossy_flush(world)  # noqa: B023  # it runs at once
        world.flush()
        if world.at_step:
            break
        flush_until_nothing_is_held(world)
        assert told_of(world) == {"a.log": 1}, step
        step += 1
    assert step > 15


def lossy_flush(world: World) -> None:
    world.loses_answers = True
    second_flush(world, 0)
    world.loses_answers = False


def tell_of(world: World, names: Sequence[str]) -> None:
    """Send earlier summaries, so that the phone has a closed attempt."""
    for name in names:
        world.notify(record(name))
        world.flush()


def second_flush(world: World, late: float) -> None:
    """Flush in another process, which receives a copy of the held message."""
    (file,) = events.read({"Records": [record("a.log")]})
    assert isinstance(file, LogFile)
    world.held.put(queue_messages.to_message(file, [PHONE], "digest"), first=True)
    world.now += late
    world.new_flusher().flush(lambda: 240)


def test_a_flush_that_was_asleep_since_its_attempt_does_not_send() -> None:
    """It froze for a minute. Meanwhile another flush asked Twilio and sent the text."""
    world = small_world(mode="digest")
    world.notify(record("a.log"))
    update = world.operations["UpdateItem"]

    def slowly(payload: Any) -> Any:
        answer = update(payload)
        if "attempt = :number" in payload["UpdateExpression"]:
            world.operations["UpdateItem"] = update
            second_flush(world, ASK_AFTER_SECONDS)
        return answer

    world.operations["UpdateItem"] = slowly
    world.flush()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_flush_with_old_look_ups_does_not_send(earlier: Sequence[str]) -> None:
    """Another flush sends the text between this flush's look-up and its attempt."""
    world = small_world(mode="digest")
    tell_of(world, earlier)
    world.notify(record("a.log"))
    get, gets = world.operations["BatchGetItem"], []

    def then_another(payload: Any) -> Any:
        answer = get(payload)
        gets.append(payload)
        if len(gets) == 2:  # the attempts, the texts
            second_flush(world, 0)
        return answer

    world.operations["BatchGetItem"] = then_another
    world.flush()
    flush_until_nothing_is_held(world)
    assert told_of(world) == dict.fromkeys((*earlier, "a.log"), 1)


def test_notify_and_a_flush_that_looked_before_text_once() -> None:
    """A process dies between SQS and the table. Then Lambda's next try and a flush overlap."""
    world = small_world(mode="digest")
    world.operations["UpdateItem"], update = (lambda _: die()), world.operations["UpdateItem"]
    with pytest.raises(Crash):
        world.notify(record("a.log"))
    world.operations["UpdateItem"] = update
    world.settings = world.settings._replace(mode="instant")
    world.restart()
    world.now += 60
    get, gets = world.operations["BatchGetItem"], []

    def then_notify(payload: Any) -> Any:
        answer = get(payload)
        gets.append(payload)
        if len(gets) == 2:
            world.notify(record("a.log"))
        return answer

    world.operations["BatchGetItem"] = then_notify
    world.flush()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


def die() -> Any:
    raise Crash


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_duplicate_of_an_event_that_a_flush_has_received_is_texted_once(is_killed: bool) -> None:
    """The table does not know the event's text. A duplicate of the event comes at each step.

    The duplicate's process may end right after it has sent the text.
    """
    step = 1
    while True:
        world = small_world()
        envelope = {"requestContext": {}, "requestPayload": {"Records": [record("a.log")]}}
        world.held.put(json.dumps(envelope))
        world.at_step[world.steps + step] = lambda: duplicate(world, is_killed)  # noqa: B023  # it runs at once
        world.flush()
        if world.at_step:
            break
        flush_until_nothing_is_held(world)
        assert told_of(world) == {"a.log": 1}, step
        step += 1
    assert step > 15


def duplicate(world: World, is_killed: bool) -> None:
    write = world.operations["BatchWriteItem"]
    if is_killed:
        world.operations["BatchWriteItem"] = lambda _: die()
    with contextlib.suppress(LeaseHeld, Crash):
        world.notify(record("a.log"))
    world.operations["BatchWriteItem"] = write


@pytest.mark.parametrize("held_days", [0, EXPIRES_AFTER_SECONDS // (24 * 60 * 60) + 1])
def test_a_flush_that_gives_a_text_up_does_not_hide_that_another_one_sent_it(
    held_days: int,
) -> None:
    """Twilio refuses the first flush and accepts the other. Then failed texts are redriven."""
    step = 1
    while True:
        world = small_world(mode="digest")
        world.notify(record("a.log"))
        world.now += held_days * 24 * 60 * 60
        world.refuses = lambda _: BUSY if held_days else STOPPED  # STOPPED fails it at once
        world.at_step[world.steps + step] = lambda: accepted_flush(world)  # noqa: B023  # it runs at once
        world.flush()
        if world.at_step:
            break
        world.end_outages()
        world.now += FLUSHES_EVERY
        world.flush()
        world.redrive()
        flush_until_nothing_is_held(world)
        assert told_of(world) == {"a.log": 1}, step
        step += 1
    assert step > 15


def accepted_flush(world: World) -> None:
    """Let another flush send while Twilio accepts again."""
    world.end_outages()
    second_flush(world, 0)


def test_notify_that_could_not_claim_a_text_and_fails_it_keeps_the_attempt_of_another_one() -> None:
    """The first process ends right after it sent the text. The next cannot claim it."""
    world = small_world()
    duplicate(world, is_killed=True)
    world.restart()
    world.now += 60
    claim = world.operations["TransactWriteItems"]

    def fails(_payload: Any) -> Any:
        raise AwsError("TransactWriteItems", "AccessDeniedException", {})

    world.operations["TransactWriteItems"] = fails
    world.refuses = lambda _: STOPPED
    world.notify(record("a.log"))
    assert len(world.failed) == 1
    world.operations["TransactWriteItems"] = claim
    world.end_outages()
    world.redrive()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


@pytest.mark.parametrize("mode", ["instant", "digest"])
@pytest.mark.parametrize("accepted", [True, False])
def test_what_was_in_doubt_for_nine_days_fails_and_is_asked_for_after_a_redrive(
    mode: str, accepted: bool
) -> None:
    world = small_world(mode=mode)
    world.loses_answers, world.loses_requests = accepted, not accepted
    world.notify(record("a.log"))
    world.flush()
    world.end_outages()
    world.refuses_to_list = lambda _: NO_ANSWER
    world.now += EXPIRES_AFTER_SECONDS + 1
    world.flush()
    assert (len(world.held), len(world.failed)) == (0, 1)
    (failed,) = (json.loads(one.body) for one in world.failed)
    assert (failed["reason"], failed["meaning"]) == ("expired", "no answer from Twilio in time")
    world.end_outages()
    world.redrive()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


def test_texts_that_cannot_be_looked_up_for_nine_days_fail() -> None:
    world = small_world(mode="digest")
    world.notify(record("a.log"))
    world.down = {"dynamodb"}
    world.flush()
    assert len(world.held) == 1
    world.now += EXPIRES_AFTER_SECONDS + 1
    world.flush()
    assert (len(world.texts), len(world.held), len(world.failed)) == (0, 0, 1)
    world.end_outages()
    world.redrive()
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("state", ["held", "not recorded", "in doubt", "in a summary in doubt"])
def test_texts_that_cannot_be_recorded_for_nine_days_fail(state: str, accepted: bool) -> None:
    """SQS would delete them two days later."""
    world = small_world(mode="instant" if state == "in doubt" else "digest")
    if state == "not recorded":
        world.held.put(queue_messages.to_message(log_file("a.log"), [PHONE], "digest"))
    else:
        world.loses_answers, world.loses_requests = accepted, not accepted
        world.notify(record("a.log"))
    if state == "in a summary in doubt":
        world.flush()
    world.end_outages()
    works = dict(world.operations)

    def fails(_payload: Any) -> Any:
        raise AwsError("", "AccessDeniedException", {})

    world.operations |= {"UpdateItem": fails, "BatchWriteItem": fails}
    flush_after(world, FLUSHES_EVERY)
    assert (len(world.held), len(world.failed)) == (1, 0)
    flush_after(world, EXPIRES_AFTER_SECONDS)
    assert (len(world.held), len(world.failed)) == (0, 1)
    world.operations = works
    world.redrive()
    flush_until_nothing_is_held(world)
    assert sum(told_of(world).values()) == 1


@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_a_try_that_cannot_claim_a_text_does_not_forget_its_attempt(
    mode: Literal["instant", "digest"],
) -> None:
    """The first process ends right after it sent the text. The next try finds a busy table."""
    world = small_world()
    write = world.operations["BatchWriteItem"]
    world.operations["BatchWriteItem"] = lambda _: die()
    with pytest.raises(Crash):
        world.notify(record("a.log"))
    world.operations["BatchWriteItem"] = write
    world.settings = world.settings._replace(mode=mode)
    world.restart()
    world.now += 60
    world.conflicts = 6
    world.notify(record("a.log"))
    flush_until_nothing_is_held(world)
    assert told_of(world) == {"a.log": 1}


# Changing settings, a failing table


def test_a_phone_removed_meanwhile_is_not_texted_again() -> None:
    world = small_world(to_numbers=(PHONE, OTHER_PHONE), mode="digest")
    world.loses_answers = True
    world.notify(record("a.log"))
    world.flush()
    world.settings = world.settings._replace(to_numbers=(OTHER_PHONE,))
    world.restart()
    world.end_outages()
    for _ in range(2):
        world.now += 24 * 60 * 60
        world.flush()
    assert world.held == []
    assert (told_of(world), told_of(world, OTHER_PHONE)) == ({"a.log": 1}, {"a.log": 1})


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchWriteItem", "UpdateItem"])
@pytest.mark.parametrize("loses_answers", [True, False])
def test_a_table_that_fails_at_one_operation_repeats_nothing(
    operation: str, loses_answers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    world = small_world(mode="digest")
    world.loses_answers = loses_answers
    world.notify(record("a.log"), record("b.log"))
    works = world.operations[operation]

    def fails(_payload: Any) -> Any:
        raise AwsError(operation, "AccessDeniedException", {})

    world.operations[operation] = fails
    for _ in range(3):
        world.now += FLUSHES_EVERY
        world.flush()
    assert logged(capsys, "not looked up" if operation == "BatchGetItem" else "not recorded")
    world.operations[operation] = works
    for _ in range(3):
        world.now += FLUSHES_EVERY
        world.flush()
    assert told_of(world) == {"a.log": 1, "b.log": 1}
    assert world.held == []


# Costs


def test_an_ordinary_text_costs_two_requests_to_aws_and_one_to_twilio() -> None:
    """The two requests to AWS are the claim and the record of the outcome."""
    world = small_world()
    requests = counted(world)
    world.notify(record("a.log"))
    assert requests == {"TransactWriteItems": 1, "BatchWriteItem": 1}
    assert (len(world.texts), world.lists) == (1, 0)


def test_a_held_text_costs_two_requests_to_the_table_and_one_to_sqs() -> None:
    world = small_world(mode="digest")
    requests = counted(world)
    world.notify(record("a.log"))
    assert requests == {"TransactWriteItems": 1, "UpdateItem": 1, "SendMessageBatch": 1}


def counted(world: World) -> Counter[str]:
    """Return a live count of the requests to AWS from now on."""
    requests: Counter[str] = Counter()

    def counting(name: str, operation: Any) -> Any:
        def call(payload: Any) -> Any:
            requests[name] += 1
            return operation(payload)

        return call

    world.operations = {name: counting(name, one) for name, one in world.operations.items()}
    return requests


MAX_ITEM_BYTES = 400 * 1024
"""Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""


def test_the_attempt_of_the_most_texts_fits_an_item_of_the_table() -> None:
    """DynamoDB counts names and raw bytes: 16 for each text, and fewer than 300 others."""
    world = World(table=QuickTable, to_numbers=(PHONE,))
    notices = [Notice(log_file(f"{number}.log"), PHONE) for number in range(MAX_TEXTS)]
    attempts = world.flusher._attempts
    assert attempts.open(PHONE, PhoneAttempt(), notices, "a text")
    (item,) = world.table.items.values()
    size = sum(len(name) + size_of(value) for name, value in item.items())
    assert 16 * MAX_TEXTS < size < 16 * MAX_TEXTS + 300 < MAX_ITEM_BYTES
    last = attempts.read([PHONE])[PHONE]
    assert last.ids == tuple(notice.id for notice in notices)


def size_of(value: dict[str, str]) -> int:
    ((kind, text),) = value.items()
    return len(text) * 3 // 4 if kind == "B" else len(text)


def test_a_summary_tells_of_no_more_than_an_attempt_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.summaries.MAX_TEXTS", 2)
    world = small_world(mode="digest")
    for name in "abcde":
        world.notify(record(name))
    for _ in range(3):
        world.flush()
    assert [len(body.split(",")) for _, _, body in world.texts] == [2, 2, 1]
    assert told_of(world) == dict.fromkeys("abcde", 1)


def test_one_phone_that_can_be_asked_is_not_held_back_by_one_that_cannot() -> None:
    world = small_world(to_numbers=(PHONE, OTHER_PHONE), mode="digest")
    world.loses_answers = True
    world.notify(record("a.log"))
    world.flush()
    world.loses_answers = False
    world.refuses_to_list = lambda phone: BUSY if phone == PHONE else None
    world.now += FLUSHES_EVERY
    world.notify(record("b.log"))
    world.flush()
    assert told_of(world) == {"a.log": 1}
    assert told_of(world, OTHER_PHONE) == {"a.log": 1, "b.log": 1}
    assert world.refuses_to_list(PHONE) == BUSY
    with pytest.raises(Refused):
        world.messages_to(PHONE, 0)
    world.now += VISIBILITY_SECONDS
