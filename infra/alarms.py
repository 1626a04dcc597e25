"""The alarms of a stack, each with its meaning and the operator's next step."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi

from handler import metrics

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
        meaning: The event behind the alarm.
        next_step: The next step; the description adds the stack to its commands.
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
    meaning: str
    next_step: str
    section: str

    def description(self, stack: str) -> str:
        """Return the text of an e-mail about it."""
        name = stack.rpartition("/")[2]
        # Its reader may work on another stack: a pasted command must act on this one.
        next_step = _MAKE.sub(rf"\g<0> STACK={name}", self.next_step)
        next_step = _PULUMI.sub(rf"\g<0> --stack {name}", next_step)
        return f"{stack}: {self.meaning} {next_step} See {RUNBOOK}#{self.section}"


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
        max_segments_per_day: How many segments a day are expected at most.
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
            meaning="No retry can send some texts, or AWS gave up on an event.",
            next_step="make status shows why; fix it, then make redrive.",
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
            meaning="Texts have waited for over an hour: Twilio accepts none, or there are too "
            "many for a flush.",
            next_step="None is lost. make status shows them.",
            section="texts-come-late",
        ),
        Alarm(
            name="settings-refused",
            metric=metrics.SETTINGS_REFUSED.name,
            dimensions=dimensions,
            period_minutes=flush_period,
            evaluation_periods=2,
            meaning="Twilio refuses the credentials, the sender or a country, or gives an unknown "
            "reason.",
            next_step="The texts are held, none is lost. make status shows the code; fix the "
            "setting.",
            section="twilio-refuses-us",
        ),
        Alarm(
            name="undelivered",
            metric=metrics.UNDELIVERED.name,
            dimensions=dimensions,
            meaning="Twilio accepted texts, but could not deliver them.",
            next_step="make status shows the codes.",
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
            meaning="The function notify keeps failing.",
            next_step="Lambda puts events that it gives up on into the queue failed. make tail "
            "shows why.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-lost",
            namespace="AWS/Lambda",
            metric="DestinationDeliveryFailures",
            dimensions={"FunctionName": notify},
            meaning="Lambda gave up on an event, and could not put it into the queue failed: its "
            "texts are lost.",
            next_step="If the queue or a permission was deleted: pulumi refresh && pulumi up.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-throttled",
            namespace="AWS/Lambda",
            metric="Throttles",
            dimensions={"FunctionName": notify},
            meaning="AWS limits how many copies of notify run at once: texts come late, none is "
            "lost.",
            next_step="If it goes on, ask AWS for a higher limit of concurrent executions.",
            section="texts-come-late",
        ),
        Alarm(
            name="flush-errors",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": flush},
            period_minutes=flush_period,
            evaluation_periods=2,
            meaning="A flush has failed. Held texts stay held.",
            next_step="make tail shows why; make flush tries again at once.",
            section="a-function-fails",
        ),
        Alarm(
            name="flush-missing",
            metric=metrics.FLUSHES.name,
            dimensions=dimensions,
            period_minutes=flush_period,
            missing_periods=MISSING_FLUSHES,
            meaning="No flush has reported lately. Held texts stay held.",
            next_step="make flush runs it at once and shows the error.",
            section="nothing-is-heard-from-flush",
        ),
        Alarm(
            name="claims-failing-open",
            metric=metrics.FAILED_OPEN.name,
            dimensions=dimensions,
            meaning="The ledger cannot be reached: new texts go out, but may go out twice or too "
            "often. Held texts wait.",
            next_step="DynamoDB may be down, or the table or a permission deleted. make tail "
            "shows the error.",
            section="too-many-texts",
        ),
        Alarm(
            name="unexpected",
            metric=metrics.UNEXPECTED.name,
            dimensions=dimensions,
            meaning="An unknown error stopped a text. The other texts were not affected.",
            next_step="make tail shows its class; make redrive tries the failed texts again.",
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
            meaning=f"More than maxSegmentsPerDay ({max_segments_per_day}) segments in a day.",
            next_step="If that is too much: pulumi config set maxTextsPerHour 10 && pulumi up.",
            section="too-many-texts",
        ),
    )
