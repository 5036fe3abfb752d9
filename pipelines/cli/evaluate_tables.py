"""What the `rag eval` commands print for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from eval.runs import Run
    from eval.score import RunScores, Scores
    from eval.stats import Interval
    from pipelines.train.fit import Fitted

__all__ = ["print_differences", "print_fitted", "print_run", "print_scores"]

_TITLES = {
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "precision_omega": "P-omega",
}
_PERCENT = frozenset(_TITLES)


def print_run(console: Console, run: Run, scores: RunScores, path: Path) -> None:
    """The stages of a run, then everything else that was measured."""
    header = run.header
    side = "" if header.split == "all" else f", {header.split} split"
    console.print(
        f"{header.label}: {scores.n} questions{side}, {len(run.documents)} documents, "
        f"{len(run.chunks)} chunks, settings {header.config_hash}"
    )
    console.print()
    console.print(_stage_table(scores))
    console.print("percent, 95 % intervals, per character; tokens and ms are means of a question")
    _print_corpora(console, scores)
    for title, group in (
        ("ranking", scores.ranking),
        ("answers", scores.answer),
        ("grounding", scores.grounding),
    ):
        if group.ids:
            console.print(f"{title:9} {_line(group)}  (n={len(group.ids)})")
    for stage, group in scores.rounds.items():
        console.print(f"{stage:9} {_line(group)}  (n={len(group.ids)})")
    seconds = scores.cost["seconds"]
    cached = scores.cost["llm_cached"].total
    remembered = f", {cached:,.0f} of them remembered" if cached else ""
    console.print(
        f"cost      {seconds.median * 1000:,.0f} ms a question at the median, "
        f"{seconds.p95 * 1000:,.0f} at the 95th percentile; "
        f"{scores.cost['llm_calls'].total:.0f} LLM calls, "
        f"{scores.cost['llm_tokens'].total:,.0f} LLM tokens in all{remembered}"
    )
    if scores.abstained:
        console.print(f"{scores.abstained} questions got no answer for want of evidence")
    failed = sum(bool(each.failed) for each in run.questions)
    if failed:
        console.print(f"{failed} questions failed in the generator")
    for stage, count in scores.degraded.items():
        console.print(f"{count} questions went on without {stage}")
    if calibration := header.notes.get("calibration"):
        console.print(_calibration(calibration))
    console.print(f"recorded in {path}")


def print_scores(console: Console, payload: Mapping[str, Any]) -> None:
    """The scores of a retrieval."""
    unit = f"tokens of {payload['tokenizer']}" if payload["tokenizer"] else "characters"
    console.print(f"{payload['n']} questions, counted in {unit}")
    for name, title in _TITLES.items():
        if payload[name] is not None:
            low, high = payload["ci"][name]
            console.print(f"{title:16} {payload[name]:6.1%}  ({low:.1%} to {high:.1%})")
    if payload["nothing_retrieved"]:
        console.print(f"{payload['nothing_retrieved']} questions have nothing retrieved")
    if payload["unanswerable"]:
        console.print(f"{payload['unanswerable']} questions have no reference and are left out")


def print_differences(console: Console, payload: Mapping[str, Any]) -> None:
    """Two runs side by side."""
    console.print(
        f"A {payload['a']['label']} ({payload['a']['config_hash']}), "
        f"B {payload['b']['label']} ({payload['b']['config_hash']}), {payload['n']} questions"
    )
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    table.add_column("figure")
    for column in ("A", "B", "B - A", "95 % interval"):
        table.add_column(column, justify="right")
    table.add_column("")
    for each in payload["differences"]:
        low, high = each["ci"]
        table.add_row(
            each["stage"],
            _TITLES.get(each["figure"], each["figure"]),
            *(_figure(each["figure"], each[key]) for key in ("a", "b")),
            _figure(each["figure"], each["difference"], sign=True),
            f"{_figure(each['figure'], low, sign=True)} to "
            f"{_figure(each['figure'], high, sign=True)}",
            "real" if each["real"] else "unclear",
        )
    console.print(table)
    console.print("real: the 95 % interval of the paired difference leaves out nought")


def _stage_table(scores: RunScores) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage")
    for column in (*_TITLES.values(), "tokens", "ms"):
        table.add_column(column, justify="right")
    for name, stage in scores.stages.items():
        table.add_row(
            name,
            *(_with_interval(stage.means[each], stage.intervals[each]) for each in _TITLES),
            f"{stage.means['tokens']:,.0f}",
            f"{stage.means['seconds'] * 1000:,.1f}",
        )
        if "token_iou" in stage.means:
            per_token = (f"{stage.means[f'token_{each}'] * 100:.1f}" for each in _TITLES)
            table.add_row("  per token", *per_token, "", "", style="dim")
    return table


def _print_corpora(console: Console, scores: RunScores) -> None:
    if len(scores.by_corpus) < 2 or not scores.stages:
        return
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("corpus")
    table.add_column("asked", justify="right")
    for stage in scores.stages:
        table.add_column(stage, justify="right")
    for corpus, stages in scores.by_corpus.items():
        figures = (
            f"{each.means['iou'] * 100:.1f} / {each.means['recall'] * 100:.1f}"
            for each in stages.values()
        )
        count = len(next(iter(stages.values())).ids)
        table.add_row(corpus or "(none)", str(count), *figures)
    console.print(table)
    console.print("IoU / recall of every corpus", style="dim")
    console.print()


def _with_interval(value: float, interval: Interval) -> str:
    return f"{value * 100:.1f}\n{interval.low * 100:.1f}-{interval.high * 100:.1f}"


def _line(scores: Scores) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores.means.items()
    )


def _calibration(found: Mapping[str, Any]) -> str:
    target, recall = f"{found['target_recall']:.0%}", f"{found['recall']:.1%}"
    if found["reached"] and found["budget"]:
        return f"a budget of {found['budget']} tokens reached {recall} recall (target {target})"
    return (
        f"no budget reached {target} recall on the tune split: whole chunks are kept, "
        f"with {recall} there; raise retrieval.top_k"
    )


def _figure(name: str, value: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if name in _PERCENT:
        return f"{value * 100:{plus}.1f}"
    return f"{value:{plus},.0f}" if name == "tokens" else f"{value * 1000:{plus},.1f} ms"


def print_fitted(console: Console, fitted: Fitted, path: Path) -> None:
    """What fitting the scorer came to."""
    console.print(f"learned from {fitted.learned} questions, tried on {fitted.tested} others")
    for name, (before, after) in (("IoU", fitted.iou), ("recall", fitted.recall)):
        console.print(f"{name:<8}{before:.1%} -> {after:.1%}")
    verdict = "real" if fitted.gain.excludes_zero else "not told from nought"
    low, high = fitted.gain
    console.print(f"the difference in IoU is {verdict} ({low:+.1%} to {high:+.1%})")
    console.print(f"wrote {path}: use it with --set selection.scorer={path}")
