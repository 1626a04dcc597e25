"""The kinds of the settings, by subject."""

from infra.kinds.kind import Kind, describe_character, is_private, quoted
from infra.kinds.routes import ROUTE_NAME, ROUTES
from infra.kinds.s3 import BUCKET, EXCEPTIONS, GLOBS, PREFIX, SUFFIXES
from infra.kinds.texts import MESSAGE, WORDS
from infra.kinds.times import EXPECT, HOURS, ROUTE_HOURS, ZONE
from infra.kinds.twilio import LOST_PLUS, NAME, PHONES, ROUTE_PHONES, SENDER, URL, secret, sid
from infra.kinds.values import EMAIL, SIZE, SWITCH, choice, count

__all__ = [
    "BUCKET",
    "EMAIL",
    "EXCEPTIONS",
    "EXPECT",
    "GLOBS",
    "HOURS",
    "LOST_PLUS",
    "MESSAGE",
    "NAME",
    "PHONES",
    "PREFIX",
    "ROUTES",
    "ROUTE_HOURS",
    "ROUTE_NAME",
    "ROUTE_PHONES",
    "SENDER",
    "SIZE",
    "SUFFIXES",
    "SWITCH",
    "URL",
    "WORDS",
    "ZONE",
    "Kind",
    "choice",
    "count",
    "describe_character",
    "is_private",
    "quoted",
    "secret",
    "sid",
]
