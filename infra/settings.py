"""The stack's settings: read once, all mistakes reported at once, each with its remedy."""

import dataclasses
import datetime
import difflib
import json
import shlex
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import pulumi
import yaml
from pulumi.runtime.config import (
    CONFIG,
    get_config_env,
    get_config_secret_keys_env,
    is_config_secret,
)

from handler import text
from handler.environment import to_environment, variable
from handler.events import LogFile
from handler.expectation import parse_expectation
from handler.log import masked
from handler.quiet_hours import QuietHours
from handler.segments import GSM, GSM_EXTENSION, GSM_SEGMENT, UCS2_SEGMENT
from handler.segments import segments as count_segments
from handler.settings import Mode
from handler.settings import Settings as HandlerSettings
from infra import setting_kinds as kinds
from infra.existing_bucket import ExistingBucket, pattern
from infra.ledger import Ledger
from infra.log_bucket import LogBucket
from infra.queues import TextQueues
from infra.setting_kinds import Kind

T = TypeVar("T")

DEFAULTS: dict[str, str] = {
    # As the CLI gives it to the program.
    key: str(value).lower() if isinstance(value := setting["default"], bool) else str(value)
    for key, setting in yaml.safe_load(
        (Path(__file__).parents[1] / "Pulumi.yaml").read_text(encoding="utf-8")
    )["config"].items()
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

MAX_ENVIRONMENT_BYTES = 4096
"""Bytes of all environment variables of a function together, as JSON with their names.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. Lambda's refusal
("String measured: {...}") shows that it measures JSON.
"""

MAX_PATTERN_CHARACTERS = 2048
"""Characters of EventBridge's patterns.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
"""

# AWS names the queues and the table at the deployment. The longest that they can be with Pulumi's
# usual names, and some more: "https://sqs.ap-northeast-1.amazonaws.com.cn/123456789012/...".
ESTIMATED_NAMES = {
    "ledger_table": "ledger-1a2b3c4".ljust(40),
    "held_queue": "https://".ljust(120),
    "failed_queue": "https://".ljust(120),
}

USUAL_FILE = LogFile(
    bucket="logs-1a2b3c4",
    key="app/2026-11-24/web.log",
    size=1234,
    time=datetime.datetime(2026, 11, 24, 14, 5, tzinfo=datetime.UTC),
)
"""A usual log file, to find out how many segments a text about it takes."""


def setting(kind: Kind[T]) -> T:
    """Declare a setting of some kind."""
    field = dataclasses.field(repr=not kind.private, metadata={"kind": kind})
    return cast("T", field)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The table of the settings. Pulumi.yaml has the same ones, with description and default.

    The key of `from_number` in a stack's file is `fromNumber`. A setting whose name is also one in
    `handler.settings.Settings` is in the functions' environment, as `FROM_NUMBER`.
    """

    twilio_account_sid: str = setting(kinds.sid("AC", required=True))
    twilio_secret: pulumi.Output[str] = setting(kinds.secret(pulumi.Output.secret))
    twilio_api_key_sid: str = setting(kinds.sid("SK"))
    twilio_api_url: str = setting(kinds.URL)
    from_number: str = setting(kinds.SENDER)
    messaging_service_sid: str = setting(kinds.sid("MG"))
    to_numbers: tuple[str, ...] = setting(kinds.PHONES)
    existing_bucket: str = setting(kinds.BUCKET)
    filter_prefix: str = setting(kinds.PREFIX)
    filter_suffix: tuple[str, ...] = setting(kinds.SUFFIXES)
    message: str = setting(kinds.MESSAGE)
    mode: Mode = setting(kinds.choice("instant", "digest"))
    flush_minutes: int = setting(kinds.count(at_least=1, at_most=24 * 60))
    max_texts_at_once: int = setting(kinds.count(at_least=1))
    max_texts_per_hour: int = setting(kinds.count(at_least=1))
    quiet_hours: str = setting(kinds.HOURS)
    timezone: str = setting(kinds.ZONE)
    expect: str = setting(kinds.EXPECT)
    at_least: str = setting(kinds.SIZE)
    alarm_email: str = setting(kinds.EMAIL)
    max_segments_per_day: int = setting(kinds.count(at_least=1))
    expire_logs_after_days: int = setting(kinds.count(at_least=0))
    protect_bucket: bool = setting(kinds.SWITCH)
    force_destroy: bool = setting(kinds.SWITCH)

    @classmethod
    def load(cls) -> Self:
        """Read the stack's configuration; the defaults stand in Pulumi.yaml.

        Raises:
            pulumi.RunError: Settings are wrong. It names every one, and the command that fixes it.
        """
        read = _Reader(pulumi.Config())
        settings = cls(**{name: read.parsed(key) for key, name in NAMES.items()})
        settings._check_together(read)
        read.check_keys()
        read.raise_mistakes()
        settings._warn(read)
        return settings

    def _check_together(self, read: "_Reader") -> None:
        """Find what is wrong with several settings together."""
        self._check_sender(read)
        self._check_bucket(read)
        self._check_quiet_hours(read)
        self._check_expected(read)
        self._check_size(read)

    def _check_sender(self, read: "_Reader") -> None:
        one, other = "fromNumber", "messagingServiceSid"
        if self.from_number and self.messaging_service_sid:
            read.mistake(
                one,
                f"is set, and so is {other}, but texts come from one of them",
                read.command("rm", one),
            )
        elif not self.from_number and not self.messaging_service_sid:
            read.mistake(one, f"is not set, nor is {other}")
        if self.from_number in self.to_numbers:
            read.mistake(
                "toNumbers",
                f"names {masked(self.from_number)}, which is {one}: Twilio refuses a text from a "
                "number to itself (error 21266)",
            )

    def _check_bucket(self, read: "_Reader") -> None:
        if not self.existing_bucket:
            return
        for key, is_set in (
            ("expireLogsAfterDays", self.expire_logs_after_days),
            ("protectBucket", self.protect_bucket),
            ("forceDestroy", self.force_destroy),
        ):
            if is_set:
                what = "is set, but the bucket of existingBucket is not this stack's to change"
                read.mistake(key, what, read.default(key))
        found = pattern(self.existing_bucket, self.filter_prefix, self.filter_suffix)
        if (length := len(json.dumps(found, separators=(",", ":")))) > MAX_PATTERN_CHARACTERS:
            key = max(("filterPrefix", "filterSuffix"), key=lambda key: len(read.text(key)))
            what = f"makes a pattern of {length:,} characters, but EventBridge takes"
            read.mistake(key, f"{what} {MAX_PATTERN_CHARACTERS:,} with existingBucket")

    def _check_quiet_hours(self, read: "_Reader") -> None:
        """Ensure that each week has a flush outside quiet hours: no phone may wait without end."""
        if not self.quiet_hours:
            return
        open_minutes = QuietHours.parse(self.quiet_hours, datetime.UTC).open_minutes
        if self.flush_minutes <= open_minutes:
            return
        what = (
            f"the longest time outside quietHours, {open_minutes} minutes: every flush may fall "
            "into quiet hours"
        )
        if int(DEFAULTS["flushMinutes"]) <= open_minutes:
            read.mistake("flushMinutes", f"is longer than {what}", read.default("flushMinutes"))
        else:
            read.mistake("quietHours", f"leaves too little for flushMinutes: {what}")

    def _check_expected(self, read: "_Reader") -> None:
        """Ensure that a flush looks for each expected log while it is missing."""
        if not self.expect:
            return
        shortest = parse_expectation(self.expect, datetime.UTC).shortest
        if shortest >= 2 * datetime.timedelta(minutes=self.flush_minutes):
            return
        what = f"shorter than twice flushMinutes, {2 * self.flush_minutes} minutes"
        if shortest >= 2 * datetime.timedelta(minutes=int(DEFAULTS["flushMinutes"])):
            too_long = f"is too long for expect: {self.expect} is {what}"
            read.mistake("flushMinutes", too_long, read.default("flushMinutes"))
        else:
            read.mistake("expect", f"is {what}")

    def _check_size(self, read: "_Reader") -> None:
        """Count the functions' environment, since Lambda refuses a long one at the deployment only.

        AWS names the queues and the table, which a preview does not know: an estimate stands for
        them that is longer than they can be.
        """
        variables = self._environment(
            {
                **ESTIMATED_NAMES,
                "twilio_secret": read.valid_or_default("twilioSecret"),
                "to_numbers": ",".join(self.to_numbers),
            }
        )
        # Each with its name, its quotes, its colon and its comma.
        sizes = {
            name: len(json.dumps({name: value}, ensure_ascii=False).encode()) - 2
            for name, value in variables.items()
        }
        total = sum(sizes.values()) + 1
        if total <= MAX_ENVIRONMENT_BYTES:
            return
        by_key = {
            key: sizes.pop(variable(name)) for key, name in NAMES.items() if variable(name) in sizes
        }
        longest_first = sorted(by_key, key=lambda key: -by_key[key])
        parts = [f"{key} {by_key[key]:,}" for key in longest_first] + [
            f"the rest {sum(sizes.values()):,}"
        ]
        read.mistake(
            longest_first[0],
            f"is too long: the settings take {total:,} bytes of a function's environment, but "
            f"Lambda allows {MAX_ENVIRONMENT_BYTES:,} ({', '.join(parts)})",
        )

    def _warn(self, read: "_Reader") -> None:
        """Warn at preview of settings that work, but are probably mistakes."""
        if not read.is_secret("toNumbers"):
            pulumi.log.warn(
                "toNumbers stands in the stack's file in clear text, and phone numbers are "
                "personal data. This asks for them and encrypts them: "
                + read.command("set", "toNumbers", secret=True)
            )
        american = [phone for phone in self.to_numbers if phone.startswith("+1")]
        if american and kinds.NAME.fullmatch(self.from_number):
            pulumi.log.warn(
                f"fromNumber is a name, {self.from_number}, but the US, Canada and others allow no "
                f"names: Twilio refuses a text to {masked(american[0])} (error 21612)"
            )
        if self.at_least and not self.expect:
            pulumi.log.warn(
                "atLeast is set, but expect is not, so no log is due. "
                f"{read.command('set', 'expect')} {kinds.EXPECT.example}"
            )
        if warning := cost_of(self.message, zoneinfo.ZoneInfo(self.timezone)):
            pulumi.log.warn(f"message: {warning}")

    @property
    def stack(self) -> str:
        """The project and the stack, such as `s3-logs/dev`: whose metrics and alarms they are."""
        return f"{pulumi.get_project()}/{pulumi.get_stack()}"

    @property
    def log_keys(self) -> str:
        """Which keys are texted: `app/*.log,.log.gz`; `stack.deployed.Stack.filters` reads it."""
        return f"{self.filter_prefix}*{','.join(self.filter_suffix)}"

    def bucket(self, name: str) -> LogBucket | ExistingBucket:
        """Declare the bucket: a new one, or the existing one of another program."""
        if self.existing_bucket:
            return ExistingBucket(name, bucket=self.existing_bucket)
        return LogBucket(
            name,
            expire_after_days=self.expire_logs_after_days,
            protect=self.protect_bucket,
            force_destroy=self.force_destroy,
        )

    def upload_command(self, bucket: pulumi.Input[str]) -> pulumi.Output[str]:
        """Return a command that uploads a file which is texted."""
        key = f"{self.filter_prefix}example{self.filter_suffix[0]}"
        return pulumi.Output.format("aws s3 cp example.log 's3://{}/{}'", bucket, key)

    def environment(self, ledger: Ledger, queues: TextQueues) -> dict[str, pulumi.Input[str]]:
        """Return the environment of the functions, as `handler.environment` reads it."""
        return self._environment(
            {
                "twilio_secret": self.twilio_secret,
                "to_numbers": pulumi.Output.secret(",".join(self.to_numbers)),
                "ledger_table": ledger.table.name,
                "held_queue": queues.held.url,
                "failed_queue": queues.failed.url,
            }
        )

    def _environment(self, others: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
        """Add all that is neither secret nor personal to the rest of the environment."""
        plain = {
            name: str(getattr(self, name))
            for key, name in NAMES.items()
            if name in HandlerSettings._fields and not KINDS[key].private
        }
        return to_environment({**plain, "stack": self.stack, **others})


def _key(name: str) -> str:
    """Return the key of a setting: `fromNumber` for `from_number`."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


NAMES = {_key(field.name): field.name for field in dataclasses.fields(Settings)}
"""The attribute of each setting, by its key."""

KINDS: Mapping[str, Kind[Any]] = {
    key: field.metadata["kind"]
    for key, field in zip(NAMES, dataclasses.fields(Settings), strict=True)
}
"""The kind of each setting, by its key."""


class _Reader:
    """Reads settings one by one and collects the mistakes in them."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._mistakes: list[str] = []
        self._invalid: set[str] = set()
        self._unset: set[str] = set()
        for key, kind in KINDS.items():
            self._check(key, kind)

    def text(self, key: str) -> str:
        """Return a setting as it is, right or wrong."""
        value = self._config.get(key) or ""
        return value.strip() if KINDS[key].stripped else value

    def valid_or_default(self, key: str) -> str:
        """Return a setting; if it is wrong its default, or nothing where it has none."""
        return DEFAULTS.get(key, "") if key in self._invalid else self.text(key)

    def parsed(self, key: str) -> Any:
        """Return a setting as the program uses it."""
        kind = KINDS[key]
        return kind.parse(self.valid_or_default(key) if kind.falls_back else self.text(key))

    def is_secret(self, key: str) -> bool:
        """Whether a setting is encrypted in the stack's file.

        The Automation API sets it in Pulumi's runtime, the CLI in the environment.
        """
        full = self._config.full_key(key)
        return is_config_secret(full) or full in get_config_secret_keys_env()

    def check_keys(self) -> None:
        """Find the keys in this project's namespace that are no settings."""
        namespace = self._config.name + ":"
        for full in sorted({*CONFIG.get(), *get_config_env()}):
            key = full.removeprefix(namespace)
            if not full.startswith(namespace) or key in KINDS:
                continue
            what, remedy = "is no setting", self.command("rm", key)
            by_case = {one.casefold(): one for one in KINDS} | ALIASES
            for near in difflib.get_close_matches(key.casefold(), by_case, 1):
                nearest = by_case[near]
                what += f"; the nearest is {nearest}"
                remedy += "\n    " + self._rename_command(key, nearest)
            self.mistake(key, what, remedy)

    def _rename_command(self, key: str, nearest: str) -> str:
        """Return the command that gives the nearest setting the value of a misspelt one."""
        kind, value = KINDS[nearest], (self._config.get(key) or "").strip()
        if kind.private or self.is_secret(key):
            return self.command("set", nearest, secret=True)
        # A misspelt key may hold a secret or a phone: show only what fits and is neither.
        if kind.problem(value) or kinds.E164.fullmatch(value) or kinds.may_be_secret(value):
            return self._remedy(nearest, "")
        return self.command("set", nearest, value)

    def raise_mistakes(self) -> None:
        if self._mistakes:
            count = len(self._mistakes)
            raise pulumi.RunError(
                f"{count} setting{'s are' if count > 1 else ' is'} wrong:\n\n"
                + "\n".join(self._mistakes)
            )

    def mistake(self, key: str, what: str, remedy: str = "") -> None:
        """Add a mistake, with the command that fixes it."""
        if key not in self._unset:
            self._mistakes.append(f"  {key}: {what}.\n    {remedy or self._remedy(key, '')}")

    def default(self, key: str) -> str:
        """Return the command that gives a setting its default."""
        return self.command("set", key, DEFAULTS[key])

    def command(
        self, action: str, key: str, value: str | None = None, *, secret: bool = False
    ) -> str:
        """Return a command of Pulumi's CLI; without a value, `set` asks for it."""
        words = ["pulumi", "config", action, "--stack", pulumi.get_stack()]
        words += ["--secret"] * secret + [key]
        if value is not None:
            words += ["--"] * value.startswith("-") + [value]
        return shlex.join(words)

    def _check(self, key: str, kind: Kind[Any]) -> None:
        value = self.text(key)
        if self._config.get(key) is None:
            what = "is not set"
            self._unset.add(key)
        elif not value.strip() and kind.required:
            what = "is empty"
        elif what := kind.problem(value):
            shown = "" if self.is_secret(key) else kind.show(value)
            what = f"{shown} {what}".lstrip()
        else:
            return
        self._invalid.add(key)
        self._mistakes.append(f"  {key}: {what}.\n    {self._remedy(key, value)}")

    def _remedy(self, key: str, value: str) -> str:
        kind = KINDS[key]
        secret = kind.private or self.is_secret(key)
        if not secret and (suggestion := kind.suggestion(value)) is not None:
            return self.command("set", key, suggestion)
        if kind.example is None:
            return self.default(key)
        return f"{self.command('set', key, secret=secret)} {kind.example}".rstrip()


def cost_of(message: str, zone: datetime.tzinfo) -> str:
    """Say that a text about an ordinary log file costs more than it has to, and why.

    Args:
        message: The setting.
        zone: The time zone of the time in the text.

    Returns:
        What it costs and which character is to blame; nothing if it takes one segment.
    """
    body = text.write(USUAL_FILE, message, zone)
    known = GSM | GSM_EXTENSION
    foreign = list(dict.fromkeys(character for character in body if character not in known))
    is_cut = "$key" in message.replace("{", "") and USUAL_FILE.key not in body
    segments = count_segments(body)
    if segments == 1 and not is_cut:
        return ""
    what = f"a text takes {segments} segments even" if segments > 1 else "a text has no room"
    what += f" for an ordinary key, {USUAL_FILE.key}"
    if foreign:
        names = ", ".join(kinds.describe_character(character) for character in foreign)
        return (
            f"{what}. Characters outside of GSM-7 leave {UCS2_SEGMENT} to a segment, in place "
            f"of {GSM_SEGMENT}: {names}"
        )
    twice = [character for character in dict.fromkeys(body) if character in GSM_EXTENSION]
    counts = f", and each of {' '.join(twice)} counts as two" if twice else ""
    return f"{what}. A segment has {GSM_SEGMENT} characters{counts}"
