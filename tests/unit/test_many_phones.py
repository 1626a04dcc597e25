"""One flush sends a summary about 10,000 files to each of 20 phones."""

import re
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from typing import Any

from handler import queue_messages
from handler.held_messages import MAX_MESSAGES
from handler.notice import Notice
from handler.sender import SECONDS_TO_SEND
from infra.queues import FLUSH_SECONDS
from simulation.quick_table import QuickTable
from simulation.samples import log_file
from simulation.world import World
from tests.unit.test_flusher import PEAK_MB

FILES = 10_000
PHONES = tuple(f"+150055501{number:02}" for number in range(20))

SECONDS_OF_A_CALL = {"sqs": 0.04, "dynamodb": 0.012}
"""Generous times of a request: most to SQS take 10 to 20 milliseconds, most to DynamoDB 5 to 10."""


class Timed(World):
    """A world in which each request takes as long as on AWS."""

    def __init__(self, files: int) -> None:
        """Hold messages about so many files for all phones, as `notify` does in digest mode."""
        super().__init__(table=QuickTable, to_numbers=PHONES, mode="digest")
        self.requests: Counter[str] = Counter()
        items: Any = self.table.items
        for number in range(files):
            file = log_file(f"application-{number % 50}/2026-11-23/host-{number}/web.log")
            self.held.put(queue_messages.to_message(file, PHONES, "digest"))
            for phone in PHONES:
                id_ = Notice(file, phone).id
                items[id_] = {"id": {"S": id_}, "state": {"S": "held"}}

    def call(self, service: str, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self.now += SECONDS_OF_A_CALL[service]
        self.requests[operation] += 1
        return super().call(service, operation, payload)


def test_one_flush_texts_20_phones_about_10_000_files_within_its_time() -> None:
    world = Timed(FILES)
    assert len(world.held) == FILES
    begun = world.now
    world.flusher.flush(lambda: FLUSH_SECONDS - (world.now - begun))
    assert Counter(phone for _, phone, _ in world.texts) == dict.fromkeys(PHONES, 1)
    assert {re.match(r"\d+", body)[0] for _, _, body in world.texts} == {str(FILES)}  # type: ignore[index]  # it matches
    assert world.held == world.failed == []
    assert world.now - begun < FLUSH_SECONDS - SECONDS_TO_SEND
    look_ups, outcomes = FILES // 100, FILES // 25 + 1  # for one phone; the 1 is its SID
    assert world.requests["BatchGetItem"] == len(PHONES) * look_ups + 1
    assert world.requests["BatchWriteItem"] == len(PHONES) * outcomes


def test_the_most_messages_for_20_phones_fit_the_memory() -> None:
    """The test uses a twentieth of the most messages of a flush, and of the memory."""
    world = Timed(MAX_MESSAGES // 20)
    receive = world.operations["ReceiveMessage"]
    delete = world.operations["DeleteMessageBatch"]

    def longer(payload: Mapping[str, Any]) -> dict[str, Any]:
        found = receive(payload)["Messages"]
        return {
            "Messages": [one | {"ReceiptHandle": f"{one['ReceiptHandle']:400}"} for one in found]
        }

    def shorter(payload: Mapping[str, Any]) -> dict[str, Any]:
        entries = [
            entry | {"ReceiptHandle": entry["ReceiptHandle"].strip()}
            for entry in payload["Entries"]
        ]
        return delete({**payload, "Entries": entries})

    def not_kept(_payload: Mapping[str, Any]) -> dict[str, Any]:
        return {"UnprocessedItems": {}}  # the table's memory does not count

    world.operations |= {
        "ReceiveMessage": longer,
        "DeleteMessageBatch": shorter,
        "BatchWriteItem": not_kept,
    }
    tracemalloc.start()
    world.flush()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(world.texts) == len(PHONES)
    assert peak < PEAK_MB * 1_000_000 / 20
