"""The claims and outcomes of texts, and the texts of each phone in each hour: a DynamoDB table.

An item is a text, by its hash, with its state; or a phone's hour, with the number of texts in it;
or a text at Twilio, by its SID; or the last attempt at a summary for a phone (`handler.attempts`).
All expire by themselves.
"""

import enum
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from handler.aws import AwsError, as_list, as_number, batches, nested
from handler.notice import REMOVE_ATTEMPT, SET_ATTEMPT, Attempt, Notice
from handler.settings import AnyRoute
from handler.table import CONDITION_FAILED, Table, is_contended

LEASE_SECONDS = 45
"""How long a claim belongs to its sender alone: longer than sending takes, and shorter than the
minute after which Lambda retries a crash.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

ASK_AFTER_SECONDS = 60
"""How long after a text Twilio is first asked about it.

It is asked whether it delivered a text that it accepted, and whether it accepted one in doubt.
"""

KEPT_SECONDS = 30 * 24 * 60 * 60
"""How long the ledger keeps an outcome: longer than any queue here keeps a message."""

HOUR_SECONDS = 60 * 60

REPORT_INDEX, REPORT_DUE = "reports", "due"
"""The index of the texts whose delivery report is due, and the value of `report` of these."""


class Limits(NamedTuple):
    """How many texts a phone may get.

    Attributes:
        texts_per_hour: In a clock hour.
        texts_at_once: In a burst.
        burst_seconds: How long a burst is. The first one of an hour begins with it.
    """

    texts_per_hour: int
    texts_at_once: int
    burst_seconds: int

    @classmethod
    def of(cls, route: AnyRoute, flush_minutes: int) -> "Limits":
        """Return the limits of a route: a burst is the time between two flushes."""
        seconds = min(flush_minutes * 60, HOUR_SECONDS)
        return cls(route.max_texts_per_hour, route.max_texts_at_once, seconds)

    def burst(self, at: float) -> int:
        """Return the number of the burst of a moment within its hour."""
        return int(at) % HOUR_SECONDS // self.burst_seconds

    def reached(self, texts: int, in_burst: int) -> "Claim | None":
        """Return which limit is reached by the texts of an hour and of a burst; None if none is."""
        if texts >= self.texts_per_hour:
            return Claim.OVER_LIMIT
        return Claim.TOO_MANY_AT_ONCE if in_burst >= self.texts_at_once else None


class Claim(enum.Enum):
    """Whether this text may go to this phone now."""

    CLAIMED = enum.auto()
    """Yes. For 45 seconds, no other sender gets this claim."""

    DUPLICATE = enum.auto()
    """No: it was sent, held or failed before."""

    LEASED = enum.auto()
    """Not now: another process is sending it, or crashed less than 45 seconds ago."""

    IN_DOUBT = enum.auto()
    """No: another process crashed, and may have sent it."""

    OVER_LIMIT = enum.auto()
    """No: the phone had all its texts for this hour."""

    TOO_MANY_AT_ONCE = enum.auto()
    """No: the phone had all its texts for this burst."""

    CONTENDED = enum.auto()
    """Not known: too many claims at the same time, or DynamoDB throttles the table."""

    UNKNOWN = enum.auto()
    """Not known: the table cannot be reached."""


class State(enum.StrEnum):
    """Where a text is: being sent, or at one of its three outcomes."""

    SENDING = "sending"
    SENT = "sent"
    HELD = "held"
    FAILED = "failed"


class NotRecorded(Exception):
    """The table could not record some texts.

    Attributes:
        count: How many.
    """

    def __init__(self, count: int, error: AwsError) -> None:
        super().__init__(f"{count} texts: {error}")
        self.count = count


class Ledger:
    """Records claims, outcomes and counts: no text goes twice, and no phone gets too many."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._clock = clock

    def claim(self, notice: Notice, *, body: str = "", limits: Limits | None = None) -> Claim:
        """Claim a text, in one conditional transaction, before it is sent or held.

        Args:
            notice: The text.
            body: Its body, to send it; "" to hold it.
            limits: How many texts the phone may have, counting this one, to send it.
        """
        now = int(self._clock())
        updates = [self._claim_update(notice, now, body)]
        if limits:
            updates.append(self._limited_count_update(notice.phone, now, limits))
        try:
            reasons = self._table.transact(updates)
        except AwsError as error:
            return Claim.CONTENDED if is_contended(error) else Claim.UNKNOWN
        return _claim_of(reasons, limits, now)

    def hold(self, notice: Notice, *, in_doubt: bool = False) -> None:
        """Record that a text is held, unless a flush has sent it already.

        Args:
            notice: The text.
            in_doubt: Whether it may have been sent. Then its attempt is kept: a flush asks for it.

        Raises:
            AwsError: The table cannot be reached.
        """
        forget = "" if in_doubt else f" {REMOVE_ATTEMPT}"
        self._update(
            notice, "#s = :sending", f"SET #s = :value{forget}", {":value": {"S": State.HELD}}
        )

    def release(self, notice: Notice) -> None:
        """Give up a claim without an attempt in doubt. The next try may claim the text at once.

        Raises:
            AwsError: The table cannot be reached.
        """
        change = f"SET lease = :value {REMOVE_ATTEMPT}"
        self._update(notice, "#s = :sending", change, {":value": {"N": "0"}})

    def fail(self, notice: Notice, *, in_doubt: bool = False) -> None:
        """Record that a text has failed, unless it has been sent: a redrive would send it again.

        Args:
            notice: The text.
            in_doubt: Whether it may have been sent. Then its attempt is kept: after a redrive, a
                flush asks for it.

        Raises:
            AwsError: The table cannot be reached.
        """
        forget = "" if in_doubt else f" {REMOVE_ATTEMPT}"
        self._table.update_if(
            notice.id,
            "attribute_not_exists(id) OR #s <> :sent",
            {
                "UpdateExpression": f"SET #s = :failed, expires = :expires{forget}",
                "ExpressionAttributeNames": {"#s": "state"},
                "ExpressionAttributeValues": {
                    ":sent": {"S": State.SENT},
                    ":failed": {"S": State.FAILED},
                    ":expires": {"N": str(int(self._clock()) + KEPT_SECONDS)},
                },
            },
        )

    def record_sent(self, ids: Sequence[str], sid: str = "") -> None:
        """Record that texts were sent, whichever states they had: Twilio's answer is certain.

        Args:
            ids: The ids of the texts; all of one summary.
            sid: Twilio's SID of the text, whose delivery report is due; "" if that is recorded.

        Raises:
            NotRecorded: The table could not record some of them. It recorded the others.
        """
        now = int(self._clock())
        expires = {"N": str(now + KEPT_SECONDS)}
        items: list[dict[str, Any]] = [
            {"id": {"S": id_}, "state": {"S": State.SENT}, "expires": expires}
            for id_ in dict.fromkeys(ids)
        ]
        if sid:
            # In the same request as the first text: the next flush knows whose the SID is.
            report = {
                "id": {"S": sid},
                "sid": {"S": sid},
                "text": {"S": ids[0]},
                "sent_at": {"N": str(now)},
                "report": {"S": REPORT_DUE},
                "ask_at": {"N": str(now + ASK_AFTER_SECONDS)},
                "expires": expires,
            }
            items.insert(0, report)
        count, why = 0, None
        for some in batches(items, 25):
            puts = [{"PutRequest": {"Item": item}} for item in some]
            batch = self._table.batch(
                "BatchWriteItem", {self._table.name: puts}, "UnprocessedItems"
            )
            if batch.error:
                count += len(as_list(nested(batch.unprocessed, self._table.name))) or len(puts)
                why = batch.error
        if why:
            raise NotRecorded(min(count, len(ids)), why)

    def count(self, phone: str) -> None:
        """Count a text to a phone that no limit holds back.

        Raises:
            AwsError: The table cannot be reached.
        """
        self._table.call("UpdateItem", self._count_update(phone, int(self._clock())))

    def uncount(self, phone: str, at: float, limits: Limits | None = None) -> None:
        """Take back the count of a text that Twilio certainly did not accept.

        Args:
            phone: The phone.
            at: When it was counted, in seconds since the epoch.
            limits: What it was counted against; None if nothing holds such a text back.

        Raises:
            AwsError: The table cannot be reached.
        """
        in_burst: dict[str, Any] = {}
        if limits:
            in_burst = {"ExpressionAttributeNames": {"#burst": _burst(at, limits)}}
        self._table.update_if(
            _hour_id(phone, at),
            "texts > :zero" + (" AND #burst > :zero" if limits else ""),
            {
                "UpdateExpression": "ADD texts :less" + (", #burst :less" if limits else ""),
                "ExpressionAttributeValues": {":less": {"N": "-1"}, ":zero": {"N": "0"}},
                **in_burst,
            },
        )

    def _update(
        self, notice: Notice, condition: str, change: str, values: Mapping[str, Any]
    ) -> None:
        """Change a text that is still claimed."""
        self._table.update_if(
            notice.id,
            condition,
            {
                "UpdateExpression": change,
                "ExpressionAttributeNames": {"#s": "state"},
                "ExpressionAttributeValues": {":sending": {"S": State.SENDING}, **values},
            },
        )

    def _claim_update(self, notice: Notice, now: int, body: str) -> dict[str, Any]:
        attempt = Attempt.of(body, now) if body else None
        # A lease of zero is a claim that was given up.
        return {
            "TableName": self._table.name,
            "Key": {"id": {"S": notice.id}},
            "ConditionExpression": "attribute_not_exists(id) OR (#s = :sending AND lease = :zero)",
            "UpdateExpression": "SET #s = :sending, lease = :lease, expires = :expires"
            + (f", {SET_ATTEMPT}" if attempt else ""),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ExpressionAttributeNames": {"#s": "state"},
            "ExpressionAttributeValues": {
                ":sending": {"S": State.SENDING},
                ":zero": {"N": "0"},
                ":lease": {"N": str(now + LEASE_SECONDS)},
                ":expires": {"N": str(now + KEPT_SECONDS)},
                **(attempt.values if attempt else {}),
            },
        }

    def _count_update(self, phone: str, now: int) -> dict[str, Any]:
        expires = (now // HOUR_SECONDS + 2) * HOUR_SECONDS
        return {
            "TableName": self._table.name,
            "Key": {"id": {"S": _hour_id(phone, now)}},
            "UpdateExpression": "SET expires = :expires ADD texts :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":expires": {"N": str(expires)}},
        }

    def _limited_count_update(self, phone: str, now: int, limits: Limits) -> dict[str, Any]:
        update = self._count_update(phone, now)
        update["UpdateExpression"] += ", #burst :one"
        update["ExpressionAttributeNames"] = {"#burst": _burst(now, limits)}
        update["ExpressionAttributeValues"] |= {
            ":per_hour": {"N": str(limits.texts_per_hour)},
            ":at_once": {"N": str(limits.texts_at_once)},
        }
        return update | {
            "ConditionExpression": "(attribute_not_exists(texts) OR texts < :per_hour) AND "
            "(attribute_not_exists(#burst) OR #burst < :at_once)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _hour_id(phone: str, at: float) -> str:
    """Give the id of a phone's hour: a hash, since the table must not show phone numbers."""
    return hashlib.sha256(f"{phone} {int(at) // HOUR_SECONDS}".encode()).hexdigest()


def _burst(at: float, limits: Limits) -> str:
    """Name the attribute of the hour's item that counts the texts of a burst."""
    return f"b{limits.burst(at)}"


def key_of_hour(phone: str, at: float) -> dict[str, Any]:
    """Return the key of the item that counts a phone's texts in an hour, for an operator."""
    return {"id": {"S": _hour_id(phone, at)}}


def counted(item: object, at: float, limits: Limits) -> tuple[int, int]:
    """Return the texts that such an item counts: those of the hour, and those of the burst."""
    texts, in_burst = (nested(item, name, "N") for name in ("texts", _burst(at, limits)))
    return as_number(texts) or 0, as_number(in_burst) or 0


def _claim_of(reasons: Sequence[Any], limits: Limits | None, now: int) -> Claim:
    """Say why a transaction was refused, in the order of its updates: the claim, the count."""
    codes = [nested(reason, "Code") for reason in reasons]
    if codes[:1] == [CONDITION_FAILED]:
        item = nested(reasons[0], "Item")
        # A duplicate is never texted. Without a state in the answer, a later try decides.
        if nested(item, "state", "S") in [State.SENT, State.HELD, State.FAILED]:
            return Claim.DUPLICATE
        lease = as_number(nested(item, "lease", "N"))
        return Claim.LEASED if lease is None or lease >= now else Claim.IN_DOUBT
    if limits and CONDITION_FAILED in codes:
        texts = as_number(nested(reasons[1], "Item", "texts", "N"))
        is_over = texts is not None and texts >= limits.texts_per_hour
        return Claim.OVER_LIMIT if is_over else Claim.TOO_MANY_AT_ONCE
    return Claim.CONTENDED if codes else Claim.CLAIMED
