"""Send each phone one summary of its held texts."""

import math
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from handler import metrics, queue_messages
from handler.attempts import Attempts, PhoneAttempt
from handler.aws import AwsError, batches
from handler.breaker import Breaker
from handler.delivery_reports import DeliveryReports
from handler.errors import missing_outcomes_logged, unexpected_errors_logged
from handler.events import Unreadable
from handler.held_messages import HeldMessages
from handler.ledger import Ledger
from handler.log import Log
from handler.outcomes import Outcomes
from handler.queues import BATCH, NotQueued, Queue
from handler.quiet_hours import QuietHours, quiet_routes, read_hours
from handler.report_index import ReportIndex
from handler.sender import SECONDS_TO_SEND, Sender
from handler.settings import Settings
from handler.settling import Run, Settler
from handler.summaries import Summaries
from handler.table import Table

if TYPE_CHECKING:
    from handler.expected_logs import ExpectedLogs

PROBING_SECONDS = 60 * 60
"""How long flushes only probe after one found an outage. Then one receives all messages again.

It must find the texts that expire, before SQS deletes them.
"""


def new_flusher(
    settings: Settings,
    *,
    table: Table,
    sender: Sender,
    ledger: Ledger,
    held: Queue,
    outcomes: Outcomes,
    log: Log,
    expected: "ExpectedLogs | None" = None,
    clock: Callable[[], float] = time.time,
    shuffle: Callable[[list[str]], None] = random.shuffle,
) -> "Flusher":
    """Make a flusher, with all parts that only a flush has."""
    attempts = Attempts(table, clock=clock)
    common: dict[str, Any] = {"sender": sender, "log": log, "clock": clock}
    settler = Settler(attempts=attempts, outcomes=outcomes, **common)
    summaries = Summaries(
        settings,
        ledger=ledger,
        attempts=attempts,
        settler=settler,
        outcomes=outcomes,
        expected=expected,
        **common,
    )
    return Flusher(
        settings,
        held=held,
        attempts=attempts,
        summaries=summaries,
        outcomes=outcomes,
        reports=DeliveryReports(index=ReportIndex(table, clock=clock), **common),
        log=log,
        expected=expected,
        clock=clock,
        shuffle=shuffle,
    )


