"""The commands in the guides that set routes."""

import re
import shlex
from typing import Any


def section(guide: str, heading: str) -> str:
    """Give a section of a guide, up to the next heading."""
    return guide.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def route_commands(guide: str) -> list[list[str]]:
    """Give the commands in a guide that set a field of a route, in words."""
    lines = re.findall(r"^\$ (pulumi config set .*routes\[.*)$", guide, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def routes_of(guide: str) -> list[dict[str, Any]]:
    """Give the routes that the commands in a guide set, as the CLI hands them to the program.

    `tests/engine` runs the same commands by the CLI itself.
    """
    routes: list[dict[str, Any]] = []
    for command in route_commands(guide):
        path, value = command[-2:]
        number, field = re.fullmatch(r"routes\[([0-9]+)\]\.(\w+)", path).groups()  # type: ignore[union-attr]  # another path is a mistake in the guide
        if int(number) == len(routes):
            routes.append({})
        is_number = "--secret" not in command and re.fullmatch(r"\+?[0-9]+", value)
        routes[int(number)][field] = int(value) if is_number else value
    return routes
