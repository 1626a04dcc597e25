"""The stack's settings: read once, all mistakes reported at once, each with its remedy."""

import dataclasses
import datetime
import json
import zoneinfo
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar, cast

import pulumi

from handler import text
from handler.environment import to_environment, variable
from handler.events import LogFile
from handler.expectation import parse_expectation
from handler.log import masked
from handler.quiet_hours import QuietHours
from handler.routes import FIELDS, Mode, Route
from handler.routes import write as write_routes
from handler.segments import GSM, GSM_EXTENSION, GSM_SEGMENT, UCS2_SEGMENT
from handler.segments import segments as count_segments
from handler.settings import Settings as HandlerSettings
from infra import kinds
from infra.existing_bucket import ExistingBucket, pattern
from infra.globs import Filter
from infra.kinds import Kind
from infra.ledger import Ledger
from infra.log_bucket import LogBucket
from infra.queues import TextQueues
from infra.route_settings import check_routes, idle_exceptions, path, read_routes
from infra.setting_reader import DEFAULTS, Reader

T = TypeVar("T")

MAX_ENVIRONMENT_BYTES = 4096
"""Bytes of all environment variables of a function together, as JSON with their names.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html. Lambda's refusal
("String measured: {...}") shows that it measures JSON.
"""

MAX_PATTERN_CHARACTERS = 2048
"""Characters of EventBridge's patterns.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
"""

