"""Texts by routes: their phones, words and times."""

import fnmatch
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import held_messages
from handler.missing_log import MissingLog
from handler.queue_messages import to_message
from handler.refusals import NO_CONNECTION
from handler.routes import Route
from simulation.samples import OTHER_PHONE, PHONE, TIME, log_file, record, route
from simulation.world import World

THIRD_PHONE = "+15005550102"
PAYMENTS = route("payments", "payments/*", PHONE, OTHER_PHONE, message="Payment $name")
NIGHTS = route("nights", "*/night/*", OTHER_PHONE, THIRD_PHONE, message="Night $name")


def routed(*routes: Route, **changes: Any) -> World:
    return World(routes=routes or (PAYMENTS, NIGHTS), **changes)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def texted(world: World) -> dict[str, str]:
    assert len({phone for _, phone, _ in world.texts}) == len(world.texts)
    return {phone: body for _, phone, body in world.texts}


def test_a_log_of_several_routes_texts_each_phone_once_in_the_words_of_the_first() -> None:
    world = routed()
    world.notify(record("payments/night/a.log"))
    assert texted(world) == {
        PHONE: "Payment a.log",
        OTHER_PHONE: "Payment a.log",
        THIRD_PHONE: "Night a.log",
    }


def test_a_log_of_no_route_texts_the_flat_phones_in_the_flat_words() -> None:
    world = routed(to_numbers=(THIRD_PHONE,), message="Other $name")
    world.notify(record("app/a.log"))
    assert texted(world) == {THIRD_PHONE: "Other a.log"}


def test_a_log_of_no_route_is_ignored_without_flat_phones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = routed(to_numbers=())
    world.notify(record("app/a.log"), record("payments/a.log"))
    assert set(texted(world)) == {PHONE, OTHER_PHONE}
    ignored = [line for line in logged(capsys) if line["outcome"] == "no route"]
    assert [(line["key"], line["LogFilesWithoutRoute"]) for line in ignored] == [("app/a.log", 1)]


def test_a_route_has_its_own_mode_and_quiet_hours() -> None:
    digest = route("digest", "digest/*", PHONE, mode="digest")
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-15:00")
    awake = route("awake", "awake/*", PHONE, quiet_hours="")
    world = routed(digest, quiet, awake, quiet_hours="14:00-16:00", to_numbers=(PHONE,))
    for folder in ("digest", "quiet", "awake", "other"):
        world.notify(record(f"{folder}/a.log"))
    assert [body.split()[2] for _, _, body in world.texts] == ["awake/a.log,"]
    held = [json.loads(message.body) for message in world.held]
    reasons = [(one["file"]["key"], one["reason"]) for one in held]
    assert sorted(reasons) == [
        ("digest/a.log", "digest"),
        ("other/a.log", "quiet hours"),
        ("quiet/a.log", "quiet hours"),
    ]


def test_the_limits_of_a_phone_are_those_of_the_route_that_words_the_text() -> None:
    """A limit counts the phone's texts of all routes."""
    few = route("few", "few/*", PHONE, max_texts_per_hour=2)
    many = route("many", "many/*", PHONE, max_texts_per_hour=4)
    world = routed(few, many)
    for number in range(3):
        world.notify(record(f"few/{number}.log"))
    assert len(world.texts) == 2
    for number in range(3):
        world.notify(record(f"many/{number}.log"))
    assert len(world.texts) == 4
    world.notify(record("few/last.log"))
    assert len(world.texts) == 4
    assert len(world.held) == 3


def test_each_decision_about_a_text_names_its_route(capsys: pytest.CaptureFixture[str]) -> None:
    digest = NIGHTS._replace(mode="digest")
    world = routed(PAYMENTS, digest, to_numbers=(PHONE,))
    world.notify(record("payments/night/a.log"), record("app/a.log"))
    found = {
        (line["key"], line["phone"][-1]): (line["outcome"], line["route"])
        for line in logged(capsys)
        if "phone" in line
    }
    assert found == {
        ("payments/night/a.log", "0"): ("sent", "payments"),
        ("payments/night/a.log", "1"): ("sent", "payments"),
        ("payments/night/a.log", "2"): ("held", "nights"),
        ("app/a.log", "0"): ("sent", "default"),
    }


