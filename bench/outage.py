"""An outage of nine days, simulated: the requests of all flushes, and their price."""

import contextlib
import io
from typing import Any

from bench import prices
from bench.world import CountingWorld
from handler.held_messages import EXPIRES_AFTER_SECONDS
from handler.refusals import NO_CONNECTION
from simulation.samples import record

MINUTE = 60
CASES = ((100, 5), (1_000, 5), (100, 1))
"""The number of held logs, and the minutes between two flushes."""


def measure() -> list[dict[str, Any]]:
    """Let Twilio accept no connection until shortly before the held texts expire."""
    return [_simulate(logs, minutes) for logs, minutes in CASES]


def _simulate(logs: int, minutes: int) -> dict[str, Any]:
    world = CountingWorld(flush_minutes=minutes, mode="digest")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        for number in range(logs):
            world.notify(record(f"app/{number}.log", sequencer=str(number)))
        world.refuses = lambda _phone: NO_CONNECTION
        world.requests.clear()
        world.units.clear()
        until = world.now + EXPIRES_AFTER_SECONDS - 2 * minutes * MINUTE
        most_receives = 0
        while world.now < until:
            world.flush()
            world.now += minutes * MINUTE
            most_receives = max(most_receives, *(one.receive_count for one in world.held))
            output.seek(0)
            output.truncate()
    queued = world.requests_to_sqs
    dollars = queued * prices.SQS_REQUEST + world.table_dollars
    return {
        "logs": logs,
        "phones": len(world.settings.to_numbers),
        "flush_minutes": minutes,
        "days": EXPIRES_AFTER_SECONDS // 86_400,
        "requests_to_sqs": queued,
        "requests_to_the_table": world.requests.total() - queued,
        "most_receives_of_a_message": most_receives,
        "dollars": round(dollars, 2),
    }
