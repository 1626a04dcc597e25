"""The settings of time: the time zone, quiet hours, and expected logs."""

import dataclasses
import datetime
import re
from collections.abc import Iterator
from importlib import resources

from handler.expectation import parse_expectation
from handler.quiet_hours import QuietHours
from handler.routes import NO_QUIET_HOURS
from infra.kinds.kind import Kind, form_problem, normalized


def _zones() -> list[str]:
    # Only the zones in the package for Lambda: this machine may know others.
    return (resources.files("tzdata") / "zones").read_text().split()


def _zone_problem(value: str) -> str:
    return "" if value in _zones() else "is not an IANA time zone, such as Europe/Berlin"


def _zone_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        wanted = plain.replace(" ", "_").casefold()
        zones = _zones()
        yield from (zone for zone in zones if zone.casefold() == wanted)
        yield from (zone for zone in zones if zone.casefold().endswith(f"/{wanted}"))


ZONE = Kind(parse=str, problem=_zone_problem, suggestions=_zone_suggestions, falls_back=True)


UNITS = {
    name: names[0]
    for names in (
        ["m", "min", "mins", "minute", "minutes"],
        ["h", "hr", "hrs", "hour", "hours"],
        ["d", "day", "days"],
        ["w", "week", "weeks"],
    )
    for name in names
}
"""The letter of a unit of time, by its names."""

_DAY_GROUPS = {"weekday": "Mon-Fri", "weekdays": "Mon-Fri", "weekend": "Sat-Sun"}
_DAY_GROUPS |= {"weekends": "Sat-Sun", "daily": "Mon-Sun"}

_HOURS_RANGE = re.compile(
    r"(?:([a-z]+(?: *[-,&] *[a-z]+)*)[ :]+)?"
    r"([0-9]{1,2})(?:[:.h]?([0-9]{2}))? *(?:-|to|until) *([0-9]{1,2})(?:[:.h]?([0-9]{2}))?"
    r"(?: *[,;] *|\Z)"
)
"""A range of quiet hours as people type it, with the separator before the next one."""


def _hours_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        words = plain.casefold()
        if words in {"none", "no", "never", "off", "false", "0"}:
            yield ""
        ranges, at = [], 0
        while match := _HOURS_RANGE.match(words, at):
            days = re.sub("[a-z]+", _day, (match[1] or "").replace("&", ",").replace(" ", ""))
            hour, minute, end_hour, end_minute = (int(part or 0) for part in match.groups()[1:])
            ranges.append(f"{days} {hour:02}:{minute:02}-{end_hour:02}:{end_minute:02}".lstrip())
            at = match.end()
        if at == len(words):
            yield ", ".join(ranges)


def _day(word: re.Match[str]) -> str:
    return _DAY_GROUPS.get(word[0], word[0][:3].title())


def _hours_problem(value: str) -> str:
    return form_problem(lambda hours: QuietHours.parse(hours, datetime.UTC), value)


# An empty value would text people at night, so it is suggested only for "none" and the like.
HOURS = Kind(
    parse=str,
    problem=_hours_problem,
    suggestions=_hours_suggestions,
    may_suggest_empty=True,
    falls_back=True,
)


def _route_hours_suggestions(value: str) -> Iterator[str]:
    yield from (one or NO_QUIET_HOURS for one in _hours_suggestions(value))


# A route without this field has the flat quiet hours, so a route without quiet hours says "none".
ROUTE_HOURS = dataclasses.replace(
    HOURS,
    parse=lambda value: "" if value == NO_QUIET_HOURS else value,
    problem=lambda value: "" if value == NO_QUIET_HOURS else HOURS.problem(value),
    suggestions=_route_hours_suggestions,
    required=True,
)


def _expect_problem(value: str) -> str:
    return form_problem(lambda expect: parse_expectation(expect, datetime.UTC), value)


def _expect_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        words = plain.casefold()
        if match := re.fullmatch(
            r"(?:every day |daily )?(?:([a-z]{3}(?: ?[-,] ?[a-z]{3})*),? )?(?:(?:by|at|until) )?"
            r"([0-9]{1,2})[:.h]([0-9]{2})",
            words,
        ):
            days = re.sub("[a-z]+", lambda day: day[0].title(), (match[1] or "").replace(" ", ""))
            yield f"{days} by {int(match[2]):02}:{match[3]}".lstrip()
        if match := re.fullmatch(r"(?:every )?([0-9]{1,4}) ?([a-z]+)", words):
            number, unit = int(match[1]), UNITS.get(match[2], "")
            hours = {"d": 24, "w": 7 * 24}.get(unit)
            yield f"every {number * hours}h" if hours else f"every {number}{unit}"


EXPECT = Kind(
    parse=str,
    problem=_expect_problem,
    suggestions=_expect_suggestions,
    falls_back=True,
)
