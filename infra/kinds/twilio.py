"""The settings of Twilio: SIDs, the secret, the address of its API, senders and phones."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit

from infra.kinds.kind import (
    QUOTED,
    Kind,
    mask,
    non_ascii,
    normalized,
    quoted,
    without_accents,
)

T = TypeVar("T")

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

MAX_HOST_CHARACTERS, MAX_LABEL_CHARACTERS = 253, 63
"""Characters of a host's name, and between its periods. Source: RFC 1035, 2.3.4."""

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")

NOT_AN_ADDRESS = "is not a plain address of host, port and path"


def sid(letters: str, *, required: bool = False) -> Kind[str]:
    """Return the kind of a SID that begins with these letters."""

    def problem(value: str) -> str:
        if not value or re.fullmatch(letters + "[0-9a-fA-F]{32}", value):
            return ""
        what = f"is not the SID of {SID_OF[letters]}, {letters} and 32 hexadecimal digits"
        other = SID_OF.get(value[:2], "")
        if other and value[:2] != letters:
            return f"{what}, but that of {other}"
        return f"{what}: it has {len(value)} characters{non_ascii(value)}"

    # The user may have pasted the secret here.
    return Kind(parse=str, problem=problem, suggestions=normalized, show=mask, required=required)


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
    elif re.fullmatch(QUOTED, value):
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
        wrong = f"has an invalid host{non_ascii(host)}"
    elif port == 0 or not re.fullmatch(r"[!-~]*", value) or re.search(r"[?#\\]", value):
        wrong = f"{NOT_AN_ADDRESS}{non_ascii(value)}"
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
        f"{non_ascii(value)}"
    )


def _sender_suggestions(value: str) -> Iterator[str]:
    if not _is_number(value):  # no message shows a number whole
        for plain in normalized(value):
            spelt = without_accents(plain)
            # A name that lost a letter is another name.
            if not any(one.isalpha() and not one.isascii() for one in spelt):
                yield " ".join(re.sub("[^A-Za-z0-9]", " ", spelt).split())


SENDER = Kind(
    parse=str,
    problem=_sender_problem,
    suggestions=_sender_suggestions,
    show=lambda value: mask(value) if _is_number(value) else quoted(value),
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
            wrong.append(f"{mask(number)} {problem}")
        if numbers.count(number) > 1:
            wrong.append(f"names {mask(number)} twice")
    if several := next((number for number in numbers if _is_several(number)), ""):
        return f"{mask(several)} is one of several phones, but no comma separates them"
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
        f"{mask(value)} lost its plus: with --path, only --secret keeps it from being a number"
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
        return f"has characters other than a plus and digits{non_ascii(number)}"
    return "is not in E.164: a plus, then the country code"


def _is_number(value: str) -> bool:
    return not re.search("[A-Za-z]", value) and len(re.findall(r"[0-9]", value)) >= 7


def _is_several(number: str) -> bool:
    # The last four are the comma, semicolon and colon of Chinese and Japanese.
    separators = r"(?:[;|/&:\s\uff0c\u3001\uff1b\uff1a]|and)+|(?<=[0-9])(?=\+)"
    parts = [part for part in re.split(separators, number) if part]
    return len(parts) > 1 and all(_is_number(part) for part in parts)
