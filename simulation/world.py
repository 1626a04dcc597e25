"""The handler with a simulated clock, table, queues and Twilio.

The simulation replaces `Aws.call`, the `Sender` and the reader of S3's objects. All other code is
the handler's own.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import requests

from handler.aws import Aws, AwsError
from handler.events import LogFile, Unreadable
from handler.expected_logs import ExpectedLogs
from handler.flusher import Flusher, new_flusher
from handler.ledger import Ledger
from handler.log import Log
from handler.log_content import UnreadableLog
from handler.log_reader import LogReader
from handler.notice import Notice
from handler.notifier import Notifier
from handler.outcomes import Outcomes
from handler.queue_messages import PhonesOf, read
from handler.queues import Queue
from handler.refusals import NO_ANSWER, Refusal
from handler.report_index import ReportIndex
from handler.sender import Delivery, Refused, SentText
from handler.settings import Settings
from handler.table import Table as CalledTable
from simulation.queues import StoredQueue
from simulation.samples import TIME, settings
from simulation.table import Table

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]

TABLE_OPERATIONS = ("BatchGetItem", "BatchWriteItem", "Query", "TransactWriteItems", "UpdateItem")
QUEUE_OPERATIONS = (
    "ChangeMessageVisibilityBatch",
    "DeleteMessageBatch",
    "ReceiveMessage",
    "SendMessageBatch",
)


class Crash(BaseException):
    """The function's process ends here. Nothing in the handler may catch this."""


