"""The expected logs of a stack, as its last flush found them."""

import datetime
from collections.abc import Sequence

from handler.expectation import State
from handler.settings import Settings
from stack.deployed import ago
from stack.log_lines import Line
from stack.terminal import Cell, Terminal

EXPECTED = "expected"
"""The decision of a flush that names the state of an expected log."""

NOT_CHECKED = "expected log not checked"
"""The decision of a flush that could not look for an expected log."""

_COLOURS = {State.MISSING: "red", State.LATE: "yellow", State.CAME: "green"}


def show_expected(
    settings: Settings,
    lines: Sequence[Line],
    terminal: Terminal,
    *,
    routes: Sequence[str] | None = None,
) -> None:
    """Show each expected log: the last one, the next deadline and the state.

    Args:
        settings: The stack's settings.
        lines: The decisions of the last flushes.
        terminal: Where to write.
        routes: The names of the routes to show; by default all.
    """
    last = {line.text("route"): line for line in lines if line.outcome in {EXPECTED, NOT_CHECKED}}
    rows: list[list[Cell]] = []
    for name, expect, at_least in _expecting(settings):
        if routes is not None and name not in routes:
            continue
        what = expect + (f", at least {at_least}" if at_least else "")
        line = last.get(name)
        if line and line.outcome == NOT_CHECKED:
            rows.append([name, what, "", "", ("not checked: no ledger", "red")])
        elif not line or line.text("expect") != expect:
            rows.append([name, what, "", "", "no flush has looked yet"])
        else:
            state = line.text("state")
            colour = _COLOURS.get(State(state)) if state in set(State) else None
            rows.append(
                [
                    name,
                    what,
                    _time(line.text("last"), settings, with_age=True) or "none yet",
                    _time(line.text("deadline"), settings),
                    (state, colour) if colour else state,
                ]
            )
    if rows:
        columns = ("Route", "Expected", "Last log", "Next deadline", "State")
        terminal.table("Expected logs", columns, rows)


def _expecting(settings: Settings) -> list[tuple[str, str, str]]:
    """Return the name, `expect` and `atLeast` of each route that expects a log."""
    routes = [(route.name, route.expect, route.at_least) for route in settings.routes]
    return [one for one in [*routes, ("", settings.expect, settings.at_least)] if one[1]]


def _time(text: str, settings: Settings, *, with_age: bool = False) -> str:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return ""
    shown = f"{moment.astimezone(settings.zone):%d %b %H:%M %Z}"
    return f"{shown}, {ago(moment)}" if with_age else shown
