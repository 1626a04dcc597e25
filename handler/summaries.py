"""Send a phone one summary of its held texts."""

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from handler import text
from handler.attempts import MAX_TEXTS, Attempts, PhoneAttempt
from handler.aws import batches
from handler.errors import (
    is_recorded,
    ledger_errors_logged,
    missing_outcomes_logged,
)
from handler.events import LogFile
from handler.ledger import Ledger
from handler.log import Log
from handler.notice import Notice
from handler.outcomes import Outcomes, refusal_metrics
from handler.refusals import Kind, Refusal
from handler.sender import SECONDS_TO_SEND, Refused, Sender, SentText
from handler.settings import Settings
from handler.settling import NO_TABLE, Run, Settler

if TYPE_CHECKING:
    from handler.expected_logs import ExpectedLogs

FAILED_AT_ONCE = 100
"""How many texts move to `failed` at once, before their messages are deleted from `held`.

The ledger records one at a time: at a quarter of a second for each, all within `SECONDS_TO_SEND`.
"""

SECONDS_TO_BEGIN = 15
"""How soon after its attempt is opened a text must be sent.

A minute after the attempt, another flush asks Twilio for the text: nobody may send it after that.
"""


class Summaries:
    """Sends a phone one summary of its held texts."""

    def __init__(
        self,
        settings: Settings,
        *,
        sender: Sender,
        ledger: Ledger,
        attempts: Attempts,
        settler: Settler,
        outcomes: Outcomes,
        log: Log,
        expected: "ExpectedLogs | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make one.

        Args:
            settings: The function's settings.
            sender: Sends the texts.
            ledger: Counts the texts of each phone.
            attempts: Keeps two flushes from texting one phone at once.
            settler: Finds out which texts may be sent.
            outcomes: Gives each text its outcome.
            log: The log.
            expected: The logs that are expected, if any are.
            clock: The time, in seconds since the epoch.
        """
        self._routes = settings.by_label
        self._zone = settings.zone
        self._sender = sender
        self._ledger = ledger
        self._attempts = attempts
        self._settler = settler
        self._outcomes = outcomes
        self._log = log
        self._expected = expected
        self._clock = clock

    def text_phone(self, phone: str, last: PhoneAttempt | None, run: Run) -> None:
        """Send one phone one text about all that is held for it and was certainly not sent.

        Args:
            phone: The phone.
            last: Its last attempt, as it was read before; None if it could not be.
            run: The flush.
        """
        settled = self._settler.settle(phone, last, run)
        with missing_outcomes_logged(self._log, run.unfinished):
            run.messages.delete_finished()
        self._fail_expired(settled.unsettled, settled.why, run, in_doubt=True)
        if not settled.ready or not settled.last or run.seconds_left() < SECONDS_TO_SEND:
            return
        # Missing logs first: a summary has no room for everything.
        ready = sorted(settled.ready, key=lambda notice: isinstance(notice.file, LogFile))
        notices = ready[:MAX_TEXTS]
        try:
            body = self._word(notices)
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            self._fail(notices, functools.partial(self._outcomes.fail_unexpected, error=error), run)
            return
        self._send(phone, notices, body, settled.last, run)

    def _send(
        self, phone: str, notices: Sequence[Notice], body: str, last: PhoneAttempt, run: Run
    ) -> None:
        """Open an attempt, send its text, and close it unless the text is in doubt."""
        at = self._clock()
        is_counted = is_recorded(self._log, 1, functools.partial(self._ledger.count, phone))
        begun = self._clock()
        open_ = functools.partial(self._attempts.open, phone, last, notices, body)
        is_open = is_recorded(self._log, len(notices), open_)
        is_late = self._clock() - begun > SECONDS_TO_BEGIN
        refusal = None
        if is_open and not is_late:
            try:
                sid = self._sender.send(phone, body)
            except Refused as error:
                refusal = error.refusal
            except Exception as error:  # noqa: BLE001  # nobody foresaw it: it is in doubt
                fail = functools.partial(self._outcomes.fail_unexpected, error=error)
                self._fail(notices, fail, run)
                return
            else:
                now = self._clock()
                run.breaker.accepted(phone, now)
                ids = [notice.id for notice in notices]
                sent = SentText(sid, now, body)
                # While one of them is not recorded, the attempt stays open: Twilio is asked for it.
                if self._outcomes.record_sent(phone, sent, notices, summary_of=ids):
                    self._close(phone, last)
                run.messages.finish(notices)
                run.messages.delete_finished()
                return
        if not refusal or refusal.kind is not Kind.IN_DOUBT:
            # It was certainly not sent.
            if is_open:
                self._close(phone, last)
            if is_counted:
                with ledger_errors_logged(self._log, 1):
                    self._ledger.uncount(phone, at)
        if refusal:
            self._refused(phone, notices, refusal, run)
        elif not is_open:
            self._fail_expired(notices, NO_TABLE, run, in_doubt=True)

    def _close(self, phone: str, last: PhoneAttempt) -> None:
        with ledger_errors_logged(self._log, 1):
            self._attempts.close(phone, last.number + 1)

    def _refused(self, phone: str, notices: Sequence[Notice], refusal: Refusal, run: Run) -> None:
        """Fail texts that no retry will help, or that have expired. The rest stays held."""
        run.refusals.append(refusal)
        if not refusal.kind.is_temporary:
            self._fail(notices, functools.partial(self._outcomes.fail, refusal=refusal), run)
            return
        run.breaker.refused(phone, refusal, self._clock())
        self._log.decision(
            "not sent",
            level="WARN",
            phone=phone,
            measured=refusal_metrics(refusal),
            files=len(notices),
            reason=refusal.kind,
            **refusal.details,
        )
        self._fail_expired(notices, refusal, run)

    def _fail_expired(
        self, notices: Sequence[Notice], why: Refusal, run: Run, *, in_doubt: bool = False
    ) -> None:
        """Fail the texts that SQS would soon delete."""
        expiry = why._replace(kind=Kind.EXPIRED)
        fail = functools.partial(self._outcomes.fail, refusal=expiry, in_doubt=in_doubt)
        self._fail(run.messages.expired(notices), fail, run)

    def _fail(
        self, notices: Sequence[Notice], fail: Callable[[Sequence[Notice]], None], run: Run
    ) -> None:
        """Fail texts, some at a time. Those that time does not suffice for stay held."""
        for some in batches(notices, FAILED_AT_ONCE):
            if run.seconds_left() < SECONDS_TO_SEND:
                break
            with missing_outcomes_logged(self._log, run.unfinished):
                fail(some)
                run.messages.finish(some)
                run.messages.delete_finished()

    def _word(self, notices: Sequence[Notice]) -> str:
        """Word one text about all files, and all missing logs first."""
        files = [notice.file for notice in notices if isinstance(notice.file, LogFile)]
        routes = [notice.route for notice in notices if isinstance(notice.file, LogFile)]
        missing = [notice.file for notice in notices if not isinstance(notice.file, LogFile)]
        if len(files) == 1 and not missing:
            phone = notices[0].phone
            note = self._expected.held_note(files[0], phone) if self._expected else ""
            message = self._routes[routes[0]].message
            return text.write(files[0], message, self._zone, note=note)
        return text.summarize(files, self._zone, routes, missing=missing)
