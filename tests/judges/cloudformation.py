"""Convert the program's resources into a CloudFormation template for cfn-lint.

Pulumi uses Terraform's names of properties in camel case. Most equal CloudFormation's, except for
their case, and `KINDS` lists the others. cfn-lint rejects a name that CloudFormation lacks.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from tests.unit.recorded import Recorded, Resource

Properties = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """The conversion of one type of resource.

    Attributes:
        type: CloudFormation's type.
        renamed: CloudFormation's names of properties that differ, at any depth. None leaves out a
            property that CloudFormation lacks.
        added: Properties that CloudFormation requires and Pulumi sets by itself.
        reshaped: Converts properties that differ in more than their names.
        part_of: The resource that it belongs to, if CloudFormation has no such type.
    """

    type: str
    renamed: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    added: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    reshaped: Callable[[Properties], Properties] = lambda properties: properties
    part_of: str = ""


_JSON = {"AssumeRolePolicyDocument", "EventPattern", "PolicyDocument", "RedrivePolicy"}
"""Properties that Pulumi takes as text and CloudFormation as an object."""

# The mocks give all resources ARNs of one form.
_ARNS = (
    (r"^(arn:[\w-]+:iam):[\w-]+:(\d+):", r"\1::\2:role/"),
    (r"^(arn:[\w-]+:kms:[\w-]+:\d+):", r"\1:key/"),
)

_AS_THEY_ARE = {"Variables", "Dimensions"}
"""Objects whose keys are the program's own names, which stay as they are."""


def _alarm(inputs: Properties) -> Properties:
    dimensions = [{"Name": key, "Value": each} for key, each in inputs["Dimensions"].items()]
    return inputs | {"Dimensions": dimensions}


def _table(inputs: Properties) -> Properties:
    indexes = [
        {
            "IndexName": index["Name"],
            "KeySchema": index["KeySchema"],
            "Projection": {
                "ProjectionType": index["ProjectionType"],
                "NonKeyAttributes": index["NonKeyAttributes"],
            },
        }
        for index in inputs["GlobalSecondaryIndexes"]
    ]
    attributes = [
        {"AttributeName": one["Name"], "AttributeType": one["Type"]}
        for one in inputs["AttributeDefinitions"]
    ]
    return inputs | {
        "KeySchema": [{"AttributeName": inputs.pop("HashKey"), "KeyType": "HASH"}],
        "GlobalSecondaryIndexes": indexes,
        "AttributeDefinitions": attributes,
    }


def _function(inputs: Properties) -> Properties:
    return inputs | {"Code": {"S3Bucket": "packages", "S3Key": "handler.zip"}}


def _lifecycle(inputs: Properties) -> Properties:
    rules = [
        {
            "Id": rule["Id"],
            "Status": rule["Status"],
            "Prefix": rule["Filter"]["Prefix"],
            **{key: rule[key] for key in rule.keys() & {"AbortIncompleteMultipartUpload"}},
            **({"ExpirationInDays": rule["Expiration"]["Days"]} if "Expiration" in rule else {}),
        }
        for rule in inputs["Rules"]
    ]
    return {"LifecycleConfiguration": {"Rules": rules}}


def _notification(inputs: Properties) -> Properties:
    configurations = [
        {
            "Event": event,
            "Function": one["LambdaFunctionArn"],
            "Filter": {
                "S3Key": {
                    "Rules": [
                        {"Name": name, "Value": one[f"Filter{name.capitalize()}"]}
                        for name in ("prefix", "suffix")
                    ]
                }
            },
        }
        for one in inputs["LambdaFunctions"]
        for event in one["Events"]
    ]
    return {"NotificationConfiguration": {"LambdaConfigurations": configurations}}


def _target(inputs: Properties) -> Properties:
    return {"Targets": [{"Id": "notify", **inputs}]}


_BUCKET = "AWS::S3::Bucket"
_OF_BUCKET: dict[str, Any] = {"type": _BUCKET, "part_of": "Bucket"}
_RULE: dict[str, Any] = {"type": "AWS::Events::Rule", "part_of": "Rule"}

