"""Write the measured figures into the documents.

`docs/scale.md` is the template `bench/scale.md` with the figures of `bench/results.json`. In other
documents, the sentences of `bench/sentences.toml` get the new figures.

`python -m bench.report` writes the documents. With `--check` it only lists those that differ.
"""

import argparse
import json
import re
import string
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import cold, inside, month, prices, routing
from bench.world import LIMITS
from handler.held_messages import MAX_MESSAGES
from handler.log_content import MAX_BYTES
from infra.runtime import MEMORY_MB
from stack import ROOT

BENCH = Path(__file__).parent
RESULTS = BENCH / "results.json"
TEMPLATE = BENCH / "scale.md"
SENTENCES = BENCH / "sentences.toml"

NOT_MEASURED = "(not measured)"
FIGURE = rf"(?:\d[\d.,]*(?<![.,])|{re.escape(NOT_MEASURED)})"
"""A figure in a sentence, as a regular expression."""

INSTANT, EXPECTING, DIGEST, BURSTS, OUTAGE = (scenario.name for scenario in month.SCENARIOS)
VOLUMES = dict(
    zip(
        ("10 thousand", "100 thousand", "1 million", "10 million", "100 million", "1 billion"),
        month.VOLUMES,
        strict=True,
    )
)
_COLD_NAMES = {
    cold.OURS: "ours: the package as deployed",
    cold.NO_BYTECODE: "the same without bytecode",
    cold.INSTALLED: "everything as installed, without bytecode",
    cold.REPLACED: "the replaced project: Node, `dotenv`, `twilio`",
    cold.CLIENT: "Twilio's client alone, out of our package",
    cold.REQUESTS: "`requests` alone, out of our package",
    cold.FLOOR: "the floor: a bare interpreter, `http.client`, `ssl`",
    cold.FLOOR_FOLDER: "the floor with the certificates as our package has them",
    cold.OURS + cold.ONE_CPU: "ours, on one CPU",
    cold.FLOOR + cold.ONE_CPU: "the floor, on one CPU",
}
_GOAL_NAMES = {
    (cold.OURS, cold.FLOOR): "the floor",
    (cold.OURS + cold.ONE_CPU, cold.FLOOR + cold.ONE_CPU): "the floor, both on one CPU",
    (cold.OURS, cold.REPLACED): "the replaced project",
    (cold.OURS, cold.INSTALLED): "everything as installed",
}


class ReportError(Exception):
    """A document lacks a sentence with figures, or has it twice."""


class _NotMeasured(float):
    """A figure that this machine could not measure. Its parts are not measured either."""

    def __getitem__(self, _: str) -> "_NotMeasured":
        return self


class _Found(dict[str, Any]):
    """Results in which a missing figure is `_NotMeasured`, not an error."""

    def __missing__(self, _: str) -> Any:
        return _NotMeasured("nan")


def _found(results: Any) -> Any:
    if isinstance(results, dict):
        return _Found({name: _found(value) for name, value in results.items()})
    return [_found(one) for one in results] if isinstance(results, list) else results


def documents(results: Mapping[str, Any]) -> dict[Path, str]:
    """Return each document with the figures of these results.

    Raises:
        ReportError: A document lacks a sentence, or has it twice.
    """
    figures = _figures(_found(results))
    written = {ROOT / "docs" / "scale.md": _filled(TEMPLATE.read_text(), figures)}
    for name, sentences in tomllib.loads(SENTENCES.read_text()).items():
        text = (ROOT / name).read_text()
        for sentence in sentences:
            before, *others = pattern(sentence).findall(text) or [""]
            if others or not before:
                count = len(others) + bool(before)
                raise ReportError(
                    f"{name} has this sentence {count} times, not once: {sentence}\n"
                    f"Change {SENTENCES.relative_to(ROOT)} together with the document."
                )
            text = text.replace(before, _filled(sentence, figures))
        written[ROOT / name] = text
    return written


def pattern(sentence: str) -> re.Pattern[str]:
    """Return the pattern of a sentence, with any figures."""
    parts = string.Formatter().parse(sentence)
    return re.compile(
        "".join(
            re.escape(words) + (FIGURE if name is not None else "") for words, name, *_ in parts
        )
    )


def _filled(template: str, figures: Mapping[str, Any]) -> str:
    return re.sub(r"\bnan\b%?", NOT_MEASURED, template.format_map(figures))


def _figures(found: Any) -> dict[str, Any]:
    """Return all values that a template may name."""
    runs: Any = _Found({scenario.name: _Found() for scenario in month.SCENARIOS})
    names = {volume: name for name, volume in VOLUMES.items()}
    for run in found["month"]:
        runs[run["scenario"]][names[run["logs_a_month"]]] = run
    return {
        **found,
        "month": runs,
        "idle": found["idle_dollars_a_month"],
        "prices": {name: value for name, value in vars(prices).items() if name.isupper()},
        "limits": LIMITS,
        "alarms": month.ALARMS,
        "memory_mb": MEMORY_MB,
        "read_mb": MAX_BYTES / 1e6,
        "messages": MAX_MESSAGES,
        "routing_goal": routing.GOAL_MICROSECONDS,
        "assumed": {
            "sent_ms": 1000 * month.SENT_SECONDS,
            "held_ms": 1000 * month.HELD_SECONDS,
            "report_ms": 1000 * month.REPORT_SECONDS,
        },
        **_cold(found["cold"]),
        **_storms(found["storms"]),
        **_inside(found["inside"]),
        **_package(found["deploy"]),
        **_outages(found["outage"]),
        **_months(found, runs),
    }


