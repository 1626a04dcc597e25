"""Send, hold or fail the texts about every log file in an event, to every phone."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from handler import events, metrics, text
from handler.aws import AwsError
from handler.breaker import Breaker
from handler.errors import (
    LeaseHeld,
    ledger_errors_logged,
    missing_outcomes_logged,
)
from handler.events import IS_FOLDER, Found, Unreadable
from handler.ledger import HOUR_SECONDS, LEASE_SECONDS, Claim, Ledger, Limits
from handler.log import Log, masked
from handler.notice import Notice
from handler.outcomes import Outcomes
from handler.queues import NotQueued
from handler.refusals import Kind, Refusal
from handler.sender import SECONDS_TO_SEND, Refused, Sender, SentText
from handler.settings import AnyRoute, Settings

if TYPE_CHECKING:
    from handler.expected_logs import ExpectedLogs
    from handler.log_reader import LogReader

READ_SHARE = 1 / 3
"""The share of an invocation's time for looking inside logs; the rest is for texting."""

BREAKER_SECONDS = 60
"""How long the texts to a phone, or to everybody, are held without trying after a refusal."""

OVER_LIMIT = {Claim.OVER_LIMIT: "over the limit", Claim.TOO_MANY_AT_ONCE: "too many at once"}
"""The reason for which a text over a limit is held."""


class _Holding(NamedTuple):
    """A text that must be held.

    Attributes:
        notice: The text.
        reason: Why it may not go now.
        refusal: Twilio's refusal, if it was asked.
        claimed_at: When it was claimed; None if it was not.
    """

    notice: Notice
    reason: str
    refusal: Refusal | None = None
    claimed_at: float | None = None


class LocalCounts:
    """The texts of each phone in this hour, as far as this process knows.

    So each copy of the function keeps the limits without the table, too.
    """

    def __init__(self) -> None:
        self._hour = 0
        self._texts: Counter[tuple[str, int | None]] = Counter()  # by burst; None is the whole hour

    def add(self, phone: str, at: float, limits: Limits, texts: int = 1) -> None:
        """Count a text; or take it back, by a negative number."""
        self._begin_hour(at)
        if int(at) // HOUR_SECONDS == self._hour:
            self._texts[phone, None] += texts
            self._texts[phone, limits.burst(at)] += texts

    def fill(self, phone: str, at: float, limits: Limits, claim: Claim) -> None:
        """Note that a limit is reached, as the table says."""
        self._begin_hour(at)
        if claim is Claim.OVER_LIMIT:
            self._raise(phone, None, limits.texts_per_hour)
        else:
            self._raise(phone, limits.burst(at), limits.texts_at_once)

    def _raise(self, phone: str, burst: int | None, texts: int) -> None:
        # A route with a higher limit may have counted more.
        self._texts[phone, burst] = max(self._texts[phone, burst], texts)

    def reached(self, phone: str, at: float, limits: Limits) -> Claim | None:
        """Say which limit is reached; None if none is."""
        self._begin_hour(at)
        return limits.reached(self._texts[phone, None], self._texts[phone, limits.burst(at)])

    def _begin_hour(self, at: float) -> None:
        hour = int(at) // HOUR_SECONDS
        if hour > self._hour:
            self._hour = hour
            self._texts.clear()


