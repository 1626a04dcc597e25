"""The command `flush`, on a faked AWS."""

from typing import Any

import pytest

from tests.unit.operated import (
    Operated,
    Run,
    held_message,
)


def test_a_flush_says_how_many_files_were_texted(run: Run) -> None:
    operated = Operated()

    def flushes() -> None:
        operated.logs.add("flush", outcome="sent", phone="…0100", sid="SM1", files=12)
        operated.logs.add("flush", outcome="sent", phone="…0101", sid="SM2", files=1)
        operated.logs.add("flush", outcome="flushed", messages=13)

    operated.functions.on_invoke = flushes
    shown = run(operated, "flush")
    assert shown.endswith("Texted: 13 files in 2 texts.\nNothing is held now.\n")


def test_a_flush_says_how_many_messages_failed(run: Run) -> None:
    operated = Operated()

    def flushes() -> None:
        for _ in range(2):
            operated.logs.add("flush", outcome="failed", reason="unreadable")
        operated.logs.add("flush", outcome="flushed", messages=2)

    operated.functions.on_invoke = flushes
    shown = run(operated, "flush")
    assert "Nothing was texted. Failed: 2 (why: make status STACK=prod).\n" in shown


def test_a_flush_says_how_many_texts_stay_held_and_why(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message(), hidden=60)
    operated.held.put(held_message())

    def flushes() -> None:
        why: dict[str, Any] = {"reason": "busy", "code": "503", "meaning": "Twilio is unavailable"}
        operated.logs.add("flush", outcome="not sent", phone="…0100", **why)
        operated.logs.add("flush", outcome="flushed", messages=2, given_back=2, **why)

    operated.functions.on_invoke = flushes
    shown = run(operated, "flush")
    assert "Nothing was texted.\n" in shown
    assert shown.endswith("Still held: 2. Why: busy (503: Twilio is unavailable) for …0100\n")


def test_status_and_flush_show_the_reason_in_the_last_line_of_a_flush(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message())
    fields: dict[str, Any] = {"reason": "busy", "code": "0", "meaning": "no connection to Twilio"}
    fields |= {"outcome": "flushed", "messages": 1, "for_other_settings": 2}
    operated.functions.on_invoke = lambda: operated.logs.add("flush", **fields)
    assert run(operated, "flush").endswith(
        "Still held: 1. Why: busy (0: no connection to Twilio); "
        "2 texts for phones that its settings do not name\n"
    )
    assert "could not text, 0 s ago: busy (0: no connection to Twilio)\n" in run(operated, "status")


def test_a_flush_reports_the_messages_that_another_flush_received(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message(), hidden=60)
    operated.functions.on_invoke = lambda: operated.logs.add("flush", outcome="flushed", messages=0)
    shown = run(operated, "flush")
    assert "Still held: 1. Why: another flush has received 1" in shown
    assert shown.endswith("within 4 min\n")


def test_a_flush_in_quiet_hours_says_so(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message())
    operated.functions.on_invoke = lambda: operated.logs.add("flush", outcome="quiet hours")
    shown = run(operated, "flush")
    assert shown.endswith("these are quiet hours.\nStill held: 1. Why: quiet hours\n")


def test_a_flush_waits_until_cloudwatch_shows_its_log(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()
    run(operated, "status")
    monkeypatch.setattr("stack.flush.LOG_SECONDS", 60)
    reads = iter(range(6))

    def late() -> None:
        if next(reads, None) is None and not operated.logs.lines:
            operated.logs.add("flush", outcome="sent", files=1, sid="SM1", phone="…0100")
            operated.logs.add("flush", outcome="flushed", messages=1)

    operated.logs.on_read = late
    assert "Texted: 1 file in 1 text." in run(operated, "flush")
