"""What `rag eval tune` prints for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.tune.tuning import Outcome

__all__ = ["print_tuned"]

_TITLES = {"recall": "recall", "iou": "IoU", "tokens": "tokens"}


def print_tuned(console: Console, outcome: Outcome, payload: Mapping[str, Any]) -> None:
    """What was chosen, what it changes, and what that is worth on questions it never saw."""
    failed = f" ({payload['failed']} failed)" if payload["failed"] else ""
    console.print(
        f"{payload['trials']} trials{failed} on {payload['tune']['n']} questions; "
        f"{len(outcome.front)} of them no other beats"
    )
    console.print(f"wanted: {outcome.goal}")
    if not outcome.met:
        console.print("no trial does that: this is the one that comes nearest")
    console.print(f"chosen: trial {outcome.chosen.number}{_changes(outcome)}")
    console.print()
    console.print(_figures(outcome, payload))
    console.print("real: the 95 % interval of the paired difference leaves out nought")
    if outcome.worse and outcome.goal.keeps_recall:
        lost = " and ".join(_TITLES[each] for each in outcome.worse)
        console.print(
            f"on questions it never saw the choice loses {lost}: keep the settings as they were, "
            "or tune on more questions, about more documents"
        )
    for line in _remarks(payload):
        console.print(line)
    console.print(f"wrote {payload['profile']}: use it with --profile {payload['profile']}")
    if payload["report"]:
        console.print(f"wrote {payload['report']}")


def _changes(outcome: Outcome) -> str:
    given = outcome.given.settings
    changed = {key: value for key, value in outcome.chosen.settings.items() if value != given[key]}
    if not changed:
        return ", the settings as they were given: no gain was more than chance may bring"
    return "".join(f"\n  {key} = {value} (was {given[key]})" for key, value in changed.items())


def _figures(outcome: Outcome, payload: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for column in ("tuned on", "reported on", "difference", "95 % interval"):
        table.add_column(column, justify="right")
    table.add_column("")
    sides = (payload["tune"], payload["test"])
    table.add_row("questions", *(str(side["n"]) for side in sides))
    for each in outcome.gain:
        name = each.figure
        table.add_row(
            _TITLES[name],
            *(
                f"{_shown(name, s['before'][name])} -> {_shown(name, s['after'][name])}"
                for s in sides
            ),
            _shown(name, each.difference, sign=True),
            f"{_shown(name, each.interval.low, sign=True)} to "
            f"{_shown(name, each.interval.high, sign=True)}",
            "real" if each.real else "not told from nought",
        )
    return table


def _remarks(payload: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    before, after = (payload["test"][each]["abstained"] for each in ("before", "after"))
    if before != after:
        found.append(
            f"{after:.1%} of these questions get no answer for want of evidence, {before:.1%} "
            "before: see selection.min_evidence"
        )
    if left_out := len(payload["left_out"]):
        found.append(f"{left_out} questions are left out: about documents that were tuned on")
    return found


def _change(name: str, before: float, after: float) -> str:
    return f"{_shown(name, before)} -> {_shown(name, after)}"


def _shown(name: str, value: float, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{value:{plus},.0f}" if name == "tokens" else f"{value * 100:{plus}.1f}"
