"""The resources of the program in the emulator: from Pulumi's types to boto3's calls.

Inputs and outputs have Pulumi's names, in camelCase; an archive is the path of its folder. To add a
type, add a `Kind` to `KINDS`, below, with the functions that create, change and delete it.
"""

import dataclasses
import functools
import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from botocore.exceptions import BotoCoreError, ClientError

from infra.package import zipped
from local.emulator import REGION
from stack.clients import Clients

Properties = dict[str, Any]


class ResourceError(Exception):
    """AWS refused a request, or a type or function is not known here."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """One type of resource.

    Attributes:
        create: Creates a resource from its inputs. Returns its id, and the properties that AWS
            adds.
        update: Changes the resource with that id to these inputs. Returns the properties that AWS
            adds. By default `create` runs again, and overwrites the resource.
        delete: Deletes the resource with that id and state.
        name_input: The input that Pulumi sets to a name if the program does not; "" if none.
        replaced_by: The inputs whose change replaces the resource.
    """

    create: Callable[[Clients, Properties], tuple[str, Properties]]
    delete: Callable[[Clients, str, Properties], object]
    update: Callable[[Clients, str, Properties], Properties] | None = None
    name_input: str = ""
    replaced_by: frozenset[str] = frozenset()


def kind_of(type_: str) -> Kind:
    """Return the kind of a type.

    Raises:
        ResourceError: It is not known. The message names the file to extend.
    """
    if type_ not in KINDS:
        raise ResourceError(f"{type_} is not known to the emulator: add it to KINDS in {__file__}")
    return KINDS[type_]


def with_name(
    type_: str, name: str, inputs: Properties, before: Mapping[str, Any] = {}
) -> Properties:  # never changed
    """Name a resource as Pulumi does: its name in the program and seven random digits.

    Args:
        type_: Its type.
        name: Its name in the program.
        inputs: Its inputs.
        before: Its inputs so far. It keeps their name.
    """
    key = kind_of(type_).name_input
    if not key or inputs.get(key):
        return inputs
    return {key: (before or {}).get(key) or f"{name}-{secrets.token_hex(4)[:7]}", **inputs}


def create(aws: Clients, type_: str, name: str, inputs: Properties) -> tuple[str, Properties]:
    """Create a resource. Return its id and its state.

    Raises:
        ResourceError: AWS refused it.
    """
    with_numbers = _with_integers(inputs)
    with _errors_named(type_, name):
        id_, outputs = kind_of(type_).create(aws, with_numbers)
    return id_, {**with_numbers, **outputs}


def update(aws: Clients, type_: str, name: str, id_: str, inputs: Properties) -> Properties:
    """Change a resource. Return its state.

    Raises:
        ResourceError: AWS refused it.
    """
    kind, with_numbers = kind_of(type_), _with_integers(inputs)
    with _errors_named(type_, name):
        if kind.update:
            outputs = kind.update(aws, id_, with_numbers)
        else:
            outputs = kind.create(aws, with_numbers)[1]
    return {**with_numbers, **outputs}


def delete(aws: Clients, type_: str, name: str, id_: str, state: Properties) -> None:
    """Delete a resource, or do nothing if it is gone already.

    Raises:
        ResourceError: AWS refused it.
    """
    with _errors_named(type_, name):
        try:
            kind_of(type_).delete(aws, id_, state)
        except ClientError as error:
            if not any(word in error.response["Error"]["Code"] for word in _NOT_FOUND):
                raise


def invoke(aws: Clients, function: str) -> Properties:
    """Answer a function that the program calls.

    Raises:
        ResourceError: It is not known.
    """
    if function == "aws:index/getCallerIdentity:getCallerIdentity":
        identity = aws["sts"].get_caller_identity()
        return {"accountId": identity["Account"], "arn": identity["Arn"], "id": identity["Account"]}
    raise ResourceError(f"{function} is not known to the emulator: add it to invoke in {__file__}")


_NOT_FOUND = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")


class _errors_named:  # noqa: N801  # a context manager
    """Adds the name of the resource to errors, and no input: it may be secret."""

    def __init__(self, type_: str, name: str) -> None:
        self._resource = f"{type_} {name}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ClientError):
            refused = error.response["Error"]
            raise ResourceError(
                f"{self._resource}: {refused['Code']}: {refused['Message']}"
            ) from None
        if isinstance(error, BotoCoreError):
            raise ResourceError(f"{self._resource}: {type(error).__name__}: {error}") from None


def _with_integers(value: Any) -> Any:
    """Turn floats into integers again: Pulumi's messages have no integers."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _with_integers(inner) for key, inner in value.items()}
        case list():
            return [_with_integers(inner) for inner in value]
        case _:
            return value


