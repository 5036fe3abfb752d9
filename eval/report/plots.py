"""The plots of a report, as SVG that takes its text colour from the page around it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from eval.curves import Point
from eval.stats import Interval
from rag.errors import ExtraMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "INK", "Bar", "Curve", "as_svg", "bars", "curves", "new_figure"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7a00", "#7f7f7f")
"""Okabe and Ito's, which colour-blind people tell apart; the yellow is darkened for white paper."""

INK = "#010203"
"""Stands for the page's own colour until the plot is drawn."""

_MARKS = "osD^vPX*"


class Curve(NamedTuple):
    """The operating points of one stage of one run."""

    run: int
    points: Sequence[Point]
    last: bool
    """Whether it is the last stage of its run; the others are drawn lighter."""


class Bar(NamedTuple):
    """A mean and its interval."""

    value: float
    interval: Interval


def curves(drawn: Sequence[Curve]) -> list[str]:
    """Two plots: recall against tokens, and IoU against recall."""
    narrowing, left = new_figure(5.2, 3.7)
    trade, right = new_figure(5.2, 3.7)
    for curve in drawn:
        style: dict[str, Any] = {
            "color": COLOURS[curve.run % len(COLOURS)],
            "marker": _MARKS[curve.run % len(_MARKS)],
            "markersize": 4 if curve.last else 3,
            "linestyle": "-" if curve.last else ":",
        }
        recall = [100 * point.recall for point in curve.points]
        left.plot([point.tokens for point in curve.points], recall, **style)
        right.plot(recall, [100 * point.iou for point in curve.points], **style)
    left.set(xscale="log", xlabel="tokens a question", ylabel="recall, %", ylim=(0, 102))
    left.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    right.set(xlabel="recall, %", ylabel="IoU, %", xlim=(0, 102))
    right.set_ylim(bottom=0)
    return [as_svg(narrowing, "recall against tokens"), as_svg(trade, "IoU against recall")]


def bars(title: str, groups: Mapping[str, Sequence[Bar]], labels: Sequence[str]) -> str:
    """Horizontal bars in percent: a group a corpus, a bar a run, whiskers its interval.

    Args:
        title: what is measured.
        groups: corpus to one bar a run.
        labels: the runs.
    """
    height = 0.9 + sum(0.26 * len(labels) + 0.22 for _ in groups)
    figure, axis = new_figure(5.2, height)
    step = 0.8 / len(labels)
    for at, each in enumerate(groups.values()):
        for run, bar in enumerate(each):
            place = at - 0.4 + step * (run + 0.5)
            value, low, high = (100 * x for x in (bar.value, *bar.interval))
            axis.barh(place, value, step * 0.9, color=COLOURS[run % len(COLOURS)])
            axis.plot([low, high], [place, place], color=INK, linewidth=1)
            axis.annotate(
                f"{value:.1f}",
                (high, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
    axis.set_yticks(range(len(groups)), list(groups))
    axis.invert_yaxis()
    axis.set(xlabel=f"{title}, %")
    axis.set_xlim(0, max(axis.get_xlim()[1] * 1.12, 1))
    axis.grid(visible=False, axis="y")
    return as_svg(figure, f"{title} by corpus")


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty plot of that many inches, in the colours of the page around it.

    Raises:
        ExtraMissing: the plotting library is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ExtraMissing("matplotlib", "report") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor("none")
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_color(INK)
    axis.tick_params(colors=INK, labelsize=9)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    axis.grid(visible=True, color=INK, alpha=0.12, linewidth=0.6)
    return figure, axis


def as_svg(figure: Figure, name: str) -> str:
    """The figure as an element, the same for the same figure."""
    from matplotlib import rc_context

    stream = io.StringIO()
    # Names of its parts are hashed with a salt: two plots on a page must not share them.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif"}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    svg = text[text.index("<svg") :].replace(INK, "currentColor")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)
