from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.datasets import Question
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.runs import Header, QuestionRecord, RoundRecord, Run, StageRecord
from eval.score import METRICS, RunScores, Scores, score_retrieval, score_run
from eval.units import TokenRuler
from rag.tokens import TokenCounter

CHUNKS = ChunkMap([Located("a", 0, 20), Located("a", 20, 40)])
ASKED = [
    Question("q1", "?", (Located("a", 10, 20),)),
    Question("none", "?", ()),
    Question("q2", "?", (Located("a", 10, 30),)),
]


def near(found: dict[str, float], **wanted: float) -> None:
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)


def column(scores: Scores, name: str) -> list[float]:
    return [float(value) for value in scores.values[name]]


# --- anybody's retrieval -----------------------------------------------------------------------


def test_a_retrieval_is_scored_question_by_question_and_means_are_plain() -> None:
    retrieved = {"q1": [Located("a", 0, 20)], "none": [Located("a", 0, 40)]}
    scores = score_retrieval(ASKED, retrieved, CHUNKS)
    assert scores.ids == ("q1", "q2")
    assert column(scores, "iou") == [0.5, 0]
    assert column(scores, "precision") == [0.5, 0]
    assert column(scores, "recall") == [1, 0]
    assert column(scores, "precision_omega") == [0.5, 0.5]
    assert scores.means == {"iou": 0.25, "precision": 0.25, "recall": 0.5, "precision_omega": 0.5}


def test_without_chunks_there_is_no_precision_omega() -> None:
    scores = score_retrieval(ASKED, {})
    assert tuple(scores.values) == METRICS[:3]
    assert scores.means == dict.fromkeys(METRICS[:3], 0.0)


def test_the_published_arithmetic_reaches_every_figure() -> None:
    retrieved = {"q1": [Located("a", 0, 20)] * 2}
    scores = score_retrieval(ASKED[:1], retrieved, CHUNKS, compat="chroma")
    assert scores.means == {
        "iou": 10 / 40, "precision": 10 / 40, "recall": 1, "precision_omega": 10 / 40,
    }  # fmt: skip


def test_a_retrieval_is_scored_in_tokens_of_a_named_tokenizer(counter: TokenCounter) -> None:
    text = "one antidisestablishmentarianism two three"
    long = (4, 32)
    pieces = counter.count(text[slice(*long)])
    assert pieces > 4
    ruler = TokenRuler(counter, {"d": text})
    questions = [Question("q", "?", (Located("d", 0, 5),))]  # "one" and the start of the long word
    chunks = ChunkMap(ruler.measure([Located("d", 0, 32), Located("d", 32, 42)]))
    retrieved = {"q": [Located("d", 0, 42)]}
    scores = score_retrieval(questions, retrieved, chunks, ruler=ruler)
    near(
        scores.means, precision=2 / (pieces + 3), recall=1, iou=2 / (pieces + 3),
        precision_omega=2 / (pieces + 1),
    )  # fmt: skip


def test_no_question_with_a_reference_has_no_score() -> None:
    scores = score_retrieval(ASKED[1:2], {}, CHUNKS)
    assert (scores.ids, scores.means) == ((), dict.fromkeys(METRICS, 0.0))


def test_some_of_the_questions_have_means_of_their_own() -> None:
    retrieved = {"q1": [Located("a", 0, 20)]}
    only = score_retrieval(ASKED, retrieved, CHUNKS).only(frozenset({"q1", "elsewhere"}))
    assert (only.ids, only.means["recall"]) == (("q1",), 1.0)
    assert only.intervals["recall"] == (1.0, 1.0)


# --- a run, worked by hand ---------------------------------------------------------------------


@pytest.fixture
def scores(worked: Run) -> RunScores:
    return score_run(worked)


def test_questions_without_references_are_left_out_and_counted(scores: RunScores) -> None:
    assert (scores.n, scores.unanswerable, scores.abstained) == (3, 1, 2)
    for stage in scores.stages.values():
        assert stage.ids == ("q1", "q2", "q3")


def test_the_stages_that_let_spans_through_are_scored_in_order(scores: RunScores) -> None:
    assert list(scores.stages) == ["retrieve", "select", "verify"]


def test_what_was_retrieved(scores: RunScores) -> None:
    found = scores.stages["retrieve"]
    assert column(found, "precision") == pytest.approx([20 / 40, 10 / 45, 0])
    assert column(found, "recall") == pytest.approx([1, 10 / 15, 0])
    assert column(found, "iou") == pytest.approx([20 / 40, 10 / 50, 0])
    assert column(found, "precision_omega") == pytest.approx([20 / 40, 15 / 45, 10 / 20])
    near(
        found.means, precision=(1 / 2 + 2 / 9) / 3, recall=5 / 9, iou=0.7 / 3,
        precision_omega=4 / 9, tokens=40, seconds=0.5,
    )  # fmt: skip