def test_no_decision_names_a_route_without_routes(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(max_texts_per_hour=1)
    world.notify(record("a.log"), record("b.log"))
    assert all("route" not in line for line in logged(capsys))


# Flushes


def held(world: World, *keys: str) -> None:
    """Hold the texts about these logs."""
    world.refuses = lambda _: NO_CONNECTION
    for key in keys:
        world.notify(record(key))
    world.end_outages()
    assert world.texts == []


def test_a_flush_texts_each_phone_of_each_route_once() -> None:
    world = routed()
    held(world, "payments/night/a.log", "app/night/b.log", "payments/c.log")
    world.flush()
    start = "more logs since 23 Nov 14:05 UTC: "
    assert texted(world) == {
        PHONE: f"2 {start}payments/night/a.log, payments/c.log",
        OTHER_PHONE: f"3 {start}payments/night/a.log, app/night/b.log, payments/c.log",
        THIRD_PHONE: f"2 {start}payments/night/a.log, app/night/b.log",
    }
    assert world.held == []


def test_a_flush_words_one_log_as_its_route_does() -> None:
    world = routed()
    held(world, "payments/night/a.log")
    world.flush()
    assert texted(world) == {
        PHONE: "Payment a.log",
        OTHER_PHONE: "Payment a.log",
        THIRD_PHONE: "Night a.log",
    }


def test_a_summary_over_several_routes_counts_by_route(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = routed(to_numbers=(OTHER_PHONE,), max_texts_at_once=30)
    held(world, *(f"{key}.log" for key in ("payments/a", "payments/b", "app/night/c", "d", "e")))
    capsys.readouterr()
    world.flush()
    assert texted(world)[OTHER_PHONE].startswith(
        "5 more logs since 23 Nov 14:05 UTC: payments 2, default 2, nights 1. Last: "
    )
    sent = [line for line in logged(capsys) if line["outcome"] == "sent"]
    assert {line["phone"][-1]: line["route"] for line in sent} == {
        "0": "payments",
        "1": "several",
        "2": "nights",
    }


def test_texts_of_a_route_in_quiet_hours_stay_held_while_others_of_the_phone_go() -> None:
    quiet = route("quiet", "quiet/*", PHONE, OTHER_PHONE, quiet_hours="14:00-15:00")
    world = routed(quiet, to_numbers=(PHONE,))
    held(world, "quiet/a.log", "quiet/b.log", "app/c.log")
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE]
    assert "app/c.log" in world.texts[0][2]
    assert {one.file.key for one in world.notices_on(world.held)} == {"quiet/a.log", "quiet/b.log"}
    world.now += 3600
    world.flush()
    assert [phone for _, phone, _ in world.texts[1:]] == [PHONE, OTHER_PHONE]
    assert "quiet/a.log, quiet/b.log" in world.texts[1][2]
    assert world.held == []


def test_quiet_hours_that_begin_during_a_flush_hold_the_rest_of_their_route() -> None:
    quiet = route("quiet", "quiet/*", PHONE, OTHER_PHONE, quiet_hours="15:00-16:00")
    world = routed(quiet, to_numbers=(PHONE, OTHER_PHONE))
    world.now += 54 * 60
    held(world, "quiet/a.log", "app/b.log")

    def take_a_minute(_phone: str) -> None:
        world.now += 60

    world.refuses = take_a_minute
    world.flush()
    assert [body.count("quiet/a.log") for _, _, body in world.texts] == [1, 0]
    assert [one.phone for one in world.notices_on(world.held)] == [OTHER_PHONE]


def test_a_flush_in_which_every_route_is_quiet_receives_no_message() -> None:
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-15:00")
    world = routed(quiet, to_numbers=(), quiet_hours="")
    world.notify(record("quiet/a.log"))
    world.flush()
    assert world.receive_waits == []
    assert len(world.held) == 1


@pytest.mark.parametrize("at_most", [1, 100])
def test_a_backlog_in_quiet_hours_is_not_old(
    at_most: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts in quiet hours raise no alarm, even if a flush does not receive all messages."""
    monkeypatch.setattr(held_messages, "MAX_MESSAGES", at_most)
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-15:00")
    world = routed(quiet, to_numbers=(PHONE,))
    world.notify(record("quiet/a.log"))
    world.now += 1800
    world.flush()
    (flushed,) = (line for line in logged(capsys) if line["outcome"] == "flushed")
    assert flushed["BacklogAge"] == 0
    assert len(world.held) == 1


def test_a_phone_in_quiet_hours_costs_a_flush_no_look_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-15:00")
    world = routed(quiet, to_numbers=(PHONE,))
    world.notify(record("quiet/a.log"))
    del world.operations["BatchGetItem"]
    world.flush()
    assert all(line["level"] == "INFO" for line in logged(capsys))


def test_an_event_that_lambda_gave_up_on_goes_to_the_phones_of_its_routes() -> None:
    world = routed()
    for key in ("payments/a.log", "payments/night/b.log"):
        event = {"Records": [record(key)]}
        world.held.put(json.dumps({"requestContext": {}, "requestPayload": event}))
    world.flush()
    assert set(texted(world)) == {PHONE, OTHER_PHONE, THIRD_PHONE}
    assert texted(world)[THIRD_PHONE] == "Night b.log"


def test_a_phone_that_left_every_route_is_dropped_after_a_day(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = routed()
    held(world, "payments/night/a.log")
    world.settings = world.settings._replace(routes=(PAYMENTS,))
    world.restart()
    world.flush()
    assert set(texted(world)) == {PHONE, OTHER_PHONE}
    assert [one.phone for one in world.notices_on(world.held)] == [THIRD_PHONE]
    world.now += 24 * 3600 + 1
    capsys.readouterr()
    world.flush()
    dropped = [line for line in logged(capsys) if line["outcome"] == "dropped"]
    assert [(line["phone"], line["reason"]) for line in dropped] == [("…0102", "left toNumbers")]
    assert world.held == []


def test_a_missing_log_goes_to_the_phones_of_its_route() -> None:
    expecting = route("backup", "backup/*", OTHER_PHONE, expect="by 06:30")
    world = routed(expecting, to_numbers=(PHONE,))
    missing = MissingLog("backup", "backup/*", TIME, TIME, "by 06:30")
    world.held.put(to_message(missing, [OTHER_PHONE], "expected"))
    world.held.put(to_message(missing._replace(route=""), [PHONE], "expected"))
    world.held.put(to_message(missing._replace(route="gone"), [THIRD_PHONE, PHONE], "expected"))
    world.flush()
    assert set(texted(world)) == {PHONE, OTHER_PHONE}
    assert [body.count("Missing") for _, _, body in world.texts] == [1, 1]
    assert {one.phone for one in world.notices_on(world.held)} == {THIRD_PHONE, PHONE}


KEYS = ("a/1.log", "a/b/2.log", "c/3.log")  # a summary names up to three
GLOBS = ("a/*", "*b*", "*.log", "c/*", "none/*")
some_routes = st.lists(
    st.tuples(
        st.sampled_from(GLOBS),
        st.sampled_from(["", "*2*", "c/*"]),
        st.lists(st.sampled_from([PHONE, OTHER_PHONE, THIRD_PHONE]), min_size=1, unique=True),
        st.sampled_from(["", "14:00-15:00"]),
        st.sampled_from(["instant", "digest"]),
        st.integers(1, 3),
    ),
    max_size=4,
)


@given(some_routes, st.lists(st.sampled_from([PHONE, OTHER_PHONE]), unique=True), st.randoms())
def test_each_phone_of_each_matching_route_gets_each_log_once_and_nobody_else_does(
    drawn: list[Any], flat: list[str], random: Any
) -> None:
    """The order of the routes, their modes, limits and quiet hours make no difference."""
    routes = [
        route(
            f"r{at}",
            logs,
            *phones,
            except_=exceptions,
            quiet_hours=hours,
            mode=mode,
            max_texts_per_hour=limit,
            message="$key",
        )
        for at, (logs, exceptions, phones, hours, mode, limit) in enumerate(drawn)
    ]
    random.shuffle(routes)
    world = World(routes=tuple(routes), to_numbers=tuple(flat), message="$key")
    world.notify(*map(record, KEYS), record(KEYS[0]))
    world.flush()
    world.now += 2 * 3600
    world.flush()
    told = Counter((phone, key) for _, phone, body in world.texts for key in KEYS if key in body)
    wanted: Counter[tuple[str, str]] = Counter()
    for key in KEYS:
        matching = [
            one
            for one in routes
            if fnmatch.fnmatchcase(key, one.logs) and not fnmatch.fnmatchcase(key, one.except_)
        ]
        phones = {phone for one in matching for phone in one.to_numbers} if matching else flat
        wanted += Counter((phone, key) for phone in phones)
    assert told == wanted
    assert world.held == []


def test_messages_of_routes_in_quiet_hours_are_not_received_by_each_flush() -> None:
    """Otherwise they could crowd out the messages whose texts may go now."""
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-14:30")
    both = route("both", "quiet/both/*", OTHER_PHONE)
    world = routed(quiet, both, to_numbers=(PHONE,))
    world.notify(record("quiet/a.log"))
    receives = []
    for _ in range(5):
        world.flush()
        receives.append(world.held[0].receive_count)
        world.now += 300
    assert receives == [1, 1, 1, 2, 2]  # hidden for 15 minutes, or until the quiet hours end
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [PHONE]
    assert world.held == []


def test_a_message_with_a_text_that_may_go_is_received_by_each_flush() -> None:
    quiet = route("quiet", "*", PHONE, quiet_hours="14:00-14:30")
    awake = route("awake", "*", OTHER_PHONE)
    world = routed(quiet, awake)
    world.held.put(to_message(log_file("a.log"), [PHONE, OTHER_PHONE], "Twilio refuses"))
    world.refuses = lambda _: NO_CONNECTION
    world.flush()
    world.now += 300
    world.end_outages()
    world.flush()
    assert [phone for _, phone, _ in world.texts] == [OTHER_PHONE]
    assert [one.phone for one in world.notices_on(world.held)] == [PHONE]
