"""Why Twilio did not take a text, and what that means for the text."""

import enum
from typing import Any, NamedTuple


class Kind(enum.StrEnum):
    """Whose problem a refusal is, and so what becomes of the text."""

    BUSY = "busy"
    """Twilio did not process it: try again later."""

    IN_DOUBT = "in doubt"
    """Twilio may have processed it: try again all the same, a duplicate beats a loss."""

    SETTINGS = "settings"
    """Our account, number or permissions: try again when somebody has mended them."""

    DESTINATION = "destination"
    """Our account may not text that phone: the same, while the other phones go on."""

    PHONE = "phone"
    """That one phone: no retry will mend it; the other phones go on."""

    TEXT = "text"
    """The text itself: our defect."""

    IN_VAIN = "in vain"
    """It was tried for so long that SQS would soon delete it."""

    @property
    def passes(self) -> bool:
        """Whether the same text may be accepted later."""
        return self.meets_all or self is Kind.DESTINATION

    @property
    def meets_all(self) -> bool:
        """Whether every other phone would meet with the same."""
        return self in {Kind.BUSY, Kind.IN_DOUBT, Kind.SETTINGS}


class Refusal(NamedTuple):
    """One refusal.

    Attributes:
        kind: What becomes of the text.
        code: Twilio's error code; the HTTP status where Twilio sent none; 0 without any answer.
        meaning: What it means, in a few words; never Twilio's own message, which may hold the
            whole phone number.
    """

    kind: Kind
    code: int
    meaning: str

    @property
    def details(self) -> dict[str, Any]:
        """What an operator looks up: the code and what it means."""
        return {"code": str(self.code), "meaning": self.meaning}


# Source: https://www.twilio.com/docs/api/errors, one page for each code.
_BY_CODE: dict[int, tuple[Kind, str]] = {
    20429: (Kind.BUSY, "too many requests"),
    21611: (Kind.BUSY, "the sender's queue is full"),
    63038: (Kind.BUSY, "the account's daily limit is reached"),
    20500: (Kind.IN_DOUBT, "an error inside Twilio"),
    20003: (Kind.SETTINGS, "wrong credentials, or the account is suspended"),
    20404: (Kind.SETTINGS, "no such account or Messaging Service"),
    21212: (Kind.SETTINGS, "the sender is not a valid number"),
    21606: (Kind.SETTINGS, "the sender's number cannot send texts or is not this account's"),
    21659: (Kind.SETTINGS, "the sender's number is not this account's"),
    21703: (Kind.SETTINGS, "the Messaging Service has no sender"),
    21408: (Kind.DESTINATION, "texts to that country are not enabled"),
    21608: (Kind.DESTINATION, "a trial account texts verified numbers only"),
    30034: (Kind.DESTINATION, "the sender is not registered for US texts (A2P 10DLC)"),
    21211: (Kind.PHONE, "not a valid number"),
    21610: (Kind.PHONE, "the recipient replied STOP"),
    21612: (Kind.PHONE, "no route from the sender to that number"),
    21614: (Kind.PHONE, "not a mobile number"),
    21602: (Kind.TEXT, "the text is empty"),
    21617: (Kind.TEXT, "the text is too long"),
    21658: (Kind.TEXT, "the text is too long"),
}

_BY_STATUS: dict[int, tuple[Kind, str]] = {
    401: (Kind.SETTINGS, "wrong credentials"),
    403: (Kind.SETTINGS, "the credentials may not send texts"),
    404: (Kind.SETTINGS, "no such account"),
    429: (Kind.BUSY, "too many requests"),
    503: (Kind.BUSY, "Twilio is unavailable"),
}


def refusal(status: int, code: int | None) -> Refusal:
    """Class an answer that is not a success.

    Twilio's code decides where it is known, else the HTTP status. What no code of Twilio's comes
    with is not Twilio's answer, but that of something on the way to it: ours to mend. A refusal by
    a code that is not known here is the text's, since retrying it might never end.

    Args:
        status: The HTTP status.
        code: Twilio's error code. None, or the status again, if the answer had none.
    """
    known = _BY_CODE.get(code or 0) or _BY_STATUS.get(status)
    if known:
        kind, meaning = known
    elif status >= 500:
        kind, meaning = Kind.IN_DOUBT, "an error at Twilio or on the way"
    elif code in {None, status}:
        kind, meaning = Kind.SETTINGS, "the answer is not Twilio's: is twilioApiUrl right?"
    else:
        kind, meaning = Kind.TEXT, "refused for a reason that is not known here"
    return Refusal(kind=kind, code=code or status, meaning=meaning)


NOT_FOUND = frozenset({404, 20404})
"""The codes of what is not there."""

NO_CONNECTION = Refusal(kind=Kind.BUSY, code=0, meaning="no connection to Twilio")
NO_ANSWER = Refusal(kind=Kind.IN_DOUBT, code=0, meaning="no answer from Twilio in time")
NO_SENSE = Refusal(kind=Kind.IN_DOUBT, code=0, meaning="an answer that is not Twilio's")
