"""Twilio's Messages API: the requests that it accepts or refuses, and the shape of its answers.

Sources: https://www.twilio.com/docs/messaging/api/message-resource for requests and answers,
https://www.twilio.com/docs/api/errors for the codes, and
https://www.twilio.com/docs/iam/test-credentials for the magic numbers.
"""

import dataclasses
import datetime
import email.utils
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web

API = "/2010-04-01"
VALID_SENDER = "+15005550006"
"""Twilio's magic number that may send; here also the only sender of each Messaging Service."""
TRIAL_SENTENCE = "Sent from your Twilio trial account - "
"""It begins each text of a trial account, on the phone and in Twilio's records."""

# The parameters that are read. As Twilio does, the stand-in ignores all others.
CREATE_PARAMETERS = ("To", "From", "MessagingServiceSid", "Body")
FILTERS = ("To", "From", "DateSent", "DateSent<", "DateSent>")
PAGING = ("PageSize", "Page", "PageToken")

_MAX_BODY_CHARACTERS = 1600
MAX_PAGE_SIZE = 1000
_PHONE = re.compile(r"\+[1-9]\d{1,14}", re.ASCII)
_SHORT_CODE = re.compile("[0-9]{3,8}")
_NAME = re.compile("(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")

_SENDER_REFUSALS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
_PHONE_REFUSALS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}

# As Twilio's own messages do, these contain whole phone numbers.
MESSAGES = {
    20001: "Invalid parameter: {name}.",
    20003: "Authenticate",
    20404: "The requested resource {path} was not found",
    21211: "The 'To' number {to} is not a valid phone number.",
    21212: "The 'From' number {sender} is not a valid phone number, shortcode, or alphanumeric "
    "sender ID.",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' "
    "number: {to}.",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The From phone number {sender} is not a valid, SMS-capable inbound phone number or "
    "short code for your account.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "SMS queue is full.",
    21612: "The 'To' phone number: {to}, is not currently reachable using the 'From' phone number: "
    "{sender} via SMS.",
    21614: "To number: {to}, is not a mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21701: "The Messaging Service does not exist",
}
_STATUSES = {20003: 401, 20404: 404, 21611: 429}  # 400 for the others
_UNDELIVERED = {
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Carrier violation",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """One accepted text.

    Attributes:
        sid: Twilio's id of the message: SM and 32 hexadecimal digits.
        to: The phone.
        sender: The number, short code or name that it comes from.
        service: The Messaging Service that sent it, or None.
        body: Its body.
        segments: How many segments it takes: Twilio charges for each.
        time: When it was accepted, in UTC.
        status: Its status: `delivered`, `undelivered`, or `queued` before Twilio sends it.
        error_code: Why it was not delivered, or None.
    """

    sid: str
    to: str
    sender: str
    service: str | None
    body: str
    segments: int
    time: datetime.datetime
    status: str
    error_code: int | None


def refusal(to: str, sender: str, service: str, body: str) -> int | None:  # noqa: PLR0911  # one return for each refusal
    """Return the code with which Twilio refuses a message; None if it accepts it."""
    if not to:
        return 21604
    if not sender and not service:
        return 21603
    if sender and not any(form.fullmatch(sender) for form in (_PHONE, _SHORT_CODE, _NAME)):
        return 21212
    if service and not _SERVICE.fullmatch(service):
        return 21701
    if not _PHONE.fullmatch(to):
        return 21211
    if _NAME.fullmatch(sender) and to.startswith("+1"):  # the US and Canada allow no names
        return 21612
    if code := _SENDER_REFUSALS.get(sender) or _PHONE_REFUSALS.get(to):
        return code
    if not body:
        return 21602
    return 21617 if len(body) > _MAX_BODY_CHARACTERS else None


def filter_texts(texts: Iterable[Text], filters: Mapping[str, str]) -> list[Text]:
    """Return the texts that a list with these filters shows.

    A queued text has no date sent, so every filter by that date hides it.

    Raises:
        ValueError: A filter by date has no valid date.
    """
    first, last = _period(filters)
    by_date = filters.keys() - {"To", "From"}
    return [
        text
        for text in texts
        if filters.get("To", text.to) == text.to
        and filters.get("From", text.sender) == text.sender
        and (not by_date or (text.status != "queued" and first <= text.time <= last))
    ]


def message_resource(account_sid: str, text: Text) -> dict[str, Any]:
    """Return a text as Twilio's API shows it later."""
    uri = f"{API}/Accounts/{account_sid}/Messages/{text.sid}"
    time = email.utils.format_datetime(text.time)
    return {
        "account_sid": account_sid,
        "api_version": API.removeprefix("/"),
        "body": text.body,
        "date_created": time,
        "date_sent": None if text.status == "queued" else time,
        "date_updated": time,
        "direction": "outbound-api",
        "error_code": text.error_code,
        "error_message": _UNDELIVERED.get(text.error_code or 0),
        "from": text.sender,
        "messaging_service_sid": text.service,
        "num_media": "0",
        "num_segments": str(text.segments),
        "price": None,
        "price_unit": "USD",
        "sid": text.sid,
        "status": text.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": text.to,
        "uri": f"{uri}.json",
    }


def refused(code: int, **named: str) -> web.Response:
    """Return Twilio's answer to a request that it refuses with this code."""
    return error(_STATUSES.get(code, 400), code, MESSAGES[code].format(**named))


def error(status: int, code: int, message: str) -> web.Response:
    """Return an error in Twilio's shape."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    answer = web.json_response(
        {"code": code, "message": message, "more_info": more_info, "status": status}, status=status
    )
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="Twilio API"'
    return answer


def _period(filters: Mapping[str, str]) -> tuple[datetime.datetime, datetime.datetime]:
    """Return the first and the last moment, inclusive and in UTC, that the filters by date allow.

    Raises:
        ValueError: A filter by date has no valid date.
    """
    first = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    last = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    for name in filters.keys() - {"To", "From"}:
        begin = datetime.datetime.fromisoformat(filters[name])
        begin = begin.replace(tzinfo=begin.tzinfo or datetime.UTC)
        if name == "DateSent":
            begin = begin.replace(hour=0, minute=0, second=0)
        whole_day = name == "DateSent" or re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", filters[name])
        length = datetime.timedelta(days=1) if whole_day else datetime.timedelta(seconds=1)
        if name != "DateSent<":
            first = max(first, begin)
        if name != "DateSent>":
            last = min(last, begin + length - datetime.timedelta.resolution)
    return first, last
