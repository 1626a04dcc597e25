"""The alarms of a stack: what happened, why it matters, and which command to run first."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi

from handler import metrics
from handler.held_messages import EXPIRES_AFTER_SECONDS

DAY = 24 * 60 * 60

RUNBOOK = "docs/operations.md"

MAX_HELD_SECONDS = 60 * 60
"""Seconds that a text may be held before the alarm."""

MISSING_FLUSHES = 3
"""The number of missed flushes in a row that raises the alarm."""


_MAKE = re.compile(r"\bmake (status|smoke|redrive|flush|tail)\b")
_PULUMI = re.compile(r"\bpulumi (config set|\w+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm, over one metric. Without data it is off, unless it is about missing data.

    Missing data is normal: an uncalled function, or a queue idle for six hours, sends no metrics.

    Attributes:
        name: Its name among the stack's.
        namespace: The metric's namespace.
        metric: The metric's name.
        dimensions: The metric's dimensions.
        statistic: How CloudWatch combines the metric's values of one period.
        period_minutes: The length of one period.
        threshold: The metric must be above this.
        datapoints_to_alarm: How many of the `evaluation_periods` must be above it.
        evaluation_periods: How many periods the alarm looks at.
        missing_periods: After how many periods without any data it is on, instead; 0 for never.
        event: The event that raised the alarm.
        effect: The effect on texts.
        command: The command to run first.
        result: The result of the command, and the next step. The description adds the stack to all
            commands.
        section: The section of the runbook that says more.
    """

    name: str
    namespace: str = metrics.NAMESPACE
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Sum", "Maximum"] = "Sum"
    period_minutes: int = 5
    threshold: float = 0
    datapoints_to_alarm: int = 1
    evaluation_periods: int = 1
    missing_periods: int = 0
    event: str
    effect: str
    command: str
    result: str
    section: str

    def description(self, stack: str) -> str:
        """Return the text of an e-mail about it."""
        name = stack.rpartition("/")[2]
        # Its reader may work on another stack: a pasted command must act on this one.
        commands = f"First run {self.command}: {self.result}"
        commands = _MAKE.sub(rf"\g<0> STACK={name}", commands)
        commands = _PULUMI.sub(rf"\g<0> --stack {name}", commands)
        return f"{stack}: {self.event} {self.effect} {commands} See {RUNBOOK}#{self.section}"