# AWS names the queues and the table at the deployment. These are longer than any of them with
# Pulumi's usual suffix: "https://sqs.ap-northeast-1.amazonaws.com.cn/123456789012/...".
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
"""A usual log file. The text about it shows how many segments a message costs."""


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
    flush_minutes: int = setting(kinds.count(at_least=1, at_most=24 * 60, units={"m": 1, "h": 60}))
    max_texts_at_once: int = setting(kinds.count(at_least=1))
    max_texts_per_hour: int = setting(kinds.count(at_least=1))
    quiet_hours: str = setting(kinds.HOURS)
    contains: str = setting(kinds.WORDS)
    routes: tuple[Route, ...] = setting(kinds.ROUTES)
    timezone: str = setting(kinds.ZONE)
    expect: str = setting(kinds.EXPECT)
    at_least: str = setting(kinds.SIZE)
    alarm_email: str = setting(kinds.EMAIL)
    max_segments_per_day: int = setting(kinds.count(at_least=1))
    expire_logs_after_days: int = setting(kinds.count(at_least=0, units={"d": 1, "w": 7}))
    protect_bucket: bool = setting(kinds.SWITCH)
    force_destroy: bool = setting(kinds.SWITCH)

    @classmethod
    def load(cls) -> Self:
        """Read the stack's configuration; the defaults stand in Pulumi.yaml.

        Raises:
            pulumi.RunError: Settings are wrong. It names every one, and the command that fixes it.
        """
        read = Reader(pulumi.Config(), KINDS)
        flat = {name: read.parsed(key) for key, name in NAMES.items()}
        inheriting = Route.inheriting(cls(**flat).of_handler)
        settings = cls(**flat | {"routes": read_routes(read, KINDS, inheriting)})
        settings._check_together(read)
        read.check_keys()
        read.raise_mistakes()
        settings._warn(read)
        return settings

    def _check_together(self, read: Reader) -> None:
        """Find the mistakes that several settings make together."""
        self._check_sender(read)
        self._check_phones(read)
        self._check_bucket(read)
        is_filter = read.is_valid("filterPrefix") and read.is_valid("filterSuffix")
        check_routes(read, self.routes, self._filter if is_filter else None)
        for key, hours in self._each(read, "quietHours"):
            self._check_quiet_hours(read, key, hours)
        for key, expect in self._each(read, "expect"):
            self._check_expected(read, key, expect)
        self._check_size(read)

    def _check_sender(self, read: Reader) -> None:
        one, other = "fromNumber", "messagingServiceSid"
        if self.from_number and self.messaging_service_sid:
            read.mistake(
                one,
                f"is set, and {other} too: keep one of them",
                read.command("rm", one),
            )
        elif not self.from_number and not self.messaging_service_sid:
            read.mistake(one, f"is not set, and neither is {other}")

    def _check_phones(self, read: Reader) -> None:
        if not self.to_numbers and not self.routes and read.is_valid("toNumbers"):
            read.mistake("toNumbers", "is empty, and there is no route with phones of its own")
        for key, phones in self._each(read, "toNumbers"):
            if self.from_number in phones:
                read.mistake(
                    key,
                    f"names {masked(self.from_number)}, which is fromNumber: Twilio refuses a text "
                    "from a number to itself (error 21266)",
                )

    def _each(self, read: Reader, field: str) -> Iterator[tuple[str, Any]]:
        """Give the key and the value of a setting, and of the routes' fields of that name."""
        yield field, getattr(self, NAMES[field])
        for number, route in enumerate(self.routes):
            if read.is_valid(key := path(number, field)):
                yield key, getattr(route, FIELDS[field])

    def _check_bucket(self, read: Reader) -> None:
        if not self.existing_bucket:
            return
        for key, is_set in (
            ("expireLogsAfterDays", self.expire_logs_after_days),
            ("protectBucket", self.protect_bucket),
            ("forceDestroy", self.force_destroy),
        ):
            if is_set:
                what = "is set, but this stack never changes an existing bucket (existingBucket)"
                read.mistake(key, what, read.default(key))
        found = pattern(self.existing_bucket, self.filter_prefix, self.filter_suffix)
        if (length := len(json.dumps(found, separators=(",", ":")))) > MAX_PATTERN_CHARACTERS:
            key = max(("filterPrefix", "filterSuffix"), key=lambda key: len(read.text(key)))
            what = f"makes a pattern of {length:,} characters, but EventBridge accepts"
            read.mistake(key, f"{what} {MAX_PATTERN_CHARACTERS:,} with existingBucket")

    def _check_quiet_hours(self, read: Reader, key: str, hours: str) -> None:
        """Ensure that each week has a flush outside quiet hours, or a phone would wait forever."""
        if not hours:
            return
        open_minutes = QuietHours.parse(hours, datetime.UTC).open_minutes
        if self.flush_minutes <= open_minutes:
            return
        minutes = f"{open_minutes} minute{'s' if open_minutes != 1 else ''}"
        what = (
            f"the longest time outside {key} ({minutes}), so every flush may fall into quiet hours"
        )
        if int(DEFAULTS["flushMinutes"]) <= open_minutes:
            read.mistake("flushMinutes", f"is longer than {what}", read.default("flushMinutes"))
        else:
            read.mistake(
                key, f"leaves too little time for a flush: flushMinutes is longer than {what}"
            )

    def _check_expected(self, read: Reader, key: str, expect: str) -> None:
        """Ensure that a flush looks for each expected log in time, and has a phone to text."""
        if not expect:
            return
        if key == "expect" and self.routes and not self.to_numbers and read.is_valid("toNumbers"):
            read.mistake(
                "toNumbers", "is empty, so nobody would be texted about a missing log (expect)"
            )
        shortest = parse_expectation(expect, datetime.UTC).shortest
        if shortest >= 2 * datetime.timedelta(minutes=self.flush_minutes):
            return
        what = f"shorter than twice flushMinutes, {2 * self.flush_minutes} minutes"
        if shortest >= 2 * datetime.timedelta(minutes=int(DEFAULTS["flushMinutes"])):
            shown = key if read.is_secret(key) else expect
            too_long = f"is too long for {key}: {shown} is {what}"
            read.mistake("flushMinutes", too_long, read.default("flushMinutes"))
        else:
            read.mistake(key, f"is {what}")

    def _check_size(self, read: Reader) -> None:
        """Measure the functions' environment: Lambda refuses a long one only at the deployment.

        A preview does not know AWS's names of the queues and of the table. An estimate that is
        longer than any of them takes their place.
        """
        variables = self._environment(
            {
                **ESTIMATED_NAMES,
                "twilio_secret": read.valid_or_default("twilioSecret"),
                "to_numbers": ",".join(self.to_numbers),
                "routes": write_routes(self.routes, self.of_handler),
            }
        )
        sizes = {name: _size_of_variable(name, value) for name, value in variables.items()}
        total = sum(sizes.values()) + 1
        if total <= MAX_ENVIRONMENT_BYTES:
            return
        by_key = {
            key: sizes.pop(variable(name)) for key, name in NAMES.items() if variable(name) in sizes
        }
        # In its variable, the JSON of a route has a backslash before each quote.
        by_route = {
            path(number): len(json.dumps(write_routes([route], self.of_handler)).encode()) - 4
            for number, route in enumerate(self.routes)
        }
        longest_first = sorted(by_key, key=lambda key: -by_key[key])
        parts = [f"{key} {by_key[key]:,}" for key in longest_first]
        parts += [f"the rest {sum(sizes.values()):,}"]
        longest = longest_first[0]
        if by_route:
            routes = sorted(by_route, key=lambda key: -by_route[key])
            parts += ["of routes " + ", ".join(f"{key} {by_route[key]:,}" for key in routes)]
            longest = read.longest_part(routes[0]) if longest == "routes" else longest
        read.mistake(
            longest,
            f"is too long: the settings take {total:,} bytes of a function's environment, but "
            f"Lambda allows {MAX_ENVIRONMENT_BYTES:,} ({', '.join(parts)})",
        )

    def _warn(self, read: Reader) -> None:
        """Warn at preview of settings that work, but are probably mistakes."""
        for key, phones in self._each(read, "toNumbers"):
            if phones and not read.is_secret(key):
                pulumi.log.warn(
                    f"{key} is in the stack's file in clear text, but phone numbers are "
                    "personal data. This command asks for them and encrypts them: "
                    + read.command("set", key, secret=True)
                )
        if self.existing_bucket and self.looks_inside:
            pulumi.log.info(
                f"notify reads each log in {self.existing_bucket}. If its owner encrypts the "
                "bucket with a KMS key, notify needs kms:Decrypt on that key. A preview cannot "
                "check this: docs/deploy.md says how to allow it"
            )
        american = [phone for phone in self.of_handler.phones if phone.startswith("+1")]
        if american and kinds.NAME.fullmatch(self.from_number):
            pulumi.log.warn(
                f"fromNumber is a name, {self.from_number}, but the US, Canada and others allow no "
                f"names: Twilio refuses a text to {masked(american[0])} (error 21612)"
            )
        for key, glob in idle_exceptions(self.routes, self._filter):
            shown = "a glob" if read.is_secret(key) else kinds.quoted(glob)
            pulumi.log.warn(
                f"{key}: {shown} excludes none of the route's logs. A glob must match the whole "
                "key: */debug/* matches a folder anywhere in it"
            )
        expected = dict(self._each(read, "expect"))
        for key, at_least in self._each(read, "atLeast"):
            expect = key.removesuffix("atLeast") + "expect"
            if at_least and not expected.get(expect):
                pulumi.log.warn(
                    f"{key} is set, but {expect} is not, so no log is expected. This command asks "
                    f"for a time, such as by 06:30: {read.command('set', expect)}"
                )
        for key, message in self._each(read, "message"):
            warning = cost_of(message, zoneinfo.ZoneInfo(self.timezone))
            if warning and not read.is_secret(key):
                pulumi.log.warn(f"{key}: {warning}")

    @property
    def expects_logs(self) -> bool:
        """Whether any log is expected."""
        return self.of_handler.expects_logs

    @property
    def looks_inside(self) -> bool:
        """Whether `notify` reads any log."""
        return self.of_handler.looks_inside

    @property
    def stack(self) -> str:
        """The project and the stack, such as `s3-logs/dev`, which metrics and alarms name."""
        return f"{pulumi.get_project()}/{pulumi.get_stack()}"

    @property
    def _filter(self) -> Filter:
        return Filter(self.filter_prefix, self.filter_suffix)

    @property
    def log_keys(self) -> str:
        """The keys that are texted: `app/*.log,.log.gz`. `stack.deployed` reads it."""
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
        """Return a command that uploads a file about which a text goes out."""
        key = f"{self.filter_prefix}example{self.filter_suffix[0]}"
        return pulumi.Output.format("aws s3 cp example.log 's3://{}/{}'", bucket, key)

    def environment(self, ledger: Ledger, queues: TextQueues) -> dict[str, pulumi.Input[str]]:
        """Return the environment of the functions, as `handler.environment` reads it."""
        return self._environment(
            {
                "twilio_secret": self.twilio_secret,
                "to_numbers": _secret(",".join(self.to_numbers)),
                "routes": _secret(write_routes(self.routes, self.of_handler)),
                "ledger_table": ledger.table.name,
                "held_queue": queues.held.url,
                "failed_queue": queues.failed.url,
            }
        )

    @property
    def of_handler(self) -> HandlerSettings:
        """The handler's settings, without AWS's names and without the secret."""
        values: dict[str, Any] = {name: getattr(self, name, "") for name in HandlerSettings._fields}
        return HandlerSettings(**values | {"twilio_secret": ""})

    def _environment(self, others: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
        """Add the settings that are neither secret nor personal to the rest of the environment."""
        plain = {
            name: str(getattr(self, name))
            for key, name in NAMES.items()
            if name in HandlerSettings._fields and not KINDS[key].private
        }
        return to_environment({**plain, "stack": self.stack, **others})


def _secret(value: str) -> pulumi.Input[str]:
    return pulumi.Output.secret(value) if value else ""


def _size_of_variable(name: str, value: object) -> int:
    """Return the bytes of a variable with its name, its quotes, its colon and its comma."""
    return len(json.dumps({name: value}, ensure_ascii=False).encode()) - 2


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


def cost_of(message: str, zone: datetime.tzinfo) -> str:
    """Say why a text about an ordinary log file costs more than necessary.

    Args:
        message: The setting.
        zone: The time zone of the time in the text.

    Returns:
        The cost and the characters that cause it; nothing if it takes one segment.
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
            f"{what}. With characters outside GSM-7, a segment holds {UCS2_SEGMENT} characters "
            f"instead of {GSM_SEGMENT}: {names}"
        )
    twice = [character for character in dict.fromkeys(body) if character in GSM_EXTENSION]
    counts = f", and each of {' '.join(twice)} counts as two" if twice else ""
    return f"{what}. A segment has {GSM_SEGMENT} characters{counts}"
