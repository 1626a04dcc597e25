"""The kinds of settings: each finds the mistake in a value, and suggests better values.

A user pastes a suggested value into a terminal, so it must be safe there: it is the user's own
value, cleaned up. Nothing here knows Pulumi.
"""

import dataclasses
import datetime
import difflib
import json
import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from typing import Generic, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from handler import text
from handler.expectation import parse_expectation, parse_size
from handler.line_search import parse_words
from handler.log import masked
from handler.notice import SEVERAL_ROUTES
from handler.quiet_hours import QuietHours
from handler.routes import NO_QUIET_HOURS, NO_ROUTE, Route, globs

T = TypeVar("T")
Word = TypeVar("Word", bound=str)

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A phone number: plus, country code, number. Source: https://www.twilio.com/docs/glossary/what-e164"""

SHORT_CODE = re.compile(r"[0-9]{3,8}")
"""A short number of one country. Source: https://www.twilio.com/docs/glossary/what-is-a-short-code"""

NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
"""A name in place of a number.

Source: https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id
"""

SID_OF = {"AC": "an account", "SK": "an API key", "MG": "a Messaging Service"}
"""The object of a Twilio SID, by its first two letters: https://www.twilio.com/docs/glossary/what-is-a-sid"""

MAX_SECRET_CHARACTERS = 512
"""Characters: Twilio's secrets have 32, those of other services seldom more than 200."""

MAX_MESSAGE_BYTES = MAX_WORDS_BYTES = 500
"""Bytes: some three segments. Few people read longer texts."""

MAX_KEY_BYTES = 1024
"""Bytes of a key in S3. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""

MAX_HOST_CHARACTERS, MAX_LABEL_CHARACTERS = 253, 63
"""Characters of a host's name, and between its periods. Source: RFC 1035, 2.3.4."""

MAX_QUOTED_CHARACTERS = 60

_QUOTED = "([\"'`]).*\\1"

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

NOT_AN_ADDRESS = "is not a plain address of host, port and path"


_PHONE = re.compile(
    r"[+\uff0b][\s(]*\d(?:[\s()./-]*\d){6,}"
    r"|(?<![\w./-])(?!(?:19|20)\d\d-?[01]\d-?[0-3]\d)\d(?:[\s()-]*\d){9,}(?![\w/-])"
)
"""A phone number as people type it. Without its plus it has ten digits at least, and is no date."""

_SID = r"(?:AC|SK|MG)[0-9a-fA-F]{32}(?![A-Za-z0-9])"

_SECRET = re.compile(rf"(?<![A-Za-z0-9])(?!{_SID})[A-Za-z0-9]{{32,}}(?![A-Za-z0-9])")
"""A secret, and no SID: Twilio's have 32 letters and digits, those of other services more."""


def is_private(value: str) -> bool:
    """Whether a value has a phone number or a secret in it, which no message may show whole."""
    return bool(_PHONE.search(value) or _SECRET.search(value))


def quoted(value: str) -> str:
    """Show a value in quotes: masked if private, cut if long, invisible characters escaped."""
    for form in (_SECRET, _PHONE):
        value = form.sub(lambda match: _masked(match[0]), value)
    if len(value) > MAX_QUOTED_CHARACTERS:
        value = value[: MAX_QUOTED_CHARACTERS * 2 // 3] + "…" + value[-MAX_QUOTED_CHARACTERS // 3 :]
    quote = "'" if '"' in value else '"'
    return quote + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in value) + quote


def _masked(value: str) -> str:
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


def _without_accents(value: str) -> str:
    decomposed = unicodedata.normalize("NFKD", value)
    return "".join(one for one in decomposed if not unicodedata.combining(one))


def _non_ascii(value: str) -> str:
    """Name the first character beyond printable ASCII, for a value that allows none."""
    odd = next((character for character in value if not " " <= character <= "~"), "")
    return f": {describe_character(odd)}" if odd else ""


# Twilio


