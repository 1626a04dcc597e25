"""The simulated table refuses wrong expressions, and the quick table decides alike."""

import gc
from collections.abc import Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

import simulation.table
from handler.attempts import Attempts
from handler.aws import AwsError
from handler.ledger import (
    ASK_AFTER_SECONDS,
    HOUR_SECONDS,
    LEASE_SECONDS,
    REPORT_INDEX,
    Ledger,
    Limits,
)
from handler.notice import Attempt, Notice
from handler.queues import VISIBILITY_SECONDS
from handler.table import Table as Called
from simulation.queues import StoredQueue
from simulation.quick_table import QuickTable
from simulation.samples import LIMITS, OTHER_PHONE, PHONE, log_file, record
from simulation.table import InvalidRequest, Table
from simulation.world import World
from tests.unit.examples import examples

TABLE_WRITES = ("UpdateItem", "TransactWriteItems")

UPDATE: dict[str, Any] = {
    "TableName": "ledger",
    "Key": {"id": {"S": "a"}},
    "UpdateExpression": "SET #s = :sending, lease = :lease",
    "ConditionExpression": "attribute_not_exists(id) OR (#s = :sending AND lease < :now)",
    "ExpressionAttributeNames": {"#s": "state"},
    "ExpressionAttributeValues": {
        ":sending": {"S": "sending"},
        ":lease": {"N": "20"},
        ":now": {"N": "10"},
    },
}


def updated(table: Table, **changes: Any) -> bool:
    """Update an item, and return whether AWS accepted it."""
    try:
        table.call("UpdateItem", UPDATE | changes)
    except AwsError:
        return False
    return True


@pytest.mark.parametrize(
    "wrong",
    [
        {"UpdateExpression": "SET state = :sending, lease = :lease"},  # a reserved word
        {"ConditionExpression": "state = :sending AND lease < :now"},
        {"ConditionExpression": "#s = :sending AND lease < :then"},
        {"ConditionExpression": "#s = :sending AND lease << :now"},
        {"UpdateExpression": "SET #t = :sending, lease = :lease"},
        {"ExpressionAttributeNames": {"#s": "state", "#unused": "x"}},
        {"Key": {"id": {"N": "1"}}},
    ],
)
@pytest.mark.parametrize("way", TABLE_WRITES)
def test_a_wrong_request_is_refused(way: str, wrong: dict[str, Any]) -> None:
    table = Table("ledger")
    request: Mapping[str, Any] = UPDATE | wrong
    if way == "TransactWriteItems":
        request = {"TransactItems": [{"Update": request}]}
    with pytest.raises(InvalidRequest):
        table.call(way, request)
    assert table.items == {}


