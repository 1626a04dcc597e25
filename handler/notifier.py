"""From an event to texts: every log file in it to every phone."""

import datetime
import zoneinfo

from handler import events, log, text
from handler.sender import Refused, Sender
from handler.settings import Settings


class NotAllSettled(Exception):
    """Some texts may be accepted later, or some records could not be read.

    Raised at the end of an event, so that Lambda tries it again, and at last sends it to `failed`.
    """


class Notifier:
    """Tells every phone of every log file in an event."""

    def __init__(self, settings: Settings, sender: Sender) -> None:
        self._phones = settings.to_numbers
        self._message = settings.message
        self._zone = zone(settings.timezone)
        self._sender = sender

    def notify(self, event: object) -> None:
        """Text every phone about every log file of an event; one that fails stops no other.

        Raises:
            NotAllSettled: Something is left for another try.
        """
        left = 0
        for item in events.read(event):
            if isinstance(item, events.Unreadable):
                log.decision("unreadable", level="ERROR", reason=item.reason)
                left += 1
                continue
            body = text.write(item, self._message, self._zone)
            left += sum([not self._settle(item, phone, body) for phone in self._phones])
        if left:
            raise NotAllSettled(f"{left} left for another try; the log lines above say why.")

    def _settle(self, file: events.LogFile, phone: str, body: str) -> bool:
        """Send one text. False if another try may settle it."""
        try:
            sid = self._sender.send(phone, body)
        except Refused as error:
            refusal = error.refusal
            log.decision(
                "not sent" if refusal.kind.passes else "failed",
                level="WARNING" if refusal.kind.passes else "ERROR",
                file=file,
                phone=phone,
                code=refusal.code,
                reason=refusal.kind,
                meaning=refusal.meaning,
            )
            return not refusal.kind.passes
        seconds = (datetime.datetime.now(datetime.UTC) - file.time).total_seconds()
        log.decision(
            "sent",
            file=file,
            phone=phone,
            sid=sid,
            segments=text.segments(body),
            seconds=round(seconds, 1),
        )
        return True


def zone(name: str) -> datetime.tzinfo:
    """Give the time zone of that IANA name; UTC without reading the time zone database."""
    return datetime.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)
