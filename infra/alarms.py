"""The alarms of a stack, each with its meaning and the next step for an operator."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import pulumi

from handler import metrics

RUNBOOK = "docs/operations.md"

OLDEST_SECONDS = 60 * 60
"""How old a text may be that a flush cannot send."""

SILENT_FLUSHES = 3
"""How many flushes in a row may be missing."""


_MAKE = re.compile(r"\bmake (status|smoke|redrive|flush|tail)\b")
_PULUMI = re.compile(r"\bpulumi (config set|\w+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Alarm:
    """One alarm, over one metric. Without data it is quiet, unless it is about silence.

    No data is no trouble: a function that nobody calls and a queue that was idle for six hours
    send no metrics at all.

    Attributes:
        name: Its name among the stack's.
        namespace: The metric's namespace.
        metric: The metric's name.
        dimensions: The metric's dimensions.
        statistic: How CloudWatch combines the metric's values of one period.
        minutes: The length of one period.
        above: A period is bad when the metric is above this.
        bad_periods: The alarm is on when so many periods are bad, of the last `of_periods`.
        of_periods: How many periods the alarm looks at.
        silence: After how many periods without any data it is on, instead; 0 for never.
        means: The event that the alarm tells of.
        to_do: The next step; the description adds the stack to its commands.
        section: The section of the runbook that says more.
    """

    name: str
    namespace: str = metrics.NAMESPACE
    metric: str
    dimensions: Mapping[str, pulumi.Input[str]]
    statistic: Literal["Sum", "Maximum"] = "Sum"
    minutes: int = 5
    above: float = 0
    bad_periods: int = 1
    of_periods: int = 1
    silence: int = 0
    means: str
    to_do: str
    section: str

    def description(self, stack: str) -> str:
        """Return the text of an e-mail about it."""
        name = stack.rpartition("/")[2]
        # Its reader may work on another stack: a pasted command must act on this one.
        to_do = _MAKE.sub(rf"\g<0> STACK={name}", self.to_do)
        to_do = _PULUMI.sub(rf"\g<0> --stack {name}", to_do)
        return f"{stack}: {self.means} {to_do} See {RUNBOOK}#{self.section}"


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
    # A flush measures once. One bad period of two keeps an alarm on from flush to flush, even if
    # one of them is late: trouble that lasts is one e-mail.
    flush_period = max(5, flush_minutes)
    return (
        Alarm(
            name="failed",
            namespace="AWS/SQS",
            # Not NumberOfMessagesSent, which does not count what SQS or Lambda put there.
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": failed},
            statistic="Maximum",
            means="Texts have failed that no retry can send, or AWS gave up on an event.",
            to_do="make status shows why; fix it, then make redrive.",
            section="something-is-in-failed",
        ),
        Alarm(
            name="held-too-old",
            metric=metrics.BACKLOG_AGE.name,
            dimensions=dimensions,
            statistic="Maximum",
            above=OLDEST_SECONDS,
            minutes=flush_period,
            of_periods=2,
            means="Texts wait for over an hour: Twilio takes none, or a flush cannot take so many.",
            to_do="Nothing is lost. make status shows which.",
            section="texts-come-late",
        ),
        Alarm(
            name="settings-refused",
            metric=metrics.SETTINGS_REFUSED.name,
            dimensions=dimensions,
            minutes=flush_period,
            of_periods=2,
            means="Twilio refuses our credentials, our sender or a country, or for a new reason.",
            to_do="Nothing is lost, it is held. make status shows the code; fix the setting.",
            section="twilio-refuses-us",
        ),
        Alarm(
            name="undelivered",
            metric=metrics.UNDELIVERED.name,
            dimensions=dimensions,
            means="Twilio accepted texts that did not reach their phone.",
            to_do="make status shows the codes.",
            section="texts-are-accepted-but-do-not-arrive",
        ),
        Alarm(
            name="notify-errors",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": notify},
            # An event that fails for good fails in three different minutes: Lambda waits for one
            # and for two before it tries again. A sum over 15 minutes could be cut in two.
            minutes=1,
            bad_periods=3,
            of_periods=15,
            means="The function notify fails again and again.",
            to_do="Lambda keeps what it gives up on in the queue failed. make tail shows why.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-lost",
            namespace="AWS/Lambda",
            metric="DestinationDeliveryFailures",
            dimensions={"FunctionName": notify},
            means="Lambda gave up on an event, and could not put it to failed: its texts are lost.",
            to_do="Was the queue failed deleted, or a permission? pulumi refresh && pulumi up.",
            section="a-function-fails",
        ),
        Alarm(
            name="notify-throttled",
            namespace="AWS/Lambda",
            metric="Throttles",
            dimensions={"FunctionName": notify},
            means="AWS runs no more copies of notify at once: texts come late, none is lost.",
            to_do="If it goes on, ask AWS for a higher limit of concurrent executions.",
            section="texts-come-late",
        ),
        Alarm(
            name="flush-errors",
            namespace="AWS/Lambda",
            metric="Errors",
            dimensions={"FunctionName": flush},
            minutes=flush_period,
            of_periods=2,
            means="A flush has failed: what is held is held still.",
            to_do="make tail shows why; make flush tries again at once.",
            section="a-function-fails",
        ),
        Alarm(
            name="flush-silent",
            metric=metrics.FLUSHES.name,
            dimensions=dimensions,
            minutes=flush_period,
            silence=SILENT_FLUSHES,
            means="Nothing was heard from flush: what is held stays held.",
            to_do="make flush runs it at once and says what is wrong.",
            section="nothing-is-heard-from-flush",
        ),
        Alarm(
            name="claims-failing-open",
            metric=metrics.FAILED_OPEN.name,
            dimensions=dimensions,
            means="The ledger cannot be reached: texts go out, but may go out twice or too often.",
            to_do="Is DynamoDB in trouble, or the table or a permission gone? See make tail.",
            section="too-many-texts",
        ),
        Alarm(
            name="unexpected",
            metric=metrics.UNEXPECTED.name,
            dimensions=dimensions,
            means="The program met an error that it does not know. All other texts went on.",
            to_do="make tail shows its class; make redrive repeats what failed.",
            section="something-is-in-failed",
        ),
        Alarm(
            name="segments",
            metric=metrics.SEGMENTS.name,
            dimensions=dimensions,
            # A budget, counted by days. If CloudWatch's day is that of UTC, a flood over midnight
            # is in two days, and each of them may keep to the budget.
            minutes=24 * 60,
            above=max_segments_per_day,
            means=f"More than maxSegmentsPerDay ({max_segments_per_day}) segments in a day.",
            to_do="If that is too much: pulumi config set maxTextsPerHour 10 && pulumi up.",
            section="too-many-texts",
        ),
    )
