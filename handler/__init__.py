"""All that runs in Lambda: `notify`, which S3 calls, and `flush`, which runs every few minutes.

Importing this package needs no environment and does nothing, except in Lambda, where it gets ready
for the first event: what Lambda imports while it starts a function is not waited for by an event.
"""

import functools
import gc
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from handler.flusher import Flusher
    from handler.notifier import Notifier


class Context(Protocol):
    """What is used of Lambda's context.

    Attributes:
        aws_request_id: Lambda's id of this request; the same when Lambda tries the event again.
    """

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """How long this invocation may still take."""


def notify(event: object, context: Context) -> None:
    """Text every phone about every log file in an event, or hold the text, or give it up.

    Args:
        event: What S3 says happened; see `handler.events.read` for its shapes.
        context: Lambda's context.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued, handler.outcomes.BeingSent: Some text has no
            end yet. Lambda tries the event again after one minute and after two, and then sends it
            to `failed`.
        handler.settings.SettingsError: The function's environment is incomplete.
    """
    notifier = _notifier()
    _log_as(context)
    notifier.notify(event, lambda: context.get_remaining_time_in_millis() / 1000)


def flush(event: object, context: Context) -> None:  # noqa: ARG001  # Lambda's signature
    """Text each phone once about all that is held for it.

    Args:
        event: The schedule's; it says nothing.
        context: Lambda's context.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached. What was held
            is held still.
        handler.settings.SettingsError: The function's environment is incomplete.
    """
    flusher = _flusher()
    _log_as(context)
    flusher.flush(lambda: context.get_remaining_time_in_millis() / 1000)


def _log_as(context: Context) -> None:
    """Let the lines of the log carry the id of this request."""
    from handler import log

    log.of_request(context.aws_request_id)


@functools.cache
def _notifier() -> "Notifier":
    parts = _parts(waited_for=True)
    from handler.notifier import Notifier

    return Notifier(**parts)


@functools.cache
def _flusher() -> "Flusher":
    parts = _parts(waited_for=False)
    from handler.flusher import Flusher

    return Flusher(**parts)


def _parts(*, waited_for: bool) -> dict[str, Any]:
    """Make what both functions consist of. Connections are opened first: imports take longer."""
    from handler import preconnect
    from handler.settings import Settings

    settings = Settings.from_environment(os.environ)
    if waited_for and settings.mode == "instant":
        preconnect.open_connection(settings.twilio_api_url)

    from handler.aws import Aws

    aws = Aws(os.environ)
    if waited_for:
        aws.preconnect("dynamodb")

    from handler import log
    from handler.ledger import Ledger
    from handler.outcomes import Outcomes
    from handler.queues import Queue
    from handler.sender import TwilioSender

    log.of_stack(settings.stack)
    return {
        "settings": settings,
        "sender": TwilioSender(settings),
        "outcomes": Outcomes(
            ledger=Ledger(aws, settings.ledger_table),
            held=Queue(aws, settings.held_queue),
            failed=Queue(aws, settings.failed_queue),
        ),
    }


# Lambda names the function to run in `_HANDLER`, a variable that nothing else may set.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
if _ready := {"handler.notify": _notifier, "handler.flush": _flusher}.get(
    os.environ.get("_HANDLER", "")
):
    # What is imported stays: to look for garbage in it would take 6 ms of a start, or of an event.
    gc.disable()
    _ready()
    gc.freeze()
    gc.enable()
