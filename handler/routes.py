"""Routes: which logs text which phones, and how. Imported only in a stack that has some.

`ROUTES` is the variable: JSON, an array of objects with the fields that the stack's file has. The
program leaves out each field that equals the flat setting.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from typing import Protocol

    class FlatSettings(Protocol):
        """The settings outside the routes; `handler.settings.Settings`, which has the routes."""

        @property
        def routes(self) -> tuple["Route", ...]:
            """The routes of the stack."""

        def _asdict(self) -> dict[str, Any]:
            """Return each setting by its name."""


Mode = Literal["instant", "digest"]

MAX_GLOB_CHARACTERS = 1024
"""Characters of a glob. No key is longer, in bytes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
"""

NO_ROUTE = "default"
"""The name that log lines, metrics and summaries give to the flat settings."""

NO_QUIET_HOURS = "none"
"""The value of a route's `quietHours` that switches the flat quiet hours off."""

_NOT_IN_GLOBS = "[]{}\\"
"""Wildcards of other programs. Here they would match only themselves."""


class Route(NamedTuple):
    """The logs of one route, its phones and its settings.

    Attributes:
        name: Its name; "" for the flat settings, which are the route of every other log.
        logs: Globs, comma-separated; the keys of its logs match one of them.
        except_: Globs, comma-separated; keys that match one of them are not its logs.
        to_numbers: Its phones, in E.164.
        message: The `string.Template` of its texts.
        mode: `instant`, or `digest` to hold every text until the next flush.
        max_texts_per_hour: For each phone; what is over it is held.
        max_texts_at_once: For each phone between two flushes; what is over it is held.
        quiet_hours: When its texts are held; "" for never.
        contains: Words; a log without one of them is not texted. "" for any log.
        expect: When a log of the route is due; "" for never.
        at_least: The smallest size of a log that counts as the one that is due; "" for any size.
    """

    name: str
    logs: str
    except_: str
    to_numbers: tuple[str, ...]
    message: str
    mode: Mode
    max_texts_per_hour: int
    max_texts_at_once: int
    quiet_hours: str = ""
    contains: str = ""
    expect: str = ""
    at_least: str = ""

    def __repr__(self) -> str:
        """Show no numbers."""
        return f"Route({self.name!r})"

    @property
    def label(self) -> str:
        """Its name as log lines, metrics and summaries show it."""
        return self.name or NO_ROUTE

    @classmethod
    def inheriting(cls, settings: "FlatSettings") -> Self:
        """Return a route that has only the fields that it takes from the flat settings."""
        given = settings._asdict()
        inherited = {name: given[name] for name in INHERITED if name in given}
        return cls(name="", logs="", except_="", to_numbers=(), **inherited)

    @classmethod
    def of_others(cls, settings: "FlatSettings") -> Self:
        """Return the route of all logs that match no other: the flat settings."""
        given = settings._asdict()
        own = {name: given[name] for name in NOT_INHERITED if name in given}
        return cls.inheriting(settings)._replace(**own | {"logs": "*"})


NOT_INHERITED = ("name", "logs", "except_", "to_numbers", "expect", "at_least")
INHERITED = tuple(name for name in Route._fields if name not in NOT_INHERITED)
"""The fields of a route that default to the flat setting of the same name."""


def _field(name: str) -> str:
    first, *others = name.strip("_").split("_")
    return first + "".join(word.title() for word in others)


FIELDS = {_field(name): name for name in Route._fields}
"""The attribute of each field, by its name in the stack's file."""


def read(variable: str, settings: "FlatSettings") -> tuple[Route, ...]:
    """Read the routes from the variable `ROUTES`.

    Args:
        variable: The value that `write` returned. An unknown field is ignored: an update of the
            program changes a function's environment and its code one after the other.
        settings: The flat settings.

    Raises:
        ValueError: It is no value of `write`.
    """
    inheriting = Route.inheriting(settings)
    try:
        return tuple(_route(fields, inheriting) for fields in json.loads(variable))
    except (TypeError, AttributeError, ValueError):
        raise ValueError("not an array of routes") from None


def _route(fields: Mapping[str, Any], inheriting: Route) -> Route:
    given = {FIELDS[field]: value for field, value in fields.items() if field in FIELDS}
    given["to_numbers"] = tuple(given["to_numbers"].split(",")) if "to_numbers" in given else ()
    if given.get("quiet_hours") == NO_QUIET_HOURS:
        given["quiet_hours"] = ""
    return inheriting._replace(**given)


