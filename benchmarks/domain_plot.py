"""The plot of the domain study: small multiples, with what Jadon et al. published beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["PUBLISHED", "REPAIRED", "Point", "Published", "plot"]


class Published(NamedTuple):
    """A question set of the paper with all-MiniLM; of 5 and 20 "tokens", which are sentences."""

    questions: str
    iou: tuple[float, float]
    recall: tuple[float, float]
    precision_omega: tuple[float, float]


PUBLISHED = {
    "biomedical": (
        Published("R1", (4.01, 2.02), (37.4, 63.8), (20.6, 8.5)),
        Published("Llama-70B", (4.34, 1.48), (39.8, 42.6), (27.9, 11.5)),
        Published("Qwen-32B", (4.28, 1.76), (46.9, 58.6), (24.7, 10.3)),
        Published("phi-4", (5.67, 1.82), (56.5, 58.2), (28.2, 10.4)),
    ),
    "cyber": (
        Published("R1", (4.01, 1.24), (50.2, 49.3), (20.3, 7.3)),
        Published("Llama-70B", (3.51, 1.55), (34.3, 46.8), (19.6, 8.2)),
        Published("Qwen-32B", (3.94, 1.03), (46.1, 43.2), (19.6, 7.6)),
        Published("phi-4", (3.22, 1.16), (46.3, 49.9), (20.3, 7.7)),
    ),
    "finance": (
        Published("Llama-70B", (3.37, 1.10), (35.4, 36.4), (20.5, 8.7)),
        Published("Qwen-32B", (3.01, 0.75), (41.4, 35.3), (20.5, 7.7)),
        Published("phi-4", (3.75, 0.98), (43.1, 37.7), (22.7, 8.7)),
    ),
}
"""From the authors' tables and notebooks."""

REPAIRED = Published("R1, references repaired", (5.85, 2.12), (52.5, 68.0), (27.7, 11.0))
"""PubMed with the references where their text stands, scored again; 5 and 20 sentences."""

_ROWS = (("precision_omega", "Precision-Omega"), ("iou", "IoU"), ("recall", "recall"))
_TOKENS, _SENTENCES, _THEIRS, _WORDS = "#0072b2", "#d55e00", "#7f7f7f", "#009e73"


class Point(NamedTuple):
    """One chunking of one set: means and intervals, in percent."""

    size: str
    tokens: float
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    words: float
    """Recall of BM25."""


def plot(sets: Mapping[str, Sequence[Point]], path: Path) -> None:
    """Draw every figure of every set against the length of its chunks, as SVG (or PNG).

    Args:
        sets: set name to its chunkings.
        path: where to.
    """
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "domain", "font.size": 9}):
        figure = Figure(
            figsize=(2.3 * len(sets) + 0.6, 7.4), facecolor="white", layout="constrained"
        )
        grid = figure.subplots(3, len(sets), sharex=True, sharey="row", squeeze=False)
        for column, (name, cells) in enumerate(sets.items()):
            for axis, (metric, title) in zip(grid[:, column], _ROWS, strict=True):
                _panel(axis, name, cells, metric)
                if not column:
                    axis.set_ylabel(f"{title}, %")
            grid[0, column].set_title(name, fontsize=10, fontweight="bold")
        for axis in grid[:, 0]:
            axis.set_ylim(bottom=0)  # last: it ends the scaling of its whole row
        figure.supxlabel("tokens a chunk, mean (log)", fontsize=9)
        handles = {
            text: handle
            for axis in grid.flat
            for handle, text in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=3, frameon=False
        )
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(axis: Axes, name: str, cells: Sequence[Point], metric: str) -> None:
    tokens = [cell for cell in cells if not cell.size.endswith("s")]
    sentences = [cell for cell in cells if cell.size.endswith("s")]
    if metric == "recall":
        _words(axis, tokens)
    _series(axis, tokens, metric, _TOKENS, "o", "chunks of 5 to 800 tokens")
    _series(axis, sentences, metric, _SENTENCES, "s", "chunks of 5, 10, 15, 20 sentences")
    _theirs(axis, name, sentences, metric)
    axis.set_xscale("log")
    axis.set_xticks([5, 20, 100, 500], ["5", "20", "100", "500"])
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(visible=True, alpha=0.2, linewidth=0.6)


def _series(
    axis: Axes, cells: Sequence[Point], metric: str, colour: str, mark: str, label: str
) -> None:
    if not cells:
        return
    means = [cell.means[metric] for cell in cells]
    low, high = zip(*(cell.intervals[metric] for cell in cells), strict=True)
    places = [cell.tokens for cell in cells]
    axis.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(places, means, color=colour, marker=mark, markersize=4, linewidth=1.4, label=label)


def _words(axis: Axes, cells: Sequence[Point]) -> None:
    axis.plot(
        [cell.tokens for cell in cells],
        [cell.words for cell in cells],
        color=_WORDS,
        linestyle="--",
        linewidth=1.2,
        label="BM25, chunks of tokens (recall)",
    )


def _theirs(axis: Axes, name: str, sentences: Sequence[Point], metric: str) -> None:
    """What was published for 5 and 20, at the length that so many sentences have here."""
    lengths = {cell.size: cell.tokens for cell in sentences}
    if not {"5s", "20s"} <= lengths.keys():
        return
    places = [lengths["5s"], lengths["20s"]]
    for row in PUBLISHED.get(name, ()):
        values = getattr(row, metric)
        axis.plot(
            places, values, color=_THEIRS, marker="x", markersize=5, linewidth=0.8, linestyle=":",
            label='the paper, all-MiniLM, 5 and 20 "tokens" (sentences)',
        )  # fmt: skip
    if name == "biomedical":
        axis.plot(
            places, getattr(REPAIRED, metric), color="black", marker="D", markersize=5,
            fillstyle="none", linestyle="none", label="the paper's R1 set, references repaired",
        )  # fmt: skip
