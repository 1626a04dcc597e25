"""The stack's settings: read once, all mistakes reported at once, each with its remedy."""

import dataclasses
import datetime
import re
import string
from importlib import resources
from typing import Self
from urllib.parse import urlsplit

import pulumi

from handler import text
from handler.log import masked
from handler.quiet import QuietHours
from handler.settings import TWILIO_API_URL, Mode, to_environment
from infra.memory import Memory
from infra.texts import Texts

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""A phone number: plus, country code, number. Source: https://www.twilio.com/docs/glossary/what-e164"""

SID_OF = {"AC": "an account", "SK": "an API key", "MG": "a Messaging Service"}
"""What a Twilio SID names, by its first two letters: https://www.twilio.com/docs/glossary/what-is-a-sid"""

LONGEST_NUMBERS, LONGEST_MESSAGE, LONGEST_URL = 2000, 500, 200
"""Bytes: the whole environment of a function is 4 KB at most.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """The program's settings, described one by one in Pulumi.yaml."""

    twilio_account_sid: str
    twilio_secret: pulumi.Output[str]
    twilio_api_key_sid: str
    twilio_api_url: str
    from_number: str
    messaging_service_sid: str
    to_numbers: tuple[str, ...] = dataclasses.field(repr=False)
    existing_bucket: str
    filter_prefix: str
    filter_suffix: str
    message: str
    mode: Mode
    flush_minutes: int
    max_texts_per_hour: int
    quiet_hours: str
    timezone: str
    alarm_email: str
    max_segments_per_day: int
    expire_logs_after_days: int
    protect_bucket: bool
    force_destroy: bool

    @classmethod
    def load(cls) -> Self:
        """Read the stack's configuration; the defaults stand in Pulumi.yaml.

        Raises:
            pulumi.RunError: Settings are wrong. It names every one, and the command that mends it.
        """
        read = _Reader(pulumi.Config())
        settings = cls(
            twilio_account_sid=read.sid("twilioAccountSid", "AC", required=True),
            twilio_secret=read.secret("twilioSecret"),
            twilio_api_key_sid=read.sid("twilioApiKeySid", "SK"),
            twilio_api_url=read.url("twilioApiUrl"),
            from_number=read.from_number("fromNumber"),
            messaging_service_sid=read.sid("messagingServiceSid", "MG"),
            to_numbers=read.to_numbers("toNumbers"),
            existing_bucket=read.bucket("existingBucket"),
            filter_prefix=read.filter("filterPrefix"),
            filter_suffix=read.filter("filterSuffix"),
            message=read.message("message"),
            mode=read.mode("mode"),
            flush_minutes=read.count("flushMinutes", at_least=1, at_most=24 * 60),
            max_texts_per_hour=read.count("maxTextsPerHour", at_least=1),
            quiet_hours=read.quiet_hours("quietHours"),
            timezone=read.timezone("timezone"),
            alarm_email=read.email("alarmEmail"),
            max_segments_per_day=read.count("maxSegmentsPerDay", at_least=1),
            expire_logs_after_days=read.count("expireLogsAfterDays", at_least=0),
            protect_bucket=read.switch("protectBucket"),
            force_destroy=read.switch("forceDestroy"),
        )
        read.one_of("fromNumber", "messagingServiceSid")
        read.time_to_flush("flushMinutes", settings.flush_minutes, settings.quiet_hours)
        read.raise_mistakes()
        return settings

    @property
    def stack(self) -> str:
        """The project and the stack, such as `s3-logs/dev`: whose metrics and alarms they are."""
        return f"{pulumi.get_project()}/{pulumi.get_stack()}"

    @property
    def log_keys(self) -> str:
        """Which keys are texted, with a star for what may be anything."""
        return f"{self.filter_prefix}*{self.filter_suffix}"

    def for_handler(self, memory: Memory, texts: Texts) -> dict[str, pulumi.Input[str]]:
        """Give the environment of the functions, as `handler.settings` reads it."""
        return to_environment(
            {
                "twilio_account_sid": self.twilio_account_sid,
                "twilio_secret": self.twilio_secret,
                "twilio_api_key_sid": self.twilio_api_key_sid,
                "twilio_api_url": self.twilio_api_url,
                "from_number": self.from_number,
                "messaging_service_sid": self.messaging_service_sid,
                "to_numbers": pulumi.Output.secret(",".join(self.to_numbers)),
                "message": self.message,
                "mode": self.mode,
                "max_texts_per_hour": str(self.max_texts_per_hour),
                "quiet_hours": self.quiet_hours,
                "timezone": self.timezone,
                "memory_table": memory.table.name,
                "held_queue": texts.held.url,
                "failed_queue": texts.failed.url,
                "stack": self.stack,
            }
        )


