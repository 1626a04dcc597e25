"""The explanation of a key: its routes, its phones, the text, and whether it goes at once.

It reads only AWS. It sends nothing, and does not ask Twilio. It needs these permissions:

- `lambda:GetFunctionConfiguration` of `notify`, and `kms:Decrypt` with the stack's key;
- `dynamodb:GetItem` of the ledger, for the texts that count against a limit;
- `logs:FilterLogEvents` of both log groups, for Twilio's recent refusals and for expected logs.

Without one of the last two, it says so and explains the rest.
"""

import datetime
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from handler import text
from handler.breaker import Breaker
from handler.events import Found, LogFile
from handler.ledger import Limits, counted, key_of_hour
from handler.line_search import parse_words
from handler.log import masked
from handler.notifier import BREAKER_SECONDS, OVER_LIMIT
from handler.quiet_hours import read_hours
from handler.refusals import Kind, Refusal
from handler.routes import Glob, Route, Routes, globs
from handler.segments import segments
from handler.settings import Settings, looks_inside
from ops.expected import EXPECTED, NOT_CHECKED, show_expected
from stack import log_lines
from stack.deployed import Stack, StackError, ago, duration
from stack.log_lines import Line, plural
from stack.reasons import in_words
from stack.terminal import Cell, Terminal

SAMPLE_BYTES = 1234
"""The size of the log in the text that is shown."""

PERIOD = datetime.timedelta(days=1)
"""How far back the log is searched for Twilio's refusals."""

OUTCOMES = ("sent", "held", "failed", "not sent", EXPECTED, NOT_CHECKED)


def explain(stack: Stack, terminal: Terminal, key: str) -> None:
    """Show the routes that a key matches, and the outcome that a log of that key would have now.

    Args:
        stack: The stack.
        terminal: Where to write.
        key: The whole key.

    Raises:
        StackError: The key is empty, or the settings cannot be read.
    """
    if not key:
        raise StackError(f"Which key? {stack.make('explain')} KEY=app/web.log")
    settings = stack.settings
    terminal.field("Stack", settings.stack)
    terminal.field("Key", key)
    excluded = stack.excludes(key)
    if excluded:
        terminal.field("S3", f"does not call notify: the key {excluded}", "yellow")
    else:
        terminal.field("S3", "calls notify")
    routes = Routes(settings)
    _show_routes(routes, key, terminal)
    if why := stack.texts_nobody(key):
        terminal.say(f"Nobody is texted: the key {why}.", "yellow")
        return
    now = datetime.datetime.now(datetime.UTC)
    file = LogFile(bucket=stack.outputs["bucket"], key=key, size=SAMPLE_BYTES, time=now)
    counts, refusals = _Counts(stack, now, terminal), _Refusals(stack, now, terminal)
    any_held = False
    texted: set[str] = set()
    unless: dict[str, str] = {}  # by phone: words in a log for which an earlier route texts it
    for route in routes.matching(key):
        phones = [phone for phone in route.to_numbers if phone not in texted]
        if phones:
            _show_text(route, file, settings.zone, terminal)
        for phone in phones:
            limit, is_reached = counts.of(phone, route)
            held = [
                *_held_by_setting(route, settings, now),
                *([limit] if is_reached else []),
                *refusals.held(phone),
            ]
            goes = [limit, *refusals.past(phone)]
            any_held |= bool(held)
            what, style = ("held", "yellow") if held else ("sent now", "green")
            condition = f", if no line has {unless[phone]}" if phone in unless else ""
            terminal.field(masked(phone), f"{what}{condition}: {'; '.join(held or goes)}", style)
        if route.contains:
            for phone in phones:
                unless[phone] = " or ".join(filter(None, (unless.get(phone), _words(route))))
        else:
            texted.update(phones)
    names = [route.name for route in routes.matching(key)]
    show_expected(settings, refusals.lines, terminal, routes=names)
    if any_held:
        every = duration(60 * settings.flush_minutes)
        terminal.say(f"The first flush after that sends the held texts. Flushes run every {every}.")


def _show_routes(routes: Routes, key: str, terminal: Terminal) -> None:
    """Show each route, and the glob that decides whether the key matches it."""
    if not routes.all:
        terminal.field("Routes", "none are set: each log goes to toNumbers")
        return
    matching = routes.matching(key)
    rows: list[list[Cell]] = [
        [
            route.name,
            ("yes", "green") if route in matching else "no",
            _why(route, key),
            _masked(route.to_numbers),
        ]
        for route in routes.all
    ]
    others = routes.others in matching
    rows.append(
        [
            routes.others.label,
            ("yes", "green") if others else "no",
            "no route matches" if others else "a route matches",
            _masked(routes.others.to_numbers) or "toNumbers is empty",
        ]
    )
    terminal.table("Routes", ("Route", "Matches", "Why", "Phones"), rows)


def _why(route: Route, key: str) -> str:
    """Return the glob that decides whether a key matches a route."""
    found = _first_match(globs(route.logs), key)
    if not found:
        return f"not {route.logs}"
    exception = _first_match(globs(route.except_), key)
    return f"except {exception}" if exception else found


def _first_match(patterns: Sequence[Glob], key: str) -> str:
    composed = unicodedata.normalize("NFC", key)
    return next((glob.pattern for glob in patterns if glob.matches(composed)), "")


