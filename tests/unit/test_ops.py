"""The output of the operator's commands, on a faked AWS."""

import datetime
import functools
import io
import json
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.routes import Route
from ops import commands
from simulation import samples
from stack import queues
from tests.unit.operated import (
    HOSTILE,
    NOW,
    OUTPUTS,
    Operated,
    Queue,
    Run,
    held_message,
    refusal,
)

EARLIER = NOW - datetime.timedelta(hours=1)
TWINS = ("+15005550100", "+13055550100")

# Text from outside


def assert_printable(shown: str) -> None:
    controls = [
        one for one in shown if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Zl"}
    ]
    assert not controls, (controls, shown)


def hostile() -> Operated:
    """Give a stack on which everything that comes from outside is hostile."""
    operated = Operated(quiet_hours="22:00-07:00")
    operated.sends(HOSTILE, sid=HOSTILE)
    operated.decides(HOSTILE, outcome="held", reason=HOSTILE, code=HOSTILE, meaning=HOSTILE)
    operated.logs.add("flush", outcome="not sent", level="WARN", reason=HOSTILE, phone=HOSTILE)
    operated.logs.add("flush", outcome="flushed", messages=1)
    operated.logs.lines.append(("flush", NOW, f"a traceback {HOSTILE}"))
    for queue in (operated.held, operated.failed):
        queue.put(held_message(HOSTILE, HOSTILE, code=HOSTILE, meaning=HOSTILE), sent=EARLIER)
    operated.sns.subscribe(HOSTILE, "PendingConfirmation")
    operated.sns.subscribe(HOSTILE)
    operated.cloudwatch.raise_alarm(HOSTILE)
    operated.twilio.status = HOSTILE
    return operated


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_no_command_lets_external_text_control_the_terminal(run: Run, command: str) -> None:
    operated = hostile()
    operated.stack.outputs = {**OUTPUTS, "bucket": HOSTILE, "dashboard": HOSTILE}
    operated.held.refuses = lambda _: HOSTILE
    operated.s3.on_put = lambda key: operated.sends(key, sid=HOSTILE)
    shown = run(operated, command)
    assert_printable(shown)
    assert "\\x1b" in shown or "red" in shown
    assert not re.search(r"^12:00:00  notify", shown, re.MULTILINE)
    if command in {"status", "tail", "flush"}:
        assert "[red]x[/red]" in re.sub(r"[\s│]", "", shown)


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_an_error_does_not_control_the_terminal_either(run: Run, command: str) -> None:
    operated = hostile()

    refuses(operated, HOSTILE)
    shown = run(operated, command)
    assert_printable(shown)
    assert shown.count("\n") == 1


def test_lines_of_a_log_are_shown_as_they_are(run: Run) -> None:
    operated = Operated()
    operated.sends("app/[bold]web[/bold] :smile:.log")
    assert "app/[bold]web[/bold] :smile:.log" in run(operated, "tail")


def test_a_terminal_that_lacks_a_script_shows_escapes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()
    operated.sends("日本/web.log")
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    run(operated, "tail")
    terminal.flush()
    assert rb"\u65e5\u672c/web.log" in written.getvalue()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("file", "phone", "reason", "code", "meaning", "unreadable", "requestContext"), JSON
    )
    | {"requestPayload": JSON | st.builds(lambda some: {"Records": [some]}, JSON)}
    | {"file": st.fixed_dictionaries({"key": JSON}) | JSON, "phone": st.text() | JSON},
)


@given(MESSAGES.map(json.dumps) | JSON.map(json.dumps) | st.text())
@example("[" * 100_000)
@example('{"file": {"key": "a.log"}, "phone": "+15005550100", "reason": "busy", "code": "1"}')
def test_no_message_on_a_queue_keeps_status_from_showing_the_others(body: str) -> None:
    reason, subject = queues.describe(body)
    assert isinstance(reason, str)
    assert isinstance(subject, str)


@pytest.mark.parametrize("message", ["[" * 100_000, '{"outcome": []}', '{"outcome": "sent"}', "1"])
def test_no_line_of_a_log_keeps_the_commands_from_showing_the_others(
    run: Run, message: str
) -> None:
    for command in ("status", "tail", "flush"):
        operated = Operated()
        operated.logs.lines.append(("notify", NOW, message))
        operated.logs.lines.append(("flush", NOW, message))
        operated.sends("app/web.log")
        assert "app/web.log" in run(operated, command) or command == "flush"


# The printed commands can be pasted


def refuses(operated: Operated, code: str) -> None:
    """Let AWS refuse everything."""

    def refuse(*_: object, **__: object) -> Any:
        raise refusal(code, "Ask", code)

    for service in (operated.logs, operated.sqs, operated.s3, operated.functions):
        for name in (
            *("get_paginator", "get_queue_attributes", "put_object"),
            *("get_function_configuration", "invoke"),
        ):
            setattr(service, name, refuse)


