"""What the functions are told by their environment, each setting under one name on both sides."""

import datetime
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self, TypeVar

from handler.quiet_hours import QuietHours

Mode = Literal["instant", "digest"]

T = TypeVar("T")

TWILIO_API_URL = "https://api.twilio.com"
"""Twilio's own address: the default of the program's `twilioApiUrl`."""


class SettingsError(Exception):
    """The environment lacks variables; the message names every one."""


class Settings(NamedTuple):
    """The handler's settings. Each field is one environment variable, its name in capitals.

    Attributes:
        twilio_account_sid: AC…
        twilio_secret: The API key's secret or the auth token.
        twilio_api_url: Where Twilio's API is, without a slash at the end.
        to_numbers: The phones, in E.164.
        message: The `string.Template` of a text; see `handler.text.NAMES`.
        mode: `instant`, or `digest` to hold every text until the next flush.
        max_texts_per_hour: For each phone; what is over it is held.
        timezone: The IANA name of the zone of the quiet hours, and that times are told in.
        ledger_table: The name of the DynamoDB table.
        held_queue: The URL of the queue of texts that are due later.
        failed_queue: The URL of the queue of what no retry will mend.
        stack: The project and the stack, such as `s3-logs/dev`: whose metrics they are.
        twilio_api_key_sid: SK…, or "" to authenticate with the account's auth token.
        from_number: The sender, a number, a short code or a name; "" with a Messaging Service.
        messaging_service_sid: MG…, or "" with a number.
        quiet_hours: When texts are held, as `22:00-07:00`; "" for never.
    """

    twilio_account_sid: str
    twilio_secret: str
    twilio_api_url: str
    to_numbers: tuple[str, ...]
    message: str
    mode: Mode
    max_texts_per_hour: int
    timezone: str
    ledger_table: str
    held_queue: str
    failed_queue: str
    stack: str
    twilio_api_key_sid: str = ""
    from_number: str = ""
    messaging_service_sid: str = ""
    quiet_hours: str = ""

    def __repr__(self) -> str:
        """Show neither the secret nor whole numbers."""
        return f"Settings(stack={self.stack!r})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: Variables are missing; it names every one.
        """
        values: dict[str, Any] = {}
        missing = []
        for name in cls._fields:
            value = environment.get(variable(name), "")
            if not value and name not in cls._field_defaults:
                missing.append(variable(name))
            values[name] = value
        if missing:
            raise SettingsError(f"The function's environment lacks {', '.join(missing)}.")
        values["to_numbers"] = tuple(values["to_numbers"].split(","))
        values["max_texts_per_hour"] = int(values["max_texts_per_hour"])
        return cls(**values)

    @property
    def zone(self) -> datetime.tzinfo:
        """The time zone; UTC without reading the time zone database."""
        if self.timezone == "UTC":
            return datetime.UTC
        from zoneinfo import ZoneInfo  # noqa: PLC0415  # 2 ms that most stacks need not pay

        return ZoneInfo(self.timezone)

    @property
    def quiet(self) -> QuietHours | None:
        """The quiet hours, if there are any."""
        return QuietHours.parse(self.quiet_hours, self.zone) if self.quiet_hours else None


def to_environment(values: Mapping[str, T]) -> dict[str, T]:
    """Name the environment variable of each setting, so that `Settings.from_environment` reads it.

    The inverse of `Settings.from_environment`; several phones are joined by commas. The values may
    be outputs of Pulumi's, hence the type.

    Raises:
        TypeError: A setting is missing or unknown.
    """
    Settings(**values)  # type: ignore[arg-type]  # checks the names; the values may be outputs
    return {variable(name): value for name, value in values.items() if value != ""}


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return name.upper()
