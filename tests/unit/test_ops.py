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

from ops import commands
from stack import queues
from tests.unit.operated import (
    EARLIER,
    HOSTILE,
    NOW,
    OUTPUTS,
    TWINS,
    Operated,
    Run,
    held_message,
    refusal,
)

# External text


def assert_printable(shown: str) -> None:
    controls = [
        one for one in shown if one != "\n" and unicodedata.category(one) in {"Cc", "Cf", "Zl"}
    ]
    assert not controls, (controls, shown)


def hostile() -> Operated:
    """Return a stack on which all external text is hostile."""
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


# Printed commands


def refuses(operated: Operated, code: str) -> None:
    """Let AWS refuse every request with this code."""

    def refuse(*_: object, **__: object) -> Any:
        raise refusal(code, "Ask", code)

    for service in (operated.logs, operated.sqs, operated.s3, operated.functions):
        for name in (
            *("get_paginator", "get_queue_attributes", "put_object"),
            *("get_function_configuration", "invoke"),
        ):
            setattr(service, name, refuse)


def troubles() -> Iterator[Operated]:
    """Yield a healthy stack, and stacks with many problems."""
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
    """Return the output of all commands on all these stacks."""
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
