"""The text about a missing log: from the flush that finds it to the phones."""

import datetime
import json
from typing import Any, Literal

import pytest

from handler.refusals import NO_CONNECTION, refusal
from handler.routes import Route
from handler.segments import segments
from simulation.samples import OTHER_PHONE, PHONE, record, settings
from simulation.world import World

UTC = datetime.UTC
MINUTE = datetime.timedelta(minutes=1)
MISSING = "Missing: no log since 24 Nov 03:12 UTC, expected by 06:30"


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


def expecting(**changes: Any) -> World:
    """Return a world that expects a log by 06:30 daily; the last one came on 24 November."""
    world = World(**{"expect": "by 06:30", "to_numbers": (PHONE,), **changes})
    at(world, "2026-11-23T10:00")
    world.flush()
    upload(world, "2026-11-24T03:12", "backup/first.log", 5000)
    world.texts.clear()
    return world


def at(world: World, moment: str) -> None:
    world.now = utc(moment).timestamp()


def upload(world: World, moment: str, key: str, size: int = 5000) -> None:
    at(world, moment)
    world.notify(record(key, eventTime=f"{moment}:00Z", size=size, sequencer=moment))


def flush(world: World, moment: str) -> list[str]:
    """Flush, and return the texts of this flush."""
    at(world, moment)
    before = len(world.texts)
    world.flush()
    return [body for _, _, body in world.texts[before:]]


def test_a_log_that_only_a_flush_saw_has_come() -> None:
    """`notify` failed, Lambda gave the event up, and an operator redrove it."""
    world = expecting()
    come = record("backup/db.log", eventTime="2026-11-25T03:12:00Z", size=5000)
    world.held.put(json.dumps({"requestContext": {}, "requestPayload": {"Records": [come]}}))
    assert flush(world, "2026-11-25T05:00")[0].startswith("New log backup/db.log")
    assert flush(world, "2026-11-25T06:35") == []


def test_a_log_with_nothing_worth_a_text_has_come_all_the_same() -> None:
    world = expecting(contains="ERROR")
    world.objects["backup/db.log"] = b"all is well"
    upload(world, "2026-11-25T03:12", "backup/db.log")
    assert world.texts == []
    assert flush(world, "2026-11-25T06:35") == []


def test_a_log_in_digest_mode_has_come_when_it_is_held() -> None:
    world = expecting(mode="digest")
    flush(world, "2026-11-24T06:35")
    upload(world, "2026-11-25T06:33", "backup/db.log")
    assert flush(world, "2026-11-25T06:35") == [
        "New log backup/db.log, 5.0 kB, 25 Nov 06:33 UTC in logs-1a2b3c4"
    ]


def test_one_flush_finds_and_texts_a_missing_log() -> None:
    world = expecting(to_numbers=(PHONE, OTHER_PHONE))
    assert flush(world, "2026-11-24T06:35") == []
    assert flush(world, "2026-11-25T06:35") == [MISSING, MISSING]
    assert [phone for _, phone, _ in world.texts] == [PHONE, OTHER_PHONE]
    assert flush(world, "2026-11-25T06:40") == []
    assert world.held == []


def test_a_text_about_a_small_log_says_so_at_once_and_at_the_deadline() -> None:
    world = expecting(at_least="1 kB", message="$key, $size")
    upload(world, "2026-11-25T03:12", "backup/db.log", 120)
    assert world.texts[-1][2] == "backup/db.log, 120 B (too small, expected at least 1 kB)"
    assert flush(world, "2026-11-25T06:35") == [
        "Too small: backup/db.log 120 B, expected at least 1 kB"
    ]


def test_a_small_log_is_named_once_and_then_that_no_log_came() -> None:
    world = expecting(at_least="1 kB")
    upload(world, "2026-11-25T03:12", "backup/db.log", 120)
    assert flush(world, "2026-11-25T06:35")[0].startswith("Too small: backup/db.log 120 B")
    assert flush(world, "2026-11-26T06:35") == [MISSING]
    upload(world, "2026-11-27T03:12", "backup/db.log", 130)
    assert flush(world, "2026-11-27T06:35")[0].startswith("Too small: backup/db.log 130 B")


def test_a_log_that_came_before_the_flush_looked_is_not_missing() -> None:
    world = expecting()
    upload(world, "2026-11-25T06:33", "app/a.log")
    assert flush(world, "2026-11-25T06:35") == []


