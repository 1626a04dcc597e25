"""A log of our own, followed from the upload to Twilio's record of the text."""

import datetime
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

from handler import log
from handler.delivery_reports import ARRIVED, LOST, explained
from handler.refusals import NOT_FOUND
from handler.sender import Refused
from stack import log_lines
from stack.deployed import Stack, clock
from stack.log_lines import Line

SEEN_SECONDS = (120, 180, 60)
"""How long each upload is waited for, until the next one.

After a deployment S3 drops events for up to five minutes, so that an upload may need another one.
S3 may also be late only: then each upload that is seen is one text for each phone.
"""

DECIDED_SECONDS = 60
DELIVERED_SECONDS = 120
POLL_SECONDS = 0.5

BY_SETTING = frozenset({"digest", "quiet hours", "over the limit"})
"""Why a text may be held on a stack that is well."""

Say = Callable[[str], None]
Found = TypeVar("Found")


class Stopped(Exception):
    """The log did not get through. The message says at which step, and why."""


class Smoke:
    """One log of our own."""

    def __init__(self, stack: Stack, say: Say) -> None:
        """Prepare it.

        Args:
            stack: The stack.
            say: Told of each step that is done, with its time.
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
            How many of its texts are held by a setting: Twilio was not asked about these.

        Raises:
            Stopped: It did not get through.
        """
        try:
            key = self._await_seen()
            decided = self._await_decisions(key)
            for line in decided:
                if line.outcome == "sent":
                    self._await_delivery(line)
            self._tell_of_others(key)
        finally:
            for uploaded in self._keys:
                self._stack.aws["s3"].delete_object(
                    Bucket=self._stack.outputs["bucket"], Key=uploaded
                )
        self._done("removed the file" if len(self._keys) == 1 else "removed the files")
        return sum(line.outcome == "held" for line in decided)

    def _await_seen(self) -> str:
        """Upload until notify has seen a log. Return its key."""
        for seconds in SEEN_SECONDS:
            self._upload()
            seen = _await(lambda: self._lines(self._keys, "seen"), seconds)
            if seen:
                self._done("notify has seen it")
                return str(seen[0].fields["key"])
            self._done(f"notify has not seen it within {seconds} s")
        pulumi = "" if self._stack.is_demo else f" ({self._stack.pulumi('preview --refresh')})"
        raise Stopped(
            "notify has not seen it: S3 did not call it, or its log is not to be read. Is the "
            f"notification there{pulumi}, and does the function start ({self._stack.make('tail')})?"
        )

    def _upload(self) -> None:
        # A key of its own for each upload: a late event of an earlier one is told from it.
        number = f"-{len(self._keys) + 1}" if self._keys else ""
        key = self._stack.outputs["logKeys"].replace("*", self._name + number)
        bucket = self._stack.outputs["bucket"]
        self._keys.append(key)
        answer = self._stack.aws["s3"].put_object(Bucket=bucket, Key=key, Body=b"make smoke\n")
        # S3's clock, not this machine's; a minute before, since CloudWatch has one of its own.
        uploaded = clock(answer) - datetime.timedelta(minutes=1)
        self._since = min(self._since, uploaded)
        self._done(f"uploaded {key} to s3://{bucket}")

    def _await_decisions(self, key: str) -> list[Line]:
        # The lines show four digits of a phone, and two phones may share them.
        phones = Counter(log.masked(phone) for phone in self._stack.settings.to_numbers)

        def decided() -> list[Line]:
            found = self._lines([key], "sent", "held", "failed")
            complete = Counter(line.fields["phone"] for line in found) >= phones
            return found if complete else []

        found = _await(decided, DECIDED_SECONDS)
        if not found:
            raise Stopped(
                f"notify has not decided for all {phones.total()} phones within {DECIDED_SECONDS} "
                f"s. What it does: {self._stack.make('tail')}"
            )
        bad = []
        for line in found:
            fields = line.fields
            if line.outcome == "sent":
                self._done(f"Twilio accepted the text to {fields['phone']} as {fields['sid']}")
            elif line.outcome == "held" and fields["reason"] in BY_SETTING:
                self._done(
                    f"held for {fields['phone']}, as set: {fields['reason']}; Twilio was not asked"
                )
            else:
                # Where Twilio was not asked, there is no code: it refused others just before.
                why = fields.get("meaning") or fields["reason"]
                why += f" ({fields.get('code') or 'why: ' + self._stack.make('status')})"
                bad.append(f"{line.outcome} for {fields['phone']}: {why}")
        if bad:
            raise Stopped("; ".join(bad))
        return found

    def _tell_of_others(self, key: str) -> None:
        others = {line.fields["key"] for line in self._lines(self._keys, "seen")} - {key}
        if others:
            self._done(
                f"S3 was late only. Further uploads that it told of: {len(others)}. Each is one "
                "more text for each phone"
            )

    def _await_delivery(self, line: Line) -> None:
        phone, sid = line.fields["phone"], line.fields["sid"]
        status = ""

        def known() -> bool:
            nonlocal status
            try:
                delivery = self._stack.twilio.delivery(sid)
            except Refused as error:
                if error.refusal.code in NOT_FOUND:
                    raise Stopped(f"Twilio has no record of {sid}") from None
                status = str(error)
                return False
            status = delivery.status
            if status in LOST:
                why = explained(delivery.code)
                raise Stopped(f"the text to {phone} was not delivered: {status}, {why}")
            return status in ARRIVED

        if not _await(known, DELIVERED_SECONDS):
            raise Stopped(
                f"Twilio has not heard within {DELIVERED_SECONDS} s whether the text to {phone} "
                f"was delivered: it says {status}. Some carriers never tell"
            )
        self._done(f"delivered to {phone}")

    def _lines(self, keys: Sequence[str], *outcomes: str) -> list[Line]:
        found = log_lines.read(self._stack, since=self._since, outcomes=outcomes)
        return [line for line in found if line.fields.get("key") in keys]

    def _done(self, what: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {what}")


def _await(condition: Callable[[], Found], seconds: float) -> Found:
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return found