def test_what_was_selected(scores: RunScores) -> None:
    near(
        scores.stages["select"].means, precision=1 / 3, recall=1 / 6, iou=1 / 6,
        precision_omega=4 / 9, tokens=20 / 3, seconds=0.25,
    )  # fmt: skip


def test_a_question_that_never_came_to_a_stage_scores_nought_there(scores: RunScores) -> None:
    found = scores.stages["verify"]
    assert column(found, "recall") == pytest.approx([0.5, 0, 0])
    assert column(found, "tokens") == [10, 0, 0]


def test_intervals_hold_the_means(scores: RunScores) -> None:
    for stage in scores.stages.values():
        for name, (low, high) in stage.intervals.items():
            assert low <= stage.means[name] <= high


def test_the_ranking_is_that_of_the_first_stage(scores: RunScores) -> None:
    ideal = 2 / 3 + 1 / 3 / np.log2(3)
    near(
        scores.ranking.means, recall_at_1=(1 / 2 + 2 / 3) / 3, recall_at_5=5 / 9,
        recall_at_10=5 / 9, mrr=2 / 3, ndcg_at_10=(1 + 2 / 3 / ideal) / 3,
    )  # fmt: skip


def test_answers_are_scored_where_somebody_wrote_one_down(scores: RunScores) -> None:
    assert scores.answer.ids == ("q1", "q3")
    assert column(scores.answer, "exact_match") == [0, 0]
    assert column(scores.answer, "token_f1") == pytest.approx([2 * 2 / 6, 0])
    assert column(scores.answer, "contained") == [1, 0]


def test_the_marks_of_citations_are_no_part_of_an_answer(worked: Run) -> None:
    marked = replace(worked.questions[0], answer="12 kg [1]. [13]\n")
    scores = score_run(replace(worked, questions=(marked,)))
    assert scores.answer.means == {"exact_match": 1.0, "token_f1": 1.0, "contained": 1.0}


def test_grounding_is_of_what_was_answered(scores: RunScores) -> None:
    assert scores.grounding.ids == ("q1", "q2")
    assert column(scores.grounding, "citation_precision") == [1, 1 / 2]
    assert column(scores.grounding, "citation_recall") == [1, 1 / 2]
    assert "unsupported_numbers" not in scores.grounding.values


def test_numbers_are_looked_for_in_what_the_writer_was_given(
    worked: Run, texts: dict[str, str]
) -> None:
    found = score_run(worked, texts=texts).grounding
    assert "12" in texts["a"][10:20]
    assert column(found, "unsupported_numbers") == [1, 1]  # 99; and 2019, of nothing at all


def test_a_number_that_was_found_but_not_kept_is_unsupported(
    worked: Run, texts: dict[str, str]
) -> None:
    record = replace(worked.questions[0], answer="77 kg")
    one = replace(worked, questions=(record,))
    for at, wanted in ((32, 1), (12, 0)):  # retrieved alone; selected, too
        there = {**texts, "a": f"{texts['a'][:at]} 77 {texts['a'][at + 4 :]}"}
        found = score_run(one, texts=there).grounding
        assert column(found, "unsupported_numbers") == [wanted]


def test_a_number_of_the_question_is_supported(worked: Run, texts: dict[str, str]) -> None:
    record = worked.questions[1]
    asked = replace(record, question=replace(record.question, text="Who dug in 2019?"))
    found = score_run(replace(worked, questions=(asked,)), texts=texts).grounding
    assert column(found, "unsupported_numbers") == [0]


def test_cost_is_of_all_questions_and_all_stages(scores: RunScores) -> None:
    seconds = scores.cost["seconds"]
    assert seconds.total == pytest.approx(3.0 + 1.75 + 0.75 + 16.0)
    assert seconds.median == pytest.approx((1.75 + 3.0) / 2)
    assert scores.cost["llm_calls"].total == 2
    assert scores.cost["llm_tokens"].mean == 100


def test_each_corpus_has_the_means_of_its_questions(scores: RunScores) -> None:
    assert list(scores.by_corpus) == ["x", "y"]
    x, y = (scores.by_corpus[each]["retrieve"] for each in "xy")
    assert (x.ids, y.ids) == (("q1", "q3"), ("q2",))
    near(x.means, recall=1 / 2, iou=1 / 4)
    near(y.means, recall=2 / 3, iou=1 / 5)


def test_degraded_stages_are_counted_over_all_questions(scores: RunScores) -> None:
    assert scores.degraded == {"select": 2}


