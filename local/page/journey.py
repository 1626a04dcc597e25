"""The fate of each log file, from the functions' logs and the stand-in for Twilio."""

import collections
import dataclasses
import datetime
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from handler.ledger import ASK_AFTER_SECONDS
from local.segments import SEGMENT_DOLLARS
from local.storm import files_in
from local.twilio_api import Text
from stack.log_lines import Line, plural

Event = dict[str, Any]
State = Literal["uploading", "texted", "waiting", "failed", "ignored"]

SHOWN_FILES = 8
"""How many of the last files the page lists."""

TWILIO_IS_DOWN = "Twilio is down"
ANSWER_WAS_LOST = "Twilio's answer was lost"

_WAITS_IN_WORDS = {
    "busy": TWILIO_IS_DOWN,
    "Twilio refuses": TWILIO_IS_DOWN,
    "in doubt": ANSWER_WAS_LOST,
    "digest": "digest mode",
}
"""Reasons to wait, in words that a stranger understands."""

_HAPPENED = {
    "new": "it cannot be missing yet, since its route is new",
    "waiting": "it has not come yet",
    "came": "it came in time",
    "late": "it came late",
    "missing": "it is missing, and its phones are texted",
}
"""The states of an expected log, in words for people; see `handler.expectation.State`."""


@dataclasses.dataclass
class _Fate:
    """The state of one file's text to one phone.

    Attributes:
        state: The state.
        why: Why it waits, failed or is ignored; after a text, how it was sent.
        since: When the state began.
    """

    state: State
    why: str
    since: datetime.datetime


@dataclasses.dataclass(eq=False)
class _File:
    """One upload.

    Attributes:
        key: The key.
        uploaded_at: When it was uploaded.
        is_seen: Whether `notify` has read its event.
        fates: Its fate for each phone, by the last digits of the phone.
        excluded: Why nobody is texted about it, or why it is not in the bucket.
        lacks_words: Whether it has none of the words that a route looks for. Other routes may still
            text about it.
    """

    key: str
    uploaded_at: datetime.datetime
    is_seen: bool = False
    fates: dict[str, _Fate] = dataclasses.field(default_factory=dict)
    excluded: str = ""
    lacks_words: bool = False

    @property
    def state(self) -> State:
        """The state of the file: waiting or failed if it is that for one of its phones."""
        if self.excluded:
            return "ignored"
        states = {fate.state for fate in self.fates.values()}
        order: tuple[State, ...] = ("waiting", "failed", "texted", "ignored")
        nothing: State = "ignored" if self.lacks_words else "uploading"
        return next((state for state in order if state in states), nothing)

    def described(self) -> Event:
        """Describe it for the page."""
        return {
            "key": self.key,
            "state": self.state,
            "fate": self._fate(),
            "time": self.uploaded_at.isoformat(),
        }

    def _fate(self) -> str:
        if self.excluded:
            return self.excluded
        phones_of: dict[str, list[str]] = {}
        for phone, fate in self.fates.items():
            words = fate.why if fate.state == "texted" else f"{fate.state}, {fate.why}"
            phones_of.setdefault(words, []).append(phone)
        if not phones_of and self.lacks_words:
            return "nobody is texted: no line has its route's words"
        if not phones_of:
            return "in the bucket" if self.is_seen else "on its way"
        if len(phones_of) == 1:
            return next(iter(phones_of))
        return "; ".join(f"{', '.join(phones)} {words}" for words, phones in phones_of.items())


