"""What a step trains on: rows of a query, its passage, and hard negatives; batch after batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.adapt.mining import mine
from pipelines.adapt.passages import Passage
from pipelines.adapt.queries import Query, QueryWriter
from pipelines.adapt.recipe import Recipe
from pipelines.adapt.shifts import PairWriter
from rag.embedding.base import Embedder
from rag.errors import UsageError

__all__ = ["Row", "Translation", "read_translations", "rows", "texts"]

_WITHOUT = 0.5
"""How often the sentence a query was made of is taken out of its passage: with it the model learns
words, without it what belongs together (Lee et al., ACL 2019, have 0.9)."""

_BARE = 0.5  # how often a passage is read without its header


class Translation(NamedTuple):
    """Two texts that say the same, as in two languages."""

    text: str
    other: str


class Row(NamedTuple):
    """One row: what looks, what it should find, and what it should not."""

    anchor: str
    positive: str
    negatives: tuple[str, ...]


class _Asked(NamedTuple):
    own: int
    query: Query


def rows(
    passages: Sequence[Passage],
    embedder: Embedder,
    recipe: Recipe,
    translations: Sequence[Translation] = (),
) -> list[Row]:
    """`recipe.steps` batches of rows, one after the other.

    A passage stands once in a batch, as an answer or as a hard negative: else it would be a wrong
    answer to its own query. So many rows of each batch as `recipe.shifted` says, and at least one
    where there are translations, are minimal pairs and translations. Where no passage can be a hard
    negative, an empty text is.

    Args:
        passages: to train on.
        embedder: the base, by which negatives are mined.
        recipe: how many, of what.
        translations: pairs, where there are any.
    """
    chance = Random(recipe.seed)
    writer, pairs = QueryWriter(passages), _pairs(passages, translations, recipe, chance)
    shifted = _shifted(recipe, translations) if pairs else 0
    size = recipe.batch - shifted
    batches = list(_batches(len(passages), size, recipe.steps, chance))
    asked = [_Asked(at, writer.write(passages[at], chance)) for each in batches for at in each]
    mined = mine(
        embedder.embed_queries([each.query.text for each in asked]),
        embedder.embed_documents([each.whole for each in passages]),
        [each.own for each in asked],
        recipe.negatives,
        never=[each for each in batches for _ in each],
        margin=recipe.margin,
        chance=chance,
    )
    looking = [
        Row(
            each.query.text,
            _read(passages[each.own], each.query.sentence, chance),
            _filled((_read(passages[at], "", chance) for at in negatives), recipe.negatives),
        )
        for each, negatives in zip(asked, mined, strict=True)
    ]
    again = cycle(pairs)
    return [
        row
        for step in range(recipe.steps)
        for row in (*looking[step * size : (step + 1) * size], *islice(again, shifted))
    ]


def _shifted(recipe: Recipe, translations: Sequence[Translation]) -> int:
    """Rows of a batch that are no queries."""
    return max(round(recipe.batch * recipe.shifted), 1 if translations else 0)


def _filled(negatives: Iterable[str], count: int) -> tuple[str, ...]:
    found = tuple(negatives)[:count]
    return found + ("",) * (count - len(found))


def texts(passages: Sequence[Passage], recipe: Recipe) -> list[str]:
    """`recipe.first_steps` batches of passages for the stage before."""
    batches = _batches(len(passages), recipe.first_batch, recipe.first_steps, Random(recipe.seed))
    return [passages[at].whole for batch in batches for at in batch]


def _batches(count: int, size: int, steps: int, chance: Random) -> Iterator[list[int]]:
    """So many batches of distinct indices; what is left of a round that fills no batch is not used.

    Raises:
        ValueError: a batch is larger than the whole.
    """
    order: list[int] = []
    for _ in range(steps):
        if len(order) < size:
            order = chance.sample(range(count), count)
            if count < size:
                raise ValueError(f"no {size} of {count}")
        yield order[:size]
        del order[:size]


def _read(passage: Passage, without: str, chance: Random) -> str:
    """A passage as it is met this time: with its header or not, with the sentence or not."""
    text = passage.text
    if without and len(text) > 2 * len(without) and chance.random() < _WITHOUT:
        text = text.replace(without, " ", 1)
    return text if chance.random() < _BARE else passage.header + text


def _pairs(
    passages: Sequence[Passage],
    translations: Sequence[Translation],
    recipe: Recipe,
    chance: Random,
) -> list[Row]:
    """Rows of minimal pairs, as many as are wanted or the corpus yields; half of translations."""
    sentences = [sentence for each in passages for sentence in each.sentences]
    wanted = recipe.steps * _shifted(recipe, translations)
    writer = PairWriter(passages)
    few = chance.sample(translations, min(len(translations), (wanted + 1) // 2))
    found = [Row(each.text, each.other, ()) for each in few]
    for sentence in chance.sample(sentences, len(sentences)):
        if len(found) >= wanted:
            break
        if pair := writer.write(sentence, chance):
            found.append(Row(pair.anchor, pair.same, (pair.other,)))
    chance.shuffle(found)
    more = recipe.negatives - 1
    return [
        row._replace(
            negatives=_filled((*row.negatives, *chance.sample(sentences, more)), recipe.negatives)
        )
        for row in found
    ]


class _TranslationLine(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    text: str = Field(min_length=1)
    translation: str = Field(min_length=1)


def read_translations(path: Path) -> list[Translation]:
    """Lines of {"text", "translation"}.

    Raises:
        UsageError: the file is not there, or a line of it is bad, naming file and line.
    """
    found: list[Translation] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}", hint="check --translations") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            read = _TranslationLine.model_validate_json(line)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"]
            raise UsageError(f"{path}, line {number}: {fault}", hint="mend the line") from None
        found.append(Translation(read.text, read.translation))
    return found
