"""Twilio's refusals: the cause of each, and the text's outcome."""

import enum
from typing import Any, NamedTuple


class Kind(enum.StrEnum):
    """The cause of a refusal, which decides the text's outcome."""

    BUSY = "busy"
    """Twilio did not process it: try again later."""

    IN_DOUBT = "in doubt"
    """Twilio may have processed it: ask for it before it is repeated."""

    ACCOUNT = "account"
    """The account or its credentials: no text goes out until an operator fixes them."""

    SENDER = "sender"
    """The sender, for this phone at least: try again when an operator has fixed it."""

    DESTINATION = "destination"
    """The account may not text that phone yet: try again when it may."""

    UNKNOWN = "unknown"
    """An unknown code. An operator can fix most of their causes: try again."""

    PHONE = "phone"
    """That one phone: no retry helps."""

    TEXT = "text"
    """The text itself: a defect of this program."""

    EXPIRED = "expired"
    """It was tried for so long that SQS would soon delete it."""

    @property
    def is_temporary(self) -> bool:
        """Whether the same text may be accepted later."""
        return self not in {Kind.PHONE, Kind.TEXT, Kind.EXPIRED}

    @property
    def needs_operator(self) -> bool:
        """Whether it lasts until an operator fixes a setting, here or at Twilio."""
        return self in {Kind.ACCOUNT, Kind.SENDER, Kind.DESTINATION, Kind.UNKNOWN}


class Refusal(NamedTuple):
    """One refusal.

    Attributes:
        kind: The cause, which decides the text's outcome.
        code: Twilio's error code, or the word that another service gives; the HTTP status if
            there was no code; 0 without any answer.
        meaning: Its meaning, in a few words; never Twilio's own message, which may hold the
            whole phone number.
    """

    kind: Kind
    code: int | str
    meaning: str

    @property
    def affects_everyone(self) -> bool:
        """Whether it says by itself that every other phone would be refused, too."""
        return self.kind is Kind.ACCOUNT or self == NO_CONNECTION

    @property
    def details(self) -> dict[str, Any]:
        """The code and its meaning, for an operator to look up."""
        return {"code": str(self.code), "meaning": self.meaning}


# Source: https://www.twilio.com/docs/api/errors, one page for each code.
_BY_CODE: dict[int, tuple[Kind, str]] = {
    14107: (Kind.BUSY, "the sender sends too fast"),
    20429: (Kind.BUSY, "too many requests"),
    20503: (Kind.BUSY, "Twilio is unavailable"),
    21611: (Kind.BUSY, "the sender's queue is full"),
    21730: (Kind.BUSY, "Twilio is under maintenance"),
    63038: (Kind.BUSY, "the account's daily limit is reached"),
    20500: (Kind.IN_DOUBT, "an error inside Twilio"),
    21619: (Kind.IN_DOUBT, "Twilio failed to process the text"),
    20003: (Kind.ACCOUNT, "wrong credentials, or the account is suspended"),
    20005: (Kind.ACCOUNT, "the account is not active"),
    20006: (Kind.ACCOUNT, "the account or its credentials have no access"),
    20008: (Kind.ACCOUNT, "these are test credentials"),
    20010: (Kind.ACCOUNT, "the account is not active"),
    20403: (Kind.ACCOUNT, "the credentials may not send texts"),
    20404: (Kind.ACCOUNT, "no such account"),
    **dict.fromkeys(
        range(572001, 572007),
        (Kind.ACCOUNT, "a trial account may not send texts of its own wording"),
    ),
    21212: (Kind.SENDER, "the sender is not a valid number"),
    21266: (Kind.SENDER, "the sender and the phone are the same number"),
    21601: (Kind.SENDER, "the sender's number cannot send texts"),
    21603: (Kind.SENDER, "the sender is missing"),
    21607: (Kind.SENDER, "the sender's number cannot send texts or is not this account's"),
    21616: (Kind.SENDER, "the sender matches several numbers of the account"),
    21657: (Kind.SENDER, "the sender's name is not valid for that phone"),
    21659: (Kind.SENDER, "the sender's number is not Twilio's"),
    21660: (Kind.SENDER, "the sender's number is another account's"),
    21661: (Kind.SENDER, "the sender's number cannot send texts"),
    21701: (Kind.SENDER, "no such Messaging Service"),
    21702: (Kind.SENDER, "the Messaging Service is not set up to send texts"),
    21703: (Kind.SENDER, "the Messaging Service has no sender for that phone"),
    21704: (Kind.SENDER, "the Messaging Service has no sender"),
    21705: (Kind.SENDER, "the Messaging Service is not valid"),
    21708: (Kind.SENDER, "the Messaging Service is not set up to send texts"),
    21709: (Kind.SENDER, "the Messaging Service is not set up to send texts"),
    21711: (Kind.SENDER, "the sender is not one of the Messaging Service"),
    21712: (Kind.SENDER, "the sender belongs to another Messaging Service"),
    21715: (Kind.SENDER, "the Messaging Service is not set up to send texts"),
    21729: (Kind.SENDER, "the Messaging Service is not set up to send texts"),
    30032: (Kind.SENDER, "the toll-free number is not verified"),
    30033: (Kind.SENDER, "the sender's A2P 10DLC campaign is suspended"),
    21215: (Kind.DESTINATION, "the account may not reach that country"),
    21219: (Kind.DESTINATION, "a trial account texts verified numbers only"),
    21408: (Kind.DESTINATION, "texts to that country are not enabled"),
    21606: (Kind.DESTINATION, "the sender's number may not text that phone"),
    21608: (Kind.DESTINATION, "a trial account texts verified numbers only"),
    30034: (Kind.DESTINATION, "the sender is not registered for US texts (A2P 10DLC)"),
    30035: (Kind.DESTINATION, "the sender's registration for US texts is not ready (A2P 10DLC)"),
    21202: (Kind.PHONE, "a premium number"),
    21211: (Kind.PHONE, "not a valid number"),
    21214: (Kind.PHONE, "the number cannot be reached"),
    21217: (Kind.PHONE, "not a valid number"),
    21268: (Kind.PHONE, "a premium or service number"),
    21401: (Kind.PHONE, "not a valid number"),
    21604: (Kind.PHONE, "the number is missing"),
    21610: (Kind.PHONE, "the recipient replied STOP"),
    21612: (Kind.PHONE, "no route from the sender to that number"),
    21614: (Kind.PHONE, "not a mobile number"),
    21635: (Kind.PHONE, "a landline"),
    63033: (Kind.PHONE, "the recipient blocks the sender"),
    21602: (Kind.TEXT, "the text is empty"),
    21605: (Kind.TEXT, "the text is too long"),
    21617: (Kind.TEXT, "the text is too long"),
    21618: (Kind.TEXT, "Twilio cannot send these characters"),
    21658: (Kind.TEXT, "the text is too long"),
}

