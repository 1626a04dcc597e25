"""A simulated month: the handler's own code decides on every file, with a simulated clock.

The simulation covers as many hours as a machine can simulate in minutes. It covers at least one
hour, because a limit counts texts by the hour. The results are scaled to a month.
"""

import concurrent.futures
import contextlib
import dataclasses
import datetime
import functools
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

from bench import prices
from bench.world import LIMITS, CountingWorld
from handler.held_messages import MAX_MESSAGES
from handler.refusals import NO_CONNECTION
from handler.segments import segments
from infra.alarms import alarms
from infra.runtime import MEMORY_MB
from simulation.samples import PHONE, record

HOUR, DAY = 3600, 86_400
HOURS = 730  # in a month
MAX_FILES_IN_HOURS = 150_000  # in a simulation of more than one hour
MAX_FILES = 1_500_000  # their simulation takes minutes and gigabytes of memory
FLUSH_EVERY = 60 * LIMITS["flush_minutes"]
BILLION = 1_000_000_000
VOLUMES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, BILLION)

# Assumptions: no emulator shows how long a function runs in AWS.
SENT_SECONDS, HELD_SECONDS = 0.25, 0.03
FLUSH_SECONDS, FLUSH_SECONDS_PER_MESSAGE = 1.5, 0.003
REPORT_SECONDS = 0.1  # for a question about a text, which Twilio answers for free

ALARMS = len(
    alarms(stack="", notify="", flush="", failed="", flush_minutes=5, max_segments_per_day=1)
)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """The arrival of files, and the outages.

    Attributes:
        name: Its name.
        mode: The setting `mode`.
        burst_seconds: The seconds whose files land together. With 0 they land one by one.
        outage_hours: The hours of a day in which Twilio accepts no connection.
        min_hours: The fewest hours in which the effect shows.
        expect: The setting `expect`.
        most_logs: The largest volume that is simulated.
    """

    name: str
    mode: str = "instant"
    burst_seconds: int = 0
    outage_hours: tuple[int, int] = (0, 0)
    min_hours: int = 1
    expect: str = ""
    most_logs: int = BILLION


SCENARIOS = (
    Scenario("steady, instant"),
    Scenario("steady, instant, a log expected every hour", expect="every 1h", most_logs=1_000_000),
    Scenario("steady, digest", mode="digest"),
    Scenario("a burst every minute, instant", burst_seconds=60, most_logs=10_000_000),
    Scenario("six hours without Twilio, instant", outage_hours=(1, 7), min_hours=10),
)


@dataclasses.dataclass
class Totals:
    """The totals of a simulation that its world does not count.

    Attributes:
        flushes: The number of flushes.
        log_bytes: The size of the functions' logs.
        billed_metrics: Pairs of an hour and a metric with data in it, which CloudWatch bills.
            Each value of a dimension, such as a reason, is another metric.
    """

    flushes: int = 0
    log_bytes: int = 0
    billed_metrics: set[tuple[object, ...]] = dataclasses.field(default_factory=set)


def measure() -> list[dict[str, Any]]:
    """Simulate every scenario at its volumes, on all CPUs. No result depends on real time."""
    runs = [
        (scenario, volume)
        for scenario in SCENARIOS
        for volume in VOLUMES
        if volume <= scenario.most_logs
    ]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        largest_first = sorted(runs, key=lambda run: -run[1])
        simulations = {run: pool.submit(simulate, *run) for run in largest_first}
        return [simulations[run].result() for run in runs]


def simulate(scenario: Scenario, volume: int) -> dict[str, Any]:
    """Simulate a part of a month with `volume` logs, or return why it is skipped."""
    hours = max(scenario.min_hours, min(24, int(MAX_FILES_IN_HOURS / (volume / HOURS))))
    files = round(volume / HOURS * hours)
    if files > MAX_FILES:
        return {
            "scenario": scenario.name,
            "logs_a_month": volume,
            "skipped": f"{hours} hours of it are {files:,} files",
        }
    world = CountingWorld(mode=scenario.mode, to_numbers=(PHONE,), expect=scenario.expect)
    totals = _run(world, scenario, files, hours)
    factor = HOURS / hours
    texts = len(world.texts)
    cost = _cost(world, files, totals, factor)
    delays = sorted(world.delays)
    return {
        "scenario": scenario.name,
        "logs_a_month": volume,
        "hours_simulated": hours,
        "texts_a_month": round(texts * factor),
        "most_texts_in_an_hour": _max_texts_in_an_hour(world),
        "seconds_to_text": {
            name: round(delays[min(len(delays) - 1, int(len(delays) * share))], 1)
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("most", 1))
        }
        if delays
        else {},
        "held_at_the_end": len(world.held),
        "bytes_logged_per_file": round(totals.log_bytes / files),
        "metrics": len({metric[1:] for metric in totals.billed_metrics}),
        "requests_a_month": {
            name: round(count * factor) for name, count in sorted(world.requests.items())
        },
        "dollars_a_month": cost,
    }


def idle() -> dict[str, float]:
    """Return the dollars of a month without a log, by service."""
    world = CountingWorld(to_numbers=(PHONE,))
    return _cost(world, 0, _run(world, Scenario("idle"), 0, hours=1), HOURS)


