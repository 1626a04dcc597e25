"""Expected logs: `notify` records the last log of each route, and `flush` looks for missing ones.

Imported only in a stack that expects logs. The ledger has one item for each route that does:

- `settings`, `since`: the route's settings, by their hash, and when a flush first saw them
- `last_at`, `last_key`, `last_size`: the latest log that counts; `previous_at`: the one before
- `small_at`, `small_key`, `small_size`: the latest log that was too small to count
- `missed`, `silent_since`: the latest deadline that was missed, and the last log before it
- `wording`: the expectation of that deadline, as its text words it
- `told`: the latest missed deadline whose texts are on the queue `held`

All times are in milliseconds since the epoch. Wherever a flush ends, the next one goes on: it
first records the miss, unless a log came meanwhile, then holds the texts, then records that.
"""

import datetime
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from handler import metrics, queue_messages
from handler.aws import AwsError, as_number, nested
from handler.errors import unexpected_errors_logged
from handler.events import LogFile
from handler.expectation import GRACE, Known, State, parse_expectation, parse_size
from handler.ledger import KEPT_SECONDS
from handler.log import Log
from handler.missing_log import MissingLog
from handler.queues import NotQueued, Queue
from handler.table import Table

if TYPE_CHECKING:
    from handler.routes import Route
    from handler.settings import Settings

REASON = "missing"
"""The reason for holding the text about a missing log, until the flush that found it sends it.
"""

NEW_SECONDS = datetime.timedelta(minutes=1)
"""Seconds in which no log of a route that no flush has seen yet can be late."""

RECORD = "SET {0}_at = :at, {0}_key = :key, {0}_size = :size, settings = :settings, expires = :exp"
SAME_SETTINGS = "(attribute_not_exists(settings) OR settings = :settings)"
IS_LATER = "(attribute_not_exists({0}_at) OR {0}_at < :at)"

BEGIN = (
    "SET settings = :settings, since = :now, expires = :exp REMOVE last_at, last_key, last_size, "
    "previous_at, small_at, small_key, small_size, missed, silent_since, wording, told"
)
BEGIN_IF = "attribute_not_exists(since) OR settings <> :settings"

MISS = "SET missed = :missed, silent_since = :silent, wording = :wording, expires = :exp"
MISS_IF = (
    "settings = :settings AND (attribute_not_exists(missed) OR missed < :missed) "
    "AND (attribute_not_exists(last_at) OR last_at <= :silent)"
)

TELL = "SET told = :missed"
TELL_IF = "settings = :settings AND missed = :missed"


