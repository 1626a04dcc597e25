"""The demo's page without a browser: its counts, contrasts and pictures."""

import datetime
import itertools
import json
import re
import socket
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from handler.expectation import State
from local.loopback import Server
from local.page.journey import Journey, next_try
from local.page.server import ASSETS, FOLDER
from local.segments import SEGMENT_DOLLARS
from local.twilio_api import Text
from stack import ROOT
from stack.log_lines import Line
from tests.browser import pictures

NOW = datetime.datetime(2026, 11, 23, 14, 5, 9, tzinfo=datetime.UTC)
PHONE, OTHER = "…0100", "…0101"


def line(function: str, outcome: str, *, seconds: float = 0, **fields: Any) -> Line:
    at = NOW + datetime.timedelta(seconds=seconds)
    return Line(f"{at}{outcome}{fields}", at, function, {"outcome": outcome, **fields})


def text(body: str = "New log a.log", **changes: Any) -> Text:
    return Text(
        **{
            "sid": "SM1",
            "to": "+15005550100",
            "sender": "+15005550006",
            "service": None,
            "body": body,
            "segments": 1,
            "time": NOW,
            "status": "delivered",
            "error_code": None,
            **changes,
        }
    )


def seen(journey: Journey, *keys: str) -> None:
    for key in keys:
        journey.add_line(line("notify", "seen", key=key))


def held(journey: Journey, *keys: str, phone: str = PHONE, reason: str = "busy") -> None:
    for key in keys:
        journey.add_line(line("notify", "held", key=key, phone=phone, reason=reason))


def counts(journey: Journey) -> dict[str, int]:
    found = journey.snapshot()["counts"]
    return {one: found[one] for one in ("uploaded", "uploading", "texted", "waiting", "failed")}


def fates(journey: Journey) -> dict[str, str]:
    return {file["key"]: file["fate"] for file in journey.snapshot()["files"]}


# States of a file


def test_a_file_goes_from_its_upload_to_its_text() -> None:
    journey = Journey()
    journey.add_upload("a.log")
    assert fates(journey) == {"a.log": "on its way"}
    seen(journey, "a.log")
    assert fates(journey) == {"a.log": "in the bucket"}
    journey.add_line(line("notify", "sent", key="a.log", phone=PHONE, SecondsToText=0.34))
    assert fates(journey) == {"a.log": "texted in 0.3 s"}
    assert counts(journey) == {
        "uploaded": 1,
        "uploading": 0,
        "texted": 1,
        "waiting": 0,
        "failed": 0,
    }


def test_a_file_waits_for_the_reason_of_its_last_try_until_a_summary_tells_of_it() -> None:
    journey = Journey({"over the limit": "over 30 an hour"})
    seen(journey, "a.log", "b.log")
    held(journey, "a.log", reason="over the limit")
    held(journey, "b.log")
    assert fates(journey) == {
        "b.log": "waiting, Twilio is down",
        "a.log": "waiting, over 30 an hour",
    }
    assert journey.snapshot()["reasons"] == [
        {"why": "over 30 an hour", "count": 1},
        {"why": "Twilio is down", "count": 1},
    ]
    journey.add_line(line("flush", "not sent", phone=PHONE, reason="busy"))
    assert fates(journey)["a.log"] == "waiting, Twilio is down"
    journey.add_line(line("flush", "sent", phone=PHONE, files=2, seconds=42))
    assert set(fates(journey).values()) == {"texted in a summary after 42 s"}
    assert journey.snapshot()["reasons"] == []


def test_a_text_whose_answer_was_lost_waits_until_twilio_is_asked() -> None:
    journey = Journey()
    seen(journey, "a.log", "b.log")
    held(journey, "a.log", "b.log", reason="in doubt")
    assert fates(journey)["b.log"] == "waiting, Twilio's answer was lost"
    journey.add_line(line("flush", "sent", key="b.log", phone=PHONE, was_in_doubt=True))
    assert fates(journey)["b.log"] == "texted once: Twilio has a record of it"
    assert (counts(journey)["texted"], counts(journey)["waiting"]) == (1, 1)


def test_the_next_try_of_a_lost_answer_is_the_flush_that_may_ask_twilio() -> None:
    journey = Journey()
    every = datetime.timedelta(minutes=1)
    next_flush = NOW + datetime.timedelta(seconds=20)

    def tried() -> datetime.datetime:
        return next_try(next_flush, every, journey.snapshot()["in_doubt_since"])

    assert tried() == next_flush
    seen(journey, "a.log", "b.log")
    held(journey, "a.log", reason="in doubt")
    assert tried() == next_flush + every
    held(journey, "b.log")  # not in doubt: the next flush may send it
    assert tried() == next_flush


