"""The clocks on the demo's page follow from the log lines of a flush."""

import datetime
import json
from typing import Any

import pytest

from local.page.journey import Journey
from simulation.samples import record
from simulation.world import World
from stack.log_lines import Line


def line(**fields: Any) -> Line:
    at = datetime.datetime(2026, 11, 24, 14, 5, tzinfo=datetime.UTC)
    return Line(id="1", time=at, function="flush", fields=fields)


def test_the_page_shows_each_state_as_the_flushes_of_the_handler_log_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world, shown = World(expect="every 2m"), Journey()

    def look(minutes: float) -> dict[str, Any]:
        world.now += 60 * minutes
        world.flush()
        for fields in map(json.loads, capsys.readouterr().out.splitlines()):
            shown.add_line(line(**fields))
        (found,) = shown.snapshot()["expected"]
        return dict(found)

    first = look(0)
    assert (first["rule"], first["state"]) == ("expected every 2m", "new")
    assert first["happened"] == "it cannot be missing yet, since its route is new"
    assert look(5)["happened"] == "it has not come yet"
    assert look(1)["happened"] == "it is missing, and its phones are texted"
    at = datetime.datetime.fromtimestamp(world.now, datetime.UTC)
    world.notify(record("backup/a.log", eventTime=at.isoformat()))
    assert look(0)["happened"] == f"it came late (the last one: {at:%H:%M:%S} UTC)"
    world.now += 30
    again = at + datetime.timedelta(seconds=30)
    world.notify(record("backup/b.log", eventTime=again.isoformat()))
    assert look(0)["happened"] == f"it came in time (the last one: {again:%H:%M:%S} UTC)"
    assert look(5)["state"] == "missing"
