"""The policies as AWS would get them, read by a linter that knows every action and resource."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.twilio import StandIn
from tests.local.conftest import Whole

_LINT = """
import sys
from parliament import analyze_policy_string
for finding in analyze_policy_string(sys.stdin.read()).findings:
    print(finding)
"""


@pytest.fixture(scope="module")
def whole(emulator: Emulator, shared_twilio: StandIn) -> Iterator[Whole]:
    deployed = Whole(emulator, shared_twilio)
    yield deployed
    deployed.destroy()


def findings(policy: str) -> str:
    """Give what parliament says of a policy; in a process of its own, since it warns of itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LINT],
        input=policy,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_linter_finds_what_is_wrong() -> None:
    wrong = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:Send", '
        '"Resource": "arn:aws:sqs:us-east-1:000000000000:held"}]}'
    )
    assert "UNKNOWN_ACTION" in findings(wrong)


def test_no_role_may_do_what_does_not_exist_or_with_what_it_does_not_fit(whole: Whole) -> None:
    policies = [
        one.state["policy"] for one in whole.made if one.type.endswith("rolePolicy:RolePolicy")
    ]
    assert len(policies) == 3
    for policy in policies:
        assert findings(policy) == ""