def _pascal_case(value: Any) -> Any:
    """Write properties as AWS does: `ruleName` is `RuleName`."""
    match value:
        case dict():
            return {
                _PASCAL_CASE.get(key, key[:1].upper() + key[1:]): _pascal_case(inner)
                for key, inner in value.items()
                if inner is not None
            }
        case list():
            return [_pascal_case(inner) for inner in value]
        case _:
            return value


_PASCAL_CASE = {"id": "ID", "sseAlgorithm": "SSEAlgorithm", "kmsKeyArn": "KMSKeyArn"}


# S3


def _create_bucket(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    aws["s3"].create_bucket(Bucket=inputs["bucket"])
    return inputs["bucket"], _bucket(aws, inputs["bucket"], inputs)


def _bucket(aws: Clients, name: str, _: Properties) -> Properties:
    partition = aws["sts"].get_caller_identity()["Arn"].split(":")[1]
    return {"arn": f"arn:{partition}:s3:::{name}", "region": REGION}


def _delete_bucket(aws: Clients, name: str, state: Properties) -> None:
    if state.get("forceDestroy"):
        for page in aws["s3"].get_paginator("list_objects_v2").paginate(Bucket=name):
            for found in page.get("Contents", []):
                aws["s3"].delete_object(Bucket=name, Key=found["Key"])
    aws["s3"].delete_bucket(Bucket=name)


def _part_of_bucket(put: Callable[[Clients, Properties], object], delete: str = "") -> Kind:
    """Return the kind of a resource that each bucket has once."""

    def create(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
        put(aws, inputs)
        return inputs["bucket"], {}

    def remove(aws: Clients, bucket: str, _: Properties) -> None:
        if delete:
            getattr(aws["s3"], delete)(Bucket=bucket)
        else:
            put(aws, {"bucket": bucket})

    return Kind(create=create, delete=remove, replaced_by=frozenset({"bucket"}))


def _put_ownership(aws: Clients, inputs: Properties) -> None:
    aws["s3"].put_bucket_ownership_controls(
        Bucket=inputs["bucket"], OwnershipControls={"Rules": [_pascal_case(inputs["rule"])]}
    )


def _put_block(aws: Clients, inputs: Properties) -> None:
    block = {key: value for key, value in inputs.items() if key != "bucket"}
    aws["s3"].put_public_access_block(
        Bucket=inputs["bucket"], PublicAccessBlockConfiguration=_pascal_case(block)
    )


def _put_encryption(aws: Clients, inputs: Properties) -> None:
    aws["s3"].put_bucket_encryption(
        Bucket=inputs["bucket"],
        ServerSideEncryptionConfiguration={"Rules": _pascal_case(inputs["rules"])},
    )


def _put_lifecycle(aws: Clients, inputs: Properties) -> None:
    aws["s3"].put_bucket_lifecycle_configuration(
        Bucket=inputs["bucket"], LifecycleConfiguration={"Rules": _pascal_case(inputs["rules"])}
    )


def _put_bucket_policy(aws: Clients, inputs: Properties) -> None:
    """Put the policy without its refusal of plain HTTP: the emulator has no HTTPS."""
    policy = json.loads(inputs["policy"])
    policy["Statement"] = [
        one for one in policy["Statement"] if "aws:SecureTransport" not in json.dumps(one)
    ]
    if policy["Statement"]:
        aws["s3"].put_bucket_policy(Bucket=inputs["bucket"], Policy=json.dumps(policy))


def _put_notification(aws: Clients, inputs: Properties) -> None:
    rules = [
        {
            "Id": rule["id"],
            "LambdaFunctionArn": rule["lambdaFunctionArn"],
            "Events": rule["events"],
            "Filter": {
                "Key": {
                    "FilterRules": [
                        # S3 decodes a filter's value; the emulator compares it as it is.
                        {"Name": name, "Value": unquote_plus(rule[key])}
                        for name, key in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
                        if rule.get(key)
                    ]
                }
            },
        }
        for rule in inputs.get("lambdaFunctions") or []
    ]
    aws["s3"].put_bucket_notification_configuration(
        Bucket=inputs["bucket"], NotificationConfiguration={"LambdaFunctionConfigurations": rules}
    )


# KMS, IAM, CloudWatch Logs


def _create_key(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    key = aws["kms"].create_key(Description=inputs.get("description", ""))["KeyMetadata"]
    return key["KeyId"], _key(aws, key["KeyId"], inputs)


def _key(aws: Clients, id_: str, inputs: Properties) -> Properties:
    rotation = "enable" if inputs.get("enableKeyRotation") else "disable"
    getattr(aws["kms"], f"{rotation}_key_rotation")(KeyId=id_)
    return {"keyId": id_, "arn": aws["kms"].describe_key(KeyId=id_)["KeyMetadata"]["Arn"]}


def _create_role(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    role = aws["iam"].create_role(
        RoleName=inputs["name"], AssumeRolePolicyDocument=inputs["assumeRolePolicy"]
    )["Role"]
    return inputs["name"], {"arn": role["Arn"]}


def _update_role(aws: Clients, name: str, inputs: Properties) -> Properties:
    aws["iam"].update_assume_role_policy(RoleName=name, PolicyDocument=inputs["assumeRolePolicy"])
    return {"arn": aws["iam"].get_role(RoleName=name)["Role"]["Arn"]}


# AWS has no permissions of their own for batches; the emulator asks for some.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html
_BATCHES = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}


def _put_role_policy(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    policy = json.loads(inputs["policy"])
    for statement in policy["Statement"]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        statement["Action"] = actions + [_BATCHES[one] for one in actions if one in _BATCHES]
    aws["iam"].put_role_policy(
        RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=json.dumps(policy)
    )
    return f"{inputs['role']}:{inputs['name']}", {}


def _delete_role_policy(aws: Clients, _: str, state: Properties) -> None:
    aws["iam"].delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


def _create_log_group(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    aws["logs"].create_log_group(logGroupName=inputs["name"])
    return inputs["name"], _log_group(aws, inputs["name"], inputs)


def _log_group(aws: Clients, name: str, inputs: Properties) -> Properties:
    aws["logs"].put_retention_policy(logGroupName=name, retentionInDays=inputs["retentionInDays"])
    (found,) = aws["logs"].describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {"arn": found["arn"].removesuffix(":*")}


# Lambda


def _function_settings(inputs: Properties) -> Properties:
    settings = {
        "FunctionName": inputs["name"],
        "Role": inputs["role"],
        "Handler": inputs["handler"],
        "Runtime": inputs["runtime"],
        "Timeout": inputs.get("timeout", 3),
        "MemorySize": inputs.get("memorySize", 128),
        "Environment": {"Variables": (inputs.get("environment") or {}).get("variables", {})},
        "KMSKeyArn": inputs.get("kmsKeyArn", ""),
    }
    if inputs.get("loggingConfig"):
        settings["LoggingConfig"] = _pascal_case(inputs["loggingConfig"])
    return settings


@functools.cache
def _archive(folder: str) -> bytes:
    """Zip a package once for all its functions. Its folder is named after its contents."""
    return zipped(Path(folder))


def _create_function(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    made = aws["lambda"].create_function(
        **_function_settings(inputs),
        Architectures=inputs.get("architectures", ["x86_64"]),
        Code={"ZipFile": _archive(inputs["code"])},
    )
    return inputs["name"], {"arn": made["FunctionArn"]}


def _update_function(aws: Clients, name: str, inputs: Properties) -> Properties:
    aws["lambda"].update_function_code(FunctionName=name, ZipFile=_archive(inputs["code"]))
    made = aws["lambda"].update_function_configuration(**_function_settings(inputs))
    return {"arn": made["FunctionArn"]}


def _delete_function(aws: Clients, name: str, _: Properties) -> None:
    aws["lambda"].delete_function(FunctionName=name)


def _put_invoke_config(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    destination = inputs.get("destinationConfig") or {}
    aws["lambda"].put_function_event_invoke_config(
        FunctionName=inputs["functionName"],
        MaximumEventAgeInSeconds=inputs.get("maximumEventAgeInSeconds", 6 * 60 * 60),
        MaximumRetryAttempts=inputs.get("maximumRetryAttempts", 2),
        DestinationConfig=_pascal_case(destination),
    )
    return inputs["functionName"], {}


def _delete_invoke_config(aws: Clients, name: str, _: Properties) -> None:
    aws["lambda"].delete_function_event_invoke_config(FunctionName=name)


def _create_permission(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    optional = {"SourceArn": "sourceArn", "SourceAccount": "sourceAccount"}
    aws["lambda"].add_permission(
        FunctionName=inputs["function"],
        StatementId=inputs["statementId"],
        Action=inputs["action"],
        Principal=inputs["principal"],
        **{parameter: inputs[one] for parameter, one in optional.items() if inputs.get(one)},
    )
    return inputs["statementId"], {}


def _delete_permission(aws: Clients, id_: str, state: Properties) -> None:
    aws["lambda"].remove_permission(FunctionName=state["function"], StatementId=id_)


# SQS, DynamoDB, EventBridge Scheduler

_QUEUE_ATTRIBUTES = {
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "redrivePolicy": "RedrivePolicy",
}


def _queue_attributes(inputs: Properties) -> dict[str, str]:
    return {
        attribute: str(inputs[one]).lower() if isinstance(inputs[one], bool) else str(inputs[one])
        for one, attribute in _QUEUE_ATTRIBUTES.items()
        if inputs.get(one) is not None
    }


def _create_queue(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    url = aws["sqs"].create_queue(QueueName=inputs["name"], Attributes=_queue_attributes(inputs))[
        "QueueUrl"
    ]
    return url, _queue(aws, url)


def _update_queue(aws: Clients, url: str, inputs: Properties) -> Properties:
    aws["sqs"].set_queue_attributes(QueueUrl=url, Attributes=_queue_attributes(inputs))
    return _queue(aws, url)


def _queue(aws: Clients, url: str) -> Properties:
    found = aws["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return {"url": url, "arn": found["Attributes"]["QueueArn"]}


def _put_queue_policy(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    url = inputs["queueUrl"]
    aws["sqs"].set_queue_attributes(QueueUrl=url, Attributes={"Policy": inputs["policy"]})
    return url, {}


def _create_table(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    made = aws["dynamodb"].create_table(
        TableName=inputs["name"],
        BillingMode=inputs["billingMode"],
        KeySchema=[{"AttributeName": inputs["hashKey"], "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": one["name"], "AttributeType": one["type"]}
            for one in inputs["attributes"]
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": one["name"],
                "KeySchema": [_pascal_case(key) for key in one["keySchemas"]],
                "Projection": {
                    "ProjectionType": one["projectionType"],
                    "NonKeyAttributes": one["nonKeyAttributes"],
                },
            }
            for one in inputs["globalSecondaryIndexes"]
        ],
    )["TableDescription"]
    _update_table(aws, inputs["name"], inputs)
    return inputs["name"], {"arn": made["TableArn"]}


def _update_table(aws: Clients, name: str, inputs: Properties) -> Properties:
    time_to_live = _pascal_case(inputs["ttl"])
    found = aws["dynamodb"].describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    if (found["TimeToLiveStatus"] == "ENABLED") != time_to_live["Enabled"]:
        aws["dynamodb"].update_time_to_live(TableName=name, TimeToLiveSpecification=time_to_live)
    return {"arn": aws["dynamodb"].describe_table(TableName=name)["Table"]["TableArn"]}


def _schedule(inputs: Properties) -> Properties:
    return {
        "Name": inputs["name"],
        "ScheduleExpression": inputs["scheduleExpression"],
        "FlexibleTimeWindow": _pascal_case(inputs["flexibleTimeWindow"]),
        "Target": _pascal_case(inputs["target"]),
    }


def _create_schedule(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    arn = aws["scheduler"].create_schedule(**_schedule(inputs))["ScheduleArn"]
    return f"default/{inputs['name']}", {"arn": arn}


def _update_schedule(aws: Clients, _: str, inputs: Properties) -> Properties:
    return {"arn": aws["scheduler"].update_schedule(**_schedule(inputs))["ScheduleArn"]}


# SNS, CloudWatch


def _create_topic(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    arn = aws["sns"].create_topic(Name=inputs["name"])["TopicArn"]
    return arn, {"arn": arn}


def _put_topic_policy(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    aws["sns"].set_topic_attributes(
        TopicArn=inputs["arn"], AttributeName="Policy", AttributeValue=inputs["policy"]
    )
    return inputs["arn"], {}


def _create_subscription(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    arn = aws["sns"].subscribe(
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    return arn, {"arn": arn}


_ALARM_SETTINGS = (
    "alarmActions",
    "alarmDescription",
    "comparisonOperator",
    "datapointsToAlarm",
    "evaluationPeriods",
    "insufficientDataActions",
    "metricName",
    "namespace",
    "period",
    "statistic",
    "threshold",
    "treatMissingData",
)


def _put_alarm(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    aws["cloudwatch"].put_metric_alarm(
        AlarmName=inputs["name"],
        Dimensions=[{"Name": name, "Value": value} for name, value in inputs["dimensions"].items()],
        **_pascal_case({key: inputs[key] for key in _ALARM_SETTINGS}),
    )
    (found,) = aws["cloudwatch"].describe_alarms(AlarmNames=[inputs["name"]])["MetricAlarms"]
    return inputs["name"], {"arn": found["AlarmArn"]}


def _put_dashboard(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    aws["cloudwatch"].put_dashboard(
        DashboardName=inputs["dashboardName"], DashboardBody=inputs["dashboardBody"]
    )
    return inputs["dashboardName"], {}


# EventBridge


def _put_rule(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    arn = aws["events"].put_rule(
        Name=inputs["name"],
        Description=inputs.get("description", ""),
        EventPattern=inputs["eventPattern"],
    )["RuleArn"]
    return inputs["name"], {"arn": arn}


def _put_target(aws: Clients, inputs: Properties) -> tuple[str, Properties]:
    target = {"Id": inputs["targetId"], "Arn": inputs["arn"]}
    if dead_letters := inputs.get("deadLetterConfig"):
        target["DeadLetterConfig"] = {"Arn": dead_letters["arn"]}
    aws["events"].put_targets(Rule=inputs["rule"], Targets=[target])
    return inputs["targetId"], {}


KINDS: dict[str, Kind] = {
    "aws:s3/bucket:Bucket": Kind(
        create=_create_bucket,
        update=_bucket,
        delete=_delete_bucket,
        name_input="bucket",
        replaced_by=frozenset({"bucket"}),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _part_of_bucket(
        _put_ownership, "delete_bucket_ownership_controls"
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _part_of_bucket(
        _put_block, "delete_public_access_block"
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _part_of_bucket(_put_encryption, "delete_bucket_encryption")
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _part_of_bucket(
        _put_lifecycle, "delete_bucket_lifecycle"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _part_of_bucket(_put_bucket_policy, "delete_bucket_policy"),
    "aws:s3/bucketNotification:BucketNotification": _part_of_bucket(_put_notification),
    "aws:kms/key:Key": Kind(
        create=_create_key,
        update=_key,
        delete=lambda aws, id_, _: aws["kms"].schedule_key_deletion(KeyId=id_),
    ),
    "aws:iam/role:Role": Kind(
        create=_create_role,
        update=_update_role,
        delete=lambda aws, name, _: aws["iam"].delete_role(RoleName=name),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:iam/rolePolicy:RolePolicy": Kind(
        create=_put_role_policy,
        delete=_delete_role_policy,
        name_input="name",
        replaced_by=frozenset({"name", "role"}),
    ),
    "aws:cloudwatch/logGroup:LogGroup": Kind(
        create=_create_log_group,
        update=_log_group,
        delete=lambda aws, name, _: aws["logs"].delete_log_group(logGroupName=name),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:lambda/function:Function": Kind(
        create=_create_function,
        update=_update_function,
        delete=_delete_function,
        name_input="name",
        replaced_by=frozenset({"name", "architectures"}),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": Kind(
        create=_put_invoke_config,
        delete=_delete_invoke_config,
        replaced_by=frozenset({"functionName"}),
    ),
    "aws:lambda/permission:Permission": Kind(
        create=_create_permission,
        delete=_delete_permission,
        name_input="statementId",
        replaced_by=frozenset(
            {"action", "function", "principal", "sourceAccount", "sourceArn", "statementId"}
        ),
    ),
    "aws:sqs/queue:Queue": Kind(
        create=_create_queue,
        update=_update_queue,
        delete=lambda aws, url, _: aws["sqs"].delete_queue(QueueUrl=url),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": Kind(
        create=_put_queue_policy,
        delete=lambda _, __, ___: None,  # it goes with its queue
        replaced_by=frozenset({"queueUrl"}),
    ),
    "aws:dynamodb/table:Table": Kind(
        create=_create_table,
        update=_update_table,
        delete=lambda aws, name, _: aws["dynamodb"].delete_table(TableName=name),
        name_input="name",
        replaced_by=frozenset({"name", "hashKey"}),
    ),
    "aws:scheduler/schedule:Schedule": Kind(
        create=_create_schedule,
        update=_update_schedule,
        delete=lambda aws, _, state: aws["scheduler"].delete_schedule(Name=state["name"]),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:cloudwatch/eventRule:EventRule": Kind(
        create=_put_rule,
        delete=lambda aws, name, _: aws["events"].delete_rule(Name=name),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": Kind(
        create=_put_target,
        delete=lambda aws, id_, state: aws["events"].remove_targets(Rule=state["rule"], Ids=[id_]),
        name_input="targetId",
        replaced_by=frozenset({"rule", "targetId"}),
    ),
    "aws:sns/topic:Topic": Kind(
        create=_create_topic,
        delete=lambda aws, arn, _: aws["sns"].delete_topic(TopicArn=arn),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:sns/topicPolicy:TopicPolicy": Kind(
        create=_put_topic_policy,
        delete=lambda _, __, ___: None,  # it goes with its topic
        replaced_by=frozenset({"arn"}),
    ),
    "aws:sns/topicSubscription:TopicSubscription": Kind(
        create=_create_subscription,
        delete=lambda aws, arn, _: aws["sns"].unsubscribe(SubscriptionArn=arn),
        replaced_by=frozenset({"endpoint", "protocol", "topic"}),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Kind(
        create=_put_alarm,
        delete=lambda aws, name, _: aws["cloudwatch"].delete_alarms(AlarmNames=[name]),
        name_input="name",
        replaced_by=frozenset({"name"}),
    ),
    "aws:cloudwatch/dashboard:Dashboard": Kind(
        create=_put_dashboard,
        delete=lambda aws, name, _: aws["cloudwatch"].delete_dashboards(DashboardNames=[name]),
        replaced_by=frozenset({"dashboardName"}),
    ),
}
