"""The search for words in a log: the first line that has one of them, and how many lines do."""

import csv
import re
import unicodedata
from collections.abc import Sequence

from handler.events import Found
from handler.redaction import redact
from handler.text import ELLIPSIS, printable

CONTEXT_BYTES = 4096
"""The bytes of a line that are kept on each side of the word, so that a secret there is whole."""

LINE_CHARACTERS = 160
"""The most characters of a line that a text shows: one segment."""

_VIEW, _LEAD = 40, 20
"""A word that begins after the first position moves to the second: a text may cut the line's
end."""

_CONTROL_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])"
)
"""Colours and the like of a terminal. Source: ECMA-48, 5.3 and 5.4."""

_CUT_BEGIN = re.compile(r".{256}\S*?\s", re.DOTALL)
_CUT_END = re.compile(r"[\s,;\"'][^\s,;\"']*\Z")
"""The part that a cut drops, since masking misses half a secret, or one without its name."""


def parse_words(contains: str) -> tuple[str, ...]:
    """Read the setting `contains`: plain words by commas, quoted as in CSV.

    Raises:
        ValueError: A quote is not closed, or a word is empty or has more than one line.
    """
    if "\n" in contains or "\r" in contains:
        raise ValueError("has a line break, but is searched for in each line")
    try:
        (words,) = csv.reader([contains], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise ValueError("has a quote that is not closed, or text behind one") from None
    if '"' not in contains:  # within quotes a space is a part of a word
        words = [word.strip() for word in words]
    if not words or not all(word.strip() for word in words):
        raise ValueError("has an empty word")
    return tuple(words)


class WordSearch:
    """Searches for lines with one of several words: plain and case-sensitive, as `grep -F`.

    It keeps at most a part of one line, however long the lines are.
    """

    def __init__(self, words: Sequence[str]) -> None:
        """Begin, before the first block.

        Args:
            words: The words; none is empty or has a line break.
        """
        self._words = [word.encode() for word in words]
        self._kept = b""  # the end of all blocks until now
        self._is_counted = False  # whether the line that is not over yet has a word
        self._count = 0
        self._excerpt: _Excerpt | None = None

    def feed(self, block: bytes) -> None:
        """Search the next block."""
        kept = len(self._kept)
        text = self._kept + block
        self._kept = text[-CONTEXT_BYTES:]
        if self._excerpt:
            self._excerpt.extend(block)
        start = 0
        if self._is_counted:
            start = text.find(b"\n", kept) + 1
            if not start:
                return
            self._is_counted = False
        # A word may begin in the former block. Whole words in that block are found already.
        places = {
            word: text.find(word, max(start, kept - len(word) + 1))
            for word in self._words
            if all(letter in text for letter in word)  # looking for one letter is far faster
        }
        while True:
            found = [(at, -len(word), word) for word, at in places.items() if at >= 0]
            if not found:
                return
            at, _, word = min(found)
            self._count += 1
            if not self._excerpt:
                self._excerpt = _Excerpt(text, at, word)
            end = text.find(b"\n", at + len(word))
            if end < 0:
                self._is_counted = True
                return
            for other, place in places.items():
                if 0 <= place <= end:
                    places[other] = text.find(other, end + 1)

    def result(self) -> Found:
        """Return the lines found in all blocks."""
        return Found(self._count, self._excerpt.shown() if self._excerpt else "")


class _Excerpt:
    """A part of a line around a word."""

    def __init__(self, text: bytes, at: int, word: bytes) -> None:
        self._word = word
        begin = max(0, at - CONTEXT_BYTES)
        line = text.rfind(b"\n", begin, at) + 1
        self._before = text[max(line, begin) : at]
        self._is_cut = not line and at - begin >= CONTEXT_BYTES - len(word)
        self._rest = b""
        self._missing = CONTEXT_BYTES + len(word)
        self._has_ended = False
        self.extend(text[at : at + self._missing])

    def extend(self, block: bytes) -> None:
        """Take as much more of the line as is needed."""
        if self._missing:
            part, end, _ = block[: self._missing].partition(b"\n")
            self._rest += part
            self._missing = 0 if end else self._missing - len(part)
            self._has_ended = bool(end)

    def shown(self) -> str:
        """Return the part as a text shows it, with the word in view."""
        before = self._before.decode(errors="replace")
        if self._is_cut:
            partial = _CUT_BEGIN.match(before)
            before = before[partial.end() :] if partial else ""
        rest = self._rest.decode(errors="replace")
        if not self._missing and not self._has_ended:
            rest = _CUT_END.sub("", rest)
        line = _shown(before + rest)
        at = line.find(_shown(self._word.decode()))
        if at > _VIEW:
            line = ELLIPSIS + line[at - _LEAD :]
        return line[:LINE_CHARACTERS]


class LastLine:
    """Keeps the last line that is not blank, and counts all lines."""

    def __init__(self) -> None:
        """Begin, before the first block."""
        self._line = b""
        self._has_ended = True  # whether another line follows
        self._ended = 0  # how many lines have ended
        self._is_open = False  # whether the content ends inside of a line

    def feed(self, block: bytes) -> None:
        """Read the next block."""
        if not block:
            return
        self._ended += block.count(b"\n")
        self._is_open = not block.endswith(b"\n")
        body = block.rstrip(b"\r\n\t \0")
        has_ended = b"\n" in block[len(body) :]
        if body:
            start = body.rfind(b"\n") + 1
            if start or self._has_ended:
                self._line = b""
            end = len(body) if has_ended else len(block)
            self._line += block[start : min(end, start + 2 * CONTEXT_BYTES - len(self._line))]
            self._has_ended = has_ended
        elif not has_ended and not self._has_ended:
            self._line += block[: 2 * CONTEXT_BYTES - len(self._line)]  # spaces inside of the line
        self._has_ended |= has_ended

    def result(self) -> Found:
        """Return the number of lines, and the last one."""
        line = self._line.decode(errors="replace")
        if len(self._line) == 2 * CONTEXT_BYTES:
            line = _CUT_END.sub("", line)
        return Found(self._ended + self._is_open, _shown(line)[:LINE_CHARACTERS])


def _shown(line: str) -> str:
    """Make a line printable, and mask its secrets.

    It first replaces wide letters by plain ones, as a text in GSM-7 would. Otherwise the text would
    show a secret that the masking did not recognise.
    """
    line = _CONTROL_SEQUENCES.sub("", line.rstrip("\r").replace("\ufffd", "?"))
    return redact(unicodedata.normalize("NFKC", printable(line, unknown="")).strip())
