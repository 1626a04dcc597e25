"""A log of our own, followed from the upload to Twilio's record of the text."""

import datetime
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from handler.audit import ARRIVED, LOST, meaning
from handler.refusals import NOT_FOUND
from handler.sender import Refused
from ops import lines
from ops.lines import Line
from ops.stack import Stack

UPLOADS = 5
"""How often the file is uploaded: after a deployment S3 may take five minutes to send events."""

SEEN_SECONDS = 60
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
        self._since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)
        self._key = stack.outputs["logKeys"].replace("*", f"smoke-{uuid.uuid4().hex[:12]}")

    def run(self) -> None:
        """Upload the log, follow it, and remove it.

        Raises:
            Stopped: It did not get through.
        """
        try:
            self._await_seen()
            decided = self._await_decisions()
            for line in decided:
                if line.outcome == "sent":
                    self._await_delivery(line)
        finally:
            self._stack.aws["s3"].delete_object(Bucket=self._stack.outputs["bucket"], Key=self._key)
        self._done("removed the file")

    def _await_seen(self) -> None:
        for _ in range(UPLOADS):
            self._stack.aws["s3"].put_object(
                Bucket=self._stack.outputs["bucket"], Key=self._key, Body=b"make smoke\n"
            )
            self._done(f"uploaded {self._key} to s3://{self._stack.outputs['bucket']}")
            if _await(lambda: self._lines("seen"), SEEN_SECONDS):
                self._done("notify has seen it")
                return
        raise Stopped(
            "notify has not seen it: S3 did not call it, or its log is not to be read. Is the "
            "notification there (pulumi preview), and does the function start (make tail)?"
        )

    def _await_decisions(self) -> list[Line]:
        phones = len(self._stack.settings.to_numbers)

        def decided() -> list[Line]:
            found = {line.fields["phone"]: line for line in self._lines("sent", "held", "failed")}
            return list(found.values()) if len(found) >= phones else []

        found = _await(decided, DECIDED_SECONDS)
        if not found:
            raise Stopped(
                f"notify has not decided for all {phones} phones within {DECIDED_SECONDS} s: "
                "make tail shows what it does"
            )
        bad = []
        for line in found:
            fields = line.fields
            if line.outcome == "sent":
                self._done(f"Twilio accepted the text to {fields['phone']} as {fields['sid']}")
            elif line.outcome == "held" and fields["reason"] in BY_SETTING:
                self._done(
                    f"held for {fields['phone']}, as set: {fields['reason']}; a flush texts it"
                )
            else:
                # Where Twilio was not asked, there is no code: it refused others just before.
                why = fields.get("meaning") or fields["reason"]
                why += f" ({fields.get('code') or 'see make status'})"
                bad.append(f"{line.outcome} for {fields['phone']}: {why}")
        if bad:
            raise Stopped("; ".join(bad))
        return found

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
                why = f"{delivery.code}: {meaning(delivery.code)}"
                raise Stopped(f"the text to {phone} was not delivered: {status}, {why}")
            return status in ARRIVED

        if not _await(known, DELIVERED_SECONDS):
            raise Stopped(
                f"Twilio has not heard within {DELIVERED_SECONDS} s whether the text to {phone} "
                f"was delivered: it says {status}. Some carriers never tell"
            )
        self._done(f"delivered to {phone}")

    def _lines(self, *outcomes: str) -> list[Line]:
        found = lines.read(self._stack, since=self._since, outcomes=outcomes)
        return [line for line in found if line.fields.get("key") == self._key]

    def _done(self, what: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {what}")


def _await(condition: Callable[[], Found], seconds: float) -> Found:
    until = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return found
