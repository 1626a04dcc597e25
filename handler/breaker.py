"""The phones that Twilio refused lately, and whether it refuses all."""

from handler.refusals import Kind, Refusal


class Breaker:
    """The phones that Twilio refused lately, and whether it refuses everybody."""

    def __init__(self, seconds: float, *, in_outage: bool = False) -> None:
        """Make one.

        Args:
            seconds: How long a refusal or an acceptance counts.
            in_outage: Whether Twilio refused everybody just before. Then Twilio's first error, for
                any phone, shows that it still does.
        """
        self._seconds = seconds
        self._in_outage = in_outage
        self._refused: dict[str, tuple[float, Refusal]] = {}
        self._accepted_at: float | None = None

    def refused(self, phone: str, refusal: Refusal, now: float) -> None:
        """Record that Twilio refused a text which it may accept later."""
        self._refused[phone] = now, refusal

    def accepted(self, phone: str, now: float) -> None:
        """Record that Twilio accepted a text: it does not refuse everybody."""
        self._accepted_at = now
        self._refused = {
            other: (at, refusal)
            for other, (at, refusal) in self._refused.items()
            if other != phone and not refusal.affects_everyone
        }

    def refuses(self, phone: str, now: float) -> bool:
        """Whether Twilio refused this phone lately, or refuses everybody."""
        return self._is_recent(self.refused_at(phone), now) or self.refuses_everybody(now)

    def refuses_everybody(self, now: float) -> bool:
        """Whether Twilio would refuse any phone.

        An error of Twilio for one phone may concern that phone alone. It affects everybody once a
        second phone gets the same error, while Twilio accepts no text.
        """
        recent = [refusal for at, refusal in self._refused.values() if self._is_recent(at, now)]
        if any(one.affects_everyone for one in recent):
            return True
        of_twilio = [one for one in recent if one.kind in {Kind.BUSY, Kind.IN_DOUBT}]
        is_repeated = len(set(of_twilio)) < len(of_twilio)
        is_outage = is_repeated or (self._in_outage and bool(of_twilio))
        return is_outage and not self._is_recent(self._accepted_at, now)

    def refused_at(self, phone: str) -> float | None:
        """When Twilio refused a phone last; None if it did not."""
        at, _ = self._refused.get(phone, (None, None))
        return at

    def _is_recent(self, at: float | None, now: float) -> bool:
        return at is not None and now < at + self._seconds
