"""Texts by routes: who gets them, in which words, and when."""

import json
from typing import Any

import pytest

from handler.routes import Route
from simulation.samples import OTHER_PHONE, PHONE, record, route
from simulation.world import World

THIRD_PHONE = "+15005550102"
PAYMENTS = route("payments", "payments/*", PHONE, OTHER_PHONE, message="Payment $name")
NIGHTS = route("nights", "*/night/*", OTHER_PHONE, THIRD_PHONE, message="Night $name")


def routed(*routes: Route, **changes: Any) -> World:
    return World(routes=routes or (PAYMENTS, NIGHTS), **changes)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def texted(world: World) -> dict[str, str]:
    assert len({phone for _, phone, _ in world.texts}) == len(world.texts)
    return {phone: body for _, phone, body in world.texts}


def test_a_log_of_several_routes_texts_each_phone_once_in_the_words_of_the_first() -> None:
    world = routed()
    world.notify(record("payments/night/a.log"))
    assert texted(world) == {
        PHONE: "Payment a.log",
        OTHER_PHONE: "Payment a.log",
        THIRD_PHONE: "Night a.log",
    }


def test_a_log_of_no_route_texts_the_flat_phones_in_the_flat_words() -> None:
    world = routed(to_numbers=(THIRD_PHONE,), message="Other $name")
    world.notify(record("app/a.log"))
    assert texted(world) == {THIRD_PHONE: "Other a.log"}


def test_a_log_of_no_route_is_ignored_without_flat_phones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = routed(to_numbers=())
    world.notify(record("app/a.log"), record("payments/a.log"))
    assert set(texted(world)) == {PHONE, OTHER_PHONE}
    ignored = [line for line in logged(capsys) if line["outcome"] == "no route"]
    assert [(line["key"], line["LogFilesWithoutRoute"]) for line in ignored] == [("app/a.log", 1)]


def test_a_route_has_its_own_mode_and_quiet_hours() -> None:
    digest = route("digest", "digest/*", PHONE, mode="digest")
    quiet = route("quiet", "quiet/*", PHONE, quiet_hours="14:00-15:00")
    awake = route("awake", "awake/*", PHONE, quiet_hours="")
    world = routed(digest, quiet, awake, quiet_hours="14:00-16:00", to_numbers=(PHONE,))
    for folder in ("digest", "quiet", "awake", "other"):
        world.notify(record(f"{folder}/a.log"))
    assert [body.split()[2] for _, _, body in world.texts] == ["awake/a.log,"]
    held = [json.loads(message.body) for message in world.held]
    reasons = [(one["file"]["key"], one["reason"]) for one in held]
    assert sorted(reasons) == [
        ("digest/a.log", "digest"),
        ("other/a.log", "quiet hours"),
        ("quiet/a.log", "quiet hours"),
    ]


def test_the_limits_of_a_phone_are_those_of_the_route_that_words_the_text() -> None:
    """They count the texts of all routes: a phone rings as often, whoever asks for it."""
    few = route("few", "few/*", PHONE, max_texts_per_hour=2)
    many = route("many", "many/*", PHONE, max_texts_per_hour=4)
    world = routed(few, many)
    for number in range(3):
        world.notify(record(f"few/{number}.log"))
    assert len(world.texts) == 2
    for number in range(3):
        world.notify(record(f"many/{number}.log"))
    assert len(world.texts) == 4
    world.notify(record("few/last.log"))
    assert len(world.texts) == 4
    assert len(world.held) == 3


def test_each_decision_about_a_text_names_its_route(capsys: pytest.CaptureFixture[str]) -> None:
    digest = NIGHTS._replace(mode="digest")
    world = routed(PAYMENTS, digest, to_numbers=(PHONE,))
    world.notify(record("payments/night/a.log"), record("app/a.log"))
    found = {
        (line["key"], line["phone"][-1]): (line["outcome"], line["route"])
        for line in logged(capsys)
        if "phone" in line
    }
    assert found == {
        ("payments/night/a.log", "0"): ("sent", "payments"),
        ("payments/night/a.log", "1"): ("sent", "payments"),
        ("payments/night/a.log", "2"): ("held", "nights"),
        ("app/a.log", "0"): ("sent", "default"),
    }


def test_no_decision_names_a_route_without_routes(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(max_texts_per_hour=1)
    world.notify(record("a.log"), record("b.log"))
    assert all("route" not in line for line in logged(capsys))
