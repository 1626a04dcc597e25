"""The preview's role in docs/deploy.md allows the reads of a preview and nothing else."""

import fnmatch
import json
import re
import string
from typing import NamedTuple

import pytest

from stack import ROOT
from tests.unit.linter import findings
from tests.unit.recorded import ACCOUNT, REGION, SETTINGS, Recorded, record

STATE = {"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}
"""Pulumi's own actions: reading the state, and decrypting its secrets."""


class Needs(NamedTuple):
    """The AWS provider's request about a resource in a preview.

    A preview without `--refresh` compares the program with the state. The provider asks AWS only
    where a resource's `CustomizeDiff` does.

    Attributes:
        source: The resource's file in internal/service of hashicorp/terraform-provider-aws.
        action: The action that a preview needs; "" for none.
        arn: The ARN of the action's resource.
    """

    source: str
    action: str = ""
    arn: str = ""


NEEDS = {
    "aws:cloudwatch/dashboard:Dashboard": Needs("cloudwatch/dashboard.go"),
    "aws:cloudwatch/eventRule:EventRule": Needs("events/rule.go"),
    "aws:cloudwatch/eventTarget:EventTarget": Needs("events/target.go"),
    "aws:cloudwatch/logGroup:LogGroup": Needs("logs/group.go"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Needs("cloudwatch/metric_alarm.go"),
    # The provider reads the global secondary indexes.
    "aws:dynamodb/table:Table": Needs(
        "dynamodb/table.go",
        "dynamodb:DescribeTable",
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{name}}-1a2b3c4",
    ),
    "aws:iam/role:Role": Needs("iam/role.go"),
    "aws:iam/rolePolicy:RolePolicy": Needs("iam/role_policy.go"),
    "aws:kms/key:Key": Needs("kms/key.go"),
    "aws:lambda/function:Function": Needs("lambda/function.go"),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Needs(
        "lambda/function_event_invoke_config.go"
    ),
    "aws:lambda/permission:Permission": Needs("lambda/permission.go"),
    "aws:s3/bucket:Bucket": Needs("s3/bucket.go"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Needs(
        "s3/bucket_lifecycle_configuration.go"
    ),
    "aws:s3/bucketNotification:BucketNotification": Needs("s3/bucket_notification.go"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Needs(
        "s3/bucket_ownership_controls.go"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Needs("s3/bucket_policy.go"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Needs(
        "s3/bucket_public_access_block.go"
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Needs(
        "s3/bucket_server_side_encryption_configuration.go"
    ),
    "aws:scheduler/schedule:Schedule": Needs("scheduler/schedule.go"),
    "aws:sns/topic:Topic": Needs("sns/topic.go"),
    "aws:sns/topicPolicy:TopicPolicy": Needs("sns/topic_policy.go"),
    "aws:sns/topicSubscription:TopicSubscription": Needs("sns/topic_subscription.go"),
    "aws:sqs/queue:Queue": Needs("sqs/queue.go"),
    "aws:sqs/queuePolicy:QueuePolicy": Needs("sqs/queue_policy.go"),
}

NO_PERMISSION = {"aws:index/getCallerIdentity:getCallerIdentity"}
"""The program's questions that AWS answers without a permission.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""


@pytest.fixture(scope="module")
def documented() -> str:
    """The policy of docs/deploy.md, with the variables that the shell fills in."""
    guide = (ROOT / "docs/deploy.md").read_text()
    (policy,) = re.findall(r"--policy-document .+<<POLICY\n(.+?)\nPOLICY\n", guide, re.DOTALL)
    return string.Template(policy).substitute(
        PARTITION="aws",
        ACCOUNT=ACCOUNT,
        AWS_REGION=REGION,
        KEY=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    )


@pytest.fixture(scope="module")
def programs() -> list[Recorded]:
    """A stack with its own bucket, and one with another program's."""
    return [
        record({**SETTINGS, "alarmEmail": "on-call@example.com"}),
        record({**SETTINGS, "existingBucket": "their-logs"}),
    ]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def may(policy: str, action: str, arn: str) -> bool:
    return any(
        statement["Effect"] == "Allow"
        and any(fnmatch.fnmatchcase(action, one) for one in listed(statement["Action"]))
        and any(fnmatch.fnmatchcase(arn, one) for one in listed(statement["Resource"]))
        for statement in json.loads(policy)["Statement"]
    )


def test_the_needs_of_a_preview_are_known_for_every_resource(programs: list[Recorded]) -> None:
    assert {one.type for program in programs for one in program.resources} == NEEDS.keys()


def test_the_programs_questions_to_aws_need_no_permission(programs: list[Recorded]) -> None:
    assert {token for program in programs for token in program.asked} <= NO_PERMISSION


def test_the_role_may_read_everything_that_a_preview_reads(
    documented: str, programs: list[Recorded]
) -> None:
    asked = {
        (needs.action, needs.arn.format(name=one.name))
        for program in programs
        for one in program.resources
        if (needs := NEEDS[one.type]).action
    }
    assert asked
    for action, arn in asked:
        assert may(documented, action, arn), (action, arn)


def test_the_role_may_do_nothing_else(documented: str) -> None:
    allowed = {
        action
        for statement in json.loads(documented)["Statement"]
        for action in listed(statement["Action"])
    }
    assert allowed == STATE | {needs.action for needs in NEEDS.values() if needs.action}


def test_the_role_may_read_nothing_of_prod(documented: str) -> None:
    state = f"arn:aws:s3:::pulumi-state-{ACCOUNT}/.pulumi/stacks/s3-logs"
    assert may(documented, "s3:GetObject", f"{state}/dev.json")
    assert not may(documented, "s3:GetObject", f"{state}/prod.json")


def test_parliament_finds_nothing_in_the_documented_policy(documented: str) -> None:
    assert findings(documented) == ""
    assert "UNKNOWN_ACTION" in findings(documented.replace("DescribeTable", "Describe"))
