"""The repository and its history hold no secret and no person's number."""

import re
import subprocess

import pytest
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from stack import ROOT

DETECTORS = [
    {"name": name}
    for name in (
        *("AWSKeyDetector", "GitHubTokenDetector", "JwtTokenDetector"),
        *("PrivateKeyDetector", "SlackDetector", "StripeDetector", "TwilioKeyDetector"),
    )
]

# Allowed numbers: Twilio's +1 500 555, fictional 555 numbers, other invented ones, Ofcom's
# https://www.ofcom.org.uk/phones-and-broadband/phone-numbers/numbers-for-drama,
# and one of an old test with 500, which is not the area code of any place.
NUMBER = re.compile(r"\+[1-9]\d{9,14}\b")
FICTIONAL = re.compile(
    r"\+1(\d{3}555|555)\d+|\+49151(1?2345678|23456789)|\+0+|\+1{3,}|\+1234567890\d*"
    r"|\+447700900\d{3}|\+15005990100"
)

# Invented values in the shape of secrets, such as one repeated digit.
SHAPES = re.compile(r"(AC|SK|MG|SM)([0-9a-f])\2{31}|AKIAEXAMPLE|AKIAIOSFODNN7EXAMPLE")

# The samples of test_redaction, which have the shapes of secrets.
SAMPLES = frozenset(
    {
        '"-----BEGIN ' + 'RSA PRIVATE KEY----- hunter2",',
        '"ASIA' + 'IOSFODNN7EXAMPLE",',
        '"eyJhbGciOiJub25lIn0.' + 'eyJzdWIiOiIxIn0.c2ln",',
        '"xoxb-' + '12-abc",',
    }
)

# The public values of a stack's file, which docs/deploy.md has committed. A SID gives no access,
# and every text shows the sender's number.
STACK_FILE = re.compile(r"\+\+\+ b/Pulumi\.[\w.-]+\.yaml")
OPEN = re.compile(
    r"\+  s3-logs:(twilioAccountSid|twilioApiKeySid|messagingServiceSid): \"?(AC|SK|MG)\w{32}\"?"
    r"|\+  s3-logs:fromNumber: \"?\+\d+\"?"
)


def added(log: str) -> list[str]:
    """Return the lines that a log of git adds, without the public values of a stack's file."""
    lines, of_a_stack = set(), False
    for line in log.splitlines():
        if line.startswith("+++"):
            of_a_stack = STACK_FILE.fullmatch(line) is not None
        elif line.startswith("+") and not (of_a_stack and OPEN.fullmatch(line)):
            lines.add(line[1:])
    return sorted(lines)


def history() -> list[str]:
    """Return every line that any commit added."""
    log = subprocess.run(
        ["git", "log", "--all", "--no-color", "-p", "--unified=0", "--no-textconv"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if log.returncode:
        pytest.skip("this is not a git repository: there is no history to search")
    return added(log.stdout.decode(errors="replace"))


def secrets_in(lines: list[str]) -> list[str]:
    with transient_settings({"plugins_used": DETECTORS}):
        return [
            line
            for line in lines
            if line.strip() not in SAMPLES
            and any(not SHAPES.search(found.secret_value or "") for found in scan_line(line))
        ]


def test_the_search_finds_a_secret() -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    assert secrets_in([f"key = '{key}'"])


def test_a_stacks_settings_may_name_its_account_and_its_number_and_nothing_else_may() -> None:
    hexadecimal, number = "0123456789abcdef" * 2, "+" + "442079460123"
    named = [
        "  s3-logs:twilioAccountSid: AC" + hexadecimal,
        "  s3-logs:twilioApiKeySid: SK" + hexadecimal,
        f'  s3-logs:fromNumber: "{number}"',
    ]
    hidden = [
        f'  s3-logs:toNumbers: "{number}"',
        "  s3-logs:twilioSecret: SK" + hexadecimal,
    ]
    log = "".join(f"+{line}\n" for line in [*named, *hidden])
    assert added("+++ b/Pulumi.prod.yaml\n" + log) == sorted(hidden)
    assert added("+++ b/Pulumi.prod.yaml\n+++ b/README.md\n" + log) == sorted(named + hidden)
    assert secrets_in(named) == named[:2]
    assert secrets_in(hidden) == hidden[1:]


def test_no_line_of_the_history_holds_a_secret() -> None:
    assert secrets_in([line for line in history() if len(line) < 2000]) == []


def test_no_line_of_the_history_holds_the_number_of_a_person() -> None:
    found = {number for line in history() for number in NUMBER.findall(line)}
    assert {number for number in found if not FICTIONAL.match(number)} == set()
