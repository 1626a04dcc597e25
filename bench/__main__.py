"""Measure speed, cost and scale, and print the results.

A run of all parts also writes `bench/results.json`, the plots in `docs/`, and the figures in the
documents. A run of some parts only prints.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import time
from typing import Any

from stack import ROOT
from stack.requirements import missing_requirement

try:
    from rich.console import Console
    from rich.table import Table

    from bench import (
        cold,
        demo,
        deploy,
        inside,
        month,
        outage,
        plots,
        report,
        routing,
        storms,
        upload,
        warm,
    )
except ModuleNotFoundError as error:
    sys.exit(missing_requirement(error, "bench", "make bench"))


PARTS = {
    "cold": cold.measure,
    "warm": warm.measure,
    "routing": routing.measure,
    "inside": inside.measure,
    "deploy": deploy.measure,
    "upload": upload.measure,
    "demo": demo.measure,
    "storms": storms.measure,
    "month": month.measure,
    "outage": outage.measure,
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
        started = time.monotonic()
        found[part] = PARTS[part]()
        sys.stderr.write(f"Measured {part} in {time.monotonic() - started:.0f} s\n")
    if "month" in found:
        found["one_flush_keeps_up_to"] = month.flush_capacity()
        found["idle_dollars_a_month"] = month.idle()
    show(found)
    if len(chosen) == len(PARTS):
        report.RESULTS.write_text(json.dumps(found, indent=2) + "\n")
        for written in (*plots.draw(found), *report.write(found)):
            sys.stderr.write(f"Wrote {written.relative_to(ROOT)}\n")


def show(found: dict[str, Any]) -> None:
    """Print the results."""
    table = Table("", "measured", "compared with", title=f"{found['machine']}, {found['python']}")
    _show_cold(table, found.get("cold", {}))
    if "warm" in found:
        warm_result = found["warm"]
        table.add_row(
            "warm text",
            f"{warm_result['milliseconds_per_text']} ms",
            f"the network {warm_result['milliseconds_on_the_wire']} ms, "
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
            f"{read['cpu_seconds']} s of a CPU, {read['peak_mb']} MB "
            f"({read['grown_mb']} for the log)",
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
    if "demo" in found:
        shown = found["demo"]
        table.add_row(
            f"demo, {shown['resources']} resources",
            f"{shown['seconds_to_deploy']} s to deploy, {shown['seconds_to_text']} s to the text",
            f"{shown['seconds']} s in all",
        )
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
                ", ".join(filter(None, (f"storm of {run['files']:,}", where, run.get("special")))),
                f"{phone['texts']} texts",
                resources,
            )
    _show_months(table, found)
    Console(width=150).print(table)


def _show_months(table: Table, found: dict[str, Any]) -> None:
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
    for run in found.get("outage", []):
        table.add_row(
            f"{run['days']} days without Twilio, {run['logs']:,} logs, "
            f"a flush every {run['flush_minutes']} min",
            f"{run['requests_to_sqs']:,} requests to SQS, {run['requests_to_the_table']:,} to the "
            "table",
            f"${run['dollars']}",
        )
    if "idle_dollars_a_month" in found:
        idle = found["idle_dollars_a_month"]
        parts = ", ".join(f"{name} {dollars}" for name, dollars in idle.items() if name != "all")
        table.add_row("a month without a log", f"${idle['all']}", parts)


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
