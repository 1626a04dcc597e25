"""Expected logs in the output of the commands `status` and `explain`."""

import datetime
from typing import Any

from handler.routes import Route
from simulation.samples import PHONE, settings
from tests.unit.operated import NOW, Operated, Run

BACKUP = Route.inheriting(settings())._replace(
    name="backup",
    logs="backup/*",
    to_numbers=(PHONE,),
    expect="Mon-Fri by 06:30",
    at_least="1 kB",
)


def expecting(**line: Any) -> Operated:
    """Return a stack whose last flush logged this about the route `backup`."""
    operated = Operated(routes=(BACKUP,), timezone="Europe/Berlin")
    if line:
        described = {"route": "backup", "expect": BACKUP.expect, **line}
        operated.logs.add("flush", **{"outcome": "expected", **described})
    return operated


def row(shown: str) -> str:
    """Return the row of the only expected log, with the lines of each cell joined."""
    table = shown.partition("Expected logs")[2].partition("└")[0].partition("┩")[2]
    lines = [line.split("│")[1:-1] for line in table.splitlines() if "│" in line]
    return ", ".join(" ".join(" ".join(cell).split()) for cell in zip(*lines, strict=True))


def test_status_shows_the_last_log_the_next_deadline_and_the_state(run: Run) -> None:
    last = NOW - datetime.timedelta(hours=5)
    operated = expecting(state="came", last=last.isoformat(), deadline="2027-01-15T05:30:00+00:00")
    shown = row(run(operated, "status"))
    local = last.astimezone(settings(timezone="Europe/Berlin").zone)
    assert shown == (
        f"backup, Mon-Fri by 06:30, at least 1 kB, {local:%d %b %H:%M %Z}, 5 h ago, "
        "15 Jan 06:30 CET, came"
    )


def test_status_shows_the_state_of_the_last_flush_only(run: Run) -> None:
    operated = expecting(state="waiting", last=None, deadline="2027-01-14T05:30:00+00:00")
    described: dict[str, Any] = {
        "route": "backup",
        "expect": BACKUP.expect,
        "deadline": "2027-01-15T05:30:00+00:00",
    }
    operated.logs.add("flush", outcome="expected", state="missing", last=None, **described)
    shown = row(run(operated, "status"))
    assert shown.endswith("none yet, 15 Jan 06:30 CET, missing")


def test_status_says_that_no_flush_has_looked_yet(run: Run) -> None:
    assert row(run(expecting(), "status")).endswith("no flush has looked yet")
    changed = expecting(
        state="came", last=None, deadline="2027-01-15T05:30:00+00:00", expect="by 1"
    )
    assert row(run(changed, "status")).endswith("no flush has looked yet")


def test_status_says_that_the_ledger_could_not_be_read(run: Run) -> None:
    operated = expecting(outcome="expected log not checked", meaning="no answer")
    assert row(run(operated, "status")).endswith("not checked: no ledger")


def test_status_of_a_stack_that_expects_nothing_shows_nothing(run: Run) -> None:
    assert "Expected logs" not in run(Operated(), "status")


def test_status_shows_the_expected_log_of_the_flat_settings(run: Run) -> None:
    operated = Operated(expect="every 6h")
    described: dict[str, Any] = {"expect": "every 6h", "deadline": "2027-01-15T05:30:00+00:00"}
    operated.logs.add("flush", outcome="expected", state="new", last=None, **described)
    shown = run(operated, "status").partition("Expected logs")[2]
    assert "every 6h" in shown
    assert "15 Jan 05:30 UTC" in shown


def test_status_counts_missing_logs_apart_from_files(run: Run) -> None:
    operated = Operated(expect="every 6h")
    told: dict[str, Any] = {"outcome": "sent", "phone": "…0100", "sid": "SM" + "0" * 32}
    operated.logs.add("flush", **told, missing=1, files=0)
    operated.logs.add("flush", **told | {"sid": "SM" + "1" * 32}, missing=2, files=1)
    shown = " ".join(run(operated, "status").replace("│", " ").split())
    assert "1 missing log" in shown
    assert "2 missing logs and 1 file" in shown


def test_explain_shows_the_expected_log_of_the_routes_that_match(run: Run) -> None:
    operated = expecting(state="missing", last=None, deadline="2027-01-15T05:30:00+00:00")
    assert row(run(operated, "explain", "--key", "backup/a.log")).endswith("missing")
    assert "Expected logs" not in run(operated, "explain", "--key", "app/a.log")
