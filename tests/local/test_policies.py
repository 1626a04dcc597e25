"""The policies: a linter knows each action, and the functions need each permission."""

import json
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

import pytest

from handler.held_messages import RENEW_AFTER_RECEIVES
from infra import package
from local import resources
from local.emulator import Emulator
from local.twilio import StandIn
from stack import ROOT
from tests.local.conftest import PHONE, Deploy, System, leave_time_in_this_hour, until
from tests.unit import recorded
from tests.unit.linter import findings
from tests.unit.recorded import record

INSIDE = {"contains": "ERROR"}
"""A stack that looks inside logs has one permission more."""


@pytest.fixture(scope="module")
def system(emulator: Emulator, shared_twilio: StandIn) -> Iterator[System]:
    deployed = System(emulator, shared_twilio, **INSIDE)
    yield deployed
    deployed.destroy()


def test_the_linter_finds_an_unknown_action() -> None:
    wrong = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:Send", '
        '"Resource": "arn:aws:sqs:us-east-1:000000000000:held"}]}'
    )
    assert "UNKNOWN_ACTION" in findings(wrong)


def test_each_permission_exists_and_fits_its_resource(system: System) -> None:
    policies = [
        one.state["policy"] for one in system.made if one.type.endswith("rolePolicy:RolePolicy")
    ]
    assert len(policies) == 3
    for policy in policies:
        assert findings(policy) == ""


# Every permission is needed


class Permission(NamedTuple):
    """One action of one statement of a function's role.

    Attributes:
        role: The function.
        action: The action.
        resource: Its resource, without the ARN's prefix and the random suffix.
        statement: The index of the statement in the policy.
    """

    role: str
    action: str
    resource: str
    statement: int

    def __str__(self) -> str:
        """Return the name in a test's report."""
        return f"{self.role} {self.action} {self.resource}"


NOT_EMULATED = {"logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"}
"""Actions that the emulator does not need. tests/unit/test_program.py checks them."""

SIGNS = {
    ("notify", "dynamodb:UpdateItem"): "claim failed open",
    ("notify", "dynamodb:BatchWriteItem"): "not recorded",
    ("notify", "sqs:SendMessage"): "no outcome yet",
    ("notify", "s3:GetObject"): "not read: no access",
    ("flush", "dynamodb:UpdateItem"): "not recorded",
    ("flush", "dynamodb:BatchWriteItem"): "not recorded",
    ("flush", "dynamodb:BatchGetItem"): "not looked up",
    ("flush", "dynamodb:Query"): "delivery reports stopped",
    ("flush", "sqs:ChangeMessageVisibility"): "not given back",
}
"""The outcome in the log without an action. For others the log has AWS's error code."""

DENIED = "AccessDenied"


def actions(statement: dict[str, object]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)  # type: ignore[call-overload]  # otherwise a list


def permissions() -> list[Permission]:
    """Return the permissions of the functions' roles in the program."""
    # Build no package: this runs while pytest collects the tests.
    with mock.patch.object(package, "build", return_value=ROOT / "handler"):
        program = record({**recorded.SETTINGS, **INSIDE})
    return [
        Permission(
            role, action, str(statement["Resource"]).rsplit(":")[-1].replace("-1a2b3c4", ""), number
        )
        for role in ("notify", "flush")
        for number, statement in enumerate(program.the("RolePolicy", role).policy())
        for action in actions(statement)
        if action not in NOT_EMULATED
    ]


PERMISSIONS = permissions()


def run(system: System, role: str, *, renews: bool = True) -> None:
    """Let a function use all its permissions: send, hold, fail, return and renew messages.

    Args:
        system: The deployed stack.
        role: The function.
        renews: Whether `flush` gets a message to renew. Preparing it takes seconds.
    """
    if role == "notify":
        leave_time_in_this_hour()
        for number in range(2):
            system.aws["lambda"].invoke(
                FunctionName=system.outputs["notifyFunction"],
                Payload=json.dumps(system.event(f"{number}.log")),
            )
        return
    file = {"bucket": "b", "size": 1, "time": "2026-11-23T14:05:09+00:00", "sequencer": "0A"}
    held = {"file": {**file, "key": "a.log"}, "phone": PHONE}
    kept = held | {"phone": "+15005550177"}  # a phone that is not in the settings
    sqs, queue = system.aws["sqs"], system.outputs["heldQueue"]
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(kept))
    for _ in range(RENEW_AFTER_RECEIVES if renews else 0):
        sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)
    for body in (json.dumps(held), "nobody can read this"):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    system.aws["lambda"].invoke(FunctionName=system.outputs["flushFunction"])


NO_PHONE = "+15005550001"
"""Twilio's magic number of an invalid phone."""

SETTINGS = {**INSIDE, "maxTextsPerHour": "1", "toNumbers": f"{PHONE},{NO_PHONE}"}


@pytest.mark.parametrize("role", ["notify", "flush"])
def test_with_all_permissions_nothing_fails(deploy: Deploy, role: str) -> None:
    system = deploy(**SETTINGS)
    run(system, role)
    outcomes = {"sent", "held", "failed"} if role == "notify" else {"sent", "failed", "flushed"}
    until(
        lambda: outcomes <= {line.get("outcome") for line in system.logged(role)},
        f"{outcomes} in the log",
    )
    for sign in {*SIGNS.values(), DENIED}:
        assert sign not in json.dumps(system.logged(role))


@pytest.mark.parametrize("permission", PERMISSIONS, ids=str)
def test_without_one_permission_something_fails(deploy: Deploy, permission: Permission) -> None:
    system = deploy(**SETTINGS)
    forbid(system, permission)
    is_renewal = permission.action == "sqs:SendMessage" and "held" in permission.resource
    run(system, permission.role, renews=is_renewal)
    sign = SIGNS.get((permission.role, permission.action), DENIED)
    until(lambda: sign in json.dumps(system.logged(permission.role)), f"{sign} in the log")


def forbid(system: System, permission: Permission) -> None:
    """Take a permission out of a role."""
    made = system.resource("aws:iam/rolePolicy:RolePolicy", permission.role)
    policy = json.loads(made.state["policy"])
    statement = policy["Statement"][permission.statement]
    others = [one for one in actions(statement) if one != permission.action]
    assert len(others) == len(actions(statement)) - 1
    statement["Action"] = others or ["sqs:ListQueues"]
    changed = {**made.state, "policy": json.dumps(policy)}
    resources.update(system.aws, made.type, made.name, made.id, changed)
