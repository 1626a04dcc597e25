"""Times and counts that depend on each other agree.

Each number is defined where it is used. The tests here say why it is not smaller or greater.
"""

import json

import pytest

from handler import aws, preconnect, sender
from handler.delivery_reports import GIVE_UP_SECONDS
from handler.held_messages import (
    DRAIN_SHARE,
    EXPIRES_AFTER_SECONDS,
    MAX_MESSAGES,
    RENEW_AFTER_RECEIVES,
    SECONDS_TO_GIVE_BACK,
)
from handler.ledger import ASK_AFTER_SECONDS, HOUR_SECONDS, KEPT_SECONDS, LEASE_SECONDS
from handler.message_reader import OTHER_SETTINGS_SECONDS
from handler.notifier import BREAKER_SECONDS, READ_SHARE
from handler.queues import BATCH, MAX_RECEIVES
from handler.sender import SECONDS_TO_ASK, SECONDS_TO_SEND
from handler.summaries import SECONDS_TO_BEGIN
from local.program import PROJECT
from simulation.samples import PHONE, record
from simulation.table import Table
from simulation.world import World
from tests.unit.recorded import Recorded
from tests.unit.recorded import record as run
from tests.unit.test_flusher import PEAK_MB, RESTING_MB, held_by_hand

MINUTE, DAY = 60, 24 * 60 * 60

LAMBDA_WAITS = MINUTE
"""The shortest time, in seconds, before Lambda tries an event again.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

LAMBDA_KEEPS = 6 * 60 * MINUTE
"""The longest time that Lambda keeps an event, by the same source."""

SQS_KEEPS, SQS_COUNTS = 14 * DAY, 1000
"""The longest time that a queue keeps a message, and the largest `maxReceiveCount`.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

MINUTES_OF_AN_SQS_OUTAGE = 6 * 60
"""The minutes in which SQS may deliver messages but accept none, so that none is renewed."""

FLUSHES_EVERY = PROJECT["config"]["flushMinutes"]["default"] * MINUTE
FLUSHES_AT_LEAST_EVERY = DAY  # the largest flushMinutes

A_CALL = 0.04
"""Generous seconds of a request to SQS for ten messages: most take 10 to 20 milliseconds."""

SERVERS_HANG_UP_AFTER = 5
"""The shortest time before a server closes an idle connection: the default of Node.js.

Source: https://nodejs.org/api/http.html#serverkeepalivetimeout
"""


@pytest.fixture(scope="module")
def program() -> Recorded:
    return run()


def timeout(program: Recorded, function: str) -> int:
    return int(program.the("Function", function).inputs["timeout"])


def kept(program: Recorded, queue: str) -> int:
    return int(program.the("Queue", f"texts-{queue}").inputs["messageRetentionSeconds"])


# One text


def test_one_text_takes_no_longer_than_is_kept_for_it() -> None:
    """The first address of Twilio may be dead and the answer late. Then SQS holds the text."""
    connect, answer = sender.TIMEOUT_SECONDS
    assert 2 * connect + answer + aws.TRIES * sum(aws.TIMEOUT_SECONDS) <= SECONDS_TO_SEND


def test_a_lease_outlasts_the_sending_of_its_text() -> None:
    assert SECONDS_TO_SEND < LEASE_SECONDS


def test_the_lease_of_a_crashed_invocation_ends_before_lambda_retries() -> None:
    """Otherwise the second try finds the lease of the first, and does nothing."""
    assert LEASE_SECONDS < LAMBDA_WAITS


def test_notify_has_time_to_send_when_it_has_started(program: Recorded) -> None:
    """The first text may take all of its time. With less time left, notify holds a text."""
    assert timeout(program, "notify") >= 2 * SECONDS_TO_SEND


