"""Draws the dashboard's panels with what a live Prometheus answers to their queries, where no Grafana can be had.

python -m tests.playbooks.monitoring.picture http://127.0.0.1:9090 dashboard.png [--minutes 10]
"""

import argparse
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.playbooks.monitoring import dashboard

COLUMNS = 4
STEPS = 120
MANY = 6


def ask(url: str, path: str, **parameters: object) -> list[dict[str, Any]]:
    """Return the series that a query comes to."""
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as reply:  # noqa: S310 - a Prometheus that the caller names
        found: list[dict[str, Any]] = json.load(reply)["data"]["result"]
    return found


def named(legend: str, labels: dict[str, str]) -> str:
    """Return a legend with a series' labels in it."""
    for key, value in labels.items():
        legend = legend.replace(f"{{{{{key}}}}}", value)
    return legend


def draw_stat(axes: Axes, panel: dashboard.Panel, url: str) -> None:
    """Draw the last values as text."""
    axes.axis("off")
    said = []
    for legend, query in panel.queries:
        found = ask(url, "query", query=query)
        said += [f"{named(legend, one['metric'])}: {float(one['value'][1]):.4g}" for one in found] or [f"{legend}: -"]
    axes.text(0.5, 0.45, "\n".join(said[:MANY]), ha="center", va="center", fontsize=13)


def draw_series(axes: Axes, panel: dashboard.Panel, url: str, minutes: float) -> None:
    """Draw lines over time."""
    now = time.time()
    lines = 0
    for legend, query in panel.queries:
        span = {"start": now - minutes * 60, "end": now, "step": max(1, minutes * 60 / STEPS)}
        for one in ask(url, "query_range", query=query, **span):
            moments = [(float(at) - now) / 60 for at, _ in one["values"]]
            values = [float(value) for _, value in one["values"]]
            axes.plot(moments, values, label=named(legend, one["metric"]), linewidth=1.3)
            lines += 1
    if lines:
        axes.legend(fontsize=6, loc="upper left", ncols=2 if lines > MANY else 1)
    else:
        axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
    axes.set_xlabel("minutes", fontsize=7)
    axes.set_ylabel(panel.unit, fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    axes.set_ylim(bottom=0)


def main() -> None:
    """Draw all panels."""
    parser = argparse.ArgumentParser(prog="python -m tests.playbooks.monitoring.picture")
    parser.add_argument("url")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    wanted = parser.parse_args()
    panels = list(dashboard.panels())
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(4.4 * COLUMNS, 2.6 * rows), layout="constrained")
    every = figure.subplots(rows, COLUMNS).flatten()
    for axes in every[len(panels) :]:
        axes.axis("off")
    for axes, panel in zip(every, panels, strict=False):
        axes.set_title(panel.title, fontsize=9)
        if panel.kind == "stat":
            draw_stat(axes, panel, wanted.url)
        else:
            draw_series(axes, panel, wanted.url, wanted.minutes)
    figure.savefig(wanted.picture, dpi=80)


if __name__ == "__main__":
    main()
