"""Rules for leaving parts of the dependencies out, with a check that each rule still fits.

A rule is written for one version of one dependency. If it matches more, less or other code, the
dependency has changed. Then the build fails, and somebody must check the rule.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple


class Prune(NamedTuple):
    """Files of a dependency that are never imported when a text is sent.

    Attributes:
        name: The rule's name in an error.
        dependency: The dependency, as its wheel's name begins.
        folder: The folder of the files.
        files: A pattern that their names in the folder begin with.
        expected: How many there are in the version that is locked.
    """

    name: str
    dependency: str
    folder: str
    files: str
    expected: int

    def matches(self, file: str) -> bool:
        """Whether the rule leaves a file out."""
        inside = file.startswith(self.folder)
        return inside and bool(re.match(self.files, file.removeprefix(self.folder)))


class Hollow(NamedTuple):
    """Code of a dependency that is imported and then not used: it makes each start slower.

    Attributes:
        name: The rule's name in an error.
        dependency: The dependency, as its wheel's name begins.
        file: The file of the code.
        pattern: A pattern of the code.
        replacement: The replacement, as for `re.sub`.
        digest: The `digest` of all code that the pattern matches, in the version that is locked.
        expected: How often the pattern matches there.
    """

    name: str
    dependency: str
    file: str
    pattern: str
    replacement: str
    digest: str
    expected: int = 1


Rule = Prune | Hollow

EVERYTHING = r"(?s)\A.*"

OTHER_RESOURCES = (
    r"from twilio\.rest\.api\.v2010\.account\.(?!message )\w+ import \(?\s*(\w+),?\s*\)?\n"
)

RULES: Sequence[Rule] = (
    Prune(
        name="Twilio's other APIs",
        dependency="twilio",
        folder="twilio/rest/",
        files=r"(?!api/|__init__\.py$)",
        expected=647,
    ),
    Prune(
        name="the other resources of Twilio's API",
        dependency="twilio",
        folder="twilio/rest/api/v2010/account/",
        files=r"(?!__init__\.py$|message/)",
        expected=75,
    ),
    Prune(
        name="Twilio's calls, browsers and webhooks",
        dependency="twilio",
        folder="twilio/",
        files=r"twiml/|jwt/|request_validator\.py$",
        expected=12,
    ),
    # They need aiohttp or PyJWT, which are not locked.
    Prune(
        name="Twilio's asynchronous and validating clients",
        dependency="twilio",
        folder="twilio/http/",
        files=r"(async_http_client|validation_client|\w*token_manager)\.py$",
        expected=5,
    ),
    Prune(
        name="Twilio's credentials by token",
        dependency="twilio",
        folder="twilio/",
        files=r"(auth_strategy/token_auth_strategy|credential/(client|orgs)_\w+)\.py$",
        expected=3,
    ),
    Prune(
        name="the guesses of an encoding",
        dependency="charset_normalizer",
        folder="charset_normalizer/",
        files=r"(?!__init__\.py$)",
        expected=11,
    ),
    Prune(
        name="certifi's tests",
        dependency="certifi",
        folder="certifi/tests/",
        files="",
        expected=2,
    ),
    Hollow(
        name="imports of the other resources of Twilio's API",
        dependency="twilio",
        file="twilio/rest/api/__init__.py",
        pattern=OTHER_RESOURCES,
        replacement=r"from twilio import LeftOut as \1\n",
        digest="997736e233149201",
        expected=23,
    ),
    Hollow(
        name="imports of the other resources of an account",
        dependency="twilio",
        file="twilio/rest/api/v2010/account/__init__.py",
        pattern=OTHER_RESOURCES,
        replacement=r"from twilio import LeftOut as \1\n",
        digest="997736e233149201",
        expected=23,
    ),
    Hollow(  # it takes the place of each resource that is left out
        name="the class that says what is left out",
        dependency="twilio",
        file="twilio/__init__.py",
        pattern=r"__version__ = .*\n\Z",
        replacement=r"\g<0>class LeftOut:"
        "\n    def __init__(self, *_, **__):\n        raise NotImplementedError("
        '"S3 Logs ships Twilio\'s Messages only: see infra/package_rules.py")\n',
        digest="14d24048c579a584",
    ),
    Hollow(  # requests guesses by it the encoding of an answer without a content type
        name="the guess of an encoding",
        dependency="charset_normalizer",
        file="charset_normalizer/__init__.py",
        pattern=EVERYTHING,
        replacement='__version__ = "3.0.0"\ndef detect(_):\n    return {"encoding": "utf-8"}\n',
        digest="997c6fda6b13aee4",
    ),
    Hollow(  # this pattern is slow to compile
        name="the exact pattern of an IPv6 address",
        dependency="urllib3",
        file="urllib3/util/url.py",
        pattern=r"(?m)^_IPV6_PAT = .*",
        replacement='_IPV6_PAT = "[0-9A-Fa-f:.]+"',
        digest="247fbc4cfbd46851",
    ),
    Hollow(  # urllib3 uses it only on request
        name="HTTP/2",
        dependency="urllib3",
        file="urllib3/http2/__init__.py",
        pattern=EVERYTHING,
        replacement="",
        digest="c73ac0487ed1e403",
    ),
    Hollow(  # they import idna, which only a host beyond ASCII needs
        name="old names of urllib3 and idna",
        dependency="requests",
        file="requests/packages.py",
        pattern=EVERYTHING,
        replacement="",
        digest="fe0d2067af355320",
    ),
    Hollow(  # a folder has no contents to return: see `infra.package.split_certificates`
        name="the place of the certificates",
        dependency="certifi",
        file="certifi/core.py",
        pattern=EVERYTHING,
        replacement="import os\n\n\ndef where():\n    return os.path.dirname(__file__)\n\n\n"
        'def contents():\n    raise NotImplementedError("S3 Logs ships no bundle")\n',
        digest="5c55f2727746e697",
    ),
)


def digest(code: str) -> str:
    """Return the beginning of the SHA-256 of some code: enough to see that it changed."""
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def prune(files: Sequence[str], rules: Sequence[Rule]) -> tuple[list[str], list[str]]:
    """Leave files of a dependency out.

    Args:
        files: The names of all its files.
        rules: The rules for it.

    Returns:
        The names of the files that stay, and the mistakes in the rules.
    """
    problems = []
    counts = Counter(files)
    matched = Counter[str]()
    for rule in rules:
        if isinstance(rule, Prune):
            found = [file for file in files if rule.matches(file)]
            matched.update(set(found))
            if len(found) != rule.expected:
                problems.append(
                    _problem(rule, rule.folder, f"matches {len(found)} files, not {rule.expected}")
                )
            if twice := [file for file in found if matched[file] > 1]:
                problems.append(
                    _problem(rule, twice[0], "matches a file that another rule matches")
                )
        elif counts[rule.file] != 1:
            problems.append(
                _problem(rule, rule.file, f"finds {counts[rule.file]} such files, not one")
            )
    return [file for file in files if file not in matched], problems


def hollow(folder: Path, rules: Sequence[Rule]) -> list[str]:
    """Replace code of a dependency.

    Args:
        folder: The folder that the dependency was unpacked into.
        rules: The rules for it.

    Returns:
        What is wrong with the rules.
    """
    problems = []
    for rule in rules:
        if not isinstance(rule, Hollow) or not (path := folder / rule.file).is_file():
            continue  # `prune` has found that it is missing
        code = path.read_text("utf-8")
        found = [match[0] for match in re.finditer(rule.pattern, code)]
        if len(found) != rule.expected:
            problems.append(
                _problem(rule, rule.file, f"matches {len(found)} times, not {rule.expected}")
            )
        elif (seen := digest("".join(found))) != rule.digest:
            problems.append(_problem(rule, rule.file, f"matches changed code, with digest {seen}"))
        path.write_text(re.sub(rule.pattern, rule.replacement, code), "utf-8")
    return problems


def unused(rules: Sequence[Rule], dependencies: Collection[str]) -> list[str]:
    """Say which rules are for none of these dependencies."""
    return [
        _problem(rule, "handler/requirements.txt", f"matches nothing without {rule.dependency}")
        for rule in rules
        if rule.dependency not in dependencies
    ]


def _problem(rule: Rule, where: str, what: str) -> str:
    return f'the rule "{rule.name}" {what}: look at {where}'
