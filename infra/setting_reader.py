"""Reads the stack's configuration and collects every mistake in it, each with its remedy."""

import difflib
import functools
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime.config import (
    CONFIG,
    get_config_env,
    get_config_secret_keys_env,
    is_config_secret,
)

from infra import kinds
from infra.kinds import Kind

ROOT = Path(__file__).parents[1]

DEFAULTS: dict[str, str] = {
    # As the CLI passes it to the program.
    key: str(setting["default"]).lower()
    if setting["type"] == "boolean"
    else str(setting["default"])
    for key, setting in yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))[
        "config"
    ].items()
    if "default" in setting
}

ALIASES = {
    "twilioauthtoken": "twilioSecret",
    "twilioapikeysecret": "twilioSecret",
    "authtoken": "twilioSecret",
    "phonenumber": "toNumbers",
    "bucketname": "existingBucket",
}
"""Other names of a setting, such as Twilio's, in lower case."""


class Reader:
    """Reads settings one by one and collects the mistakes in them.

    The key of a setting is as `pulumi config` takes it: `message`, and with `--path`
    `routes[0].message`.
    """

    def __init__(self, config: pulumi.Config, settings: Mapping[str, Kind[Any]]) -> None:
        """Read the flat settings.

        Args:
            config: The stack's configuration.
            settings: The kind of each flat setting, by its key.
        """
        self._config = config
        self._settings = settings
        self._kinds: dict[str, Kind[Any]] = {}
        self._values: dict[str, str | None] = {}
        self._mistakes: list[str] = []
        self._invalid: set[str] = set()
        self._unset: set[str] = set()
        for key, kind in settings.items():
            self.check(key, kind, config.get(key))

    def check(self, key: str, kind: Kind[Any], value: str | None) -> None:
        """Add a setting, and the mistake in it if there is one.

        Args:
            key: Its key.
            kind: Its kind.
            value: Its value; None if it is not set.
        """
        self._kinds[key], self._values[key] = kind, value
        text = self.text(key)
        if value is None:
            what = "is not set"
            self._unset.add(key)
        elif not text.strip() and kind.required:
            what = "is empty"
        elif what := kind.problem(text):
            what = f"{self._shown(key)} {what}".lstrip()
        else:
            return
        self._invalid.add(key)
        self._add(key, what, self.remedy(key))

    def _shown(self, key: str) -> str:
        """Return a setting as a message shows it; "" if it must not be seen."""
        return "" if self.is_secret(key) else self._kinds[key].show(self.text(key))

    def text(self, key: str) -> str:
        """Return a setting as it is, right or wrong."""
        value = self._values[key] or ""
        return value.strip() if self._kinds[key].stripped else value

    def is_valid(self, key: str) -> bool:
        """Whether there is such a setting, and no mistake in it."""
        return key in self._kinds and key not in self._invalid

    def is_right(self, key: str) -> bool:
        """Whether there is no mistake in a setting, or no such setting."""
        return key not in self._invalid

    def valid_or_default(self, key: str) -> str:
        """Return a setting; if it is wrong its default, or nothing where it has none."""
        return self.text(key) if self.is_valid(key) else DEFAULTS.get(_name(key), "")

    def longest_part(self, key: str) -> str:
        """Return the key of the longest field of a route."""
        parts = [part for part in self._kinds if part.startswith(f"{key}.")]
        return max(parts, key=lambda part: len(self.text(part).encode()))

    def parsed(self, key: str) -> Any:
        """Return a setting as the program uses it."""
        kind = self._kinds[key]
        return kind.parse(self.valid_or_default(key) if kind.falls_back else self.text(key))

    def is_secret(self, key: str) -> bool:
        """Whether a setting is encrypted in the stack's file, or may be.

        The Automation API sets it in Pulumi's runtime, the CLI in the environment. Both name
        `routes` as a whole if a part of it is encrypted; the stack's file tells which.
        """
        root = key.partition("[")[0]
        full = self._config.full_key(root)
        if not (is_config_secret(full) or full in get_config_secret_keys_env()):
            return False
        return root == key or not self._is_in_clear_text(key)

    def _is_in_clear_text(self, key: str) -> bool:
        """Whether the stack's file has the value of a route's field as it is."""
        found: Any = self._file.get("config")
        path = re.fullmatch(r"(\w+)\[([0-9]+)\]\.(\w+)", key)
        try:
            for step in (self._config.full_key(path[1]), int(path[2]), path[3]) if path else ():
                found = found[step]
        except (KeyError, IndexError, TypeError):
            return False
        return isinstance(found, (str, int)) and as_text(found) == self._values.get(key)

    @functools.cached_property
    def _file(self) -> dict[str, Any]:
        """The stack's file, where it is in its usual place."""
        try:
            text = (ROOT / f"Pulumi.{pulumi.get_stack()}.yaml").read_text(encoding="utf-8")
            found = yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError):
            return {}
        return found if isinstance(found, dict) else {}

    def check_keys(self) -> None:
        """Find the keys of this project that are no settings."""
        namespace = self._config.name + ":"
        for full in sorted({*CONFIG.get(), *get_config_env()}):
            key = full.removeprefix(namespace)
            if full.startswith(namespace) and key not in self._settings:
                value = self._config.get(key) or ""
                self.unknown(
                    key,
                    value,
                    name=key,
                    what="setting",
                    known=self._settings,
                    aliases=ALIASES,
                )

    def unknown(
        self,
        key: str,
        value: str,
        *,
        name: str,
        what: str,
        known: Mapping[str, Kind[Any]],
        aliases: Mapping[str, str],
    ) -> None:
        """Report an unknown name, with the nearest known one.

        Args:
            key: The key of the setting.
            value: Its value.
            name: The name, which the key ends with.
            what: What the name should be, such as a setting.
            known: The kinds of those that there are, by their names.
            aliases: Other names of them, in lower case.
        """
        self._values[key] = value
        problem, remedy = f"is no {what}", self.command("rm", key)
        by_case = {**{one.casefold(): one for one in known}, **aliases}
        for near in difflib.get_close_matches(name.casefold(), by_case, 1):
            nearest = by_case[near]
            problem += f"; the nearest is {nearest}"
            renamed = key.partition(".")[0] + "." + nearest if "[" in key else nearest
            if renamed in self._settings or self._values.get(renamed) is None:
                remedy += "\n    " + self._rename_command(key, renamed, known[nearest])
        self._add(key, problem, remedy)

    def _rename_command(self, key: str, renamed: str, kind: Kind[Any]) -> str:
        """Return the command that gives the nearest setting the value of a misspelt one."""
        value = (self._values[key] or "").strip()
        if renamed == "routes":
            return self.command("set", "routes[0].name")
        if kind.private or self.is_secret(key):
            return self.command("set", renamed, secret=True)
        # A misspelt key may hold a secret or a phone: show only what fits and is neither.
        if kind.problem(value) or kinds.is_private(value) or not value:
            return self.default(renamed, kind)
        return self.command("set", renamed, value)

    def raise_mistakes(self) -> None:
        """Report the mistakes.

        Raises:
            pulumi.RunError: There are some.
        """
        if self._mistakes:
            count = len(self._mistakes)
            raise pulumi.RunError(
                f"{count} setting{'s are' if count > 1 else ' is'} wrong:\n\n"
                + "\n".join(self._mistakes)
            )

    def mistake(self, key: str, what: str, remedy: str = "") -> None:
        """Add a mistake that shows in several settings only, with the command that fixes it."""
        if key not in self._unset:
            shown = self._shown(key) if key in self._kinds and self.text(key) else ""
            self._add(key, f"{shown} {what}".lstrip(), remedy or self.remedy(key, ""))

    def _add(self, key: str, what: str, remedy: str) -> None:
        self._mistakes.append(f"  {key}: {what}.\n    {remedy}")

    def default(self, key: str, kind: Kind[Any] | None = None) -> str:
        """Return the command that gives a setting its default; without one it asks for a value.

        Args:
            key: Its key.
            kind: Its kind, if the setting is not one of the stack's file.
        """
        kind = kind or self._kinds[key]
        default = DEFAULTS.get(_name(key), "")
        if default == "[]":
            return self.command("rm", key)
        secret = kind.private or self.is_secret(key)
        return self.command("set", key, default or None, secret=secret)

    def command(
        self, action: str, key: str, value: str | None = None, *, secret: bool = False
    ) -> str:
        """Return a command of Pulumi's CLI; without a value, `set` asks for it."""
        words = ["pulumi", "config", action, "--stack", pulumi.get_stack()]
        words += ["--path"] * ("[" in key) + ["--secret"] * secret + [key]
        if value is not None:
            words += ["--"] * value.startswith("-") + [value]
        return shlex.join(words)

    def remedy(self, key: str, value: str | None = None) -> str:
        """Return the command that sets the value that was probably meant.

        Args:
            key: Its key.
            value: The value; its own if there is none.
        """
        kind = self._kinds[key]
        secret = kind.private or self.is_secret(key)
        meant = self.text(key) if value is None else value
        if not secret and (suggestion := kind.suggestion(meant)) is not None:
            return self.command("set", key, suggestion)
        return self.default(key)


def as_text(value: Any) -> str:
    """Return a value of the stack's file as the CLI passes it to the program."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _name(key: str) -> str:
    """Return the name of a setting or of a route's field: `message` of `routes[0].message`."""
    return key.rpartition(".")[2]
