"""Plots as SVG that takes its colours from the page around it, so that light and dark both read well."""

import hashlib
import io
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.typing import RcKeyType

from nodestack.planning.result import RankBudget
from nodestack.rendering.memory_bar import extent_bytes, parts
from nodestack.rendering.units import GIB

# The first plot on a machine takes seconds, which matplotlib would say on standard error.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

# Matplotlib wants real colours: each stands for a variable of the page's style sheet and is replaced by it at the end.
COLOURS = {
    "ink": "#010101",
    "faint": "#020202",
    "ours": "#030303",
    "naive": "#040404",
    "measured": "#050505",
    "bad": "#060606",
    "overhead": "#080808",
    "kv": "#090909",
    "free": "#0a0a0a",
    "weights-0": "#0b0b0b",
    "weights-1": "#0c0c0c",
    "weights-2": "#0d0d0d",
}
STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nodestack",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.edgecolor": COLOURS["faint"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": COLOURS["ink"],
    "ytick.color": COLOURS["ink"],
    "grid.color": COLOURS["faint"],
    "grid.alpha": 0.35,
    "axes.grid": True,
    "axes.axisbelow": True,
    "patch.linewidth": 0,
    "legend.frameon": False,
    "lines.linewidth": 2,
}
WIDE, NARROW = (8.6, 3.8), (4.2, 4.4)
"""Inches; a page shows the one that its reader's screen has room for, so that letters keep their size."""


@dataclass(frozen=True)
class Line:
    """Points of one line.

    Attributes:
        name: For the legend.
        colour: A key of COLOURS.
        points: x and y.
        dashed: Whether it is drawn so.
        marked: Whether its points are drawn as dots without a line.
    """

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    marked: bool = False


@dataclass(frozen=True)
class Mark:
    """A line across a plot: `y` from left to right, or `x` from bottom to top."""

    text: str
    colour: str
    x: float | None = None
    y: float | None = None


def memory_bar(rank: RankBudget, size: tuple[float, float]) -> str:
    """Return the memory of a GPU as one bar, with names beside its parts."""
    width, height = size[0], 1.9 if size == WIDE else 2.9
    with _figure((width, height)) as (figure, axes):
        for index, part in enumerate(parts(rank)):
            named = {"weights": f"weights-{index % 3}", "lacking": "bad"}.get(part.kind, part.kind)
            # What lacks lies over what does not fit, so it is a thin strip.
            height = 0.2 if part.kind == "lacking" else 0.8
            label = f"{part.name} {part.size_bytes / GIB:.1f}"
            width, left = part.size_bytes / GIB, part.start_bytes / GIB
            axes.barh(0, width, height, left, color=COLOURS[named], label=label)
        axes.axvline(rank.visible_bytes / GIB, color=COLOURS["ink"], linewidth=1.5)
        axes.set(yticks=[], xlim=(0, extent_bytes(rank) / GIB * 1.01), xlabel="GiB of one GPU")
        axes.grid(visible=False)
        axes.spines["left"].set_visible(False)
        _legend(figure, 5 if size == WIDE else 2)
        return _svg(figure)


def concurrency_plot(lines: Sequence[Line], size: tuple[float, float]) -> str:
    """Return sequences held at once against context length, both on logarithmic scales."""
    with _figure(size) as (figure, axes):
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        _lines(axes, lines)
        lengths = sorted({x for line in lines for x, _ in line.points})
        every = 1 if size == WIDE else 2
        axes.set_xticks(lengths[::every], [f"{length / 1024:g}k" for length in lengths[::every]])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="tokens of a sequence", ylabel="sequences held at once")
        _legend(figure, 3 if size == WIDE else 1)
        return _svg(figure)


def cost_plot(lines: Sequence[Line], marks: Sequence[Mark], size: tuple[float, float], highest: float) -> str:
    """Return USD per million output tokens against utilisation, up to `highest`."""
    with _figure(size) as (figure, axes):
        _lines(axes, lines)
        for mark in marks:
            if mark.y is not None:
                axes.axhline(mark.y, color=COLOURS[mark.colour], linestyle=":", label=mark.text)
            if mark.x is not None:
                axes.axvline(mark.x, color=COLOURS[mark.colour], linestyle=":", label=mark.text)
        axes.set(xlim=(0, 1), ylim=(0, highest), xlabel="share of full use", ylabel="USD per million output tokens")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.0f} %"))
        _legend(figure, 3 if size == WIDE else 1)
        return _svg(figure)


def _legend(figure: Figure, columns: int) -> None:
    figure.legend(loc="outside upper left", ncols=columns, handlelength=1.4, columnspacing=1.4, labelspacing=0.3)


def _lines(axes: Axes, lines: Sequence[Line]) -> None:
    for line in lines:
        x, y = zip(*line.points, strict=True)
        stroke = "none" if line.marked else "--" if line.dashed else "-"
        marker = "D" if line.marked else "none"
        axes.plot(x, y, color=COLOURS[line.colour], label=line.name, linestyle=stroke, marker=marker, markersize=8)


@contextmanager
def _figure(size: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        yield figure, figure.subplots()


def _svg(figure: Figure) -> str:
    """Return the figure as an element of a page: without prologue, fixed size, font and fixed colours."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.S)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1 role="presentation" aria-hidden="true"', svg, count=1)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    # Names in a page must differ, those of two figures would not.
    prefix = hashlib.sha256(svg.encode()).hexdigest()[:8]
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>f{prefix}-", svg)
