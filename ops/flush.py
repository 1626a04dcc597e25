"""One flush, run now: what it texted, what is held still, and why."""

import dataclasses
import datetime
import json
import time

from stack import log_lines, queues
from stack.deployed import OpsError, Stack, clock
from stack.log_lines import Line, counted

LOG_SECONDS = 30
"""How long CloudWatch may take to show the lines of a flush."""


@dataclasses.dataclass(frozen=True)
class Flushed:
    """What a flush did.

    Attributes:
        lines: What it logged.
        texted: What it texted, and how much failed, in sentences.
        held: What is held still, and why, as a sentence.
        some_are_held: Whether anything is.
    """

    lines: list[Line]
    texted: str
    held: str
    some_are_held: bool


def flush(stack: Stack) -> Flushed:
    """Run the function `flush` of a stack, and wait for its end.

    Raises:
        OpsError: It fails.
    """
    function = stack.aws["lambda"]
    name = stack.outputs["flushFunction"]
    # By AWS's clock, not this machine's.
    since = clock(function.get_function_configuration(FunctionName=name))
    answer = function.invoke(FunctionName=name)
    if "FunctionError" in answer:
        said = json.loads(answer["Payload"].read())
        raise OpsError(
            f"The flush failed: {said.get('errorType')}: {said.get('errorMessage')}. "
            f"What it did before: {stack.make('tail')}"
        )
    found = _logged(stack, since)
    left = queues.count(stack, "held")
    return Flushed(found, _texted(stack, found), _held(stack, found, left), left.all > 0)


def _logged(stack: Stack, since: datetime.datetime) -> list[Line]:
    """Return what flush logged, once CloudWatch shows its end."""
    until = time.monotonic() + LOG_SECONDS
    while True:
        found = [
            line
            for line in log_lines.read(stack, since=since)
            if line.function == "flush" and not line.of_lambda
        ]
        if any(line.ends_flush for line in found) or time.monotonic() > until:
            return found
        time.sleep(log_lines.POLL_SECONDS)


def _texted(stack: Stack, found: list[Line]) -> str:
    sent = [line for line in found if line.outcome == "sent"]
    failed = sum(line.outcome == "failed" for line in found)
    also = f" Failed: {failed} (why: {stack.make('status')})." if failed else ""
    if not any(line.ends_flush for line in found):
        return f"Flushed. Its log is not to be read yet; soon: {stack.make('tail')}"
    if any(line.outcome == "quiet hours" for line in found):
        return "Nothing was texted: it is quiet hours."
    if sent:
        files = sum(line.number("files") for line in sent)
        return f"Texted: {counted(files, 'file')} in {counted(len(sent), 'text')}.{also}"
    return f"Nothing was texted.{also}"


def _held(stack: Stack, found: list[Line], left: queues.Count) -> str:
    if not left.all:
        return "Nothing is held now."
    refusals = [line for line in found if line.refuses]
    # The last line of a flush repeats a refusal, without its phone.
    of_phones = [line for line in refusals if not line.ends_flush] or refusals
    reasons = list(dict.fromkeys(line.why for line in of_phones))
    if unknown := sum(int(line.number("for_other_settings")) for line in found):
        reasons.append(f"{counted(unknown, 'text')} for phones that its settings do not name")
    if any(line.outcome == "quiet hours" for line in found):
        reasons = ["quiet hours"]
    if left.hidden and not reasons:
        reasons = [
            f"another flush has {left.hidden} in hand; what it does not text comes back within "
            f"{left.hidden_minutes} min"
        ]
    why = "; ".join(reasons) or stack.make("status")
    return f"Still held: {left.all}. Why: {why}"
