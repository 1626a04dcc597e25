"""The wording of a text, and of a summary."""

import bisect
import datetime
import functools
import itertools
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from handler.events import Found, LogFile
from handler.segments import GSM_7, GSM_EXTENSION, is_gsm, segments

if TYPE_CHECKING:
    from handler.missing_log import MissingLog

MAX_CHARACTERS = 1600
"""Characters that Twilio accepts in one body (error 21617 beyond)."""

PLACEHOLDERS = ("name", "key", "bucket", "size", "time", "line", "count")
"""The names that the `message` setting may use, as `$name` or `${name}`."""

DEFAULT_MESSAGE = "New log $key, $size, $time in $bucket"
"""The `message` that Pulumi.yaml has."""

DEFAULT_MESSAGE_INSIDE = "New log $key, $size, $time: $line"
"""The default message for a log that was read: its line says more than the bucket."""

SUMMARY_SEGMENTS = 2
"""The limit of segments for one text about many log files."""

MAX_WORDS_CHARACTERS = 30
"""A summary names no longer words."""

SUMMARY_KEYS = 3
"""The number of different keys up to which a summary names each."""

UNKNOWN = "?"
"""The count of lines of a log that `notify` did not read."""

ELLIPSIS = "..."  # in GSM-7, unlike the character for an ellipsis
MIN_WIDTH = 14  # a date and `.log`

_JOINERS = ("\u200c", "\u200d")  # invisible; Persian words and emoji are written with them

_VIRAMA = 9  # the combining class of all of them

# Twilio's own Smart Encoding replaces such characters, but not reliably.
_LOOKALIKES = {
    "`": "'", "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
    "\u2044": "/", "\u2026": ELLIPSIS, "\u2022": "*", **dict.fromkeys(_JOINERS, ""),
}  # fmt: skip


def write(
    file: "LogFile | MissingLog",
    message: str,
    zone: datetime.tzinfo,
    *,
    note: str = "",
) -> str:
    """Word the text about one log file, or about one missing log.

    Key, name and bucket are cut in the middle, and the line at its end, as far as that saves a
    segment, and never below a width of 14 characters: by default a text takes one segment,
    whatever the key.

    Args:
        file: The log file, or the missing log.
        message: For a log file, a `string.Template` over the names in `PLACEHOLDERS`.
        zone: The time zone of the time in the text.
        note: What the text adds, such as `late, expected by 06:30`.
    """
    if not isinstance(file, LogFile):
        return write_missing(file, zone)
    found = file.found
    if found and message == DEFAULT_MESSAGE:
        message = DEFAULT_MESSAGE_INSIDE
    template = string.Template(message)
    parts = {
        "key": _Part(printable(file.key)),
        "name": _Part(printable(file.name)),
        "bucket": _Part(printable(file.bucket)),
        "line": _Line(found.line if found else ""),
    }
    count = found.counted if found else UNKNOWN
    notes = [one for one in (found.note if found else "", note) if one]
    values = {
        "size": size_of(file.size),
        "time": f"{file.time.astimezone(zone):%d %b %H:%M %Z}",
        "count": count,
    }

    def body(width: int) -> str:
        values.update((name, part.cut(width)) for name, part in parts.items())
        # Composed after the names are replaced: an accent behind `$name` would compose with its
        # last letter.
        written = printable(template.substitute(values), lines=True, unknown="")
        if notes:
            written = f"{written.rstrip()} ({'; '.join(notes)})"
        return _Part(_to_gsm(written)).head(MAX_CHARACTERS)

    whole = max(part.width for part in parts.values())
    longest = body(whole)
    if whole <= MIN_WIDTH or segments(longest) == 1:
        return longest
    shortest = body(MIN_WIDTH)
    fewest = segments(shortest)
    if segments(longest) <= fewest:
        return longest
    best, fits, too_long = shortest, MIN_WIDTH, whole
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        candidate = body(middle)
        if segments(candidate) <= fewest:
            best, fits = candidate, middle
        else:
            too_long = middle
    return best