class Journey:
    """The fates of all files so far, and the texts.

    Its methods may be called from any thread. Listeners are called in the caller's thread, and must
    not block.
    """

    def __init__(self, reasons: Mapping[str, str] | None = None) -> None:
        """Begin, without any file.

        Args:
            reasons: More reasons to wait, in words for people.
        """
        self._reasons_in_words = {**_WAITS_IN_WORDS, **(reasons or {})}
        self._lock = threading.RLock()
        self._files: list[_File] = []
        self._latest: dict[str, _File] = {}  # by key
        self._waiting: dict[str, dict[int, _File]] = {}  # by phone and by identity, oldest first
        # By phone: the files that a flush texted, and whose held lines have not come yet.
        self._early: collections.Counter[str] = collections.Counter()
        self._early_at: dict[str, datetime.datetime] = {}
        self._texts: list[Event] = []
        self._expected: dict[str, Event] = {}  # by route
        self._outcomes = 0
        self._flushed_at: datetime.datetime | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def outcomes(self) -> int:
        """The number of outcomes of `notify` so far."""
        with self._lock:
            return self._outcomes

    @property
    def flushed_at(self) -> datetime.datetime | None:
        """When the last flush ended; None before the first."""
        with self._lock:
            return self._flushed_at

    def listen(self, listener: Callable[[], None]) -> None:
        """Call a listener after every change from now on."""
        with self._lock:
            self._listeners.append(listener)

    def remove(self, listener: Callable[[], None]) -> None:
        """Stop calling a listener."""
        with self._lock:
            self._listeners.remove(listener)

    def changed(self) -> None:
        """Call every listener."""
        with self._lock:
            for listener in self._listeners:
                listener()

    def snapshot(self, *, texts_from: int = 0) -> Event:
        """Return all that the page shows at one moment: no two counts contradict each other.

        Args:
            texts_from: The number of texts that the page has already.
        """
        with self._lock:
            states = collections.Counter(file.state for file in self._files)
            segments = sum(text["segments"] for text in self._texts)
            due = sum(len(file.fates) or 1 for file in self._files if file.state not in {"ignored"})
            return {
                "counts": {
                    "uploaded": sum(states.values()) - states["ignored"],
                    "uploading": states["uploading"],
                    "texted": states["texted"],
                    "waiting": states["waiting"],
                    "failed": states["failed"],
                    "texts": len(self._texts),
                    "delivered": sum(text["status"] == "delivered" for text in self._texts),
                    "dollars": segments * SEGMENT_DOLLARS,
                    "dollars_one_text_each": due * SEGMENT_DOLLARS,
                },
                "reasons": self._reasons(),
                "in_doubt_since": self._in_doubt_since(),
                "files": [file.described() for file in reversed(self._files[-SHOWN_FILES:])],
                "expected": list(self._expected.values()),
                "texts_from": texts_from,
                "texts": self._texts[texts_from:],
            }

    def _reasons(self) -> list[Event]:
        """Count the waiting files by the reason for which they wait."""
        reasons: collections.Counter[str] = collections.Counter()
        for file in self._files:
            waits = [fate.why for fate in file.fates.values() if fate.state == "waiting"]
            if waits and file.state == "waiting":
                reasons[waits[0]] += 1
        return [{"why": why, "count": count} for why, count in reasons.most_common()]

    def _in_doubt_since(self) -> str | None:
        """Return when the first of the waiting texts was sent, if all of them are in doubt."""
        waiting = [
            fate for file in self._files for fate in file.fates.values() if fate.state == "waiting"
        ]
        if not waiting or any(fate.why != ANSWER_WAS_LOST for fate in waiting):
            return None
        return min(fate.since for fate in waiting).isoformat()

    # Changes

    def add_text(self, text: Text) -> None:
        """Add a text that Twilio has accepted and the phone has received."""
        shown = {
            "sid": text.sid,
            "to": text.to,
            "from": text.sender,
            "body": text.body,
            "segments": text.segments,
            "dollars": text.segments * SEGMENT_DOLLARS,
            "files": files_in(text.body),
            "time": text.time.isoformat(),
            "status": text.status,
        }
        with self._lock:
            self._texts.append(shown)
            self.changed()

    def add_upload(self, key: str, excluded: str = "") -> None:
        """Add a file that the page uploads.

        Args:
            key: Its key.
            excluded: Why nobody will be texted about it, or why it is not in the bucket.
        """
        with self._lock:
            file = self._latest.get(key)
            is_another = file and ((file.is_seen and not excluded) or file.fates or file.excluded)
            if file is None or is_another:
                file = self._append(key, datetime.datetime.now(datetime.UTC))
            file.excluded = excluded
            self.changed()

    def retry_failed(self) -> None:
        """Let all failed texts wait: they are on `held` again."""
        now = datetime.datetime.now(datetime.UTC)
        with self._lock:
            for file in self._files:
                for phone, fate in file.fates.items():
                    if fate.state == "failed":
                        self._wait(file, phone, "to be sent again", now)
            self.changed()

    def add_line(self, line: Line) -> None:
        """Add a line of a function's log: one decision."""
        with self._lock:
            phone, key = line.text("phone"), line.text("key")
            if line.function == "notify":
                self._add_of_notify(line, key, phone)
            else:
                self._add_of_flush(line, key, phone)
            self.changed()

    def _add_of_notify(self, line: Line, key: str, phone: str) -> None:
        if line.outcome == "seen":
            file = self._latest.get(key)
            if file is None or file.is_seen:
                file = self._append(key, line.time)
            file.is_seen = True
            return
        file = self._latest.get(key)
        if file is None:
            return
        match line.outcome:
            case "sent":
                self._outcomes += 1
                seconds = line.number("SecondsToText")
                file.fates[phone] = _Fate("texted", f"texted in {_seconds(seconds)}", line.time)
            case "held":
                self._outcomes += 1
                self._wait(file, phone, self._why(line), line.time)
            case "failed":
                self._outcomes += 1
                file.fates[phone] = _Fate("failed", self._why(line), line.time)
            case "duplicate" if not file.fates:
                self._forget(file)  # S3 sent its event twice
            case "ignored":
                file.excluded = f"nobody is texted: {line.text('reason')}"
            case "nothing inside":
                file.lacks_words = True
            case _:
                pass

    def _add_of_flush(self, line: Line, key: str, phone: str) -> None:
        match line.outcome:
            case "sent" if key:  # the answer was lost, and Twilio has a record of the text
                file = self._latest.get(key)
                if file and self._waiting.get(phone, {}).pop(id(file), None):
                    found = "texted once: Twilio has a record of it"
                    file.fates[phone] = _Fate("texted", found, line.time)
            case "sent":
                self._texted(phone, int(line.fields.get("files", 1)), line.time)
            case "failed" | "dropped" | "duplicate":
                file = self._latest.get(key)
                if file and self._waiting.get(phone, {}).pop(id(file), None):
                    is_duplicate = line.outcome == "duplicate"
                    file.fates[phone] = (
                        _Fate("texted", "texted before", line.time)
                        if is_duplicate
                        else _Fate("failed", self._why(line), line.time)
                    )
            case "not sent":
                for file in self._waiting.get(phone, {}).values():
                    file.fates[phone].why = self._why(line)
            case "flushed" | "quiet hours":
                self._flushed_at = line.time
            case "expected":
                state, last = line.text("state"), line.text("last")[11:19]
                self._expected[line.text("route")] = {
                    "route": line.text("route"),
                    "rule": f"expected {line.text('expect')}",
                    "deadline": line.text("deadline"),
                    "state": state,
                    "happened": _HAPPENED.get(state, state)
                    + (f" (the last one: {last} UTC)" if last else ""),
                }
            case _:
                pass

    def _why(self, line: Line) -> str:
        """Return why a text waits or failed, in words for people."""
        reason = line.text("reason")
        words = self._reasons_in_words.get(reason)
        return words or line.text("meaning") or reason or line.outcome

    def _append(self, key: str, at: datetime.datetime) -> _File:
        file = self._latest[key] = _File(key, at)
        self._files.append(file)
        return file

    def _forget(self, file: _File) -> None:
        self._files.remove(file)
        earlier = [one for one in self._files if one.key == file.key]
        if earlier:
            self._latest[file.key] = earlier[-1]
        else:
            del self._latest[file.key]

    def _wait(self, file: _File, phone: str, why: str, at: datetime.datetime) -> None:
        """Let a text wait, unless the line of the flush that sent it came first."""
        if self._early[phone] and at <= self._early_at[phone]:
            self._early[phone] -= 1
            self._text_in_summary([file], phone, self._early_at[phone])
            return
        file.fates[phone] = _Fate("waiting", why, at)
        self._waiting.setdefault(phone, {})[id(file)] = file

    def _texted(self, phone: str, count: int, at: datetime.datetime) -> None:
        """Record a text of a flush about so many files: those that have waited longest."""
        waiting = self._waiting.setdefault(phone, {})
        told = [waiting.pop(one) for one in list(waiting)[:count]]
        self._early[phone] += count - len(told)
        self._early_at[phone] = at
        self._text_in_summary(told, phone, at, is_summary=count > 1)

    def _text_in_summary(
        self,
        files: Iterable[_File],
        phone: str,
        at: datetime.datetime,
        *,
        is_summary: bool = True,
    ) -> None:
        for file in files:
            seconds = (at - file.uploaded_at).total_seconds()
            how = "texted in a summary" if is_summary else "texted"
            file.fates[phone] = _Fate("texted", f"{how} after {_seconds(seconds)}", at)


def next_try(
    next_flush: datetime.datetime, every: datetime.timedelta, in_doubt_since: str | None
) -> datetime.datetime:
    """Return when a flush handles the waiting texts.

    It asks Twilio about a lost answer only after `ASK_AFTER_SECONDS`.

    Args:
        next_flush: When the next flush runs.
        every: The time between two flushes.
        in_doubt_since: The moment that a snapshot gives, or None.
    """
    if in_doubt_since:
        asked_after = datetime.timedelta(seconds=ASK_AFTER_SECONDS)
        earliest = datetime.datetime.fromisoformat(in_doubt_since) + asked_after
        while next_flush < earliest:
            next_flush += every
    return next_flush


def _seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return plural(round(seconds / 60), "minute")
