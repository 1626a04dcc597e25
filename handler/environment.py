"""The settings as environment variables: written by the program, read by the functions."""

from collections.abc import Mapping
from typing import Any, TypeVar

from handler.settings import Settings

T = TypeVar("T")


class SettingsError(Exception):
    """The environment lacks variables; the message names every one."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: Variables are missing; it names every one.
    """
    values: dict[str, Any] = {}
    missing = []
    for name in Settings._fields:
        value = environment.get(variable(name), "")
        if not value and name not in Settings._field_defaults:
            missing.append(variable(name))
        values[name] = value
    if missing:
        raise SettingsError(f"The function's environment lacks {', '.join(missing)}.")
    values["to_numbers"] = tuple(values["to_numbers"].split(","))
    for name in ("max_texts_per_hour", "max_texts_at_once", "flush_minutes"):
        values[name] = int(values[name])
    return Settings(**values)


def to_environment(values: Mapping[str, T]) -> dict[str, T]:
    """Name the environment variable of each setting, so that `read_settings` reads it.

    The inverse of `read_settings`; several phones are joined by commas. The values may
    be outputs of Pulumi's, hence the type.

    Raises:
        TypeError: A setting is missing or unknown.
    """
    Settings(**values)  # type: ignore[arg-type]  # checks the names; the values may be outputs
    return {variable(name): value for name, value in values.items() if value != ""}


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return name.upper()
