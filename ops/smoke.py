"""The smoke test: one log, followed from its upload to Twilio's record of the text."""

import datetime
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence

from handler import log
from handler.delivery_reports import DELIVERED_STATUSES, UNDELIVERED_STATUSES, code_with_meaning
from handler.refusals import NOT_FOUND
from handler.routes import globs
from handler.sender import Refused
from stack import log_lines
from stack.deployed import Stack, answered_at
from stack.log_lines import Line, plural
from stack.reasons import in_words
from stack.waiting import NotInTime, Seen, wait_until

NOTIFY_SECONDS = (120, 180, 60)
"""How long notify may take to see each upload, before the next upload.

After a deployment, S3 drops events for up to five minutes. If S3 was only late, notify sees several
uploads, and each is one text for each phone.
"""

DECISION_SECONDS = 60
DELIVERY_SECONDS = 120
POLL_SECONDS = 0.5

HELD_BY_SETTING = frozenset({"digest", "quiet hours", "over the limit"})
"""The reasons by which a text is held although everything works."""

Say = Callable[[str], None]


class SmokeFailed(Exception):
    """The text did not arrive. The message says which step failed, and why."""


class Smoke:
    """One smoke test."""

    def __init__(self, stack: Stack, say: Say) -> None:
        """Prepare it.

        Args:
            stack: The stack.
            say: Reports each step, with its time.
        """
        self._stack = stack
        self._say = say
        self._started = time.monotonic()
        self._since = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        self._name = f"smoke-{uuid.uuid4().hex[:12]}"
        self._keys: list[str] = []

    def run(self) -> int:
        """Upload the log, follow it, and remove it.

        Returns:
            How many of its texts a setting holds. Twilio was not asked to send them.

        Raises:
            SmokeFailed: A text did not arrive.
        """
        try:
            key = self._await_notify()
            decided = self._await_decisions(key)
            for line in decided:
                if line.outcome == "sent":
                    self._await_delivery(line)
            self._report_other_uploads(key)
        finally:
            for uploaded in self._keys:
                self._stack.aws["s3"].delete_object(
                    Bucket=self._stack.outputs["bucket"], Key=uploaded
                )
        self._report("removed the file" if len(self._keys) == 1 else "removed the files")
        return sum(line.outcome == "held" for line in decided)

    def _await_notify(self) -> str:
        """Upload until notify has seen a log. Return its key."""
        for seconds in NOTIFY_SECONDS:
            self._upload()
            try:
                seen = _wait_until(lambda: self._lines(self._keys, "seen"), seconds=seconds)
            except NotInTime:
                self._report(f"notify has not seen it within {seconds} s")
            else:
                self._report("notify has seen it")
                return str(seen[0].fields["key"])
        pulumi = "" if self._stack.is_demo else f" ({self._stack.pulumi('preview --refresh')})"
        raise SmokeFailed(
            "notify has not seen it: S3 did not call it, or its log cannot be read. Check that the "
            f"notification exists{pulumi}, and that the function starts "
            f"({self._stack.make('tail')})"
        )

    def _upload(self) -> None:
        # Each upload has its own key: its event differs from the late event of an earlier one.
        key = self._new_key(f"-{len(self._keys) + 1}" if self._keys else "")
        bucket = self._stack.outputs["bucket"]
        self._keys.append(key)
        answer = self._stack.aws["s3"].put_object(Bucket=bucket, Key=key, Body=self._body(key))
        # S3's clock, not this machine's. A minute earlier, since CloudWatch's clock may differ.
        uploaded = answered_at(answer) - datetime.timedelta(minutes=1)
        self._since = min(self._since, uploaded)
        self._report(f"uploaded {key} to s3://{bucket}")

    def _body(self, key: str) -> bytes:
        """Return a log with every word that the routes of its key look for."""
        routes = self._stack.settings.phones_of(key).values()
        words = dict.fromkeys(route.contains for route in routes if route.contains)
        return "\n".join(["a smoke test", *words, ""]).encode()

    def _new_key(self, number: str) -> str:
        """Return a key about which a phone is texted: of no route if possible, else of the first.

        Raises:
            SmokeFailed: None was found.
        """
        prefix, suffixes = self._stack.filters
        settings, name = self._stack.settings, self._name + number
        of_routes = [
            glob.pattern.replace("*", name).replace("?", "x")
            for route in settings.routes
            for glob in globs(route.logs)
        ]
        for key in (f"{prefix}{name}{suffixes[0]}", *of_routes):
            if not self._stack.texts_nobody(key):
                return key
        raise SmokeFailed(
            "it found no key that a route matches, and toNumbers is empty, so nobody would be "
            f"texted. To try a key of yours: {self._stack.make('explain')} KEY=app/web.log"
        )

    def _await_decisions(self, key: str) -> list[Line]:
        # The lines show four digits of a phone, and two phones may share them.
        phones = Counter(log.masked(phone) for phone in self._stack.settings.phones_of(key))

        try:
            found = _wait_until(
                lambda: self._lines([key], "sent", "held", "failed"),
                lambda lines: Counter(line.fields["phone"] for line in lines) >= phones,
                seconds=DECISION_SECONDS,
            )
        except NotInTime as error:
            raise SmokeFailed(
                f"notify has decided for only {len(error.seen)} of {phones.total()} phones within "
                f"{DECISION_SECONDS} s. Its log: {self._stack.make('tail')}"
            ) from None
        failures = []
        for line in found:
            fields = line.fields
            if line.outcome == "sent":
                self._report(f"Twilio accepted the text to {fields['phone']} as {fields['sid']}")
            elif line.outcome == "held" and fields["reason"] in HELD_BY_SETTING:
                self._report(
                    f"held for {fields['phone']}, as set: {fields['reason']}; Twilio was not asked"
                )
            else:
                # Without a code Twilio was not asked: it had refused other texts just before.
                why = fields.get("meaning") or in_words(fields["reason"])
                why += f" ({fields.get('code') or 'why: ' + self._stack.make('status')})"
                failures.append(f"{line.outcome} for {fields['phone']}: {why}")
        if failures:
            raise SmokeFailed("; ".join(failures))
        return found

    def _report_other_uploads(self, key: str) -> None:
        others = {line.fields["key"] for line in self._lines(self._keys, "seen")} - {key}
        if others:
            self._report(
                f"S3 was only late: notify has also seen {plural(len(others), 'other upload')}. "
                "Each is one more text for each phone"
            )

    def _await_delivery(self, line: Line) -> None:
        phone, sid = line.fields["phone"], line.fields["sid"]

        def status() -> str:
            try:
                delivery = self._stack.sender.delivery(sid)
            except Refused as error:
                if error.refusal.code in NOT_FOUND:
                    raise SmokeFailed(f"Twilio has no record of {sid}") from None
                return str(error)
            if delivery.status in UNDELIVERED_STATUSES:
                why = code_with_meaning(delivery.code)
                raise SmokeFailed(
                    f"the text to {phone} was not delivered: {delivery.status}, {why}"
                )
            return delivery.status

        try:
            _wait_until(status, DELIVERED_STATUSES.__contains__, seconds=DELIVERY_SECONDS)
        except NotInTime as error:
            raise SmokeFailed(
                f"after {DELIVERY_SECONDS} s Twilio does not know whether the text to {phone} was "
                f"delivered: it says {error.seen}. Some carriers never report a delivery"
            ) from None
        self._report(f"delivered to {phone}")

    def _lines(self, keys: Sequence[str], *outcomes: str) -> list[Line]:
        found = log_lines.read(self._stack, since=self._since, outcomes=outcomes)
        return [line for line in found if line.fields.get("key") in keys]

    def _report(self, step: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {step}")


def _wait_until(
    look: Callable[[], Seen], is_done: Callable[[Seen], object] = bool, *, seconds: float
) -> Seen:
    return wait_until(look, is_done, seconds=seconds, poll_seconds=POLL_SECONDS)