class LedgerTable(Protocol):
    """The ledger's table: `simulation.table.Table` or `QuickTable`."""

    @property
    def items(self) -> Mapping[str, dict[str, Any]]:
        """All items, by their ids."""

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation of DynamoDB."""


@functools.lru_cache(maxsize=4096)
def _notices(body: str, phones_of: PhonesOf) -> tuple[Notice, ...]:
    """Read the notices in a message. The cache helps tests that read the same ones often."""
    return tuple(item for item in read(body, phones_of) if not isinstance(item, Unreadable))


class World(Aws):
    """Both functions and the services that they call. Only a test moves the clock."""

    def __init__(self, *, table: Callable[[str], LedgerTable] = Table, **changes: Any) -> None:
        """Start the functions.

        Args:
            table: Makes the ledger's table of a given name.
            changes: The settings that differ from the sample.
        """
        self.settings: Settings = settings(**changes)
        self._phones_of = self.settings.phones_of
        self.now = TIME.timestamp() + 1
        super().__init__({}, requests.Session(), clock=self.clock, sleep=self.wait)
        self.table = table(self.settings.ledger_table)
        self.failed = StoredQueue(self.clock)
        self.held = StoredQueue(self.clock, dead_letters=self.failed)
        self._queues = {
            self.settings.held_queue: self.held,
            self.settings.failed_queue: self.failed,
        }
        # A test may replace an operation by one that fails.
        self.operations: dict[str, Operation] = {
            **{name: functools.partial(self._ask_table, name) for name in TABLE_OPERATIONS},
            **{name: functools.partial(self._ask_queue, name) for name in QUEUE_OPERATIONS},
        }
        self.texts: list[tuple[float, str, str]] = []  # time, phone, body
        self.refuses: Callable[[str], Refusal | None] = lambda _phone: None
        self.shuffle: Callable[[list[str]], None] = lambda _phones: None  # the phones of a flush
        self.deliveries: dict[str, Delivery] = {}  # by SID, if known
        self.queried_sids: list[str] = []  # the SIDs that Twilio was asked about
        self.records: list[tuple[str, SentText]] = []  # Twilio's texts, each with its phone
        self.loses_answers = False  # Twilio accepts texts, but its answers are lost
        # The logs in the bucket, by key. Others are unreadable, for the reason below.
        self.objects: dict[str, bytes] = {}
        self.unreadable = "it is gone"
        self.reads: list[str] = []  # the keys of the logs that were read
        self.loses_requests = False  # Twilio gets no request, and the sender no answer
        self.refuses_to_list: Callable[[str], Refusal | None] = lambda _phone: None
        self.list_seconds = 0.0  # the seconds that a list takes
        self.twilio_clock = 0.0  # the seconds by which it is ahead
        self.trial = ""  # the words that Twilio puts before each body
        self.redacts = False  # whether Twilio's records have no bodies
        self.lists = 0  # how often Twilio was asked for its texts
        self.at_step: dict[int, Callable[[], None]] = {}  # calls by step, each made once
        self.down: set[str] = set()  # the services that do not answer
        self.throttled = ""  # the code with which the table refuses each request
        self.conflicts = 0  # how many of the next transactions conflict
        self.refused_entries = 0  # how many of the next messages SQS refuses
        self.crash_at: int | None = None  # the step at which the process ends
        self.steps = 0
        self.receive_waits: list[int] = []  # the wait of each receive, in seconds
        self.restart()

    def restart(self) -> None:
        """Start new processes, as Lambda does after a crash."""
        self.log = Log(self.settings.stack)
        table = CalledTable(self, self.settings.ledger_table)
        self.ledger = Ledger(table, clock=self.clock)
        held = Queue(self, self.settings.held_queue)
        failed = Queue(self, self.settings.failed_queue)
        self.outcomes = Outcomes(ledger=self.ledger, held=held, failed=failed, log=self.log)
        parts: dict[str, Any] = {
            "sender": self,
            "ledger": self.ledger,
            "outcomes": self.outcomes,
            "log": self.log,
            "clock": self.clock,
        }
        if self.settings.expects_logs:
            parts["expected"] = ExpectedLogs(
                self.settings, table=table, held=held, log=self.log, clock=self.clock
            )
        reader = None
        if self.settings.looks_inside:
            reader = LogReader(self.settings, objects=self, log=self.log)
        self.notifier = Notifier(self.settings, reader=reader, **parts)
        self.index = ReportIndex(table, clock=self.clock)
        self.parts = {**parts, "settings": self.settings, "table": table, "held": held}
        self.flusher = self.new_flusher()

    def new_flusher(self) -> Flusher:
        """Start another process that flushes."""
        return new_flusher(shuffle=self._in_order, **self.parts)

    def _in_order(self, phones: list[str]) -> None:
        self.shuffle(phones)

    def end_outages(self) -> None:
        """Let Twilio and AWS answer normally again."""
        self.refuses = self.refuses_to_list = lambda _phone: None
        self.loses_answers = self.loses_requests = False
        self.down, self.throttled, self.conflicts, self.refused_entries = set(), "", 0, 0

    @contextlib.contextmanager
    def open(self, file: LogFile) -> Iterator[Iterator[bytes]]:
        """Open a log, as `handler.log_object.S3` does."""
        self.reads.append(file.key)
        self._step()
        if file.key not in self.objects:
            raise UnreadableLog(self.unreadable)
        yield iter([self.objects[file.key]])
        self._step()

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        """Let no time pass before a retry."""

    def notify(self, *records: dict[str, Any], seconds_left: float = 60) -> None:
        self.notifier.notify({"Records": list(records)}, lambda: seconds_left)

    def flush(self, seconds_left: float = 240) -> None:
        self.flusher.flush(lambda: seconds_left)

    def redrive(self) -> None:
        """Move the messages on `failed` back to `held`, as SQS does."""
        for message in self.failed:
            self.held.put(message.body)
        self.failed.clear()

    def notices_on(self, queue: StoredQueue) -> list[Notice]:
        """Return the notices in the messages of a queue."""
        phones_of = self._phones_of
        return [notice for message in queue for notice in _notices(message.body, phones_of)]

    @property
    def waiting(self) -> list[Notice]:
        """The notices on `held` without the outcome sent or failed. A message may hold others."""
        done = ("sent", "failed")
        return [one for one in self.notices_on(self.held) if self.state(one.id) not in done]

    def state(self, id_: str) -> str:
        """Return the state of a notice in the ledger, or nothing if it has none."""
        item = self.table.items.get(id_)
        return str(item["state"]["S"]) if item else ""

    # Twilio

    def send(self, phone: str, body: str) -> str:
        self._step()
        refusal = self.refuses(phone)
        if refusal:
            raise Refused(refusal)
        if self.loses_requests:
            raise Refused(NO_ANSWER)
        self.texts.append((self.now, phone, body))
        sid = f"SM{len(self.texts):032x}"
        created_at = int(self.now + self.twilio_clock)
        body = "" if self.redacts else self.trial + body
        self.records.append((phone, SentText(sid, created_at, body)))
        self._step()
        if self.loses_answers:
            raise Refused(NO_ANSWER)
        return sid

    def messages_to(self, phone: str, since: float) -> list[SentText]:
        self._step()
        self.lists += 1
        self.now += self.list_seconds
        if refusal := self.refuses_to_list(phone):
            raise Refused(refusal)
        found = [text for to, text in self.records if to == phone and text.created_at >= since]
        self._step()
        return found[::-1]

    def delivery(self, sid: str) -> Delivery:
        self._step()
        self.queried_sids.append(sid)
        refusal = self.refuses(sid)
        if refusal:
            raise Refused(refusal)
        return self.deliveries.get(sid, Delivery(status="sent"))

    # AWS

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self._step()
        if service in self.down:
            raise AwsError(operation, "", {})
        if service == "dynamodb" and self.throttled:
            raise AwsError(operation, self.throttled, {})
        answer = self.operations[operation](payload)
        self._step()
        return answer

    def _step(self) -> None:
        self.steps += 1
        if self.crash_at is not None and self.steps > self.crash_at:
            raise Crash
        if happens := self.at_step.pop(self.steps, None):
            happens()

    def _ask_table(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "TransactWriteItems" and self.conflicts:
            self.conflicts -= 1
            reasons = [{"Code": "None"} for _ in payload["TransactItems"]]
            reasons[-1] = {"Code": "TransactionConflict"}
            details = {"CancellationReasons": reasons}
            raise AwsError(operation, "TransactionCanceledException", details)
        return self.table.call(operation, payload)

    def _ask_queue(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        queue = self._queues[payload["QueueUrl"]]
        if operation == "ReceiveMessage":
            self.receive_waits.append(payload["WaitTimeSeconds"])
        if operation != "SendMessageBatch" or not self.refused_entries:
            return queue.call(operation, payload)
        entries = payload["Entries"]
        refused, rest = entries[: self.refused_entries], entries[self.refused_entries :]
        self.refused_entries -= len(refused)
        answer: dict[str, Any] = {"Successful": []}
        if rest:
            answer = queue.call(operation, {**payload, "Entries": rest})
        code = {"Code": "InternalError", "SenderFault": False}
        return {**answer, "Failed": [{"Id": entry["Id"], **code} for entry in refused]}