def test_a_summary_tells_of_the_files_that_waited_for_longest() -> None:
    journey = Journey()
    seen(journey, "a.log", "b.log", "c.log")
    held(journey, "a.log", "b.log", "c.log")
    journey.add_line(line("flush", "sent", phone=PHONE, files=2, seconds=9))
    assert [journey.snapshot()["counts"][one] for one in ("texted", "waiting")] == [2, 1]
    assert fates(journey)["c.log"] == "waiting, Twilio is down"


def test_a_summary_whose_line_comes_before_that_of_a_held_text_tells_of_it() -> None:
    """Each function has its own log, and the page may read either one first."""
    journey = Journey()
    seen(journey, "a.log", "b.log")
    journey.add_line(line("flush", "sent", phone=PHONE, files=1, seconds=9))
    held(journey, "a.log")
    journey.add_line(line("notify", "held", key="b.log", phone=PHONE, reason="busy", seconds=10))
    assert fates(journey)["a.log"] == "texted in a summary after 9.0 s"
    assert fates(journey)["b.log"] == "waiting, Twilio is down"


def test_a_file_for_two_phones_waits_until_both_have_their_text() -> None:
    journey = Journey()
    seen(journey, "a.log")
    journey.add_line(line("notify", "sent", key="a.log", phone=PHONE, SecondsToText=0.2))
    held(journey, "a.log", phone=OTHER)
    assert fates(journey) == {"a.log": "…0100 texted in 0.2 s; …0101 waiting, Twilio is down"}
    assert (counts(journey)["waiting"], counts(journey)["texted"]) == (1, 0)
    journey.add_line(line("flush", "failed", key="a.log", phone=OTHER, meaning="replied STOP"))
    assert (counts(journey)["waiting"], counts(journey)["failed"]) == (0, 1)
    journey.retry_failed()
    journey.add_line(line("flush", "sent", phone=OTHER, files=1, seconds=90))
    assert counts(journey)["texted"] == 1


def test_a_file_that_is_uploaded_again_is_another_one_and_a_repeated_event_is_not() -> None:
    journey = Journey()
    for _ in range(2):
        seen(journey, "a.log")
        journey.add_line(line("notify", "sent", key="a.log", phone=PHONE, SecondsToText=0.2))
    assert counts(journey)["uploaded"] == 2
    seen(journey, "a.log")
    journey.add_line(line("notify", "duplicate", key="a.log", phone=PHONE))
    assert counts(journey)["uploaded"] == 2


def test_a_file_that_nobody_is_texted_about_counts_nowhere() -> None:
    journey = Journey()
    journey.add_upload("a.png")
    journey.add_upload("a.png", "nobody is texted: the key does not end with .log")
    assert set(counts(journey).values()) == {0}
    assert "does not end with .log" in fates(journey)["a.png"]


def test_a_file_that_matches_no_route_is_not_on_its_way_for_good() -> None:
    """The page may read the event before it knows that nobody is texted."""
    journey = Journey()
    journey.add_upload("a.log")
    seen(journey, "a.log")
    journey.add_upload("a.log", "nobody is texted: the key matches no route")
    assert set(counts(journey).values()) == {0}
    assert len(journey.snapshot()["files"]) == 1
    journey.add_upload("a.log")
    assert counts(journey)["uploading"] == 1


def test_a_log_without_the_words_of_its_route_counts_nowhere_unless_another_route_texts() -> None:
    journey = Journey()
    seen(journey, "a.log", "b.log")
    for key in ("a.log", "b.log"):
        journey.add_line(line("notify", "nothing inside", key=key, phones=1))
    journey.add_line(line("notify", "sent", key="b.log", phone=OTHER, SecondsToText=0.2))
    assert "no line has its route's words" in fates(journey)["a.log"]
    assert (counts(journey)["uploaded"], counts(journey)["texted"]) == (1, 1)


def test_texts_and_what_they_cost_come_from_twilio() -> None:
    journey = Journey()
    seen(journey, *(f"{number}.log" for number in range(12)))
    journey.add_text(text("12 more logs since 23 Nov", segments=2))
    journey.add_text(text(sid="SM2", status="undelivered"))
    found = journey.snapshot(texts_from=1)
    assert [one["sid"] for one in found["texts"]] == ["SM2"]
    assert (found["counts"]["texts"], found["counts"]["delivered"]) == (2, 1)
    assert found["counts"]["dollars"] == pytest.approx(3 * SEGMENT_DOLLARS)
    assert found["counts"]["dollars_one_text_each"] == pytest.approx(12 * SEGMENT_DOLLARS)


