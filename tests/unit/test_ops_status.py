"""The command `status`, on a faked AWS."""

import datetime
import json
import re
from typing import Any

import pytest

from handler.attempts import id_of_phone
from handler.notice import Notice
from handler.queues import HELD_SINCE
from handler.refusals import NO_ANSWER, NO_CONNECTION, NOT_TWILIO, Refusal
from handler.routes import Route
from handler.sender import Delivery, Refused
from simulation import samples
from tests.unit.operated import (
    EARLIER,
    NOW,
    OUTPUTS,
    TOPIC,
    Operated,
    Pages,
    Run,
    held_message,
    refusal,
)


def test_status_finds_messages_that_short_polling_misses(run: Run) -> None:
    operated = Operated()
    for number in range(12):
        operated.held.put(held_message(f"{number}.log", code="503", meaning="unavailable"))
    shown = run(operated, "status")
    assert "On held: 12" in shown
    assert "busy (503: unavailable)" in shown
    assert "On failed: nothing." in shown
    assert len(operated.held.visible) == 12


def test_status_shows_since_when_a_renewed_message_is_held(run: Run) -> None:
    operated = Operated()
    held_since = int((NOW - datetime.timedelta(days=3)).timestamp() * 1000)
    attribute = {"DataType": "Number", "StringValue": str(held_since)}
    operated.held.put(held_message(), attributes={HELD_SINCE: attribute})
    assert "3 d ago" in run(operated, "status")


def test_status_shows_the_messages_that_a_flush_received_and_why_the_last_one_kept_them(
    run: Run,
) -> None:
    operated = Operated()
    operated.held.put(held_message(), hidden=60)
    why: dict[str, Any] = {"reason": "busy", "code": "503", "meaning": "Twilio is unavailable"}
    operated.logs.add("flush", outcome="not sent", phone="…0100", **why)
    operated.logs.add("flush", outcome="flushed", messages=1)
    shown = run(operated, "status")
    assert "On held: 1" in shown
    assert "a running flush has received 1." in shown
    assert "within 4 min" in shown
    assert "busy (503: Twilio is unavailable) for …0100" in shown


def test_status_shows_unconfirmed_subscriptions_to_the_alarms(run: Run) -> None:
    operated = Operated()
    assert "Alarms go to nobody\n" in run(operated, "status")
    operated.sns.subscribe("on-call@example.com", "PendingConfirmation")
    shown = run(operated, "status")
    assert "Alarms go to nobody\n" in shown
    assert "on-call@example.com has not confirmed" in shown
    assert "--notification-endpoint on-call@example.com" in shown
    operated.sns.subscriptions.clear()
    operated.sns.subscribe("on-call@example.com")
    shown = run(operated, "status")
    assert "Alarms go to on-call@example.com\n" in shown
    assert "confirmed" not in shown


def test_status_goes_on_where_subscriptions_may_not_be_listed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()

    def refuse(**_: object) -> Any:
        raise refusal("AuthorizationError", "ListSubscriptionsByTopic")

    monkeypatch.setattr(operated.sns, "get_paginator", lambda _: Pages(refuse))
    shown = run(operated, "status")
    assert "AWS does not say (AuthorizationError); needed: sns:ListSubscriptionsByTopic" in shown
    assert "On failed: nothing." in shown


def test_status_shows_how_to_get_the_alarms_by_email(run: Run) -> None:
    assert ("pulumi config set alarmEmail ADDRESS --stack prod && pulumi up --stack prod\n") in run(
        Operated(), "status"
    )


def test_status_says_how_many_it_looked_at_of_many(run: Run) -> None:
    operated = Operated()
    for number in range(150):
        operated.failed.put(held_message(f"{number}.log"))
    operated.held.put(held_message())
    shown = run(operated, "status")
    assert "On failed: 150, of which 100 were read\n" in shown
    assert "On held: 1\n" in shown


@pytest.mark.parametrize(("why", "asked"), [(NO_ANSWER, 1), (NO_CONNECTION, 1), (NOT_TWILIO, 3)])
def test_status_does_not_wait_for_a_silent_twilio_again_and_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, why: Refusal, asked: int
) -> None:
    operated = Operated()
    for number in range(3):
        operated.sends(f"{number}.log", sid=f"SM{number}")
    sids: list[str] = []

    def refuse(sid: str) -> Delivery:
        sids.append(sid)
        raise Refused(why)

    monkeypatch.setattr(operated.twilio, "delivery", refuse)
    assert run(operated, "status").count("Twilio does") == 3
    assert len(sids) == asked