def _run(world: CountingWorld, scenario: Scenario, files: int, hours: int) -> Totals:
    """Let files land, and flush. Return the totals."""
    start = world.now - world.now % DAY
    totals = Totals()
    with contextlib.redirect_stdout(io.StringIO()) as output:
        for moment, act in _schedule(world, scenario, files, start, hours):
            world.now = moment
            world.refuses = _refusal_of(scenario, moment - start)
            totals.flushes += act()
            totals.log_bytes += output.tell()
            hour = min(int(moment - start) // HOUR, hours - 1)
            for line in output.getvalue().splitlines():
                totals.billed_metrics.update(
                    (hour, *metric) for metric in _metrics(json.loads(line))
                )
            output.seek(0)
            output.truncate()
    return totals


def _metrics(line: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the name and the dimensions' values of each metric in a line of the log."""
    for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
        for dimensions in directive["Dimensions"]:
            values = [line[name] for name in dimensions]
            for metric in directive["Metrics"]:
                yield metric["Name"], *values


def _schedule(
    world: CountingWorld, scenario: Scenario, files: int, start: float, hours: int
) -> Iterator[tuple[float, Callable[[], int]]]:
    """Yield each action with its time. An action returns 1 for a flush, else 0."""
    landed, flushed = 0, start
    seconds_between = hours * HOUR / max(1, files)
    while landed < files or flushed < start + hours * HOUR:
        lands_at = start + landed * seconds_between
        if scenario.burst_seconds:
            lands_at = (
                start
                + (int(landed * seconds_between) // scenario.burst_seconds) * scenario.burst_seconds
            )
        if landed < files and lands_at <= flushed + FLUSH_EVERY:
            yield max(lands_at, flushed), functools.partial(_land, world, landed)
            landed += 1
        else:
            flushed += FLUSH_EVERY
            yield flushed, functools.partial(_flush, world)


def _land(world: CountingWorld, number: int) -> int:
    time = datetime.datetime.fromtimestamp(world.now, datetime.UTC).isoformat()
    world.notify(record(f"app{number % 7}/{number}.log", sequencer=str(number), eventTime=time))
    return 0


def _flush(world: CountingWorld) -> int:
    world.flush()
    return 1


def _refusal_of(scenario: Scenario, since: float) -> Callable[[str], Any]:
    first, last = scenario.outage_hours
    down = first * HOUR <= since % DAY < last * HOUR
    return (lambda _: NO_CONNECTION) if down else (lambda _: None)


def _max_texts_in_an_hour(world: CountingWorld) -> int:
    hours = [int(when) // HOUR for when, _, _ in world.texts]
    return max((hours.count(hour) for hour in set(hours)), default=0)


def _cost(world: CountingWorld, files: int, totals: Totals, factor: float) -> dict[str, float]:
    """Return the dollars of a month, by service."""
    flushes = totals.flushes
    sent = world.texts_at_once
    held = files - sent
    seconds = sent * SENT_SECONDS + held * HELD_SECONDS
    seconds += flushes * FLUSH_SECONDS + held * FLUSH_SECONDS_PER_MESSAGE
    seconds += (len(world.queried_sids) + world.lists) * REPORT_SECONDS
    paid = {
        "Twilio": sum(segments(body) for _, _, body in world.texts) * prices.TWILIO_SEGMENT,
        "Lambda": (files + flushes) * prices.LAMBDA_REQUEST
        + seconds * MEMORY_MB / 1024 * prices.LAMBDA_GB_SECOND,
        "DynamoDB": world.table_dollars,
        "SQS": world.requests_to_sqs * prices.SQS_REQUEST,
        "CloudWatch Logs": totals.log_bytes / 1e9 * prices.LOGS_GB,
        "CloudWatch metrics": len(totals.billed_metrics) * prices.METRIC_MONTH / HOURS,
        "Scheduler": flushes * prices.SCHEDULER_CALL,
    }
    month = {name: round(dollars * factor, 2) for name, dollars in paid.items()}
    month["fixed"] = round(
        prices.KMS_KEY_MONTH + ALARMS * prices.ALARM_MONTH + prices.DASHBOARD_MONTH, 2
    )
    month["all"] = round(sum(month.values()), 2)
    return month


def alternatives(volume: int) -> dict[str, float]:
    """Return a month's dollars with one text per file, by a function or an instance."""
    texts = volume * prices.TWILIO_SEGMENT
    function = volume * (
        prices.LAMBDA_REQUEST + SENT_SECONDS * 128 / 1024 * prices.LAMBDA_GB_SECOND
    )
    instance = HOURS * prices.EC2_HOUR + volume * 1.2 * prices.SQS_REQUEST
    return {
        "one text per file": round(texts + function, 2),
        "an instance that polls a queue": round(texts + instance, 2),
    }


def flush_capacity() -> dict[str, int]:
    """Return the most logs that the flushes can process in a month."""
    return {"most_logs_a_month": round(MAX_MESSAGES * HOURS * HOUR / FLUSH_EVERY)}
