"""The way of each log, as the functions' logs and the stand-in for Twilio tell it."""

import threading
from collections.abc import Callable
from typing import Any

from local.twilio import Text
from stack.log_lines import Line

STATIONS = ("bucket", "notify", "claim", "held", "flush", "twilio", "phone", "failed")

Event = dict[str, Any]
Listener = Callable[[Event], None]


class Journey:
    """What has happened so far, and everybody who wants to know what happens next.

    Its methods may be called from any thread; listeners are called in the caller's, and must not
    block.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counts = dict.fromkeys(STATIONS, 0)
        self._settled = 0
        self._texts: list[Event] = []
        self._listeners: list[Listener] = []

    @property
    def settled(self) -> int:
        """How many texts `notify` has brought to an end so far."""
        with self._lock:
            return self._settled

    def listen(self, listener: Listener) -> Event:
        """Tell somebody of all that happens from now on. Gives what has happened before."""
        with self._lock:
            self._listeners.append(listener)
            return {"counts": dict(self._counts), "texts": list(self._texts)}

    def leave(self, listener: Listener) -> None:
        """Tell somebody no more."""
        with self._lock:
            self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """Tell everybody something."""
        with self._lock:
            for listener in self._listeners:
                listener(event)

    def text(self, text: Text) -> None:
        """Twilio has accepted a text, and the phone has it."""
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
            self.tell({"kind": "text", "text": shown})
            self._moved(("twilio", "phone"), phone=1)

    def line(self, line: Line) -> None:
        """A function has decided something."""
        fields = line.fields
        with self._lock:
            match line.function, line.outcome:
                case "notify", "seen":
                    self._moved(("bucket", "notify"), bucket=1, notify=1)
                case "notify", "sent":
                    self._settled += 1
                    self._moved(("notify", "claim", "notify", "twilio"), claim=1, twilio=1)
                case "notify", "held":
                    self._settled += 1
                    self._moved(("notify", "held"), held=1)
                case "notify", "failed":
                    self._settled += 1
                    self._moved(("notify", "failed"), failed=1)
                case "notify", "duplicate":
                    self._moved(("notify", "claim"))
                case "flush", "sent":
                    files = int(fields.get("files", 1))
                    self._moved(("held", "flush", "twilio"), held=-files, flush=1, twilio=1)
                case "flush", "failed":
                    self._moved(("held", "flush", "failed"), held=-1, failed=1)
                case "flush", "dropped" | "duplicate":
                    self._moved(("held", "flush"), held=-1)
                case _:
                    pass

    def _moved(self, path: tuple[str, ...], **changes: int) -> None:
        for station, change in changes.items():
            self._counts[station] = max(0, self._counts[station] + change)
        self.tell({"kind": "move", "path": path, "counts": dict(self._counts)})
