"""The settings with words: the message, and the words to find in a log."""

import difflib
import re
import string
from collections.abc import Iterator

from handler import text
from handler.line_search import parse_words
from infra.kinds.kind import Kind

MAX_MESSAGE_BYTES = MAX_WORDS_BYTES = 500
"""Bytes: some three segments. Few people read longer texts."""


def _message_problem(value: str) -> str:
    template = string.Template(value)
    known = ", ".join(f"${name}" for name in text.PLACEHOLDERS)
    if not template.is_valid():
        return f"has a $ without a name: write $$, or one of {known}"
    if unknown := sorted(set(template.get_identifiers()) - set(text.PLACEHOLDERS)):
        return f"uses {', '.join(f'${name}' for name in unknown)}, but there are only {known}"
    if not value.strip():
        return "is empty"
    if (length := len(value.encode())) > MAX_MESSAGE_BYTES:
        return f"has {length:,} bytes, but {MAX_MESSAGE_BYTES} are allowed"
    return ""


def _message_suggestions(value: str) -> Iterator[str]:
    def with_known_name(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        near = difflib.get_close_matches(name.lower(), text.PLACEHOLDERS, 1)
        if not near:
            return match[0]
        return f"${{{near[0]}}}" if match[1] else f"${near[0]}"

    escaped = re.sub(r"\$(?![$_a-zA-Z{])", "$$", value.replace("$$", "\0")).replace("\0", "$$")
    yield re.sub(r"(?<!\$)\$(?:\{(\w+)\}|(\w+))", with_known_name, escaped, flags=re.ASCII)


MESSAGE = Kind(
    parse=str,
    problem=_message_problem,
    suggestions=_message_suggestions,
    stripped=False,
)


def _words_problem(value: str) -> str:
    try:
        if value:
            parse_words(value)
    except ValueError as error:
        return str(error)
    if (length := len(value.encode())) > MAX_WORDS_BYTES:
        return f"has {length:,} bytes, but {MAX_WORDS_BYTES} are allowed"
    return ""


def _words_suggestions(value: str) -> Iterator[str]:
    words = [word.strip() for word in re.split(r"[,\r\n]", value.replace('"', ""))]
    yield ", ".join(word for word in words if word)


WORDS = Kind(
    parse=str,
    problem=_words_problem,
    suggestions=_words_suggestions,
    is_list=True,
)