KINDS = {
    "aws:cloudwatch/dashboard:Dashboard": Kind(type="AWS::CloudWatch::Dashboard"),
    "aws:cloudwatch/eventRule:EventRule": Kind(**_RULE),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        **_RULE, renamed={"rule": None}, reshaped=_target
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(type="AWS::Logs::LogGroup"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(type="AWS::CloudWatch::Alarm", reshaped=_alarm),
    "aws:dynamodb/table:Table": Kind(
        type="AWS::DynamoDB::Table",
        renamed={
            "attributes": "AttributeDefinitions",
            "keySchemas": "KeySchema",
            "ttl": "TimeToLiveSpecification",
        },
        reshaped=_table,
    ),
    "aws:iam/role:Role": Kind(
        type="AWS::IAM::Role", renamed={"assumeRolePolicy": "AssumeRolePolicyDocument"}
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        type="AWS::IAM::RolePolicy",
        renamed={"role": "RoleName", "policy": "PolicyDocument"},
        added={"PolicyName": "named-by-pulumi"},
    ),
    "aws:kms/key:Key": Kind(type="AWS::KMS::Key"),
    "aws:lambda/function:Function": Kind(type="AWS::Lambda::Function", reshaped=_function),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Kind(
        type="AWS::Lambda::EventInvokeConfig", added={"Qualifier": "$LATEST"}
    ),
    "aws:lambda/permission:Permission": Kind(
        type="AWS::Lambda::Permission", renamed={"function": "FunctionName"}
    ),
    "aws:s3/bucket:Bucket": Kind(**_OF_BUCKET, renamed={"forceDestroy": None}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": Kind(
        **_OF_BUCKET, reshaped=_lifecycle
    ),
    "aws:s3/bucketNotification:BucketNotification": Kind(**_OF_BUCKET, reshaped=_notification),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": Kind(
        **_OF_BUCKET,
        renamed={"bucket": None},
        reshaped=lambda inputs: {"OwnershipControls": {"Rules": [inputs["Rule"]]}},
    ),
    "aws:s3/bucketPolicy:BucketPolicy": Kind(
        type="AWS::S3::BucketPolicy", renamed={"policy": "PolicyDocument"}
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": Kind(
        **_OF_BUCKET,
        renamed={"bucket": None},
        reshaped=lambda inputs: {"PublicAccessBlockConfiguration": inputs},
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": Kind(
        **_OF_BUCKET,
        renamed={
            "bucket": None,
            "applyServerSideEncryptionByDefault": "ServerSideEncryptionByDefault",
            "sseAlgorithm": "SSEAlgorithm",
        },
        reshaped=lambda inputs: {
            "BucketEncryption": {"ServerSideEncryptionConfiguration": inputs["Rules"]}
        },
    ),
    "aws:scheduler/schedule:Schedule": Kind(type="AWS::Scheduler::Schedule"),
    "aws:sns/topic:Topic": Kind(type="AWS::SNS::Topic"),
    "aws:sns/topicPolicy:TopicPolicy": Kind(
        type="AWS::SNS::TopicPolicy",
        renamed={"policy": "PolicyDocument"},
        reshaped=lambda inputs: inputs | {"Topics": [inputs.pop("Arn")]},
    ),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        type="AWS::SNS::Subscription", renamed={"topic": "TopicArn"}
    ),
    "aws:sqs/queue:Queue": Kind(
        type="AWS::SQS::Queue",
        renamed={
            "messageRetentionSeconds": "MessageRetentionPeriod",
            "visibilityTimeoutSeconds": "VisibilityTimeout",
        },
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Kind(
        type="AWS::SQS::QueuePolicy",
        renamed={"policy": "PolicyDocument"},
        reshaped=lambda inputs: inputs | {"Queues": [inputs.pop("QueueUrl")]},
    ),
}


def template(recorded: Recorded) -> dict[str, Any]:
    """Return the template of all AWS resources that a program registered.

    Raises:
        KeyError: `KINDS` lacks a type of resource.
    """
    resources: dict[str, dict[str, Any]] = {}
    for number, resource in enumerate(recorded.resources):
        if resource.type.startswith("aws:"):
            kind = KINDS[resource.type]
            made = resources.setdefault(
                kind.part_of or f"Resource{number}", {"Type": kind.type, "Properties": {}}
            )
            made["Properties"] |= _properties(kind, resource)
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def _properties(kind: Kind, resource: Resource) -> Properties:
    inputs = {key: resource.plain(key) for key in resource.inputs}
    return kind.reshaped(_converted(inputs, kind.renamed) | dict(kind.added))


def _converted(value: Any, renamed: Mapping[str, str | None]) -> Any:
    match value:
        case dict():
            found = {}
            for key, inner in value.items():
                name = renamed.get(key, key[0].upper() + key[1:])
                if name in _JSON:
                    found[name] = json.loads(inner)
                elif name is not None:
                    found[name] = inner if name in _AS_THEY_ARE else _converted(inner, renamed)
            return found
        case list():
            return [_converted(inner, renamed) for inner in value]
        case float() if value.is_integer():  # Pulumi stores integers as floats
            return int(value)
        case str():
            for wrong, right in _ARNS:
                value = re.sub(wrong, right, value)
            return value
        case _:
            return value
