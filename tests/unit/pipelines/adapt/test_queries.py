from __future__ import annotations

from collections import Counter
from random import Random

from pipelines.adapt.passages import Passage
from pipelines.adapt.queries import QueryWriter
from rag.grounding.support import content_words


def test_a_query_is_made_of_its_own_passage(passages) -> None:
    writer = QueryWriter(passages)
    chance = Random(0)
    for passage in passages:
        for _ in range(20):
            query = writer.write(passage, chance)
            assert query.text.strip()
            assert set(query.text.lower().split()) <= set(passage.whole.lower().split()) | {
                word.strip(".()") for word in passage.whole.lower().split()
            }
            assert query.sentence == "" or query.sentence in passage.text


def test_the_same_seed_writes_the_same(passages) -> None:
    one, other = (
        [QueryWriter(passages).write(each, Random(3)) for each in passages] for _ in range(2)
    )
    assert one == other


def test_rare_words_are_drawn_more_often_than_common_ones(passages) -> None:
    writer = QueryWriter(passages)
    chance = Random(0)
    drawn: Counter[str] = Counter()
    for _ in range(600):
        query = writer.write(passages[0], chance)
        words = query.text.split()
        if query.sentence and len(words) < 6:
            drawn.update(word.lower().strip(".") for word in words)
    assert writer.rarity("otter") > writer.rarity("numbers")
    assert drawn["otter"] > drawn["nordic"] > 0


def test_figures_are_words(passages) -> None:
    assert "1990" in content_words(passages[0].text)


def test_a_passage_without_a_header_is_asked_about_all_the_same() -> None:
    bare = Passage("a", "", "One sentence that is long enough to be asked about.")
    writer = QueryWriter([bare])
    assert all(writer.write(bare, Random(seed)).text for seed in range(30))