def _show_text(route: Route, file: LogFile, zone: datetime.tzinfo, terminal: Terminal) -> None:
    example = "a size and a time"
    if looks_inside(route):
        file = file._replace(
            found=Found(1, f"... {_words(route)} ..." if route.contains else "the last line")
        )
        example = "a line, a size and a time"
    body = text.write(file, route.message, zone)
    name = f"Text of {route.name}" if route.name else "Text"
    condition = f", if a line has {_words(route)}" if route.contains else ""
    count = plural(segments(body), "segment")
    terminal.say(f"{name}{condition}, with {example} as an example ({count}):")
    for line in body.splitlines():
        terminal.say(f"  {line}")


def _words(route: Route) -> str:
    return " or ".join(parse_words(route.contains)) if route.contains else ""


def _held_by_setting(route: Route, settings: Settings, now: datetime.datetime) -> list[str]:
    """Return the settings by which a text is held now, each with its end."""
    reasons = []
    if route.mode == "digest":
        reasons.append("digest, until the next flush")
    hours = read_hours(route.quiet_hours, settings.zone)
    if hours and now in hours:
        end = hours.end(now)
        until = f"until {end.astimezone(settings.zone):%a %H:%M %Z}" if end else "without an end"
        reasons.append(f"quiet hours {route.quiet_hours}, {until}")
    return reasons


class _Counts:
    """The texts that count against the limits of a phone, by the ledger."""

    def __init__(self, stack: Stack, now: datetime.datetime, terminal: Terminal) -> None:
        self._stack = stack
        self._at = now.timestamp()
        self._terminal = terminal
        self._is_readable = True

    def of(self, phone: str, route: Route) -> tuple[str, bool]:
        """Return a route's limits with a phone's texts so far, and whether one is reached."""
        limits = Limits.of(route, self._stack.settings.flush_minutes)
        per_hour, at_once = limits.texts_per_hour, limits.texts_at_once
        if not self._is_readable or (item := self._item(phone)) is None:
            return f"at most {per_hour} an hour, {at_once} at once", False
        texts, in_burst = counted(item, self._at, limits)
        reached = limits.reached(texts, in_burst)
        reason = f"{OVER_LIMIT[reached]}, until the next flush: " if reached else ""
        return f"{reason}{texts} of {per_hour} this hour, {in_burst} of {at_once} at once", bool(
            reached
        )

    def _item(self, phone: str) -> Mapping[str, Any] | None:
        try:
            answer = self._stack.aws["dynamodb"].get_item(
                TableName=self._stack.settings.ledger_table, Key=key_of_hour(phone, self._at)
            )
        except ClientError as error:
            self._is_readable = False
            _show_refused("Ledger", error, "dynamodb:GetItem", self._terminal)
            return None
        found: Mapping[str, Any] = answer.get("Item", {})
        return found


def _show_refused(label: str, error: ClientError, permission: str, terminal: Terminal) -> None:
    code = error.response["Error"]["Code"]
    terminal.field(label, f"AWS does not show it ({code}); needed: {permission}", "yellow")


class _Refusals:
    """Twilio's recent refusals, by the log.

    A line has the last four digits of a phone: two phones that share them count as one here.

    Attributes:
        lines: The decisions that the log has; none if it cannot be read.
    """

    def __init__(self, stack: Stack, now: datetime.datetime, terminal: Terminal) -> None:
        self._now = now
        self._breaker = Breaker(BREAKER_SECONDS)
        self._last: dict[str, Line] = {}
        self.lines: list[Line] = []
        try:
            lines = log_lines.read(stack, since=now - PERIOD, outcomes=OUTCOMES)
        except ClientError as error:
            _show_refused("Log", error, "logs:FilterLogEvents", terminal)
            return
        self.lines = lines
        for line in lines:
            self._add(line)

    def _add(self, line: Line) -> None:
        phone, at = line.text("phone"), line.time.timestamp()
        if line.outcome == "sent":
            self._last.pop(phone, None)
            if line.function == "notify":
                self._breaker.accepted(phone, at)
        elif phone and (refusal := _refusal(line)):
            self._last[phone] = line
            if line.function == "notify" and refusal.kind.is_temporary:
                self._breaker.refused(phone, refusal, at)

    def held(self, phone: str) -> list[str]:
        """Return why `notify` holds a text to this phone without asking Twilio."""
        if not self._breaker.refuses(masked(phone), self._now.timestamp()):
            return []
        return self.past(phone) or ["Twilio refused another phone, as it would this one"]

    def past(self, phone: str) -> list[str]:
        """Return the last refusal, unless Twilio accepted a text to this phone later."""
        last = self._last.get(masked(phone))
        if not last:
            return []
        why = in_words(*map(last.text, ("reason", "code", "meaning")))
        is_in_doubt = last.text("reason") == Kind.IN_DOUBT
        what = "may have accepted" if is_in_doubt else "refused"
        return [f"Twilio {what} the last one {ago(last.time)}: {why}"]


def _refusal(line: Line) -> Refusal | None:
    """Return Twilio's refusal in a line; None if it has none."""
    reason, code, meaning = map(line.text, ("reason", "code", "meaning"))
    if not code or reason not in set(Kind):
        return None
    return Refusal(Kind(reason), int(code) if code.isdecimal() else code, meaning)


def _masked(phones: Sequence[str]) -> str:
    return ", ".join(map(masked, phones))