class Flusher:
    """Sends each phone one summary of its held texts."""

    def __init__(
        self,
        settings: Settings,
        *,
        held: Queue,
        attempts: Attempts,
        summaries: Summaries,
        outcomes: Outcomes,
        reports: DeliveryReports,
        log: Log,
        expected: "ExpectedLogs | None" = None,
        clock: Callable[[], float] = time.time,
        shuffle: Callable[[list[str]], None] = random.shuffle,
    ) -> None:
        """Make one.

        Args:
            settings: The function's settings.
            held: The queue of the texts that are held.
            attempts: Knows the last attempt at a summary for each phone.
            summaries: Sends the texts.
            outcomes: Gives each text its outcome.
            reports: Asks for the delivery reports of texts.
            log: The log.
            expected: The logs that are expected, if any are.
            clock: The time, in seconds since the epoch.
            shuffle: Puts the phones of a flush into another order, in place.
        """
        self._shuffle = shuffle
        self._settings = settings
        self._hours = {  # of each route that texts somebody
            label: read_hours(route.quiet_hours, settings.zone)
            for label, route in settings.by_label.items()
            if route.to_numbers
        }
        self._held = held
        self._attempts = attempts
        self._summaries = summaries
        self._outcomes = outcomes
        self._log = log
        self._clock = clock
        self._reports = reports
        self._expected = expected
        self._probe_until = 0.0  # Lambda may forget it with the process: then a flush receives all

    def flush(self, seconds_left: Callable[[], float]) -> None:
        """Look for missing logs, drain the queue, text each phone, and ask for delivery reports.

        In quiet hours it texts nobody, and holds the texts about missing logs. A text that Twilio
        does not accept stays on the queue for the next flush.

        Args:
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A queue could not be reached, or refused
                a message. All else was done, and nothing is lost: undeleted messages come back.
        """
        unfinished: list[Exception] = []
        try:
            if self._expected:
                with unexpected_errors_logged(self._log):
                    self._expected.check()
            if self._is_quiet:
                self._log.decision("quiet hours", measured={metrics.FLUSHES: 1})
            else:
                messages = HeldMessages(
                    self._held,
                    settings=self._settings,
                    quiet_routes=self._quiet_routes,
                    log=self._log,
                    clock=self._clock,
                    record=self._expected.record if self._expected else None,
                )
                breaker = Breaker(math.inf, in_outage=self._clock() < self._probe_until)
                asking = Breaker(math.inf)
                self._flush(Run(messages, breaker, asking, seconds_left, [], set(), unfinished))
        finally:
            # The reports of earlier texts have nothing to do with an error of this flush.
            self._reports.run(seconds_left)
        if unfinished:
            raise unfinished[0]

    def _quiet_routes(self) -> dict[str, QuietHours]:
        return quiet_routes(self._hours, self._clock())

    @property
    def _is_quiet(self) -> bool:
        """Whether nobody may be texted now."""
        return bool(self._hours) and len(self._quiet_routes()) == len(self._hours)

    def _flush(self, run: Run) -> None:
        messages = run.messages
        is_outage = self._clock() < self._probe_until
        if is_outage:
            with missing_outcomes_logged(self._log, run.unfinished):
                messages.receive()
            self._text_phones(run, is_probe=True)
            is_outage = self._refuses_all(run) and not messages.has_expired
        if not is_outage:
            with missing_outcomes_logged(self._log, run.unfinished):
                messages.drain(run.seconds_left)
            self._text_phones(run)
            self._probe_until = self._clock() + PROBING_SECONDS if self._refuses_all(run) else 0.0
        self._fail_defective(run)
        given_back = messages.give_back(run.seconds_left)
        details: dict[str, Any] = {"messages": messages.received, "given_back": given_back}
        if messages.for_other_settings:
            details["for_other_settings"] = messages.for_other_settings
        if run.refusals:
            details |= {"reason": run.refusals[-1].kind, **run.refusals[-1].details}
        measured = {metrics.FLUSHES: 1, metrics.BACKLOG_AGE: messages.age}
        if not is_outage:  # else it does not know the other messages
            measured[metrics.BACKLOG] = messages.undeleted
        self._log.decision("flushed", measured=measured, **details)

    def _refuses_all(self, run: Run) -> bool:
        """Whether Twilio refuses everybody, or each of the phones for its own reason."""
        phones = self._settings.phones
        return bool(run.refusals) and all(self._is_refused(phone, run) for phone in phones)

    def _is_refused(self, phone: str, run: Run) -> bool:
        return phone in run.unasked or run.breaker.refuses(phone, self._clock())

    def _text_phones(self, run: Run, *, is_probe: bool = False) -> None:
        """Text the phones about what was received so far; as a probe, until one accepts."""
        messages = run.messages
        with missing_outcomes_logged(self._log, run.unfinished):
            messages.delete_finished()
        phones = messages.phones
        # Read the last attempts before the texts: otherwise this flush may not open the next ones.
        last_attempts: dict[str, PhoneAttempt] = {}
        with unexpected_errors_logged(self._log):
            last_attempts = self._attempts.read(phones)
        self._shuffle(phones)  # else two phones that Twilio always refuses would silence the rest
        for phone in phones:
            if run.seconds_left() < SECONDS_TO_SEND or self._is_quiet:
                break
            # SQS soon deletes expired texts: Twilio is asked about them once more, then they fail.
            if self._is_refused(phone, run) and not messages.expired(messages.notices_for(phone)):
                continue
            with (
                unexpected_errors_logged(self._log, phone),
                missing_outcomes_logged(self._log, run.unfinished),
            ):
                self._summaries.text_phone(phone, last_attempts.get(phone), run)
            if is_probe and not self._is_refused(phone, run):
                return

    def _fail_defective(self, run: Run) -> None:
        """Move unreadable messages to `failed`. A message that SQS refuses there stays held."""
        for some in batches(run.messages.defective, BATCH):
            if run.seconds_left() < SECONDS_TO_SEND:
                break
            for one in some:
                with missing_outcomes_logged(self._log, run.unfinished):
                    self._fail_message(one.message.body, one.defect and one.defect.error)
                    run.messages.finish_defective(one)
            with missing_outcomes_logged(self._log, run.unfinished):
                run.messages.delete_finished()

    def _fail_message(self, body: str, error: Exception | None) -> None:
        if error:
            self._outcomes.fail_message(body, error)
            return
        try:
            items = queue_messages.read(body)
            self._outcomes.fail_unreadable(
                *(item for item in items if isinstance(item, Unreadable))
            )
        except (AwsError, NotQueued):
            raise
        except Exception as unforeseen:  # noqa: BLE001  # it is counted, with an alarm
            self._outcomes.fail_message(body, unforeseen)
