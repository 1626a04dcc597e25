"""The messages that one flush receives from `held`, until each text in them has an outcome."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from handler import queue_messages
from handler.aws import AwsError, batches
from handler.events import LogFile
from handler.log import Log
from handler.message_reader import Content, Defect, MessageReader
from handler.notice import Notice
from handler.queues import BATCH, MAX_RECEIVES, Message, Queue
from handler.quiet_hours import QuietHours
from handler.settings import AnyRoute, Settings

if TYPE_CHECKING:
    from handler.missing_log import MissingLog

MAX_MESSAGES = 20_000
"""How many messages one flush receives at most: some 40 MB. The next flush receives the rest."""

MAX_CHARACTERS = 30_000_000
"""How many characters one flush receives at most, where messages are long: they stay in memory."""

DRAIN_SHARE = 0.4
"""The share of a flush's time for receiving; the rest is for sending and deleting."""

EXPIRES_AFTER_SECONDS = 9 * 24 * 60 * 60
"""Seconds that flushes try a held text. SQS keeps it for two days longer: see `infra.queues`."""

RENEW_AFTER_RECEIVES = MAX_RECEIVES // 2
"""The number of receives after which a message is put on the queue anew.

SQS counts each receive, and moves a message to `failed` after a thousand. With a flush every minute
that takes 17 hours. The other half is for renewals that fail, and for `make status`.
"""

MAX_HIDDEN_SECONDS = 15 * 60
"""The longest time that a message stays hidden while all its texts are in quiet hours.

If it were visible, each flush would receive it before those that may go. If it were hidden for
longer, a change of the settings would take effect too late.
"""

SECONDS_TO_GIVE_BACK = 15
"""The longest time of one request to SQS, with all its tries."""


class HeldMessage:
    """A message, and what keeps it on the queue.

    Attributes:
        message: The message itself.
        without_outcome: How many of its texts have no outcome yet.
        defect: Why it moves to `failed`; None if it is readable, or is there already.
        is_deleted: Whether it is off the queue.
        is_partly_done: Whether this flush gave some of its texts an outcome.
    """

    __slots__ = ("defect", "is_deleted", "is_partly_done", "message", "without_outcome")

    def __init__(self, message: Message, without_outcome: int, defect: Defect | None) -> None:
        self.message = message
        self.without_outcome = without_outcome
        self.defect = defect
        self.is_deleted = False
        self.is_partly_done = False


class _HeldFile:
    """A file, or a missing log, its routes, and the messages that hold it, each with its phones.

    S3 and EventBridge may both announce one file, at slightly different times. It is one file, as
    its identity says.
    """

    __slots__ = ("_others", "file", "messages", "routes")

    def __init__(self, file: "LogFile | MissingLog", routes: Mapping[str, AnyRoute]) -> None:
        self.file = file
        self.routes = routes  # by phone
        # By phone: those whose route found other lines in the file.
        self._others: dict[str, tuple[LogFile | MissingLog, AnyRoute]] = {}
        self.messages: list[tuple[HeldMessage, tuple[str, ...]]] = []

    def add(
        self,
        message: HeldMessage,
        file: "LogFile | MissingLog",
        phones: tuple[str, ...],
        routes: Mapping[str, AnyRoute],
    ) -> None:
        """Add a message that holds it for phones, with what their route found in it."""
        if file.found != self.file.found:
            self._others |= {
                phone: (file, routes[phone]) for phone in phones if not self.held_for(phone)
            }
        self.messages.append((message, phones))

    def file_for(self, phone: str) -> "LogFile | MissingLog":
        """Return the file, with what the route of a phone found in it."""
        return self._others[phone][0] if phone in self._others else self.file

    def route_for(self, phone: str) -> AnyRoute:
        """Return the route that words the text for a phone."""
        return self._others[phone][1] if phone in self._others else self.routes[phone]

    def held_for(self, phone: str) -> list[HeldMessage]:
        """Return the messages that hold it for a phone."""
        return [one for one, phones in self.messages if phone in phones]


