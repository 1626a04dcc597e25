"""No secret and nobody's number is in the repository, nor ever was."""

import re
import subprocess

import pytest
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from local import ROOT

DETECTORS = [
    {"name": name}
    for name in (
        *("AWSKeyDetector", "GitHubTokenDetector", "JwtTokenDetector"),
        *("PrivateKeyDetector", "SlackDetector", "StripeDetector", "TwilioKeyDetector"),
    )
]

# Numbers of real people are not of the form of Twilio's and the fictional ones (+1 500 555, 555 …).
NUMBER = re.compile(r"\+[1-9]\d{9,14}\b")
FICTIONAL = re.compile(
    r"\+1(\d{3}555|555)\d+|\+49151(1?2345678|23456789)|\+0+|\+1{3,}|\+1234567890\d*"
)

# Made up, each of one repeated digit or the alphabet's: the shape without the secret.
SHAPES = re.compile(r"(AC|SK|MG|SM)([0-9a-f])\2{31}|AKIAEXAMPLE|AKIAIOSFODNN7EXAMPLE")


def history() -> list[str]:
    """Give every line that was ever added."""
    log = subprocess.run(
        ["git", "log", "--all", "--no-color", "-p", "--unified=0", "--no-textconv"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if log.returncode:
        pytest.skip("this is not a git repository: there is no history to search")
    lines = log.stdout.decode(errors="replace").splitlines()
    return sorted(
        {line[1:] for line in lines if line.startswith("+") and not line.startswith("+++")}
    )


def secrets_in(lines: list[str]) -> list[str]:
    with transient_settings({"plugins_used": DETECTORS}):
        return [
            line
            for line in lines
            if any(not SHAPES.search(found.secret_value or "") for found in scan_line(line))
        ]


def test_the_search_finds_a_secret() -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    assert secrets_in([f"key = '{key}'"])


def test_no_line_of_the_history_holds_a_secret() -> None:
    assert secrets_in([line for line in history() if len(line) < 2000]) == []


def test_no_line_of_the_history_holds_the_number_of_a_person() -> None:
    found = {number for line in history() for number in NUMBER.findall(line)}
    assert {number for number in found if not FICTIONAL.match(number)} == set()
