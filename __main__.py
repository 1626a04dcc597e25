"""Text your phone when a log lands in S3, and when one does not come.

A log that lands in the bucket makes S3 call `notify`. It claims each text in the ledger and sends
it by Twilio. A text that may not go now is held in a queue until `flush` sends each phone one
summary. A text that can never be delivered is kept in the queue `failed`, which raises an alarm.
"""

import pulumi

import handler
from infra.ledger import Ledger
from infra.monitoring import Monitoring
from infra.queues import FLUSH_SECONDS, TextQueues
from infra.runtime import Runtime
from infra.schedule import Schedule
from infra.settings import Settings

settings = Settings.load()  # every mistake at once, each with the command that fixes it

logs = settings.bucket("logs")  # a new bucket, or an existing one by EventBridge
ledger = Ledger("ledger", expects_logs=settings.expects_logs)  # each text and its count
queues = TextQueues("texts")  # held and failed
runtime = Runtime("functions", environment=settings.environment(ledger, queues))

notify = logs.on_object_created(
    "notify",
    handler.notify,
    filter_prefix=settings.filter_prefix,
    filter_suffix=settings.filter_suffix,
    runtime=runtime,
    failed=queues.failed,
    allow=[ledger.may_claim, queues.may_hold, *([logs.may_read] if settings.looks_inside else [])],
)

flush = Schedule(
    "flush",
    handler.flush,
    minutes=settings.flush_minutes,
    timeout_seconds=FLUSH_SECONDS,
    runtime=runtime,
    allow=[*ledger.may_flush, *queues.may_flush],
)

monitoring = Monitoring(
    "monitoring",
    stack=settings.stack,
    notify=notify,
    flush=flush,
    queues=queues,
    max_segments_per_day=settings.max_segments_per_day,
    has_routes=bool(settings.routes),
    expects_logs=settings.expects_logs,
    looks_inside=settings.looks_inside,
    email=settings.alarm_email,
)

for name, output in {
    "bucket": logs.name,
    "logKeys": settings.log_keys,
    "uploadCommand": settings.upload_command(logs.name),
    "notifyFunction": notify.func.name,
    "notifyLogGroup": notify.func.logging_config.log_group,
    "flushFunction": flush.function.name,
    "flushLogGroup": flush.function.logging_config.log_group,
    "heldQueue": queues.held.url,
    "failedQueue": queues.failed.url,
    "alarmTopic": monitoring.topic.arn,
    "dashboard": monitoring.address,
}.items():
    pulumi.export(name, output)