def test_the_log_that_ends_a_miss_says_that_it_is_late_to_each_phone() -> None:
    world = expecting(to_numbers=(PHONE, OTHER_PHONE), message="$key")
    flush(world, "2026-11-25T06:35")
    world.texts.clear()
    upload(world, "2026-11-25T08:00", "backup/db.log")
    upload(world, "2026-11-25T08:01", "backup/web.log")
    assert [(phone, body) for _, phone, body in world.texts] == [
        (PHONE, "backup/db.log (late, expected by 06:30)"),
        (OTHER_PHONE, "backup/db.log (late, expected by 06:30)"),
        (PHONE, "backup/web.log"),
        (OTHER_PHONE, "backup/web.log"),
    ]


def test_a_process_that_saw_a_log_in_time_sees_that_the_next_one_is_late() -> None:
    world = expecting(message="$key", expect="every 6h")
    upload(world, "2026-11-24T05:00", "a.log")
    flush(world, "2026-11-24T11:05")
    upload(world, "2026-11-24T11:30", "b.log")
    upload(world, "2026-11-24T12:00", "c.log")
    assert [body for _, _, body in world.texts] == [
        "a.log",
        "Missing: no log since 24 Nov 05:00 UTC, expected every 6h",
        "b.log (late, expected every 6h)",
        "c.log",
    ]


def test_a_process_that_saw_a_log_of_a_new_route_sees_that_a_later_one_is_late() -> None:
    world = World(message="$key", expect="every 2m", to_numbers=(PHONE,))
    upload(world, "2026-11-24T10:00", "a.log")
    assert flush(world, "2026-11-24T10:01") == []
    assert flush(world, "2026-11-24T10:06") == []
    assert len(flush(world, "2026-11-24T10:07")) == 1
    upload(world, "2026-11-24T10:08", "b.log")
    assert world.texts[-1][2] == "b.log (late, expected every 2m)"


def test_a_log_that_is_held_alone_and_ends_a_miss_says_so_too() -> None:
    world = expecting(message="$key", mode="digest")
    flush(world, "2026-11-24T06:35")
    flush(world, "2026-11-25T06:35")
    upload(world, "2026-11-25T08:00", "backup/db.log")
    assert flush(world, "2026-11-25T08:05") == ["backup/db.log (late, expected by 06:30)"]


def test_a_log_that_was_announced_late_but_came_in_time_is_not_late() -> None:
    world = expecting(message="$key")
    flush(world, "2026-11-25T06:35")
    at(world, "2026-11-25T06:40")
    world.notify(record("backup/db.log", eventTime="2026-11-25T06:29:00Z"))
    assert world.texts[-1][2] == "backup/db.log"


def test_a_small_log_after_a_miss_is_too_small_and_does_not_end_it() -> None:
    world = expecting(message="$key", at_least="1 kB")
    flush(world, "2026-11-25T06:35")
    upload(world, "2026-11-25T08:00", "a.log", 120)
    upload(world, "2026-11-25T08:01", "b.log", 1200)
    assert [body for _, _, body in world.texts[-2:]] == [
        "a.log (too small, expected at least 1 kB)",
        "b.log (late, expected by 06:30)",
    ]


@pytest.mark.parametrize("failing", ["dynamodb", "code"])
def test_without_the_ledger_a_late_log_is_texted_all_the_same(failing: str) -> None:
    world = expecting(message="$key")
    flush(world, "2026-11-25T06:35")

    def fail(_: Any) -> dict[str, Any]:
        raise RuntimeError

    if failing == "dynamodb":
        world.down.add("dynamodb")
    else:
        world.operations["BatchGetItem"] = fail
    upload(world, "2026-11-25T08:00", "backup/db.log")
    assert world.texts[-1][2] == "backup/db.log"


def test_a_missing_log_is_held_in_quiet_hours_and_comes_first_in_the_summary() -> None:
    world = expecting(quiet_hours="22:00-07:00")
    assert flush(world, "2026-11-25T06:35") == []
    upload(world, "2026-11-25T06:40", "app/a.log")
    upload(world, "2026-11-25T06:41", "app/b.log")
    (summary,) = flush(world, "2026-11-25T07:00")
    # The third log is the first one, which came in quiet hours as well.
    assert summary.startswith(f"{MISSING}. 3 more logs since 24 Nov 03:12 UTC: ")


