"""The journey of each log file, from the functions' logs and the stand-in for Twilio."""

import threading
from collections.abc import Callable
from typing import Any

from local.twilio_api import Text
from stack.log_lines import Line

STATIONS = ("bucket", "notify", "claim", "held", "flush", "twilio", "phone", "failed")

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Journey:
    """The stations that the log files have passed so far, and the listeners for what comes next.

    Its methods may be called from any thread. Listeners are called in the caller's thread, and must
    not block.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts = dict.fromkeys(STATIONS, 0)
        self._outcomes = 0
        self._texts: list[Event] = []
        self._listeners: list[Listener] = []

    @property
    def outcomes(self) -> int:
        """How many texts have an outcome of `notify` so far."""
        with self._lock:
            return self._outcomes

    def listen(self, listener: Listener) -> Event:
        """Call a listener with every event from now on. Return the state before them."""
        with self._lock:
            self._listeners.append(listener)
            return {"counts": dict(self._counts), "texts": list(self._texts)}

    def remove(self, listener: Listener) -> None:
        """Call a listener no more."""
        with self._lock:
            self._listeners.remove(listener)

    def publish(self, event: Event) -> None:
        """Call every listener with an event."""
        with self._lock:
            for listener in self._listeners:
                listener(event)

    def add_text(self, text: Text) -> None:
        """Add a text that Twilio has accepted and the phone has received."""
        shown = {
            "sid": text.sid,
            "to": text.to,
            "from": text.sender,
            "body": text.body,
            "segments": text.segments,
            "time": text.time.isoformat(),
            "status": text.status,
        }
        with self._lock:
            self._texts.append(shown)
            self.publish({"kind": "text", "text": shown})
            self._move(("twilio", "phone"), phone=1)

    def add_line(self, line: Line) -> None:
        """Add a line of a function's log: one decision."""
        fields = line.fields
        with self._lock:
            match line.function, line.outcome:
                case "notify", "seen":
                    self._move(("bucket", "notify"), bucket=1, notify=1)
                case "notify", "sent":
                    self._outcomes += 1
                    self._move(("notify", "claim", "notify", "twilio"), claim=1, twilio=1)
                case "notify", "held":
                    self._outcomes += 1
                    self._move(("notify", "held"), held=1)
                case "notify", "failed":
                    self._outcomes += 1
                    self._move(("notify", "failed"), failed=1)
                case "notify", "duplicate":
                    self._move(("notify", "claim"))
                case "flush", "sent":
                    files = int(fields.get("files", 1))
                    self._move(("held", "flush", "twilio"), held=-files, flush=1, twilio=1)
                case "flush", "failed":
                    self._move(("held", "flush", "failed"), held=-1, failed=1)
                case "flush", "dropped" | "duplicate":
                    self._move(("held", "flush"), held=-1)
                case _:
                    pass

    def _move(self, path: tuple[str, ...], **changes: int) -> None:
        for station, change in changes.items():
            self._counts[station] = max(0, self._counts[station] + change)
        self.publish({"kind": "move", "path": path, "counts": dict(self._counts)})