def sid(letters: str, *, required: bool = False) -> Kind[str]:
    """Return the kind of a SID that begins with these letters."""

    def problem(value: str) -> str:
        if not value or re.fullmatch(letters + "[0-9a-fA-F]{32}", value):
            return ""
        what = f"is not the SID of {SID_OF[letters]}, {letters} and 32 hexadecimal digits"
        other = SID_OF.get(value[:2], "")
        if other and value[:2] != letters:
            return f"{what}, but that of {other}"
        return f"{what}: it has {len(value)} characters{_non_ascii(value)}"

    # The user may have pasted the secret here.
    return Kind(parse=str, problem=problem, suggestions=normalized, show=_masked, required=required)


def _secret_problem(value: str) -> str:
    odd = next((at for at, character in enumerate(value) if not "!" <= character <= "~"), None)
    what = ""
    if len(value) > MAX_SECRET_CHARACTERS:
        what = f"has {len(value):,} characters, too many for a Twilio secret"
    elif odd is not None:
        what = (
            "a space or a line break"
            if value[odd].isspace()
            else "not printable ASCII: copy the secret from Twilio's console again"
        )
        what = f"character {odd + 1} of {len(value)} is {what}"
    elif re.fullmatch(_QUOTED, value):
        what = "is in quotes: remove them"
    elif value and not value.strip("*."):
        what = "is only stars or dots: the console shows these in place of the secret"
    elif (of := SID_OF.get(value[:2])) and re.fullmatch("[A-Z]{2}[0-9a-fA-F]{32}", value):
        what = f"is the SID of {of}, not its secret"
    return what


def secret(keep: Callable[[str], T]) -> Kind[T]:
    """Return the kind of a secret; `keep` hides its value.

    Its remedy has no value, so `pulumi config set` asks for it.
    """
    return Kind(
        parse=keep,
        problem=_secret_problem,
        suggestions=lambda _: (),
        show=lambda _: "",
        required=True,
        stripped=False,
        private=True,
    )


def _url_problem(value: str) -> str:
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:  # a port that does not exist, or half an IPv6 address
        return NOT_AN_ADDRESS
    host = parts.hostname or ""
    here = parts.scheme == "http" and host in LOOPBACK_HOSTS
    if not (parts.scheme == "https" or here) or not host or "@" in parts.netloc:
        return "is not an https address, and the secret must not travel in plain text"
    label = "[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?"
    wrong = ""
    is_too_long = len(host) > MAX_HOST_CHARACTERS or any(
        len(one) > MAX_LABEL_CHARACTERS for one in host.split(".")
    )
    is_host = re.fullmatch(rf"{label}(\.{label})*|[0-9a-f:.]*:[0-9a-f:.]*", host)
    if is_too_long or not is_host:
        wrong = f"has an invalid host{_non_ascii(host)}"
    elif port == 0 or not re.fullmatch(r"[!-~]*", value) or re.search(r"[?#\\]", value):
        wrong = f"{NOT_AN_ADDRESS}{_non_ascii(value)}"
    elif re.fullmatch(r"(.*\.)?twilio\.com", host) and not host.startswith("api."):
        wrong = "is not Twilio's API, which is at api.twilio.com"
    elif "/2010-04-01" in parts.path:
        wrong = "has the API's version, 2010-04-01, in it, but Twilio's client adds that"
    return wrong


def _url_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        with_scheme = plain if "://" in plain else f"https://{plain}"
        try:
            parts = urlsplit(with_scheme)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return
        host = re.sub(r"\.{2,}", ".", parts.hostname or "").strip(".")
        host = f"[{host}]" if ":" in host else host
        path = parts.path.partition("/2010-04-01")[0].rstrip("/")
        # To other machines never by http: the secret would travel in plain text.
        is_here = parts.hostname in LOOPBACK_HOSTS
        scheme = "http" if parts.scheme == "http" and is_here else "https"
        # Never a host that is only guessed: the secret would travel to it.
        if "://" in plain or is_here or re.search(r"\.[a-z]{2,}\Z", host):
            yield SplitResult(scheme, host + port, path, "", "").geturl()