def alarms(
    *,
    stack: str,
    notify: pulumi.Input[str],
    flush: pulumi.Input[str],
    failed: pulumi.Input[str],
    flush_minutes: int,
    max_segments_per_day: int,
) -> Sequence[Alarm]:
    """Return the alarms of a stack.

    Args:
        stack: The project and the stack, as in the metrics' dimension.
        notify: The name of the function `notify`.
        flush: The name of the function `flush`.
        failed: The name of the queue `failed`.
        flush_minutes: How often a flush runs.
        max_segments_per_day: The segments a day above which an alarm is raised.
    """
    dimensions: Mapping[str, pulumi.Input[str]] = {metrics.STACK: stack}
    # A flush measures once. One period of two keeps an alarm on from flush to flush, even if
    # one of them is late: a lasting problem is one e-mail.
    flush_period = max(5, flush_minutes)
    return (
        Alarm(
            name="failed",
            namespace="AWS/SQS",
            # Not NumberOfMessagesSent, which does not count what SQS or Lambda put there.
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failed},
            statistic="Maximum",
            event="Texts or events are in the queue failed, since no retry can help.",
            effect="Their phones get no text.",
            command="make status",
            result="it shows why. Fix the cause, then run make redrive.",
            section="something-is-in-failed",
        ),
        Alarm(
            name="held-too-old",
            metric=metrics.BACKLOG_AGE.name,
            dimensions=dimensions,
            statistic="Maximum",
            threshold=MAX_HELD_SECONDS,
            period_minutes=flush_period,
            evaluation_periods=2,
            event="Texts have been held for over an hour: Twilio accepts none, or there are too "
            "many for a flush.",
            effect="They come late; none is lost.",
            command="make status",
            result="it shows why they are held.",
            section="texts-come-late",
        ),
        Alarm(
            name="settings-refused",
            metric=metrics.SETTINGS_REFUSED.name,
            dimensions=dimensions,
            period_minutes=flush_period,
            evaluation_periods=2,
            event="Twilio refuses the credentials, the sender or a country, or gives an unknown "
            "reason.",
            effect=f"The texts are held, and fail after {EXPIRES_AFTER_SECONDS // DAY} days.",
            command="make status",
            result="it shows Twilio's code. Fix that setting, here or at Twilio.",
            section="twilio-refuses-us",
        ),
        Alarm(
            name="undelivered",
            metric=metrics.UNDELIVERED.name,
            dimensions=dimensions,
            event="Twilio accepted texts, but could not deliver them.",
            effect="Their phones did not get them, and they are not sent again.",
            command="make status",
            result="it shows the codes.",
            section="texts-are-accepted-but-do-not-arrive",
        ),
        Alarm(
            name="notify-errors",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": notify},
            # Lambda tries an event three times, in three different minutes: it waits for one
            # minute and for two between the tries. A sum over 15 minutes could be cut in two.
            period_minutes=1,
            datapoints_to_alarm=3,
            evaluation_periods=15,
            event="The function notify keeps failing.",
            effect="Texts come late. Lambda puts events that it gives up on into the queue failed.",
            command="make tail",
            result="it shows the error.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-lost",
            namespace="AWS/Lambda",
            metric="DestinationDeliveryFailures",
            dimensions={"FunctionName": notify},
            event="Lambda gave up on an event, and could not put it into the queue failed.",
            effect="The texts about its logs are lost.",
            command="pulumi refresh && pulumi up",
            result="it restores a queue or a permission that was deleted.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-throttled",
            namespace="AWS/Lambda",
            metric="Throttles",
            dimensions={"FunctionName": notify},
            event="AWS limits how many copies of notify run at once.",
            effect="Texts come late; none is lost.",
            command="make status",
            result="it shows the last texts. If they keep coming late, ask AWS for a higher "
            "limit of concurrent executions.",
            section="texts-come-late",
        ),
        Alarm(
            name="flush-errors",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": flush},
            period_minutes=flush_period,
            evaluation_periods=2,
            event="A flush has failed.",
            effect="Held texts stay held, and nobody is told of missing logs.",
            command="make tail",
            result="it shows the error. Then make flush tries again at once.",
            section="a-function-fails",
        ),
        Alarm(
            name="flush-missing",
            metric=metrics.FLUSHES.name,
            dimensions=dimensions,
            period_minutes=flush_period,
            missing_periods=MISSING_FLUSHES,
            event="No flush has reported lately.",
            effect="Held texts stay held, and nobody is told of missing logs.",
            command="make flush",
            result="it runs a flush at once, and shows the error.",
            section="nothing-is-heard-from-flush",
        ),
        Alarm(
            name="claims-failing-open",
            metric=metrics.FAILED_OPEN.name,
            dimensions=dimensions,
            event="The functions cannot reach the ledger, a DynamoDB table.",
            effect="New texts go out, but may go out twice or too often. Held texts wait.",
            command="make tail",
            result="it shows the error. If the table or a permission was deleted: "
            "pulumi refresh && pulumi up.",
            section="too-many-texts",
        ),
        Alarm(
            name="unexpected",
            metric=metrics.UNEXPECTED.name,
            dimensions=dimensions,
            event="An error that this program does not know stopped a text, or the work on a "
            "delivery report.",
            effect="Other texts were not affected.",
            command="make tail",
            result="it shows the error's class. make redrive tries the failed texts again.",
            section="something-is-in-failed",
        ),
        Alarm(
            name="segments",
            metric=metrics.SEGMENTS.name,
            dimensions=dimensions,
            # A budget per day. If CloudWatch's day is that of UTC, a flood over midnight falls on
            # two days, and each of them may stay within the budget.
            period_minutes=24 * 60,
            threshold=max_segments_per_day,
            event=f"Twilio charged more than maxSegmentsPerDay ({max_segments_per_day}) in a day.",
            effect="Texts still go out, and cost money.",
            command="make status",
            result="it shows the last texts. To send fewer: "
            "pulumi config set maxTextsPerHour 10 && pulumi up.",
            section="too-many-texts",
        ),
    )
