"""Files, duplicates, crashes, outages, lost answers, retries, flushes, redrives, in any order.

Nothing is lost, and nothing is texted twice. The only exception is in `unreachable_table`.

The handler's code is the real one; clock, table, queues and Twilio are simulated (`World`). Between
any two requests of a process another process may run: a flush, or a duplicate of an event.
"""

import contextlib
import dataclasses
import datetime
import functools
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from handler import text
from handler.aws import AwsError
from handler.errors import LeaseHeld
from handler.held_messages import EXPIRES_AFTER_SECONDS
from handler.queues import VISIBILITY_SECONDS, NotQueued
from handler.refusals import NO_ANSWER, NO_CONNECTION, Refusal, refusal
from simulation.samples import OTHER_PHONE, PHONE, record, route
from simulation.world import Crash, World
from tests.unit.examples import examples, ledger_table

LIMIT = 3
LIMITS: dict[str, Any] = {"max_texts_per_hour": LIMIT, "max_texts_at_once": 2}
PHONES = (PHONE, OTHER_PHONE)
RETRY_AFTER = (30, 120)  # seconds: Lambda waits 60 and 120; here the first wait is too short
OF_ONE_PHONE = [refusal(400, 21408), refusal(400, 21606), refusal(503), refusal(500), NO_ANSWER]
OUTAGES = [NO_CONNECTION, NO_ANSWER, refusal(401, 20003), refusal(429, 20429), refusal(500, None)]


def _outage(name: str, *details: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *details)


CODES = ("ThrottlingException", "ProvisionedThroughputExceededException")
BY_TWILIO = [
    _outage("twilio_goes_down", st.sampled_from(OUTAGES)),
    _outage("a_phone_replies_stop"),
    _outage("a_phone_may_not_be_texted", st.sampled_from(OF_ONE_PHONE), st.sampled_from(PHONES)),
    _outage("what_nobody_foresaw_happens_to_a_phone"),
    _outage("the_clocks_differ", st.sampled_from([-5, 0, 5])),
    _outage("twilio_puts_words_before_the_body", st.sampled_from(["", "From a trial account: "])),
]
BY_LOST_ANSWERS = [
    _outage("twilio_answers_too_late"),
    _outage("requests_to_twilio_get_lost"),
    _outage("twilio_does_not_list_its_texts", st.sampled_from(OUTAGES)),
    _outage("outages_meet", *[st.booleans()] * 4),
]
BY_AWS = [
    _outage("the_table_is_asked_too_much", st.sampled_from(CODES)),
    _outage("aws_goes_down", st.sampled_from(["dynamodb", "sqs"])),
    _outage("others_claim_at_the_same_time", st.integers(1, 6)),
    _outage("sqs_refuses_messages", st.integers(1, 4)),
]
"""The outages: methods of the machine with their arguments.

Few rules begin outages, so that files, flushes and crashes happen often enough between them.
"""

FileAndPhone = tuple[str, str]  # a file's key and a phone


def key_of(number: int) -> str:
    """Return the key of a file, which is its text as well. Keys in pairs end alike: `f1`, `ff1`."""
    return f"{'f' * (2 - number % 2)}{(number + 1) // 2}"


@functools.lru_cache(maxsize=4096)
def poison_in(body: str) -> frozenset[str]:
    """Return the names of the poison in a message. The cache helps with long ones."""
    return frozenset(f"poison-{rest.partition('-')[0]}-" for rest in body.split("poison-")[1:])


@dataclasses.dataclass
class Event:
    """An event that Lambda will try again."""

    records: list[dict[str, Any]]
    tries: int
    notice: float


