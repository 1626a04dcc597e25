"""The plots in docs/scale.md, drawn from the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from bench import cold, month, prices
from handler.held_messages import MAX_MESSAGES
from stack import ROOT

FOLDER = ROOT / "docs"
_STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "figure.dpi": 110,
    "font.size": 10,
}


def draw(found: Mapping[str, Any]) -> list[Path]:
    """Draw the plots of the measured parts. Return their files."""
    mpl.use("Agg")
    with plt.rc_context(_STYLE):
        drawn = []
        if "cold" in found:
            drawn.append(_cold(found["cold"]))
        if "month" in found:
            drawn += [_cost(found["month"]), _delay(found["month"])]
        return drawn


def _cold(measured: Mapping[str, Any]) -> Path:
    times = measured["milliseconds"]
    names = sorted(times, key=lambda name: -times[name]["median"])
    figure, axes = plt.subplots(figsize=(8, 3.4))
    medians = [times[name]["median"] for name in names]
    errors = [
        [times[name]["median"] - times[name]["low"] for name in names],
        [times[name]["high"] - times[name]["median"] for name in names],
    ]
    colours = ["#1d4fd7" if name == cold.OURS else "#b4bccb" for name in names]
    bars = axes.barh(names, medians, xerr=errors, color=colours, ecolor="#555c68")
    axes.bar_label(bars, [f"  {median:.0f} ms" for median in medians])
    axes.set_title("From a new process to the first byte of the request to Twilio")
    axes.set_xlim(0, max(medians) * 1.2)
    return _saved(figure, "scale-cold-start.png")


def _cost(simulated: list[Mapping[str, Any]]) -> Path:
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for scenario, volumes, runs in _by_scenario(simulated):
        if scenario.startswith("steady"):
            axes.plot(
                volumes, [run["dollars_a_month"]["all"] for run in runs], marker="o", label=scenario
            )
    volumes = list(month.VOLUMES)
    for name in month.alternatives(1):
        axes.plot(
            volumes,
            [month.alternatives(volume)[name] for volume in volumes],
            "--",
            label=name,
            alpha=0.7,
        )
    axes.set(xscale="log", yscale="log", xlabel="logs a month", ylabel="dollars a month")
    axes.set_title(f"What a month costs, texts to one phone included (prices of {prices.SEEN})")
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    return _saved(figure, "scale-cost.png")


def _delay(simulated: list[Mapping[str, Any]]) -> Path:
    figure, axes = plt.subplots(figsize=(8, 4.2))
    # While a queue grows, later delays are longer than those so far.
    without_backlog = [run for run in simulated if run.get("held_at_the_end", 0) < MAX_MESSAGES]
    for number, (scenario, volumes, runs) in enumerate(_by_scenario(without_backlog)):
        for share, line in (("p50", "-"), ("p99", ":")):
            axes.plot(
                volumes,
                [max(0.5, run["seconds_to_text"][share]) for run in runs],
                line,
                color=f"C{number}",
                marker="o",
                label=f"{scenario}, {share}",
            )
    axes.set(xscale="log", yscale="log", xlabel="logs a month", ylabel="seconds")
    axes.set_title("From the upload to the text about it")
    axes.legend(frameon=False, fontsize=8, bbox_to_anchor=(1.01, 1), loc="upper left")
    axes.grid(alpha=0.25)
    return _saved(figure, "scale-delay.png")


def _by_scenario(simulated: list[Mapping[str, Any]]) -> list[tuple[str, list[int], list[Any]]]:
    found = []
    for scenario in month.SCENARIOS:
        if scenario.expect:
            continue  # its line would hide the one of the scenario without it
        runs = [
            run for run in simulated if run["scenario"] == scenario.name and "skipped" not in run
        ]
        found.append((scenario.name, [run["logs_a_month"] for run in runs], runs))
    return found


def _saved(figure: Any, name: str) -> Path:
    figure.savefig(FOLDER / name, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return FOLDER / name
