"""cfn-lint checks the program's resources for each kind of stack."""

import json
from collections.abc import Callable
from typing import Any

import cfnlint.api
import pytest
from cfnlint.config import ManualArgs

from local.program import PROJECT
from tests.judges.cloudformation import KINDS, template
from tests.unit.recorded import REGION, SETTINGS, record

EVERYTHING = {
    **{key: value for key, value in SETTINGS.items() if key != "fromNumber"},
    "messagingServiceSid": "MG" + "0" * 32,
    "twilioApiKeySid": "SK" + "0" * 32,
    "twilioApiUrl": "https://api.dublin.ie1.twilio.com",
    "filterPrefix": "app/",
    "filterSuffix": ".txt,.log.gz",
    "message": "$name in $bucket: $line",
    "mode": "digest",
    "flushMinutes": "60",
    "maxTextsPerHour": "5",
    "maxTextsAtOnce": "2",
    "quietHours": "Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00",
    "contains": "ERROR, FATAL",
    "routes": '[{"name": "a", "logs": "app/a/*", "toNumbers": "+15005550199"}]',
    "timezone": "Europe/Berlin",
    "expect": "by 06:30",
    "atLeast": "1 kB",
    "alarmEmail": "ops@example.com",
    "maxSegmentsPerDay": "50",
    "expireLogsAfterDays": "30",
    "protectBucket": "true",
    "forceDestroy": "false",
}
STACKS = {
    "own bucket": SETTINGS,
    "existing bucket": {
        **SETTINGS,
        "existingBucket": "their-logs",
        "filterPrefix": "app/",
        "filterSuffix": ".log,.log.gz",
    },
    "alarms by e-mail": {**SETTINGS, "alarmEmail": "ops@example.com"},
    "every option": EVERYTHING,
}

Resources = dict[str, dict[str, Any]]


def errors(made: dict[str, Any]) -> list[str]:
    """Return cfn-lint's errors in a template."""
    matches = cfnlint.api.lint(json.dumps(made), config=ManualArgs(regions=[REGION]))
    return [
        f"{match.rule.id} {match.message} at {'/'.join(map(str, match.path or ()))}"
        for match in matches
        if match.rule.severity == "error"
    ]


@pytest.mark.parametrize("settings", STACKS.values(), ids=STACKS)
def test_a_stack_is_without_errors(settings: dict[str, str]) -> None:
    assert errors(template(record(settings))) == []


def test_the_stack_with_every_option_sets_every_setting() -> None:
    """`existingBucket` needs another stack, and `fromNumber` excludes a messaging service."""
    assert PROJECT["config"].keys() - EVERYTHING.keys() == {"existingBucket", "fromNumber"}


def test_all_kinds_of_resources_are_judged() -> None:
    judged = {one.type for settings in STACKS.values() for one in record(settings).resources}
    assert {type_ for type_ in judged if type_.startswith("aws:")} == KINDS.keys()


# Objections of the judge


def the(resources: Resources, type_: str) -> dict[str, Any]:
    """Return the properties of the first resource of a type."""
    return next(one["Properties"] for one in resources.values() if one["Type"] == type_)


def mistaken(type_: str, *path: str, to: Any) -> Callable[[Resources], None]:
    def change(resources: Resources) -> None:
        place = the(resources, type_)
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "mistake",
    [
        mistaken("AWS::Lambda::Function", "Runtime", to="python2.7"),
        mistaken("AWS::Lambda::Function", "MemorySize", to=64),
        mistaken("AWS::Lambda::Function", "Timeout", to=901),
        mistaken("AWS::Lambda::Function", "LoggingConfig", "LogFormat", to="Json"),
        mistaken("AWS::Lambda::Function", "Colour", to="red"),
        mistaken("AWS::Lambda::EventInvokeConfig", "MaximumRetryAttempts", to=3),
        mistaken("AWS::SQS::Queue", "MessageRetentionPeriod", to=1_209_601),
        mistaken("AWS::CloudWatch::Alarm", "ComparisonOperator", to="MoreThanThreshold"),
        mistaken("AWS::CloudWatch::Alarm", "TreatMissingData", to="ok"),
        mistaken("AWS::DynamoDB::Table", "AttributeDefinitions", to=[]),
        mistaken("AWS::Logs::LogGroup", "RetentionInDays", to=31),
        mistaken("AWS::S3::Bucket", "OwnershipControls", "Rules", to=[{"ObjectOwnership": "Mine"}]),
        mistaken("AWS::Scheduler::Schedule", "FlexibleTimeWindow", "Mode", to="MAYBE"),
        mistaken("AWS::SNS::Subscription", "TopicArn", to=["a", "b"]),
        mistaken("AWS::IAM::Role", "AssumeRolePolicyDocument", "Version", to="2012"),
    ],
)
def test_a_mistake_is_found(mistake: Callable[[Resources], None]) -> None:
    made = template(record(STACKS["alarms by e-mail"]))
    mistake(made["Resources"])
    assert len(errors(made)) == 1


def test_a_type_of_resource_that_is_new_here_is_found() -> None:
    recorded = record()
    new = recorded.resources[-1].__class__(
        **{**vars(recorded.resources[-1]), "type": "aws:ec2/instance:Instance"}
    )
    recorded.resources.append(new)
    with pytest.raises(KeyError, match="aws:ec2/instance:Instance"):
        template(recorded)
