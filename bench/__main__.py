"""Measure everything, print it, and keep it in bench/results.json and docs/scale-*.png."""

import argparse
import datetime
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from stack.requirements import missing_requirement

try:
    from rich.console import Console
    from rich.table import Table

    from bench import cold, deploy, inside, month, plots, routing, storms, upload, warm
except ModuleNotFoundError as error:
    sys.exit(missing_requirement(error, "bench", "make bench"))


RESULTS = Path(__file__).parent / "results.json"

PARTS = {
    "cold": cold.measure,
    "warm": warm.measure,
    "routing": routing.measure,
    "inside": inside.measure,
    "deploy": deploy.measure,
    "upload": upload.measure,
    "storms": storms.measure,
    "month": month.measure,
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"only these: {', '.join(PARTS)}")
    chosen = parser.parse_args().parts or list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"there is no {', '.join(unknown)}")
    found: dict[str, Any] = {
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "python": platform.python_version(),
    }
    for part in chosen:
        sys.stderr.write(f"Measuring: {part} ...\n")
        found[part] = PARTS[part]()
    if "month" in found:
        found["one_flush_keeps_up_to"] = month.flush_capacity()
        found["idle_dollars_a_month"] = month.idle()
    show(found)
    if len(chosen) == len(PARTS):
        RESULTS.write_text(json.dumps(found, indent=2) + "\n")
        for drawn in plots.draw(found):
            sys.stderr.write(f"Drew {drawn.name}\n")


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table("what", "measured", "against", title=f"{found['machine']}, {found['python']}")
    _show_cold(table, found.get("cold", {}))
    if "warm" in found:
        warm_result = found["warm"]
        table.add_row(
            "warm text",
            f"{warm_result['milliseconds_per_text']} ms",
            f"the wire {warm_result['milliseconds_on_the_wire']} ms, "
            f"{warm_result['connections_of_ours']} connections for {warm_result['events']} events",
        )
    if "routing" in found:
        routed = found["routing"]
        table.add_row(
            f"routing, {routed['routes']} routes of {routed['phones_a_route']} phones",
            f"{routed['microseconds_per_file']} µs a file",
            f"the goal: {routing.GOAL_MICROSECONDS} µs at most",
        )
    for kind in ("plain", "gzip") if "inside" in found else ():
        read = found["inside"][kind]
        table.add_row(
            f"a log of {found['inside']['log_mb']} MB, {kind}",
            f"{read['cpu_seconds']} s of a CPU, {read['peak_mb']} MB ({read['grown_mb']} for it)",
            f"zgrep {read['cpu_seconds_of_zgrep']} s; the goal: {inside.GOAL} times that at most",
        )
    if "deploy" in found:
        built = found["deploy"]
        table.add_row(
            "package",
            f"{built['seconds_cold']} s cold, {built['milliseconds_cached']} ms cached",
            ("the same" if built["same_bytes_everywhere"] else "DIFFERENT")
            + f" bytes of Python {', '.join(built['built_by'])}",
        )
        for other, reason in built["skipped"].items():
            table.add_row(f"package, by {other}", "-", reason)
    if "upload" in found:
        times = found["upload"]["milliseconds"]
        parts = ", ".join(f"{name} {ms}" for name, ms in found["upload"]["of_these"].items())
        table.add_row("upload to text, p50, p99", f"{times['p50']}, {times['p99']} ms", parts)
    for where, runs in found.get("storms", {}).items():
        for run in runs:
            phone = next(iter(run["phones"].values()))
            resources = (
                f"{run['seconds']} s, {run['memory_mb']} MB"
                if "seconds" in run
                else f"{run['microseconds_per_file']} µs a file, "
                f"a flush takes {run['peak_mb_of_a_flush']} MB"
            )
            table.add_row(
                f"storm of {run['files']:,}, {where}", f"{phone['texts']} texts", resources
            )
    for run in found.get("month", []):
        what = f"{run['logs_a_month']:,} logs, {run['scenario']}"
        if "skipped" in run:
            table.add_row(what, "-", run["skipped"])
            continue
        cost = run["dollars_a_month"]
        other = month.alternatives(run["logs_a_month"])["one text per file"]
        delays = run["seconds_to_text"]
        table.add_row(
            what,
            f"{run['texts_a_month']:,} texts, p50 {delays['p50']} s, p99 {delays['p99']} s, "
            f"{run['held_at_the_end']:,} held at the end",
            f"${cost['all']:,} ({cost['Twilio']:,} for texts); one text per file ${other:,}",
        )
    if "idle_dollars_a_month" in found:
        idle = found["idle_dollars_a_month"]
        parts = ", ".join(f"{name} {dollars}" for name, dollars in idle.items() if name != "all")
        table.add_row("a month in which nothing happens", f"${idle['all']}", parts)
    Console(width=150).print(table)


def _show_cold(table: Table, measured: dict[str, Any]) -> None:
    times, counts = measured.get("milliseconds", {}), measured.get("instructions", {})
    for name, one in times.items():
        notes = [f"{counts[name]:,} million instructions"] if name in counts else []
        if size := measured["megabytes_zipped"].get(name):
            notes.append(f"{size} MB zipped")
        table.add_row(
            f"cold start, {name}",
            f"{one['median']} ms ({one['low']} to {one['high']})",
            ", ".join(notes),
        )
    for ours, other, goal in cold.GOALS:
        if not {ours, other} <= set(times):
            continue
        share = f"{times[ours]['median'] / times[other]['median']:.2f}"
        if {ours, other} <= set(counts):
            share += f", in instructions {counts[ours] / counts[other]:.2f}"
        table.add_row(f"cold start, {ours} over {other}", share, f"the goal: {goal} at most")
    for name, reason in measured.get("skipped", {}).items():
        table.add_row(f"cold start, {name}", "-", reason)


if __name__ == "__main__":
    main()
