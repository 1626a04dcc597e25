"""The bucket that logs are uploaded to, and `on_object_created`."""

import dataclasses
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, Literal, Unpack, overload

import pulumi
import pulumi_aws as aws

from infra import policy
from infra.function import FunctionOptions, Handler, PythonFunction
from infra.policy import Statement

Event = Literal["*", "Put", "Post", "Copy", "CompleteMultipartUpload"]
"""How an object is created; `*` is any. A large upload is a CompleteMultipartUpload."""

ABORT_UPLOADS_AFTER_DAYS = 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subscription:
    """A subscription: S3 calls a function for each new object.

    Attributes:
        bucket: The bucket.
        func: The function.
        permission: The permission of this bucket, in this account, to call the function.
    """

    bucket: aws.s3.Bucket
    func: aws.lambda_.Function
    permission: aws.lambda_.Permission


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Filter:
    """The objects of a subscription."""

    event: Event
    prefix: str
    suffix: str

    def overlaps(self, other: "_Filter") -> bool:
        """Whether one object could match both, which S3 refuses."""
        return (
            ("*" in {self.event, other.event} or self.event == other.event)
            and _in_either_order(str.startswith, self.prefix, other.prefix)
            and _in_either_order(str.endswith, self.suffix, other.suffix)
        )


