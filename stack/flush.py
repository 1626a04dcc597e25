"""Run a flush now, and report the texts that it sent, those still held, and why."""

import dataclasses
import datetime
import json

from stack import log_lines, queues
from stack.deployed import Stack, StackError, answered_at
from stack.log_lines import Line, plural
from stack.waiting import NotInTime, wait_until

LOG_SECONDS = 30
"""How long CloudWatch may take to show the lines of a flush."""


@dataclasses.dataclass(frozen=True)
class Report:
    """The report of a flush.

    Attributes:
        lines: The lines that it logged.
        texted: How many files it texted, and how many failed, in sentences.
        held: How many texts are still held, and why, as a sentence.
        any_held: Whether there are any.
    """

    lines: list[Line]
    texted: str
    held: str
    any_held: bool


def run_flush(stack: Stack) -> Report:
    """Run the function `flush` of a stack, and wait for its end.

    Raises:
        StackError: It fails.
    """
    function = stack.aws["lambda"]
    name = stack.outputs["flushFunction"]
    # By AWS's clock, not this machine's.
    since = answered_at(function.get_function_configuration(FunctionName=name))
    answer = function.invoke(FunctionName=name)
    if "FunctionError" in answer:
        error = json.loads(answer["Payload"].read())
        raise StackError(
            f"The flush failed: {error.get('errorType')}: {error.get('errorMessage')}. "
            f"Its log: {stack.make('tail')}"
        )
    lines = _read_log(stack, since)
    held = queues.count(stack, "held")
    return Report(
        lines, _describe_texted(stack, lines), _describe_held(stack, lines, held), held.all > 0
    )


def _read_log(stack: Stack, since: datetime.datetime) -> list[Line]:
    """Return the lines of a flush: all of them, or those that CloudWatch shows in time."""

    def look() -> list[Line]:
        return [
            line
            for line in log_lines.read(stack, since=since, functions=["flush"])
            if not line.is_platform
        ]

    try:
        return wait_until(
            look,
            lambda lines: any(line.ends_flush for line in lines),
            seconds=LOG_SECONDS,
            poll_seconds=log_lines.POLL_SECONDS,
        )
    except NotInTime as error:
        seen: list[Line] = error.seen
        return seen


def _describe_texted(stack: Stack, lines: list[Line]) -> str:
    sent = [line for line in lines if line.outcome == "sent"]
    failed = sum(line.outcome == "failed" for line in lines)
    also = f" Failed: {failed} (why: {stack.make('status')})." if failed else ""
    if not any(line.ends_flush for line in lines):
        return f"Flushed. CloudWatch does not show its log yet. To see it: {stack.make('tail')}"
    if any(line.outcome == "quiet hours" for line in lines):
        return "Nothing was texted: these are quiet hours."
    if sent:
        files = sum(line.number("files") for line in sent)
        return f"Texted: {plural(files, 'file')} in {plural(len(sent), 'text')}.{also}"
    return f"Nothing was texted.{also}"


def _describe_held(stack: Stack, lines: list[Line], held: queues.Count) -> str:
    if not held.all:
        return "Nothing is held now."
    refusals = [line for line in lines if line.is_refusal]
    # The last line of a flush repeats a refusal, without its phone.
    of_phones = [line for line in refusals if not line.ends_flush] or refusals
    reasons = list(dict.fromkeys(line.reason for line in of_phones))
    if unknown := sum(int(line.number("for_other_settings")) for line in lines):
        reasons.append(f"{plural(unknown, 'text')} for phones that its settings do not name")
    if any(line.outcome == "quiet hours" for line in lines):
        reasons = ["quiet hours"]
    if held.hidden and not reasons:
        reasons = [
            f"another flush has received {held.hidden}; those it does not text come back within "
            f"{held.hidden_minutes} min"
        ]
    return f"Still held: {held.all}. Why: {'; '.join(reasons) or stack.make('status')}"