def test_notify_has_time_to_send_when_it_has_read_a_log(program: Recorded) -> None:
    """S3 may stop answering at the end of the time for reading."""
    left = timeout(program, "notify") * (1 - READ_SHARE)
    assert left >= SECONDS_TO_SEND + sum(aws.TIMEOUT_SECONDS)


def test_notify_has_ended_when_twilio_is_asked_for_its_text(program: Recorded) -> None:
    """Otherwise notify might still send a text that Twilio does not list yet."""
    assert timeout(program, "notify") <= ASK_AFTER_SECONDS


def test_a_flush_has_sent_its_summary_when_another_one_asks_for_it() -> None:
    """A flush runs longer than notify, so it sends soon after it opened the attempt, or never."""
    connect, answer = sender.TIMEOUT_SECONDS
    assert SECONDS_TO_BEGIN + 2 * connect + answer < ASK_AFTER_SECONDS


def test_after_a_refusal_twilio_is_tried_again_before_the_next_flush() -> None:
    """The pause spares the other texts of a storm, and ends before the next flush."""
    assert sum(sender.TIMEOUT_SECONDS) < BREAKER_SECONDS < FLUSHES_EVERY


def test_a_connection_is_given_up_before_the_server_hangs_up() -> None:
    """A text sent over a closed connection is in doubt, and waits for a flush."""
    assert 1 <= preconnect.MAX_IDLE_SECONDS <= SERVERS_HANG_UP_AFTER


def test_a_receive_waits_but_not_for_longer_than_its_connection() -> None:
    """Without long polling SQS asks only some of its servers, and may find no message."""
    world = World()
    world.flush()
    assert 1 <= min(world.receive_waits) <= max(world.receive_waits) < aws.TIMEOUT_SECONDS[1]


# One flush


def test_a_flush_ends_before_the_next_begins(program: Recorded) -> None:
    assert timeout(program, "flush") < FLUSHES_EVERY


def test_a_flush_gives_messages_back_while_time_for_one_more_request_is_left() -> None:
    """A request may fail on three connections. Delivery reports end earlier."""
    longest_pauses = 2 * aws.PAUSE_SECONDS * sum(2**attempt for attempt in range(1, aws.TRIES))
    one_request = aws.TRIES * sum(aws.TIMEOUT_SECONDS) + longest_pauses
    assert one_request <= SECONDS_TO_GIVE_BACK <= SECONDS_TO_SEND


def test_a_phone_not_known_is_kept_while_functions_with_other_settings_may_run() -> None:
    assert LAMBDA_KEEPS <= OTHER_SETTINGS_SECONDS < EXPIRES_AFTER_SECONDS


def test_many_flushes_may_fail_to_renew_a_message_before_sqs_moves_it_to_failed() -> None:
    assert MAX_RECEIVES - RENEW_AFTER_RECEIVES >= MINUTES_OF_AN_SQS_OUTAGE


def test_received_messages_stay_hidden_until_their_flush_ends(program: Recorded) -> None:
    """After a crash its first messages are visible again for the next flush."""
    hidden = program.the("Queue", "texts-held").inputs["visibilityTimeoutSeconds"]
    assert timeout(program, "flush") < hidden < FLUSHES_EVERY


def test_a_flush_has_time_to_receive_text_and_delete_all_its_messages(
    program: Recorded,
) -> None:
    batches = MAX_MESSAGES / BATCH
    drain = timeout(program, "flush") * DRAIN_SHARE
    rest = timeout(program, "flush") - drain
    assert batches * A_CALL <= drain
    assert batches * A_CALL + 2 * SECONDS_TO_SEND <= rest


def test_a_flush_has_time_to_ask_twilio_when_it_has_received_its_messages(
    program: Recorded,
) -> None:
    """The last page of a list may take as long as a text. With less time left, it does not ask."""
    connect, answer = sender.TIMEOUT_SECONDS
    assert SECONDS_TO_SEND + 2 * connect + answer <= SECONDS_TO_ASK
    rest = timeout(program, "flush") * (1 - DRAIN_SHARE)
    assert rest >= SECONDS_TO_ASK + SECONDS_TO_SEND