def test_figures_per_token_stand_beside_those_per_character(
    worked: Run, texts: dict[str, str], counter: TokenCounter
) -> None:
    ruler = TokenRuler(counter, texts)
    plain, both = score_run(worked), score_run(worked, ruler=ruler)
    for name, stage in both.stages.items():
        assert {key for key in stage.means if key.startswith("token_")} == {
            f"token_{metric}" for metric in METRICS
        }
        near(stage.means, **plain.stages[name].means)
    questions = [each.question for each in worked.questions]
    passed = {each.question.id: each.stage("select").spans or () for each in worked.questions}
    chunks = ChunkMap(ruler.measure(worked.chunks))
    alone = score_retrieval(questions, passed, chunks, ruler=ruler)
    near(both.stages["select"].means, **{f"token_{key}": alone.means[key] for key in METRICS})
    near(both.by_corpus["x"]["select"].means, token_recall=column(alone, "recall")[0] / 2)


def test_the_published_arithmetic_reaches_every_stage(worked: Run) -> None:
    first = worked.questions[0]
    doubled = replace(first, stages=(replace(first.stages[0], spans=first.stages[0].spans * 2),))
    run = replace(worked, questions=(doubled,))
    assert score_run(run).stages["retrieve"].means["precision"] == 20 / 40
    assert score_run(run, compat="chroma").stages["retrieve"].means["precision"] == 20 / 80


def test_scoring_twice_is_scoring_once(worked: Run) -> None:
    one, other = score_run(worked), score_run(worked)
    assert one.stages["retrieve"].intervals == other.stages["retrieve"].intervals
    assert one.ranking.means == other.ranking.means


def test_a_stage_that_writes_is_not_scored_though_no_question_with_references_came_to_it(
    worked: Run,
) -> None:
    wrote = replace(
        worked.questions[3],
        stages=(*worked.questions[3].stages, StageRecord("generate", None, 5)),
        abstained=False,
    )
    run = replace(worked, questions=(worked.questions[2], wrote))
    assert list(score_run(run).stages) == ["retrieve", "select"]


def test_a_run_of_unanswerable_questions_alone_has_no_scores(worked: Run) -> None:
    found = score_run(replace(worked, questions=worked.questions[3:]))
    assert (found.n, found.unanswerable, found.abstained) == (0, 1, 1)
    assert found.stages["retrieve"].ids == ()
    assert found.by_corpus == {}
    assert found.cost["seconds"].total == 16.0


def test_a_run_of_no_questions_has_no_scores() -> None:
    found = score_run(Run(Header("empty", "none"), (), ()))
    assert (found.n, found.stages, found.degraded) == (0, {}, {})
    assert found.cost["seconds"].total == 0.0


def test_a_question_whose_generator_failed_counts_with_what_came_before(worked: Run) -> None:
    first = worked.questions[0]
    failed = QuestionRecord(first.question, first.stages[:2], failed="ModelError: no answer")
    found = score_run(replace(worked, questions=(failed, *worked.questions[1:])))
    near(found.stages["select"].means, recall=1 / 6)
    near(found.stages["verify"].means, recall=0)
    assert column(found.answer, "contained") == [0, 0]
    assert found.grounding.ids == ("q2",)


# --- grounding, stage by stage -----------------------------------------------------------------


def test_each_stage_of_grounding_is_scored_alone() -> None:
    def asked(number: int, *rounds: RoundRecord, right: str = "12 May") -> QuestionRecord:
        answers = (right,) if right else ()
        question = Question(str(number), "When?", (Located("a", 0, 5),), answers=answers)
        return QuestionRecord(question, (), "12 May", rounds=rounds)

    first = RoundRecord("sticker", "12 May [S1]", "13 May", agreed=False, rule="date")
    second = RoundRecord("forward", "12 May", "12 May.", agreed=True, rule="date")
    wrong = RoundRecord("sticker", "June", "June", agreed=True, rule="span")
    run = Run(
        Header("x", "characters"),
        (),
        (asked(1, first, second), asked(2, wrong), asked(3, wrong, right="")),
    )
    rounds = score_run(run).rounds
    assert list(rounds) == ["sticker", "forward"]
    assert rounds["sticker"].ids == ("1", "2")  # nobody knows what is right for the third
    near(
        rounds["sticker"].means, agreed=0.5, exact_match_from_sticker=0.5, exact_match_from_both=0,
        token_f1_from_sticker=0.5, token_f1_from_both=0.25,
    )  # fmt: skip
    near(rounds["forward"].means, agreed=1, exact_match_from_sticker=1, exact_match_from_both=1)
    assert score_run(Run(Header("x", "characters"), (), (asked(1),))).rounds == {}