def test_a_missing_log_is_in_the_first_of_several_summaries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handler.summaries.MAX_TEXTS", 2)
    world = expecting(quiet_hours="22:00-07:00")
    for minute in (36, 37, 38):
        upload(world, f"2026-11-24T05:{minute}", f"app/{minute}.log")
    assert flush(world, "2026-11-25T06:35") == []
    (first,) = flush(world, "2026-11-25T07:00")
    assert first.startswith("Missing: no log since 24 Nov 05:38 UTC, expected by 06:30. 1 more log")


def test_a_missing_log_counts_against_the_limit_of_its_phone() -> None:
    world = expecting(max_texts_per_hour=1)
    flush(world, "2026-11-25T06:35")
    upload(world, "2026-11-25T06:36", "app/a.log")
    assert [body for _, _, body in world.texts] == [MISSING]


def test_a_missing_log_waits_for_the_end_of_an_outage_and_then_goes_once() -> None:
    world = expecting()
    world.refuses = lambda _: NO_CONNECTION
    assert flush(world, "2026-11-25T06:35") == []
    assert flush(world, "2026-11-25T06:40") == []
    world.end_outages()
    assert flush(world, "2026-11-25T06:45") == [MISSING]
    assert flush(world, "2026-11-25T06:50") == []


def test_a_missing_log_fails_with_its_phone_and_can_be_redriven() -> None:
    world = expecting()
    world.refuses = lambda _: refusal(400, 21610)
    assert flush(world, "2026-11-25T06:35") == []
    (failed,) = world.failed
    assert json.loads(failed.body)["file"]["deadline"] == "2026-11-25T06:30:00+00:00"
    world.end_outages()
    world.redrive()
    assert flush(world, "2026-11-25T06:40") == [MISSING]
    world.redrive()
    assert flush(world, "2026-11-25T06:45") == []


def test_a_redriven_miss_that_was_texted_is_not_texted_again() -> None:
    world = expecting()
    at(world, "2026-11-25T06:35")
    world.operations["DeleteMessageBatch"], delete = (
        lambda _payload: {},
        world.operations["DeleteMessageBatch"],
    )
    world.flush()
    world.operations["DeleteMessageBatch"] = delete
    assert [body for _, _, body in world.texts] == [MISSING]
    assert flush(world, "2026-11-25T06:45") == []
    assert world.held == []


def test_the_log_counts_missing_logs_apart_from_files(capsys: pytest.CaptureFixture[str]) -> None:
    world = expecting(quiet_hours="22:00-07:00")
    flush(world, "2026-11-25T06:35")
    flush(world, "2026-11-25T07:00")
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    (line,) = (line for line in lines if line["outcome"] == "sent")
    assert (line["files"], line["missing"]) == (1, 1)


def test_several_missing_logs_come_first_and_the_summary_stays_short() -> None:
    world = expecting()
    world.refuses = lambda _: NO_CONNECTION
    for day in (25, 26, 27):
        flush(world, f"2026-11-{day}T06:35")
    world.end_outages()
    (summary,) = flush(world, "2026-11-27T06:40")
    assert summary == MISSING
    assert segments(summary) == 1


@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_the_first_flush_of_a_stack_texts_nothing(mode: str) -> None:
    world = World(expect="by 06:30", mode=mode)
    assert flush(world, "2026-11-25T06:35") == []


def test_an_error_of_the_check_does_not_stop_the_flush() -> None:
    world = expecting(mode="digest")
    world.notify(record("app/a.log"))
    read = world.operations["BatchGetItem"]

    def fail_once(payload: Any) -> dict[str, Any]:
        world.operations["BatchGetItem"] = read
        raise RuntimeError

    world.operations["BatchGetItem"] = fail_once
    (text,) = flush(world, "2026-11-25T06:35")
    assert "2 more logs" in text


# Routes


def routed(**changes: Any) -> World:
    """Return a world whose route `backup` expects a log by 06:30 daily."""
    route = Route.inheriting(settings())._replace(
        **{
            "name": "backup",
            "logs": "backup/*.log",
            "to_numbers": (OTHER_PHONE,),
            "expect": "by 06:30",
            **changes,
        }
    )
    others = route._replace(name="app", logs="app/*", to_numbers=(PHONE,), expect="")
    world = World(routes=(others, route), to_numbers=())
    at(world, "2026-11-23T10:00")
    world.flush()
    upload(world, "2026-11-24T03:12", "backup/first.log")
    world.texts.clear()
    return world