class ExpectedLog:
    """The log that one route expects.

    Attributes:
        route: The route; the flat settings for the logs that match no route.
        name: The route's name; "" for the flat settings.
        id: The id of its item in the ledger.
        settings: The settings that decide which log comes in time, as a hash.
        at_least: The smallest size of a log that counts, in bytes.
        expectation: When it is due.
    """

    def __init__(self, route: Union["Route", "Settings"], settings: "Settings") -> None:
        """Read a route's `expect` and `atLeast`.

        Args:
            route: The route.
            settings: The flat settings.

        Raises:
            ValueError: The route's settings are wrong.
        """
        self.route = route
        self.name = route.name
        self.id = f"expected {self.name}"
        self.logs: str = getattr(route, "logs", "")
        parts = (self.logs, getattr(route, "except_", ""), route.expect, route.at_least)
        whole = json.dumps((*parts, settings.timezone)).encode()
        self.settings = hashlib.sha256(whole).hexdigest()[:16]
        self.at_least = parse_size(route.at_least) if route.at_least else 0
        self.expectation = parse_expectation(route.expect, settings.zone)

    @property
    def named(self) -> dict[str, Any]:
        """The field of a log's line that names the route; none for the flat settings."""
        return {metrics.ROUTE: self.name} if self.name else {}

    def counts(self, file: LogFile) -> bool:
        """Whether a log is large enough. One of unknown size is."""
        return file.size is None or file.size >= self.at_least

    def known(self, item: object) -> Known | None:
        """Return the times in an item; None if it has other settings, or a flush never saw it."""
        since, last = _moment(item, "since"), _moment(item, "last_at")
        if since is None or nested(item, "settings", "S") != self.settings:
            return None
        missed, silent = _moment(item, "missed"), _moment(item, "silent_since")
        before = _moment(item, "previous_at") or since
        is_late = bool(missed and silent and last and last > missed and before <= silent)
        return Known(since, last, is_late=is_late)

    def is_late(self, file: LogFile, item: object) -> bool:
        """Whether a log ends a miss, and came after its deadline."""
        missed, silent = _moment(item, "missed"), _moment(item, "silent_since")
        if not self.known(item) or missed is None or silent is None:
            return False
        last = _moment(item, "last_at")
        return file.time > missed and (last is None or last <= silent)

    def in_time_until(self, item: object, now: datetime.datetime) -> datetime.datetime:
        """Return the time until which no log can be missing, by an item without a miss."""
        known = self.known(item)
        if not known:
            return now + NEW_SECONDS
        state, deadline = self.expectation.status(known, now)
        return now if state is State.MISSING else deadline + GRACE

    def missing(self, item: object) -> MissingLog | None:
        """Return the missing log of an item if no text about it is held yet, else None."""
        missed, silent = _moment(item, "missed"), _moment(item, "silent_since")
        if not missed or not silent or missed == _moment(item, "told"):
            return None
        small_at, small_size = _moment(item, "small_at"), as_number(nested(item, "small_size", "N"))
        missing = MissingLog(
            route=self.name,
            logs=self.logs,
            deadline=missed,
            since=silent,
            expected=str(nested(item, "wording", "S") or self.expectation.wording),
        )
        # An earlier text has named it already.
        before = max(silent, _moment(item, "told") or silent)
        if small_at is None or small_at <= before or small_size is None or not self.at_least:
            return missing
        return missing._replace(
            small_key=str(nested(item, "small_key", "S") or ""),
            small_size=small_size,
            at_least=self.route.at_least,
        )


class Check(NamedTuple):
    """One route in one flush.

    Attributes:
        log: The expected log.
        item: Its item in the ledger; empty if there is none.
        now: The time of the flush.
    """

    log: ExpectedLog
    item: Mapping[str, Any]
    now: datetime.datetime


class _Note(NamedTuple):
    """An addition to the text about a log, for the phones of one route.

    Attributes:
        log: The expected log.
        note: The addition.
    """

    log: ExpectedLog
    note: str


def _late_note(log: ExpectedLog) -> _Note:
    return _Note(log, f"late, expected {log.expectation.wording}")


def _joined(notes: Sequence[_Note], phone: str) -> str:
    """Join the notes for a phone, each once."""
    return "; ".join(dict.fromkeys(one.note for one in notes if phone in one.log.route.to_numbers))


