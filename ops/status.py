"""The status of a stack: its settings, its alarms, its last texts, and those held or failed."""

import datetime
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from handler.delivery_reports import DELIVERED_STATUSES, UNDELIVERED_STATUSES, code_with_meaning
from handler.log import masked
from handler.quiet_hours import read_hours
from handler.refusals import NO_ANSWER
from handler.routes import Route
from handler.sender import Refused
from handler.settings import Settings
from ops import in_doubt
from ops.expected import EXPECTED, NOT_CHECKED, show_expected
from ops.redrive import HIDDEN_SECONDS
from stack import log_lines, queues
from stack.deployed import Stack, ago, duration
from stack.log_lines import FLUSH_ENDS, FLUSH_REFUSALS, Line, plural
from stack.terminal import Cell, Terminal

TEXTS = 10
"""The number of last texts to show."""

PERIOD = datetime.timedelta(days=1)

_PERMISSION = "sns:ListSubscriptionsByTopic"

_NO_ROUTE = "no route"
UNMATCHED_KEYS = 3
"""The number of keys without a route to show."""

_DELIVERIES = ("delivered", "undelivered", "unconfirmed")

_COLOURS = {
    **dict.fromkeys(DELIVERED_STATUSES, "green"),
    **dict.fromkeys(UNDELIVERED_STATUSES, "red"),
}


def status(stack: Stack, terminal: Terminal) -> None:
    """Show the status of a stack."""
    now = datetime.datetime.now(datetime.UTC)
    expected = (EXPECTED, NOT_CHECKED) if stack.settings.expects_logs else ()
    found = log_lines.read(
        stack,
        since=now - PERIOD,
        outcomes=("sent", _NO_ROUTE, *_DELIVERIES, *FLUSH_ENDS, *FLUSH_REFUSALS, *expected),
    )
    _show_settings(stack, terminal, now)
    if stack.settings.routes:
        _show_routes(stack.settings, terminal, now)
        _show_unmatched(stack.settings, terminal, found)
    show_expected(stack.settings, found, terminal)
    _show_flush(terminal, found)
    _show_alarms(stack, terminal)
    _show_subscribers(stack, terminal)
    _show_texts(stack, terminal, found)
    _show_held(stack, terminal, found)
    _show_failed(stack, terminal)


def _show_settings(stack: Stack, terminal: Terminal, now: datetime.datetime) -> None:
    settings = stack.settings
    terminal.field("Stack", settings.stack)
    terminal.field("Bucket", stack.outputs["bucket"])
    terminal.field("Phones", _masked(settings.to_numbers) or "nobody: toNumbers is empty")
    terminal.field(
        "Mode",
        f"{settings.mode}, at most {settings.max_texts_per_hour} texts a phone and hour, "
        f"{settings.max_texts_at_once} at once",
    )
    if settings.contains:
        terminal.field("Only logs", f"with {settings.contains}")
    terminal.field("Quiet hours", _quiet_hours(settings.quiet_hours, settings, now))
    # The program exports an address in AWS's console, which does not know the demo.
    demo = "none: only AWS's console shows dashboards"
    terminal.field("Dashboard", demo if stack.is_demo else stack.outputs["dashboard"])


def _show_routes(settings: Settings, terminal: Terminal, now: datetime.datetime) -> None:
    rows: list[list[Cell]] = [
        [
            route.name,
            _logs(route),
            _masked(route.to_numbers),
            route.mode,
            f"{route.max_texts_per_hour} an hour, {route.max_texts_at_once} at once",
            _quiet_hours(route.quiet_hours, settings, now),
        ]
        for route in settings.routes
    ]
    columns = ("Route", "Logs", "Phones", "Mode", "Limits", "Quiet hours")
    terminal.table("Routes (the settings above are for logs that match none)", columns, rows)


def _logs(route: Route) -> str:
    exceptions = f", except {route.except_}" if route.except_ else ""
    return f"{route.logs}{exceptions}{f', with {route.contains}' if route.contains else ''}"


def _show_unmatched(settings: Settings, terminal: Terminal, found: list[Line]) -> None:
    """Show the logs that matched no route while toNumbers was empty: they texted nobody."""
    keys = [line.text("key") for line in reversed(found) if line.outcome == _NO_ROUTE]
    if keys:
        last = ", ".join(list(dict.fromkeys(keys))[:UNMATCHED_KEYS])
        terminal.say(
            f"Logs within a day that matched no route, and texted nobody: {len(keys)}, "
            f"such as {last}",
            "yellow",
        )
    elif not settings.to_numbers:
        terminal.say("Each log within a day matched a route.")


