"""With `contains` a phone is texted only about logs with such a word, and gets the line."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.events import LogFile
from handler.refusals import Kind, Refusal
from handler.routes import Route
from simulation.samples import OTHER_PHONE, PHONE, record, settings
from simulation.world import Crash, World
from tests.unit.examples import examples
from tests.unit.test_redaction import ALONE, NAMES, PLACES, PLANTED, SHORT, parts_of

ERROR = b"INFO begins\nERROR: payment gateway refused\nFATAL: gone\nERROR: again\n"
FINE = b"INFO all is well\n"


def route(name: str, *phones: str, **changes: Any) -> Route:
    flat = settings()
    fields = {"name": name, "logs": "*", "to_numbers": phones, **changes}
    return Route.inheriting(flat)._replace(**fields)


def world(*routes: Route, **changes: Any) -> World:
    made = World(**{"to_numbers": (PHONE,), "contains": "ERROR", "routes": routes, **changes})
    made.objects = {"error.log": ERROR, "fine.log": FINE}
    return made


def decisions(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_log_with_the_word_is_texted_with_its_line() -> None:
    simulated = world()
    simulated.notify(record("error.log"))
    ((_, phone, body),) = simulated.texts
    assert phone == PHONE
    assert body == "New log error.log, 1.0 kB, 23 Nov 14:05 UTC: ERROR: payment gateway refused"


def test_a_log_without_the_word_is_not_texted_but_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    simulated = world(to_numbers=(PHONE, OTHER_PHONE))
    simulated.notify(record("fine.log"))
    assert (simulated.texts, list(simulated.held), simulated.table.items) == ([], [], {})
    (line,) = [one for one in decisions(capsys) if one["outcome"] == "nothing inside"]
    assert (line["key"], line["phones"], line["LogsNothingInside"]) == ("fine.log", 2, 1)


@pytest.mark.parametrize(
    ("reason", "contains"), [("it is archived", "ERROR"), ("S3 does not answer", "")]
)
def test_a_log_that_cannot_be_read_is_texted_with_the_reason(
    capsys: pytest.CaptureFixture[str], reason: str, contains: str
) -> None:
    simulated = world(contains=contains, message="New: $key, $count lines")
    simulated.unreadable = reason
    simulated.notify(record("gone.log"))
    ((_, _, body),) = simulated.texts
    assert body == f"New: gone.log, 0+ lines (not read: {reason})"
    (line,) = [one for one in decisions(capsys) if one["outcome"] == "not read"]
    assert (line["reason"], line["LogsNotRead"]) == (f"not read: {reason}", 1)


def test_an_unforeseen_error_while_reading_stops_no_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = world()

    def fail(_: LogFile) -> Any:
        raise RuntimeError("a defect")

    monkeypatch.setattr(simulated, "open", fail)
    simulated.notify(record("error.log"))
    ((_, _, body),) = simulated.texts
    assert body.endswith("(not read: an error)")
    assert "unexpected" in [one["outcome"] for one in decisions(capsys)]


def test_a_log_is_read_once_for_all_routes_and_files_of_an_event_are_read_apart() -> None:
    simulated = world(
        route("a", PHONE, contains="ERROR"),
        route("b", OTHER_PHONE, contains="FATAL", message="$name: $count, $line"),
    )
    simulated.notify(record("error.log"), record("fine.log"))
    assert simulated.reads == ["error.log", "fine.log"]
    bodies = {phone: body for _, phone, body in simulated.texts}
    assert bodies[PHONE].endswith(": ERROR: payment gateway refused")
    assert bodies[OTHER_PHONE] == "error.log: 1, FATAL: gone"
    assert len(simulated.texts) == 2


def test_a_phone_is_texted_by_the_first_route_that_finds_something() -> None:
    simulated = world(
        route("a", PHONE, contains="nowhere", message="a $key"),
        route("b", PHONE, contains="", message="b $key"),
        route("c", PHONE, contains="ERROR", message="c $key"),
    )
    simulated.notify(record("error.log"))
    assert [body for _, _, body in simulated.texts] == ["b error.log"]


def test_a_route_that_finds_nothing_leaves_the_log_to_no_other_one() -> None:
    """The flat settings apply to logs whose key matches no route. The content does not count."""
    simulated = world(route("a", OTHER_PHONE, contains="nowhere"), contains="")
    simulated.notify(record("error.log"))
    assert simulated.texts == []


def test_a_stack_that_looks_inside_nothing_reads_nothing() -> None:
    simulated = world(contains="")
    simulated.notify(record("error.log"))
    assert simulated.reads == []
    assert len(simulated.texts) == 1


def test_a_log_without_words_is_texted_with_its_last_line() -> None:
    simulated = world(contains="", message="$name $count: $line")
    simulated.notify(record("error.log"))
    assert simulated.texts[0][2] == "error.log 4: ERROR: again"


def test_an_empty_log_has_nothing_inside() -> None:
    simulated = world()
    simulated.notify(record("empty.log", size=0))
    assert (simulated.texts, simulated.reads) == ([], [])
    asked = world(contains="", message="$name: $line")
    asked.notify(record("empty.log", size=0))
    assert [body.strip() for _, _, body in asked.texts] == ["empty.log:"]


def test_time_for_reading_is_a_third_of_the_functions() -> None:
    simulated = world(contains="ERROR, FATAL")
    left = iter([60.0] * 3 + [39.0] * 100)
    simulated.notifier.notify(
        {"Records": [record("error.log"), record("fine.log")]}, lambda: next(left)
    )
    assert [body.partition("UTC: ")[2] for _, _, body in simulated.texts] == [
        "ERROR: payment gateway refused (only the first 68 B read)",
        "(not read: no time)",
    ]


def test_a_duplicate_is_not_texted_twice() -> None:
    simulated = world()
    for _ in range(3):
        simulated.notify(record("error.log"))
    assert len(simulated.texts) == 1


def test_a_held_log_keeps_its_line_and_its_count() -> None:
    simulated = world(mode="digest")
    simulated.notify(record("error.log"))
    (message,) = simulated.held
    assert json.loads(message.body)["file"]["inside"] == {
        "lines": 2,
        "line": "ERROR: payment gateway refused",
        "note": "",
        "contains": "ERROR",
    }
    simulated.flush()
    assert [body for _, _, body in simulated.texts] == [
        "New log error.log, 1.0 kB, 23 Nov 14:05 UTC: ERROR: payment gateway refused"
    ]


def test_routes_that_find_other_lines_hold_them_apart() -> None:
    simulated = world(
        route("a", PHONE, contains="ERROR", mode="digest"),
        route("b", OTHER_PHONE, contains="FATAL", mode="digest"),
    )
    simulated.notify(record("error.log"))
    found = {
        phone: json.loads(message.body)["file"]["inside"]["lines"]
        for message in simulated.held
        for phone in json.loads(message.body)["phones"]
    }
    assert found == {PHONE: 2, OTHER_PHONE: 1}


def test_a_log_that_twilio_refused_keeps_its_line_in_failed() -> None:
    simulated = world()
    simulated.refuses = lambda _: Refusal(kind=Kind.PHONE, code=21610, meaning="STOP")
    simulated.notify(record("error.log"))
    (message,) = simulated.failed
    assert json.loads(message.body)["file"]["inside"]["lines"] == 2


@pytest.mark.parametrize("crash_at", range(16))
def test_a_crash_while_reading_loses_no_text_and_repeats_none(crash_at: int) -> None:
    """Lambda tries the event again. By then the log may be gone, which changes the text."""
    simulated = world()
    simulated.crash_at = crash_at
    with contextlib.suppress(Crash):
        simulated.notify(record("error.log"))
    simulated.crash_at = None
    simulated.restart()
    simulated.objects.clear()
    simulated.now += 60
    simulated.notify(record("error.log"))
    for _ in range(3):
        simulated.now += 3600
        simulated.flush()
    assert len([body for _, _, body in simulated.texts if "error.log" in body]) == 1


@examples(150)
@given(
    st.sampled_from(PLACES) | st.sampled_from(ALONE),
    st.sampled_from(NAMES),
    st.sampled_from(PLANTED + SHORT),
    st.sampled_from(["{} ERROR", "ERROR {}", "ERROR {} and more", "\x1b[1mERROR\x1b[0m\t{}\r"]),
    st.sampled_from(["sent", "held", "failed"]),
)
def test_no_planted_secret_leaves_the_function(
    place: str, name: str, secret: str, line: str, outcome: str
) -> None:
    if place in ALONE and secret in SHORT:
        place = PLACES[0]
    inside = line.format(place.format(name=name, secret=secret))
    mode = "digest" if outcome == "held" else "instant"
    simulated = world(mode=mode, message="$key $line $count", to_numbers=(PHONE, OTHER_PHONE))
    simulated.objects["a.log"] = inside.encode()
    if outcome == "failed":
        simulated.refuses = lambda _: Refusal(kind=Kind.TEXT, code=21617, meaning="too long")
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout.write", written.append)
        simulated.notify(record("a.log"))
        queued = [message.body for message in (*simulated.held, *simulated.failed)]
        simulated.flush()
    left = [*written, *queued, *(body for _, _, body in simulated.texts)]
    assert not any(part in one for part in parts_of(secret) for one in left)
    assert f'"{outcome}"' in "".join(written)
    assert queued or simulated.texts


def test_a_summary_counts_the_lines_of_all_its_logs() -> None:
    simulated = world(mode="digest")
    simulated.objects["other.log"] = ERROR * 10
    simulated.notify(record("error.log"), record("fine.log"), record("other.log"))
    simulated.flush()
    ((_, _, body),) = simulated.texts
    assert body == ("2 more logs since 23 Nov 14:05 UTC, 22 lines with ERROR: error.log, other.log")


def test_a_summary_tells_each_phone_of_the_lines_that_its_route_found() -> None:
    simulated = world(
        route("a", PHONE, contains="ERROR", mode="digest"),
        route("b", OTHER_PHONE, contains="FATAL", mode="digest", message="$name: $line ($count)"),
    )
    simulated.notify(record("error.log"))
    simulated.flush()
    assert {phone: body for _, phone, body in simulated.texts} == {
        PHONE: "New log error.log, 1.0 kB, 23 Nov 14:05 UTC: ERROR: payment gateway refused",
        OTHER_PHONE: "error.log: FATAL: gone (1)",
    }
    assert list(simulated.held) == []


def test_a_held_log_is_worded_by_the_route_that_found_something() -> None:
    simulated = world(
        route("a", PHONE, contains="nowhere", mode="digest", message="a $key"),
        route("b", PHONE, contains="ERROR", mode="digest", message="b $key"),
    )
    simulated.notify(record("error.log"))
    simulated.flush()
    assert [body for _, _, body in simulated.texts] == ["b error.log"]


@pytest.mark.parametrize(
    "inside",
    [{"lines": "2"}, {"lines": -1}, {"lines": 1, "line": 3}, {"note": "\ud800"}, [], "x", 7],
    ids=str,
)
def test_what_a_message_says_of_lines_is_checked(inside: object) -> None:
    simulated = world(mode="digest")
    simulated.notify(record("error.log"))
    (message,) = simulated.held
    described = json.loads(message.body)
    described["file"]["inside"] = inside
    simulated.held.clear()
    simulated.held.put(json.dumps(described))
    simulated.flush()
    assert simulated.texts == []
    assert len(list(simulated.failed)) == 1


def test_a_message_of_a_later_version_is_read() -> None:
    simulated = world(mode="digest")
    simulated.notify(record("error.log"))
    (message,) = simulated.held
    described = json.loads(message.body)
    described["file"]["inside"]["colour"] = "red"
    simulated.held.clear()
    simulated.held.put(json.dumps(described))
    simulated.flush()
    assert len(simulated.texts) == 1
