"""A flush queries each accepted text until its delivery is known, and reports it once."""

import json
from typing import Any

import pytest

from handler.delivery_reports import (
    GIVE_UP_SECONDS,
    MEANINGS,
    UNDELIVERED_STATUSES,
    code_with_meaning,
)
from handler.ledger import ASK_AFTER_SECONDS
from handler.refusals import NO_ANSWER, NO_CONNECTION, NOT_TWILIO, Refusal, refusal
from handler.report_index import MAX_TEXTS
from handler.sender import Delivery
from simulation.samples import PHONE, record
from simulation.world import World

SID = "SM" + "0" * 31 + "1"


@pytest.fixture
def world(capsys: pytest.CaptureFixture[str]) -> World:
    """A world with one accepted text, whose query is due."""
    world = World(to_numbers=(PHONE,))
    world.notify(record("a.log"))
    world.now += ASK_AFTER_SECONDS
    capsys.readouterr()
    return world


def reports_logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line["outcome"] != "flushed"]


def test_a_delivered_text_is_reported_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.deliveries[SID] = Delivery(status="delivered", phone=PHONE)
    for _ in range(3):
        world.flush()
    (line,) = reports_logged(capsys)
    assert (line["outcome"], line["sid"], line["phone"]) == ("delivered", SID, "…0100")
    assert line["TextsDelivered"] == 1
    assert world.queried_sids == [SID]


@pytest.mark.parametrize("status", sorted(UNDELIVERED_STATUSES))
@pytest.mark.parametrize("code", [*MEANINGS, 30999])
def test_an_undelivered_text_is_reported_with_its_code_and_meaning(
    world: World, capsys: pytest.CaptureFixture[str], status: str, code: int
) -> None:
    world.deliveries[SID] = Delivery(status=status, code=code, phone=PHONE)
    world.flush()
    (line,) = reports_logged(capsys)
    assert (line["outcome"], line["level"], line["code"]) == ("undelivered", "ERROR", str(code))
    assert line["meaning"]
    assert line["TextsUndelivered"] == 1
    assert PHONE not in json.dumps(line)


def test_a_text_on_its_way_is_queried_at_doubling_intervals(world: World) -> None:
    times: list[float] = []
    for _ in range(200):  # minutes: the eighth query comes after 128
        before = len(world.queried_sids)
        world.flush()
        if len(world.queried_sids) > before:
            times.append(world.now)
        world.now += 60
    ages = [round(time - times[0] + ASK_AFTER_SECONDS) for time in times]
    assert ages == [60 * 2**number for number in range(8)]