def write(routes: Iterable[Route], settings: "FlatSettings") -> str:
    """Write the variable `ROUTES`, which `read` reads with the same flat settings.

    Returns:
        JSON with the phones of all routes: it is secret. "" without routes.
    """
    inheriting = Route.inheriting(settings)
    written = [
        {
            field: _value(field, getattr(route, name))
            for field, name in FIELDS.items()
            if getattr(route, name) != getattr(inheriting, name)
        }
        for route in routes
    ]
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")) if written else ""


def _value(field: str, value: Any) -> Any:
    if field == "toNumbers":
        return ",".join(value)
    return NO_QUIET_HOURS if field == "quietHours" and not value else value


class Routes:
    """The routes of a stack, ready to match keys.

    Attributes:
        others: The route of all logs that match no other: the flat settings, named "".
        all: The routes, in their order, without `others`.
    """

    def __init__(self, settings: "FlatSettings") -> None:
        self.others = Route.of_others(settings)
        self.all = settings.routes
        self._globs = [(route, globs(route.logs), globs(route.except_)) for route in self.all]

    def matching(self, key: str) -> list[Route]:
        """Return every route that a log's key matches, in their order; `others` if none does.

        Args:
            key: The whole key, decoded.
        """
        key = _composed(key)
        found = [
            route
            for route, logs, exceptions in self._globs
            if any(glob.matches(key) for glob in logs)
            and not any(glob.matches(key) for glob in exceptions)
        ]
        return found or [self.others]

    def phones(self, key: str) -> dict[str, Route]:
        """Return each phone that a log is for, with the first matching route that names it.

        Args:
            key: The whole key, decoded.
        """
        phones: dict[str, Route] = {}
        for route in self.matching(key):
            for phone in route.to_numbers:
                phones.setdefault(phone, route)
        return phones


def globs(value: str) -> tuple["Glob", ...]:
    """Read globs that are separated by commas, with or without spaces around them.

    Raises:
        ValueError: A glob is invalid; see `Glob`.
    """
    return tuple(Glob(one.strip()) for one in value.split(",") if one.strip())


class Glob:
    """A pattern for whole keys: `*` stands for any characters, `/` too, and `?` for one.

    Upper and lower case differ, as in S3. macOS uploads accents as characters of their own. So glob
    and key are compared in composed form (NFC), and both forms of a name match. A comma or a
    bracket in a key is matched by `?`.

    The time is linear in the key's length: there is no backtracking.

    Attributes:
        pattern: The glob itself.
    """

    def __init__(self, pattern: str) -> None:
        """Read a glob.

        Raises:
            ValueError: It is too long, or has a character that is a wildcard elsewhere, not here.
        """
        if len(pattern) > MAX_GLOB_CHARACTERS:
            raise ValueError(f"has a glob of {len(pattern):,} characters, longer than any key")
        if odd := next((one for one in pattern if one in _NOT_IN_GLOBS), ""):
            raise ValueError(
                f"has a {odd} in a glob: only * (any characters, / too) and ? (one) stand for "
                f"others; write ? for a {odd} in a key"
            )
        self.pattern = pattern
        composed = _composed(pattern)
        wildcards = composed.replace("?", "*")
        self._is_literal = "*" not in wildcards
        self._head, self._tail = wildcards.partition("*")[0], wildcards.rpartition("*")[2]
        middle = composed[len(self._head) : len(composed) - len(self._tail)]
        self._parts = middle.split("*")[1:-1] if "?" not in middle else None
        self._read_middle("" if self._is_literal else middle)

    def matches(self, key: str) -> bool:
        """Say whether a key matches. It must be composed (NFC), as `Routes` composes it."""
        if self._is_literal:
            return key == self._head
        start, end = len(self._head), len(key) - len(self._tail)
        if end < start or not key.startswith(self._head) or not key.endswith(self._tail):
            return False
        if self._parts is None:
            return self._matches_middle(key[start:end])
        for part in self._parts:
            if (found := key.find(part, start, end)) < 0:
                return False
            start = found + len(part)
        return True

    def _read_middle(self, middle: str) -> None:
        """Make a state machine whose states are bits: state n has read n characters of the glob."""
        self._stays, self._any, self._last = 0, 0, 1
        steps: dict[str, int] = {}
        for character in middle:
            if character == "*":
                self._stays |= self._last
                continue
            if character == "?":
                self._any |= self._last
            else:
                steps[character] = steps.get(character, 0) | self._last
            self._last <<= 1
        self._steps = {character: bits | self._any for character, bits in steps.items()}

    def _matches_middle(self, middle: str) -> bool:
        states = 1
        for character in middle:
            stepping = states & self._steps.get(character, self._any)
            states = stepping << 1 | states & self._stays
        return bool(states & self._last)


def _composed(key: str) -> str:
    return key if key.isascii() else unicodedata.normalize("NFC", key)
