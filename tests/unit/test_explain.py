"""The command `explain`, on a faked AWS."""

import datetime
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.routes import Route, Routes
from ops.explain import _why
from simulation import samples
from tests.unit.operated import HOSTILE, NOW, OUTPUTS, Operated, Run, refusal

ON_CALL, BACKUP = "+15005550101", "+15005550102"


def route(name: str, logs: str, *phones: str, **changes: Any) -> Route:
    flat = Route.inheriting(samples.settings())
    return flat._replace(name=name, logs=logs, to_numbers=phones, **changes)


ROUTES = (
    route("on-call", "payments/*.log, *.err", ON_CALL, except_="*/debug/*", message="Look: $name"),
    route("backup", "*/backup/*.log", ON_CALL, BACKUP, mode="digest"),
)


def explained(run: Run, operated: Operated, key: str) -> str:
    """Explain a key. Return the output with one bar and one space between the cells."""
    shown = run(operated, "explain", "--key", key)
    return re.sub(r" +", " ", re.sub(r"[│┃]", "|", shown))


def minutes_ago(minutes: float) -> datetime.datetime:
    return NOW - datetime.timedelta(minutes=minutes)


# Routes


def test_explain_shows_which_routes_match_and_which_glob_decides(run: Run) -> None:
    operated = Operated(routes=ROUTES)
    shown = explained(run, operated, "payments/2026/a.log")
    assert "| on-call | yes | payments/*.log | …0101 |" in shown
    assert "| backup | no | not */backup/*.log | …0101, …0102 |" in shown
    assert "| default | no | a route matches | …0100, …0101 |" in shown
    assert "| on-call | no | except */debug/* |" in explained(run, operated, "payments/debug/a.log")
    assert "| default | yes | no route matches |" in explained(run, operated, "a.log")


def test_explain_blames_no_exception_for_a_key_that_is_none_of_the_routes_logs(run: Run) -> None:
    shown = explained(run, Operated(routes=ROUTES), "web/debug/a.log")
    assert "| on-call | no | not payments/*.log, *.err | …0101 |" in shown


def test_explain_texts_a_phone_once_in_the_words_of_its_first_route(run: Run) -> None:
    shown = explained(run, Operated(routes=ROUTES), "payments/backup/a.log")
    assert "Text of on-call, with a size and a time as an example (1 segment):\n" in shown
    assert "\n Look: a.log\n" in shown
    assert "Text of backup," in shown
    of_on_call, of_backup = shown.split("Text of backup")
    assert "…0101 sent now: " in of_on_call
    assert "…0101 " not in of_backup
    assert "…0102 held: digest, until the next flush\n" in of_backup


def test_explain_shows_what_a_route_looks_for_and_who_is_texted_without_it(run: Run) -> None:
    errors = route("errors", "*", ON_CALL, contains='ERROR, "a, b"', message="$key: $line")
    operated = Operated(routes=(errors, route("all", "*", ON_CALL, BACKUP)))
    shown = explained(run, operated, "a.log")
    of_errors, of_all = shown.split("Text of all, with a size and a time as an example")
    assert (
        "Text of errors, if a line has ERROR or a, b, with a line, a size and a time as an example "
        "(1 segment):\n a.log: ... ERROR or a, b ...\n"
    ) in of_errors
    assert "…0101 sent now: " in of_errors
    assert "…0101 sent now, if no line has ERROR or a, b: " in of_all
    assert "…0102 sent now: " in of_all


def test_explain_does_without_routes(run: Run) -> None:
    shown = explained(run, Operated(), "app/web.log")
    assert "Routes none are set: each log goes to toNumbers\n" in shown
    assert "Text, with a size and a time as an example (1 segment):\n New log app/web" in shown
    assert "…0100 sent now: " in shown


def test_explain_says_that_nobody_is_texted(run: Run) -> None:
    shown = explained(run, Operated(routes=ROUTES, to_numbers=()), "a.log")
    assert "Nobody is texted: the key matches no route, and toNumbers is empty.\n" in shown
    assert "Text" not in shown


def test_explain_shows_the_filter_that_keeps_s3_from_calling_notify(run: Run) -> None:
    operated = Operated(routes=ROUTES)
    operated.stack.outputs = {**OUTPUTS, "logKeys": "app/*.log,.gz"}
    shown = explained(run, operated, "payments/a.txt")
    assert (
        "S3 does not call notify: "
        "the key does not begin with app/ and does not end with .log or .gz\n"
    ) in shown
    assert "Nobody is texted: the key does not begin with app/" in shown
    assert "Text" not in shown
    assert "S3 calls notify\n" in explained(run, operated, "app/a.gz")


@given(
    st.lists(st.sampled_from(["a*", "*b", "é*", "e\u0301?", "?"]), min_size=1).map(",".join),
    st.sampled_from(["", "a*", "*b,?"]),
    st.text("abée\u0301", max_size=4),
)
def test_the_glob_that_is_shown_agrees_with_the_handler(
    logs: str, exception: str, key: str
) -> None:
    one = route("one", logs, ON_CALL, except_=exception)
    matches = one in Routes(samples.settings(routes=(one,))).matching(key)
    why = _why(one, key)
    assert matches == (not why.startswith(("not ", "except ")))


# Sent now or held