def test_a_text_without_a_final_status_is_unconfirmed_after_half_a_day(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.now += GIVE_UP_SECONDS + 1
    for _ in range(2):
        world.flush()
    (line,) = reports_logged(capsys)
    assert (line["outcome"], line["meaning"]) == ("unconfirmed", "sent")


def test_a_deleted_record_is_queried_once(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.refuses = lambda sid: refusal(404, 20404) if sid == SID else None
    for _ in range(2):
        world.flush()
    (line,) = reports_logged(capsys)
    assert (line["outcome"], line["meaning"]) == ("unconfirmed", "not found")
    assert world.queried_sids == [SID]


def another(world: World) -> str:
    """Send one more text, whose query is due, and return its SID."""
    world.notify(record("b.log"))
    world.now += ASK_AFTER_SECONDS
    return f"SM{len(world.texts):032x}"


@pytest.mark.parametrize("why", [NOT_TWILIO, refusal(500), refusal(400, "not_routable")])
def test_a_refused_query_delays_no_other_report(
    world: World, capsys: pytest.CaptureFixture[str], why: Refusal
) -> None:
    other = another(world)
    world.deliveries[other] = Delivery(status="delivered", phone=PHONE)
    world.refuses = lambda sid: why if sid == SID else None
    world.flush()
    assert world.queried_sids == [SID, other]
    assert [line["outcome"] for line in reports_logged(capsys)][-1] == "delivered"
    world.flush()
    assert world.queried_sids == [SID, other]  # the next query comes later
    world.now += ASK_AFTER_SECONDS * 2
    world.flush()
    assert world.queried_sids == [SID, other, SID]
    world.now += GIVE_UP_SECONDS
    capsys.readouterr()
    for _ in range(2):
        world.flush()
    (line,) = reports_logged(capsys)
    assert (line["outcome"], line["sid"], line["meaning"]) == ("unconfirmed", SID, why.meaning)


@pytest.mark.parametrize("why", [refusal(500), refusal(503), NO_ANSWER])
def test_two_refused_delivery_requests_end_the_run(
    world: World, capsys: pytest.CaptureFixture[str], why: Refusal
) -> None:
    for name in "bcd":
        world.notify(record(name))
    world.now += ASK_AFTER_SECONDS
    capsys.readouterr()
    world.refuses = lambda _: why
    world.flush()
    assert len(world.queried_sids) == 2
    assert [line["outcome"] for line in reports_logged(capsys)] == ["delivery reports stopped"]


def test_an_unexpected_exception_delays_no_other_report(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    other = another(world)
    capsys.readouterr()
    world.deliveries[other] = Delivery(status="delivered", phone=PHONE)

    def raise_unexpected(sid: str) -> None:
        if sid == SID:
            raise RuntimeError(f"of {PHONE}")

    world.refuses = raise_unexpected
    world.flush()
    first, second = reports_logged(capsys)
    assert (first["outcome"], first["code"], first["sid"]) == ("unexpected", "RuntimeError", SID)
    assert first["UnexpectedErrors"] == 1
    assert PHONE not in json.dumps(first)
    assert second["outcome"] == "delivered"
    world.flush()
    assert world.queried_sids == [SID, other]  # the next query comes later


def test_a_report_that_cannot_be_logged_delays_no_other(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    other = another(world)
    capsys.readouterr()
    world.deliveries[SID] = Delivery(status="undelivered", code=[1])  # type: ignore[arg-type]  # an unexpected type
    world.deliveries[other] = Delivery(status="delivered", phone=PHONE)
    world.flush()
    first, second = reports_logged(capsys)
    assert (first["outcome"], first["sid"]) == ("unexpected", SID)
    assert second["outcome"] == "delivered"


@pytest.mark.parametrize("code", [0, "not_routable"])
def test_a_report_without_a_twilio_code_has_a_meaning_but_no_link(
    world: World, capsys: pytest.CaptureFixture[str], code: int | str
) -> None:
    world.deliveries[SID] = Delivery(status="undelivered", code=code, phone=PHONE)
    world.flush()
    (line,) = reports_logged(capsys)
    assert line["code"] == (code or "none")
    assert line["meaning"]
    assert "http" not in line["meaning"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (30003, "30003: the phone is switched off or out of reach"),
        (0, "Twilio gives no reason"),
        ("not_routable", "not_routable: a reason that is not known here"),
    ],
)
def test_a_code_is_explained_to_the_operator(code: int | str, expected: str) -> None:
    assert code_with_meaning(code) == expected


def test_each_code_that_a_text_may_get_later_has_a_meaning() -> None:
    known = {
        *range(30001, 30009),
        *(30010, 30017, 30018, 30019, 30022, 30023, 30024, 30027),
        *range(30032, 30036),
        *(30410, 30450, 30453, 63033),
    }
    assert known == MEANINGS.keys()


def test_an_outage_only_postpones_the_report(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.deliveries[SID] = Delivery(status="delivered", phone=PHONE)
    world.refuses = lambda _: NO_CONNECTION
    world.flush()
    world.end_outages()
    world.down.add("dynamodb")
    world.flush()
    world.end_outages()
    assert [line["outcome"] for line in reports_logged(capsys)] == [
        "delivery reports stopped",
        "delivery reports stopped",
    ]
    world.flush()
    assert [line["outcome"] for line in reports_logged(capsys)] == ["delivered"]


def test_a_summary_is_queried_as_one_text() -> None:
    world = World(mode="digest", to_numbers=(PHONE,))
    world.notify(*(record(f"{number}.log") for number in range(60)))
    world.flush()
    world.now += ASK_AFTER_SECONDS
    world.flush()
    assert world.queried_sids == [SID]


def test_quiet_hours_hold_texts_but_not_the_delivery_reports(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = World(to_numbers=(PHONE,), quiet_hours="14:06-15:00")
    quiet.notify(record("a.log"))
    quiet.now += ASK_AFTER_SECONDS
    quiet.flush()
    assert quiet.queried_sids == [SID]


def test_a_flush_queries_every_report_if_it_has_the_time() -> None:
    world = World(to_numbers=(PHONE,), max_texts_per_hour=1000)
    world.notify(*(record(f"{number}.log") for number in range(MAX_TEXTS + 5)))
    world.now += ASK_AFTER_SECONDS
    world.flush(seconds_left=29)
    assert world.queried_sids == []
    world.flush()
    assert len(set(world.queried_sids)) == len(world.queried_sids) == MAX_TEXTS + 5


def test_a_stale_index_causes_no_second_query() -> None:
    world = World()
    world.notify(record("a.log"))
    world.now += ASK_AFTER_SECONDS
    query = world.operations["Query"]
    first: dict[str, Any] = {}
    world.operations["Query"] = lambda asked: first.setdefault("answer", query(asked))
    world.flush()
    assert len(world.queried_sids) == 2