class ExpectedLogs:
    """Records the logs that came, and holds a text for each phone of a route whose log did not."""

    def __init__(
        self,
        settings: "Settings",
        *,
        table: Table,
        held: Queue,
        log: Log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Read the expectations of all routes.

        Args:
            settings: The function's settings.
            table: The ledger's table.
            held: The queue of the texts that a flush takes up.
            log: The log.
            clock: The time, in seconds since the epoch.
        """
        routes: list[Route | Settings] = [*settings.routes, settings]
        self._expected = [ExpectedLog(route, settings) for route in routes if route.expect]
        self._by_route = {one.name: one for one in self._expected}
        self._matching = settings.matching
        self._table = table
        self._held = held
        self._log = log
        self._clock = clock
        self._late: dict[tuple[str, str], list[ExpectedLog]] = {}  # by key and time of a log
        self._noted: tuple[LogFile, list[_Note]] | None = None  # the last file, and its notes
        self._in_time_until: dict[str, datetime.datetime] = {}  # by route: until then none is late

    def record(self, file: LogFile) -> None:
        """Record that a log came, for every route that expects it. An error stops nothing else."""
        for expected in self._expecting(file):
            with unexpected_errors_logged(self._log):
                try:
                    self._record(expected, file)
                except AwsError as error:
                    self._log.decision(
                        "last log not recorded",
                        level="ERROR",
                        file=file,
                        measured={metrics.NOT_CHECKED: 1},
                        meaning=str(error),
                        **expected.named,
                    )

    def _record(self, expected: ExpectedLog, file: LogFile) -> None:
        kind = "last" if expected.counts(file) else "small"
        # A time in the future would hide that the next log is missing.
        at = {"N": _milliseconds(min(file.time.timestamp(), self._clock()))}
        change = RECORD.format(kind)
        values: dict[str, Any] = {
            ":at": at,
            ":key": {"S": file.key},
            ":size": {"NULL": True} if file.size is None else {"N": str(file.size)},
            ":settings": {"S": expected.settings},
            ":exp": self._expires(),
        }
        if kind == "last":
            change += ", previous_at = if_not_exists(last_at, :zero)"
            values[":zero"] = {"N": "0"}
        self._table.update_if(
            expected.id,
            f"{SAME_SETTINGS} AND {IS_LATER.format(kind)}",
            {"UpdateExpression": change, "ExpressionAttributeValues": values},
        )

    def note(self, file: LogFile | MissingLog, phone: str) -> str:
        """Return the addition to the text about a new log: that it is too small, or late; or "".

        It tells a phone only about its own routes, as the texts about missing logs do. It reads the
        ledger once after each deadline: until the next one, no log can be missing.
        """
        if isinstance(file, MissingLog):
            return ""
        if not self._noted or self._noted[0] != file:  # else it is for the next phone
            self._noted = (file, [*self._small_notes(file), *self._late_notes(file)])
        return _joined(self._noted[1], phone)

    def _small_notes(self, file: LogFile) -> list[_Note]:
        return [
            _Note(one, f"too small, expected at least {one.route.at_least}")
            for one in self._expecting(file)
            if not one.counts(file)
        ]

    def _late_notes(self, file: LogFile) -> list[_Note]:
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        asked = [
            one
            for one in self._expecting(file)
            if one.counts(file) and now >= self._in_time_until.get(one.name, now)
        ]
        late: list[_Note] = []
        if not asked:
            return late
        with unexpected_errors_logged(self._log):
            items, _ = self._read(asked)
            for expected in asked:
                if expected.id not in items:
                    continue
                item = items[expected.id]
                if expected.is_late(file, item):
                    late.append(_late_note(expected))
                else:
                    self._in_time_until[expected.name] = expected.in_time_until(item, now)
        return late

    def held_note(self, file: LogFile, phone: str) -> str:
        """Return the addition to a held text about one log. The flush has read the ledger."""
        late = self._late.get((file.key, _milliseconds(file.time.timestamp())), [])
        return _joined([*self._small_notes(file), *map(_late_note, late)], phone)

    def _expecting(self, file: LogFile) -> list[ExpectedLog]:
        """Return the expected logs that a file is one of."""
        names = [route.name for route in self._matching(file.key)]
        return [self._by_route[name] for name in names if name in self._by_route]

    def check(self) -> None:
        """Hold the texts about missing logs. Without the ledger, none counts as missing."""
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC)
        self._late.clear()
        items, error = self._read(self._expected)
        for expected in self._expected:
            if expected.id not in items:
                self._not_checked(expected, error)
                continue
            with unexpected_errors_logged(self._log, **expected.named):
                try:
                    self._check(Check(expected, items[expected.id], now))
                except (AwsError, NotQueued) as caught:
                    self._not_checked(expected, caught)

    def _read(
        self, some: Sequence[ExpectedLog]
    ) -> tuple[dict[str, Mapping[str, Any]], AwsError | None]:
        """Read the items of expected logs, empty where there is none; without those unread."""
        found = self._table.look_up(one.id for one in some)
        items: dict[str, Mapping[str, Any]] = {}
        if not found.error:
            items = {one.id: {} for one in some}
        return items | found.items, found.error

    def _not_checked(self, expected: ExpectedLog, error: Exception | None) -> None:
        self._log.decision(
            "expected log not checked",
            level="ERROR",
            measured={metrics.NOT_CHECKED: 1},
            meaning=str(error),
            **expected.named,
        )

    def _check(self, check: Check) -> None:
        expected, item, now = check
        # The texts about an earlier deadline first, if a flush ended before it held them; of other
        # settings, too.
        self._hold(check)
        known = expected.known(item)
        if not known:
            if not self._change(check, BEGIN, BEGIN_IF, now=now):
                return  # another flush was quicker
            known = Known(since=now)
        else:
            missed = expected.expectation.missed(known, now)
            if missed and missed != _moment(item, "missed"):
                self._miss(check, missed, silent=known.last or known.since)
        if known.last and known.is_late:
            last = str(nested(item, "last_key", "S")), _milliseconds(known.last.timestamp())
            self._late.setdefault(last, []).append(expected)
        state, deadline = expected.expectation.status(known, now)
        self._log.decision(
            "expected",
            logs=expected.logs,
            expect=expected.route.expect,
            state=state,
            last=known.last and known.last.isoformat(timespec="seconds"),
            deadline=deadline.isoformat(timespec="seconds"),
            **expected.named,
        )

    def _miss(self, check: Check, missed: datetime.datetime, silent: datetime.datetime) -> None:
        """Record a miss and hold its texts, unless a flush has done so, or a log came meanwhile."""
        if self._change(check, MISS, MISS_IF, missed=missed, silent=silent):
            times = {"missed": missed, "silent_since": silent}
            values = {name: {"N": _milliseconds(at.timestamp())} for name, at in times.items()}
            self._hold(check._replace(item={**check.item, **values}))

    def _hold(self, check: Check) -> None:
        """Hold the texts of a miss, unless a flush has done so.

        Raises:
            AwsError, NotQueued: The texts are not held, or that is not recorded. The next flush
            holds them. Texts that are held twice go out once.
        """
        missing = check.log.missing(check.item)
        if not missing:
            return
        phones = check.log.route.to_numbers
        if phones:
            self._held.send([queue_messages.to_message(missing, phones, REASON)])
        self._log.decision(
            "missing",
            level="WARN",
            measured={metrics.MISSING: 1, metrics.HELD: len(phones)},
            reason=REASON,
            logs=missing.logs,
            expect=check.log.route.expect,
            since=missing.since.isoformat(timespec="seconds"),
            deadline=missing.deadline.isoformat(timespec="seconds"),
            **check.log.named,
        )
        self._change(check, TELL, TELL_IF, missed=missing.deadline)

    def _change(
        self, check: Check, change: str, condition: str, **times: datetime.datetime
    ) -> bool:
        """Change an item of the ledger, and return whether its condition held.

        Raises:
            AwsError: The table cannot be reached.
        """
        values = {f":{name}": {"N": _milliseconds(at.timestamp())} for name, at in times.items()}
        values[":settings"] = {"S": check.log.settings}
        if ":exp" in change:
            values[":exp"] = self._expires()
        if ":wording" in change:
            values[":wording"] = {"S": check.log.expectation.wording}
        return self._table.update_if(
            check.log.id,
            condition,
            {"UpdateExpression": change, "ExpressionAttributeValues": values},
        )

    def _expires(self) -> dict[str, str]:
        return {"N": str(int(self._clock()) + KEPT_SECONDS)}


def _milliseconds(at: float) -> str:
    return str(round(at * 1000))


def _moment(item: object, name: str) -> datetime.datetime | None:
    value = as_number(nested(item, name, "N"))
    return None if value is None else datetime.datetime.fromtimestamp(value / 1000, datetime.UTC)