def test_the_sender_of_an_attempt_has_ended_when_twilio_is_asked() -> None:
    """Then Twilio lists the text, or never accepted it."""
    assert ASK_AFTER_SECONDS > LEASE_SECONDS > SECONDS_TO_SEND


def test_a_flush_takes_messages_for_its_share_of_the_time(program: Recorded) -> None:
    """Each receive takes a second here, and the queue has more messages than time allows."""
    world = World(to_numbers=(PHONE,))
    whole = timeout(program, "flush")
    for number in range(whole * BATCH):
        held_by_hand(world, f"{number}.log")
    world.flusher.flush(lambda: whole - len(world.receive_waits))
    assert len(world.receive_waits) == whole * DRAIN_SHARE


def test_all_messages_of_a_flush_fit_the_memory(program: Recorded) -> None:
    """Python does not return all freed memory, hence twice. `test_flusher` measures the peak."""
    for function in ("notify", "flush"):
        assert program.the("Function", function).inputs["memorySize"] >= RESTING_MB + 2 * PEAK_MB


# Nine days


def test_an_expired_text_fails_before_sqs_deletes_it(program: Recorded) -> None:
    """Two flushes come before the deletion, as one may be late or run out of time."""
    assert kept(program, "held") >= EXPIRES_AFTER_SECONDS + 2 * FLUSHES_AT_LEAST_EVERY


def test_failed_messages_are_kept_for_longer_than_held_ones(program: Recorded) -> None:
    """SQS counts from the first sending of a message, even after it moved to `failed`."""
    assert kept(program, "held") + 3 * DAY <= kept(program, "failed") <= SQS_KEEPS


def test_sqs_gives_a_text_up_after_days_only(program: Recorded) -> None:
    """An outage of a weekend must not make every text fail."""
    redrive = json.loads(program.the("Queue", "texts-held").inputs["redrivePolicy"])
    assert redrive["maxReceiveCount"] <= SQS_COUNTS
    assert redrive["maxReceiveCount"] * FLUSHES_EVERY >= 3 * DAY


def test_a_text_is_remembered_for_longer_than_it_can_come_again(program: Recorded) -> None:
    """An event may wait in Lambda, fail, and after a redrive be held until it expires."""
    assert LAMBDA_KEEPS + kept(program, "failed") + kept(program, "held") <= KEPT_SECONDS


def test_a_text_is_remembered_for_longer_than_twilio_is_asked_about_it() -> None:
    assert ASK_AFTER_SECONDS < 2 * GIVE_UP_SECONDS <= KEPT_SECONDS


def test_an_hours_count_outlives_its_hour() -> None:
    """The table deletes expired items by its own clock, which may differ from the function's."""
    world = World(to_numbers=(PHONE,))
    for second in (0, HOUR_SECONDS - 1):
        world.now = 500_000 * HOUR_SECONDS + second
        world.notify(record(f"{second}.log"))
        (count,) = (item for item in world.table.items.values() if "texts" in item)
        assert int(count["expires"]["N"]) >= 500_001 * HOUR_SECONDS + MINUTE
    assert count["texts"] == {"N": "2"}


# Index of the table


def test_the_index_projects_every_attribute_that_is_read(program: Recorded) -> None:
    (index,) = program.the("Table").inputs["globalSecondaryIndexes"]
    keys = {key["keyType"]: key["attributeName"] for key in index["keySchemas"]}
    assert keys == {"HASH": "report", "RANGE": "ask_at"}
    others = index["nonKeyAttributes"] if index["projectionType"] == "INCLUDE" else []
    world = World(table=lambda name: Table(name, others), to_numbers=(PHONE,))
    world.notify(record("a.log"))
    world.now += ASK_AFTER_SECONDS
    world.flush()
    assert world.queried_sids == [f"SM{1:032x}"]