def troubles() -> Iterator[Operated]:
    """Give stacks on which much is wrong."""
    yield Operated()
    for reason in ("digest", "Twilio refuses"):
        operated = Operated(to_numbers=TWINS[:1])
        operated.s3.on_put = functools.partial(operated.sends, outcome="held", reason=reason)
        operated.functions.on_invoke = lambda: {"errorType": "E", "errorMessage": "m"}
        operated.held.put(held_message(), hidden=60)
        operated.failed.put(held_message(), sent=EARLIER)
        operated.failed.put(held_message(), sent=NOW + datetime.timedelta(minutes=1))
        operated.failed.put(held_message(), sent=EARLIER, hidden=60)
        operated.sns.subscribe("on-call@example.com", "PendingConfirmation")
        yield operated
    operated = Operated()
    operated.functions.on_invoke = lambda: operated.logs.add("flush", outcome="flushed")
    operated.held.put(held_message())
    operated.functions.environment = {}
    yield operated
    for code in ("ResourceNotFoundException", "ExpiredToken", "AccessDenied"):
        operated = Operated()
        refuses(operated, code)
        yield operated


def everything(run: Run) -> str:
    """Give all that the commands print, in trouble and without."""
    return "".join(
        run(operated, command) for command in commands.COMMANDS for operated in troubles()
    )


def test_each_printed_command_names_its_stack(run: Run) -> None:
    output = everything(run)
    found = set(re.findall(r"(?:make|pulumi) (?:[a-z][\w-]*)(?: [^\s.,;:)]+)*", output))
    named = {one for one in found if "STACK=prod" in one or "--stack prod" in one}
    assert found == named
    for command in ("status", "flush", "redrive", "tail"):
        assert any(one.startswith(f"make {command} ") for one in named), (command, named)


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_the_account_of_the_credentials_is_asked_only_after_a_refusal(
    run: Run, command: str
) -> None:
    operated = Operated()
    operated.s3.on_put = operated.sends
    run(operated, command)
    refused = Operated()
    refuses(refused, "AccessDenied")
    run(refused, command)
    assert (operated.sts.asked, refused.sts.asked) == (0, 1)


# Redrive


def test_a_redrive_finds_messages_that_short_polling_misses(run: Run) -> None:
    operated = Operated()
    for number in range(25):
        operated.failed.put(held_message(f"{number}.log"), sent=EARLIER)
    assert run(operated, "redrive") == (
        "25 back on held. The next flush texts them; at once: make flush STACK=prod\n"
    )
    assert not operated.failed.messages
    assert len(operated.held.messages) == 25
    assert run(operated, "redrive") == "Nothing has failed.\n"


def test_a_redrive_moves_only_messages_that_failed_before_it_began(run: Run) -> None:
    """A phone replied STOP: a flush fails each moved message at once."""
    operated = Operated()
    for number in range(40):
        operated.failed.put(f"{number}", sent=EARLIER)

    def flush(queue: Queue) -> None:
        if queue is operated.failed:
            assert queue.received < 20, "It goes in circles"
            for body in operated.held.bodies:
                operated.failed.put(f"again {body}", sent=NOW + datetime.timedelta(seconds=2))
            operated.held.messages.clear()

    operated.sqs.on_receive = flush
    shown = run(operated, "redrive")
    assert "40 back on held" in shown
    assert "Failed meanwhile, and left: 40." in shown
    assert sorted(operated.failed.bodies) == sorted(f"again {number}" for number in range(40))
    assert len(operated.failed.visible) == 40  # given back


def test_a_redrive_moves_messages_that_failed_in_the_second_it_began(run: Run) -> None:
    """The clock that it goes by tells no fractions."""
    operated = Operated()
    operated.failed.put("just now", sent=NOW + datetime.timedelta(milliseconds=900))
    assert "1 back on held" in run(operated, "redrive")
    assert operated.held.bodies == ["just now"]


def test_a_redrive_of_many_shows_how_far_it_is(run: Run) -> None:
    operated = Operated()
    for number in range(1200):
        operated.failed.put(f"{number}", sent=EARLIER)
    shown = run(operated, "redrive").splitlines()
    assert shown[:2] == ["500 of 1200 are back on held ...", "1000 of 1200 are back on held ..."]
    assert shown[2].startswith("1200 back on held.")


