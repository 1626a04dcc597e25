"""What the functions are told by their environment, each setting under one name on both sides."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self, TypeVar

T = TypeVar("T")

TWILIO_API_URL = "https://api.twilio.com"
"""Twilio's own address: the default of the program's `twilioApiUrl`."""


class SettingsError(Exception):
    """The environment lacks variables; the message names every one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The handler's settings. Each field is one environment variable, its name in capitals.

    Attributes:
        twilio_account_sid: AC…
        twilio_api_key_sid: SK…, or "" to authenticate with the account's auth token.
        twilio_secret: The API key's secret or the auth token.
        twilio_api_url: Where Twilio's API is, without a slash at the end.
        from_number: The sender in E.164, or "" with a Messaging Service.
        messaging_service_sid: MG…, or "" with a number.
        to_numbers: The phones, in E.164.
        message: The `string.Template` of a text; see `handler.text.NAMES`.
        timezone: The IANA name of the zone that times are told in.
    """

    twilio_account_sid: str
    twilio_api_key_sid: str = ""
    twilio_secret: str = dataclasses.field(repr=False)
    twilio_api_url: str
    from_number: str = ""
    messaging_service_sid: str = ""
    to_numbers: tuple[str, ...] = dataclasses.field(repr=False)
    message: str
    timezone: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: Variables are missing; it names every one.
        """
        values: dict[str, Any] = {}
        missing = []
        for field in dataclasses.fields(cls):
            value = environment.get(_variable(field.name), "")
            if not value and field.default is dataclasses.MISSING:
                missing.append(_variable(field.name))
            values[field.name] = value
        if missing:
            raise SettingsError(f"The function's environment lacks {', '.join(missing)}.")
        return cls(**values | {"to_numbers": tuple(values["to_numbers"].split(","))})


def to_environment(values: Mapping[str, T]) -> dict[str, T]:
    """Name the environment variable of each setting, so that `Settings.from_environment` reads it.

    The inverse of `Settings.from_environment`; several phones are joined by commas. The values may
    be outputs of Pulumi's, hence the type.

    Raises:
        TypeError: A setting is missing or unknown.
    """
    Settings(**values)  # type: ignore[arg-type]  # checks the names; the values may be outputs
    return {_variable(name): value for name, value in values.items() if value != ""}


def _variable(name: str) -> str:
    return name.upper()
