"""The settings of S3: the bucket, the filters, and the globs of keys."""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from handler.routes import globs
from infra.kinds.kind import QUOTED, SID, Kind, non_ascii, normalized

MAX_KEY_BYTES = 1024
"""Bytes of a key in S3. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""


def _bucket_problem(value: str) -> str:
    """Say what is wrong with a bucket's name.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not value:
        return ""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        return (
            "is not a bucket's name, 3 to 63 lowercase letters, digits, periods and hyphens"
            f"{non_ascii(value)}"
        )
    if ".." in value or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", value):
        return "is not a bucket's name: it has two periods in a row, or is an IP address"
    if re.match("xn--|sthree-|amzn-s3-demo-", value):
        return "begins with a prefix that AWS reserves"
    if re.search(r"-s3alias$|--ol-s3$|\.mrap$|--x-s3$|--table-s3$", value):
        return (
            "is an access point or the like, not a bucket that reports its uploads to EventBridge"
        )
    return ""


def _bucket_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        for address in (
            r"s3[an]?://([^/]+)",
            r"arn:[^:]*:s3:::([^/]+)",
            r"https?://[^/]*console[^/]*/s3/(?:buckets|object)/([^/?]+)",
            r"https?://s3[.-][^/]*amazonaws[^/]*/([^/?]+)",
            r"https?://([^/]+?)\.s3[.-][^/]*amazonaws",
            r"([^/:]+)/",
        ):
            if match := re.match(address, plain):
                plain = match[1]  # noqa: PLW2901  # the name in the address
                break
        if not re.match(SID, plain):
            yield re.sub(r"\.{2,}", ".", plain).lower()


BUCKET = Kind(parse=str, problem=_bucket_problem, suggestions=_bucket_suggestions)