_BY_STATUS: dict[int, tuple[Kind, str]] = {
    401: (Kind.ACCOUNT, "wrong credentials"),
    403: (Kind.ACCOUNT, "the credentials may not send texts"),
    404: (Kind.ACCOUNT, "no such account"),
    429: (Kind.BUSY, "too many requests"),
    503: (Kind.BUSY, "Twilio is unavailable"),
}


def refusal(status: int, code: object = None) -> Refusal:
    """Class an answer that is not a success.

    A known code decides, else the HTTP status. Any other answer holds the text: in most cases
    somebody can fix the cause. So does a code that is not known here with 403 or 404: it may be
    about that phone only, and the status alone would stop the texts to all.

    Args:
        status: The HTTP status.
        code: Twilio's error code, as a number or as text, or the word that another service gives.
            None, or the status again, if the answer had none.
    """
    found = read_code(code)
    known = _BY_CODE.get(found) if isinstance(found, int) else None
    if not known and (found in {0, status} or status not in {403, 404}):
        known = _BY_STATUS.get(status)
    if known:
        kind, meaning = known
    elif status >= 500:
        kind, meaning = Kind.IN_DOUBT, "an error at Twilio or on the way to it"
    elif found in {0, status}:
        kind, meaning = Kind.UNKNOWN, "the answer is not Twilio's: check twilioApiUrl"
    else:
        kind, meaning = Kind.UNKNOWN, "refused for a reason that is not known here"
    return Refusal(kind=kind, code=found or status, meaning=meaning)


def read_code(code: object) -> int | str:
    """Read an error code of Twilio's, or of a service that speaks its API.

    Returns:
        The number, also if it came as text; a word such as `not_routable`; 0 for anything else,
        which might be something that must not be logged.
    """
    if isinstance(code, str):
        if code.isascii() and code.isdigit() and len(code) <= _MAX_CODE_DIGITS:
            return int(code)
        return read_word(code) or 0
    is_number = isinstance(code, int | float) and not isinstance(code, bool)
    return int(code) if is_number and 0 < code < 10**_MAX_CODE_DIGITS else 0  # type: ignore[operator,call-overload]  # is_number says so


def read_word(value: object) -> str:
    """Read a word of an answer, such as a status. Give "" if it may be more than a word."""
    if not isinstance(value, str) or len(value) > _MAX_WORD_LENGTH:
        return ""
    letters = value.replace("_", "").replace("-", "")
    return value if letters.isascii() and letters.isalpha() else ""


_MAX_CODE_DIGITS = 6
"""The digits of Twilio's longest codes. A phone number has more."""

_MAX_WORD_LENGTH = 40

NOT_FOUND = frozenset({404, 20404})
"""The codes for a record that does not exist."""

NO_CONNECTION = Refusal(kind=Kind.BUSY, code=0, meaning="no connection to Twilio")
NO_ANSWER = Refusal(kind=Kind.IN_DOUBT, code=0, meaning="no answer from Twilio in time")
TOO_MANY_TEXTS = Refusal(
    kind=Kind.IN_DOUBT, code=0, meaning="too many texts to this phone to look through"
)
NOT_TWILIO = Refusal(kind=Kind.IN_DOUBT, code=0, meaning="an answer that is not Twilio's")
