"""Mask values in a log line that look like secrets: they must not travel by SMS.

It masks too much rather than too little. It does not know every secret, and leaves personal data.
"""

import itertools
import re

MASK = "***"

# Names of secrets in any spelling, such as `DB_PASSWORD`, `x-api-key` and `clientSecret`.
_NAME = r"""(?:
    pass(?:[ ]?wor[dt]|wd|phrase|code) | pwd | secret | token | credential | authorization
    | (?:api|access|account|private|shared|signing|encryption|license)[-_. ]?key
    | (?:subscription|functions?|service|client|master|auth)[-_. ]?key
    | signature | cookie | session | sessid | csrf | xsrf | identified[ ]by
    | (?<![a-z])(?:pass|pw|auth|pin|otp|sig|jwt|bearer)(?![a-z])
)"""

# Escaped quotes, as JSON, HTML and URLs write them.
_QUOTE = r"(?:&quot;|&apos;|&\#3[49];|\\u002[27])"
_CLOSE = rf"""(?:["'\\\])]|%2[27]|{_QUOTE}){{0,4}}"""

_NAMED = re.compile(
    rf"""
    (?P<name>{_NAME}) [\w.\-]{{0,40}} (?:\[\w{{0,40}}\])? (?:[ ]for[ ][^:=]{{1,40}})? {_CLOSE}
    (?:
        \s{{0,4}}(?:=>|:=|[!=]=|[=:>]|%3[ad]|\\u003[ad])
        | \s+is(?=\s)
        | (?=\s+\\*["'])
        | [\s,;"'\\]{{1,8}}val(?:ue)?{_CLOSE}\s{{0,4}}[:=]     # "name": "password", "value": …
        | </\w{{1,20}}>\s{{0,4}}<val(?:ue)?>
        | (?<=["']),\s{{0,4}}(?=\\{{0,4}}b?["'])               # a pair: ('password', 'hunter2')
    )
    (?P<space>\s*)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_QUOTED = re.compile(
    r"""
    "(?:[^"\\]|\\.|"")*"?
    | '(?:[^'\\]|\\.|'')*'?
    | (?P<quote>\\+["']).*?(?:(?<!\\)(?P=quote)|$)
    """,
    re.VERBOSE,
)
_ENCLOSING = re.compile(rf"[\"'(\[{{`]|{_QUOTE}", re.IGNORECASE)
_ONE_WORD = re.compile(
    r"(?:(?:bearer|basic|digest|negotiate|token|apikey)\s+)?(?:\\.|\S)+", re.IGNORECASE
)

# An element of XML with attributes: `<password type="plain">hunter2</password>`.
_ELEMENT = re.compile(
    rf"(?P<shown><[\w:.\-]{{0,40}}{_NAME}[\w:.\-]{{0,40}}\s[^<>]{{1,200}}>)(?:<!\[CDATA\[)?[^<]+",
    re.VERBOSE | re.IGNORECASE,
)

# An option of a command: `--password hunter2`.
_OPTION = re.compile(
    rf"(?P<shown>(?<!\S)--?[\w.\-]{{0,40}}{_NAME}[\w.\-]{{0,40}}\s+)\S+", re.VERBOSE | re.IGNORECASE
)

_ANYWHERE = re.compile(
    r"""
    (?P<shown>\b(?:bearer|basic)\s+)["']?[\w.~+/=\-]{6,}   # Authorization, without its name
    | (?P<url>://)\S+(?=@)                                # a URL with credentials
    | (?P<jdbc>:thin:)[^\s@]+(?=@)                        # of Oracle
    | (?P<user>(?<!\S)(?:-u|--user)[\s=])\S+              # an option of curl
    | -----BEGIN[^-]*PRIVATE[ ]KEY.*
    | \beyJ[\w\-]+\.[\w\-]+(?:\.[\w\-]*)?                  # a JSON Web Token
    | \b(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{12,}
    | \b(?:[sprk]k_(?:live|test)_|gh[pousr]_|github_pat_|npm_)\w+
    | \b(?:xox[a-z]-|xapp-|AIza|glpat-|pypi-|SG\.)[\w.\-]+
    | (?<=hooks\.slack\.com/services/)\S+
    | \b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b
    | (?<![0-9a-z])(?:0x)?[0-9a-f]{16,}(?![0-9a-z])
    | \b(?:[0-9a-f]{2}:){7,}[0-9a-f]{2}\b
    """,
    re.VERBOSE | re.IGNORECASE,
)

_RUN = re.compile(r"[A-Za-z0-9+/_\-]{20,}={0,2}")
_AWS_SECRET = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9+])[A-Za-z0-9+/]{40}")
_SEPARATORS = re.compile(r"[+/_\-]")
_MIN_RUN = 20
_MIN_LETTERS = 24
"""Letters of one case in a row that form no word."""
_MIN_CHANGES = 0.35
"""How often a random run changes between capitals, small letters and digits, for each character.

Random base64 does 0.65 times; names such as `PaymentGatewayException` do 0.2 times.
"""


def redact(line: str) -> str:
    """Mask what looks like a secret.

    Masked are values that follow the name of a secret, such as `password=` or `Authorization:`, AWS
    keys, tokens of known forms, credentials in URLs, and long runs of hexadecimal and base64.
    """
    line = _ELEMENT.sub(_masked, line)
    line = _mask_named(line)
    line = _OPTION.sub(_masked, line)
    line = _ANYWHERE.sub(_masked, line)
    return _RUN.sub(lambda run: MASK if _is_random(run[0]) else run[0], line)


def _masked(match: re.Match[str]) -> str:
    return (match[match.lastgroup] if match.lastgroup else "") + MASK


def _mask_named(line: str) -> str:
    """Mask what follows the name of a secret: quoted, one word, or the rest of the line."""
    shown, start = "", 0
    while match := _NAMED.search(line, start):
        value = match.end()
        end = len(line)
        if quoted := _QUOTED.match(line, value):
            end = quoted.end()
        elif not match["space"] and match["name"].lower() != "cookie":
            word = _ONE_WORD.match(line, value)
            # A quote or a bracket in it may enclose more words.
            if word and not _ENCLOSING.search(word[0]):
                end = word.end()
        shown += line[start:value] + (MASK if end > value else "")
        start = end
    return shown + line[start:]


def _is_random(run: str) -> bool:
    """Whether a run of letters and digits looks like no word, name or path."""
    parts = _SEPARATORS.split(run.rstrip("="))
    for part in parts:
        if len(part) >= _MIN_RUN and not part.isalpha():
            return True
        if len(part) >= _MIN_LETTERS and (part.islower() or part.isupper()):
            return True
    changes = sum(
        _kind(one) != _kind(two) for part in parts for one, two in itertools.pairwise(part)
    )
    is_often = changes >= _MIN_CHANGES * sum(map(len, parts))
    return is_often or bool(_AWS_SECRET.fullmatch(run))


def _kind(character: str) -> int:
    return 0 if character.isdigit() else 1 if character.islower() else 2
