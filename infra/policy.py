"""IAM policies: exact actions on exact resources, from pure functions."""

from collections.abc import Mapping
from typing import Any

import pulumi

Statement = Mapping[str, Any]
"""One statement of a policy; its values may be outputs."""


def document(*statements: Statement) -> pulumi.Output[str]:
    """Write a policy of these statements."""
    return json({"Version": "2012-10-17", "Statement": statements})


def json(policy: Mapping[str, Any]) -> pulumi.Output[str]:
    """Write a policy in the form that AWS returns, or each preview would show a difference."""
    return pulumi.Output.json_dumps(policy, sort_keys=True, separators=(",", ":"))


def assumed_by(service: str) -> Statement:
    """Let one AWS service assume the role."""
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": service}}


def may_log(log_group_arn: pulumi.Input[str]) -> Statement:
    """Allow writing to one log group, but creating none."""
    return {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": pulumi.Output.concat(log_group_arn, ":*"),
    }


def may_decrypt(key_arn: pulumi.Input[str]) -> Statement:
    """Allow decrypting with one key. Lambda does so with the environment when a function starts."""
    return {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key_arn}


def may_send(queue_arn: pulumi.Input[str]) -> Statement:
    """Allow sending to one queue."""
    return {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue_arn}


def may_read(bucket_arn: pulumi.Input[str], *, has_versions: bool) -> Statement:
    """Allow reading the objects of one bucket.

    Args:
        bucket_arn: The bucket.
        has_versions: Whether it may keep versions. Reading one by its id is an action of its own.
    """
    return {
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:GetObjectVersion"] if has_versions else "s3:GetObject",
        "Resource": pulumi.Output.concat(bucket_arn, "/*"),
    }


def may_invoke(function_arn: pulumi.Input[str]) -> Statement:
    """Allow calling one function."""
    return {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": function_arn}


def may_publish(
    service: str, topic_arn: pulumi.Input[str], account: pulumi.Input[str]
) -> Statement:
    """Let an AWS service publish to one topic, on behalf of one account."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }


def may_dead_letter(
    service: str, queue_arn: pulumi.Input[str], source_arn: pulumi.Input[str]
) -> Statement:
    """Let an AWS service send undelivered events of one source to one queue."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source_arn}},
    }


def tls_only(bucket_arn: pulumi.Input[str]) -> Statement:
    """Refuse all access to a bucket without TLS.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