def test_a_redrive_reports_messages_that_sqs_rejects_and_leaves_them(run: Run) -> None:
    operated = Operated()
    for body in ("good", "bad", "bad too", "good too"):
        operated.failed.put(body, sent=EARLIER)
    operated.held.refuses = lambda body: "InvalidMessageContents" if "bad" in body else ""
    shown = run(operated, "redrive")
    assert "2 back on held" in shown
    assert shown.endswith("SQS refused some, which stay on failed: 2 by InvalidMessageContents\n")
    assert operated.failed.bodies == ["bad", "bad too"]
    assert len(operated.failed.visible) == 2


def test_a_redrive_moves_large_events_one_by_one(run: Run) -> None:
    operated = Operated()
    operated.held.most_bytes = 250
    for letter in "abcde":
        operated.failed.put(letter * 200, sent=EARLIER)
    assert "5 back on held" in run(operated, "redrive")
    assert not operated.failed.messages


def test_a_redrive_counts_messages_that_it_cannot_receive(
    run: Run,
) -> None:
    operated = Operated()
    operated.failed.put("seen by somebody else", sent=EARLIER, hidden=60)
    shown = run(operated, "redrive")
    assert "Nothing has failed" not in shown
    assert "Still on failed, by SQS's count: 1." in shown
    assert "make redrive STACK=prod" in shown


def test_a_redrive_waits_for_messages_that_another_command_gives_back(run: Run) -> None:
    operated = Operated()
    operated.failed.put("being looked at", sent=EARLIER, hidden=2)

    def later(queue: Queue) -> None:
        queue.now += 1

    operated.sqs.on_receive = later
    assert "1 back on held" in run(operated, "redrive")


def test_a_redrive_counts_messages_that_are_on_both_queues(run: Run) -> None:
    operated = Operated()
    operated.failed.put("kept", sent=EARLIER)
    operated.failed.fails_to_delete = True
    assert "Moved, but still on failed too: 1." in run(operated, "redrive")