def _table(rows: Iterable[Iterable[str]]) -> str:
    return "\n".join("".join(f"| {cell} " if cell else "| " for cell in row) + "|" for row in rows)


def _cold(measured: Any) -> dict[str, Any]:
    times, counts = measured["milliseconds"], measured["instructions"]
    sizes = measured["megabytes_zipped"]
    medians = {name: time["median"] for name, time in times.items()}

    def row(name: str) -> tuple[str, ...]:
        time = times[name]
        return (
            _COLD_NAMES[name],
            f"{time['median']:.0f} ms ({time['low']:.0f} to {time['high']:.0f})",
            f"{counts[name]:,} M" if name in counts else "",
            f"{sizes[name]:.2f} MB" if name in sizes else "",
        )

    def goal(ours: str, other: str, most: float) -> tuple[str, ...]:
        share = f"{times[ours]['median'] / times[other]['median']:.2f}"
        both = {ours, other} <= set(counts)
        instructions = f"{counts[ours] / counts[other]:.2f}" if both else ""
        return _GOAL_NAMES[ours, other], share, instructions, f"{most}"

    def median(name: str) -> Any:
        return times[name]["median"]

    certificates = counts[cold.FLOOR] - counts[cold.FLOOR_FOLDER]
    return {
        "cold_table": _table(row(name) for name in _COLD_NAMES if name in times),
        "cold_picture": "; ".join(
            f"{name} {time:.0f} ms"
            for name, time in sorted(medians.items(), key=lambda one: one[1])
        ),
        "cold_goals": _table(goal(*one) for one in cold.GOALS if {one[0], one[1]} <= set(times)),
        "not_measured": "".join(
            f"\nNot measured: {name}, since {reason}.\n"
            for name, reason in measured["skipped"].items()
        ),
        "over_floor_folder": median(cold.OURS) / median(cold.FLOOR_FOLDER),
        "certificate_ms": median(cold.FLOOR) - median(cold.FLOOR_FOLDER),
        "over_requests_ms": median(cold.OURS) - median(cold.REQUESTS),
        "certificate_share": certificates / counts[cold.FLOOR],
        "certificate_share_of_ours": certificates / counts[cold.OURS],
    }


def _storms(storms: Any) -> dict[str, Any]:
    def texts(run: Any) -> str:
        return " or ".join(sorted({f"{phone['texts']:,}" for phone in run["phones"].values()}))

    rows = []
    for run in storms["emulator"]:
        memory = ", ".join(f"{name} {mb:.0f} MB" for name, mb in sorted(run["memory_mb"].items()))
        where = "emulator" + (f", {run['special']}" if run["special"] else "")
        rows.append((f"{run['files']:,}", where, texts(run), f"{run['seconds']:.0f} s", memory))
    for run in storms["code"]:
        flushes = f" ({run['flushes']} flushes)" if run["flushes"] > 1 else ""
        rows.append(
            (
                f"{run['files']:,}",
                "the handler's code",
                texts(run) + flushes,
                f"{run['microseconds_per_file']:.0f} µs a file",
                f"a flush takes {run['peak_mb_of_a_flush']:.0f} MB",
            )
        )
    return {
        "storm_table": _table(rows),
        "lost_answers": max(run["lost_answers"] for run in storms["emulator"]),
    }


def _inside(measured: Any) -> dict[str, Any]:
    def row(what: str, read: Any) -> tuple[str, ...]:
        return (
            what,
            f"{read['cpu_seconds']:.3f}",
            f"{read['cpu_seconds_of_zgrep']:.3f}",
            f"{read['ratio']:.2f}",
            f"{inside.GOAL}",
            f"{read['peak_mb']:.0f} MB",
            f"{read['grown_mb']:.1f} MB",
        )

    return {
        "inside_table": _table(
            (
                row(f"{measured['log_mb']} MB", measured["plain"]),
                row(f"its gzip, {measured['gzip_mb']:.0f} MB", measured["gzip"]),
            )
        ),
        "get_dollars": 1000 * prices.S3_GET,
    }


def _package(built: Any) -> dict[str, Any]:
    by = " and ".join(built["built_by"])
    many = len(built["built_by"]) > 1
    builds = f"by {'the builds' if many else 'one build'} of Python {by}"
    skipped = [f"not by {name}: {reason}" for name, reason in built["skipped"].items()]
    return {
        "builds": "; ".join([builds, *skipped]),
        "is_same": "the same" if built["same_bytes_everywhere"] else "NOT the same",
    }


