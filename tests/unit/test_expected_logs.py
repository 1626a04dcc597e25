"""Expected logs: `notify` records each arrival, and a flush holds texts about missing logs.

The rest of a flush is not part of it: `test_missing_log_texts` follows the texts to the phones.
"""

import datetime
import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler import metrics
from handler.expected_logs import ExpectedLogs
from handler.queues import Queue
from handler.routes import Route
from handler.settings import Settings
from handler.table import Table
from simulation.quick_table import QuickTable
from simulation.samples import OTHER_PHONE, PHONE, log_file, record, settings
from simulation.world import Crash, Operation, World

UTC = datetime.UTC
DAY = datetime.timedelta(days=1)
MINUTE = datetime.timedelta(minutes=1)


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


MONDAY = utc("2026-11-23T10:00")


class Stack:
    """The expected logs of one stack in its own world."""

    def __init__(self, **changes: Any) -> None:
        self.world = World(**{"expect": "by 06:30", **changes})
        self.world.now = MONDAY.timestamp()
        self.restart(self.world.settings)

    def restart(self, given: Settings) -> None:
        """Start a new process with these settings."""
        self.expected = ExpectedLogs(
            given,
            table=Table(self.world, given.ledger_table),
            held=Queue(self.world, given.held_queue),
            log=self.world.log,
            clock=self.world.clock,
        )

    def at(self, moment: datetime.datetime) -> None:
        self.world.now = moment.timestamp()

    def come(self, time: datetime.datetime, key: str = "app/web.log", size: int | None = 5) -> None:
        """Let a log arrive; the clock moves on to its time."""
        self.world.now = max(self.world.now, time.timestamp())
        self.expected.record(log_file(key, time=time, size=size))

    def check(self, moment: datetime.datetime | None = None) -> list[str]:
        """Let a flush check the logs, and return the deadlines of the texts that it holds."""
        if moment:
            self.at(moment)
        before = len(self.world.held)
        self.expected.check()
        return [one["deadline"][:16] for one in self.missing()[before:]]

    def missing(self) -> list[dict[str, Any]]:
        return [json.loads(message.body)["file"] for message in self.world.held]

    def item(self, route: str = "") -> Mapping[str, Any]:
        return self.world.table.items[f"expected {route}"]


@pytest.fixture
def stack() -> Stack:
    """A stack that expects a log by 06:30, since Monday at 10:00."""
    stack = Stack()
    assert stack.check() == []
    return stack


def logged(capsys: pytest.CaptureFixture[str], outcome: str) -> list[dict[str, Any]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in lines if line["outcome"] == outcome]


# The last log


def test_the_ledger_keeps_time_key_and_size_of_the_last_log(stack: Stack) -> None:
    stack.come(utc("2026-11-23T11:00:00.120"), "backup/a.log", 4096)
    item = stack.item()
    assert item["last_at"] == {"N": "1795431600120"}
    assert (item["last_key"], item["last_size"]) == ({"S": "backup/a.log"}, {"N": "4096"})
    assert int(item["expires"]["N"]) > stack.world.now + 29 * 24 * 3600


@given(st.permutations(range(5)), st.lists(st.integers(0, 4), max_size=3))
def test_out_of_order_and_with_duplicates_the_latest_log_stays(
    order: list[int], duplicates: list[int]
) -> None:
    stack = Stack()
    stack.at(MONDAY + 10 * MINUTE)
    for number in [*order, *duplicates]:
        stack.come(MONDAY + number * MINUTE, f"{number}.log", number)
    assert stack.item()["last_key"] == {"S": "4.log"}
    assert stack.item()["last_size"] == {"N": "4"}


def test_a_log_before_the_first_flush_is_kept_until_the_flush_begins_the_window() -> None:
    stack = Stack()
    stack.come(MONDAY - MINUTE)
    assert "since" not in stack.item()
    assert stack.check() == []
    assert stack.item()["since"] == {"N": str(int(MONDAY.timestamp()) * 1000)}


def test_a_time_in_the_future_does_not_hide_that_later_logs_are_missing(stack: Stack) -> None:
    stack.expected.record(log_file(time=MONDAY + 300 * DAY))
    stack.check(utc("2026-11-24T06:32"))
    assert stack.check(utc("2026-11-25T06:32")) == ["2026-11-25T06:30"]