def _quiet_hours(hours: str, settings: Settings, now: datetime.datetime) -> str:
    quiet = read_hours(hours, settings.zone)
    if not quiet:
        return "none"
    return f"{hours} {settings.timezone}{', now' if now in quiet else ''}"


def _masked(phones: Sequence[str]) -> str:
    return ", ".join(map(masked, phones))


def _show_flush(terminal: Terminal, found: list[Line]) -> None:
    flushes = [line for line in found if line.ends_flush]
    last = f"{ago(flushes[-1].time)}: {flushes[-1]}" if flushes else "none within a day"
    terminal.field("Last flush", last)


def _show_alarms(stack: Stack, terminal: Terminal) -> None:
    topic = stack.outputs["alarmTopic"]
    pages = stack.aws["cloudwatch"].get_paginator("describe_alarms").paginate(ActionPrefix=topic)
    # The emulator ignores the prefix. On AWS a longer topic's name may begin with this one's.
    alarms = [one for page in pages for one in page["MetricAlarms"] if topic in one["AlarmActions"]]
    on = [one for one in alarms if _is_on(one)]
    count = f"{len(on)} of {len(alarms)} are on" if on else f"none of {len(alarms)} is on"
    terminal.field("Alarms", count, "red" if on else "green")
    for one in on:
        terminal.say(f"  {one['AlarmDescription']}", "red")


def _show_subscribers(stack: Stack, terminal: Terminal) -> None:
    """Show the addresses that get the alarms, and those that have not confirmed and get none."""
    if stack.is_demo:
        terminal.field("Alarms go to", "nobody: the demo sends no e-mail")
        return
    topic = stack.outputs["alarmTopic"]
    subscriptions = stack.aws["sns"].get_paginator("list_subscriptions_by_topic")
    try:
        pages = subscriptions.paginate(TopicArn=topic)
        found = [one for page in pages for one in page["Subscriptions"]]
    except ClientError as error:
        # Few roles may list subscriptions: show the rest of the status without them.
        code = error.response["Error"]["Code"]
        terminal.field(
            "Alarms go to", f"AWS does not say ({code}); needed: {_PERMISSION}", "yellow"
        )
        return
    pending = [one for one in found if one["SubscriptionArn"] == "PendingConfirmation"]
    confirmed = [one for one in found if one["SubscriptionArn"].startswith("arn:")]
    if confirmed:
        terminal.field("Alarms go to", ", ".join(one["Endpoint"] for one in confirmed))
    else:
        terminal.field("Alarms go to", "nobody", "red")
    for one in pending:
        address = one["Endpoint"]
        again = (
            f"aws sns subscribe --region {stack.region} --topic-arn {topic} "
            f"--protocol {one['Protocol']} --notification-endpoint {shlex.quote(address)}"
        )
        terminal.say(
            f"  {address} has not confirmed, and gets no alarm. Look there for AWS's e-mail "
            f'"AWS Notification - Subscription Confirmation", or have it sent again: {again}',
            "red",
        )
    if not found:
        config = stack.pulumi("config set alarmEmail ADDRESS")
        terminal.say(f"  To have them mailed: {config} && {stack.pulumi('up')}", "red")


def _is_on(alarm: Mapping[str, Any]) -> bool:
    """Whether an alarm has notified its topic of its present state.

    An alarm about missing data notifies when data is insufficient. Each alarm also begins in that
    state, but then its reason is `Unchecked`, and it notifies nobody.
    """
    if alarm["StateValue"] == "INSUFFICIENT_DATA":
        unchecked = alarm["StateReason"].startswith("Unchecked")
        return bool(alarm["InsufficientDataActions"]) and not unchecked
    return bool(alarm["StateValue"] == "ALARM")


def _told_of(line: Line) -> str:
    """Return the content of a summary: `2 files`, or `1 missing log and 2 files`."""
    counts = ((line.number("missing"), "missing log"), (line.number("files"), "file"))
    told = [plural(number, noun) for number, noun in counts if number]
    return " and ".join(told) or plural(0, "file")


