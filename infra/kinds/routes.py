"""The setting of the routes as a whole, and the name of a route."""

import json
import re
from collections.abc import Iterator

from handler.notice import SEVERAL_ROUTES
from handler.routes import NO_ROUTE, Route
from infra.kinds.kind import Kind, non_ascii, normalized, without_accents


def _routes_problem(value: str) -> str:
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    if isinstance(found, list):
        return ""
    return f"is {'a map' if isinstance(found, dict) else 'one value'}, not a list of routes"


ROUTES: Kind[tuple[Route, ...]] = Kind(
    parse=lambda _: (),
    problem=_routes_problem,
    suggestions=lambda _: (),
    show=lambda _: "",
    private=True,
)
"""The routes as a whole, as JSON; `infra.route_settings` reads each of their fields."""

_ROUTE_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]*[A-Za-z0-9])?")

MAX_ROUTE_NAME_CHARACTERS = 32
"""Characters: a summary and the dashboard show it."""


def _route_name_problem(value: str) -> str:
    if value.casefold() == NO_ROUTE:
        return "is reserved for logs that match no route"
    if value.casefold() == SEVERAL_ROUTES:
        return "is reserved for summaries of several routes"
    if len(value) > MAX_ROUTE_NAME_CHARACTERS or not _ROUTE_NAME.fullmatch(value):
        return (
            f"is not a name of 1 to {MAX_ROUTE_NAME_CHARACTERS} letters, digits, spaces, periods, "
            f"hyphens and underscores{non_ascii(value)}"
        )
    return ""


def _route_name_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        spelt = re.sub("[^A-Za-z0-9 ._-]+", "-", without_accents(plain))
        yield spelt.strip(" ._-")[:MAX_ROUTE_NAME_CHARACTERS].strip(" ._-")


ROUTE_NAME = Kind(
    parse=str,
    problem=_route_name_problem,
    suggestions=_route_name_suggestions,
    required=True,
)
