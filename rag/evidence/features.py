"""What is known of a sentence before it is judged: one row of numbers each.

Three views: how near it is to the question in meaning and in words, where it stands and what stands
beside it, and, where the joint reader is at hand, what that makes of it. Each nearness is there as
it is and as what it lacks to the best sentence of the question, because a scorer that has seen
other corpora can trust differences further than values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.embedding.base import Embedder
from rag.embedding.context import split_name
from rag.embedding.lexical import LexicalEncoder
from rag.evidence.reader import Reading
from rag.evidence.units import Unit
from rag.types import Chunk, Context

__all__ = ["FEATURES", "READER_FEATURES", "Nearness", "features", "nearness", "reader_features"]

Column = NDArray[np.float32]

_NUMBER = re.compile(r"\d[\d,.]*")
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|large|big|high|often)\b|\bwhen\b|\bwhat (?:year|percentage|"
    r"percent|number|amount|date|share|rate|total)\b",
    re.IGNORECASE,
)
_MISSING_COSINE = 0.0  # of a chunk that only words have found

_NEAR = ("cosine", "share", "placed_share")
FEATURES = (
    *_NEAR,
    *(f"{name}_behind" for name in _NEAR),
    *(f"{name}_rank" for name in _NEAR),
    *(f"{name}_beside" for name in _NEAR),
    "pairs",
    "chunk_cosine",
    "chunk_cosine_behind",
    "chunk_bm25_behind",
    "chunk_rank",
    "length",
    "short",
    "first",
    "digits",
    "number_shared",
    "number_wanted",
)
"""Names of the columns of `features`, in order."""

_READ = ("read_mean", "read_top")
READER_FEATURES = (
    *_READ,
    *(f"{name}_behind" for name in _READ),
    *(f"{name}_rank" for name in _READ),
    *(f"{name}_beside" for name in _READ),
    "read_chunk",
    "read_chunk_behind",
)
"""Names of the columns of `reader_features`, in order."""


class Nearness(NamedTuple):
    """How near each unit is to the question, shape (units,) each.

    Attributes:
        cosine: of the two embeddings.
        share: of the question's terms, by rarity among the units, that stand in the unit.
        placed_share: the same, the name, title and section of its document counted as its own:
            a sentence of Acme's filing seldom says Acme.
    """

    cosine: Column
    share: Column
    placed_share: Column


def nearness(
    question: str,
    context: Context,
    units: Sequence[Unit],
    embedder: Embedder,
    lexical: LexicalEncoder,
) -> Nearness:
    """Measure how near each unit is to the question."""
    texts = [unit.text for unit in units]
    query = embedder.embed_queries([question])[0]
    placed = [f"{_heading(context.passages[u.passage].chunk, u)}\n{u.text}" for u in units]
    return Nearness(
        np.asarray(embedder.embed_documents(texts) @ query, dtype=np.float32),
        _shares(lexical, question, texts),
        _shares(lexical, question, placed),
    )


def features(
    question: str, context: Context, units: Sequence[Unit], near: Nearness
) -> NDArray[np.float32]:
    """The columns FEATURES of each unit, shape (units, features)."""
    parts = [context.passages[unit.passage].parts for unit in units]
    of_chunk = np.array([each.get("dense", _MISSING_COSINE) for each in parts], np.float32)
    bm25 = np.array([each.get("lexical", 0.0) for each in parts], np.float32)
    lengths = np.array([len(unit.text) for unit in units], np.float32)
    columns = {
        "cosine": near.cosine,
        "share": near.share,
        "placed_share": near.placed_share,
        "pairs": _pairs(question, units),
        "chunk_cosine": of_chunk,
        "chunk_cosine_behind": of_chunk.max() - of_chunk,
        "chunk_bm25_behind": 1 - bm25 / max(float(bm25.max()), 1e-6),
        "chunk_rank": np.log1p(np.array([unit.passage for unit in units], np.float32)),
        "length": np.log(lengths),
        "short": (lengths < 40).astype(np.float32),
        "first": _firsts(context, units),
        **_numbers(question, units),
    }
    for name in _NEAR:
        columns |= _relative(name, columns[name], units)
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def reader_features(
    context: Context, units: Sequence[Unit], readings: Sequence[Reading]
) -> NDArray[np.float32]:
    """The columns READER_FEATURES of each unit; a reading for each passage, of its chunk's text."""
    means: list[float] = []
    tops: list[float] = []
    for unit in units:
        start = context.passages[unit.passage].chunk.span.start
        reading = readings[unit.passage]
        own = (reading.offsets[:, 1] > unit.span.start - start) & (
            reading.offsets[:, 0] < unit.span.end - start
        )
        logits = reading.logits[own] if own.any() else np.array([-12.0], np.float32)
        mean = float(np.mean(1 / (1 + np.exp(-logits))))
        means.append(float(np.log((mean + 1e-5) / (1 - mean + 1e-5))))
        tops.append(float(logits.max()))
    whole = np.array([readings[unit.passage].passage for unit in units], np.float32)
    columns = {
        "read_mean": np.array(means, np.float32),
        "read_top": np.array(tops, np.float32),
        "read_chunk": whole,
        "read_chunk_behind": whole.max() - whole,
    }
    for name in _READ:
        columns |= _relative(name, columns[name], units)
    return np.stack([columns[name] for name in READER_FEATURES], axis=1).astype(np.float32)