def _show_texts(stack: Stack, terminal: Terminal, found: list[Line]) -> None:
    known = {line.text("sid"): line for line in found if line.outcome in _DELIVERIES}
    sent = [line for line in found if line.outcome == "sent"]
    if not sent:
        terminal.say("No text within a day.")
        return
    rows: list[list[Cell]] = []
    deliveries = _Deliveries(stack, known)
    for line in reversed(sent[-TEXTS:]):
        seconds = line.number("SecondsToText") or line.number("SecondsHeld")
        rows.append(
            [
                ago(line.time),
                line.text("phone"),
                line.text("key") or _told_of(line),
                line.text("Segments"),
                duration(seconds),
                deliveries.of(line.text("sid")),
            ]
        )
    terminal.table(
        f"The last texts ({len(sent)} within a day)",
        ("When", "Phone", "About", "Segments", "After", "Delivery"),
        rows,
    )


class _Deliveries:
    """The delivery of texts, by the log, or else by Twilio's answer now.

    After a timeout, or if Twilio refuses the credentials, it does not ask again: each timeout would
    take 10 seconds.
    """

    def __init__(self, stack: Stack, known: Mapping[str, Line]) -> None:
        self._stack = stack
        self._known = known
        self._no_answer: Cell = ""

    def of(self, sid: str) -> Cell:
        """Return the delivery of the text with this SID."""
        if known := self._known.get(sid):
            code = known.text("code")
            why = f" {code}: {known.text('meaning')}" if code else ""
            return f"{known.outcome}{why}", _COLOURS.get(known.outcome, "yellow")
        if self._no_answer:
            return self._no_answer
        try:
            delivery = self._stack.sender.delivery(sid)
        except Refused as error:
            cell = f"Twilio does not say ({error})", "yellow"
            if error.refusal.affects_everyone or error.refusal == NO_ANSWER:
                self._no_answer = cell
            return cell
        why = f" {code_with_meaning(delivery.code)}" if delivery.code else ""
        return f"{delivery.status}{why}", _COLOURS.get(delivery.status, "yellow")


def _show_held(stack: Stack, terminal: Terminal, found: list[Line]) -> None:
    count, held = _show_queue(stack, terminal, "held")
    if count.hidden:
        terminal.say(
            f"Of these, a running flush has received {count.hidden}. Those it does not text come "
            f"back within {count.hidden_minutes} min"
        )
    if count.all and (last := _last_refusal(found)):
        terminal.say(f"The last flush that could not text, {ago(last.time)}: {last.reason}")
    in_doubt.show(stack, terminal, held)


def _last_refusal(found: list[Line]) -> Line | None:
    """Return why the last flush that tried to text left texts on held; None if it sent all.

    Flushes that had nothing to text, and those in quiet hours, do not count.
    """
    last: Line | None = None
    refusal: Line | None = None
    has_texted = False
    for line in (one for one in found if one.function == "flush"):
        has_texted |= line.outcome == "sent"
        # The end of a flush repeats a refusal, without its phone.
        if line.is_refusal and not (line.ends_flush and refusal):
            refusal = line
        if refusal or has_texted:
            last = refusal
        if line.ends_flush:
            refusal, has_texted = None, False
    return last


def _show_failed(stack: Stack, terminal: Terminal) -> None:
    count, _ = _show_queue(stack, terminal, "failed")
    if count.hidden:
        terminal.say(
            f"Of these, another command has received {count.hidden}. Those it does not move come "
            f"back within {HIDDEN_SECONDS // 60} min"
        )
    if count.all:
        terminal.say(f"Once that is fixed: {stack.make('redrive')}")


def _show_queue(
    stack: Stack, terminal: Terminal, queue: str
) -> tuple[queues.Count, list[queues.Queued]]:
    """Show a queue. Return how many messages are on it, and those that were read."""
    count = queues.count(stack, queue)
    if not count.all:
        terminal.say(f"On {queue}: nothing.", "green")
        return count, []
    messages = queues.peek(stack, queue)
    rows: list[list[Cell]] = [
        [
            group.reason,
            str(group.count),
            ago(group.oldest.sent_at),
            group.oldest.content.subject,
        ]
        for group in queues.group_by_reason(messages)
    ]
    seen = f", of which {len(messages)} were read" if len(messages) < count.all else ""
    title = f"On {queue}: {count.all}{seen}"
    if rows:
        terminal.table(title, ("Why", "Messages", "Oldest", "For example"), rows)
    else:
        terminal.say(title)
    return count, messages
