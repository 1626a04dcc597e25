"""The setting `routes`: which logs text which phones, and how.

A field of a route is declared in `handler.routes.Route`, and its kind is that of the flat setting
of the same name: a new field that is also a flat setting needs no line here. `OWN_KINDS` has the
fields that are no flat setting, or have other values in a route.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from handler.routes import FIELDS, NOT_INHERITED, Route, globs
from infra import kinds
from infra.globs import Filter, Logs, are_covered, may_match
from infra.kinds import Kind
from infra.setting_reader import Reader, as_text

OWN_KINDS: Mapping[str, Kind[Any]] = {
    "name": kinds.ROUTE_NAME,
    "logs": kinds.GLOBS,
    "except": kinds.EXCEPTIONS,
    "toNumbers": kinds.ROUTE_PHONES,
    "quietHours": kinds.ROUTE_HOURS,
}

ALIASES = {
    **dict.fromkeys(("phones", "phone", "numbers", "to"), "toNumbers"),
    **dict.fromkeys(("glob", "globs", "keys", "match", "files", "pattern"), "logs"),
    **dict.fromkeys(("exclude", "ignore", "not"), "except"),
}
"""Other names of a field, in lower case."""


def field_kinds(settings: Mapping[str, Kind[Any]]) -> dict[str, Kind[Any]]:
    """Return the kind of each field of a route, by its name in the stack's file.

    Args:
        settings: The kinds of the flat settings.
    """
    known = {**settings, **OWN_KINDS}
    return {field: known[field] for field in FIELDS if field in known}


def path(number: int, field: str = "") -> str:
    """Return the key of a route, or of one of its fields, as `pulumi config --path` takes it."""
    if not field:
        return f"routes[{number}]"
    is_plain = re.fullmatch("[A-Za-z0-9_-]+", field)
    return f"routes[{number}].{field}" if is_plain else f"routes[{number}][{json.dumps(field)}]"


def read_routes(
    read: Reader, settings: Mapping[str, Kind[Any]], inheriting: Route
) -> tuple[Route, ...]:
    """Read the routes, and find the mistakes in each field.

    Args:
        read: Collects the mistakes.
        settings: The kinds of the flat settings.
        inheriting: A route with the flat settings.
    """
    known = field_kinds(settings)
    listed = json.loads(read.valid_or_default("routes"))
    return tuple(
        _read_route(read, known, inheriting, number, fields) for number, fields in enumerate(listed)
    )


def _read_route(
    read: Reader, known: Mapping[str, Kind[Any]], inheriting: Route, number: int, fields: Any
) -> Route:
    if not isinstance(fields, dict):
        read.mistake(
            path(number),
            "is not a route, a map of fields such as name, logs and toNumbers",
            read.command("rm", path(number)),
        )
        return inheriting
    values = {}
    for field, kind in known.items():
        key, value = path(number, field), fields.get(field)
        if isinstance(value, (dict, list)):
            _report_nested(read, key, kind, value)
        elif field in fields or (kind.required and FIELDS[field] in NOT_INHERITED):
            is_number = field == "toNumbers" and isinstance(value, int)
            read.check(
                key,
                kinds.LOST_PLUS if is_number else kind,
                None if value is None else as_text(value),
            )
            if read.is_valid(key):
                values[FIELDS[field]] = read.parsed(key)
    for field in sorted(fields.keys() - known.keys()):
        read.unknown(
            path(number, field),
            as_text(fields[field]),
            name=field,
            what="field of a route",
            known=known,
            aliases=ALIASES,
        )
    return inheriting._replace(**values)


def _report_nested(
    read: Reader, key: str, kind: Kind[Any], value: dict[str, Any] | list[Any]
) -> None:
    parts = list(map(as_text, value))
    joined = ",".join(parts)
    is_hidden = kind.private or read.is_secret(key)
    is_private = is_hidden or any(map(kinds.is_private, parts))
    if isinstance(value, list) and not is_private and not kind.problem(joined):
        remedy = read.command("set", key, joined)
    else:
        remedy = read.default(key, kind)
    shown = "" if is_hidden else kinds.quoted(json.dumps(value, ensure_ascii=False))
    what = "list" if isinstance(value, list) else "map"
    what = f"{shown} is a {what}, but must be one text, with commas between values"
    read.mistake(key, what.lstrip(), remedy)


def check_routes(read: Reader, routes: Sequence[Route], filter_: Filter | None) -> None:
    """Find the mistakes that several routes make together, and globs that match no log.

    Args:
        read: Collects the mistakes.
        routes: The routes.
        filter_: The keys that S3 reports; None if that is wrong itself.
    """
    _check_names(read, routes)
    if not filter_:
        return
    readable = {
        number: Logs(_patterns(route.logs), _patterns(route.except_))
        for number, route in enumerate(routes)
        if read.is_valid(path(number, "logs")) and read.is_right(path(number, "except"))
    }
    for number, logs in readable.items():
        if not _check_globs(read, number, logs, filter_):
            continue
        if logs.exceptions and are_covered(logs, filter_):
            key = path(number, "except")
            read.mistake(key, "excludes all of the route's logs", read.command("rm", key))
            continue
        route = routes[number]
        earlier = [
            (routes[other], readable[other])
            for other in readable
            if other < number and routes[other].contains in ("", route.contains)
        ]
        groups = {
            phone: [logs for one, logs in earlier if phone in one.to_numbers]
            for phone in route.to_numbers
        }
        is_useful = route.expect or not groups or not all(groups.values())
        if not is_useful and all(
            are_covered(logs, filter_, group) for group in _distinct(groups.values())
        ):
            read.mistake(
                path(number),
                "texts nobody: earlier routes text each of its phones about all its logs. "
                "Put it before them, or remove it",
                read.command("rm", path(number)),
            )


def idle_exceptions(routes: Sequence[Route], filter_: Filter) -> Iterator[tuple[str, str]]:
    """Give the exceptions that exclude none of a route's logs, each with its key."""
    for number, route in enumerate(routes):
        logs = _patterns(route.logs)
        for glob in _patterns(route.except_):
            if are_covered(Logs(logs), filter_, [Logs(logs, [glob])]):
                yield path(number, "except"), glob