def test_status_breaks_no_address_and_ends_no_line_with_spaces(run: Run) -> None:
    operated = Operated()
    operated.sends("app/web.log")
    operated.held.put(held_message())
    shown = run(operated, "status")
    assert f"Dashboard    {OUTPUTS['dashboard']}\n" in shown
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []


def test_a_long_key_is_cut_in_status(run: Run) -> None:
    operated = Operated()
    operated.sends("\x1b" * 500 + "x" * 500 + ".log")
    shown = run(operated, "status")
    assert shown.count("\n") < 40
    assert "\\x1b\\x1b" in shown
    assert "xxx.log" in re.sub(r"[\s│]", "", shown)


def test_status_shows_the_alarms_of_this_stack_only(run: Run) -> None:
    operated = Operated()
    operated.cloudwatch.raise_alarm("of this stack")
    operated.cloudwatch.raise_alarm("of another stack", f"{TOPIC}9")
    shown = run(operated, "status")
    assert "Alarms       1 of 1 are on\n  of this stack\n" in shown
    assert "of another stack" not in shown


def test_each_command_says_which_of_several_demos_it_is_about(run: Run) -> None:
    operated = Operated("demo")
    operated.stack.note = "2 demos are running."
    assert run(operated, "redrive") == "2 demos are running.\nNothing has failed.\n"


def test_status_of_the_demo_names_no_console(run: Run) -> None:
    shown = run(Operated("demo"), "status")
    assert "aws.amazon.com" not in shown
    assert "pulumi" not in shown


def flushes(operated: Operated, *lines: tuple[str, dict[str, Any]], minutes_ago: int) -> None:
    """Add the log lines of a flush and of its end."""
    at = NOW - datetime.timedelta(minutes=minutes_ago)
    for outcome, fields in (*lines, ("flushed", {"messages": 1})):
        operated.logs.add("flush", at=at, outcome=outcome, **fields)


REFUSED = ("not sent", {"phone": "…0100", "reason": "busy", "code": "503"})
SENT = ("sent", {"phone": "…0100", "sid": "SM1", "files": 2})


def test_status_forgets_a_refusal_once_a_later_flush_texted(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message())
    flushes(operated, REFUSED, minutes_ago=9)
    assert "could not text, 9 min ago: busy (503) for …0100" in run(operated, "status")
    flushes(operated, SENT, minutes_ago=4)
    assert "could not text" not in run(operated, "status")
    flushes(operated, SENT, REFUSED, minutes_ago=1)
    assert "could not text, 1 min ago: busy (503) for …0100" in run(operated, "status")


def test_status_remembers_a_refusal_while_later_flushes_had_nothing_to_text(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message())
    flushes(operated, REFUSED, minutes_ago=9)
    operated.logs.add("flush", outcome="quiet hours")
    flushes(operated, minutes_ago=0)
    assert "could not text, 9 min ago: busy (503) for …0100" in run(operated, "status")


def test_status_says_that_notify_did_not_ask_twilio(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message(reason="Twilio refuses"))
    operated.decides("app/web.log", outcome="held", reason="Twilio refuses")
    for command in ("status", "tail"):
        shown = re.sub(r"[\s│]+", " ", run(operated, command))
        assert "not tried after a refusal" in shown
        assert "Twilio refuses" not in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.349, "0.3 s"), (12, "12 s"), (90, "1.5 min"), (220_962, "2.6 d"), (864_000, "10 d")],
)
def test_status_shows_long_times_in_hours_and_days(run: Run, seconds: float, shown: str) -> None:
    operated = Operated()
    operated.sends("app/web.log", SecondsToText=seconds)
    assert f"│ {shown} " in run(operated, "status")


def test_no_line_repeats_a_word(run: Run) -> None:
    operated = Operated()
    same: dict[str, Any] = dict.fromkeys(("reason", "code"), "unreadable")
    operated.logs.add("flush", outcome="failed", meaning="no key", **same)
    assert run(operated, "tail").endswith("  failed  unreadable  no key\n")