class LogBucket(pulumi.ComponentResource):
    """A private bucket: encrypted, TLS only, owned by its account alone.

    Attributes:
        bucket: The bucket.
        name: The bucket's name.
        may_read: The permission to read its logs.
        notification: Its one notification configuration, for all subscriptions.
    """

    bucket: aws.s3.Bucket
    name: pulumi.Output[str]
    may_read: Statement
    notification: aws.s3.BucketNotification

    def __init__(
        self,
        name: str,
        *,
        expire_after_days: int = 0,
        protect: bool = False,
        force_destroy: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the bucket.

        Args:
            name: Its name; AWS's name begins with it.
            expire_after_days: The days after which S3 deletes objects. 0: never.
            protect: Refuse to delete the bucket.
            force_destroy: Delete the bucket even if it has objects, and delete these too.
            opts: Pulumi's options.
        """
        super().__init__("s3logs:infra:LogBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._name = name
        self._filters: dict[str, Sequence[_Filter]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._configured = False

        self.bucket = aws.s3.Bucket(
            name,
            force_destroy=force_destroy,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=self.bucket.id,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=child,
        )
        private = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=self.bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name, bucket=self.bucket.id, rules=_lifecycle(expire_after_days), opts=child
        )
        aws.s3.BucketPolicy(
            name,
            bucket=self.bucket.id,
            policy=policy.document(policy.tls_only(self.bucket.arn)),
            # S3 refuses two changes of a bucket's access at the same time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        # S3 keeps one notification configuration for a bucket, and a second one would silently
        # overwrite it. Pulumi reads its rules after the program's body has ended, so they include
        # every subscription.
        rules: pulumi.Output[list[aws.s3.BucketNotificationLambdaFunctionArgs]] = (
            pulumi.Output.from_input(self._rules())
        )
        permissions: pulumi.Output[list[pulumi.Resource]] = pulumi.Output.from_input(
            self._permissions()
        )
        self.notification = aws.s3.BucketNotification(
            name,
            bucket=self.bucket.id,
            lambda_functions=rules,
            opts=pulumi.ResourceOptions(parent=self, depends_on=permissions),
        )
        self.name = self.bucket.id
        self.may_read = policy.may_read(self.bucket.arn, has_versions=False)
        self.register_outputs({"bucket": self.bucket.id})

    @overload
    def on_object_created(
        self,
        name: str,
        handler: Handler,
        *,
        event: Event = "*",
        filter_prefix: str = "",
        filter_suffix: str | Sequence[str] = "",
        **options: Unpack[FunctionOptions],
    ) -> Subscription: ...

    @overload
    def on_object_created(
        self,
        name: str,
        handler: aws.lambda_.Function,
        *,
        event: Event = "*",
        filter_prefix: str = "",
        filter_suffix: str | Sequence[str] = "",
    ) -> Subscription: ...

    def on_object_created(
        self,
        name: str,
        handler: Handler | aws.lambda_.Function,
        *,
        event: Event = "*",
        filter_prefix: str = "",
        filter_suffix: str | Sequence[str] = "",
        **options: Any,
    ) -> Subscription:
        """Call a function for each new object, as Node's `bucket.onObjectCreated`.

        Args:
            name: The subscription's name, and that of the function made for it.
            handler: A plain Python function, of which a Lambda function is made, or an existing
                Lambda function.
            event: How the object is created.
            filter_prefix: Only objects whose key begins with this.
            filter_suffix: Only objects whose key ends with this, or with one of several: each
                becomes a rule of the notification.
            options: The options of the Lambda function made of a plain Python function.

        Raises:
            pulumi.RunError: S3 or Lambda would refuse it: the name is taken, the filter overlaps
                another one's, or the handler cannot be imported.
        """
        suffixes = [filter_suffix] if isinstance(filter_suffix, str) else sorted(filter_suffix)
        if not suffixes:
            raise pulumi.RunError(
                f"{self._name}.on_object_created({name!r}): filter_suffix lists no suffix. "
                'Leave it out, or give "", for objects with any suffix.'
            )
        self._check(
            name,
            [_Filter(event=event, prefix=filter_prefix, suffix=suffix) for suffix in suffixes],
        )
        child = pulumi.ResourceOptions(parent=self)
        if isinstance(handler, aws.lambda_.Function):
            if options:
                raise pulumi.RunError(
                    f"{self._name}.on_object_created({name!r}): {', '.join(options)} "
                    "cannot be given with a Lambda function that exists already."
                )
            func = handler
        else:
            func = PythonFunction(name, handler, opts=child, **options).function
        permission = aws.lambda_.Permission(
            name,
            function=func.name,
            action="lambda:InvokeFunction",
            principal="s3.amazonaws.com",
            source_arn=self.bucket.arn,
            # Another account can take the name of a deleted bucket.
            source_account=aws.get_caller_identity_output(
                opts=pulumi.InvokeOutputOptions(parent=self)
            ).account_id,
            opts=child,
        )
        subscription = Subscription(bucket=self.bucket, func=func, permission=permission)
        self._subscriptions[name] = subscription
        return subscription

    def _check(self, name: str, filters: Sequence[_Filter]) -> None:
        call = f"{self._name}.on_object_created({name!r})"
        if self._configured:
            raise pulumi.RunError(
                f"{call}: too late. Subscribe in the program's body, not inside apply()."
            )
        if name in self._filters:
            raise pulumi.RunError(f"{call}: this name is taken. Choose another one.")
        others = [(repr(other), one) for other, found in self._filters.items() for one in found]
        for new in filters:
            for other, other_filter in others:
                if new.overlaps(other_filter):
                    raise pulumi.RunError(
                        f"{call}: its filter overlaps that of {other}, and S3 would refuse both "
                        f"({_describe(new)}; {other}: {_describe(other_filter)}). "
                        "Make the prefixes or the suffixes exclude each other."
                    )
            others.append(("itself", new))
        self._filters[name] = filters

    async def _rules(self) -> list[aws.s3.BucketNotificationLambdaFunctionArgs]:
        self._configured = True
        return [
            aws.s3.BucketNotificationLambdaFunctionArgs(
                # No function's name has a period, so no other subscription has this id.
                id=f"{name}.{number}" if len(self._filters[name]) > 1 else name,
                lambda_function_arn=subscription.func.arn,
                events=[f"s3:ObjectCreated:{one.event}"],
                filter_prefix=_encoded(one.prefix),
                filter_suffix=_encoded(one.suffix),
            )
            for name, subscription in sorted(self._subscriptions.items())
            for number, one in enumerate(self._filters[name], 1)
        ]

    async def _permissions(self) -> list[pulumi.Resource]:
        return [subscription.permission for subscription in self._subscriptions.values()]


def _lifecycle(expire_after_days: int) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
    every = aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
    rules = [
        aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="abort-incomplete-uploads",
            status="Enabled",
            filter=every,
            abort_incomplete_multipart_upload=(
                aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=ABORT_UPLOADS_AFTER_DAYS
                )
            ),
        )
    ]
    if expire_after_days:
        rules.append(
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="expire-logs",
                status="Enabled",
                filter=every,
                expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                    days=expire_after_days
                ),
            )
        )
    return rules


def _in_either_order(test: Callable[[str, str], bool], one: str, other: str) -> bool:
    return test(one, other) or test(other, one)


def _encoded(value: str) -> str:
    """Encode a filter's value, which S3 keeps form-encoded, except for its safe characters.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
    """
    return urllib.parse.quote_plus(value, safe="/!-_.*'()")


def _describe(new: _Filter) -> str:
    return f"{new.event}, prefix {new.prefix!r}, suffix {new.suffix!r}"