def test_an_expected_log_says_what_happened() -> None:
    journey = Journey()
    deadline = "2026-11-24T06:30:00+00:00"
    for state in State:
        found_state: dict[str, Any] = {"route": "backup", "expect": "by 06:30", "state": state}
        journey.add_line(line("flush", "expected", deadline=deadline, **found_state))
        (found,) = journey.snapshot()["expected"]
        assert (found["rule"], found["deadline"]) == ("expected by 06:30", deadline)
        assert found["happened"].startswith("it ")


OUTCOMES = st.tuples(
    st.sampled_from(
        [
            *itertools.product(["notify"], ["seen", "sent", "held", "failed", "duplicate"]),
            *itertools.product(["flush"], ["sent", "not sent", "failed", "dropped", "flushed"]),
        ]
    ),
    st.sampled_from(["a.log", "b.log", "c.log"]),
    st.sampled_from([PHONE, OTHER]),
    st.integers(0, 4),
)


@given(st.lists(OUTCOMES, max_size=30))
def test_no_two_counts_contradict_each_other_whatever_is_logged(lines: list[Any]) -> None:
    journey = Journey()
    for (function, outcome), key, phone, files in lines:
        journey.add_line(line(function, outcome, key=key, phone=phone, files=files))
        found = journey.snapshot()
        parts = sum(found["counts"][one] for one in ("uploading", "texted", "waiting", "failed"))
        assert parts == found["counts"]["uploaded"]
        assert sum(one["count"] for one in found["reasons"]) == found["counts"]["waiting"]
    json.dumps(journey.snapshot())


# Port


def test_the_page_has_its_port_unless_another_program_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server(web.Application, name="page", port=port)
        server.start()
        assert server.url.startswith("http://127.0.0.1:")
        assert not server.url.endswith(f":{port}")
        server.stop()
    server = Server(web.Application, name="page", port=port)
    for _ in range(2):  # a restarted demo gets the same port at once
        server.start()
        assert server.url == f"http://127.0.0.1:{port}"
        server.stop()


# Colours

TEXT, GRAPHIC = 4.5, 3.0
"""WCAG 2.2 AA: the contrast of text (1.4.3), and of lines, borders and marks (1.4.11)."""

CONTRASTS = [
    *((ink, ground, TEXT) for ink in ("ink", "faint") for ground in ("ground", "card")),
    *((ink, "card", TEXT) for ink in ("accent", "good", "waiting", "failed")),
    *((ink, "bubble", TEXT) for ink in ("ink", "faint")),
    *((ink, "summary", TEXT) for ink in ("ink", "accent")),
    ("on-accent", "accent", TEXT),
    *((line, "card", GRAPHIC) for line in ("line", "accent", "waiting", "failed", "frame")),
    *((line, "ground", GRAPHIC) for line in ("line", "frame")),
]


def colours(scheme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", (FOLDER / "page.css").read_text(), re.DOTALL)
    found = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", dark))
    return found


def luminance(colour: str) -> float:
    """Return the relative luminance. Source: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "ground", "least"), CONTRASTS)
def test_colours_have_the_contrast_of_wcag_aa(
    scheme: str, ink: str, ground: str, least: float
) -> None:
    found = colours(scheme)
    assert contrast(found[ink], found[ground]) >= least


def test_the_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


def test_the_page_has_no_colour_that_the_contrasts_leave_out() -> None:
    style = (FOLDER / "page.css").read_text()
    tested = {name for ink, ground, _ in CONTRASTS for name in (ink, ground)}
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) - {"shadow"} == tested
    without_roots = re.sub(r":root \{.*?\}", "", style, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b(?=[;\s,)])", without_roots)


# The pictures in the README


def test_the_readmes_pictures_are_not_older_than_the_page() -> None:
    assert {FOLDER / name for name, _ in ASSETS.values()} == set(pictures.PAGE)
    assert pictures.RECORD.read_text().split()[0] == pictures.hash_of_page(), (
        "The page changed since its pictures were taken: make screenshots"
    )
    readme = (ROOT / "README.md").read_text()
    for picture in pictures.PICTURES:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert f"docs/{picture.name}" in readme
