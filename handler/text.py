"""The wording of a text, and what it costs: GSM-7, UCS-2 and segments."""

import datetime
import itertools
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from handler.events import LogFile

# The GSM 7-bit default alphabet and its extension, each character of which counts as two.
# Source: 3GPP TS 23.038, 6.2.1 and 6.2.1.1.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")

# What one segment holds, alone and as one of several (the header that joins them takes the rest).
# Source: https://www.twilio.com/docs/glossary/what-sms-character-limit
GSM_SEGMENT, GSM_SEGMENT_OF_SEVERAL = 160, 153
UCS2_SEGMENT, UCS2_SEGMENT_OF_SEVERAL = 70, 67

LONGEST = 1600
"""Characters that Twilio accepts in one body (error 21617 beyond)."""

NAMES = ("name", "key", "bucket", "size", "time")
"""What the `message` setting may use, as `$name` or `${name}`."""

SUMMARY_SEGMENTS = 2
"""What one text about many log files may cost."""

CUT = "..."  # in GSM-7, unlike the character for an ellipsis
SHORTEST = 14  # a date and `.log`

# Twilio's own Smart Encoding replaces the like, but not reliably.
_LOOKALIKES = str.maketrans(
    {
        "`": "'", "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'",
        "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
        "\u2044": "/", "\u2026": CUT, "\u2022": "*",
    }
)  # fmt: skip


def segments(body: str) -> int:
    """How many segments a text takes: what it costs.

    GSM-7 as long as every character is in it; one foreign character makes the whole text UCS-2,
    where characters beyond the Basic Multilingual Plane, such as emoji, count as two.
    """
    if _is_gsm(body):
        lengths = [2 if character in GSM_EXTENSION else 1 for character in body]
        one, of_several = GSM_SEGMENT, GSM_SEGMENT_OF_SEVERAL
    else:
        lengths = [2 if character > "\uffff" else 1 for character in body]
        one, of_several = UCS2_SEGMENT, UCS2_SEGMENT_OF_SEVERAL
    if sum(lengths) <= one:
        return 1
    count, room = 1, of_several
    for length in lengths:  # no character is split across two segments
        if length > room:
            count, room = count + 1, of_several
        room -= length
    return count


def write(file: LogFile, message: str, zone: datetime.tzinfo) -> str:
    """Word the text about one log file.

    Key, name and bucket are cut in the middle as far as that saves a segment, and never below 14
    characters: by default a text takes one segment, whatever the key.

    Args:
        file: The log file.
        message: A `string.Template` over the names in `NAMES`.
        zone: The time zone of the time in the text.
    """
    template = string.Template(message)
    key, name = _printable(file.key), _printable(file.name)
    if _is_gsm(message + _plain(key)):
        key, name = _plain(key), _plain(name)

    def body(longest: int) -> str:
        return template.substitute(
            key=_cut(key, longest),
            name=_cut(name, longest),
            bucket=_cut(_printable(file.bucket), longest),
            size=_size(file.size),
            time=f"{file.time.astimezone(zone):%d %b %H:%M %Z}",
        )[:LONGEST]

    fewest = segments(body(SHORTEST))
    for longest in range(min(len(key), fewest * GSM_SEGMENT), SHORTEST, -1):
        if segments(candidate := body(longest)) <= fewest:
            return candidate
    return body(SHORTEST)


def summarize(files: Sequence[LogFile], zone: datetime.tzinfo) -> str:
    """Word one text about many log files: how many, since when, where, and the latest.

    Two segments at most, with as many folders and as much of their names as that leaves room for.

    Args:
        files: The log files; at least one.
        zone: The time zone of the time in the text.
    """
    since = f"{min(file.time for file in files).astimezone(zone):%d %b %H:%M %Z}"
    last = max(files, key=lambda file: file.time).key
    folders = Counter(_folder(file.key) for file in files).most_common()
    for count, longest in itertools.product((5, 3, 1), (80, 40, 20, SHORTEST)):
        places = [f"{_readable(folder, longest)} {number}" for folder, number in folders[:count]]
        if others := sum(number for _, number in folders[count:]):
            places.append(f"elsewhere {others}")
        body = (
            f"{len(files)} more logs since {since}: {', '.join(places)}. "
            f"Last: {_readable(last, longest)}"
        )
        if segments(body) <= SUMMARY_SEGMENTS:
            break
    return body


def _folder(key: str) -> str:
    first, slash, _ = key.partition("/")
    return first + slash if slash else "/"


def _readable(part: str, longest: int) -> str:
    part = _printable(part)
    return _cut(_plain(part) if _is_gsm(_plain(part)) else part, longest)


def _is_gsm(body: str) -> bool:
    return all(character in GSM or character in GSM_EXTENSION for character in body)


def _printable(part: str) -> str:
    """Make what a key may hold harmless: newlines, control and bidirectional characters."""
    return "".join(
        character if character.isprintable() else " " if character.isspace() else "?"
        for character in part
    )


def _plain(part: str) -> str:
    """Write in GSM-7 what can be: typographic lookalikes, and letters without their accents."""
    return "".join(
        character if _is_gsm(character) else _closest(character)
        for character in part.translate(_LOOKALIKES)
    )


def _closest(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character)
    base = "".join(part for part in decomposed if not unicodedata.combining(part))
    return base if base and _is_gsm(base) else character


def _cut(part: str, longest: int) -> str:
    """Cut in the middle, since both ends of a key tell more; the end, the file's name, most."""
    if len(part) <= longest:
        return part
    head = (longest - len(CUT)) * 2 // 5
    return part[:head] + CUT + part[len(part) - (longest - len(CUT) - head) :]


def _size(size: int | None) -> str:
    """Say a size as people do: `999 B`, `1.2 kB`, `34 MB` (decimal, as S3's console counts)."""
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