class _Reader:
    """Reads settings one by one and collects the mistakes in them."""

    def __init__(self, config: pulumi.Config) -> None:
        self._config = config
        self._mistakes: list[str] = []

    def raise_mistakes(self) -> None:
        if self._mistakes:
            count = len(self._mistakes)
            raise pulumi.RunError(
                f"{count} setting{'s are' if count > 1 else ' is'} wrong:\n\n"
                + "\n".join(self._mistakes)
            )

    def sid(self, key: str, kind: str, *, required: bool = False) -> str:
        remedy = f"{key} {kind}..."
        value = self._text(key, remedy, required=required).strip()
        if value and not re.fullmatch(kind + "[0-9a-fA-F]{32}", value):
            what = f"is not the SID of {SID_OF[kind]}, {kind} and 32 hexadecimal digits"
            other = SID_OF.get(value[:2], "")
            if other and other != SID_OF[kind]:
                what += f", but that of {other}"
            self._mistake(key, what, remedy)
        return value

    def secret(self, key: str) -> pulumi.Output[str]:
        remedy = f"--secret {key}"
        if re.search(r"\S\s|\s\S", self._text(key, remedy, required=True)):
            self._mistake(key, "holds a space or a line break", remedy)
        return self._config.get_secret(key) or pulumi.Output.secret("")

    def url(self, key: str) -> str:
        remedy = f"{key} {TWILIO_API_URL}"
        value = self._text(key, remedy).strip().rstrip("/")
        try:
            parts = urlsplit(value)
            here = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost", "::1"}
            fine = (parts.scheme == "https" or here) and parts.hostname and "@" not in parts.netloc
            plain = parts.port != 0 and not re.search(r"[?#\s]", value)
        except ValueError:  # a port that there is not, or half an IPv6 address
            fine, plain = True, False
        if not fine:
            what = "is not an https address, and the secret must not travel in plain text"
            self._mistake(key, what, remedy)
        elif not plain or len(value.encode()) > LONGEST_URL:
            what = f"is no plain address of at most {LONGEST_URL} bytes: a host, a port, a path"
            self._mistake(key, what, remedy)
        return value

    def from_number(self, key: str) -> str:
        remedy = f"{key} +15551234567"
        value = self._text(key, remedy).strip()
        if value and not E164.fullmatch(value):
            what = f"{_NOT_E164}; for a short code or a name, set messagingServiceSid instead"
            self._mistake(key, what, remedy)
        return value

    def to_numbers(self, key: str) -> tuple[str, ...]:
        remedy = f'--secret {key} "+15551234567,+15557654321"'
        value = self._text(key, remedy, required=True)
        numbers = tuple(number.strip() for number in value.split(",") if number.strip())
        if value.strip() and not numbers:
            self._mistake(key, "names no phone", remedy)
        if len(value.encode()) > LONGEST_NUMBERS:
            self._mistake(key, f"is longer than {LONGEST_NUMBERS} bytes", remedy)
        for number in dict.fromkeys(numbers):
            if not E164.fullmatch(number):
                self._mistake(key, f"{masked(number)} {_NOT_E164}", remedy)
            if numbers.count(number) > 1:
                self._mistake(key, f"names {masked(number)} twice", remedy)
        return numbers

    def bucket(self, key: str) -> str:
        remedy = f'{key} ""'
        value = self._text(key, remedy).strip()
        if value and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", value):
            self._mistake(key, "is not the name of a bucket, without s3:// or an ARN", remedy)
        if value:
            for other in ("expireLogsAfterDays", "protectBucket", "forceDestroy"):
                if self._config.get(other) not in {None, "0", "false"}:
                    what = f"is set, but the bucket {value} is not this stack's to change"
                    off = "0" if other.startswith("expire") else "false"
                    self._mistake(other, what, f"{other} {off}")
        return value

    def filter(self, key: str) -> str:
        value = self._text(key, f'{key} ""')
        if "*" in value:
            what = "holds a wildcard, but S3 takes a filter as it is"
            self._mistake(key, what, f'{key} "{value.replace("*", "")}"')
        return value

    def message(self, key: str) -> str:
        remedy = f"{key} 'New log $key, $size, $time'"
        value = self._text(key, remedy)
        template = string.Template(value)
        known = ", ".join(f"${name}" for name in text.NAMES)
        if not template.is_valid():
            self._mistake(key, f"has a $ without a name: write $$, or one of {known}", remedy)
        elif unknown := sorted(set(template.get_identifiers()) - set(text.NAMES)):
            names = ", ".join(f"${name}" for name in unknown)
            self._mistake(key, f"uses {names}, but there are only {known}", remedy)
        elif not value.strip():
            self._mistake(key, "is empty", remedy)
        elif len(value.encode()) > LONGEST_MESSAGE:
            self._mistake(key, f"is longer than {LONGEST_MESSAGE} bytes", remedy)
        return value

    def timezone(self, key: str) -> str:
        remedy = f"{key} UTC"
        value = self._text(key, remedy).strip()
        # Those that are in the package, whatever else this machine knows.
        if value not in (resources.files("tzdata") / "zones").read_text().split():
            self._mistake(key, "is no IANA time zone, such as Europe/Berlin", remedy)
        return value

    def mode(self, key: str) -> Mode:
        remedy = f"{key} instant"
        value = self._text(key, remedy)
        if value == "digest":
            return "digest"
        if value != "instant":
            self._mistake(key, "is neither instant nor digest", remedy)
        return "instant"

    def quiet_hours(self, key: str) -> str:
        remedy = f"{key} 22:00-07:00"
        value = self._text(key, remedy).strip()
        try:
            if value:
                QuietHours.parse(value, datetime.UTC)
        except ValueError as error:
            self._mistake(key, f"is {error}", remedy)
            return ""
        return value

    def time_to_flush(self, key: str, minutes: int, quiet_hours: str) -> None:
        """See to it that no phone waits for ever: a flush in quiet hours texts nobody."""
        if not quiet_hours:
            return
        open_minutes = 24 * 60 - QuietHours.parse(quiet_hours, datetime.UTC).minutes
        if minutes > open_minutes:
            what = f"is longer than the {open_minutes} minutes of a day outside quietHours"
            self._mistake(key, f"{what}, in which every flush may fall", f"{key} 60")

    def email(self, key: str) -> str:
        remedy = f"{key} you@example.com"
        value = self._text(key, remedy).strip()
        if value and not re.fullmatch(r"[^@\s,]+@[^@\s,]+\.[^@\s,]+", value):
            self._mistake(key, "is not one e-mail address", remedy)
        return value

    def count(self, key: str, *, at_least: int, at_most: int = 10**9 - 1) -> int:
        remedy = f"{key} {at_least}"
        value = self._text(key, remedy)
        if re.fullmatch(r"\d{1,9}", value) and at_least <= int(value) <= at_most:
            return int(value)
        limits = f"from {at_least}" + (f" to {at_most}" if at_most < 10**9 - 1 else "")
        self._mistake(key, f"is not a whole number {limits}", remedy)
        return at_least

    def switch(self, key: str) -> bool:
        remedy = f"{key} false"
        value = self._text(key, remedy)
        if value not in {"true", "false"}:
            self._mistake(key, "is neither true nor false", remedy)
        return value == "true"

    def one_of(self, one: str, other: str) -> None:
        values = [(self._config.get(key) or "").strip() for key in (one, other)]
        if all(values):
            self._mistakes.append(
                f"  {one} and {other} are both set, but texts come from one of them.\n"
                f"    pulumi config rm {one}"
            )
        elif not any(values):
            self._mistake(one, f"is not set, nor is {other}", f"{one} +15551234567")

    def _text(self, key: str, remedy: str, *, required: bool = False) -> str:
        value = self._config.get(key)
        if value is None:
            self._mistake(key, "is not set", remedy)
        elif required and not value.strip():
            self._mistake(key, "is empty", remedy)
        return value or ""

    def _mistake(self, key: str, what: str, remedy: str) -> None:
        if not any(mistake.startswith(f"  {key} is not set") for mistake in self._mistakes):
            self._mistakes.append(f"  {key}: {what}.\n    pulumi config set {remedy}")


_NOT_E164 = "is not in E.164, a plus and the country code first"