def _show_url(value: str) -> str:
    """Show an address without the credentials that may be in it."""
    return quoted(re.sub(r"\?.*", "?…", re.sub(r"(\A\w+://|\A)[^@]*@", r"\1…@", value)))


URL = Kind(
    parse=lambda value: value.rstrip("/"),
    problem=_url_problem,
    suggestions=_url_suggestions,
    show=_show_url,
)


# Numbers


def _sender_problem(value: str) -> str:
    if not value or any(one.fullmatch(value) for one in (E164, SHORT_CODE, NAME)):
        return ""
    if re.fullmatch("[A-Z]{2}[0-9a-fA-F]{32}", value):
        return f"is the SID of {SID_OF.get(value[:2], 'something else')}, not a sender"
    if _is_number(value):
        return _number_problem(value)
    return (
        "is not a sender: a number in E.164 (a plus, then the country code), a short code of 3 to "
        "8 digits, or a name of 1 to 11 letters, digits and spaces with at least one letter"
        f"{_non_ascii(value)}"
    )


def _sender_suggestions(value: str) -> Iterator[str]:
    if not _is_number(value):  # no message shows a number whole
        for plain in normalized(value):
            spelt = _without_accents(plain)
            # A name that lost a letter is another name.
            if not any(one.isalpha() and not one.isascii() for one in spelt):
                yield " ".join(re.sub("[^A-Za-z0-9]", " ", spelt).split())


SENDER = Kind(
    parse=str,
    problem=_sender_problem,
    suggestions=_sender_suggestions,
    show=lambda value: _masked(value) if _is_number(value) else quoted(value),
)


def phones(value: str) -> tuple[str, ...]:
    """Return the phones that a value lists."""
    return tuple(number.strip() for number in value.split(",") if number.strip())


def _phones_problem(value: str) -> str:
    numbers = phones(value)
    if value.strip() and not numbers:
        return f"{quoted(value)} names no phone"
    wrong = []
    for number in dict.fromkeys(numbers):
        if problem := _number_problem(number):
            wrong.append(f"{_masked(number)} {problem}")
        if numbers.count(number) > 1:
            wrong.append(f"names {_masked(number)} twice")
    if several := next((number for number in numbers if _is_several(number)), ""):
        return f"{_masked(several)} is one of several phones, but no comma separates them"
    return "; ".join(wrong)


PHONES = Kind(
    parse=phones,
    problem=_phones_problem,
    suggestions=lambda _: (),
    show=lambda _: "",
    private=True,
)

ROUTE_PHONES = dataclasses.replace(PHONES, required=True)

LOST_PLUS = dataclasses.replace(
    ROUTE_PHONES,
    problem=lambda value: (
        f"{_masked(value)} lost its plus: with --path, only --secret keeps it from being a number"
    ),
)
"""The kind of phones that are a number in the stack's file."""


def _number_problem(number: str) -> str:
    if E164.fullmatch(number):
        return ""
    digits = re.sub(r"[\s()./\[\]\"'-]", "", next(normalized(number), ""))
    if re.fullmatch("[1-9][0-9]{6,14}", digits):
        return "lacks its plus, which YAML drops unless the value is in quotes"
    if re.fullmatch(r"00[1-9][0-9]{6,14}", digits):
        return "begins with 00 in place of a plus"
    if re.fullmatch(r"\+?[0-9]{16,}", digits):
        return f"has {len(digits.lstrip('+'))} digits, but a number has 15 at most"
    if E164.fullmatch(digits):
        return f"has characters other than a plus and digits{_non_ascii(number)}"
    return "is not in E.164: a plus, then the country code"


def _is_number(value: str) -> bool:
    return not re.search("[A-Za-z]", value) and len(re.findall(r"[0-9]", value)) >= 7


def _is_several(number: str) -> bool:
    # The last four are the comma, semicolon and colon of Chinese and Japanese.
    separators = r"(?:[;|/&:\s\uff0c\u3001\uff1b\uff1a]|and)+|(?<=[0-9])(?=\+)"
    parts = [part for part in re.split(separators, number) if part]
    return len(parts) > 1 and all(_is_number(part) for part in parts)