class HeldMessages:
    """Receives messages, deletes those whose texts all have an outcome, and gives back the rest.

    Attributes:
        received: How many messages were received.
        undeleted: How many of them are still on the queue.
        is_complete: Whether the queue had no more.
        for_other_settings: How many texts are for phones that only other settings may know.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        settings: Settings,
        quiet_routes: Callable[[], Mapping[str, QuietHours]],
        log: Log,
        clock: Callable[[], float],
        record: Callable[[LogFile], None] | None = None,
    ) -> None:
        """Begin, with nothing received.

        Args:
            queue: The queue `held`.
            settings: The settings: they say which phones a text may go to.
            quiet_routes: Gives the quiet hours in force, by the labels of their routes. A later
                flush sends the texts of these.
            log: The log.
            clock: The time, in seconds since the epoch.
            record: Records that a log came that `notify` did not see, if any log is expected.
        """
        self._queue = queue
        self._reader = MessageReader(settings, log=log, clock=clock, record=record)
        self._quiet_routes = quiet_routes
        self._quiet_at_first = quiet_routes()
        self._log = log
        self._clock = clock
        self._now = clock()  # when the flush began
        self.received = 0
        self.undeleted = 0
        self.is_complete = False
        self.for_other_settings = 0
        self._oldest = 0.0
        self._characters = 0
        self._messages: list[HeldMessage] = []
        self._files: dict[tuple[str, ...], _HeldFile] = {}  # by their identities
        self._left: dict[str, dict[tuple[str, ...], _HeldFile]] = {}  # by phone: without an outcome
        self._phones_of_messages: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._finished: list[HeldMessage] = []

    @property
    def phones(self) -> list[str]:
        """The phones with texts without an outcome that may go now."""
        quiet = self._quiet_routes()
        return [
            phone
            for phone, files in self._left.items()
            if any(held.route_for(phone).label not in quiet for held in files.values())
        ]

    def notices_for(self, phone: str) -> list[Notice]:
        """Return a phone's texts without an outcome that may go now, each once.

        They are made anew each time: there may be ten thousand for each of twenty phones.
        """
        quiet = self._quiet_routes()
        return [
            Notice(held.file_for(phone), phone, route=label)
            for held in self._left.get(phone, {}).values()
            if (label := held.route_for(phone).label) not in quiet
        ]

    def is_redelivered(self, notice: Notice) -> bool:
        """Whether SQS gave a text to an earlier flush as well."""
        messages = self._files[notice.file.identity].held_for(notice.phone)
        return any(one.message.receive_count > 1 for one in messages)

    def receive(self) -> bool:
        """Receive ten messages at most.

        Returns:
            Whether there were any.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        messages = self._queue.receive()
        for message in messages:
            try:
                self._add(message, self._reader.read(message))
            except Exception as error:  # noqa: BLE001  # one message stops no other
                self._add(message, Content(defect=Defect(error)))
        return bool(messages)

    def drain(self, seconds_left: Callable[[], float]) -> None:
        """Receive messages until there are none, or no room or time for more.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        until = seconds_left() * (1 - DRAIN_SHARE)
        while self.receive():
            is_full = self.received >= MAX_MESSAGES or self._characters >= MAX_CHARACTERS
            if is_full or seconds_left() <= until:
                return
        self.is_complete = True

    def finish(self, notices: Iterable[Notice]) -> None:
        """Record that texts have an outcome, if they have none yet."""
        for notice in notices:
            held = self._left[notice.phone].pop(notice.file.identity, None)
            for one in held.held_for(notice.phone) if held else ():
                one.without_outcome -= 1
                one.is_partly_done = True
                self._finish_if_done(one)

    @property
    def defective(self) -> list[HeldMessage]:
        """The messages that move to `failed`, and hold no text without an outcome."""
        return [one for one in self._messages if one.defect and not one.without_outcome]

    def finish_defective(self, one: HeldMessage) -> None:
        """Record that the unreadable part of a message is on `failed`."""
        one.defect = None
        self._finish_if_done(one)

    def expired(self, notices: Iterable[Notice]) -> list[Notice]:
        """Select the texts without an outcome that have been held for too long to try again."""
        since = self._now - EXPIRES_AFTER_SECONDS
        return [
            notice
            for notice in notices
            if (held := self._left[notice.phone].get(notice.file.identity))
            and any(one.message.sent_at < since for one in held.held_for(notice.phone))
        ]

    @property
    def has_expired(self) -> bool:
        """Whether any text has been held for too long to try again."""
        return any(self.expired(self.notices_for(phone)) for phone in self.phones)

    def delete_finished(self) -> None:
        """Delete the messages whose texts all have an outcome.

        Raises:
            handler.aws.AwsError: SQS could not be reached.
        """
        failed = self._queue.delete([one.message for one in self._finished])
        self.undeleted += failed - len(self._finished)
        for one in self._finished:
            one.is_deleted = True
        self._finished = []

    def give_back(self, seconds_left: Callable[[], float]) -> int:
        """Let the next flush receive all other messages at once, as far as time allows.

        A message that some phones are done with is put anew on the queue for the others. One whose
        texts are all of routes in quiet hours stays hidden for a time.

        Returns:
            How many messages were given back. The others come back later by themselves.
        """
        left = [self._rest_of(one) for one in self._messages if not one.is_deleted]
        often = [
            one
            for one, is_partly_done in left
            if is_partly_done or one.receive_count >= RENEW_AFTER_RECEIVES
        ]
        renewed = self._each(often, "renewed", self._queue.renew, seconds_left)
        receipts = {one.receipt for one in renewed}
        rest = [one for one, _ in left if one.receipt not in receipts]
        give_back = functools.partial(self._queue.give_back, hidden=self._hidden())
        given_back = self._each(rest, "given back", give_back, seconds_left)
        return len(renewed) + len(given_back)

    def _hidden(self) -> dict[str, int]:
        """Return for how many seconds messages stay hidden, by their receipts."""
        quiet, now = self._quiet_routes(), self._clock()
        ends = {
            label: math.ceil(hours.seconds_left(now, MAX_HIDDEN_SECONDS))
            for label, hours in quiet.items()
        }
        hidden: dict[str, int] = {}
        for phone, files in self._left.items() if ends else ():
            for held in files.values():
                end = ends.get(held.route_for(phone).label, 0)
                for one in held.held_for(phone):
                    receipt = one.message.receipt
                    hidden[receipt] = min(hidden.get(receipt, end), end)
        return hidden

    def _rest_of(self, one: HeldMessage) -> tuple[Message, bool]:
        """Return a message without what has an outcome, and whether it is another one now."""
        if not one.is_partly_done:
            return one.message, False
        body = queue_messages.without(one.message.body, self._is_done)
        return one.message._replace(body=body), body != one.message.body

    def _is_done(self, notice: Notice) -> bool:
        identity = notice.file.identity
        return identity in self._files and self._has_outcome(identity, notice.phone)

    def _each(
        self,
        messages: Sequence[Message],
        action: str,
        request: Callable[[Sequence[Message]], list[Message]],
        seconds_left: Callable[[], float],
    ) -> list[Message]:
        """Make a request for ten messages at a time. Return those for which SQS did it."""
        done: list[Message] = []
        for some in batches(messages, BATCH):
            if seconds_left() < SECONDS_TO_GIVE_BACK:
                break
            try:
                done += request(some)
            except AwsError as error:
                self._log.decision(f"not {action}", level="WARN", meaning=str(error))
                break
        return done

    @property
    def age(self) -> float:
        """The age in seconds of the oldest file that may go and has no outcome; 0 without one.

        If some messages were not received, it is the age of the oldest file that was: they came
        later.
        """
        if not self.is_complete:
            return self._oldest
        quiet = self._quiet_routes()
        left = {
            key: held
            for phone, some in self._left.items()
            for key, held in some.items()
            if held.route_for(phone).label not in quiet
        }
        return max((held.file.age(self._now) for held in left.values()), default=0)

    def _add(self, message: Message, content: Content) -> None:
        # Everything that may raise comes first: a message is added whole or not at all.
        oldest = max(
            (
                file.age(self._now)
                for file, phones, routes in content.files
                if any(routes[phone].label not in self._quiet_at_first for phone in phones)
            ),
            default=0.0,
        )
        self.received += 1
        self.undeleted += 1
        self.for_other_settings += content.for_other_settings
        self._characters += len(message.body)
        self._oldest = max(self._oldest, oldest)
        added = HeldMessage(message, content.for_other_settings, content.defect)
        self._messages.append(added)
        for file, phones, routes in content.files:
            identity = file.identity
            held = self._files.setdefault(identity, _HeldFile(file, routes))
            # A duplicate may come when a text has its outcome already.
            left = tuple(
                one for one in dict.fromkeys(phones) if not self._has_outcome(identity, one)
            )
            added.without_outcome += len(left)
            # Most messages are for the same phones: they share one tuple, to save memory.
            held.add(added, file, self._phones_of_messages.setdefault(left, left), routes)
            for phone in left:
                self._left.setdefault(phone, {})[identity] = held
        self._finish_if_done(added)

    def _has_outcome(self, identity: tuple[str, ...], phone: str) -> bool:
        was_held = bool(self._files[identity].held_for(phone))
        return was_held and identity not in self._left[phone]

    def _finish_if_done(self, one: HeldMessage) -> None:
        if not one.without_outcome and not one.defect:
            self._finished.append(one)