def _relative(name: str, values: Column, units: Sequence[Unit]) -> dict[str, Column]:
    """What a column lacks to its best, its rank, and the greater value beside it in its chunk."""
    ranks = np.empty(len(values), np.float32)
    ranks[np.argsort(-values, kind="stable")] = np.log1p(np.arange(len(values)))
    floor = float(values.min())
    beside = np.full(len(values), floor, np.float32)
    for at, unit in enumerate(units):
        for other in (at - 1, at + 1):
            if 0 <= other < len(units) and units[other].passage == unit.passage:
                beside[at] = max(beside[at], values[other])
    return {
        f"{name}_behind": values.max() - values,
        f"{name}_rank": ranks,
        f"{name}_beside": beside,
    }


def _shares(lexical: LexicalEncoder, question: str, texts: Sequence[str]) -> Column:
    """The share of the question's terms in each text, weighted by rarity, shape (texts,)."""
    terms = lexical.encode_query(question).indices
    holds = np.array(
        [
            [term in held for term in terms]
            for vector in lexical.encode_documents(texts)
            for held in (set(vector.indices),)
        ],
        dtype=np.float32,
    ).reshape(len(texts), len(terms))
    found = holds.sum(axis=0)
    rarity = np.log1p((len(texts) - found + 0.5) / (found + 0.5))
    # All is finite; once in a while OpenBLAS leaves a stray flag, of which numpy makes a warning.
    with np.errstate(invalid="ignore"):
        shares = holds @ rarity / max(float(rarity.sum()), 1e-9)
    return np.asarray(shares, dtype=np.float32)


def _heading(chunk: Chunk, unit: Unit) -> str:
    """What a reader sees above a sentence: file, title, section."""
    return split_name(f"{chunk.name} {chunk.title} {chunk.place_at(unit.span.start).section}")


def _pairs(question: str, units: Sequence[Unit]) -> Column:
    """The share of the question's pairs of neighbouring words that stand in the unit."""
    wanted = _neighbours(question)
    if not wanted:
        return np.zeros(len(units), np.float32)
    return np.array([len(wanted & _neighbours(u.text)) / len(wanted) for u in units], np.float32)


def _neighbours(text: str) -> set[tuple[str, str]]:
    words = re.findall(r"\w+", text.lower())
    return set(pairwise(words))


def _firsts(context: Context, units: Sequence[Unit]) -> Column:
    """1 for what begins its chunk."""
    return np.array(
        [unit.span.start <= context.passages[unit.passage].chunk.span.start + 2 for unit in units],
        np.float32,
    )


def _numbers(question: str, units: Sequence[Unit]) -> dict[str, Column]:
    """Digits in a unit, the question's own numbers in it, and any number where one is asked for."""
    asked = set(_NUMBER.findall(question))
    wants = bool(_ASKS_NUMBER.search(question))
    found = [set(_NUMBER.findall(unit.text)) for unit in units]
    return {
        "digits": np.array(
            [sum(map(str.isdigit, unit.text)) / len(unit.text) for unit in units], np.float32
        ),
        "number_shared": np.array([bool(asked & each) for each in found], np.float32),
        "number_wanted": np.array([wants and bool(each) for each in found], np.float32),
    }
