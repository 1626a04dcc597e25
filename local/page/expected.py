"""The expected logs that the page shows, each with a clock."""

import threading
from typing import Any

from stack.log_lines import Line


class ExpectedLogs:
    """The state of each expected log, as the last flush found it. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, dict[str, Any]] = {}
        self._missed: dict[str, str] = {}  # the deadline that was missed last, by route

    def add_line(self, line: Line) -> bool:
        """Add a line of a function's log. Return whether it says anything of an expected log."""
        route = line.text("route")
        with self._lock:
            match line.outcome:
                case "missing":
                    self._missed[route] = line.text("deadline")
                case "expected":
                    self._found[route] = {
                        "route": route,
                        "rule": line.text("expect"),
                        "deadline": line.text("deadline"),
                        "state": line.text("state"),
                        "happened": _happened(line),
                        "missed": self._missed.get(route, ""),
                    }
                case _:
                    return False
        return True

    def snapshot(self) -> list[dict[str, Any]]:
        """Return all of them, by their routes."""
        with self._lock:
            return [self._found[route] for route in sorted(self._found)]


def _happened(line: Line) -> str:
    """Say in words for people what became of an expected log."""
    last = line.text("last")[11:19]
    match line.text("state"):
        case "new":
            return "the first log is not due yet"
        case "waiting":
            return "waiting for the log"
        case "came":
            return f"came at {last} UTC"
        case "late":
            return f"came late, at {last} UTC"
        case "missing":
            return f"missing since {last} UTC: texted" if last else "missing: texted"
        case other:
            return other
