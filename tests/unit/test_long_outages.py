"""Twilio refuses texts for nine days: all stay held, and a flush afterwards sends a summary."""

import contextlib
import itertools

import pytest

from handler.aws import AwsError
from handler.flusher import PROBING_SECONDS
from handler.held_messages import EXPIRES_AFTER_SECONDS
from handler.log import Log
from handler.queues import BATCH, HELD_SINCE, MAX_RECEIVES
from handler.refusals import NO_CONNECTION, Refusal, refusal
from simulation.quick_table import QuickTable
from simulation.samples import OTHER_PHONE, PHONE, record, route
from simulation.world import Crash, World
from tests.unit.examples import is_thorough

MINUTE, DAY = 60, 24 * 60 * 60
FILES = 12
EVERY_MINUTES = [5, 60, 1440]
"""Values of `flushMinutes`: the default, an hour, and the largest."""

LEAST_MINUTES = [1] if is_thorough() else []
"""The smallest `flushMinutes`. Only `make check` tries it: nine days have 13,000 flushes."""


@pytest.fixture(autouse=True)
def _unread_log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the log if the test does not read it. Writing it takes most of a long test's time."""
    if "capsys" not in request.fixturenames:
        monkeypatch.setattr(Log, "decision", lambda *_args, **_fields: None)


BUSY = refusal(503, 20503)
NOT_THAT_COUNTRY = refusal(400, 21408)


def held_world(*phones: str, **changes: object) -> World:
    world = World(
        mode="digest", to_numbers=phones or (PHONE, OTHER_PHONE), table=QuickTable, **changes
    )
    for number in range(FILES):
        world.notify(record(f"app/{number}.log"))
    return world


def flush_for_nine_days(world: World, minutes: int) -> int:
    """Flush until shortly before the texts expire, and return the count of requests to SQS."""
    requests = world.held.requests
    until = world.now + EXPIRES_AFTER_SECONDS - 2 * minutes * MINUTE
    while world.now < until:
        world.flush()
        world.now += minutes * MINUTE
    assert len(world.failed) == 0
    return world.held.requests - requests


def texts(world: World, phone: str = PHONE) -> list[str]:
    return [body for _, other, body in world.texts if other == phone]


def files_told_of(bodies: list[str]) -> int:
    """Return the sum of the files that summaries count: "12 more logs since …"."""
    return sum(int(body.split()[0]) for body in bodies)


EVERYBODY = {
    "no connection": (NO_CONNECTION, {}),
    "busy": (BUSY, {}),
    "each phone": (NOT_THAT_COUNTRY, {}),
    "quiet hours": (NO_CONNECTION, {"quiet_hours": "22:00-07:00"}),
}
"""Refusals that affect every phone, each with changed settings."""


@pytest.mark.parametrize(
    ("outage", "minutes"),
    [
        *itertools.product(["no connection"], LEAST_MINUTES),
        *itertools.product(EVERYBODY, EVERY_MINUTES),
    ],
)
def test_nine_days_in_which_twilio_refuses_everybody_end_with_one_summary_a_phone(
    outage: str, minutes: int
) -> None:
    why, changes = EVERYBODY[outage]
    world = held_world(**changes)
    world.refuses = lambda _phone: why
    flush_for_nine_days(world, minutes)
    assert (world.texts, len(world.held)) == ([], FILES)
    world.end_outages()
    world.now += -world.now % DAY + DAY / 2  # noon, outside the quiet hours
    world.flush()
    for phone in (PHONE, OTHER_PHONE):
        assert files_told_of(texts(world, phone)) == FILES
    assert sorted(len(texts(world, phone)) for phone in (PHONE, OTHER_PHONE)) in ([1, 1], [1, 2])
    assert (len(world.held), len(world.failed)) == (0, 0)


@pytest.mark.parametrize("minutes", [*LEAST_MINUTES, *EVERY_MINUTES])
def test_nine_days_in_which_one_phone_is_refused_delay_no_other(minutes: int) -> None:
    world = held_world()
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    world.flush()
    assert files_told_of(texts(world, OTHER_PHONE)) == FILES
    flush_for_nine_days(world, minutes)
    world.notify(record("late.log"))
    world.flush()
    assert len(texts(world, OTHER_PHONE)) == 2
    assert texts(world) == []
    world.end_outages()
    world.flush()
    assert files_told_of(texts(world)) == FILES + 1
    assert len(texts(world)) == 1
    assert (len(world.held), len(world.failed)) == (0, 0)


