from __future__ import annotations

from random import Random

import pytest

from pipelines.adapt.passages import Passage
from pipelines.adapt.shifts import SHIFTS, PairWriter


@pytest.mark.parametrize(
    ("kind", "sentence", "shifted"),
    [
        ("polarity", "Revenue INCREASED in 2020.", "Revenue DECREASED in 2020."),
        ("polarity", "Lower costs helped.", "Higher costs helped."),
        ("intensity", "Sales fell slightly.", "Sales fell sharply."),
        ("realised", "The board proposed a merger.", "The board adopted a merger."),
        ("viewpoint", "The patient recovered.", "The population recovered."),
    ],
)
def test_a_shift_exchanges_one_word_in_its_case(kind, sentence, shifted) -> None:
    assert SHIFTS[kind](sentence, Random(0)) == shifted


def test_an_opinion_is_made_of_a_fact() -> None:
    said = SHIFTS["certainty"]("Sales of the unit rose.", Random(0))
    assert said is not None
    assert said.endswith(" sales of the unit rose.")


@pytest.mark.parametrize("kind", ["polarity", "intensity", "realised", "viewpoint"])
def test_a_rule_that_does_not_fit_says_so(kind) -> None:
    assert SHIFTS[kind]("Cats sleep.", Random(0)) is None


def test_pairs_keep_the_anchor_and_change_both_others(passages) -> None:
    writer, chance = PairWriter(passages), Random(0)
    pairs = [writer.write(sentence, chance) for each in passages for sentence in each.sentences]
    made = [pair for pair in pairs if pair is not None]
    assert len(made) > len(passages)
    assert all(len({pair.anchor, pair.same, pair.other}) == 3 for pair in made)
    assert {pair.shift for pair in made} <= {*SHIFTS, "figure", "name"}
    assert {"polarity", "realised"} <= {pair.shift for pair in made}


def test_an_abbreviation_that_the_corpus_spells_out_is_spelled_out(passages) -> None:
    writer = PairWriter(passages)
    said = {
        pair.same
        for seed in range(30)
        if (pair := writer.write("Members of the NWT count owls.", Random(seed)))
    }
    assert any("nordic wildlife trust" in each for each in said)


def test_initials_that_do_not_agree_are_no_abbreviation() -> None:
    text = "The committee on trade (ABC) met on a day of rain in the north."
    writer = PairWriter([Passage("a", "", text)])
    said = [writer.write("The ABC increased it.", Random(seed)) for seed in range(30)]
    assert not any("committee" in pair.same for pair in said if pair)


def test_a_long_form_is_whole_words() -> None:
    text = "Patients in clinical trials (CT) fared well, and outpatient care (OC) did not."
    writer = PairWriter([Passage("a", "", text)])
    said = [writer.write("The CT and the OC increased.", Random(seed)) for seed in range(40)]
    assert any("clinical trials" in pair.same for pair in said if pair)
    assert all("inical" not in pair.same.replace("clinical", "") for pair in said if pair)


def test_a_month_is_no_plan() -> None:
    assert SHIFTS["realised"]("It was in May.", Random(0)) is None


def test_a_sentence_without_a_paraphrase_makes_no_pair() -> None:
    writer = PairWriter([Passage("a", "", "Cats sleep.")])
    assert writer.write("", Random(1)) is None