class Machine(RuleBasedStateMachine):
    """The possible events, and the rules that hold after any of them."""

    changes: Mapping[str, Any] = {}  # changed settings

    def __init__(self) -> None:
        super().__init__()
        common = {"max_texts_per_hour": LIMIT, "max_texts_at_once": 2, "message": "$key"}
        self.world = World(table=ledger_table(), **{**common, **self.changes})
        self.world.shuffle = random.shuffle  # hypothesis seeds it
        self.files = 0
        self.records: list[dict[str, Any]] = []
        self.accepted: set[FileAndPhone] = set()  # of events that `notify` handled
        self.pending: list[Event] = []
        # Only texts that notify sent without the table may be sent twice.
        self.unreachable_table: set[FileAndPhone] = set()
        self.flushes: Counter[int] = Counter()
        self.open_hours: set[int] = set()  # without the table each process counts for itself
        self.processes: Counter[int] = Counter()
        self.poison: set[str] = set()  # only an operator can remove it

    def notices_of(self, key: str) -> set[FileAndPhone]:
        """Return the notices of a log: its key with each phone that must get a text."""
        return {(key, phone) for phone in PHONES}

    @property
    def texted(self) -> Counter[FileAndPhone]:
        return Counter(
            (key, phone) for _, phone, body in self.world.texts for key in body.split(",")
        )

    @property
    def hour(self) -> int:
        return int(self.world.now) // 3600

    def run(
        self,
        what: Callable[[], None],
        crash_after: int | None,
        meanwhile: tuple[int, Callable[[], None]] | None = None,
    ) -> bool:
        """Run a function, and return whether it ended without a crash or an error.

        Args:
            what: The function.
            crash_after: The number of steps after which its process ends; None for no crash.
            meanwhile: The number of steps after which another function runs, and that function.
        """
        world = self.world
        world.crash_at = None if crash_after is None else world.steps + crash_after
        if meanwhile:
            world.at_step[world.steps + meanwhile[0]] = meanwhile[1]
        try:
            what()
        except (Crash, AwsError, NotQueued, LeaseHeld) as error:
            if isinstance(error, Crash):
                world.restart()
                self.processes[self.hour] += 1
            return False
        finally:
            world.crash_at = None
            world.at_step.clear()
            if "dynamodb" in world.down or world.throttled:
                self.open_hours.add(self.hour)
        return True

    def notify(self, event: Event) -> None:
        before = len(self.world.texts)
        try:
            self.world.notify(*event.records)
        finally:
            if "dynamodb" in self.world.down:
                for _, phone, body in self.world.texts[before:]:
                    self.unreachable_table |= {(key, phone) for key in body.split(",")}

    def deliver(
        self, event: Event, crash_after: int | None = None, flush_after: int | None = None
    ) -> None:
        """Let Lambda call `notify`; after the last failed try the event goes to `failed`."""
        event.tries += 1
        meanwhile = None if flush_after is None else (flush_after, self.flush_meanwhile)
        if self.run(lambda: self.notify(event), crash_after, meanwhile):
            for one in event.records:
                self.accepted |= self.notices_of(one["s3"]["object"]["key"])
        elif event.tries <= len(RETRY_AFTER):
            event.notice = self.world.now + RETRY_AFTER[event.tries - 1]
            self.pending.append(event)
        else:
            envelope = {"requestContext": {}, "requestPayload": {"Records": event.records}}
            self.world.failed.put(json.dumps(envelope))

    def flush_meanwhile(self) -> None:
        """Let another process flush while this one runs."""
        self.flushes[self.hour] += 1
        with contextlib.suppress(AwsError, NotQueued):
            self.world.new_flusher().flush(lambda: 240)

    def duplicate_meanwhile(self, one: dict[str, Any]) -> None:
        """Let a duplicate of an event arrive while a flush runs."""
        event = Event([one], 1, self.world.now + RETRY_AFTER[0])
        try:
            self.notify(event)
        except (AwsError, NotQueued, LeaseHeld):
            self.pending.append(event)

    steps = st.none() | st.integers(0, 40)

    @rule(count=st.integers(1, 3), crash_after=steps, flush_after=steps)
    def upload(self, count: int, crash_after: int | None, flush_after: int | None) -> None:
        records = []
        for _ in range(count):
            self.files += 1
            records.append(record(key_of(self.files), sequencer=str(self.files)))
        self.records += records
        self.deliver(Event(records, 0, self.world.now), crash_after, flush_after)

    @precondition(lambda self: self.records)
    @rule(data=st.data(), crash_after=steps, flush_after=steps)
    def duplicate(
        self, data: st.DataObject, crash_after: int | None, flush_after: int | None
    ) -> None:
        one = data.draw(st.sampled_from(self.records))
        self.deliver(Event([one], 0, self.world.now), crash_after, flush_after)

    @precondition(lambda self: self.pending)
    @rule(crash_after=steps)
    def retry(self, crash_after: int | None) -> None:
        event = self.pending.pop(0)
        self.world.now = max(self.world.now, event.notice)
        self.deliver(event, crash_after)

    @rule(crash_after=steps)
    def flush(self, crash_after: int | None) -> None:
        self.flushes[self.hour] += 1
        self.run(self.world.flush, crash_after)

    @precondition(lambda self: len(self.world.held) > 0)
    @rule(
        crash_after=steps,
        after=st.integers(1, 30),
        late=st.sampled_from([0, 20]),
        recovers=st.booleans(),
    )
    def flush_twice_at_once(
        self, crash_after: int | None, after: int, late: float, recovers: bool
    ) -> None:
        """SQS may deliver a message twice: the other flush receives copies."""

        def another() -> None:
            self.world.now += late
            if recovers:
                self.world.end_outages()
            self.flushes[self.hour] += 1  # the first flush, if it goes on in the next hour
            for message in list(self.world.held):
                self.world.held.put(message.body)
            self.flush_meanwhile()

        self.flushes[self.hour] += 1
        self.run(self.world.flush, crash_after, (after, another))

    @precondition(lambda self: self.records)
    @rule(data=st.data(), crash_after=steps, after=st.integers(0, 40))
    def flush_while_a_duplicate_comes(
        self, data: st.DataObject, crash_after: int | None, after: int
    ) -> None:
        one = data.draw(st.sampled_from(self.records))
        self.flushes[self.hour] += 1
        self.run(self.world.flush, crash_after, (after, lambda: self.duplicate_meanwhile(one)))

    @rule(
        seconds=st.sampled_from(
            [1, 30, 61, VISIBILITY_SECONDS + 1, 3600, EXPIRES_AFTER_SECONDS + 1]
        )
    )
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(shape=st.sampled_from(["nonsense", "a text", "deep", "beside a log"]))
    def a_poisoned_message_is_held(self, shape: str) -> None:
        name = f"poison-{len(self.poison)}-"
        self.poison.add(name)
        match shape:
            case "nonsense":
                body = name
            case "a text":
                body = json.dumps({"file": {"key": name, "size": "1 kB"}, "phone": PHONE})
            case "deep":
                body = "[" * 20_000 + name
            case _:
                self.files += 1
                key = key_of(self.files)
                event = {"Records": [record(key), record(name, eventVersion="9.0")]}
                body = json.dumps({"requestContext": {}, "requestPayload": event})
                self.accepted |= self.notices_of(key)
        self.world.held.put(body)

    @rule()
    def redrive(self) -> None:
        self.world.redrive()

    @rule(outage=st.one_of(*BY_TWILIO, *BY_LOST_ANSWERS))
    def twilio_fails(self, outage: tuple[Any, ...]) -> None:
        name, *details = outage
        getattr(self, name)(*details)

    @rule(outage=st.one_of(*BY_AWS))
    def aws_fails(self, outage: tuple[Any, ...]) -> None:
        name, *details = outage
        getattr(self, name)(*details)

    @rule(outage=st.one_of(*BY_LOST_ANSWERS))
    def answers_get_lost(self, outage: tuple[Any, ...]) -> None:
        """Begin these outages more often than others: they are the likeliest to repeat a text."""
        self.outages_end()
        name, *details = outage
        getattr(self, name)(*details)

    def twilio_goes_down(self, why: Any) -> None:
        self.world.refuses = lambda _phone: why

    def a_phone_replies_stop(self) -> None:
        stopped = refusal(400, 21610)
        self.world.refuses = lambda phone: stopped if phone == PHONE else None

    def twilio_answers_too_late(self) -> None:
        self.world.loses_answers = True

    def requests_to_twilio_get_lost(self) -> None:
        self.world.loses_requests = True

    def twilio_does_not_list_its_texts(self, why: Refusal) -> None:
        self.world.refuses_to_list = lambda _phone: why

    def the_clocks_differ(self, seconds: float) -> None:
        self.world.twilio_clock = seconds

    def twilio_puts_words_before_the_body(self, words: str) -> None:
        self.world.trial = words

    def a_phone_may_not_be_texted(self, why: Refusal, phone: str) -> None:
        self.world.refuses = lambda asked: why if asked == phone else None

    def what_nobody_foresaw_happens_to_a_phone(self) -> None:
        def raise_unexpected(phone: str) -> None:
            if phone == PHONE:
                raise RuntimeError

        self.world.refuses = raise_unexpected

    def the_table_is_asked_too_much(self, code: str) -> None:
        self.world.throttled = code

    def aws_goes_down(self, service: str) -> None:
        self.world.down.add(service)

    def others_claim_at_the_same_time(self, times: int) -> None:
        self.world.conflicts = times

    def sqs_refuses_messages(self, times: int) -> None:
        self.world.refused_entries = times

    def outages_meet(self, answers: bool, requests: bool, lists: bool, sqs: bool) -> None:
        world = self.world
        world.loses_answers, world.loses_requests = answers, requests
        world.refuses_to_list = lambda _phone: NO_ANSWER if lists else None
        world.down |= {"sqs"} if sqs else set()

    @rule()
    def outages_end(self) -> None:
        self.world.end_outages()

    @invariant()
    def nothing_is_lost(self) -> None:
        world = self.world
        somewhere = set(self.texted)
        for queue in (world.held, world.failed):
            somewhere |= {(notice.file.key, notice.phone) for notice in world.notices_on(queue)}
        unfinished = {
            notice
            for event in self.pending
            for one in event.records
            for notice in self.notices_of(one["s3"]["object"]["key"])
        }
        assert self.accepted - unfinished <= somewhere
        poison = [poison_in(one.body) for queue in (world.held, world.failed) for one in queue]
        assert self.poison <= frozenset().union(*poison)

    @invariant()
    def nothing_is_told_twice(self) -> None:
        twice = {one for one, times in self.texted.items() if times > 1}
        assert twice <= self.unreachable_table

    @invariant()
    def nobody_is_flooded(self) -> None:
        texts = Counter((int(when) // 3600, phone) for when, phone, _ in self.world.texts)
        for (hour, _), count in texts.items():
            processes = 1 + self.processes[hour] if hour in self.open_hours else 1
            assert count <= LIMIT * processes + self.flushes[hour]

    def teardown(self) -> None:
        """End all outages; then every phone must get a text about every file."""
        self.outages_end()
        world = self.world
        for _ in range(100):
            while self.pending:
                self.retry(crash_after=None)
            world.now += VISIBILITY_SECONDS + 1
            self.flush(crash_after=None)
            world.redrive()
            if not (world.notices_on(world.held) or self.pending):
                break
        self.nothing_is_lost()
        self.nothing_is_told_twice()
        self.nobody_is_flooded()
        keys = [key_of(number + 1) for number in range(self.files)]
        assert set(self.texted) == {notice for key in keys for notice in self.notices_of(key)}
        assert all("poison-" in one.body for one in world.held)
        assert world.failed == []


QUIET_DIGITS, DIGEST_DIGITS, LIMITED_DIGITS = "147", "258", "3"


def ending(digits: str) -> str:
    """Return globs of the logs whose number ends with one of these digits."""
    return ", ".join(f"f*{digit}" for digit in digits)


class RoutedMachine(Machine):
    """The same machine with routes: one has quiet hours, one digest mode, and one its own limit."""

    changes: Mapping[str, Any] = {
        "to_numbers": (OTHER_PHONE,),
        "routes": (
            route(
                "quiet",
                ending(QUIET_DIGITS),
                PHONE,
                message="$key",
                **LIMITS,
                quiet_hours="14:06-14:16",
            ),
            route(
                *("digest", ending(DIGEST_DIGITS), *PHONES),
                message="$key",
                **LIMITS,
                mode="digest",
                except_="f*8",
            ),
            route(
                "few",
                ending(LIMITED_DIGITS),
                PHONE,
                message="$key",
                **LIMITS | {"max_texts_per_hour": 1},
            ),
        ),
    }

    def notices_of(self, key: str) -> set[FileAndPhone]:
        phones: set[str] = set()
        if key[-1] in QUIET_DIGITS + LIMITED_DIGITS:
            phones.add(PHONE)
        if key[-1] in DIGEST_DIGITS and not key.endswith("8"):
            phones |= set(PHONES)
        return {(key, phone) for phone in phones or {OTHER_PHONE}}

    @invariant()
    def nobody_is_texted_in_quiet_hours(self) -> None:
        """A text may still be on its way when they begin."""
        for when, phone, body in self.world.texts:
            began, ended = (
                datetime.datetime.fromtimestamp(when - late, datetime.UTC) for late in (60, 0)
            )
            is_quiet = began.hour == ended.hour == 14 and began.minute >= 6 and ended.minute < 16
            if phone == PHONE and is_quiet and began.date() == ended.date():
                assert not any(key[-1] in QUIET_DIGITS for key in body.split(","))

    @invariant()
    def notify_keeps_the_limit_of_a_route(self) -> None:
        """After the phone's first text of an hour, only a flush may text about such a log."""
        before: Counter[int] = Counter()
        others: Counter[int] = Counter()
        for when, phone, body in self.world.texts:
            hour = int(when) // 3600
            if phone == PHONE:
                is_limited = all(key[-1] in LIMITED_DIGITS for key in body.split(","))
                others[hour] += before[hour] > 0 and is_limited
                before[hour] += 1
        for hour, count in others.items():
            if hour not in self.open_hours:
                assert count <= self.flushes[hour] + self.flushes[hour - 1]


@pytest.fixture(autouse=True)
def summaries_name_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a summary list the keys of its files, so that the machine can check them."""
    monkeypatch.setattr(
        text, "summarize", lambda files, *_, **__: ",".join(file.key for file in files)
    )


class TestNeverLost(Machine.TestCase):  # type: ignore[valid-type,misc]  # made by hypothesis
    """Run the machine."""

    settings = examples(300, stateful_step_count=40)


class TestNeverLostWithRoutes(RoutedMachine.TestCase):  # type: ignore[valid-type,misc]  # the same
    """Run the machine with routes."""

    settings = examples(150, stateful_step_count=40)
