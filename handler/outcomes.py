"""The three outcomes of a text: sent, held, failed. Each is queued, logged and recorded."""

import functools
import json
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from handler import metrics, queue_messages
from handler.errors import (
    error_details,
    is_recorded,
    ledger_errors_logged,
    log_unexpected,
    unexpected_errors_logged,
)
from handler.events import LogFile, Unreadable
from handler.ledger import Ledger
from handler.log import Log
from handler.metrics import Metric
from handler.notice import Notice, by_file, shared_route_field
from handler.queues import Queue
from handler.refusals import Kind, Refusal
from handler.segments import segments

if TYPE_CHECKING:
    from handler.sender import SentText


class Outcomes:
    """Gives each text its outcome.

    Without a queue, it raises `handler.aws.AwsError` or `handler.queues.NotQueued`: the text has no
    outcome. Without the ledger, it logs that and goes on: a duplicate is better than a loss.
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

    def record_sent(
        self,
        phone: str,
        text: "SentText",
        notices: Sequence[Notice],
        *,
        summary_of: Sequence[str] = (),
        was_in_doubt: bool = False,
    ) -> bool:
        """Log and record that Twilio accepted a text. No error may lead to sending it again.

        Args:
            phone: Its phone.
            text: Twilio's record of it.
            notices: The one that it tells of; of a summary, those that this flush has received.
            summary_of: The ids of all that a summary tells of.
            was_in_doubt: Whether its answer was lost, and Twilio lists it.

        Returns:
            Whether the table has recorded all of it.
        """
        with unexpected_errors_logged(self._log, phone, sid=text.sid):
            missing = sum(not isinstance(notice.file, LogFile) for notice in notices)
            details: dict[str, Any] = shared_route_field(notices) | {"sid": text.sid}
            if summary_of:
                details["files"] = len(summary_of) - missing
            if missing:
                details["missing"] = missing
            if was_in_doubt:
                details["was_in_doubt"] = True
            measured: dict[Metric, float] = {
                metrics.ACCEPTED: 1,
                metrics.SEGMENTS: segments(text.body),
            }
            if notices:
                # Twilio's clock and whole seconds may put a text before its log.
                waited = max(0.0, *(notice.file.age(text.created_at) for notice in notices))
                measured[metrics.SECONDS_HELD if summary_of else metrics.SECONDS_TO_TEXT] = waited
            self._log.decision(
                "sent",
                file=None if summary_of else notices[0].file,
                phone=phone,
                measured=measured,
                **details,
            )
        return self._record(phone, summary_of or [notices[0].id], text.sid)

    def record_rest(self, phone: str, ids: Sequence[str]) -> bool:
        """Record that texts were sent whose SID an earlier flush has recorded, and logged.

        Returns:
            Whether the table has recorded all of them.
        """
        return self._record(phone, ids, "")

    def _record(self, phone: str, ids: Sequence[str], sid: str) -> bool:
        record = functools.partial(self._ledger.record_sent, ids, sid)
        try:
            return is_recorded(self._log, len(ids), record)
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            log_unexpected(self._log, error, phone, sid=sid)
            return False

    def hold(
        self,
        notices: Sequence[Notice],
        reason: str,
        refusal: Refusal | None = None,
        *,
        unclaimed: Collection[Notice] = (),
    ) -> None:
        """Hold texts about one file until a flush takes them up again.

        Args:
            notices: The texts, each for another phone.
            reason: Why they may not go now.
            refusal: Twilio's refusal, if it was asked.
            unclaimed: Those that could not be claimed: another process may have sent them.
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
                in_doubt = reason == Kind.IN_DOUBT or notice in unclaimed
                with ledger_errors_logged(self._log, 1):
                    self._ledger.hold(notice, in_doubt=in_doubt)

    def fail(self, notices: Sequence[Notice], refusal: Refusal, *, in_doubt: bool = False) -> None:
        """Fail texts that no retry will help.

        Args:
            notices: The texts.
            refusal: Twilio's refusal, or why it could not be asked.
            in_doubt: Whether they may have been sent. After a redrive Twilio is asked for them.
        """
        measured = {metrics.FAILED: 1}
        self._fail(notices, measured, in_doubt, reason=refusal.kind, **refusal.details)

    def fail_unexpected(
        self, notices: Sequence[Notice], error: Exception, *, in_doubt: bool = False
    ) -> None:
        """Fail texts that met an exception which this program did not foresee."""
        measured = {metrics.FAILED: 1, metrics.UNEXPECTED: 1}
        self._fail(notices, measured, in_doubt, **error_details(error))

    def _fail(
        self,
        notices: Sequence[Notice],
        measured: Mapping[Metric, float],
        in_doubt: bool,
        **details: str,
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
                for notice in notices:
                    self._ledger.fail(notice, in_doubt=in_doubt)

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
