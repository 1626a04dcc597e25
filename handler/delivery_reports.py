"""The delivery reports of the texts that Twilio accepted: accepted is not delivered."""

import math
import time
from collections.abc import Callable

from handler import metrics
from handler.aws import AwsError
from handler.breaker import Breaker
from handler.errors import error_details, log_unexpected, unexpected_errors_logged
from handler.log import Log
from handler.refusals import NOT_FOUND
from handler.report_index import PendingReport, ReportIndex
from handler.sender import SECONDS_TO_SEND, Delivery, Refused, Sender

GIVE_UP_SECONDS = 12 * 60 * 60
"""Seconds after which `flush` stops asking: Twilio tries to deliver for ten hours at most.

Source: `ValidityPeriod` in https://www.twilio.com/docs/messaging/api/message-resource
"""

DELIVERED_STATUSES = frozenset({"delivered", "read"})
NO_SUCH_TEXT = "not found"
UNDELIVERED_STATUSES = frozenset({"undelivered", "failed", "canceled"})

# Source: https://www.twilio.com/docs/api/errors, one page for each code.
MEANINGS = {
    30001: "Twilio's queue for the sender overflowed",
    30002: "the account was suspended before the text went out",
    30003: "the phone is switched off or out of reach",
    30004: "the recipient blocks the sender",
    30005: "the number is not in use",
    30006: "a landline, or a carrier that takes no texts",
    30007: "a carrier's filter took it for spam",
    30008: "the carrier does not say why",
    30010: "the text costs more than the maximum price that is set",
    30017: "the carrier's network is congested",
    30018: "the sender is not registered with that carrier",
    30019: "the phone's memory is full, or the text is too long for the carrier",
    30022: "the carrier's limit of texts a minute or a day is reached",
    30023: "the carrier's daily limit for this sender is reached",
    30024: "the sender is not registered with that carrier",
    30027: "the carrier's daily limit for this A2P 10DLC campaign is reached",
    30032: "the toll-free number is not verified",
    30033: "the sender's A2P 10DLC campaign is suspended",
    30034: "the sender is not registered for US texts (A2P 10DLC)",
    30035: "the sender's registration for US texts is not ready (A2P 10DLC)",
    30410: "the carrier did not answer in time",
    30450: "the carrier or Twilio blocked it",
    30453: "the carrier or Twilio blocked it",
    63033: "the recipient blocks the sender",
}


def meaning(code: int | str) -> str:
    """Return the meaning of the error code of a text that did not arrive."""
    if not code:
        return "Twilio gives no reason"
    if isinstance(code, str):
        return "a reason that is not known here"
    return MEANINGS.get(code, f"see https://www.twilio.com/docs/api/errors/{code}")


def code_with_meaning(code: int | str) -> str:
    """Return a code with its meaning; the meaning alone if Twilio gives no code."""
    return f"{code}: {meaning(code)}" if code else meaning(code)


class DeliveryReports:
    """Asks Twilio for the delivery of each accepted text, until it knows, and logs that once."""

    def __init__(
        self,
        *,
        index: ReportIndex,
        sender: Sender,
        log: Log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._sender = sender
        self._log = log
        self._clock = clock

    def run(self, seconds_left: Callable[[], float]) -> None:
        """Ask about all texts that are due, as far as time allows."""
        asked: set[str] = set()
        breaker = Breaker(math.inf)
        try:
            # The index lags behind the table: it may give a text again that was just asked about.
            while due := [text for text in self._index.due() if text.id not in asked]:
                for pending in due:
                    if seconds_left() < SECONDS_TO_SEND:
                        return
                    asked.add(pending.id)
                    self._ask(pending, breaker)
        except (AwsError, Refused) as error:
            self._log.decision("delivery reports stopped", level="WARN", meaning=str(error))

    def _ask(self, pending: PendingReport, breaker: Breaker) -> None:
        """Ask for the delivery of one text. An error of Twilio's for one text stops no other.

        Raises:
            AwsError: The table cannot be reached.
            Refused: Twilio refuses every such request.
        """
        delivery = self._delivery(pending, breaker)
        known = delivery.status in DELIVERED_STATUSES | UNDELIVERED_STATUSES
        too_old = self._clock() - pending.sent_at > GIVE_UP_SECONDS
        if not (known or too_old or delivery.status == NO_SUCH_TEXT):
            self._index.postpone(pending)
        elif self._index.remove(pending):
            with unexpected_errors_logged(self._log, sid=pending.sid):
                self._report(pending, delivery)

    def _delivery(self, pending: PendingReport, breaker: Breaker) -> Delivery:
        """Return the delivery of one text; where Twilio does not say, the reason is its status.

        Raises:
            Refused: Twilio refuses every such request.
        """
        try:
            delivery = self._sender.delivery(pending.sid)
        except Refused as error:
            if error.refusal.code in NOT_FOUND:
                return Delivery(status=NO_SUCH_TEXT)
            breaker.refused(pending.sid, error.refusal, self._clock())
            if breaker.refuses_everybody(self._clock()):
                raise
            return Delivery(status=error.refusal.meaning)
        except Exception as error:  # noqa: BLE001  # nobody foresaw it; it is counted, with an alarm
            log_unexpected(self._log, error, sid=pending.sid)
            return Delivery(status=error_details(error)["meaning"])
        breaker.accepted(pending.sid, self._clock())
        return delivery

    def _report(self, pending: PendingReport, delivery: Delivery) -> None:
        phone = delivery.phone or None
        if delivery.status in DELIVERED_STATUSES:
            self._log.decision(
                "delivered", phone=phone, sid=pending.sid, measured={metrics.DELIVERED: 1}
            )
        elif delivery.status in UNDELIVERED_STATUSES:
            self._log.decision(
                "undelivered",
                level="ERROR",
                phone=phone,
                measured={metrics.UNDELIVERED: 1},
                sid=pending.sid,
                code=str(delivery.code or "none"),
                meaning=meaning(delivery.code),
            )
        else:
            self._log.decision(
                "unconfirmed", level="WARN", phone=phone, sid=pending.sid, meaning=delivery.status
            )
