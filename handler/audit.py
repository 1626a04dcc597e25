"""What became of the texts that Twilio accepted: accepted is not delivered."""

import time
from collections.abc import Callable

from handler import log, metrics
from handler.aws import AwsError
from handler.memory import Accepted, Memory
from handler.notifier import SECONDS_TO_SEND
from handler.refusals import NOT_FOUND
from handler.sender import Delivery, Refused, Sender

UNKNOWN_SECONDS = 12 * 60 * 60
"""When Twilio is asked no more: it tries to deliver a text for ten hours at most.

Source: `ValidityPeriod` in https://www.twilio.com/docs/messaging/api/message-resource
"""

ARRIVED = frozenset({"delivered", "read"})
LOST = frozenset({"undelivered", "failed", "canceled"})

# Source: https://www.twilio.com/docs/api/errors, one page for each code.
MEANINGS = {
    30001: "Twilio's queue for the sender overflowed",
    30002: "the account was suspended meanwhile",
    30003: "the phone is switched off or out of reach",
    30004: "the recipient blocks the sender",
    30005: "the number is not in use",
    30006: "a landline, or a carrier that takes no texts",
    30007: "a carrier's filter took it for spam",
    30008: "the carrier does not say why",
    30034: "the sender is not registered for US texts (A2P 10DLC)",
    30450: "the carrier or Twilio blocked it",
    30453: "the carrier or Twilio blocked it",
}


def meaning(code: int) -> str:
    """Say what a code means that stands on a text which did not arrive."""
    return MEANINGS.get(code, f"see https://www.twilio.com/docs/api/errors/{code}")


class Audit:
    """Asks Twilio what became of each accepted text, until it knows, and reports that once."""

    def __init__(
        self, *, memory: Memory, sender: Sender, clock: Callable[[], float] = time.time
    ) -> None:
        self._memory = memory
        self._sender = sender
        self._clock = clock

    def run(self, seconds_left: Callable[[], float]) -> None:
        """Ask after the texts of the last while; what there is no time for, the next run does."""
        asked: set[str] = set()
        try:
            # The index lags behind the table: it may give again what has just been asked after.
            while due := [one for one in self._memory.to_audit() if one.id not in asked]:
                for one in due:
                    if seconds_left() < SECONDS_TO_SEND:
                        return
                    self._ask(one)
                    asked.add(one.id)
        except (AwsError, Refused) as error:
            log.decision("not audited", level="WARN", meaning=str(error))

    def _ask(self, one: Accepted) -> None:
        try:
            delivery = self._sender.delivery(one.sid)
        except Refused as error:
            if error.refusal.code not in NOT_FOUND:
                raise
            delivery = Delivery(status="not found")
        known = delivery.status in ARRIVED | LOST
        too_old = self._clock() - one.at > UNKNOWN_SECONDS
        if not (known or too_old or delivery.status == "not found"):
            self._memory.ask_later(one)
        elif self._memory.audited(one):
            _report(one, delivery)


def _report(one: Accepted, delivery: Delivery) -> None:
    phone = delivery.phone or None
    if delivery.status in ARRIVED:
        log.decision("delivered", phone=phone, sid=one.sid, measured={metrics.DELIVERED: 1})
    elif delivery.status in LOST:
        log.decision(
            "undelivered",
            level="ERROR",
            phone=phone,
            measured={metrics.UNDELIVERED: 1},
            sid=one.sid,
            code=str(delivery.code),
            meaning=meaning(delivery.code),
        )
    else:
        log.decision("unconfirmed", level="WARN", phone=phone, sid=one.sid, meaning=delivery.status)