def test_a_missing_log_is_texted_to_the_phones_of_its_route_only() -> None:
    world = routed()
    upload(world, "2026-11-25T03:12", "app/a.log")
    world.texts.clear()
    flush(world, "2026-11-25T06:35")
    assert [(phone, body) for _, phone, body in world.texts] == [
        (OTHER_PHONE, "Missing: no backup/*.log since 24 Nov 03:12 UTC, expected by 06:30")
    ]


def test_a_missing_log_of_many_globs_is_texted() -> None:
    world = routed(logs=",".join(["backup/*.log", *(f"host-{n}/*.log" for n in range(200))]))
    (body,) = flush(world, "2026-11-25T06:35")
    assert body.startswith("Missing: no backup/*.log")
    assert world.failed == []


def test_the_quiet_hours_of_its_route_hold_a_missing_log() -> None:
    world = routed(quiet_hours="22:00-07:00")
    assert flush(world, "2026-11-25T06:35") == []
    found = [
        body for minute in range(5, 20, 5) for body in flush(world, f"2026-11-25T07:{minute:02}")
    ]
    assert found == [  # the first log came in quiet hours as well
        "Missing: no backup/*.log since 24 Nov 03:12 UTC, expected by 06:30. "
        "1 more log since 24 Nov 03:12 UTC: backup/first.log"
    ]


def test_a_missing_log_whose_route_is_gone_is_dropped_after_a_day() -> None:
    world = routed()
    world.refuses = lambda _: NO_CONNECTION
    flush(world, "2026-11-25T06:35")
    world.end_outages()
    first, backup = world.settings.routes
    world.settings = world.settings._replace(routes=(first, backup._replace(name="backups")))
    world.restart()
    assert flush(world, "2026-11-25T06:40") == []
    assert len(world.held) == 1
    assert flush(world, "2026-11-26T06:50") == []
    assert world.held == []


def test_a_summary_names_the_missing_log_first_and_then_counts_by_route() -> None:
    world = routed(to_numbers=(PHONE, OTHER_PHONE), mode="digest")
    for number in range(4):
        upload(world, f"2026-11-25T06:3{number}", f"app/{number}.log")
    summary, other = flush(world, "2026-11-25T06:35")
    missing = "Missing: no backup/*.log since 24 Nov 03:12 UTC, expected by 06:30"
    assert summary.startswith(f"{missing}. 5 more logs since 24 Nov 03:12 UTC: app 4, backup 1. ")
    assert other.startswith(missing)


@pytest.mark.parametrize("mode", ["instant", "digest"])
def test_a_text_about_a_log_tells_each_phone_what_its_own_routes_expected(
    mode: Literal["instant", "digest"],
) -> None:
    first = Route.inheriting(settings())._replace(
        name="backup", logs="*", to_numbers=(PHONE,), expect="by 06:30", mode=mode, message="$key"
    )
    second = first._replace(name="db", to_numbers=(OTHER_PHONE,), at_least="1 kB")
    third = first._replace(name="all", to_numbers=("+15005550199",), expect="")
    world = World(routes=(first, second, third), to_numbers=())
    at(world, "2026-11-23T10:00")
    world.flush()
    flush(world, "2026-11-25T06:35")
    texts = []
    for minute, size in ((0, 120), (10, 1200)):
        world.texts.clear()
        upload(world, f"2026-11-25T08:{minute:02}", "a.log", size)
        flush(world, f"2026-11-25T08:{minute + 5:02}")
        texts.append({phone: body for _, phone, body in world.texts})
    assert texts == [
        {
            PHONE: "a.log (late, expected by 06:30)",
            OTHER_PHONE: "a.log (too small, expected at least 1 kB)",
            "+15005550199": "a.log",
        },
        {
            PHONE: "a.log",
            OTHER_PHONE: "a.log (late, expected by 06:30)",
            "+15005550199": "a.log",
        },
    ]


def test_a_phone_of_two_routes_is_told_what_both_expected() -> None:
    first = Route.inheriting(settings())._replace(
        name="backup", logs="*", to_numbers=(PHONE,), expect="by 06:30", message="$key"
    )
    second = first._replace(name="db", at_least="1 kB")
    world = World(routes=(first, second, first._replace(name="web")), to_numbers=())
    at(world, "2026-11-23T10:00")
    world.flush()
    flush(world, "2026-11-25T06:35")
    upload(world, "2026-11-25T08:00", "a.log", 120)
    assert world.texts[-1][2] == (
        "a.log (too small, expected at least 1 kB; late, expected by 06:30)"
    )
