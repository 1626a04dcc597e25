"""The texts in doubt: Twilio may have accepted them, but its answer was lost.

The ledger records each of them. It holds no phone number and no text. Reading it takes one more
permission: `dynamodb:BatchGetItem` on the table.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from handler import queue_messages
from handler.attempts import id_of_phone
from handler.aws import batches
from handler.events import LogFile
from handler.ledger import ASK_AFTER_SECONDS
from handler.log import masked
from handler.notice import Attempt, Notice
from handler.quiet_hours import quiet_routes, read_hours
from handler.settings import AnyRoute
from stack.deployed import Stack, ago
from stack.queues import Queued
from stack.terminal import Cell, Terminal

MAX_KEYS = 100
"""How many items DynamoDB returns at once, at most."""

_PERMISSION = "dynamodb:BatchGetItem"
_COLUMNS = ("Since", "Phone", "About", "Twilio is asked")


class InDoubt(NamedTuple):
    """One text in doubt.

    Attributes:
        phone: The phone.
        about: The key of its log file, or `a summary`.
        since: When it was sent, or was about to be sent.
        routes: The labels of its routes. In the quiet hours of all of them Twilio is not asked.
            None if its phone was removed: then no flush asks.
    """

    phone: str
    about: str
    since: datetime.datetime
    routes: frozenset[str]


def show(stack: Stack, terminal: Terminal, held: Sequence[Queued]) -> None:
    """Show the texts in doubt, and when the flush asks Twilio about each.

    Args:
        stack: The stack.
        terminal: Where to show them.
        held: The messages on `held` that were read.
    """
    try:
        found = sorted(_read(stack, held), key=lambda one: one.since)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        terminal.say(f"In doubt: AWS does not say ({code}); needed: {_PERMISSION}", "yellow")
        return
    if not found:
        terminal.say("In doubt: nothing.", "green")
        return
    now = datetime.datetime.now(datetime.UTC)
    settings = stack.settings
    hours = {
        label: read_hours(route.quiet_hours, settings.zone)
        for label, route in settings.by_label.items()
    }
    quiet = quiet_routes(hours, now.timestamp()).keys()
    rows: list[list[Cell]] = [
        [ago(one.since), masked(one.phone), one.about, _asked(one, now, quiet)] for one in found
    ]
    terminal.table(f"In doubt: {len(found)}", _COLUMNS, rows)


def _asked(one: InDoubt, now: datetime.datetime, quiet: Set[str]) -> str:
    """Return when Twilio is asked about a text, with these routes in quiet hours now."""
    if not one.routes:
        return "by no flush: its phone was removed"
    if one.routes <= quiet:
        return "by the first flush after the quiet hours"
    earliest = one.since + datetime.timedelta(seconds=ASK_AFTER_SECONDS)
    if earliest <= now:
        return "by the next flush"
    return f"by the first flush after {earliest:%H:%M:%S} UTC"


def _read(stack: Stack, held: Sequence[Queued]) -> Iterator[InDoubt]:
    """Read the texts in doubt: those of `notify` that are held, and the summary to each phone.

    Raises:
        ClientError: The ledger cannot be read.
    """
    settings, by_label = stack.settings, stack.settings.by_label
    phones_of = settings.phones_of
    notices = [
        item
        for one in held
        for item in queue_messages.read(one.body, phones_of)
        if isinstance(item, Notice)
    ]
    summaries: dict[str, tuple[str, str, set[str]]] = {
        id_of_phone(phone): (phone, "a summary", set())
        for phone in [*settings.phones, *(notice.phone for notice in notices)]
    }
    texts: dict[str, tuple[str, str, set[str]]] = {}
    for notice in notices:
        labels = _routes_of(notice, phones_of, by_label)
        texts[notice.id] = (notice.phone, notice.file.key, labels)
        summaries[id_of_phone(notice.phone)][2].update(labels)
    for phone, _, labels in summaries.values():
        if not labels:
            labels |= {label for label, one in by_label.items() if phone in one.to_numbers}
    texts |= summaries
    for item in _items(stack, texts):
        if attempt := Attempt.read(item):
            phone, about, labels = texts[item["id"]["S"]]
            since = datetime.datetime.fromtimestamp(attempt.at, datetime.UTC)
            yield InDoubt(phone, about, since, frozenset(labels))


def _routes_of(
    notice: Notice,
    phones_of: Callable[[str], Mapping[str, AnyRoute]],
    by_label: Mapping[str, AnyRoute],
) -> set[str]:
    """Return the label of the route that a notice is of; none if its phone was removed."""
    if isinstance(notice.file, LogFile):
        route = phones_of(notice.file.key).get(notice.phone)
        return {route.label} if route else set()
    return {
        label
        for label, one in by_label.items()
        if one.name == notice.file.route and notice.phone in one.to_numbers
    }


def _items(stack: Stack, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Read items of the ledger, without the ids in a summary: they may take 400 KB each."""
    for some in batches(list(ids), MAX_KEYS):
        keys = [{"id": {"S": id_}} for id_ in some]
        while keys:
            asked = {"Keys": keys, "ProjectionExpression": "id, attempt_at, fingerprint"}
            answer = stack.aws["dynamodb"].batch_get_item(
                RequestItems={stack.settings.ledger_table: asked}
            )
            yield from answer["Responses"].get(stack.settings.ledger_table, [])
            left = answer.get("UnprocessedKeys", {})
            keys = left.get(stack.settings.ledger_table, {}).get("Keys", [])