def test_explain_says_until_when_quiet_hours_hold_a_text(run: Run) -> None:
    start, end = NOW - datetime.timedelta(hours=1), NOW + datetime.timedelta(hours=2)
    hours = f"{start:%H:%M}-{end:%H:%M}"
    operated = Operated(
        quiet_hours=hours, routes=(route("now", "now/*", ON_CALL),), flush_minutes=7
    )
    shown = explained(run, operated, "app/web.log")
    assert f"…0100 held: quiet hours {hours}, until {end:%a %H:%M} UTC\n" in shown
    assert "The first flush after that sends the held texts. Flushes run every 7 min.\n" in shown
    assert "…0101 sent now: " in explained(run, operated, "now/a.log")


def test_explain_shows_a_limit_of_the_route(run: Run) -> None:
    routes = (route("few", "*", ON_CALL, max_texts_per_hour=7, max_texts_at_once=2),)
    operated = Operated(routes=routes)
    assert "…0101 sent now: 0 of 7 this hour, 0 of 2 at once\n" in explained(run, operated, "a.log")
    operated.table.count(ON_CALL, 6, 1)
    assert "…0101 sent now: 6 of 7 this hour, 1 of 2 at once\n" in explained(run, operated, "a.log")
    operated.table.count(ON_CALL, 7, 0)
    assert (
        "…0101 held: over the limit, until the next flush: 7 of 7 this hour, 0 of 2 at once\n"
    ) in explained(run, operated, "a.log")
    operated.table.count(ON_CALL, 2, 2)
    assert (
        "…0101 held: too many at once, until the next flush: 2 of 7 this hour, 2 of 2 at once\n"
    ) in explained(run, operated, "a.log")


def test_explain_goes_on_where_the_ledger_may_not_be_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated(max_texts_at_once=5)

    def refuse(**_: object) -> Any:
        raise refusal("AccessDeniedException", "GetItem")

    monkeypatch.setattr(operated.table, "get_item", refuse)
    shown = explained(run, operated, "app/web.log")
    assert (
        shown.count("AWS does not show it (AccessDeniedException); needed: dynamodb:GetItem") == 1
    )
    assert "…0100 sent now: at most 30 an hour, 5 at once\n" in shown
    assert "…0101 sent now: " in shown


REFUSED: dict[str, Any] = {"outcome": "held", "reason": "busy", "code": "503", "meaning": "down"}


def test_explain_says_that_twilio_refuses_a_phone(run: Run) -> None:
    operated = Operated(to_numbers=(ON_CALL, BACKUP))
    operated.logs.add("notify", at=minutes_ago(0.5), phone="…0101", key="a.log", **REFUSED)
    shown = explained(run, operated, "app/web.log")
    assert "…0101 held: Twilio refused the last one 30 s ago: busy (503: down)\n" in shown
    assert "…0102 sent now: " in shown


def test_explain_says_that_twilio_refuses_everybody(run: Run) -> None:
    operated = Operated(to_numbers=(ON_CALL, BACKUP))
    account = REFUSED | {"reason": "account", "code": "20003"}
    operated.logs.add("notify", at=minutes_ago(0.5), phone="…0101", key="a.log", **account)
    shown = explained(run, operated, "app/web.log")
    assert "…0102 held: Twilio refused another phone, as it would this one\n" in shown


def test_explain_does_not_call_a_lost_answer_a_refusal(run: Run) -> None:
    operated = Operated(to_numbers=(ON_CALL,))
    lost = {"outcome": "held", "reason": "in doubt", "code": "500", "meaning": "an error"}
    operated.logs.add("notify", at=minutes_ago(0.5), phone="…0101", key="a.log", **lost)
    shown = explained(run, operated, "app/web.log")
    assert "Twilio may have accepted the last one 30 s ago: in doubt (500: an error)\n" in shown
    assert "refused" not in shown


def test_explain_forgets_a_refusal_that_was_followed_by_a_text(run: Run) -> None:
    operated = Operated(to_numbers=(ON_CALL,), max_texts_at_once=5)
    operated.logs.add("notify", at=minutes_ago(9), phone="…0101", key="a.log", **REFUSED)
    shown = explained(run, operated, "app/web.log")
    assert (
        "sent now: 0 of 30 this hour, 0 of 5 at once; Twilio refused the last one 9 min ago"
        in shown
    )
    operated.logs.add("flush", at=minutes_ago(8), outcome="sent", phone="…0101", sid="SM1")
    assert "Twilio refused" not in explained(run, operated, "app/web.log")


def test_explain_goes_on_where_the_log_may_not_be_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()

    def refuse(_: str) -> Any:
        raise refusal("AccessDeniedException", "FilterLogEvents")

    monkeypatch.setattr(operated.logs, "get_paginator", refuse)
    shown = explained(run, operated, "app/web.log")
    assert "AWS does not show it (AccessDeniedException); needed: logs:FilterLogEvents" in shown
    assert "…0100 sent now: " in shown


# The command


def test_explain_sends_nothing_and_changes_nothing(run: Run) -> None:
    operated = Operated(routes=ROUTES)
    operated.stack.aws = {name: operated.stack.aws[name] for name in ("lambda", "logs", "dynamodb")}
    del operated.stack.__dict__["sender"]
    assert "sent now: " in explained(run, operated, "payments/a.log")


def test_explain_asks_for_a_key(run: Run) -> None:
    shown = run(Operated(), "explain", "--key", "")
    assert shown == "Which key? make explain STACK=prod KEY=app/web.log\n"


def test_explain_shows_no_whole_number_and_controls_no_terminal(run: Run) -> None:
    shown = run(Operated(routes=ROUTES), "explain", "--key", f"payments/{HOSTILE}")
    assert "\x1b" not in shown
    for phone in (samples.PHONE, samples.OTHER_PHONE, ON_CALL, BACKUP):
        assert phone not in shown
