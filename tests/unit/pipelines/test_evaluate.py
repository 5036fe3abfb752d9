from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_index import open_tiny

from eval.located import Located
from eval.metrics.overlap import overlap
from eval.runs import QuestionRecord, Run, read_run
from eval.score import score_run
from eval.split import split_questions
from pipelines.evaluate import BUDGETS, Plan, Watch, prepare, read_corpus, record_run
from rag.errors import ModelError, UsageError
from rag.ids import digest
from rag.settings import Settings
from rag.tokens import TokenCounter

# Several chunks each; code points outside the BMP and line ends of both kinds.
CORPUS = {
    "harbour.txt": (
        "The harbour office 🚢 recorded 412 arrivals in May, 38 more than in April.\r\n"
        "Most of the vessels carried timber from the north.\r\n"
        "The ferry was repaired in June by three welders.\r\n"
        "A new lighthouse keeper was hired at the end of the summer.\r\n"
    ),
    "med/drug.md": (
        "# Tamrezumab 💊\n\n"
        "Tamrezumab lowered asthma attacks by a third in the second trial.\n"
        "Headache was the most common complaint among the patients.\n\n"
        "## Dose\n\nThe dose of 140 mg was chosen for phase 3 of the programme.\n"
    ),
    "sales.txt": (
        "Net sales rose 4.2% to 1.3 billion dollars. Operating costs fell in Norway. "
        "The board met nine times during the year. A dividend of 20 cents was declared."
    ),
    "otter.txt": (
        "The Eurasian otter lives in clean rivers. An adult otter eats about one kilogram "
        "of fish a day. Otters mark their range with spraint."
    ),
    "badger.txt": (
        "Badgers dig their setts in sandy woodland soil. A badger eats several hundred "
        "earthworms in a single night. Cubs are born in February."
    ),
    "heron.txt": (
        "The grey heron builds its nest in tall trees. Herons stand still for hours to hunt. "
        "Young herons leave the nest after seven weeks."
    ),
}
ASKED = {
    "arrivals": (
        "How many arrivals did the harbour record in May?",
        {"harbour.txt": "recorded 412 arrivals in May"},
    ),
    "asthma": (
        "By how much did tamrezumab lower asthma attacks?",
        {"med/drug.md": "lowered asthma attacks by a third"},
    ),
    "dose": (
        "Which dose of tamrezumab was chosen for phase 3?",
        {"med/drug.md": "The dose of 140 mg was chosen"},
    ),
    "sales": ("How much did net sales rise?", {"sales.txt": "Net sales rose 4.2%"}),
    "otter": ("How much fish does an otter eat in a day?", {"otter.txt": "one kilogram of fish"}),
    "badger": (
        "What does a badger eat in a single night?",
        {"badger.txt": "several hundred earthworms"},
    ),
    "heron": ("Where does the grey heron build its nest?", {"heron.txt": "in tall trees"}),
    "chess": ("Who won the chess world championship of 1972?", {}),
}
SETTINGS = Settings(chunking={"size": 24}, retrieval={"top_k": 4})


