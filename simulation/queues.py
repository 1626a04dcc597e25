"""A simulated SQS queue that stays fast with a million messages."""

import dataclasses
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from handler.queues import MAX_RECEIVES, VISIBILITY_SECONDS

MAX_ENTRIES = 10
"""The most messages of one request."""


@dataclasses.dataclass(eq=False)
class StoredMessage:
    """A message on a queue.

    Attributes:
        body: The body, as it was sent.
        sent_at: The time of the send, in seconds since the epoch.
        visible_at: The time from which a receive may return it.
        receipt: The receipt handle of its last receive; empty before the first.
        receive_count: The number of its receives.
        attributes: The attributes with which it was sent.
    """

    body: str
    sent_at: float
    visible_at: float
    receipt: str = ""
    receive_count: int = 0
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def as_received(self) -> dict[str, Any]:
        """Return the message in the form of SQS's answers."""
        return {
            "Body": self.body,
            "ReceiptHandle": self.receipt,
            "Attributes": {
                "SentTimestamp": str(int(self.sent_at * 1000)),
                "ApproximateReceiveCount": str(self.receive_count),
            },
            "MessageAttributes": self.attributes,
        }


class StoredQueue(Sequence[StoredMessage]):
    """All messages of a queue, visible and hidden, in the order in which they are received."""

    def __init__(
        self, clock: Callable[[], float], *, dead_letters: "StoredQueue | None" = None
    ) -> None:
        """Make an empty queue.

        Args:
            clock: The time, in seconds since the epoch.
            dead_letters: The queue that gets a message which was received too often.
        """
        self._clock = clock
        self._dead_letters = dead_letters
        self.requests = 0  # SQS bills each
        self._messages: dict[int, StoredMessage] = {}  # by place
        self._visible: list[int] = []  # a heap of places; some messages are gone
        self._hidden: list[tuple[float, int]] = []  # a heap of end times and places
        self._by_receipt: dict[str, int] = {}
        self._last, self._first = itertools.count(), itertools.count(-1, -1)
        self._receipts = itertools.count(1)

    def put(
        self,
        body: str,
        *,
        sent_at: float | None = None,
        first: bool = False,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a message, as the last one or as the first one."""
        now = self._clock() if sent_at is None else sent_at
        place = next(self._first if first else self._last)
        self._messages[place] = StoredMessage(body, now, now, attributes=attributes or {})
        heapq.heappush(self._hidden, (now, place))

    def clear(self) -> None:
        """Delete all messages."""
        self._messages.clear()
        self._by_receipt.clear()

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[StoredMessage]:
        return (self._messages[place] for place in sorted(self._messages))

    @overload
    def __getitem__(self, index: int) -> StoredMessage: ...

    @overload
    def __getitem__(self, index: slice) -> list[StoredMessage]: ...

    def __getitem__(self, index: int | slice) -> StoredMessage | list[StoredMessage]:
        return list(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # a queue is mutable

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation of SQS."""
        self.requests += 1
        match operation:
            case "SendMessageBatch":
                return self._send(payload["Entries"])
            case "ReceiveMessage":
                return self._receive(payload)
            case "DeleteMessageBatch":
                return self._each(payload["Entries"], self._delete)
            case "ChangeMessageVisibilityBatch":
                return self._each(payload["Entries"], self._hide)
            case _:
                raise NotImplementedError(operation)

    def _send(self, entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        assert 0 < len(entries) <= MAX_ENTRIES
        done = []
        for number, entry in enumerate(entries):
            self.put(entry["MessageBody"], attributes=entry.get("MessageAttributes"))
            named = {"MessageId": f"m{number}", "MD5OfMessageBody": "0" * 32}
            done.append({"Id": entry["Id"], **named})
        return {"Successful": done, "Failed": []}

    def _receive(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        # Without a wait, SQS asks only some of its servers. Here it finds nothing.
        if not payload["WaitTimeSeconds"]:
            return {"Messages": []}
        received = list(itertools.islice(self._receive_visible(), payload["MaxNumberOfMessages"]))
        return {"Messages": [message.as_received() for message in received]}

    def _receive_visible(self) -> Iterator[StoredMessage]:
        """Yield visible messages, and hide each."""
        now = self._clock()
        while self._hidden and self._hidden[0][0] <= now:
            heapq.heappush(self._visible, heapq.heappop(self._hidden)[1])
        while self._visible:
            place = heapq.heappop(self._visible)
            message = self._messages.get(place)
            if not message or message.visible_at > now:
                continue  # deleted, or hidden since
            if self._dead_letters is not None and message.receive_count >= MAX_RECEIVES:
                self._move(place, self._dead_letters)
                continue
            self._by_receipt.pop(message.receipt, None)
            message.receipt = f"r{next(self._receipts)}"
            message.receive_count += 1
            self._by_receipt[message.receipt] = place
            self._change_visibility(place, now + VISIBILITY_SECONDS)
            yield message

    def _move(self, place: int, queue: "StoredQueue") -> None:
        """Move a message to another queue. It keeps its age."""
        message = self._messages.pop(place)
        self._by_receipt.pop(message.receipt, None)
        queue.put(message.body, sent_at=message.sent_at, attributes=message.attributes)

    def _change_visibility(self, place: int, at: float) -> None:
        self._messages[place].visible_at = at
        heapq.heappush(self._hidden, (at, place))

    def _delete(self, place: int, _: Mapping[str, Any]) -> None:
        del self._by_receipt[self._messages.pop(place).receipt]

    def _hide(self, place: int, entry: Mapping[str, Any]) -> None:
        self._change_visibility(place, self._clock() + entry["VisibilityTimeout"])

    def _each(
        self,
        entries: Sequence[Mapping[str, Any]],
        change: Callable[[int, Mapping[str, Any]], None],
    ) -> dict[str, Any]:
        """Change the messages of a batch. Only the last receipt of a message is valid.

        SQS differs: it also deletes by an older receipt.
        """
        ids = {entry["Id"] for entry in entries}
        assert 0 < len(ids) == len(entries) <= MAX_ENTRIES
        done: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = []
        for entry in entries:
            place = self._by_receipt.get(entry["ReceiptHandle"])
            if place is None:
                code = {"Code": "ReceiptHandleIsInvalid", "SenderFault": True}
                failed.append({"Id": entry["Id"], **code})
            else:
                change(place, entry)
                done.append({"Id": entry["Id"]})
        return {"Successful": done, "Failed": failed}