class Notifier:
    """Sends, holds or fails the text to every phone about every log file in an event."""

    def __init__(
        self,
        settings: Settings,
        *,
        sender: Sender,
        ledger: Ledger,
        outcomes: Outcomes,
        log: Log,
        expected: "ExpectedLogs | None" = None,
        reader: "LogReader | None" = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._phones_of = settings.phones_of
        self._flush_minutes = settings.flush_minutes
        self._zone = settings.zone
        self._sender = sender
        self._ledger = ledger
        self._outcomes = outcomes
        self._log = log
        self._clock = clock
        self._expected = expected
        self._reader = reader
        self._breaker = Breaker(BREAKER_SECONDS)
        self._counts = LocalCounts()

    def notify(self, event: object, seconds_left: Callable[[], float]) -> None:
        """Text every phone about every log file of an event; one that fails stops no other.

        Args:
            event: S3's event; see `handler.events.read`.
            seconds_left: How many seconds this invocation may still take.

        Raises:
            handler.aws.AwsError, handler.queues.NotQueued: A text could not be sent, held or
                failed. Lambda tries the event again; texts with an outcome are not sent again.
            LeaseHeld: Another invocation has not done with a text.
        """
        unfinished: list[Exception] = []
        unreadable: list[Unreadable] = []
        late = seconds_left() * (1 - READ_SHARE) if self._reader else 0.0

        def is_late() -> bool:
            return seconds_left() < late

        for item in events.read(event):
            if isinstance(item, Unreadable):
                unreadable.append(item)
                continue
            if item.is_folder:
                self._log.decision("ignored", file=item, reason=IS_FOLDER)
                continue
            self._log.decision("seen", file=item, measured={metrics.LOG_FILES: 1})
            holding: list[_Holding] = []
            routes = self._phones_of(item.key)
            if not routes:
                self._log.decision("no route", file=item, measured={metrics.UNROUTED: 1})
            found: Mapping[str, Found] = {}
            if routes and self._reader:
                routes, found = self._reader.look(item, is_late)
            # Those that Twilio refused come last: another one may show that it takes texts again.
            for phone in sorted(routes, key=self._last_refused):
                with missing_outcomes_logged(self._log, unfinished):
                    route = routes[phone]
                    file = item._replace(found=found.get(route.label))
                    notice = Notice(file, phone, route=route.label)
                    holding += self._text_or_fail(notice, route, seconds_left)
            self._hold(holding, unfinished)
            if self._expected:
                self._expected.record(item)
        if unfinished:
            raise unfinished[0]
        # Once and last: an event that Lambda tries again would put it there each time.
        if unreadable:
            self._outcomes.fail_unreadable(*unreadable)

    def _hold(self, holding: Sequence[_Holding], unfinished: list[Exception]) -> None:
        """Hold the texts about one file: one message for each reason, with all its phones.

        If routes found different lines in the file, each gets its own message.
        """
        by_reason: dict[tuple[str, Refusal | None, Found | None], list[_Holding]] = {}
        for one in holding:
            key = (one.reason, one.refusal, one.notice.file.found)
            by_reason.setdefault(key, []).append(one)
        for (reason, refusal, _), some in by_reason.items():
            with missing_outcomes_logged(self._log, unfinished):
                try:
                    self._outcomes.hold(
                        [one.notice for one in some],
                        reason,
                        refusal,
                        unclaimed={one.notice for one in some if one.claimed_at is None},
                    )
                except (AwsError, NotQueued):
                    for one in some:
                        self._release(one.notice, one.claimed_at)
                    raise

    def _release(self, notice: Notice, claimed_at: float | None) -> None:
        """Give up a claim that certainly still belongs to this invocation.

        Without an answer from the table, or after its lease, another invocation may have it, and be
        sending the text.
        """
        if claimed_at is not None and self._clock() < claimed_at + LEASE_SECONDS:
            self._outcomes.release(notice)

    def _text_or_fail(
        self, notice: Notice, route: AnyRoute, seconds_left: Callable[[], float]
    ) -> Sequence[_Holding]:
        """Text one phone about one file. An exception that nobody foresaw fails that text only.

        Returns:
            The text, if it must be held.
        """
        try:
            return self._text(notice, route, seconds_left)
        except (AwsError, NotQueued, LeaseHeld):
            raise
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            self._outcomes.fail_unexpected([notice], error, in_doubt=True)
            return ()

    def _text(
        self, notice: Notice, route: AnyRoute, seconds_left: Callable[[], float]
    ) -> Sequence[_Holding]:
        limits = Limits.of(route, self._flush_minutes)
        reason = self._reason_to_hold(notice.phone, route, limits, seconds_left)
        body = "" if reason else self._word(notice, route)
        claimed_at = self._clock()
        claim = self._claim(notice, body, limits)
        if claim is Claim.CONTENDED or claim in OVER_LIMIT:
            reason = OVER_LIMIT.get(claim, "the table is busy")
            claim = self._claim(notice, "", limits)
        if claim is Claim.DUPLICATE:
            self._log.decision(
                "duplicate",
                file=notice.file,
                phone=notice.phone,
                measured={metrics.DUPLICATES: 1},
            )
            return ()
        if claim is Claim.LEASED:
            raise LeaseHeld(f"A text to {masked(notice.phone)} is being sent, or was until now")
        if claim is Claim.IN_DOUBT:
            return [_Holding(notice, Kind.IN_DOUBT)]
        if claim is Claim.UNKNOWN:
            # A duplicate text is better than a lost one.
            self._log.decision(
                "claim failed open",
                level="ERROR",
                file=notice.file,
                phone=notice.phone,
                measured={metrics.FAILED_OPEN: 1},
            )
        is_claimed = claim is Claim.CLAIMED
        refusal = None
        if not reason:
            refusal = self._send(notice, body, limits, is_claimed=is_claimed)
            if not refusal:
                return ()
            reason = refusal.kind
        # A claim with an attempt in doubt is not given up: nobody may send the text then.
        claim_time = claimed_at if is_claimed and reason != Kind.IN_DOUBT else None
        if not refusal or refusal.kind.is_temporary:
            return [_Holding(notice, reason, refusal, claim_time)]
        try:
            # Without a claim, another process may have sent it.
            self._outcomes.fail([notice], refusal, in_doubt=not is_claimed)
        except (AwsError, NotQueued):
            self._release(notice, claim_time)
            raise
        return ()

    def _word(self, notice: Notice, route: AnyRoute) -> str:
        note = self._expected.note(notice.file, notice.phone) if self._expected else ""
        return text.write(notice.file, route.message, self._zone, note=note)

    def _claim(self, notice: Notice, body: str, limits: Limits) -> Claim:
        """Claim a text, to send this body; or to hold it, without a body."""
        at = self._clock()
        claim = self._ledger.claim(notice, body=body, limits=limits if body else None)
        if claim in OVER_LIMIT:
            self._counts.fill(notice.phone, at, limits, claim)
        return claim

    def _reason_to_hold(
        self, phone: str, route: AnyRoute, limits: Limits, seconds_left: Callable[[], float]
    ) -> str:
        """Say why a text must be held; "" if it may go."""
        now = self._clock()
        if route.mode == "digest":
            return "digest"
        if route.quiet_hours and self._is_quiet(route.quiet_hours, now):
            return "quiet hours"
        if self._breaker.refuses(phone, now):
            return "Twilio refuses"
        if over := self._counts.reached(phone, now, limits):
            return OVER_LIMIT[over]
        if seconds_left() < SECONDS_TO_SEND:
            return "out of time"
        return ""

    def _is_quiet(self, hours: str, now: float) -> bool:
        from handler.quiet_hours import is_quiet, read_hours  # noqa: PLC0415  # most stacks have none

        return is_quiet(read_hours(hours, self._zone), now)

    def _last_refused(self, phone: str) -> float:
        return self._breaker.refused_at(phone) or 0

    def _send(
        self, notice: Notice, body: str, limits: Limits, *, is_claimed: bool
    ) -> Refusal | None:
        """Text one phone about one file.

        Args:
            notice: The text.
            body: Its body.
            limits: Its limits.
            is_claimed: Whether the table has counted it.

        Returns:
            Twilio's refusal, if it refused it.
        """
        # Counted before it is sent, as in the table: if its answer is lost, it may have gone out.
        at = self._clock()
        self._counts.add(notice.phone, at, limits)
        try:
            sid = self._sender.send(notice.phone, body)
        except Refused as error:
            refusal = error.refusal
        else:
            now = self._clock()
            self._breaker.accepted(notice.phone, now)
            self._outcomes.record_sent(notice.phone, SentText(sid, now, body), [notice])
            return None
        if refusal.kind is not Kind.IN_DOUBT:
            self._counts.add(notice.phone, at, limits, texts=-1)
            if is_claimed:
                with ledger_errors_logged(self._log, 1):
                    self._ledger.uncount(notice.phone, at, limits)
        if refusal.kind.is_temporary:
            self._breaker.refused(notice.phone, refusal, self._clock())
        return refusal