def test_an_outage_costs_a_flush_one_batch_and_one_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Each flush receives one batch and gives it back; once an hour a flush receives all."""
    world = held_world()
    asked: list[str] = []

    def refuse(phone: str) -> Refusal:
        asked.append(phone)
        return BUSY

    world.refuses = refuse
    world.flush()
    assert len(asked) == 2
    for _ in range(5):
        world.now += MINUTE
        asked.clear()
        before = [one.receive_count for one in world.held]
        requests = world.held.requests
        world.flush()
        received = sum(one.receive_count for one in world.held) - sum(before)
        assert (len(asked), received, world.held.requests - requests) == (1, BATCH, 2)
    assert {one.visible_at for one in world.held} <= {world.now - n * MINUTE for n in range(6)}
    world.now += PROBING_SECONDS
    before = [one.receive_count for one in world.held]
    world.flush()
    assert all(one.receive_count > count for one, count in zip(world.held, before, strict=True))


def test_a_probe_that_a_phone_accepts_gives_only_that_phone_two_texts() -> None:
    world = held_world()
    world.refuses = lambda _phone: BUSY
    world.flush()
    world.end_outages()
    world.flush()
    assert sorted(len(texts(world, phone)) for phone in (PHONE, OTHER_PHONE)) == [1, 2]
    world.notify(*(record(f"more/{number}.log") for number in range(FILES)))
    world.flush()
    assert sorted(len(texts(world, phone)) for phone in (PHONE, OTHER_PHONE)) == [2, 3]


def test_a_phone_that_is_refused_for_itself_ends_no_probe() -> None:
    """Its texts are the first on the queue, and would otherwise delay those to other phones."""
    world = held_world(PHONE)
    world.refuses = lambda _phone: NO_CONNECTION
    world.flush()
    world.settings = world.settings._replace(to_numbers=(PHONE, OTHER_PHONE))
    world.flusher._settings = world.settings
    world.notifier._phones_of = world.settings.phones_of
    world.notify(record("late.log"))
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    world.flush()
    assert len(texts(world, OTHER_PHONE)) == 1


def test_a_phone_of_one_route_that_is_refused_for_itself_delays_no_other_route() -> None:
    routes = (
        route("app", "app/*", PHONE, mode="digest"),
        route("db", "db/*", OTHER_PHONE, mode="digest"),
    )
    world = World(to_numbers=(), routes=routes, table=QuickTable)
    for number in range(FILES):
        world.notify(record(f"app/{number}.log"))
    world.refuses = lambda phone: NOT_THAT_COUNTRY if phone == PHONE else None
    world.flush()
    world.notify(record("db/late.log"))
    world.flush()
    assert len(texts(world, OTHER_PHONE)) == 1
    assert len(world.held) == FILES


def test_a_text_that_expires_in_an_outage_fails_before_sqs_deletes_it() -> None:
    """Expiring texts may be anywhere on the queue, so a flush receives all once an hour."""
    world = held_world()
    for number in range(FILES):
        old = world.held[0]
        world.held.put(old.body.replace("app/", f"new{number}/"), first=True)
    world.refuses = lambda _phone: NO_CONNECTION
    for _ in range(3):
        world.flush()
        world.now += MINUTE
    for one in world.held:
        if '"key": "app/' in one.body:
            one.sent_at -= EXPIRES_AFTER_SECONDS
    world.now += PROBING_SECONDS
    world.flush()
    assert len(world.failed) == FILES * 2


# Renewed messages


def worn(world: World) -> None:
    """Set each message's receive count to just below half of the limit."""
    for one in world.held:
        one.receive_count = MAX_RECEIVES // 2 - 1


def test_a_message_that_was_received_often_is_put_anew_and_keeps_its_age() -> None:
    world = held_world(PHONE)
    since = world.now
    worn(world)
    world.refuses = lambda _phone: NO_CONNECTION
    world.now += DAY
    world.flush()
    assert len(world.held) == FILES
    assert {one.receive_count for one in world.held} == {0}
    assert {one.visible_at for one in world.held} == {world.now}
    held_since = {one.attributes[HELD_SINCE]["StringValue"] for one in world.held}
    assert held_since == {str(int(since * 1000))}
    worn(world)
    world.flush()
    assert held_since == {one.attributes[HELD_SINCE]["StringValue"] for one in world.held}
    world.now += 8 * DAY + 1
    world.flush()
    assert (len(world.held), len(world.failed)) == (0, FILES)


def test_a_text_to_a_phone_that_left_the_settings_is_dropped_although_it_is_renewed() -> None:
    world = held_world(PHONE, OTHER_PHONE)
    world.flusher._settings = world.settings._replace(to_numbers=(OTHER_PHONE,))
    world.flush()
    assert len(world.held) == FILES
    worn(world)
    world.now += DAY / 2
    world.flush()
    assert {one.receive_count for one in world.held} == {0}
    world.now += DAY / 2 + 1
    world.flush()
    assert (len(world.held), len(world.failed)) == (0, 0)


@pytest.mark.parametrize("steps", range(30))
def test_a_crash_while_messages_are_renewed_loses_nothing_and_texts_nothing_twice(
    steps: int,
) -> None:
    world = held_world(PHONE)
    worn(world)
    world.refuses = lambda _phone: NO_CONNECTION
    world.crash_at = world.steps + steps
    with contextlib.suppress(Crash):
        world.flush()
    world.crash_at = None
    world.restart()
    world.end_outages()
    world.now += 10 * MINUTE
    world.flush()
    assert files_told_of(texts(world)) == FILES
    assert len(texts(world)) == 1
    assert (len(world.held), len(world.failed)) == (0, 0)


def test_messages_that_cannot_be_renewed_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    world = held_world(PHONE)
    worn(world)
    world.refuses = lambda _phone: NO_CONNECTION
    world.refused_entries = 3
    world.flush()
    assert sorted(one.receive_count for one in world.held) == [0] * (FILES - 3) + [500] * 3
    assert {one.visible_at for one in world.held} == {world.now}
    worn(world)

    def fail(_payload: object) -> dict[str, object]:
        raise AwsError("SendMessageBatch", "AccessDeniedException", {})

    world.operations["SendMessageBatch"] = fail
    world.flush()
    assert sum(one.receive_count == 500 for one in world.held) == BATCH
    assert {one.visible_at for one in world.held} == {world.now}
    assert '"not renewed"' in capsys.readouterr().out
    assert len(world.held) == FILES


def test_sqs_moves_a_message_to_failed_after_its_last_receive() -> None:
    """This limit of the simulated SQS makes the tests above meaningful."""
    world = held_world(PHONE)
    world.held[0].receive_count = MAX_RECEIVES
    world.flush()
    assert (len(world.held), len(world.failed)) == (0, 1)
    assert files_told_of(texts(world)) == FILES - 1
