"""The command `redrive`, on a faked AWS."""

import datetime
from typing import Any

import pytest

from tests.unit.operated import (
    EARLIER,
    NOW,
    Operated,
    Queue,
    Run,
    held_message,
    refusal,
)


def test_a_redrive_finds_messages_that_short_polling_misses(run: Run) -> None:
    operated = Operated()
    for number in range(25):
        operated.failed.put(held_message(f"{number}.log"), sent=EARLIER)
    assert run(operated, "redrive") == (
        "Moved to held: 25. The next flush sends them. To send them now: make flush STACK=prod\n"
    )
    assert not operated.failed.messages
    assert len(operated.held.messages) == 25
    assert run(operated, "redrive") == "Nothing has failed.\n"


def test_a_redrive_moves_only_messages_that_failed_before_it_began(run: Run) -> None:
    """If a phone replied STOP, a flush during the redrive fails each moved message again."""
    operated = Operated()
    for number in range(40):
        operated.failed.put(f"{number}", sent=EARLIER)

    def flush(queue: Queue) -> None:
        if queue is operated.failed:
            assert queue.received < 20, "It goes in circles"
            for body in operated.held.bodies:
                operated.failed.put(f"again {body}", sent=NOW + datetime.timedelta(seconds=2))
            operated.held.messages.clear()

    operated.sqs.on_receive = flush
    shown = run(operated, "redrive")
    assert "Moved to held: 40." in shown
    assert "Failed during the redrive, and not moved: 40." in shown
    assert sorted(operated.failed.bodies) == sorted(f"again {number}" for number in range(40))
    assert len(operated.failed.visible) == 40  # given back


def test_a_redrive_moves_messages_that_failed_in_the_second_it_began(run: Run) -> None:
    """The redrive's clock, the date in an answer of AWS, has no fractions of a second."""
    operated = Operated()
    operated.failed.put("just now", sent=NOW + datetime.timedelta(milliseconds=900))
    assert "Moved to held: 1." in run(operated, "redrive")
    assert operated.held.bodies == ["just now"]


def test_a_redrive_of_many_shows_how_far_it_is(run: Run) -> None:
    operated = Operated()
    for number in range(1200):
        operated.failed.put(f"{number}", sent=EARLIER)
    shown = run(operated, "redrive").splitlines()
    assert shown[:2] == [
        "Moved to held so far: 500 of 1200 ...",
        "Moved to held so far: 1000 of 1200 ...",
    ]
    assert shown[2].startswith("Moved to held: 1200.")


def test_a_redrive_reports_messages_that_sqs_rejects_and_leaves_them(run: Run) -> None:
    operated = Operated()
    for body in ("good", "bad", "bad too", "good too"):
        operated.failed.put(body, sent=EARLIER)
    operated.held.refuses = lambda body: "InvalidMessageContents" if "bad" in body else ""
    shown = run(operated, "redrive")
    assert "Moved to held: 2." in shown
    assert shown.endswith(
        "SQS refused some messages, which stay on failed: 2 by InvalidMessageContents. "
        "To try again: make redrive STACK=prod\n"
    )
    assert operated.failed.bodies == ["bad", "bad too"]
    assert len(operated.failed.visible) == 2


def test_a_redrive_moves_large_events_one_by_one(run: Run) -> None:
    operated = Operated()
    operated.held.most_bytes = 250
    for letter in "abcde":
        operated.failed.put(letter * 200, sent=EARLIER)
    assert "Moved to held: 5." in run(operated, "redrive")
    assert not operated.failed.messages


def test_a_redrive_counts_messages_that_it_cannot_receive(
    run: Run,
) -> None:
    operated = Operated()
    operated.failed.put("seen by somebody else", sent=EARLIER, hidden=60)
    shown = run(operated, "redrive")
    assert "Nothing has failed" not in shown
    assert "Still on failed, by SQS's count: 1." in shown
    assert "make redrive STACK=prod" in shown


def test_a_redrive_waits_for_messages_that_another_command_gives_back(run: Run) -> None:
    operated = Operated()
    operated.failed.put("being looked at", sent=EARLIER, hidden=2)

    def later(queue: Queue) -> None:
        queue.now += 1

    operated.sqs.on_receive = later
    assert "Moved to held: 1." in run(operated, "redrive")


def test_a_redrive_counts_messages_that_are_on_both_queues(run: Run) -> None:
    operated = Operated()
    operated.failed.put("kept", sent=EARLIER)
    operated.failed.fails_to_delete = True
    assert "Of these also still on failed: 1." in run(operated, "redrive")


def test_a_refused_redrive_gives_back_the_messages_it_received(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    operated = Operated()
    operated.failed.put("newer", sent=NOW + datetime.timedelta(minutes=1))
    operated.failed.put("older", sent=EARLIER)

    def refuse(**_: object) -> Any:
        raise refusal("RequestThrottled", "SendMessageBatch")

    monkeypatch.setattr(operated.sqs, "send_message_batch", refuse)
    assert "RequestThrottled" in run(operated, "redrive")
    assert {one["Body"] for one in operated.failed.visible} == {"newer", "older"}