def _outages(runs: Any) -> dict[str, Any]:
    def row(run: Any) -> tuple[str, ...]:
        return (
            f"{run['logs']:,}",
            f"{run['flush_minutes']} min",
            f"{run['requests_to_sqs']:,}",
            f"{run['requests_to_the_table']:,}",
            f"${run['dollars']:.2f}",
        )

    return {
        "outage_table": _table(map(row, runs)),
        "most_receives": max(run["most_receives_of_a_message"] for run in runs),
    }


def _months(found: Any, runs: Any) -> dict[str, Any]:
    instant, digest, outage = runs[INSTANT], runs[DIGEST], runs[OUTAGE]
    flushes = month.HOUR / month.FLUSH_EVERY
    capacity = found["one_flush_keeps_up_to"]["most_logs_a_month"]

    def cell(run: Any) -> str:
        grows = " (its queue grows)" if run["held_at_the_end"] > MAX_MESSAGES else ""
        return f"{run['texts_a_month']:,}, ${run['dollars_a_month']['all']:,.0f}{grows}"

    def row(name: str, volume: int) -> tuple[str, ...]:
        one_each = month.alternatives(volume)["one text per file"]
        return name, cell(instant[name]), cell(digest[name]), f"${one_each:,.0f}"

    def costs(name: str) -> list[float]:
        return sorted(
            runs[scenario][name]["dollars_a_month"]["all"] for scenario in (INSTANT, DIGEST)
        )

    first, last = next(iter(VOLUMES)), list(VOLUMES)[-1]
    each = {name: month.alternatives(VOLUMES[name])["one text per file"] for name in (first, last)}
    parts = instant["100 million"]["dollars_a_month"]
    largest = sorted(set(parts) - {"all", "Twilio"}, key=lambda name: -parts[name])[:4]
    waits = [outage[name]["seconds_to_text"]["p99"] for name in list(VOLUMES)[:4]]
    texts_in_outage = outage["1 million"]["texts_a_month"] / instant["1 million"]["texts_a_month"]
    return {
        "month_table": _table(row(*one) for one in VOLUMES.items()),
        "cost_picture": (
            f"one text per file grows from {each[first]:,.0f} to {each[last]:,.0f} dollars, "
            f"ours from {costs(first)[0]:,.0f} to {costs(first)[-1]:,.0f} dollars "
            f"to {costs(last)[0]:,.0f} to {costs(last)[-1]:,.0f}"
        ),
        "parts": ", ".join(f"{name} ${parts[name]:,.0f}" for name in largest),
        "dynamodb_share": instant[last]["dollars_a_month"]["DynamoDB"]
        / instant[last]["dollars_a_month"]["all"],
        "flush_metrics": round(
            found["idle_dollars_a_month"]["CloudWatch metrics"] / prices.METRIC_MONTH
        ),
        "alarm_dollars": month.ALARMS * prices.ALARM_MONTH,
        "flush_dollars": sum(
            found["idle_dollars_a_month"][name] for name in ("Lambda", "Scheduler")
        ),
        "instant_logs": LIMITS["max_texts_per_hour"] * month.HOURS / 1000,
        "digest_share": digest["10 million"]["texts_a_month"]
        / instant["10 million"]["texts_a_month"],
        "an_hours_expectation_dollars": runs[EXPECTING]["10 thousand"]["dollars_a_month"]["all"]
        - instant["10 thousand"]["dollars_a_month"]["all"],
        "texts_in_outage": texts_in_outage,
        "shortest_outage_wait": min(waits),
        "longest_outage_wait": max(waits),
        "caught_up_an_hour": MAX_MESSAGES * flushes - VOLUMES["100 million"] / month.HOURS,
        "not_simulated": outage[last]["skipped"],
        "capacity_millions": capacity / 1e6,
        "capacity_every_minute_millions": capacity / 1e6 * LIMITS["flush_minutes"],
        "logs_an_hour": VOLUMES[last] / month.HOURS,
        "logs_a_second": VOLUMES[last] / month.HOURS / month.HOUR,
    }


def write(results: Mapping[str, Any]) -> list[Path]:
    """Write the figures into the documents. Return the documents that changed.

    Raises:
        ReportError: A document lacks a sentence, or has it twice.
    """
    written = documents(results)
    changed = differing(written)
    for path in changed:
        path.write_text(written[path])
    return changed


def differing(written: Mapping[Path, str]) -> list[Path]:
    """Return the documents whose files have another text."""
    return [path for path, text in written.items() if path.read_text() != text]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one differs")
    is_check = parser.parse_args().check
    results = json.loads(RESULTS.read_text())
    try:
        changed = differing(documents(results)) if is_check else write(results)
    except ReportError as error:
        sys.exit(str(error))
    for path in changed:
        sys.stderr.write(f"{'Differs' if is_check else 'Wrote'}: {path.relative_to(ROOT)}\n")
    if is_check and changed:
        sys.exit("To write the figures of bench/results.json: .venv/bin/python -m bench.report")


if __name__ == "__main__":
    main()
