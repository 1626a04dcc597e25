"""Whether texts go out: the last ones, what waits and why, the settings in force, the alarms."""

import datetime
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from handler.audit import ARRIVED, LOST, meaning
from handler.log import masked
from handler.sender import Refused
from infra import names
from ops import lines, queues
from ops.lines import Line
from ops.stack import Stack, ago

TEXTS = 10
"""How many of the last texts are shown."""

PERIOD = datetime.timedelta(days=1)

_COLOURS = {**dict.fromkeys(ARRIVED, "green"), **dict.fromkeys(LOST, "red")}


def status(stack: Stack, console: Console) -> None:
    """Show how a stack is."""
    now = datetime.datetime.now(datetime.UTC)
    found = lines.read(
        stack,
        since=now - PERIOD,
        outcomes=("sent", "delivered", "undelivered", "unconfirmed", "flushed", "quiet hours"),
    )
    _show_settings(stack, console, now)
    _show_flush(console, found)
    _show_alarms(stack, console)
    _show_texts(stack, console, found)
    for queue in ("held", "failed"):
        _show_queue(stack, console, queue)


def _show_settings(stack: Stack, console: Console, now: datetime.datetime) -> None:
    settings = stack.settings
    quiet = settings.quiet_hours and f"{settings.quiet_hours} {settings.timezone}"
    if settings.quiet and now in settings.quiet:
        quiet += ", now"
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in (
        ("Stack", settings.stack),
        ("Bucket", stack.outputs["bucket"]),
        ("Phones", ", ".join(masked(phone) for phone in settings.to_numbers)),
        ("Mode", f"{settings.mode}, at most {settings.max_texts_per_hour} texts a phone and hour"),
        ("Quiet hours", quiet or "none"),
        ("Dashboard", stack.outputs["dashboard"]),
    ):
        table.add_row(Text(name, style="bold"), Text(value))
    console.print(table)


def _show_flush(console: Console, found: list[Line]) -> None:
    flushes = [line for line in found if line.outcome in {"flushed", "quiet hours"}]
    last = f"{ago(flushes[-1].time)}: {flushes[-1]}" if flushes else "none within a day"
    console.print(Text.assemble(("Last flush   ", "bold"), last))


def _show_alarms(stack: Stack, console: Console) -> None:
    prefix = names.of_stack(stack.settings.stack) + "-"
    pages = (
        stack.aws["cloudwatch"].get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
    )
    # A stack whose name begins with this one's has alarms of that prefix as well.
    topic = stack.outputs["alarmTopic"]
    alarms = [one for page in pages for one in page["MetricAlarms"] if topic in one["AlarmActions"]]
    on = [one for one in alarms if _is_on(one)]
    said = f"{len(on)} of {len(alarms)} are on" if on else f"none of {len(alarms)} is on"
    console.print(Text.assemble(("Alarms       ", "bold"), (said, "red" if on else "green")))
    for one in on:
        console.print(Text(f"  {one['AlarmDescription']}", style="red"))


def _is_on(alarm: Mapping[str, Any]) -> bool:
    """Whether an alarm has told somebody of the state that it is in.

    One about silence tells of a lack of data; but that is also how each begins, and then it says
    that it is unchecked and tells nobody.
    """
    if alarm["StateValue"] == "INSUFFICIENT_DATA":
        unchecked = alarm["StateReason"].startswith("Unchecked")
        return bool(alarm["InsufficientDataActions"]) and not unchecked
    return bool(alarm["StateValue"] == "ALARM")


def _show_texts(stack: Stack, console: Console, found: list[Line]) -> None:
    known = {
        line.fields["sid"]: line
        for line in found
        if line.outcome in {"delivered", "undelivered", "unconfirmed"}
    }
    sent = [line for line in found if line.outcome == "sent"]
    table = Table(title=f"The last texts ({len(sent)} within a day)", title_justify="left")
    for column in ("When", "Phone", "About", "Segments", "After", "Delivery"):
        table.add_column(column, overflow="fold")
    for line in reversed(sent[-TEXTS:]):
        fields = line.fields
        seconds = fields.get("SecondsToText", fields.get("SecondsHeld"))
        table.add_row(
            ago(line.time),
            fields["phone"],
            Text(fields.get("key") or f"{fields['files']} files"),
            str(fields["Segments"]),
            f"{seconds:g} s",
            _delivery(stack, fields["sid"], known.get(fields["sid"])),
        )
    console.print(table if sent else Text("No text within a day."))


def _delivery(stack: Stack, sid: str, known: Line | None) -> Text:
    """Say what became of a text: as the log has it, or else as Twilio says now."""
    if known:
        code = known.fields.get("code", "")
        why = f" {code}: {known.fields['meaning']}" if code else ""
        return Text(f"{known.outcome}{why}", style=_COLOURS.get(known.outcome, "yellow"))
    try:
        delivery = stack.twilio.delivery(sid)
    except Refused as error:
        return Text(f"Twilio does not say ({error})", style="yellow")
    why = f" {delivery.code}: {meaning(delivery.code)}" if delivery.code else ""
    return Text(f"{delivery.status}{why}", style=_COLOURS.get(delivery.status, "yellow"))


def _show_queue(stack: Stack, console: Console, queue: str) -> None:
    total = queues.count(stack, queue)
    if not total:
        console.print(Text(f"On {queue}: nothing.", style="green"))
        return
    table = Table(title=f"On {queue}: {total}", title_justify="left")
    for column in ("Why", "Of these", "Oldest", "Such as"):
        table.add_column(column, overflow="fold")
    for group in queues.grouped(stack, queue):
        table.add_row(
            Text(group.why), str(group.count), ago(group.oldest.since), Text(group.oldest.about)
        )
    console.print(table)
    if queue == "failed":
        console.print("Once that is mended: make redrive")