def test_a_log_counts_for_each_matching_route_that_expects_one_and_for_no_other() -> None:
    flat = settings()
    names = {"a": "backup/*", "b": "*.log", "c": "other/*"}
    routes = tuple(
        Route.inheriting(flat)._replace(
            name=name, logs=logs, to_numbers=(PHONE,), expect="every 6h"
        )
        for name, logs in names.items()
    )
    stack = Stack(routes=routes, expect="")
    stack.come(MONDAY, "backup/x.log")
    assert set(stack.world.table.items) == {"expected a", "expected b"}


def test_a_write_that_fails_is_logged_and_measured_and_raises_nothing(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.world.down.add("dynamodb")
    stack.come(MONDAY)
    (line,) = logged(capsys, "last log not recorded")
    assert line[metrics.NOT_CHECKED.name] == 1


# Missing logs


def test_a_deadline_without_a_log_is_texted_once_and_each_next_one_too(stack: Stack) -> None:
    stack.come(utc("2026-11-24T03:12"))
    assert stack.check(utc("2026-11-24T06:32")) == []
    assert stack.check(utc("2026-11-25T06:31:59")) == []
    assert stack.check(utc("2026-11-25T06:32")) == ["2026-11-25T06:30"]
    assert stack.check(utc("2026-11-25T06:37")) == []
    assert stack.check(utc("2026-11-26T06:31")) == []
    assert stack.check(utc("2026-11-26T06:37")) == ["2026-11-26T06:30"]
    (first, second) = stack.missing()
    assert first["since"] == second["since"] == "2026-11-24T03:12:00+00:00"
    assert first["expected"] == "by 06:30"


def test_a_clock_that_goes_back_over_a_deadline_holds_nothing_again(stack: Stack) -> None:
    assert stack.check(utc("2026-11-25T06:35")) == ["2026-11-25T06:30"]
    assert stack.check(utc("2026-11-26T06:35")) == ["2026-11-26T06:30"]
    assert stack.check(utc("2026-11-26T05:35")) == []
    assert stack.check(utc("2026-11-26T06:40")) == []


def test_every_phone_of_the_route_is_in_one_message(stack: Stack) -> None:
    stack.check(utc("2026-11-25T06:32"))
    (message,) = stack.world.held
    assert json.loads(message.body)["phones"] == [PHONE, OTHER_PHONE]
    assert json.loads(message.body)["reason"] == "missing"


def test_a_regular_log_is_missed_once_and_then_once_a_day() -> None:
    stack = Stack(expect="every 6h")
    stack.check()
    stack.come(utc("2026-11-23T11:00"))
    found = []
    moment = utc("2026-11-23T11:00")
    while moment < utc("2026-11-26T12:00"):
        moment += 5 * MINUTE
        found += stack.check(moment)
    assert found == ["2026-11-23T17:00", "2026-11-24T17:00", "2026-11-25T17:00"]
    stack.come(utc("2026-11-26T12:30"))
    assert stack.check(utc("2026-11-26T17:05")) == []
    assert stack.check(utc("2026-11-26T18:32")) == ["2026-11-26T18:30"]


def test_a_log_that_is_too_small_does_not_count_and_the_text_says_so() -> None:
    stack = Stack(at_least="1 kB")
    stack.check()
    stack.come(utc("2026-11-24T03:12"), "backup/a.log", 1000)
    stack.check(utc("2026-11-24T06:32"))
    stack.come(utc("2026-11-25T03:12"), "backup/b.log", 120)
    assert stack.check(utc("2026-11-25T06:32")) == ["2026-11-25T06:30"]
    (missing,) = stack.missing()
    assert (missing["small_key"], missing["small_size"]) == ("backup/b.log", 120)
    assert missing["at_least"] == "1 kB"
    assert missing["since"] == "2026-11-24T03:12:00+00:00"


def test_a_log_of_unknown_size_counts() -> None:
    stack = Stack(at_least="1 kB")
    stack.check()
    stack.come(utc("2026-11-25T03:12"), size=None)
    assert stack.check(utc("2026-11-25T06:32")) == []


def test_a_small_log_of_an_earlier_window_is_not_named() -> None:
    stack = Stack(at_least="1 kB")
    stack.check()
    stack.come(utc("2026-11-23T12:00"), size=120)
    stack.come(utc("2026-11-23T13:00"), size=1200)
    stack.check(utc("2026-11-25T06:32"))
    assert stack.missing()[0]["small_key"] == ""


def test_a_miss_is_logged_with_its_metrics(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.check(utc("2026-11-25T06:32"))
    (line,) = logged(capsys, "missing")
    assert line[metrics.MISSING.name] == 1
    assert line[metrics.HELD.name] == 2
    assert line["reason"] == "missing"
    assert "route" not in line  # CloudWatch takes no dimension without a value


# No false texts


def test_the_first_window_of_a_new_route_does_not_count(stack: Stack) -> None:
    assert stack.check(utc("2026-11-24T06:40")) == []
    assert stack.check(utc("2026-11-25T06:40")) == ["2026-11-25T06:30"]


@pytest.mark.parametrize(
    "changes",
    [{"expect": "by 06:31"}, {"at_least": "1 kB"}, {"timezone": "Europe/Berlin"}],
)
def test_a_changed_route_starts_anew(stack: Stack, changes: dict[str, Any]) -> None:
    stack.come(utc("2026-11-23T11:00"))
    stack.restart(stack.world.settings._replace(**changes))
    assert stack.check(utc("2026-11-25T05:20")) == []
    assert stack.check(utc("2026-11-25T06:40")) == []
    assert stack.check(utc("2026-11-26T06:40")) != []


def test_a_route_that_is_changed_and_changed_back_starts_anew(stack: Stack) -> None:
    first = stack.world.settings
    stack.restart(first._replace(expect="by 05:00"))
    stack.check(utc("2026-11-25T04:00"))
    stack.restart(first)
    assert stack.check(utc("2026-11-25T06:00")) == []
    assert stack.check(utc("2026-11-25T06:40")) == []


def test_other_phones_do_not_start_a_route_anew(stack: Stack) -> None:
    stack.restart(stack.world.settings._replace(to_numbers=(OTHER_PHONE,)))
    assert stack.check(utc("2026-11-25T06:40")) != []


def test_a_renamed_route_starts_anew() -> None:
    route = Route.inheriting(settings())._replace(
        name="backup", logs="backup/*", to_numbers=(PHONE,), expect="by 06:30"
    )
    stack = Stack(routes=(route,), expect="")
    stack.check()
    renamed = stack.world.settings._replace(routes=(route._replace(name="backups"),))
    stack.restart(renamed)
    assert stack.check(utc("2026-11-25T06:20")) == []
    assert stack.check(utc("2026-11-25T06:40")) == []


def test_a_log_of_other_settings_is_not_recorded(stack: Stack) -> None:
    """During a deployment `notify` may have other settings than `flush`."""
    flush = stack.expected
    stack.restart(stack.world.settings._replace(at_least="1 kB"))
    stack.come(utc("2026-11-23T11:00"))
    assert "last_at" not in stack.item()
    stack.expected = flush
    assert stack.check(utc("2026-11-24T06:40")) == []


@pytest.mark.parametrize("fails", ["whole", "a part", "nonsense"])
def test_a_ledger_that_cannot_be_read_is_no_miss(
    stack: Stack, capsys: pytest.CaptureFixture[str], fails: str
) -> None:
    answers: dict[str, Any] = {
        "a part": {"Responses": {}, "UnprocessedKeys": {"ledger": {"Keys": []}}},
        "nonsense": {"Responses": {"ledger": [{"id": {"S": 7}}, None]}, "UnprocessedKeys": {}},
    }
    if fails == "whole":
        stack.world.down.add("dynamodb")
    else:
        stack.world.operations["BatchGetItem"] = lambda _: answers[fails]
    assert stack.check(utc("2026-11-25T06:40")) == []
    lines = logged(capsys, "expected log not checked")
    assert [line[metrics.NOT_CHECKED.name] for line in lines] == [1] * (fails != "nonsense")


def test_no_flush_over_the_deadline_and_a_log_meanwhile_is_no_miss(stack: Stack) -> None:
    stack.come(utc("2026-11-25T08:00"))
    assert stack.check(utc("2026-11-25T09:00")) == []


def test_no_flush_over_several_deadlines_is_told_by_the_last_one(stack: Stack) -> None:
    assert stack.check(utc("2026-11-28T09:00")) == ["2026-11-28T06:30"]


def test_a_log_that_comes_while_a_flush_looks_is_no_miss(stack: Stack) -> None:
    update = stack.world.operations["UpdateItem"]

    def come_first(payload: Any) -> dict[str, Any]:
        stack.world.operations["UpdateItem"] = update
        stack.come(utc("2026-11-25T06:40"))
        return update(payload)

    stack.world.operations["UpdateItem"] = come_first
    assert stack.check(utc("2026-11-25T06:40")) == []


# No miss without a text


def test_wherever_a_flush_ends_the_miss_is_held(stack: Stack) -> None:
    for crash_after in itertools.count():
        stack = Stack()
        stack.check()
        stack.at(utc("2026-11-25T06:40"))
        stack.world.crash_at = stack.world.steps + crash_after
        try:
            stack.check()
        except Crash:
            stack.world.crash_at = None
            stack.come(utc("2026-11-25T06:41"))  # too late: a recorded miss stays
            recorded = "missed" in stack.item()
            stack.check(utc("2026-11-25T06:45"))
            held = {one["deadline"] for one in stack.missing()}
            assert held == ({"2026-11-25T06:30:00+00:00"} if recorded else set())
        else:
            break
    assert crash_after > 6


@pytest.mark.parametrize("changes", [{"expect": "every 8h"}, {"at_least": ""}])
def test_a_miss_that_is_not_held_yet_outlives_a_change_of_the_settings(
    changes: dict[str, Any],
) -> None:
    stack = Stack(at_least="1 kB")
    stack.check()
    stack.come(utc("2026-11-24T08:00"), size=120)
    stack.world.down.add("sqs")
    assert stack.check(utc("2026-11-25T06:40")) == []
    stack.restart(stack.world.settings._replace(**changes))
    assert stack.check(utc("2026-11-25T06:45")) == []
    stack.world.end_outages()
    assert stack.check(utc("2026-11-25T06:50")) == ["2026-11-25T06:30"]
    (missing,) = stack.missing()
    assert missing["expected"] == "by 06:30"
    assert bool(missing["small_key"]) == bool(missing["at_least"]) == ("at_least" not in changes)
    assert stack.check(utc("2026-11-25T06:55")) == []
    assert "missed" not in stack.item()  # the item starts anew


@pytest.mark.parametrize("service", ["dynamodb", "sqs"])
def test_an_outage_only_delays_the_text(stack: Stack, service: str) -> None:
    stack.world.down.add(service)
    assert stack.check(utc("2026-11-25T06:40")) == []
    stack.world.end_outages()
    assert stack.check(utc("2026-11-25T06:45")) == ["2026-11-25T06:30"]
    assert stack.check(utc("2026-11-25T06:50")) == []


def test_one_route_that_fails_stops_no_other() -> None:
    flat = settings()
    routes = tuple(
        Route.inheriting(flat)._replace(
            name=name, logs=f"{name}/*", to_numbers=(PHONE,), expect="by 06:30"
        )
        for name in ("a", "b")
    )
    stack = Stack(routes=routes, expect="")
    stack.check()
    stack.world.refused_entries = 2  # SQS refuses the first message at both tries
    assert stack.check(utc("2026-11-25T06:40")) == ["2026-11-25T06:30"]
    assert stack.missing()[0]["route"] == "b"
    assert stack.check(utc("2026-11-25T06:45")) == ["2026-11-25T06:30"]
    assert stack.missing()[1]["route"] == "a"


def test_an_unforeseen_error_stops_no_other_route(capsys: pytest.CaptureFixture[str]) -> None:
    stack = Stack()
    stack.check()

    def raise_unexpected(_: Any) -> dict[str, Any]:
        raise RuntimeError

    stack.world.operations["UpdateItem"] = raise_unexpected
    assert stack.check(utc("2026-11-25T06:40")) == []
    (line,) = logged(capsys, "unexpected")
    assert line["code"] == "RuntimeError"


# States


def test_each_flush_logs_the_state_of_each_expected_log(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for moment, comes in (
        ("2026-11-23T10:05", False),
        ("2026-11-23T11:00", True),
        ("2026-11-24T06:35", False),
        ("2026-11-25T06:35", False),
        ("2026-11-25T07:00", True),
        ("2026-11-25T08:00", True),
    ):
        if comes:
            stack.come(utc(moment))
        stack.check(utc(moment))
        (line,) = logged(capsys, "expected")
        found.append((line["state"], line["last"] and line["last"][:16], line["deadline"][:16]))
    assert found == [
        ("new", None, "2026-11-24T06:30"),
        ("came", "2026-11-23T11:00", "2026-11-24T06:30"),
        ("waiting", "2026-11-23T11:00", "2026-11-25T06:30"),
        ("missing", "2026-11-23T11:00", "2026-11-26T06:30"),
        ("late", "2026-11-25T07:00", "2026-11-26T06:30"),
        ("came", "2026-11-25T08:00", "2026-11-26T06:30"),
    ]


# The quick table, which the bench uses


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["comes", "is small", "check", "changes"]),
            st.sampled_from([0, 1, 5 * 60, 3600, 20 * 3600]),
            st.sampled_from([0, 90, 4000]),
        ),
        max_size=25,
    )
)
def test_the_quick_table_keeps_the_same_items(steps: list[tuple[str, int, int]]) -> None:
    stacks = [Stack(at_least="1 kB"), Stack(at_least="1 kB", table=QuickTable)]
    now = MONDAY
    for number, (what, seconds, delay) in enumerate(steps):
        now += datetime.timedelta(seconds=seconds)
        for stack in stacks:
            stack.at(now)
            if what == "check":
                stack.check()
            elif what == "changes":
                expect = f"by 0{number % 10}:30"
                stack.restart(stack.world.settings._replace(expect=expect))
            else:
                time = now - datetime.timedelta(seconds=delay)
                size = 2000 if what == "comes" else 20
                stack.come(time, f"{number}.log", size)
        first, second = stacks
        assert first.world.table.items == second.world.table.items
        assert first.missing() == second.missing()