def _check_names(read: Reader, routes: Sequence[Route]) -> None:
    numbers: dict[str, int] = {}
    for number, route in enumerate(routes):
        key = path(number, "name")
        if not read.is_valid(key):
            continue
        first = numbers.setdefault(route.name.casefold(), number)
        if first != number:
            other = f"{route.name}-{number + 1}"
            is_free = other.casefold() not in numbers and not kinds.ROUTE_NAME.problem(other)
            remedy = read.command("set", key, other) if is_free and not read.is_secret(key) else ""
            read.mistake(key, f"is the name of {path(first)} too", remedy)


def _check_globs(read: Reader, number: int, logs: Logs, filter_: Filter) -> bool:
    """Report the globs that match no key that S3 reports. Return whether there is none."""
    key = path(number, "logs")
    wrong = [glob for glob in logs.globs if not may_match(glob, filter_)]
    for glob in wrong:
        fixed = [_meant(one, filter_) if one in wrong else one for one in logs.globs]
        meant = ",".join(dict.fromkeys(fixed))
        is_secret = read.is_secret(key)
        is_private = is_secret or any(map(kinds.is_private, logs.globs))
        shown = "a glob" if is_secret else kinds.quoted(glob)
        has = "" if len(logs.globs) == 1 else f"has {shown}, which "
        read.mistake(
            key,
            f"{has}can match no log: S3 reports only those that filterPrefix and filterSuffix let "
            "through",
            "" if is_private else read.command("set", key, meant),
        )
    return not wrong


def _meant(glob: str, filter_: Filter) -> str:
    """Return the nearest glob that can match keys that S3 reports."""
    prefix, suffix = filter_.prefix, filter_.suffixes[0]
    stem = re.sub(r"(\.[^./*?]*)+\Z", "", glob).rstrip("*")  # without the ends of a file's name
    named = f"{stem}*{suffix}"
    candidates = (named, f"{prefix}{glob}")
    return next((one for one in candidates if may_match(one, filter_)), f"{prefix}{named}")


def _patterns(value: str) -> list[str]:
    return [glob.pattern for glob in globs(value)]


def _distinct(groups: Iterable[list[Logs]]) -> list[list[Logs]]:
    found: list[list[Logs]] = []
    for group in groups:
        if group not in found:
            found.append(group)
    return found
