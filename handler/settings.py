"""The settings of the functions."""

import datetime
import string
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from handler.routes import Mode, Route

AnyRoute: TypeAlias = "Route | Settings"
"""A route. In a stack without routes the flat settings are the only route, and need no import."""


def looks_inside(route: AnyRoute) -> bool:
    """Whether a route's texts need the content of their log file."""
    names = string.Template(route.message).get_identifiers()
    return bool(route.contains) or not {"line", "count"}.isdisjoint(names)


class Settings(NamedTuple):
    """The handler's settings; see `handler.environment` for how they get here.

    Attributes:
        twilio_account_sid: AC…
        twilio_secret: The API key's secret or the auth token.
        twilio_api_url: The address of Twilio's API, without a slash at the end.
        to_numbers: The phones of logs that match no route, in E.164; see `phones`.
        message: The `string.Template` of a text; see `handler.text.PLACEHOLDERS`.
        mode: `instant`, or `digest` to hold every text until the next flush.
        max_texts_per_hour: For each phone and clock hour; what is over it is held.
        max_texts_at_once: For each phone between two flushes; what is over it is held.
        flush_minutes: How often a flush runs.
        timezone: The IANA name of the zone of the quiet hours, and of the times in a text.
        ledger_table: The name of the DynamoDB table.
        held_queue: The URL of the queue of texts that are due later.
        failed_queue: The URL of the queue of texts that no retry will help.
        stack: The project and the stack, such as `s3-logs/dev`: the dimension of the metrics.
        twilio_api_key_sid: SK…, or "" to authenticate with the account's auth token.
        from_number: The sender, a number, a short code or a name; "" with a Messaging Service.
        messaging_service_sid: MG…, or "" with a number.
        quiet_hours: When texts are held; see `QuietHours.parse`. "" for never.
        contains: Words; a log without one of them is not texted. "" for any log.
        expect: When a log that matches no route is due, as `by 06:30`; "" for never.
        at_least: The smallest size of a log that counts as the one that is due; "" for any size.
        routes: Which logs text which phones, and how; see `handler.routes`.
    """

    twilio_account_sid: str
    twilio_secret: str
    twilio_api_url: str
    to_numbers: tuple[str, ...]
    message: str
    mode: "Mode"
    max_texts_per_hour: int
    max_texts_at_once: int
    flush_minutes: int
    timezone: str
    ledger_table: str
    held_queue: str
    failed_queue: str
    stack: str
    twilio_api_key_sid: str = ""
    from_number: str = ""
    messaging_service_sid: str = ""
    quiet_hours: str = ""
    contains: str = ""
    expect: str = ""
    at_least: str = ""
    routes: tuple["Route", ...] = ()

    def __repr__(self) -> str:
        """Show neither the secret nor whole numbers."""
        return f"Settings(stack={self.stack!r})"

    @property
    def name(self) -> str:
        """The name of the route that the flat settings are."""
        return ""

    @property
    def label(self) -> str:
        """Empty: without routes, log lines and metrics name none."""
        return ""

    @property
    def expects_logs(self) -> bool:
        """Whether a log is expected by any route, or by the flat settings."""
        return bool(self.expect) or any(route.expect for route in self.routes)

    @property
    def looks_inside(self) -> bool:
        """Whether `notify` reads any log."""
        return looks_inside(self) or any(map(looks_inside, self.routes))

    @property
    def is_instant(self) -> bool:
        """Whether any text may go at once."""
        return "instant" in {self.mode, *(route.mode for route in self.routes)}

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone, of the routes too, each once."""
        numbers = dict.fromkeys(self.to_numbers)
        for route in self.routes:
            numbers |= dict.fromkeys(route.to_numbers)
        return tuple(numbers)

    @property
    def phones_of(self) -> Callable[[str], Mapping[str, AnyRoute]]:
        """Find the phones that a log is for, by its key, each with the route that words its text.

        Ask for it once: each access reads the routes again. Without routes the flat settings are
        the route.
        """
        if self.routes:
            from handler.routes import Routes  # noqa: PLC0415  # most stacks have none

            return Routes(self).phones
        phones = dict.fromkeys(self.to_numbers, self)
        return lambda _key: phones

    @property
    def matching(self) -> Callable[[str], Sequence[AnyRoute]]:
        """Find all routes that a log matches, by its key. Ask for it once, as for `phones_of`."""
        if self.routes:
            from handler.routes import Routes  # noqa: PLC0415  # most stacks have none

            return Routes(self).matching
        return lambda _key: (self,)

    @property
    def by_label(self) -> dict[str, AnyRoute]:
        """The routes, that of the flat settings included, by their labels."""
        if self.routes:
            from handler.routes import Route  # noqa: PLC0415  # most stacks have none

            return {route.label: route for route in (*self.routes, Route.of_others(self))}
        return {self.label: self}

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone; UTC without reading the time zone database."""
        if self.timezone == "UTC":
            return datetime.UTC
        from zoneinfo import ZoneInfo  # noqa: PLC0415  # slow, and few stacks need it

        return ZoneInfo(self.timezone)
