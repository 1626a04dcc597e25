"""The settings as environment variables: written by the program, read by the functions."""

from collections.abc import Mapping
from typing import Any, TypeVar

from handler.settings import Settings

T = TypeVar("T")


class SettingsError(Exception):
    """The environment lacks variables, and the message names every one; or `ROUTES` is wrong."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: Variables are missing, and it names every one; or `ROUTES` is wrong.
    """
    routes = environment.get(variable("routes"), "")
    values: dict[str, Any] = {}
    missing = []
    for name in Settings._fields:
        value = environment.get(variable(name), "")
        is_needed = name not in Settings._field_defaults and not (routes and name == "to_numbers")
        if not value and is_needed:
            missing.append(variable(name))
        values[name] = value
    if missing:
        raise SettingsError(f"The function's environment lacks {', '.join(missing)}.")
    values["to_numbers"] = tuple(filter(None, values["to_numbers"].split(",")))
    for name in ("max_texts_per_hour", "max_texts_at_once", "flush_minutes"):
        values[name] = int(values[name])
    settings = Settings(**values | {"routes": ()})
    return _with_routes(settings, routes) if routes else settings


def _with_routes(settings: Settings, variable: str) -> Settings:
    from handler.routes import read  # noqa: PLC0415  # most stacks have none

    try:
        return settings._replace(routes=read(variable, settings))
    except ValueError as error:
        raise SettingsError(f"ROUTES in the function's environment is {error}.") from None


def to_environment(values: Mapping[str, T]) -> dict[str, T]:
    """Name the environment variable of each setting, so that `read_settings` reads it.

    The inverse of `read_settings`; several phones are joined by commas, and routes written by
    `handler.routes.write`. The values may be outputs of Pulumi's, hence the type.

    Raises:
        TypeError: A setting is missing or unknown.
    """
    Settings(**values)  # type: ignore[arg-type]  # checks the names; the values may be outputs
    return {variable(name): value for name, value in values.items() if value != ""}


def variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return name.upper()
