"""Quiet hours: when nobody is texted."""

import datetime
import re
from typing import Self

FORMAT = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


class QuietHours:
    """A time of the day in which texts are held, by the clocks of one time zone.

    Daylight saving needs no care: at any moment the clocks there show one time.

    Attributes:
        start: Its first minute.
        end: The first minute after it; before `start` if midnight lies between.
        zone: The time zone.
    """

    def __init__(self, start: datetime.time, end: datetime.time, zone: datetime.tzinfo) -> None:
        self.start = start
        self.end = end
        self.zone = zone

    @classmethod
    def parse(cls, hours: str, zone: datetime.tzinfo) -> Self:
        """Read `22:00-07:00`.

        Raises:
            ValueError: It is not of that form, or starts when it ends.
        """
        match = FORMAT.fullmatch(hours)
        if not match or match[1] + match[2] == match[3] + match[4]:
            raise ValueError("not of the form 22:00-07:00")
        hour, minute, end_hour, end_minute = map(int, match.groups())
        return cls(datetime.time(hour, minute), datetime.time(end_hour, end_minute), zone)

    @property
    def minutes(self) -> int:
        """How long it is, on a day on which no clock is changed."""
        start, end = (moment.hour * 60 + moment.minute for moment in (self.start, self.end))
        return (end - start) % (24 * 60)

    def __contains__(self, moment: datetime.datetime) -> bool:
        local = moment.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


def is_quiet(hours: QuietHours | None, now: float) -> bool:
    """Say whether nobody is texted now, in seconds since the epoch; never without quiet hours."""
    return hours is not None and datetime.datetime.fromtimestamp(now, datetime.UTC) in hours
