"""The command `smoke`, on a faked AWS."""

import datetime
import functools
import re
from typing import Any

import pytest

from handler.routes import Route
from simulation import samples
from tests.unit.operated import (
    NOW,
    TWINS,
    Operated,
    Run,
)


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
    assert "notify has decided for only 1 of 2 phones" in run(operated, "smoke")


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
    assert "notify has also seen 1 other upload. Each is one more text for each phone" in shown
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
    assert shown.endswith("To send them now: make flush STACK=prod\n")


def test_a_flush_that_fails_says_why(run: Run) -> None:
    operated = Operated()
    operated.functions.on_invoke = lambda: {"errorType": "AwsError", "errorMessage": "no table"}
    assert "The flush failed: AwsError: no table" in run(operated, "flush")


# With routes


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
    assert "notify has decided for only 1 of 2 phones" in run(operated, "smoke")


def test_smoke_uploads_a_log_with_the_words_that_its_routes_look_for(run: Run) -> None:
    errors = route("errors", "*", TWINS[0])._replace(contains="ERROR, Fehlschläge")
    operated = Operated(routes=(errors, route("all", "*", *TWINS)))
    operated.s3.on_put = operated.sends
    run(operated, "smoke")
    assert operated.s3.bodies[0].decode() == "a smoke test\nERROR, Fehlschläge\n"


def test_smoke_says_that_it_finds_no_key_which_is_texted(run: Run) -> None:
    operated = Operated(to_numbers=(), routes=(route("other", "other/*.txt", TWINS[0]),))
    shown = run(operated, "smoke")
    assert "Stopped: it found no key that a route matches" in shown
    assert operated.s3.uploads == []