# S3


def _bucket_problem(value: str) -> str:
    """Say what is wrong with a bucket's name.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not value:
        return ""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
        return (
            "is not a bucket's name, 3 to 63 lowercase letters, digits, periods and hyphens"
            f"{_non_ascii(value)}"
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
        if not re.match(_SID, plain):
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
    (_QUOTED, "is in quotes: remove them"),
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


# Routes


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
            f"hyphens and underscores{_non_ascii(value)}"
        )
    return ""


def _route_name_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        spelt = re.sub("[^A-Za-z0-9 ._-]+", "-", _without_accents(plain))
        yield spelt.strip(" ._-")[:MAX_ROUTE_NAME_CHARACTERS].strip(" ._-")


ROUTE_NAME = Kind(
    parse=str,
    problem=_route_name_problem,
    suggestions=_route_name_suggestions,
    required=True,
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


# Words and times


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


def _zones() -> list[str]:
    # Only the zones in the package for Lambda: this machine may know others.
    return (resources.files("tzdata") / "zones").read_text().split()


def _zone_problem(value: str) -> str:
    return "" if value in _zones() else "is not an IANA time zone, such as Europe/Berlin"


def _zone_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        wanted = plain.replace(" ", "_").casefold()
        zones = _zones()
        yield from (zone for zone in zones if zone.casefold() == wanted)
        yield from (zone for zone in zones if zone.casefold().endswith(f"/{wanted}"))


ZONE = Kind(parse=str, problem=_zone_problem, suggestions=_zone_suggestions, falls_back=True)


_UNITS = {
    name: names[0]
    for names in (
        ["m", "min", "mins", "minute", "minutes"],
        ["h", "hr", "hrs", "hour", "hours"],
        ["d", "day", "days"],
        ["w", "week", "weeks"],
    )
    for name in names
}
"""The letter of a unit of time, by its names."""

_DAY_GROUPS = {"weekday": "Mon-Fri", "weekdays": "Mon-Fri", "weekend": "Sat-Sun"}
_DAY_GROUPS |= {"weekends": "Sat-Sun", "daily": "Mon-Sun"}

_HOURS_RANGE = re.compile(
    r"(?:([a-z]+(?: *[-,&] *[a-z]+)*)[ :]+)?"
    r"([0-9]{1,2})(?:[:.h]?([0-9]{2}))? *(?:-|to|until) *([0-9]{1,2})(?:[:.h]?([0-9]{2}))?"
    r"(?: *[,;] *|\Z)"
)
"""A range of quiet hours as people type it, with the separator before the next one."""


def _hours_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        words = plain.casefold()
        if words in {"none", "no", "never", "off", "false", "0"}:
            yield ""
        ranges, at = [], 0
        while match := _HOURS_RANGE.match(words, at):
            days = re.sub("[a-z]+", _day, (match[1] or "").replace("&", ",").replace(" ", ""))
            hour, minute, end_hour, end_minute = (int(part or 0) for part in match.groups()[1:])
            ranges.append(f"{days} {hour:02}:{minute:02}-{end_hour:02}:{end_minute:02}".lstrip())
            at = match.end()
        if at == len(words):
            yield ", ".join(ranges)


def _day(word: re.Match[str]) -> str:
    return _DAY_GROUPS.get(word[0], word[0][:3].title())


def _form_problem(parse: Callable[[str], object], value: str) -> str:
    """Return why a parser refuses a value; "" if it accepts it, or there is none."""
    try:
        if value:
            parse(value)
    except ValueError as error:
        return f"is {error}{_non_ascii(value)}"
    return ""


def _hours_problem(value: str) -> str:
    return _form_problem(lambda hours: QuietHours.parse(hours, datetime.UTC), value)


# An empty value would text people at night, so it is suggested only for "none" and the like.
HOURS = Kind(
    parse=str,
    problem=_hours_problem,
    suggestions=_hours_suggestions,
    may_suggest_empty=True,
    falls_back=True,
)


def _route_hours_suggestions(value: str) -> Iterator[str]:
    yield from (one or NO_QUIET_HOURS for one in _hours_suggestions(value))


# A route without this field has the flat quiet hours, so a route without quiet hours says "none".
ROUTE_HOURS = dataclasses.replace(
    HOURS,
    parse=lambda value: "" if value == NO_QUIET_HOURS else value,
    problem=lambda value: "" if value == NO_QUIET_HOURS else HOURS.problem(value),
    suggestions=_route_hours_suggestions,
    required=True,
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


# Expected logs


def _expect_problem(value: str) -> str:
    return _form_problem(lambda expect: parse_expectation(expect, datetime.UTC), value)


def _expect_suggestions(value: str) -> Iterator[str]:
    for plain in normalized(value):
        words = plain.casefold()
        if match := re.fullmatch(
            r"(?:every day |daily )?(?:([a-z]{3}(?: ?[-,] ?[a-z]{3})*),? )?(?:(?:by|at|until) )?"
            r"([0-9]{1,2})[:.h]([0-9]{2})",
            words,
        ):
            days = re.sub("[a-z]+", lambda day: day[0].title(), (match[1] or "").replace(" ", ""))
            yield f"{days} by {int(match[2]):02}:{match[3]}".lstrip()
        if match := re.fullmatch(r"(?:every )?([0-9]{1,4}) ?([a-z]+)", words):
            number, unit = int(match[1]), _UNITS.get(match[2], "")
            hours = {"d": 24, "w": 7 * 24}.get(unit)
            yield f"every {number * hours}h" if hours else f"every {number}{unit}"


EXPECT = Kind(
    parse=str,
    problem=_expect_problem,
    suggestions=_expect_suggestions,
    falls_back=True,
)


def _size_problem(value: str) -> str:
    return _form_problem(parse_size, value)


def _size_suggestions(value: str) -> Iterator[str]:
    units = {"": "B", "k": "kB", "m": "MB", "g": "GB"}
    for plain in normalized(value):
        if match := re.fullmatch(r"([0-9]+) ?([kmg]?)(?:i?b|bytes?)?", plain.casefold()):
            yield f"{int(match[1])} {units[match[2]]}"


SIZE = Kind(parse=str, problem=_size_problem, suggestions=_size_suggestions, falls_back=True)


# Choices, counts, addresses


def choice(*values: Word) -> Kind[Word]:
    """Return the kind of a setting that is one of these values."""

    def problem(value: str) -> str:
        return "" if value in values else f"is neither {' nor '.join(values)}{_non_ascii(value)}"

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
        units: How many a unit is, by its letter in `_UNITS`, if a user may write one.
    """

    def problem(value: str) -> str:
        if re.fullmatch("[0-9]{1,9}", value) and at_least <= int(value) <= at_most:
            return ""
        return f"is not a whole number from {at_least} to {at_most}{_non_ascii(value)}"

    def suggestions(value: str) -> Iterator[str]:
        for plain in normalized(value):
            number = re.sub("(?<=[0-9])[,_ ](?=[0-9]{3}(?![0-9]))", "", plain.removeprefix("+"))
            yield number.removesuffix(".0")
            match = re.fullmatch("([0-9]{1,9}) ?([a-z]+)", number.casefold())
            if match and (unit := (units or {}).get(_UNITS.get(match[2], ""))):
                yield str(int(match[1]) * unit)

    return Kind(parse=int, problem=problem, suggestions=suggestions, falls_back=True)


def _email_problem(value: str) -> str:
    """Say what is wrong with an e-mail address. Source: RFC 5321, 4.1.2."""
    word, label = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+", "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
    if not value or re.fullmatch(rf"{word}(\.{word})*@({label}\.)+{label}", value):
        return ""
    if value.count("@") > 1 and re.search(r"[,;\s]", value):
        return "has several e-mail addresses, but only one can get the alarms"
    return f"is not one e-mail address, such as you@example.com{_non_ascii(value)}"


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
