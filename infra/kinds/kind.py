"""The kind of a setting: it finds the mistake in a value, and suggests better values.

A user pastes a suggested value into a terminal, so it must be safe there: it is the user's own
value, cleaned up. Nothing here knows Pulumi.
"""

import dataclasses
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from handler.log import masked

T = TypeVar("T")

MAX_QUOTED_CHARACTERS = 60

QUOTED = "([\"'`]).*\\1"

_PHONE = re.compile(
    r"[+\uff0b][\s(]*\d(?:[\s()./-]*\d){6,}"
    r"|(?<![\w./-])(?!(?:19|20)\d\d-?[01]\d-?[0-3]\d)\d(?:[\s()-]*\d){9,}(?![\w/-])"
)
"""A phone number as people type it. Without its plus it has ten digits at least, and is no date."""

SID = r"(?:AC|SK|MG)[0-9a-fA-F]{32}(?![A-Za-z0-9])"

_SECRET = re.compile(rf"(?<![A-Za-z0-9])(?!{SID})[A-Za-z0-9]{{32,}}(?![A-Za-z0-9])")
"""A secret, and no SID: Twilio's have 32 letters and digits, those of other services more."""


def is_private(value: str) -> bool:
    """Whether a value has a phone number or a secret in it, which no message may show whole."""
    return bool(_PHONE.search(value) or _SECRET.search(value))


def quoted(value: str) -> str:
    """Show a value in quotes: masked if private, cut if long, invisible characters escaped."""
    for form in (_SECRET, _PHONE):
        value = form.sub(lambda match: mask(match[0]), value)
    if len(value) > MAX_QUOTED_CHARACTERS:
        value = value[: MAX_QUOTED_CHARACTERS * 2 // 3] + "…" + value[-MAX_QUOTED_CHARACTERS // 3 :]
    quote = "'" if '"' in value else '"'
    return quote + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value) + quote


def mask(value: str) -> str:
    """Return the last four letters and digits of a value."""
    return masked("".join(character for character in value if character.isalnum()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind(Generic[T]):
    """The valid values of a setting, and how the program reads them.

    Attributes:
        parse: Gives the value as the program uses it.
        problem: Says what is wrong with a value, or nothing.
        suggestions: Gives the values that were probably meant, the likeliest first.
        show: Shows a value in a message; "" if it must not be seen.
        is_list: The value may list several, separated by commas.
        may_suggest_empty: An empty value may be meant. It switches something off.
        required: An empty value is a mistake.
        stripped: Spaces around the value are ignored.
        private: The value is never shown or suggested, as it is secret or personal.
        falls_back: The default takes the place of a wrong value, since that cannot be parsed,
            until all mistakes are reported.
    """

    parse: Callable[[str], T]
    problem: Callable[[str], str]
    suggestions: Callable[[str], Iterable[str]]
    show: Callable[[str], str] = quoted
    is_list: bool = False
    may_suggest_empty: bool = False
    required: bool = False
    stripped: bool = True
    private: bool = False
    falls_back: bool = False

    def suggestion(self, value: str) -> str | None:
        """Return the value that was probably meant, if it is valid."""
        if listed := _json_list(value):
            value = ",".join(listed) if self.is_list else listed[0]
        if self.private or not value or is_private(value):
            return None
        for one in self.suggestions(value):
            if (one or self.may_suggest_empty) and not self.problem(one):
                return one
        return None


def _json_list(value: str) -> list[str]:
    """Return the texts that a list in JSON has; none if the value is no such list."""
    try:
        found = json.loads(value)
    except ValueError:
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def describe_character(character: str) -> str:
    """Name a character that looks like another one or like none."""
    seen = f"{character} is " if character.isprintable() else ""
    name = unicodedata.name(character, "a control character")
    return f"{seen}U+{ord(character):04X} {name}"


def normalized(value: str) -> Iterator[str]:
    """Give a value with digits and hyphens of ASCII, without invisible characters and quotes."""
    typed = "".join(_typed(character) for character in unicodedata.normalize("NFKC", value))
    if plain := typed.strip("\"'`\u2018\u2019\u201c\u201d "):
        yield plain


def _typed(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or character == "\u2212":
        return "-"
    return "" if category in {"Cc", "Cf"} else character


def without_accents(value: str) -> str:
    """Return a value with plain letters in place of those with accents."""
    decomposed = unicodedata.normalize("NFKD", value)
    return "".join(one for one in decomposed if not unicodedata.combining(one))


def non_ascii(value: str) -> str:
    """Name the first character beyond printable ASCII, for a value that allows none."""
    odd = next((character for character in value if not " " <= character <= "~"), "")
    return f": {describe_character(odd)}" if odd else ""


def form_problem(parse: Callable[[str], object], value: str) -> str:
    """Return why a parser refuses a value; "" if it accepts it, or there is none."""
    try:
        if value:
            parse(value)
    except ValueError as error:
        return f"is {error}{non_ascii(value)}"
    return ""