# Requests


def counted(calls: list[str], name: str, operation: Operation) -> Operation:
    """Return an operation that adds its name to a list at each call."""

    def call(payload: Mapping[str, Any]) -> dict[str, Any]:
        calls.append(name)
        return operation(payload)

    return call


def test_a_log_costs_one_write_and_a_flush_one_read_for_all_routes() -> None:
    flat = settings()
    routes = tuple(
        Route.inheriting(flat)._replace(
            name=str(number), logs=f"{number}/*", to_numbers=(PHONE,), expect="by 06:30"
        )
        for number in range(20)
    )
    stack = Stack(routes=routes, expect="")
    stack.check()
    calls: list[str] = []
    for name, operation in dict(stack.world.operations).items():
        stack.world.operations[name] = counted(calls, name, operation)
    stack.come(MONDAY, "1/x.log")
    assert calls == ["UpdateItem"]
    stack.check(MONDAY + 5 * MINUTE)
    assert calls == ["UpdateItem", "BatchGetItem"]


def test_that_a_log_is_late_costs_one_read_for_each_process_and_deadline() -> None:
    world = World(expect="by 06:30", to_numbers=(PHONE, OTHER_PHONE))
    world.now = MONDAY.timestamp()
    world.flush()
    calls: list[str] = []
    for name, operation in dict(world.operations).items():
        world.operations[name] = counted(calls, name, operation)
    text = ["TransactWriteItems", "BatchWriteItem"]
    for number in range(3):
        world.now += 60
        world.notify(record(f"{number}.log", sequencer=str(number)))
    assert calls.count("BatchGetItem") == 1
    others = [name for name in calls if name != "BatchGetItem"]
    assert others == 3 * (2 * text + ["UpdateItem"])
