"""A bucket that another program owns, and `on_object_created` for it, by EventBridge.

S3 keeps one notification configuration for a bucket, which this stack would overwrite. EventBridge
is switched on once for the whole bucket, and then any program may listen: see docs/deploy.md.
"""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Unpack

import pulumi
import pulumi_aws as aws

from infra import policy
from infra.function import FunctionOptions, Handler, PythonFunction
from infra.policy import Statement


@dataclasses.dataclass(frozen=True, kw_only=True)
class EventSubscription:
    """A rule that calls a function for each new object.

    Attributes:
        rule: The rule of EventBridge.
        func: The function.
        permission: The permission of this rule to call the function.
    """

    rule: aws.cloudwatch.EventRule
    func: aws.lambda_.Function
    permission: aws.lambda_.Permission


class ExistingBucket(pulumi.ComponentResource):
    """A bucket that this stack does not own, and never changes.

    Attributes:
        name: The bucket's name.
    """

    name: pulumi.Output[str]

    def __init__(
        self, name: str, *, bucket: str, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """Name the bucket.

        Args:
            name: The component's name.
            bucket: The bucket's name. It must be in the stack's region.
            opts: Pulumi's options.
        """
        super().__init__("s3logs:infra:ExistingBucket", name, None, opts)
        self.name = pulumi.Output.from_input(bucket)
        self._bucket = bucket
        self.register_outputs({"name": bucket})

    @property
    def may_read(self) -> Statement:
        """The permission to read its logs, and each version of one."""
        caller = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self))
        partition = caller.arn.apply(lambda arn: arn.split(":")[1])
        arn = pulumi.Output.format("arn:{}:s3:::{}", partition, self.name)
        return policy.may_read(arn, has_versions=True)

    def on_object_created(
        self,
        name: str,
        handler: Handler,
        *,
        filter_prefix: str = "",
        filter_suffix: str | Sequence[str] = "",
        **options: Unpack[FunctionOptions],
    ) -> EventSubscription:
        """Call a function for each new object; see `LogBucket.on_object_created`.

        Args:
            name: The subscription's name, and that of the function.
            handler: A plain Python function.
            filter_prefix: Only objects whose key begins with this.
            filter_suffix: Only objects whose key ends with this, or with one of several.
            options: The function's options.

        Raises:
            pulumi.RunError: Lambda cannot import the handler.
        """
        child = pulumi.ResourceOptions(parent=self)
        function = PythonFunction(name, handler, opts=child, **options).function
        rule = aws.cloudwatch.EventRule(
            name,
            description=f"Logs that land in {self._bucket}",
            event_pattern=json.dumps(
                pattern(self._bucket, filter_prefix, filter_suffix),
                sort_keys=True,
                separators=(",", ":"),
            ),
            opts=child,
        )
        permission = aws.lambda_.Permission(
            name,
            function=function.name,
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            opts=child,
        )
        failed = options.get("failed")
        dependencies: list[pulumi.Resource] = [permission]
        if failed:
            dependencies.append(
                aws.sqs.QueuePolicy(
                    name,
                    queue_url=failed.url,
                    policy=policy.document(
                        policy.may_dead_letter("events.amazonaws.com", failed.arn, rule.arn)
                    ),
                    opts=child,
                )
            )
        aws.cloudwatch.EventTarget(
            name,
            rule=rule.name,
            arn=function.arn,
            # Without it EventBridge drops an event that it could not deliver for a day.
            dead_letter_config={"arn": failed.arn} if failed else None,
            opts=pulumi.ResourceOptions(parent=self, depends_on=dependencies),
        )
        return EventSubscription(rule=rule, func=function, permission=permission)


def pattern(bucket: str, prefix: str, suffix: str | Sequence[str]) -> dict[str, Any]:
    """Return EventBridge's pattern for the objects created in a bucket.

    An event matches a pattern if one of several values matches. So one wildcard has both ends of a
    key.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    detail: dict[str, Any] = {"bucket": {"name": [bucket]}}
    suffixes = [suffix] if isinstance(suffix, str) else sorted(suffix)
    if prefix or "" not in suffixes:
        keys = [f"{_literal(prefix)}*{_literal(one)}" for one in suffixes]
        detail["object"] = {"key": [{"wildcard": key} for key in keys]}
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}


def _literal(end: str) -> str:
    """Escape an end of a key for a wildcard."""
    return end.replace("\\", "\\\\").replace("*", "\\*")