def summarize(
    files: Sequence[LogFile],
    zone: datetime.tzinfo,
    routes: Sequence[str] = (),
    *,
    missing: "Sequence[MissingLog]" = (),
) -> str:
    """Word one text about many logs: the missing ones first, then all log files.

    Of log files it says how many, since when, and which. It names up to three. It counts more by
    route if they have several routes, else by folder, and names the latest. It takes at most two
    segments: it cuts names, and adds up small counts. Missing logs may take one more.

    Args:
        files: The log files; at least one, if there are no missing ones.
        zone: The time zone of the time in the text.
        routes: The route of each file, by its name; none for a stack without routes.
        missing: The missing logs. Of one route the latest is told.
    """
    lines = _count_lines(files)
    # The last one of a route says since when its logs are missing.
    last = {log.route: log for log in sorted(missing, key=lambda log: log.deadline)}
    latest = sorted(last.values(), key=lambda log: log.deadline)
    if not latest:
        return _summarize_files(files, zone, routes, lines=lines)
    for count, width in itertools.product((3, 2, 1), (40, 20, MIN_WIDTH)):
        told = [write_missing(log, zone, width=width) for log in latest[:count]]
        if others := len(latest) - len(told):
            told.append(f"{others} more missing")
        before = ". ".join(told)
        if files:
            body = _summarize_files(files, zone, routes, before=f"{before}. ", lines=lines)
        else:
            body = before
        if segments(body) <= SUMMARY_SEGMENTS:
            break
    return body


def _summarize_files(
    files: Sequence[LogFile],
    zone: datetime.tzinfo,
    routes: Sequence[str],
    *,
    before: str = "",
    lines: str = "",
) -> str:
    since = f"{min(file.time for file in files).astimezone(zone):%d %b %H:%M %Z}{lines}"
    keys = Counter(printable(file.key) for file in sorted(files, key=lambda file: file.time))
    is_named = len(keys) <= SUMMARY_KEYS
    if is_named:
        counted = list(keys.items())
    elif len(set(routes)) > 1:
        counted = Counter(map(printable, routes)).most_common()
    else:
        counted = Counter(_folder(printable(file.key)) for file in files).most_common()
    last = _Part(printable(max(files, key=lambda file: file.time).key))
    for count, longest in itertools.product((5, 3, 1), (80, 40, 20, MIN_WIDTH)):
        places = [
            _Part(place).cut(longest) + (f" {number}" if number > 1 or not is_named else "")
            for place, number in counted[:count]
        ]
        if others := sum(number for _, number in counted[count:]):
            places.append(f"elsewhere {others}")
        latest = "" if is_named else f". Last: {last.cut(longest)}"
        more = f"{len(files)} more log{'s' if len(files) > 1 else ''} since {since}"
        body = _to_gsm(f"{before}{more}: {', '.join(places)}{latest}")
        if segments(body) <= SUMMARY_SEGMENTS:
            break
    return body


def _count_lines(files: Sequence[LogFile]) -> str:
    """Return how many lines with the words all files have, and the words if they are short."""
    found = [file.found for file in files if file.found and file.found.contains]
    if not found:
        return ""
    total = Found(sum(one.lines for one in found), note="".join(one.note for one in found))
    counted = f", {total.counted} line{'' if total.counted == '1' else 's'}"
    settings = {one.contains for one in found}
    words = " or ".join(word.strip() for word in settings.pop().split(","))
    is_short = not settings and len(words) <= MAX_WORDS_CHARACTERS and '"' not in words
    return f"{counted} with {printable(words)}" if is_short else counted


def write_missing(log: "MissingLog", zone: datetime.tzinfo, *, width: int = MAX_CHARACTERS) -> str:
    """Word the text about a log that did not come, or that came and is too small.

    The name of the logs, or of the log, is cut in the middle so that the text takes one segment.

    Args:
        log: The missing log.
        zone: The time zone of the time in the text.
        width: The room for the name.
    """
    name = _Part(printable(log.small_key or log.logs))
    since = f"{log.since.astimezone(zone):%d %b %H:%M %Z}"
    for longest in (width, 80, 60, 40, 20, MIN_WIDTH):
        shown = name.cut(min(longest, width))
        if log.small_key:
            size = size_of(log.small_size)
            body = f"Too small: {shown} {size}, expected at least {log.at_least}"
        else:
            body = f"Missing: no {shown or 'log'} since {since}, expected {log.expected}"
        body = _to_gsm(body)
        if segments(body) == 1:
            break
    return body


