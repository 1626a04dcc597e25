"""The clocks of the demo's page: what they show follows from what a flush logs."""

import datetime
import json
from typing import Any

import pytest

from local.page.expected import ExpectedLogs
from simulation.samples import record
from simulation.world import World
from stack.log_lines import Line


def line(**fields: Any) -> Line:
    at = datetime.datetime(2026, 11, 24, 14, 5, tzinfo=datetime.UTC)
    return Line(id="1", time=at, function="flush", fields=fields)


def test_the_page_shows_each_state_as_the_flushes_of_the_handler_log_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world, shown = World(expect="every 2m"), ExpectedLogs()

    def look(minutes: float) -> dict[str, Any]:
        world.now += 60 * minutes
        world.flush()
        for fields in map(json.loads, capsys.readouterr().out.splitlines()):
            shown.add_line(line(**fields))
        (found,) = shown.snapshot()
        return found

    first = look(0)
    assert (first["rule"], first["state"]) == ("every 2m", "new")
    assert first["happened"] == "the first log is not due yet"
    assert look(5)["happened"] == "waiting for the log"
    missing = look(1)
    assert (missing["state"], missing["happened"]) == ("missing", "missing: texted")
    assert missing["missed"].endswith("14:09:10+00:00")
    at = datetime.datetime.fromtimestamp(world.now, datetime.UTC)
    world.notify(record("backup/a.log", eventTime=at.isoformat()))
    assert look(0)["happened"] == f"came late, at {at:%H:%M:%S} UTC"
    again = at + datetime.timedelta(seconds=30)
    world.now += 30
    world.notify(record("backup/b.log", eventTime=again.isoformat()))
    assert look(0)["happened"] == f"came at {again:%H:%M:%S} UTC"
    assert look(5)["happened"] == f"missing since {again:%H:%M:%S} UTC: texted"


def test_other_lines_say_nothing_of_expected_logs() -> None:
    shown = ExpectedLogs()
    assert not shown.add_line(line(outcome="flushed", messages=1))
    assert shown.snapshot() == []
    assert shown.add_line(line(outcome="expected", state="new", expect="by 06:30"))
