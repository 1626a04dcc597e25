"""The policies as AWS would get them, read by a linter that knows every action and resource."""

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.twilio import StandIn
from tests.local.conftest import Whole
from tests.unit.linter import findings


@pytest.fixture(scope="module")
def whole(emulator: Emulator, shared_twilio: StandIn) -> Iterator[Whole]:
    deployed = Whole(emulator, shared_twilio)
    yield deployed
    deployed.destroy()


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