def test_the_handler_cannot_survive_a_wrong_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing table does not stop texts, but must not hide a wrong expression."""
    world = World()
    counting = Ledger._count_update

    def misspelt(ledger: Ledger, *args: Any) -> dict[str, Any]:
        return counting(ledger, *args) | {
            "UpdateExpression": "SET expires = :expires ADD text :one"
        }

    monkeypatch.setattr(Ledger, "_count_update", misspelt)
    with pytest.raises(InvalidRequest, match="reserved keyword: text"):
        world.notify(record("a.log"))


def test_a_condition_is_evaluated() -> None:
    table = Table("ledger")
    assert updated(table)
    assert not updated(table)
    later = UPDATE["ExpressionAttributeValues"] | {":now": {"N": "21"}}
    assert not updated(
        table,
        ExpressionAttributeValues=later,
        ConditionExpression="attribute_not_exists(id) OR (#s = :sending AND lease > :now)",
    )
    assert updated(table, ExpressionAttributeValues=later)


def test_a_transaction_writes_all_or_nothing() -> None:
    table = Table("ledger")
    updated(table)
    other = {"Update": UPDATE | {"Key": {"id": {"S": "b"}}}}
    with pytest.raises(AwsError, match="TransactionCanceledException") as caught:
        table.call("TransactWriteItems", {"TransactItems": [other, {"Update": UPDATE}]})
    codes = [reason["Code"] for reason in caught.value.details["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    assert table.items.keys() == {"a"}


def test_two_tables_share_no_items() -> None:
    one, two = Table("ledger"), Table("ledger")
    updated(one)
    assert (len(one.items), len(two.items)) == (1, 0)


def test_an_eventually_consistent_read_misses_a_recent_write() -> None:
    table = Table("ledger")
    updated(table)
    wanted = {"Keys": [{"id": {"S": "a"}}]}
    found = [
        table.call("BatchGetItem", {"RequestItems": {"ledger": wanted | consistent}})["Responses"]
        for consistent in ({"ConsistentRead": True}, {})
    ]
    assert [len(one["ledger"]) for one in found] == [1, 0]


def test_the_index_returns_only_its_projected_attributes() -> None:
    table = Table("ledger", ["sid"])
    item = {name: {"S": name} for name in ("id", "report", "sid", "state")} | {"ask_at": {"N": "1"}}
    put = {"PutRequest": {"Item": item}}
    table.call("BatchWriteItem", {"RequestItems": {"ledger": [put]}})
    query = {
        "TableName": "ledger",
        "IndexName": REPORT_INDEX,
        "KeyConditionExpression": "report = :report",
        "ExpressionAttributeValues": {":report": {"S": "report"}},
    }
    (found,) = table.call("Query", query)["Items"]
    assert found.keys() == {"id", "report", "ask_at", "sid"}


# Quick table

NOTICES = [Notice(log_file("a.log"), PHONE), Notice(log_file("b.log"), OTHER_PHONE)]
some = st.lists(st.sampled_from(NOTICES), min_size=1, max_size=4)
one = st.sampled_from(NOTICES)
phone = st.sampled_from([PHONE, OTHER_PHONE])

OPERATIONS = st.one_of(
    st.tuples(
        st.just("claim"),
        one,
        st.sampled_from(["", "a text"]),
        st.none() | st.builds(Limits, st.integers(1, 3), st.integers(1, 2), st.just(300)),
    ),
    st.tuples(st.just("hold"), one),
    st.tuples(st.just("release"), one),
    st.tuples(st.just("hold_in_doubt"), one),
    st.tuples(st.just("fail"), one),
    st.tuples(st.just("fail_in_doubt"), one),
    st.tuples(st.just("record_sent"), some, st.sampled_from(["", "SM1"])),
    st.tuples(st.just("look_up"), some),
    st.tuples(st.just("hold_unsent"), one),
    st.tuples(st.just("forget"), one),
    st.tuples(st.just("open"), phone, some),
    st.tuples(st.just("close"), phone),
    st.tuples(st.just("count"), phone),
    st.tuples(st.just("uncount"), phone, st.sampled_from([None, LIMITS])),
    st.tuples(st.just("remove_report")),
    st.tuples(st.just("postpone_report")),
    st.tuples(
        st.just("wait"),
        st.sampled_from(
            [1, LEASE_SECONDS, LEASE_SECONDS + 1, ASK_AFTER_SECONDS, 300, HOUR_SECONDS]
        ),
    ),
)


class Operated:
    """A ledger and the attempts on a table."""

    def __init__(self, table: Any) -> None:
        self.world = World(table=table)
        self.attempts = Attempts(Called(self.world, "ledger"), clock=self.world.clock)

    def run(self, name: str, *args: Any) -> Any:
        """Run one operation, and return its visible result."""
        own = getattr(self, name, None)
        return own(*args) if own else getattr(self.world.ledger, name)(*args)

    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    def claim(self, notice: Notice, body: str, limits: Limits | None) -> Any:
        return self.world.ledger.claim(notice, body=body, limits=limits)

    def hold_in_doubt(self, notice: Notice) -> None:
        self.world.ledger.hold(notice, in_doubt=True)

    def fail_in_doubt(self, notice: Notice) -> None:
        self.world.ledger.fail(notice, in_doubt=True)

    def record_sent(self, notices: list[Notice], sid: str) -> None:
        self.world.ledger.record_sent([notice.id for notice in notices], sid)

    def uncount(self, phone: str, limits: Limits | None) -> None:
        self.world.ledger.uncount(phone, self.world.now, limits)

    def look_up(self, notices: list[Notice]) -> Any:
        return self.attempts.look_up(notices), self.attempts.owners(["SM1", "SM2"])

    def hold_unsent(self, notice: Notice) -> bool:
        return self.attempts.hold(notice)

    def forget(self, notice: Notice) -> bool:
        known = self.attempts.look_up([notice]).items.get(notice.id)
        attempt = (known and known.attempt) or Attempt.of("a text", self.world.now)
        return self.attempts.forget(notice, attempt)

    def open(self, phone: str, notices: list[Notice]) -> Any:
        last = self.attempts.read([phone])[phone]
        return last, self.attempts.open(phone, last, notices, "a text")

    def close(self, phone: str) -> Any:
        last = self.attempts.read([phone])[phone]
        return last, self.attempts.close(phone, last.number)

    def remove_report(self) -> Any:
        return [self.world.index.remove(report) for report in self.world.index.due()[:1]]

    def postpone_report(self) -> None:
        for report in self.world.index.due()[:1]:
            self.world.index.postpone(report)


@examples(300)
@given(operations=st.lists(OPERATIONS, max_size=40))
def test_the_quick_table_decides_as_the_one_that_evaluates(operations: list[Any]) -> None:
    tables = Operated(Table), Operated(QuickTable)
    for operation in operations:
        evaluated, quick = (table.run(*operation) for table in tables)
        assert evaluated == quick
        assert tables[0].world.table.items == tables[1].world.table.items
        due, quickly_due = (sorted(table.world.index.due()) for table in tables)
        assert due == quickly_due


@pytest.mark.parametrize(
    ("operation", "changes"),
    [
        ("UpdateItem", {"ConditionExpression": "#s = :other"}),
        ("UpdateItem", {"UpdateExpression": "SET lease = if_not_exists(lease, :lease)"}),
        ("Query", {"KeyConditionExpression": "report = :due", "IndexName": REPORT_INDEX}),
    ],
)
def test_the_quick_table_refuses_unknown_requests(operation: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        QuickTable("ledger").call(operation, UPDATE | changes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"UpdateExpression": "SET #s = :sending lease = :lease"},  # a comma is missing
        {"ConditionExpression": "attribute_is_missing(id) OR lease < :now"},  # no such function
        {"ConditionExpression": "attribute_not_exists(id) AND leese < :now"},  # misspelled
    ],
)
def test_a_wrong_expression_that_ministack_lets_pass_does_not_claim(wrong: dict[str, Any]) -> None:
    """DynamoDB refuses the first two. Here they fail to claim, which other tests notice."""
    table = Table("ledger")
    updated(table, **wrong)
    assert table.items.get("a", {}).keys() != {"id", "state", "lease"}


# Queues


def received(queue: StoredQueue, count: int = 10) -> list[tuple[str, str]]:
    asked = {"MaxNumberOfMessages": count, "WaitTimeSeconds": 1}
    messages = queue.call("ReceiveMessage", asked)["Messages"]
    return [(message["Body"], message["ReceiptHandle"]) for message in messages]


def test_a_received_message_is_hidden_until_it_is_given_back_or_its_time_is_over() -> None:
    now = [0.0]
    queue = StoredQueue(lambda: now[0])
    for body in "abc":
        queue.put(body)
    (_, a), (_, b) = received(queue, 2)
    assert [body for body, _ in received(queue)] == ["c"]
    back = {"Id": "0", "ReceiptHandle": b, "VisibilityTimeout": 0}
    queue.call("ChangeMessageVisibilityBatch", {"Entries": [back]})
    queue.call("DeleteMessageBatch", {"Entries": [{"Id": "0", "ReceiptHandle": a}]})
    assert [body for body, _ in received(queue)] == ["b"]
    assert received(queue) == []
    now[0] = VISIBILITY_SECONDS
    assert [body for body, _ in received(queue)] == ["b", "c"]
    assert [message.receive_count for message in queue] == [3, 2]
    old = queue.call("DeleteMessageBatch", {"Entries": [{"Id": "0", "ReceiptHandle": b}]})
    assert (old["Successful"], len(queue)) == ([], 2)


def test_a_table_is_not_deleted_in_the_middle_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python may delete a table at any moment, so the next table deletes its data in MiniStack."""
    Table("ledger")  # deletes the data of earlier tables
    asked: list[str] = []
    request = simulation.table._request

    def recorded(account: str, operation: str, payload: Any) -> Any:
        asked.append(operation)
        return request(account, operation, payload)

    monkeypatch.setattr("simulation.table._request", recorded)
    ended = Table("ledger")
    asked.clear()
    del ended
    gc.collect()
    assert asked == []
    Table("ledger")
    assert asked[0] == "DeleteTable"