class _Part:
    """A part of a text that may be cut, but never inside a character as a reader sees it.

    Attributes:
        text: The whole part.
        width: The room that it takes at most, as GSM-7 or as UCS-2.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.width = len(text.encode("utf-16-le")) // 2 + sum(map(text.count, GSM_EXTENSION))

    def head(self, width: int) -> str:
        """Give as much of the beginning as fits into so much room."""
        if self.width <= width:
            return self.text
        starts, widths = self._cuts
        return self.text[: starts[bisect.bisect_right(widths, width) - 1]]

    def cut(self, width: int) -> str:
        """Cut in the middle, since both ends of a key say more, most of all the file's name."""
        if self.width <= width:
            return self.text
        starts, widths = self._cuts
        head = (width - len(ELLIPSIS)) * 2 // 5
        tail = width - len(ELLIPSIS) - head
        head_end = starts[bisect.bisect_right(widths, head) - 1]
        tail_start = starts[bisect.bisect_left(widths, self.width - tail)]
        return self.text[:head_end] + ELLIPSIS + self.text[tail_start:]

    @functools.cached_property
    def _cuts(self) -> tuple[list[int], list[int]]:
        """The places of possible cuts, with both ends, and the room up to each place."""
        starts, widths, width, before, flags = [], [], 0, "", 0
        for index, character in enumerate(self.text):
            flags = flags + 1 if "\U0001f1e6" <= character <= "\U0001f1ff" else 0
            second = flags > 0 and flags % 2 == 0  # two letters make one flag
            if not index or not (second or _joins_next(before) or _joins_previous(character)):
                starts.append(index)
                widths.append(width)
            width += 2 if character > "\uffff" or character in GSM_EXTENSION else 1
            before = character
        return [*starts, len(self.text)], [*widths, width]


class _Line(_Part):
    """A line of a log, which says most at its beginning."""

    def cut(self, width: int) -> str:
        """Cut at the end."""
        if self.width <= width:
            return self.text
        return self.head(width - len(ELLIPSIS)) + ELLIPSIS


def _joins_previous(character: str) -> bool:
    """Whether a character is a part of the one before it: an accent, a joiner, a skin colour."""
    return character >= "\u0300" and (
        unicodedata.category(character).startswith("M")
        or character in _JOINERS
        or character in "\u0e33\u0eb3"  # a vowel of Thai, and of Lao, that is no mark
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or _is_tag(character)
    )


def _joins_next(character: str) -> bool:
    """Whether a character joins the next one to it: a joiner, or the virama of an Indian script."""
    return character >= "\u0300" and (
        character in _JOINERS or unicodedata.combining(character) == _VIRAMA
    )


def _is_tag(character: str) -> bool:
    """Whether a character is one of the invisible ones that name the country of a flag."""
    return "\U000e0020" <= character <= "\U000e007f"


def _folder(key: str) -> str:
    first, slash, _ = key.partition("/")
    return first + slash if slash else "/"


def printable(part: str, *, lines: bool = False, unknown: str = "?") -> str:
    """Make a part readable: composed, on one line, without control characters.

    macOS uploads names decomposed, an accent after its letter, which GSM-7 has not.
    Bidirectional controls go; joiners stay where they join something.

    Args:
        part: The part.
        lines: Whether it may have several lines.
        unknown: The replacement of a character that cannot be shown.
    """
    part = unicodedata.normalize("NFC", part)
    if part.isprintable():
        return part
    words = ""
    for character in part:
        before = words[-1:]
        if character in _JOINERS:
            shown = before > "\x7f" and before not in _JOINERS
        elif _is_tag(character):
            shown = before == "\N{WAVING BLACK FLAG}" or _is_tag(before)
        else:
            shown = character.isprintable() or (lines and character in "\r\n")
        words += character if shown else " " if character.isspace() else unknown
    return words


def _to_gsm(body: str) -> str:
    """Write a body in GSM-7 if possible: with similar characters, and letters without accents."""
    foreign = set(body) - GSM_7
    plain = body.translate({ord(character): _lookalike(character) for character in foreign})
    return plain if is_gsm(plain) else body


def _lookalike(character: str) -> str:
    if character in _LOOKALIKES:
        return _LOOKALIKES[character]
    decomposed = unicodedata.normalize("NFKD", character)
    return "".join(part for part in decomposed if not unicodedata.combining(part))


def size_of(size: int | None) -> str:
    """Write a size as people do: `999 B`, `1.2 kB`, `34 MB` (decimal, as S3's console counts)."""
    if size is None:
        return "size unknown"
    if size == 0:
        return "empty"
    if size < 1000:
        return f"{size} B"
    amount = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.5 or unit == "TB":
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"
