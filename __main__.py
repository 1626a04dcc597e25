"""A text on somebody's phone when a log lands in S3.

Whoever uploads a log to the bucket makes S3 call the function `notify`, which texts every phone by
Twilio. What Lambda gave up on is kept in the queue `failed`.
"""

import pulumi
import pulumi_aws as aws

import handler
from infra.log_bucket import LogBucket
from infra.settings import Settings
from infra.texts import Texts

settings = Settings.load()  # every mistake at once, each with the command that mends it

logs = LogBucket(
    "logs",
    expire_after_days=settings.expire_logs_after_days,
    protect=settings.protect_bucket,
    force_destroy=settings.force_destroy,
)

texts = Texts("texts")  # those that failed

# Whoever may look at the functions but not use this key cannot read the Twilio secret in them.
secrets_key = aws.kms.Key(
    "secrets",
    description="The Twilio secret in the environment of the functions",
    enable_key_rotation=True,
)

notify = logs.on_object_created(
    "notify",
    handler.notify,
    filter_prefix=settings.filter_prefix,
    filter_suffix=settings.filter_suffix,
    environment=settings.for_handler(),
    secrets_key=secrets_key,
    failed=texts.failed,
)

region = notify.func.arn.apply(lambda arn: arn.split(":")[3])
example = f"{settings.filter_prefix}example{settings.filter_suffix}"
pulumi.export("bucket", logs.bucket.id)
pulumi.export(
    "uploadCommand",
    pulumi.Output.concat("aws s3 cp example.log 's3://", logs.bucket.id, f"/{example}'"),
)
pulumi.export("notifyFunction", notify.func.name)
pulumi.export("notifyLogGroup", notify.func.logging_config.log_group)
pulumi.export(
    "console",
    pulumi.Output.concat(
        "https://", region, ".console.aws.amazon.com/lambda/home#/functions/", notify.func.name
    ),
)
