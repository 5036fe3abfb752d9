from __future__ import annotations

import pytest

from pipelines.adapt.recipe import Recipe
from pipelines.adapt.rows import Translation, read_translations, rows, texts
from rag.errors import UsageError

RECIPE = Recipe(steps=6, batch=10, negatives=2, shifted=0.2)


def test_a_batch_has_its_share_of_minimal_pairs_and_no_passage_twice(
    passages, tiny_embedder
) -> None:
    made = rows(passages, tiny_embedder, RECIPE)
    assert len(made) == 60
    sentences = {sentence for each in passages for sentence in each.sentences}
    for start in range(0, 60, 10):
        batch = made[start : start + 10]
        looking, pairs = batch[:8], batch[8:]
        found = [
            next(p for p in passages if p.doc.removesuffix(".txt") in row.positive)
            for row in looking
        ]
        assert len({each.doc for each in found}) == 8
        assert all(row.anchor in sentences for row in pairs)
        assert all(len(row.negatives) == 2 for row in batch)
        own = {each.text for each in found}
        for row in looking:
            for negative in filter(None, row.negatives):
                assert not any(text.split(".")[1] in negative for text in own)


def test_without_a_share_there_are_none(passages, tiny_embedder) -> None:
    made = rows(passages, tiny_embedder, Recipe(steps=2, batch=8, shifted=0))
    assert len(made) == 16


def test_the_seed_decides(passages, tiny_embedder) -> None:
    one, again, other = (
        rows(passages, tiny_embedder, Recipe(steps=3, batch=8, seed=seed)) for seed in (1, 1, 2)
    )
    assert one == again != other


def test_translations_are_positives(passages, tiny_embedder) -> None:
    pairs = [Translation("Der Otter schwimmt.", "The otter swims.")]
    made = rows(passages, tiny_embedder, RECIPE, pairs)
    assert ("Der Otter schwimmt.", "The otter swims.") in {(r.anchor, r.positive) for r in made}


def test_few_translations_are_used_in_small_batches_and_many_leave_room(
    passages, tiny_embedder
) -> None:
    small = Recipe(steps=4, batch=4)
    made = rows(passages, tiny_embedder, small, [Translation("ja", "yes")])
    assert sum(row.anchor == "ja" for row in made) > 0
    many = [Translation(f"nein {at}", "no") for at in range(99)]
    made = rows(passages, tiny_embedder, RECIPE, many)
    assert 0 < sum(row.positive == "no" for row in made) < 12


def test_the_stage_before_reads_every_passage_in_turn(passages) -> None:
    read = texts(passages, Recipe(method="lem", first_steps=4, first_batch=8))
    assert len(read) == 32
    assert set(read[:16]) == {each.whole for each in passages} == set(read[16:])


def test_translations_are_read_and_a_bad_line_is_named(tmp_path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"text": "ja", "translation": "yes"}\n\n', encoding="utf-8")
    assert read_translations(file) == [("ja", "yes")]
    file.write_text('{"text": "ja", "translation": "yes"}\n{"text": ""}\n', encoding="utf-8")
    with pytest.raises(UsageError, match="line 2"):
        read_translations(file)
    with pytest.raises(UsageError, match="cannot read"):
        read_translations(tmp_path / "none")


@pytest.mark.parametrize(
    "options",
    [{"method": "magic"}, {"pooling": "max"}, {"negatives": 0},
     {"lexical_dims": 8, "dims": (16,)}],
)  # fmt: skip
def test_a_recipe_that_makes_no_sense_is_refused(options) -> None:
    with pytest.raises(UsageError):
        Recipe(**options)
