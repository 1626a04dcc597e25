"""A text on somebody's phone when a log lands in S3.

Whoever uploads a log to the bucket makes S3 call `notify`, which claims each text in the ledger and
sends it by Twilio. What may not go now is held in a queue, until `flush` sends each phone one
summary. What no retry will mend is kept in the queue of those that failed. Alarms tell of that.
"""

import pulumi
import pulumi_aws as aws

import handler
from infra.existing_bucket import ExistingBucket
from infra.ledger import Ledger
from infra.log_bucket import LogBucket
from infra.monitoring import Monitoring
from infra.queues import FLUSH_SECONDS, TextQueues
from infra.schedule import Schedule
from infra.settings import Settings

settings = Settings.load()  # every mistake at once, each with the command that mends it

logs = (
    ExistingBucket("logs", bucket=settings.existing_bucket)
    if settings.existing_bucket
    else LogBucket(
        "logs",
        expire_after_days=settings.expire_logs_after_days,
        protect=settings.protect_bucket,
        force_destroy=settings.force_destroy,
    )
)

ledger = Ledger("ledger")  # who was told of which file, how often this hour

queues = TextQueues("texts")  # those that are held and those that failed

# Whoever may look at the functions but not use this key cannot read the Twilio secret in them.
secrets_key = aws.kms.Key(
    "secrets",
    description="The Twilio secret in the environment of the functions",
    enable_key_rotation=True,
)

environment = settings.for_handler(ledger, queues)

notify = logs.on_object_created(
    "notify",
    handler.notify,
    filter_prefix=settings.filter_prefix,
    filter_suffix=settings.filter_suffix,
    environment=environment,
    secrets_key=secrets_key,
    failed=queues.failed,
    allow=[ledger.may_claim, queues.may_hold],
)

flush = Schedule(
    "flush",
    handler.flush,
    minutes=settings.flush_minutes,
    timeout_seconds=FLUSH_SECONDS,
    environment=environment,
    secrets_key=secrets_key,
    allow=[
        ledger.may_claim,
        ledger.may_read_sent,
        ledger.may_read_reports,
        queues.may_drain,
        queues.may_fail,
    ],
)

monitoring = Monitoring(
    "monitoring",
    stack=settings.stack,
    notify=notify.func,
    flush=flush.function,
    queues=queues,
    flush_minutes=settings.flush_minutes,
    max_segments_per_day=settings.max_segments_per_day,
    email=settings.alarm_email,
)

example = settings.log_keys.replace("*", "example")
upload = pulumi.Output.format("aws s3 cp example.log 's3://{}/{}'", logs.name, example)

pulumi.export("bucket", logs.name)
pulumi.export("logKeys", settings.log_keys)
pulumi.export("uploadCommand", upload)
pulumi.export("notifyFunction", notify.func.name)
pulumi.export("notifyLogGroup", notify.func.logging_config.log_group)
pulumi.export("flushFunction", flush.function.name)
pulumi.export("flushLogGroup", flush.function.logging_config.log_group)
pulumi.export("heldQueue", queues.held.url)
pulumi.export("failedQueue", queues.failed.url)
pulumi.export("alarmTopic", monitoring.topic.arn)
pulumi.export("dashboard", monitoring.address)
