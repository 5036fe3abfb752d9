"""The page about a search of settings: every trial, the front of those that no other beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.compare import Difference
from eval.files import writing_whole
from eval.report.plots import COLOURS, INK, as_svg, new_figure
from eval.report.template import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Point", "Searched", "edge", "require_plots", "scatter", "write_front"]

_FAINT, _FRONT, _GIVEN, _CHOSEN = COLOURS[7], COLOURS[0], COLOURS[1], COLOURS[2]


@dataclass(frozen=True, slots=True)
class Point:
    """One trial: means over the questions that were tuned on, and what it set.

    Args:
        number: in the order of trying.
        recall: share of the references that was kept.
        iou: of what was kept and the references.
        tokens: of what was kept.
        front: whether no other trial beats it.
        settings: what it set, by dotted key.
    """

    number: int
    recall: float
    iou: float
    tokens: float
    front: bool
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Searched:
    """What the page tells.

    Args:
        points: every trial that did not fail, in order.
        given: the number of the one with the settings as they were given.
        chosen: the number of the one that was chosen.
        goal: what was wanted, in words.
        met: whether the chosen one does it.
        least_recall: what of it is a recall; 0 for none.
        most_tokens: what of it is a number of tokens; None for none.
        failed: how many trials failed.
        tuned_on: how many questions were tuned on.
        gain: of figures on other questions, chosen against given.
        left_out: how many questions were not reported on, being about documents tuned on.
        command: what was typed.
        profile: where the chosen settings were written.
    """

    points: Sequence[Point]
    given: int
    chosen: int
    goal: str
    met: bool
    least_recall: float
    most_tokens: float | None
    failed: int
    tuned_on: int
    gain: Sequence[Difference]
    left_out: int
    command: str
    profile: str

    @property
    def front(self) -> list[Point]:
        """The trials that no other beats, fewest tokens first."""
        return sorted((p for p in self.points if p.front), key=lambda p: (p.tokens, p.number))

    def point(self, number: int) -> Point:
        """The trial of that number."""
        return next(each for each in self.points if each.number == number)

    @property
    def varied(self) -> list[str]:
        """The settings that are not the same in every trial."""
        given = self.point(self.given).settings
        return [key for key in given if any(p.settings[key] != given[key] for p in self.points)]


def write_front(path: Path, searched: Searched) -> None:
    """Write the page; it is replaced whole, or not at all.

    Raises:
        ExtraMissing: the plotting library is not installed.
        UsageError: the file cannot be written.
    """
    content = {
        "searched": searched,
        "plots": scatter(searched),
        "colours": {"faint": _FAINT, "front": _FRONT, "given": _GIVEN, "chosen": _CHOSEN},
    }
    with writing_whole(path) as stream:
        stream.write(render("front.html.j2", content))


def require_plots() -> None:
    """Refuse to begin where nothing can be drawn in the end.

    Raises:
        ExtraMissing: the plotting library is not installed.
    """
    new_figure(1, 1)


def scatter(searched: Searched) -> list[str]:
    """Two plots of every trial: recall against tokens, and IoU against recall."""
    narrowing, left = new_figure(5.2, 3.9)
    trade, right = new_figure(5.2, 3.9)
    _draw(left, searched, lambda p: (max(p.tokens, 1.0), 100 * p.recall), fewer_is_better=True)
    _draw(right, searched, lambda p: (100 * p.recall, 100 * p.iou), fewer_is_better=False)
    least = max(100 * min(each.recall for each in searched.points) - 8, 0)
    left.set(xscale="log", xlabel="tokens a question", ylabel="recall, %", ylim=(least, 104))
    left.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    right.set(xlabel="recall, %", ylabel="IoU, %", xlim=(least, 104))
    right.set_ylim(bottom=0)
    limit: dict[str, Any] = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3)), "alpha": 0.6}
    if searched.least_recall:
        left.axhline(100 * searched.least_recall, **limit)
        right.axvline(100 * searched.least_recall, **limit)
    if searched.most_tokens:
        left.axvline(searched.most_tokens, **limit)
    return [as_svg(narrowing, "recall against tokens"), as_svg(trade, "IoU against recall")]


def _draw(
    axis: Axes,
    searched: Searched,
    place: Callable[[Point], tuple[float, float]],
    *,
    fewer_is_better: bool,
) -> None:
    """Every trial where `place` puts it; a line through those that no other beats in both."""
    beaten = [place(each) for each in searched.points if not each.front]
    front = [place(each) for each in searched.front]
    axis.plot(*_columns(beaten), "o", color=_FAINT, markersize=4, alpha=0.45, markeredgewidth=0)
    axis.plot(*_columns(front), "o", color=_FRONT, markersize=5)
    line = edge(front, fewer_is_better=fewer_is_better)
    axis.plot(
        *_columns(line), color=_FRONT, linewidth=1.2,
        drawstyle="steps-post" if fewer_is_better else "steps-pre",
    )  # fmt: skip
    same = searched.given == searched.chosen
    given = place(searched.point(searched.given))
    axis.plot(*given, "s", color=_GIVEN, markersize=8)
    # Away from the front, and from each other.
    _label(axis, "as given, and chosen" if same else "as given", given, -13, fewer_is_better)
    if not same:
        chosen = place(searched.point(searched.chosen))
        axis.plot(*chosen, "D", color=_CHOSEN, markersize=8)
        _label(axis, "chosen", chosen, 9, not fewer_is_better)


def edge(
    places: Sequence[tuple[float, float]], *, fewer_is_better: bool
) -> list[tuple[float, float]]:
    """Those beaten by no other in the two figures that are drawn, from left to right."""
    best = float("-inf")
    kept: list[tuple[float, float]] = []
    ordered = sorted(places, key=lambda at: (at[0] if fewer_is_better else -at[0], -at[1]))
    for at in ordered:
        if at[1] > best:
            best = at[1]
            kept.append(at)
    return sorted(kept)


def _columns(places: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def _label(axis: Axes, text: str, at: tuple[float, float], above: float, right: bool) -> None:
    axis.annotate(
        text,
        at,
        (7 if right else -7, above),
        textcoords="offset points",
        ha="left" if right else "right",
        fontsize=9,
        fontweight="bold",
        color=INK,
    )