# Control characters, such as those of direction that Windows copies along. The joiners of Persian
# and of emoji (U+200C and U+200D) are none.
_NEVER_IN_KEYS = (
    "[\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)

_ADDRESS = (
    r"(?i)(s3[an]?://|arn:[^:]*:s3:::)[^/]*/?"
    r"|(https?://)?s3[^/]*\.amazonaws\.[^/]*/[^/]*/?"
    r"|(https?://)?[^/]*\.s3[^/]*\.amazonaws\.[^/]*/?"
)
"""A bucket's address, up to where the key begins."""

_LIST = (r"\[\s*[\"'].*\]\Z", "is a list, but must be one text")

_WILDCARD = (r".*\*", "has a wildcard, but S3 compares a filter literally")

_ENCODED = (".*%[0-9A-Fa-f]{2}", "is URL-encoded: write the key as the S3 console shows it")

_MISTAKES_IN_FILTERS = (
    (
        rf"{_ADDRESS}|(s3[an]?|https?)://|arn:",
        "is an address: write only the part after the bucket's name",
    ),
    _LIST,
    (QUOTED, "is in quotes: remove them"),
    _WILDCARD,
    # If keys really have a %3D, a filter that ends before it works.
    _ENCODED,
    (f".*{_NEVER_IN_KEYS}", "has an invisible character"),
    (r"\s|.*\s\Z", "begins or ends with a space"),
)

# Some keys begin with a slash, mostly by mistake. Refusing such a prefix costs a moment, and
# without it the texts come. A prefix that matches nothing costs every text.
_MISTAKES_IN_PREFIXES = (
    *_MISTAKES_IN_FILTERS,
    (r"\.?/", "begins with a slash, but keys begin without one"),
    (r".*/\s*[,;|]", "lists several prefixes, but S3 accepts one"),
)

_MISTAKES_IN_SUFFIXES = (
    *_MISTAKES_IN_FILTERS,
    (".*[;|{}]", "lists several suffixes, but not separated by commas"),
    (r"\^|.*\\\.|.*\$\Z", "is a regular expression, but S3 compares a filter literally"),
    (r".*/\Z", "ends with a slash: that is a folder, not a log"),
)


def _filter_problem(value: str, mistakes: Iterable[tuple[str, str]]) -> str:
    for form, what in mistakes:
        if re.match(form, value, re.DOTALL):
            return what
    if (length := len(value.encode())) > MAX_KEY_BYTES:
        return f"has {length:,} bytes, but a key has {MAX_KEY_BYTES:,} at most"
    return ""


def _filter_suggestions(value: str) -> str:
    value = value.strip()
    value = value.removeprefix(match[0]) if (match := re.match(_ADDRESS, value)) else value
    try:
        while (plain := unquote(value, errors="strict")) != value:
            value = plain
    except UnicodeDecodeError:  # no key, which is UTF-8
        pass
    return re.sub(_NEVER_IN_KEYS, "", value).strip("\"'` ")


def _prefix_suggestions(value: str) -> Iterator[str]:
    plain, _, rest = re.sub(r"^(\.?/)+", "", _filter_suggestions(value)).partition("*")
    # Without a prefix every file is texted: only for a user who asked for all.
    if plain or not re.search(r"\w", rest):
        yield re.split(r"(?<=/)\s*[,;|]", plain)[0]


def suffixes(value: str) -> tuple[str, ...]:
    """Return the suffixes that a value lists; the empty one, which fits any key, for none."""
    return tuple(value.split(","))


def _suffixes_problem(value: str) -> str:
    listed = suffixes(value)
    for one in (value, *listed) if re.match(_LIST[0], value) else listed:
        if problem := _filter_problem(one, _MISTAKES_IN_SUFFIXES):
            return problem
    if len(listed) > 1 and "" in listed:
        return "has a comma without a suffix on both sides of it"
    if twice := next((one for one in listed if listed.count(one) > 1), ""):
        return f"names {twice} twice"
    for longer in listed:
        for shorter in listed:
            if longer != shorter and longer.endswith(shorter):
                return f"lists {longer}, which ends with {shorter}: S3 refuses filters that overlap"
    return ""


def _suffix_suggestions(value: str) -> Iterator[str]:
    parts = [_plain_suffix(part) for part in re.split("[,;|]", value)]
    plain = list(dict.fromkeys(part for part in parts if part))
    # The shorter of two overlapping suffixes lets through the files of both.
    kept = [one for one in plain if not any(one != end and one.endswith(end) for end in plain)]
    if kept:
        yield ",".join(kept)
    yield from plain


def _plain_suffix(value: str) -> str:
    plain = _filter_suggestions(value).strip("*").rpartition("*")[2]
    return plain.replace("\\", "").lstrip("^").rstrip("$/").strip()


PREFIX = Kind(
    parse=str,
    problem=lambda value: _filter_problem(value, _MISTAKES_IN_PREFIXES),
    suggestions=_prefix_suggestions,
    may_suggest_empty=True,
    stripped=False,
)

SUFFIXES = Kind(
    parse=suffixes,
    problem=_suffixes_problem,
    suggestions=_suffix_suggestions,
    is_list=True,
    stripped=False,
)

_MISTAKES_IN_GLOBS = (
    *(one for one in _MISTAKES_IN_FILTERS if one not in {_WILDCARD, _ENCODED}),
    (_ENCODED[0], "is URL-encoded, but keys are not: write ? for a % in a key"),
    (r"\.?/", "begins with a slash, but keys begin without one"),
    (".*[;|]", "lists several globs, but not separated by commas"),
)


def _globs_problem(value: str) -> str:
    for one in value.split(","):
        if problem := _filter_problem(one.strip(), _MISTAKES_IN_GLOBS):
            return problem
    try:
        globs(value)
    except ValueError as error:
        return str(error)
    return "" if globs(value) or not value else "names no glob, such as payments/*.log"


def _globs_suggestions(value: str) -> Iterator[str]:
    parts = [re.sub(r"^(\.?/)+", "", _filter_suggestions(one)) for one in re.split("[,;|]", value)]
    plain = [re.sub(r"\[[^][]*\]", "?", part).replace("\\", "") for part in parts]
    if any(plain):
        yield ",".join(dict.fromkeys(part for part in plain if part))


GLOBS = Kind(
    parse=str,
    problem=_globs_problem,
    suggestions=_globs_suggestions,
    is_list=True,
    required=True,
)

EXCEPTIONS = dataclasses.replace(GLOBS, required=False)
