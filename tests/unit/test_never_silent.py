"""Arriving and missing logs, crashed and late flushes, and outages, in any order.

Every miss is texted, and no other. The oracle computes the misses from the clock and the logs
that came. Of the handler's items it reads only the recorded miss.
"""

import datetime
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from handler import text
from handler.aws import AwsError
from handler.errors import LeaseHeld
from handler.events import LogFile
from handler.missing_log import MissingLog
from handler.queues import VISIBILITY_SECONDS, NotQueued
from handler.refusals import NO_CONNECTION, refusal
from simulation.samples import OTHER_PHONE, PHONE, record
from simulation.world import Crash, World
from tests.unit.examples import examples, ledger_table

PHONES = (PHONE, OTHER_PHONE)
MINUTE, HOUR, DAY = 60, 60 * 60, 24 * 60 * 60
GRACE = 2 * MINUTE
START = datetime.datetime(2026, 11, 23, 10, 0, tzinfo=datetime.UTC).timestamp()

DeadlineAndPhone = tuple[float, str]


class Machine(RuleBasedStateMachine):
    """The possible events of an expected log, and the rules that hold after any of them."""

    expect: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(
            table=ledger_table(), expect=self.expect, to_numbers=PHONES, max_texts_per_hour=1000
        )
        self.world.shuffle = random.shuffle  # hypothesis seeds it
        self.world.now = START
        self.world.flush()  # the flush records the route, and its first window begins
        self.count = 0
        self.recorded: list[float] = []  # times of the logs that are certainly in the ledger
        self.maybe: list[float] = []  # times of the logs that may be in it
        self.missed: float | None = None  # the latest deadline that a flush recorded as missed
        self.due: set[DeadlineAndPhone] = set()
        self.excused: set[DeadlineAndPhone] = set()  # may be texted twice

    # The oracle

    def latest_miss(self, logs: list[float], now: float) -> float | None:
        """Return the latest missed deadline, provided that these logs came."""
        raise NotImplementedError

    # The world

    def run(self, what: Callable[[], None], crash_after: int | None) -> bool:
        """Run a function that may crash, and return whether it ended well without an outage."""
        world = self.world
        before = len(world.texts)
        is_healthy = not (world.down or world.throttled or world.refused_entries)
        world.crash_at = None if crash_after is None else world.steps + crash_after
        try:
            what()
        except (Crash, AwsError, NotQueued, LeaseHeld) as error:
            if isinstance(error, Crash):
                world.restart()
            return False
        finally:
            world.crash_at = None
            if "dynamodb" in world.down or world.throttled:
                self.excuse(before)
        return is_healthy

    def excuse(self, since: int) -> None:
        """Excuse the texts from this index on: without the table a text may be sent twice."""
        for _, phone, body in self.world.texts[since:]:
            self.excused |= {(deadline, phone) for deadline in deadlines_in(body)}

    @rule(
        crash_after=st.none() | st.integers(0, 12),
        delay=st.sampled_from([0, 1, 90, 600]),
    )
    def log_comes(self, crash_after: int | None, delay: float) -> None:
        self.count += 1
        time = self.world.now - delay
        moment = datetime.datetime.fromtimestamp(time, datetime.UTC)
        one = record(f"{self.count}.log", eventTime=moment.isoformat(), sequencer=str(self.count))
        done = self.run(lambda: self.world.notify(one), crash_after)
        (self.recorded if done else self.maybe).append(time)

    @rule(crash_after=st.none() | st.integers(0, 30))
    def flush(self, crash_after: int | None) -> None:
        now = self.world.now
        whole = self.run(self.world.flush, crash_after)
        missed = self.world.table.items["expected "].get("missed")
        if missed and (found := int(missed["N"]) / 1000) != self.missed:
            self.missed = found
            # No false miss: the certain logs do not contradict it, even with one log whose
            # invocation ended early.
            last_ones: list[list[float]] = [[], *([one] for one in self.maybe)]
            assert found in {self.latest_miss([*self.recorded, *one], now) for one in last_ones}
            self.due |= {(found, phone) for phone in PHONES}
        if whole:
            # No silent miss: with or without the uncertain logs, the flush must find it.
            certain = self.latest_miss([*self.recorded, *self.maybe], now)
            if certain is not None and certain == self.latest_miss(self.recorded, now):
                assert self.missed == certain
            if self.missed is not None:
                assert all((self.missed, phone) in self.told for phone in PHONES)

    @rule(seconds=st.sampled_from([30, 5 * MINUTE, HOUR, 5 * HOUR, 23 * HOUR, 3 * DAY]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule(seconds=st.sampled_from([-30, 0, 119, 120, 121]))
    def wait_for_a_deadline(self, seconds: float) -> None:
        times = sorted(self.deadlines_from(self.world.now))
        self.world.now = max(self.world.now, times[0] + seconds)

    def deadlines_from(self, now: float) -> Iterator[float]:
        """Return future deadlines."""
        raise NotImplementedError

    @rule()
    def twilio_goes_down(self) -> None:
        self.world.refuses = lambda _phone: NO_CONNECTION

    @rule()
    def twilio_answers_too_late(self) -> None:
        self.world.loses_answers = True

    @rule()
    def a_phone_replies_stop(self) -> None:
        stopped = refusal(400, 21610)
        self.world.refuses = lambda phone: stopped if phone == PHONE else None

    @rule(service=st.sampled_from(["dynamodb", "sqs"]))
    def aws_goes_down(self, service: str) -> None:
        self.world.down.add(service)

    @rule()
    def the_table_is_asked_too_much(self) -> None:
        self.world.throttled = "ThrottlingException"

    @rule(times=st.integers(1, 4))
    def sqs_refuses_messages(self, times: int) -> None:
        self.world.refused_entries = times

    @rule()
    def outages_end(self) -> None:
        self.world.end_outages()

    @rule()
    def redrive(self) -> None:
        self.world.redrive()

    # Rules

    @property
    def texted(self) -> Counter[DeadlineAndPhone]:
        return Counter(
            (deadline, phone)
            for _, phone, body in self.world.texts
            for deadline in deadlines_in(body)
        )

    @property
    def told(self) -> set[DeadlineAndPhone]:
        """Return the misses that are texted, held or failed."""
        world = self.world
        kept = [*world.notices_on(world.held), *world.notices_on(world.failed)]
        missing = {
            (notice.file.deadline.timestamp(), notice.phone)
            for notice in kept
            if isinstance(notice.file, MissingLog)
        }
        return missing | set(self.texted)

    @invariant()
    def only_due_misses_are_told(self) -> None:
        assert self.told <= self.due

    @invariant()
    def no_miss_is_texted_twice(self) -> None:
        assert {one for one, times in self.texted.items() if times > 1} <= self.excused

    def teardown(self) -> None:
        """End all outages; then every phone must get a text about each miss."""
        self.outages_end()
        for _ in range(20):
            self.world.now += VISIBILITY_SECONDS + 1
            self.flush(crash_after=None)
            self.world.redrive()
        assert set(self.texted) == self.due
        self.no_miss_is_texted_twice()


class DailyMachine(Machine):
    """A log is expected by 06:30."""

    expect = "by 06:30"
    FIRST = START + 20.5 * HOUR  # its window began before the stack did

    def latest_miss(self, logs: list[float], now: float) -> float | None:
        last = self.FIRST + (now - GRACE - self.FIRST) // DAY * DAY
        came = any(log > last - DAY for log in logs)
        return None if came or last - DAY < START else last

    def deadlines_from(self, now: float) -> Iterator[float]:
        yield self.FIRST + max(0, (now - self.FIRST) // DAY + 1) * DAY


class RegularMachine(Machine):
    """A log is expected every 6 hours."""

    expect = "every 6h"

    def latest_miss(self, logs: list[float], now: float) -> float | None:
        start = max((log for log in logs if log > START), default=START + 6 * HOUR)
        days = (now - GRACE - start - 6 * HOUR) // DAY
        return start + 6 * HOUR + days * DAY if days >= 0 else None

    def deadlines_from(self, now: float) -> Iterator[float]:
        logs = [log for log in self.recorded if log > START]
        first = max(logs, default=START + 6 * HOUR) + 6 * HOUR
        yield first + max(0, (now - first) // DAY + 1) * DAY


def deadlines_in(body: str) -> list[float]:
    """Return the deadlines in a text that `texts_name_their_deadlines` worded."""
    words = body.split()
    return [float(word.removeprefix("missing:")) for word in words if word.startswith("missing:")]


@pytest.fixture(autouse=True)
def texts_name_their_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a text name each deadline, so that the machine can check it."""

    def word(files: Any, *_: Any, missing: Any = (), **__: Any) -> str:
        told = [f"missing:{log.deadline.timestamp()}" for log in missing]
        return " ".join([*told, *(file.key for file in files)])

    def write(file: LogFile | MissingLog, *_: Any, **__: Any) -> str:
        return word([file]) if isinstance(file, LogFile) else word([], missing=[file])

    monkeypatch.setattr(text, "summarize", word)
    monkeypatch.setattr(text, "write", write)


profile = examples(150, stateful_step_count=40)


class TestNeverSilentDaily(DailyMachine.TestCase):  # type: ignore[valid-type,misc]  # made by hypothesis
    """Run the machine with a daily deadline."""

    settings = profile


class TestNeverSilentRegular(RegularMachine.TestCase):  # type: ignore[valid-type,misc]  # made by hypothesis
    """Run the machine with a log every few hours."""

    settings = profile
