"""The space: which settings may be varied, between which values, and which depend on which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from rag.settings import EmbeddingSettings, Settings

__all__ = [
    "FIXABLE",
    "SIZES",
    "Draw",
    "Embedding",
    "Params",
    "Space",
    "grid",
    "values_of",
    "with_values",
]

SIZES = (5, 10, 20, 50, 100, 150, 200, 400, 800)
"""Tokens of a chunk."""

KINDS = ("sentences", "recursive", "tokens")

FIXABLE = (
    "chunking.kind", "retrieval.top_k", "clustering.mode", "clustering.min_redundancy",
    "selection.keep", "selection.recall_weight", "selection.whole_tables",
)  # fmt: skip
"""Settings that a search can be told to leave alone."""

Params = Mapping[str, Any]
"""A point of the space, as the optimiser has it: parameter to value, the unused ones left out."""

Draw = Callable[[str], Any]
"""From the name of a parameter to its value."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """An embedder that may be chosen, and the sizes of chunk that it reads to their end."""

    name: str
    settings: EmbeddingSettings
    sizes: tuple[int, ...]

    @property
    def size(self) -> str:
        """The name of the parameter: embedders with the same sizes share one."""
        return f"chunking.size of {', '.join(map(str, self.sizes))}"


@dataclass(frozen=True)
class Space:
    """All that a search may try.

    Args:
        base: the settings as they were given; what is not searched stays as it is there.
        embeddings: at least one, that of `base` first.
        pruning: whether pruning is searched, which is slow without a GPU.
        reader: whether the joint reader is, which takes half a second a question without one.
        fixed: settings of `FIXABLE` that keep the value they have in `base`.
    """

    base: Settings
    embeddings: tuple[Embedding, ...]
    pruning: bool = False
    reader: bool = False
    fixed: frozenset[str] = frozenset()

    @cached_property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Every parameter, and what may become of it."""
        found: dict[str, BaseDistribution] = {
            "embedding": CategoricalDistribution([each.name for each in self.embeddings]),
            "chunking.kind": CategoricalDistribution(KINDS),
            "chunking.overlap": CategoricalDistribution(["none", "a fifth"]),
            "retrieval.top_k": IntDistribution(5, 30),
            "retrieval.dense_share": FloatDistribution(0.0, 1.0, step=0.05),
            "clustering.mode": CategoricalDistribution(["off", "extractive"]),
            "clustering.min_redundancy": FloatDistribution(0.0, 1.0, step=0.05),
            "selection.keep": CategoricalDistribution(["evidence", "everything"]),
            "selection.recall_weight": FloatDistribution(1.0, 100.0, log=True),
            "selection.whole_tables": CategoricalDistribution([False, True]),
        }
        for each in self.embeddings:
            found[each.size] = IntDistribution(0, len(each.sizes) - 1)
        if self.reader:
            found["selection.reader"] = CategoricalDistribution([False, True])
        if self.pruning:
            found["pruning.mode"] = CategoricalDistribution(["off", "on"])
            found["pruning.retention"] = FloatDistribution(0.5, 0.95, step=0.05)
        return {name: each for name, each in found.items() if name not in self.fixed}

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Every setting that some point of the space sets."""
        keys = [
            "chunking.kind", "chunking.size", "chunking.overlap",
            "retrieval.top_k", "retrieval.dense_weight", "retrieval.lexical_weight",
            "clustering.mode", "clustering.min_redundancy",
            "selection.keep", "selection.recall_weight", "selection.whole_tables",
        ]  # fmt: skip
        if len(self.embeddings) > 1:
            keys = ["embedding.kind", "embedding.model", "embedding.options", *keys]
        if self.base.selection.budget or self.base.selection.target_recall:
            keys += ["selection.budget", "selection.target_recall"]
        if self.reader:
            keys += ["selection.reader"]
        if self.pruning:
            keys += ["pruning.mode", "pruning.method", "pruning.retention", "pruning.mass"]
        return tuple(keys)

    def settings(self, draw: Draw) -> Settings:
        """The settings of a point; only the parameters that matter there are drawn."""

        def value(name: str) -> Any:
            if name not in self.fixed:
                return draw(name)
            group, _, field = name.partition(".")
            return getattr(getattr(self.base, group), field)

        values = {
            **self._chunking(value),
            **self._retrieval(value),
            **self._clustering(value),
            **self._selection(value),
            **self._pruning(value),
        }
        return with_values(self.base, values)

    def params(self, settings: Settings) -> dict[str, Any] | None:
        """The point of these settings, or None where they lie outside the space."""
        guess = self._guess(settings)
        used: dict[str, Any] = {}
        try:
            drawn = self.settings(lambda name: used.setdefault(name, guess[name]))
        except (KeyError, IndexError):
            return None
        inside = all(_holds(self.distributions[name], value) for name, value in used.items())
        return used if inside and drawn == settings else None

    @cached_property
    def first(self) -> tuple[dict[str, Any], ...]:
        """Points worth trying before anything is known: smaller chunks, and a lean selection."""
        return (
            self._point(50, {"retrieval.top_k": 30, "selection.recall_weight": 10.0}),
            self._point(100, {"retrieval.top_k": 15, "selection.recall_weight": 3.0}),
        )

    def _chunking(self, draw: Draw) -> dict[str, Any]:
        name = draw("embedding") if len(self.embeddings) > 1 else self.embeddings[0].name
        embedding = next(each for each in self.embeddings if each.name == name)
        size = embedding.sizes[draw(embedding.size)]
        overlap = size // 5 if draw("chunking.overlap") == "a fifth" else 0
        values = {
            "chunking.kind": draw("chunking.kind"),
            "chunking.size": size,
            "chunking.overlap": overlap,
        }
        if len(self.embeddings) > 1:
            for field in ("kind", "model", "options"):
                values[f"embedding.{field}"] = getattr(embedding.settings, field)
        return values

    def _retrieval(self, draw: Draw) -> dict[str, Any]:
        share = draw("retrieval.dense_share")  # fusion knows weights, of which the ratio counts
        return {
            "retrieval.top_k": draw("retrieval.top_k"),
            "retrieval.dense_weight": round(2 * share, 2),
            "retrieval.lexical_weight": round(2 - 2 * share, 2),
        }

    def _clustering(self, draw: Draw) -> dict[str, Any]:
        mode = draw("clustering.mode")
        if mode == "off":
            return {"clustering.mode": mode}
        redundancy = round(draw("clustering.min_redundancy"), 2)
        return {"clustering.mode": mode, "clustering.min_redundancy": redundancy}

    def _selection(self, draw: Draw) -> dict[str, Any]:
        values: dict[str, Any] = {"selection.keep": draw("selection.keep")}
        if self.base.selection.budget or self.base.selection.target_recall:
            # They would take the place of the rule that is searched.
            values |= {"selection.budget": 0, "selection.target_recall": 0.0}
        if values["selection.keep"] == "everything":
            return values
        values["selection.recall_weight"] = float(f"{draw('selection.recall_weight'):.3g}")
        values["selection.whole_tables"] = draw("selection.whole_tables")
        if self.reader:
            values["selection.reader"] = draw("selection.reader")
        return values

    def _pruning(self, draw: Draw) -> dict[str, Any]:
        if not self.pruning:
            return {}
        mode = draw("pruning.mode")
        if mode == "off":
            return {"pruning.mode": mode}
        return {
            "pruning.mode": mode,
            "pruning.method": "adjoint",
            "pruning.retention": round(draw("pruning.retention"), 2),
            "pruning.mass": 0.0,  # it would take the place of retention
        }

    def _guess(self, settings: Settings) -> dict[str, Any]:
        """A value of every parameter, right where the settings lie inside the space."""
        chunking, retrieval = settings.chunking, settings.retrieval
        weights = retrieval.dense_weight + retrieval.lexical_weight
        found = values_of(settings, self.keys)
        found["chunking.overlap"] = "a fifth" if chunking.overlap else "none"
        found["retrieval.dense_share"] = round(retrieval.dense_weight / weights, 2)
        for each in self.embeddings:
            if chunking.size in each.sizes:
                found[each.size] = each.sizes.index(chunking.size)
            if each.settings == settings.embedding:
                found["embedding"] = each.name
        return found

    def _point(self, size: int, values: Params) -> dict[str, Any]:
        """A point with plain values for what `values` leaves out, of about that size of chunk."""
        embedding = self.embeddings[0]
        nearest = min(range(len(embedding.sizes)), key=lambda at: abs(embedding.sizes[at] - size))
        plain: dict[str, Any] = {
            "embedding": embedding.name,
            embedding.size: nearest,
            "chunking.kind": "sentences",
            "chunking.overlap": "none",
            "retrieval.dense_share": 0.5,
            "clustering.mode": "off",
            "selection.keep": "evidence",
            "selection.whole_tables": False,
            "selection.reader": False,
            "pruning.mode": "off",
            **values,
        }
        used: dict[str, Any] = {}
        self.settings(lambda name: used.setdefault(name, plain[name]))
        return used


def with_values(base: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with some values, by dotted key, in place of theirs; checked as any are.

    Raises:
        ValueError: a value is none that the setting may have.
    """
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        group, _, field = key.partition(".")
        groups.setdefault(group, {})[field] = value
    update = {}
    for name, fields in groups.items():
        group = getattr(base, name)
        update[name] = type(group)(**{**dict(group), **fields})
    return base.model_copy(update=update)


def values_of(settings: Settings, keys: Iterable[str]) -> dict[str, Any]:
    """The values of some settings, by dotted key, as JSON and without secrets."""
    values = settings.public()
    found: dict[str, Any] = {}
    for key in keys:
        group, _, field = key.partition(".")
        found[key] = values[group][field]
    return found


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a parameter may have the value; a float with a step is one of few."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if not distribution.low <= value <= distribution.high:
        return False
    steps = (value - distribution.low) / (distribution.step or 1)
    return not distribution.step or abs(steps - round(steps)) < 1e-9


def grid(sizes: Sequence[int], largest: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of some sizes, those that an embedder reads to their end, and those that it does not."""
    ordered = sorted(set(sizes))
    return (
        tuple(each for each in ordered if each <= largest),
        tuple(each for each in ordered if each > largest),
    )
