"""The profile: the chosen settings as a file that `--profile` reads."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w

from eval.files import writing_whole
from pipelines.scratch import embedder_named
from pipelines.tune.choose import Means
from pipelines.tune.tuning import Outcome, given_values
from rag.settings import SECRET_OPTION, LoadedSettings, Settings

__all__ = ["command_line", "comments", "outweighed", "profile_values", "write_profile"]

_ASSIGNED = re.compile(r"(?:--set=)?([\w.]+)=(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # which TOML allows in no comment


def profile_values(
    loaded: LoadedSettings, tuned: Settings, searched: Collection[str]
) -> dict[str, dict[str, Any]]:
    """What the profile sets, group by group: all that makes the settings the tuned ones.

    That is what the run's own profile set, with what was tuned in its place, and whatever else
    decides what a generator is given and is no default, wherever it was set. No secrets.

    Args:
        loaded: the run's settings and where they come from.
        tuned: the settings to write.
        searched: dotted keys that tuning may have changed.
    """
    values, plain = embedder_named(tuned).public(), embedder_named(Settings()).public()
    wanted = {key for key, origin in loaded.origins.items() if origin.startswith("profile ")}
    wanted |= set(given_values(tuned))
    wanted |= {key for key in searched if _leaf(values, key) != _leaf(plain, key)}
    found: dict[str, dict[str, Any]] = {}
    for key in _in_order(wanted, values):
        group, _, field = key.partition(".")
        value = _leaf(values, key)
        if value is not None:
            found.setdefault(group, {})[field] = value
    return found


def outweighed(
    loaded: LoadedSettings, tuned: Settings, searched: Collection[str]
) -> dict[str, str]:
    """Tuned values that stay without effect: dotted key to what sets it and wins over a profile.

    What was given on the command line is not there the next time, and does not count.
    """
    before, after = embedder_named(loaded.settings).public(), embedder_named(tuned).public()
    return {
        key: origin
        for key, origin in loaded.origins.items()
        if key in searched
        and not origin.startswith("profile ")
        and origin != "command line"
        and _leaf(before, key) != _leaf(after, key)
    }


def write_profile(
    path: Path, values: Mapping[str, Mapping[str, Any]], comments: Sequence[str]
) -> None:
    """Write the file, whole or not at all.

    Args:
        path: where.
        values: as `profile_values` has them.
        comments: lines to stand above them.

    Raises:
        UsageError: it cannot be written there.
    """
    lines = (line for comment in comments for line in comment.splitlines() or [""])
    head = "".join(f"# {_CONTROL.sub('?', line)}".rstrip() + "\n" for line in lines)
    text = f"{head}\n{tomli_w.dumps(values)}"
    with writing_whole(path) as stream:
        stream.write(text.encode("utf-8", "replace").decode("utf-8"))


def comments(outcome: Outcome, arguments: Sequence[str]) -> list[str]:
    """What stands above the settings: how they were found, when, and what they are worth."""
    today = datetime.now(UTC).date().isoformat()
    given, chosen = outcome.given.means, outcome.chosen.means
    return [
        command_line(arguments),
        f"{today}, spanrag {version('spanrag')}, {len(outcome.trials)} trials; wanted: "
        f"{outcome.goal}" + ("" if outcome.met else "; no trial did that, this came nearest"),
        _figures("tuned on", outcome.tuned_on, given, chosen),
        _figures("reported on", len(outcome.before.ids), outcome.before.means, outcome.after.means),
    ]


def _figures(side: str, count: int, before: Means, after: Means) -> str:
    return (
        f"{side} {count} questions: "
        f"recall {before.recall:.1%} -> {after.recall:.1%}, "
        f"IoU {before.iou:.1%} -> {after.iou:.1%}, "
        f"tokens {before.tokens:,.0f} -> {after.tokens:,.0f}"
    )


def command_line(arguments: Sequence[str]) -> str:
    """The command as one would type it again, secrets left out."""
    return shlex.join(["rag", *(_without_secret(each) for each in arguments)])


def _without_secret(argument: str) -> str:
    assigned = _ASSIGNED.fullmatch(argument)
    if assigned and SECRET_OPTION.search(assigned[1].rpartition(".")[2]):
        return argument[: assigned.start(2)] + "..."
    return argument


def _leaf(values: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None where there is none, as of a secret."""
    group, _, field = key.partition(".")
    inside = values.get(group)
    return inside.get(field) if isinstance(inside, Mapping) else None


def _in_order(wanted: Collection[str], values: Mapping[str, Any]) -> Iterator[str]:
    """The keys in the order of the settings themselves."""
    for group, fields in values.items():
        if isinstance(fields, Mapping):
            yield from (f"{group}.{field}" for field in fields if f"{group}.{field}" in wanted)
