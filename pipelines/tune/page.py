"""The page about a tuning: from its outcome to what `eval.report.front` draws."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.report.front import Point, Searched, write_front
from pipelines.tune.profile import command_line
from pipelines.tune.tuning import Outcome

__all__ = ["write_page"]


def write_page(path: Path, outcome: Outcome, arguments: Sequence[str], profile: Path) -> None:
    """Write the page.

    Args:
        path: the file; it is replaced whole, or not at all.
        outcome: what tuning came to.
        arguments: of the command.
        profile: where the chosen settings were written.

    Raises:
        ExtraMissing, UsageError: as `eval.report.front.write_front`.
    """
    best = {each.number for each in outcome.front}
    ended = [each for each in outcome.trials if each.figures]
    points = [Point(each.number, *each.means, each.number in best, each.settings) for each in ended]
    searched = Searched(
        points=points,
        given=outcome.given.number,
        chosen=outcome.chosen.number,
        goal=str(outcome.goal),
        met=outcome.met,
        least_recall=outcome.goal.least_recall,
        most_tokens=outcome.goal.max_tokens,
        failed=len(outcome.trials) - len(ended),
        tuned_on=outcome.tuned_on,
        gain=outcome.gain,
        left_out=len(outcome.left_out),
        command=command_line(arguments),
        profile=str(profile),
    )
    write_front(path, searched)