def test_a_refused_redrive_gives_back_the_messages_it_received(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()
    operated.failed.put("newer", sent=NOW + datetime.timedelta(minutes=1))
    operated.failed.put("older", sent=EARLIER)

    def refuse(**_: object) -> Any:
        raise refusal("RequestThrottled", "SendMessageBatch")

    monkeypatch.setattr(operated.sqs, "send_message_batch", refuse)
    assert "RequestThrottled" in run(operated, "redrive")
    assert {one["Body"] for one in operated.failed.visible} == {"newer", "older"}


# Flush


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
    assert "Still held: 1. Why: another flush has 1 in hand" in shown
    assert shown.endswith("within 4 min\n")


def test_a_flush_in_quiet_hours_says_so(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message())
    operated.functions.on_invoke = lambda: operated.logs.add("flush", outcome="quiet hours")
    shown = run(operated, "flush")
    assert shown.endswith("it is quiet hours.\nStill held: 1. Why: quiet hours\n")


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


# Smoke


def test_smoke_counts_a_text_for_each_of_two_phones_that_end_alike(run: Run) -> None:
    operated = Operated(to_numbers=TWINS)

    def texts(key: str) -> None:
        operated.sends(key, sid="SM1")
        operated.decides(key, sid="SM2")

    operated.s3.on_put = texts
    shown = run(operated, "smoke")
    assert shown.endswith("Everything works.\n")
    assert shown.count("delivered to …0100") == 2


def test_smoke_waits_for_the_second_of_two_phones_that_end_alike(run: Run) -> None:
    operated = Operated(to_numbers=TWINS)
    operated.s3.on_put = operated.sends
    assert "not decided for all 2 phones" in run(operated, "smoke")


@pytest.mark.parametrize("minutes", [-600, 600])
def test_smoke_and_flush_do_without_this_machines_clock(
    run: Run, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return NOW.astimezone(tz) + datetime.timedelta(minutes=minutes)

    monkeypatch.setattr(datetime, "datetime", Wrong)
    operated = Operated(to_numbers=TWINS[:1])
    operated.s3.on_put = operated.sends
    assert run(operated, "smoke").endswith("Everything works.\n")
    assert len(operated.s3.uploads) == 1
    operated.functions.on_invoke = lambda: operated.logs.add("flush", outcome="flushed", messages=0)
    assert "Nothing was texted." in run(operated, "flush")


def test_smoke_finds_lines_that_cloudwatch_dates_before_the_upload(run: Run) -> None:
    operated = Operated(to_numbers=TWINS[:1])
    early = NOW - datetime.timedelta(seconds=30)

    def see(key: str) -> None:
        operated.logs.add("notify", at=early, outcome="seen", key=key)
        operated.logs.add(
            "notify", at=early, outcome="sent", key=key, phone="…0100", sid="SM1", Segments=1
        )

    operated.s3.on_put = see
    assert run(operated, "smoke").endswith("Everything works.\n")


def test_smoke_stops_where_a_text_is_held_since_twilio_refuses(run: Run) -> None:
    operated = Operated(to_numbers=TWINS[:1])
    operated.s3.on_put = functools.partial(
        operated.sends, outcome="held", reason="busy", code="503", meaning="Twilio is unavailable"
    )
    shown = run(operated, "smoke")
    assert shown.endswith("Stopped: held for …0100: Twilio is unavailable (503).\n")
    assert "Everything works" not in shown
    assert "as set" not in shown


def test_smoke_uploads_a_second_log_when_notify_has_not_seen_the_first(run: Run) -> None:
    operated = Operated(to_numbers=TWINS[:1])

    def active(key: str) -> None:
        if len(operated.s3.uploads) == 2:
            operated.sends(key)

    operated.s3.on_put = active
    shown = run(operated, "smoke")
    assert shown.endswith("Everything works.\n")
    assert len(operated.s3.uploads) == len(set(operated.s3.uploads)) == 2
    assert operated.s3.keys == []


def test_smoke_says_that_a_late_event_is_one_more_text(run: Run) -> None:
    operated = Operated(to_numbers=TWINS[:1])

    def late(key: str) -> None:
        if len(operated.s3.uploads) == 2:
            for uploaded in operated.s3.uploads:
                operated.sends(uploaded, sid=f"SM {uploaded}")

    operated.s3.on_put = late
    shown = run(operated, "smoke")
    assert "notify has seen: 1. Each is one more text for each phone" in shown
    assert shown.count("Twilio accepted the text") == 1


def test_smoke_uploads_three_times_at_most(run: Run) -> None:
    operated = Operated()
    assert "notify has not seen it" in run(operated, "smoke")
    assert len(operated.s3.uploads) == 3
    assert operated.s3.keys == []


def test_smoke_does_not_say_that_everything_works_when_twilio_was_not_asked(run: Run) -> None:
    operated = Operated(to_numbers=TWINS[:1], mode="digest")
    operated.s3.on_put = lambda key: operated.sends(key, outcome="held", reason="digest")
    shown = run(operated, "smoke")
    assert "held for …0100, as set: digest; Twilio was not asked" in shown
    assert "Everything works." not in shown
    assert shown.endswith("at once: make flush STACK=prod\n")


def test_a_flush_that_fails_says_why(run: Run) -> None:
    operated = Operated()
    operated.functions.on_invoke = lambda: {"errorType": "AwsError", "errorMessage": "no table"}
    assert "The flush failed: AwsError: no table" in run(operated, "flush")


# Smoke, with routes


def route(name: str, logs: str, *phones: str) -> Route:
    flat = Route.inheriting(samples.settings())
    return flat._replace(name=name, logs=logs, to_numbers=phones)


def test_smoke_waits_for_the_phones_of_its_own_log_only(run: Run) -> None:
    routes = (route("payments", "payments/*", "+15005550109"),)
    operated = Operated(to_numbers=TWINS[:1], routes=routes)
    operated.s3.on_put = operated.sends
    assert run(operated, "smoke").endswith("Everything works.\n")


def test_smoke_uploads_a_log_of_a_route_where_no_other_is_texted(run: Run) -> None:
    routes = (
        route("other", "other/*.txt", "+15005550108"),
        route("payments", "*/payments/2???/*.log", TWINS[0]),
    )
    operated = Operated(to_numbers=(), routes=routes)
    operated.s3.on_put = operated.sends
    assert run(operated, "smoke").endswith("Everything works.\n")
    (key,) = operated.s3.uploads
    assert re.fullmatch(r"smoke-\w+/payments/2xxx/smoke-\w+\.log", key)


def test_smoke_waits_for_each_phone_of_the_route_of_its_log(run: Run) -> None:
    operated = Operated(to_numbers=(), routes=(route("all", "*", *TWINS),))
    operated.s3.on_put = operated.sends
    assert "not decided for all 2 phones" in run(operated, "smoke")


def test_smoke_uploads_a_log_with_the_words_that_its_routes_look_for(run: Run) -> None:
    errors = route("errors", "*", TWINS[0])._replace(contains="ERROR, Fehlschläge")
    operated = Operated(routes=(errors, route("all", "*", *TWINS)))
    operated.s3.on_put = operated.sends
    run(operated, "smoke")
    assert operated.s3.bodies[0].decode() == "make smoke\nERROR, Fehlschläge\n"


def test_smoke_says_that_it_finds_no_key_which_is_texted(run: Run) -> None:
    operated = Operated(to_numbers=(), routes=(route("other", "other/*.txt", TWINS[0]),))
    shown = run(operated, "smoke")
    assert "Stopped: no key was found that a route matches" in shown
    assert operated.s3.uploads == []