def test_status_shows_all_phones_of_a_held_file(run: Run) -> None:
    operated = Operated()
    message = json.loads(held_message("app/web.log", "digest"))
    message["phones"] = [message.pop("phone"), "+15005550101"]
    operated.held.put(json.dumps(message))
    assert "app/web.log for …0100, …0101" in run(operated, "status")


# Routes


HOURS = f"{EARLIER:%H:%M}-{NOW:%H:%M}"


def routes() -> tuple[Route, ...]:
    flat = Route.inheriting(samples.settings(quiet_hours=HOURS, max_texts_at_once=5))
    return (
        flat._replace(
            name="on-call",
            logs="payments/*.log",
            except_="*/debug/*",
            to_numbers=("+15005550108", "+15005550109"),
            max_texts_per_hour=60,
            quiet_hours="",
            contains="ERROR, FATAL",
        ),
        flat._replace(name="backup", logs="b/*", to_numbers=("+15005550109",), mode="digest"),
    )


def test_status_shows_the_routes_in_force(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    shown = run(Operated(quiet_hours=HOURS, routes=routes()), "status")
    rows = [re.split(r" *│ *", line)[1:-1] for line in shown.splitlines() if line.startswith("│")]
    assert rows[:2] == [
        [
            "on-call",
            "payments/*.log, except */debug/*, with ERROR, FATAL",
            "…0108, …0109",
            "instant",
            "60 an hour, 5 at once",
            "none",
        ],
        ["backup", "b/*", "…0109", "digest", "30 an hour, 5 at once", f"{HOURS} UTC"],
    ]
    assert "Phones       …0100, …0101\n" in shown
    assert "+1500" not in shown


def test_status_shows_the_words_that_a_stack_without_routes_looks_for(run: Run) -> None:
    assert "Only logs    with ERROR, FATAL\n" in run(Operated(contains="ERROR, FATAL"), "status")
    assert "Only logs" not in run(Operated(), "status")


def test_status_of_a_stack_without_routes_shows_none(run: Run) -> None:
    operated = Operated()
    operated.logs.add("notify", outcome="no route", key="c.log")
    shown = run(operated, "status")
    assert "oute" not in shown


def test_status_shows_logs_that_matched_no_route_lately(run: Run) -> None:
    operated = Operated(to_numbers=(), routes=routes())
    shown = run(operated, "status")
    assert "Phones       nobody: toNumbers is empty\n" in shown
    assert "Each log within a day matched a route.\n" in shown
    others = run(Operated(routes=routes()), "status")
    assert "matched" not in others  # these logs went to toNumbers
    for number in range(7):
        operated.logs.add("notify", outcome="no route", key=f"c{number}.log")
        operated.logs.add("notify", outcome="no route", key="c0.log")
    assert (
        "Logs within a day that matched no route, and texted nobody: 14, "
        "such as c0.log, c6.log, c5.log\n"
    ) in run(operated, "status")


# Texts in doubt


def test_status_names_what_is_in_doubt_since_when_and_when_twilio_is_asked(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message("old.log", reason="in doubt", code="500"))
    operated.held.put(held_message("new.log", reason="in doubt"))
    operated.held.put(held_message("settled.log", reason="in doubt"))
    operated.held.put(held_message("limit.log", reason="over the limit"))
    old, new = (Notice(samples.log_file(f"{name}.log"), samples.PHONE) for name in ("old", "new"))
    now = datetime.datetime.now(datetime.UTC)
    operated.table.attempt(old.id, now - datetime.timedelta(minutes=12))
    operated.table.attempt(new.id, now - datetime.timedelta(seconds=10))
    operated.table.attempt(id_of_phone(samples.PHONE), now - datetime.timedelta(minutes=5))
    shown = run(operated, "status")
    assert "In doubt: 3" in shown
    rows = [line.strip("│").split("│") for line in shown.splitlines() if "by the " in line]
    asked = now + datetime.timedelta(seconds=50)
    assert [[cell.strip() for cell in row[1:]] for row in rows] == [
        ["…0100", "old.log", "by the next flush"],
        ["…0100", "a summary", "by the next flush"],
        ["…0100", "new.log", f"by the first flush after {asked:%H:%M:%S} UTC"],
    ]
    assert rows[0][0].strip() == "12 min ago"


def test_status_says_that_nothing_is_in_doubt(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message("limit.log", reason="over the limit"))
    assert "In doubt: nothing." in run(operated, "status")


def test_status_says_why_twilio_was_not_asked(run: Run) -> None:
    operated = Operated()
    operated.held.put(held_message(reason="in doubt"))
    why: dict[str, Any] = {
        "reason": "account",
        "code": "20403",
        "meaning": "the credentials may not send texts",
    }
    operated.logs.add("flush", outcome="not asked", phone="…0100", attempts=1, **why)
    operated.logs.add("flush", outcome="flushed", messages=1)
    assert "account (20403: the credentials may not send texts) for …0100" in run(
        operated, "status"
    )


def test_in_quiet_hours_what_is_in_doubt_waits_for_their_end(run: Run) -> None:
    operated = Operated(quiet_hours="00:00-23:59")
    operated.table.attempt(id_of_phone(samples.PHONE), NOW - datetime.timedelta(minutes=5))
    assert "by the first flush after the quiet hours" in run(operated, "status")


def test_what_is_in_doubt_waits_for_the_quiet_hours_of_its_own_route(run: Run) -> None:
    quiet = samples.route("quiet", "night/*", samples.PHONE, quiet_hours="00:00-23:59")
    operated = Operated(routes=(quiet,))
    since = NOW - datetime.timedelta(minutes=5)
    for key in ("night/a.log", "b.log"):
        operated.held.put(held_message(key, reason="in doubt"))
        operated.table.attempt(Notice(samples.log_file(key), samples.PHONE).id, since)
    shown = run(operated, "status")
    rows = [line.strip("│").split("│") for line in shown.splitlines() if "flush" in line]
    rows = [row for row in rows if len(row) == 4]
    assert {row[2].strip(): row[3].strip() for row in rows} == {
        "night/a.log": "by the first flush after the quiet hours",
        "b.log": "by the next flush",
    }


def test_twilio_is_not_asked_about_a_phone_that_was_removed(run: Run) -> None:
    """The route of one log lost the other phone. The route of the second log still has it."""
    routes = (
        samples.route("theirs", "theirs/*", samples.OTHER_PHONE),
        samples.route("ours", "ours/*", samples.PHONE),
    )
    operated = Operated(to_numbers=(samples.PHONE,), routes=routes)
    since = NOW - datetime.timedelta(minutes=5)
    for key, phone in (
        ("ours/a.log", samples.OTHER_PHONE),
        ("theirs/b.log", samples.OTHER_PHONE),
        ("c.log", "+15005550199"),
    ):
        operated.held.put(held_message(key, phone=phone, reason="in doubt"))
        operated.table.attempt(Notice(samples.log_file(key), phone).id, since)
    operated.table.attempt(id_of_phone(samples.OTHER_PHONE), since)
    operated.table.attempt(id_of_phone("+15005550199"), since)
    shown = run(operated, "status")
    rows = [line.strip("│").split("│") for line in shown.splitlines() if "by " in line]
    rows = [row for row in rows if len(row) == 4]
    assert sorted((row[1].strip(), row[2].strip(), row[3].strip()) for row in rows) == [
        (f"…{samples.OTHER_PHONE[-4:]}", "a summary", "by the next flush"),
        (f"…{samples.OTHER_PHONE[-4:]}", "ours/a.log", "by no flush: its phone was removed"),
        (f"…{samples.OTHER_PHONE[-4:]}", "theirs/b.log", "by the next flush"),
        ("…0199", "a summary", "by no flush: its phone was removed"),
        ("…0199", "c.log", "by no flush: its phone was removed"),
    ]


def test_status_reads_all_that_the_ledger_returns_in_parts(run: Run) -> None:
    operated = Operated()
    for number in range(90):
        operated.held.put(held_message(f"{number}.log", reason="in doubt"))
        notice = Notice(samples.log_file(f"{number}.log"), samples.PHONE)
        operated.table.attempt(notice.id, NOW)
    operated.table.returned_at_once = 40
    assert "In doubt: 90" in run(operated, "status")


def test_without_permission_status_names_it_and_shows_the_rest(run: Run) -> None:
    operated = Operated()
    operated.table.denies = True
    shown = run(operated, "status")
    assert "In doubt: AWS does not say (AccessDeniedException)" in shown
    assert "needed: dynamodb:BatchGetItem" in shown
    assert "On failed: nothing." in shown
