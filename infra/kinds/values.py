"""Settings with a choice, a count, a size or an e-mail address."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from handler.expectation import parse_size
from infra.kinds.kind import Kind, form_problem, non_ascii, normalized
from infra.kinds.times import UNITS

Word = TypeVar("Word", bound=str)


def _size_problem(value: str) -> str:
    return form_problem(parse_size, value)


def _size_suggestions(value: str) -> Iterator[str]:
    units = {"": "B", "k": "kB", "m": "MB", "g": "GB"}
    for plain in normalized(value):
        if match := re.fullmatch(r"([0-9]+) ?([kmg]?)(?:i?b|bytes?)?", plain.casefold()):
            yield f"{int(match[1])} {units[match[2]]}"


SIZE = Kind(parse=str, problem=_size_problem, suggestions=_size_suggestions, falls_back=True)


def choice(*values: Word) -> Kind[Word]:
    """Return the kind of a setting that is one of these values."""

    def problem(value: str) -> str:
        return "" if value in values else f"is neither {' nor '.join(values)}{non_ascii(value)}"

    def suggestions(value: str) -> Iterator[str]:
        for plain in normalized(value):
            yield from difflib.get_close_matches(plain.casefold(), list[str](values), 1)

    return Kind(
        parse=lambda value: values[values.index(value)],
        problem=problem,
        suggestions=suggestions,
        falls_back=True,
    )


def _switch_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        if plain.casefold() in {"true", "yes", "on", "y", "1"}:
            yield "true"
        if plain.casefold() in {"false", "no", "off", "n", "0"}:
            yield "false"


SWITCH = Kind(
    parse=lambda value: value == "true",
    problem=choice("true", "false").problem,
    suggestions=_switch_suggestions,
)


def count(
    *, at_least: int, at_most: int = 10**9 - 1, units: Mapping[str, int] | None = None
) -> Kind[int]:
    """Return the kind of a whole number within limits.

    Args:
        at_least: The lowest number.
        at_most: The highest number.
        units: How many a unit is, by its letter in `UNITS`, if a user may write one.
    """

    def problem(value: str) -> str:
        if re.fullmatch("[0-9]{1,9}", value) and at_least <= int(value) <= at_most:
            return ""
        return f"is not a whole number from {at_least} to {at_most}{non_ascii(value)}"

    def suggestions(value: str) -> Iterator[str]:
        for plain in normalized(value):
            number = re.sub("(?<=[0-9])[,_ ](?=[0-9]{3}(?![0-9]))", "", plain.removeprefix("+"))
            yield number.removesuffix(".0")
            match = re.fullmatch("([0-9]{1,9}) ?([a-z]+)", number.casefold())
            if match and (unit := (units or {}).get(UNITS.get(match[2], ""))):
                yield str(int(match[1]) * unit)

    return Kind(parse=int, problem=problem, suggestions=suggestions, falls_back=True)


def _email_problem(value: str) -> str:
    """Say what is wrong with an e-mail address. Source: RFC 5321, 4.1.2."""
    word, label = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
    if not value or re.fullmatch(rf"{word}(\.{word})*@({label}\.)+{label}", value):
        return ""
    if value.count("@") > 1 and re.search(r"[,;\s]", value):
        return "has several e-mail addresses, but only one can get the alarms"
    return f"is not one e-mail address, such as you@example.com{non_ascii(value)}"


def _email_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        for part in re.split(r"[,;\s<>]+", plain.removeprefix("mailto:")):
            user, at, domain = re.sub(r"\.{2,}", ".", part).partition("@")
            if at:
                yield f"{user.strip('.')}@{domain.strip('.')}"


EMAIL = Kind(
    parse=str,
    problem=_email_problem,
    suggestions=_email_suggestions,
)
