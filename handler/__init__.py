"""All that runs in Lambda: `notify`, which S3 calls, and `flush`, which runs every few minutes.

Importing this package needs no environment and does nothing, except in Lambda. There it prepares
its function for the first event, while Lambda starts it.
"""

import functools
import gc
import os
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Context(Protocol):
    """The parts of Lambda's context that the functions use.

    Attributes:
        aws_request_id: Lambda's id of this request; the same when Lambda tries the event again.
    """

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """The milliseconds that this invocation has left."""


def notify(event: object, context: Context) -> None:
    """Send, hold or fail the text to every phone about every log file in an event.

    Args:
        event: S3's event; see `handler.events.read` for its shapes.
        context: Lambda's context.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued, handler.errors.LeaseHeld: Some text has no
            outcome yet. Lambda tries the event again after one minute and after two, and then
            sends it to `failed`.
        handler.environment.SettingsError: The function's environment is incomplete.
    """
    _process("notify").run(event, context)


def flush(event: object, context: Context) -> None:
    """Send each phone one summary of the texts that are held for it.

    Args:
        event: The schedule's event; it is not used.
        context: Lambda's context.

    Raises:
        handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached. Every text
            that was held stays held.
        handler.environment.SettingsError: The function's environment is incomplete.
    """
    _process("flush").run(event, context)


class _Process:
    """One process of a function: its connections, its log and its work, for all its events."""

    def __init__(self, function: str) -> None:
        """Build all parts, and open the connections first: the imports take longer."""
        from handler.environment import read_settings
        from handler.preconnect import Preconnector

        is_notify = function == "notify"
        settings = read_settings(os.environ)
        preconnector = Preconnector()
        if is_notify and settings.is_instant:
            preconnector.open(settings.twilio_api_url)

        from handler.aws import Aws
        from handler.connections import new_session

        session = new_session(preconnector)
        aws = Aws(os.environ, session)
        if is_notify:
            preconnector.open(aws.endpoint("dynamodb"))

        from handler.ledger import Ledger
        from handler.log import Log
        from handler.outcomes import Outcomes
        from handler.queues import Queue
        from handler.sender import TwilioSender
        from handler.table import Table

        self._log = Log(settings.stack)
        table = Table(aws, settings.ledger_table)
        ledger = Ledger(table)
        sender = TwilioSender(settings, session)
        held = Queue(aws, settings.held_queue)
        failed = Queue(aws, settings.failed_queue)
        parts: dict[str, Any] = {
            "settings": settings,
            "sender": sender,
            "ledger": ledger,
            "outcomes": Outcomes(ledger=ledger, held=held, failed=failed, log=self._log),
            "log": self._log,
        }
        if settings.expects_logs:  # most stacks expect none, and need not import it
            from handler.expected_logs import ExpectedLogs

            parts["expected"] = ExpectedLogs(settings, table=table, held=held, log=self._log)
        self._work: Callable[[object, Callable[[], float]], None]
        if is_notify:
            from handler.notifier import Notifier

            if settings.looks_inside:  # as above
                from handler.log_object import S3
                from handler.log_reader import LogReader

                s3 = S3(os.environ, session, endpoint=aws.endpoint("s3"))
                parts["reader"] = LogReader(settings, objects=s3, log=self._log)
            self._work = Notifier(**parts).notify
        else:
            from handler.flusher import new_flusher

            flusher = new_flusher(table=table, held=held, **parts)
            self._work = lambda _event, seconds_left: flusher.flush(seconds_left)

    def run(self, event: object, context: Context) -> None:
        """Work on one event."""
        self._log.request_id = context.aws_request_id
        self._work(event, lambda: context.get_remaining_time_in_millis() / 1000)


_process = functools.cache(_Process)  # Lambda keeps a process, and so its connections, for hours


# Lambda names the function to run in `_HANDLER`, a variable that nothing else may set.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
if _function := {"handler.notify": "notify", "handler.flush": "flush"}.get(
    os.environ.get("_HANDLER", "")
):
    # Imported code stays: looking for garbage in it would delay a start or an event.
    gc.disable()
    _process(_function)
    gc.freeze()
    gc.enable()