class Heard:
    """A `Progress` that adds up what it hears."""

    def __init__(self) -> None:
        self.total, self.count = -1, 0.0

    def start(self, total: int) -> None:
        self.total = total

    def advance(self, count: float, tokens: int = 0) -> None:
        self.count += count


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's cache of our own, so that no scratch index is made in the real one."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def lay_out(folder: Path, corpus: Mapping[str, str] = CORPUS, asked: Iterable[str] = ASKED) -> Path:
    """Write documents and questions; the path of the questions."""
    for name, text in corpus.items():
        path = folder / "corpora" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    lines = []
    for key in asked:
        text, evidence = ASKED[key]
        references = [
            {"doc": doc, "start": at, "end": at + len(quote), "text": quote}
            for doc, quote in evidence.items()
            for at in [CORPUS[doc].index(quote)]
        ]
        lines.append({"question_id": key, "question": text, "references": references})
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions beside their documents, which no test changes."""
    return lay_out(tmp_path_factory.mktemp("set"))


def planned(questions: Path, settings: Settings = SETTINGS, **options: Any) -> Plan:
    return prepare(settings, questions, questions.parent / "corpora", **options)


def recorded(
    questions: Path, settings: Settings = SETTINGS, *, watch: Watch | None = None, **options: Any
) -> Run:
    plan = planned(questions, settings, **options)
    return record_run(plan, watch)


@pytest.fixture(scope="module")
def run(questions: Path) -> Run:
    return recorded(questions)


def points(spans: Iterable[Located] | None) -> set[tuple[str, int]]:
    """Every character of some spans, one by one."""
    return {(each.doc, at) for each in spans or () for at in range(each.start, each.end)}


def text_of(span: Located) -> str:
    return CORPUS[span.doc][span.start : span.end]


def called(run: Run, name: str) -> QuestionRecord:
    (found,) = (each for each in run.questions if each.question.id == name)
    return found


def told(run: Run) -> list[Any]:
    """All of a run but what the clock says."""
    return [
        replace(each, stages=tuple(replace(stage, seconds=0.0) for stage in each.stages))
        for each in run.questions
    ]


# --- what is recorded --------------------------------------------------------------------------


def test_every_question_is_recorded_in_order_with_its_stages(run: Run) -> None:
    assert [each.question.id for each in run.questions] == list(ASKED)
    for each in run.questions:
        names = [stage.stage for stage in each.stages]
        full = ["retrieve", "cluster", "select", "generate", "verify"]
        assert names == (full[:3] if each.abstained else full)
        assert all(stage.seconds > 0 for stage in each.stages)
    assert run.narrowing == ("retrieve", "cluster", "select", "verify")
    assert run.context_stage == "select"


def test_spans_lie_inside_their_documents_and_are_never_empty(run: Run) -> None:
    for each in run.questions:
        for stage in each.stages:
            for span in stage.spans or ():
                assert 0 <= span.start < span.end <= len(CORPUS[span.doc])


def test_what_was_retrieved_are_chunks_and_no_chunk_comes_twice(run: Run) -> None:
    for each in run.questions:
        spans = each.stage("retrieve").spans or ()
        assert len(spans) == len(set(spans)) == SETTINGS.retrieval.top_k
        assert set(spans) <= set(run.chunks)


def test_every_later_stage_only_narrows(run: Run) -> None:
    for each in run.questions:
        seen = [points(each.stage(name).spans) for name in run.narrowing]
        assert seen[0] >= seen[1] > seen[2] >= seen[3]


def test_a_stage_writes_where_it_lets_no_spans_through(run: Run) -> None:
    for each in run.questions:
        if not each.abstained:
            assert each.stage("generate").spans is None


def test_tokens_are_those_of_the_spans(run: Run, counter: TokenCounter) -> None:
    for each in run.questions:
        for name in ("retrieve", "cluster", "select"):
            stage = each.stage(name)
            assert stage.tokens == sum(counter.count(text_of(span)) for span in stage.spans or ())


def test_the_evidence_is_found_and_kept(run: Run) -> None:
    for each in run.questions:
        if each.question.references:
            assert overlap(each.question.references, each.stage("select").spans or ()).recall == 1


def test_what_is_verified_are_the_citations_of_the_answer(run: Run) -> None:
    for each in run.questions:
        if not each.abstained:
            assert each.stage("verify").spans == tuple(cited.at for cited in each.citations)
            assert each.citations[0].verified
            assert " ".join(text_of(each.citations[0].at).split()) in " ".join(each.answer.split())


def test_a_question_without_evidence_is_recorded_as_abstained(run: Run) -> None:
    found = called(run, "chess")
    assert (found.abstained, found.citations, found.failed) == (True, (), "")
    assert found.stage("select").tokens > 0
    assert score_run(run).abstained == sum(each.abstained for each in run.questions)


def test_every_document_is_recorded_with_all_its_chunks(run: Run) -> None:
    assert {each.doc: each.digest for each in run.documents} == {
        name: digest(text) for name, text in CORPUS.items()
    }
    for each in run.documents:
        assert each.length == len(CORPUS[each.doc])
        assert len(each.chunks) > 1
        covered = {at for edges in each.chunks for at in range(*edges)}
        left = set(range(each.length)) - covered
        assert not "".join(CORPUS[each.doc][at] for at in left).strip()


def test_a_run_says_what_it_was_made_with(run: Run, questions: Path, counter: TokenCounter) -> None:
    header = run.header
    assert (header.label, header.split, header.token_unit) == ("spanrag", "all", counter.name)
    assert header.sources == {
        "questions": str(questions.resolve()),
        "corpora": str(questions.parent.resolve() / "corpora"),
    }
    assert header.manifest["spanrag"] == version("spanrag")
    assert header.manifest["chunker"].endswith(":24/0")
    assert header.settings["chunking"]["size"] == 24
    assert header.notes["ingest"]["failed"] == []
    assert header.made.endswith("+00:00")


def test_a_recorded_run_survives_its_file(run: Run, tmp_path: Path) -> None:
    run.write(tmp_path / "run.jsonl")
    assert read_run(tmp_path / "run.jsonl") == run


def test_the_file_holds_no_text_that_no_answer_quotes(run: Run, tmp_path: Path) -> None:
    run.write(tmp_path / "run.jsonl")
    written = (tmp_path / "run.jsonl").read_text(encoding="utf-8")
    quoted = " ".join(each.answer for each in run.questions)
    for word in ("welders", "lighthouse", "spraint", "Headache"):
        assert word in " ".join(CORPUS.values())
        assert word not in quoted
        assert word not in written


# --- the scratch index -------------------------------------------------------------------------


def test_a_second_run_ingests_nothing_and_says_the_same(questions: Path, run: Run) -> None:
    documents, asked = Heard(), Heard()
    again = recorded(questions, watch=Watch(documents, asked))
    assert (documents.total, documents.count) == (0, 0)
    assert (asked.total, asked.count) == (len(ASKED), len(ASKED))
    assert told(again) == told(run)
    assert again.documents == run.documents


def test_the_scratch_index_lies_in_the_cache_and_nowhere_else(
    questions: Path, run: Run, cache: Path, tmp_path: Path
) -> None:
    own = SETTINGS.model_copy(
        update={"store": SETTINGS.store.model_copy(update={"path": tmp_path / "own"})}
    )
    plan = planned(questions, own)
    assert plan.settings.store.path == planned(questions).settings.store.path
    assert plan.settings.store.path.is_dir()
    assert plan.settings.store.path.parent == cache / "spanrag" / "eval"
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in questions.parent.rglob("*") if "segments" in path.parts]


def test_each_corpus_and_each_way_of_indexing_has_a_scratch_index_of_its_own(
    questions: Path, tmp_path: Path
) -> None:
    def scratch(**changed: Any) -> Path:
        values = SETTINGS.model_dump(exclude={"store", "generation"})
        for group, keys in changed.items():
            values[group] = {**values[group], **keys}
        return planned(questions, Settings(**values)).settings.store.path

    assert scratch() == planned(questions, SETTINGS).settings.store.path
    assert scratch(retrieval={"top_k": 9}, selection={"budget": 9}) == scratch()
    elsewhere = planned(lay_out(tmp_path)).settings.store.path
    others = [
        scratch(chunking={"size": 25}),
        scratch(chunking={"kind": "tokens"}),
        scratch(chunking={"header_tokens": 0}),
        scratch(lexical={"language": "german"}),
        scratch(embedding={"precision": "float32"}),
        elsewhere,
    ]
    assert len({scratch(), *others}) == len(others) + 1


def test_what_changed_in_the_corpus_is_picked_up(tmp_path: Path) -> None:
    path = lay_out(tmp_path, asked=["otter"])
    corpora = tmp_path / "corpora"
    recorded(path)
    moved = "Weather first. " + CORPUS["otter.txt"].replace("one kilogram", "two kilograms")
    (corpora / "otter.txt").write_text(moved)
    (corpora / "heron.txt").unlink()
    (corpora / "new.txt").write_text("An otter eats fish every day, says the new document.")
    line = json.loads(path.read_text())
    at = moved.index("two kilograms of fish")
    line["references"] = [{"doc": "otter.txt", "start": at, "end": at + 21}]
    path.write_text(json.dumps(line))
    heard = Heard()
    run = recorded(path, watch=Watch(documents=heard))
    assert heard.total == 2
    assert {each.doc for each in run.documents} == {*CORPUS, "new.txt"} - {"heron.txt"}
    (question,) = run.questions
    texts = {**CORPUS, "otter.txt": moved, "new.txt": (corpora / "new.txt").read_text()}
    run.require_texts({name: text for name, text in texts.items() if name != "heron.txt"})
    kept = question.stage("select").spans or ()
    assert "two kilograms of fish" in " ".join(texts[s.doc][s.start : s.end] for s in kept)
    retrieved = question.stage("retrieve").spans or ()
    assert "new.txt" in {span.doc for span in retrieved}
    assert set(retrieved) <= set(run.chunks)


def test_a_corpus_reached_by_two_ways_is_ingested_once(tmp_path: Path) -> None:
    lay_out(tmp_path / "real", asked=["otter"])
    (tmp_path / "link").symlink_to("real")
    recorded(tmp_path / "link" / "questions.jsonl")
    (found,) = recorded(tmp_path / "real" / "questions.jsonl").questions
    spans = found.stage("retrieve").spans or ()
    assert len(spans) == len(set(spans))


def test_a_scratch_index_of_another_model_is_built_anew(tmp_path: Path) -> None:
    path = lay_out(tmp_path, asked=["otter"])
    open_tiny(planned(path).settings.store.path).close()
    heard = Heard()
    (found,) = recorded(path, watch=Watch(documents=heard)).questions
    assert heard.total == len(CORPUS)
    assert overlap(found.question.references, found.stage("select").spans or ()).recall == 1


def test_a_document_that_cannot_be_read_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = lay_out(tmp_path, asked=["otter"])
    (tmp_path / "corpora/broken.pdf").write_bytes(b"%PDF-1.7 and no more")
    with caplog.at_level(logging.WARNING):
        run = recorded(path)
    assert "broken.pdf" in caplog.text
    assert {each.doc for each in run.documents} == set(CORPUS)
    (failure,) = run.header.notes["ingest"]["failed"]
    assert failure["source"].endswith("broken.pdf")
    assert failure["reason"]
    assert score_run(run).n == 1


# --- preparing ---------------------------------------------------------------------------------


def test_a_corpus_is_every_document_of_a_folder_by_its_path_below(questions: Path) -> None:
    documents = read_corpus(questions.parent / "corpora")
    assert {each.name: each.text for each in documents} == CORPUS
    kept = read_corpus(questions.parent / "corpora", ["med/", "h*.txt"])
    assert {each.name for each in kept} == {"sales.txt", "otter.txt", "badger.txt"}


@pytest.mark.parametrize("missing", ["corpora", "questions.jsonl"])
def test_what_is_not_there_is_a_usage_error_and_nothing_is_made(
    tmp_path: Path, cache: Path, missing: str
) -> None:
    path = lay_out(tmp_path)
    before = set(cache.rglob("*"))
    gone = tmp_path / missing
    gone.rename(tmp_path / "elsewhere")
    with pytest.raises(UsageError) as caught:
        planned(path)
    assert str(gone) in caught.value.message
    assert set(cache.rglob("*")) == before


def test_a_question_about_a_document_that_is_not_there_is_named_by_its_line(
    tmp_path: Path,
) -> None:
    path = lay_out(tmp_path, {name: CORPUS[name] for name in CORPUS if name != "sales.txt"})
    with pytest.raises(UsageError, match=r"no document sales\.txt") as caught:
        planned(path)
    assert caught.value.message.startswith(f"{path}, line 4: ")


def test_the_sides_of_the_split_are_those_of_the_documents(questions: Path) -> None:
    every = planned(questions).questions
    assert [each.id for each in every] == list(ASKED)
    for side in ("tune", "test"):
        plan = planned(questions, split=side)
        assert plan.questions == tuple(split_questions(every, side))  # type: ignore[arg-type]
        assert (plan.header.split, plan.tune) == (side, ())
        assert len(plan.documents) == len(CORPUS)  # the whole corpus is searched all the same


def test_a_side_that_would_be_empty_is_an_error_before_anything_slow(
    tmp_path: Path, cache: Path
) -> None:
    path = lay_out(tmp_path, asked=["otter"])
    before = set(cache.rglob("*"))
    sides: list[dict[str, Any]] = [{"split": "tune"}, {"split": "test"}, {"target_recall": 0.9}]
    failures: list[str] = []
    for options in sides:
        try:
            planned(path, **options)
        except UsageError as error:
            failures.append(error.message)
    # One document is on one side: of the two, and of calibrating, which needs both, two fail.
    assert len(failures) == 2
    assert all("split is empty" in each for each in failures)
    assert set(cache.rglob("*")) == before


def test_a_sample_is_always_the_same_and_grows(questions: Path) -> None:
    samples = [[q.id for q in planned(questions, sample=count).questions] for count in range(1, 9)]
    assert [len(each) for each in samples] == list(range(1, 9))
    for fewer, more in pairwise(samples):
        assert set(fewer) < set(more)
    for each in samples:
        assert [key for key in ASKED if key in each] == each
    assert [q.id for q in planned(questions, sample=3).questions] == samples[2]
    assert len(planned(questions, sample=99).questions) == len(ASKED)


def test_a_sample_does_not_depend_on_the_order_of_the_file(questions: Path, tmp_path: Path) -> None:
    turned = lay_out(tmp_path, asked=reversed(ASKED))
    one, other = planned(questions, sample=3).questions, planned(turned, sample=3).questions
    assert {each.id for each in one} == {each.id for each in other}


def test_a_sample_is_drawn_from_its_side(questions: Path) -> None:
    side = planned(questions, split="test").questions
    assert set(planned(questions, split="test", sample=2).questions) < set(side)


def test_the_hash_is_of_what_the_query_path_is_set_to(questions: Path) -> None:
    def hashed(**settings: Any) -> str:
        return planned(questions, Settings(**settings)).header.config_hash

    same = hashed()
    assert hashed(store={"path": "/elsewhere"}, models={"path": "/models"}, offline=False) == same
    others = [
        hashed(selection={"budget": 64}),
        hashed(retrieval={"top_k": 5}),
        hashed(chunking={"size": 100}),
        hashed(generation={"max_tokens": 9}),
    ]
    assert len({same, *others}) == len(others) + 1


def test_no_secret_is_recorded(questions: Path) -> None:
    secret = "sk-do-not-tell"
    settings = Settings(
        generation={
            "kind": "server",
            "url": "http://localhost:1/v1",
            "model": "m",
            "api_key": secret,
        },
        store={"kind": "server", "url": "http://localhost:2", "api_key": secret},
    )
    plan = planned(questions, settings)
    assert secret not in json.dumps(plan.header.settings)
    assert secret not in repr(plan)
    assert plan.settings.store.kind == "edge"
    assert plan.settings.generation.api_key.get_secret_value() == secret


# --- the budget --------------------------------------------------------------------------------


def with_selection(**selection: Any) -> Settings:
    return SETTINGS.model_copy(
        update={"selection": SETTINGS.selection.model_copy(update=selection)}
    )


def test_the_context_keeps_within_the_budget(questions: Path, run: Run) -> None:
    small = recorded(questions, with_selection(budget=32))
    for each in small.questions:
        before = called(run, each.question.id)
        assert each.stage("select").tokens <= 32
        assert each.stage("retrieve").spans == before.stage("retrieve").spans
    assert max(each.stage("select").tokens for each in small.questions) > 16


def recall(run: Run, stage: str = "select") -> float:
    return score_run(run).stages[stage].means["recall"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions whose evidence is the first sentence and the last: one chunk does not hold both."""
    path = lay_out(tmp_path_factory.mktemp("wide"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for reference in list(line["references"]):
            text = CORPUS[doc := reference["doc"]]
            last = text.rindex(".")
            line["references"].append({"doc": doc, "start": last - 30, "end": last})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def calibrated(wide: Path) -> Run:
    return recorded(wide, target_recall=0.8)


def test_calibration_finds_the_smallest_budget_that_reaches_the_target(
    wide: Path, calibrated: Run
) -> None:
    found = calibrated.header.notes["calibration"]
    tune = planned(wide, split="tune").questions
    assert found["questions"] == len([each for each in tune if each.references]) > 1
    assert (found["target_recall"], found["reached"]) == (0.8, True)
    assert found["recall"] >= 0.8
    at = BUDGETS.index(found["budget"])
    for budget in BUDGETS[at - 1 : at + 1]:
        tuned = recall(recorded(wide, with_selection(budget=budget), split="tune"))
        assert (tuned >= 0.8) == (budget == found["budget"])
    assert tuned == pytest.approx(found["recall"])


def test_what_was_calibrated_is_used_on_the_other_side(wide: Path, calibrated: Run) -> None:
    test = planned(wide, split="test").questions
    assert calibrated.header.split == "test"
    assert tuple(each.question for each in calibrated.questions) == test
    budget = calibrated.header.notes["calibration"]["budget"]
    assert all(each.stage("select").tokens <= budget for each in calibrated.questions)
    assert max(each.stage("select").tokens for each in calibrated.questions) > budget / 2


def test_a_calibrated_run_says_which_budget_it_ran_with(wide: Path, calibrated: Run) -> None:
    budget = calibrated.header.notes["calibration"]["budget"]
    assert calibrated.header.settings["selection"]["budget"] == budget
    by_hand = planned(wide, with_selection(budget=budget), split="test")
    assert calibrated.header.config_hash == by_hand.header.config_hash


def test_a_target_out_of_reach_keeps_whole_chunks_and_says_so(wide: Path) -> None:
    narrow = SETTINGS.model_copy(
        update={"retrieval": SETTINGS.retrieval.model_copy(update={"top_k": 1})}
    )
    run = recorded(wide, narrow, target_recall=1.0)
    found = run.header.notes["calibration"]
    assert (found["reached"], found["budget"]) == (False, 0)
    assert 0 < found["recall"] < 1
    for each in run.questions:
        assert each.stage("select").spans == each.stage("retrieve").spans


# --- a generator that fails --------------------------------------------------------------------

# Its window leaves no room for even one passage, so it fails before anything is asked of it.
FULL = {
    "kind": "server", "url": "http://127.0.0.1:1/v1", "model": "m", "context_window": 256,
    "max_tokens": 255,
}  # fmt: skip
FAILING = Settings(**SETTINGS.model_dump(exclude={"store", "generation"}), generation=FULL)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A question that is answered by nobody, and one that needs no answer."""
    pytest.importorskip("llama_index.llms.openai_like", reason="the server extra is not installed")
    return recorded(lay_out(tmp_path_factory.mktemp("failing"), asked=["otter", "chess"]), FAILING)


def test_a_question_whose_generator_fails_is_recorded_with_what_came_before(failed: Run) -> None:
    otter, chess = failed.questions
    assert "do not fit m" in otter.failed
    assert (otter.answer, otter.abstained, otter.citations) == ("", False, ())
    assert (chess.failed, chess.abstained) == ("", True)
    assert [stage.stage for stage in otter.stages] == ["retrieve", "cluster", "select"]
    seen = [points(stage.spans) for stage in otter.stages]
    assert seen[0] >= seen[1] > seen[2] > set()
    assert recall(failed) == 1.0
    assert failed.context_stage == "select"


def test_what_a_failed_question_cost_until_then_is_recorded_too(
    failed: Run, counter: TokenCounter
) -> None:
    for stage in failed.questions[0].stages:
        assert stage.tokens == sum(counter.count(text_of(span)) for span in stage.spans or ())


def test_a_generator_that_always_fails_ends_the_run(
    questions: Path, failed: Run, caplog: pytest.LogCaptureFixture
) -> None:
    asked = Heard()
    with caplog.at_level(logging.WARNING), pytest.raises(ModelError, match="do not fit"):
        recorded(questions, FAILING, watch=Watch(questions=asked))
    assert asked.count == 4  # the fifth failure in a row is the last
    assert "question arrivals: " in caplog.text


def test_of_one_question_the_first_failure_ends_the_run(
    tmp_path: Path, questions: Path, failed: Run
) -> None:
    alone = lay_out(tmp_path, {}, ["otter"])
    with pytest.raises(ModelError, match="do not fit"):
        record_run(prepare(FAILING, alone, questions.parent / "corpora"))
