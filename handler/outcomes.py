"""The three outcomes of a text: sent, held, failed. Each is queued, logged and recorded."""

import json
from collections.abc import Mapping, Sequence

from handler import metrics, queue_messages
from handler.errors import error_details, ledger_errors_logged, unexpected_errors_logged
from handler.events import Unreadable
from handler.ledger import Ledger, State
from handler.log import Log
from handler.metrics import Metric
from handler.notice import Notice, by_file
from handler.queues import Queue
from handler.refusals import Refusal


class Outcomes:
    """Gives each text its outcome.

    A queue that cannot be reached raises `handler.aws.AwsError` or `handler.queues.NotQueued`: the
    text has no outcome then. A ledger that cannot be reached does not: a duplicate beats a loss.
    """

    def __init__(self, *, ledger: Ledger, held: Queue, failed: Queue, log: Log) -> None:
        """Make it.

        Args:
            ledger: Records the outcomes.
            held: The queue of the texts that a flush takes up again.
            failed: The queue of the texts that no retry will help.
            log: The log.
        """
        self._ledger = ledger
        self._held = held
        self._failed = failed
        self._log = log

    def record_sent(self, notices: Sequence[Notice], sid: str) -> None:
        """Record that Twilio accepted texts under one SID: one, or all of a summary."""
        with ledger_errors_logged(self._log, len(notices)):
            self._ledger.record_outcome(notices, State.SENT, sid)

    def hold(self, notices: Sequence[Notice], reason: str, refusal: Refusal | None = None) -> None:
        """Hold texts about one file until a flush takes them up again.

        Args:
            notices: The texts, each for another phone.
            reason: Why they may not go now.
            refusal: Twilio's refusal, if it was asked.
        """
        details = refusal.details if refusal else {}
        phones = [notice.phone for notice in notices]
        self._held.send([queue_messages.to_message(notices[0].file, phones, reason, **details)])
        for notice in notices:
            # It has its outcome: an error must not give it another one.
            with unexpected_errors_logged(self._log, notice.phone):
                self._log.decision(
                    "held",
                    level="WARN" if refusal else "INFO",
                    file=notice.file,
                    phone=notice.phone,
                    measured={metrics.HELD: 1, **refusal_metrics(refusal)},
                    reason=reason,
                    **notice.route_field,
                    **details,
                )
                with ledger_errors_logged(self._log, 1):
                    self._ledger.hold(notice)

    def fail(self, notices: Sequence[Notice], refusal: Refusal) -> None:
        """Fail texts that no retry will help, with Twilio's reason."""
        self._fail(notices, {metrics.FAILED: 1}, reason=refusal.kind, **refusal.details)

    def fail_unexpected(self, notices: Sequence[Notice], error: Exception) -> None:
        """Fail texts that met an exception which this program did not foresee."""
        measured = {metrics.FAILED: 1, metrics.UNEXPECTED: 1}
        self._fail(notices, measured, **error_details(error))

    def _fail(
        self, notices: Sequence[Notice], measured: Mapping[Metric, float], **details: str
    ) -> None:
        self._failed.send(
            [
                queue_messages.to_message(file, phones, **details)
                for file, phones in by_file(notices)
            ]
        )
        # They have their outcome: an error must not give them another one.
        with unexpected_errors_logged(self._log):
            for notice in notices:
                self._log.decision(
                    "failed",
                    level="ERROR",
                    file=notice.file,
                    phone=notice.phone,
                    measured=measured,
                    **notice.route_field,
                    **details,
                )
            with ledger_errors_logged(self._log, len(notices)):
                self._ledger.record_outcome(notices, State.FAILED)

    def release(self, notice: Notice) -> None:
        """Leave a text without an outcome to the next try of its event."""
        with ledger_errors_logged(self._log, 1):
            self._ledger.release(notice)

    def fail_unreadable(self, *items: Unreadable) -> None:
        """Fail records that this program cannot read, as they came.

        Args:
            items: The records; of one message, or of one event.
        """
        self._failed.send(
            [json.dumps({"unreadable": item.record, "reason": item.reason}) for item in items]
        )
        for item in items:
            self._log.decision(
                "failed",
                level="ERROR",
                measured={metrics.FAILED: 1},
                reason="unreadable",
                code="unreadable",
                meaning=item.reason,
            )

    def fail_message(self, body: str, error: Exception) -> None:
        """Fail a held message that met an exception which this program did not foresee."""
        details = error_details(error)
        self._failed.send([json.dumps({"unreadable": body, **details})])
        measured = {metrics.FAILED: 1, metrics.UNEXPECTED: 1}
        self._log.decision("failed", level="ERROR", measured=measured, **details)


def refusal_metrics(refusal: Refusal | None) -> dict[Metric, float]:
    """Count a refusal that lasts until an operator fixes its cause."""
    needs_operator = refusal and refusal.kind.needs_operator
    return {metrics.SETTINGS_REFUSED: 1} if needs_operator else {}
