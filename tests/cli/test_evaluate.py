"""`rag eval run`, `rag eval score` and `rag eval compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.runs import read_run
from pipelines.evaluate import read_corpus
from rag.chunking import SentenceChunker
from rag.tokens import TokenCounter

METRICS = ("iou", "precision", "recall", "precision_omega")
ROW = {"question_id", *METRICS}

# --- anybody's retrieval -----------------------------------------------------------------------

Q = [
    {"question_id": "q1", "question": "?", "references": [{"doc": "a", "start": 10, "end": 20}]},
    {"question_id": "none", "question": "?", "references": []},
    {"question_id": "q2", "question": "?", "references": [{"doc": "b/ä", "start": 0, "end": 10}]},
]
R = [
    {"question_id": "q1", "spans": [{"doc": "a", "start": 0, "end": 20}] * 2},
    {"question_id": "q2", "spans": []},
]
C = [
    {"doc": "a", "start": 0, "end": 20},
    {"doc": "a", "start": 20, "end": 40},
    {"doc": "b/ä", "start": 0, "end": 10},
]


def write(path: Path, *lines: Any) -> str:
    """Write lines, bytes as they are and anything else as JSON; the path."""
    found = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path.write_bytes(b"".join(line + b"\n" for line in found))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The three files, as options of `rag eval score`."""
    return {
        "--questions": write(tmp_path / "q.jsonl", *Q),
        "--retrieved": write(tmp_path / "r.jsonl", *R),
        "--chunks": write(tmp_path / "c.jsonl", *C),
    }


def options(files: dict[str, str]) -> list[str]:
    return [each for pair in files.items() for each in pair]


def test_score_prints_means_and_a_row_for_each_question(rag, files: dict[str, str]) -> None:
    ran = rag("eval", "score", *options(files), "--json")
    assert ran.code == 0, ran.stderr
    assert set(ran.json) >= {"n", *METRICS, "unit", "per_question"}
    assert ran.json["per_question"] == [
        {"question_id": "q1", "iou": 0.5, "precision": 0.5, "recall": 1.0, "precision_omega": 0.5},
        {"question_id": "q2", "iou": 0.0, "precision": 0.0, "recall": 0.0, "precision_omega": 1.0},
    ]
    wanted = {"n": 2, "iou": 0.25, "precision": 0.25, "recall": 0.5, "precision_omega": 0.75}
    assert {key: ran.json[key] for key in wanted} == wanted
    assert ran.json["unit"] == "char"
    assert (ran.json["unanswerable"], ran.json["nothing_retrieved"]) == (1, 1)
    assert set(ran.json["ci"]) == set(METRICS)


def test_without_chunks_there_is_no_precision_omega_and_nothing_to_check_against(
    rag, files: dict[str, str]
) -> None:
    del files["--chunks"]
    ran = rag("eval", "score", *options(files), "--json")
    assert (ran.code, ran.json["precision_omega"], ran.json["recall"]) == (0, None, 0.5)
    assert {row["precision_omega"] for row in ran.json["per_question"]} == {None}
    assert "not checked" in ran.stderr


def test_the_published_arithmetic_is_there_for_the_asking(rag, files: dict[str, str]) -> None:
    ran = rag("eval", "score", *options(files), "--compat", "chroma", "--json")
    assert ran.code == 0
    first = ran.json["per_question"][0]
    # Retrieved twice, paid for twice; and the chunk that begins where the reference ends counts.
    assert first == {
        "question_id": "q1", "iou": 10 / 40, "precision": 10 / 40, "recall": 1.0,
        "precision_omega": 10 / 40,
    }  # fmt: skip


def test_scores_are_printed_for_people(rag, files: dict[str, str]) -> None:
    ran = rag("eval", "score", *options(files))
    assert ran.code == 0
    assert "2 questions, counted in char" in ran.stdout
    assert "recall            50.0%" in ran.stdout
    assert "1 questions have nothing retrieved" in ran.stdout
    assert "1 questions have no reference" in ran.stdout


@pytest.mark.parametrize(
    ("option", "line", "number", "says"),
    [
        ("--questions", b'{"question_id": "q3", ', 4, "JSON"),
        ("--questions", {**Q[0], "question_id": "q3", "references": [{"doc": "a"}]}, 4, "start"),
        ("--retrieved", {"question_id": "q9", "spans": []}, 3, "q9 is not among the questions"),
        ("--retrieved", {"question_id": "none", "spans": [{"doc": "z", "start": 0, "end": 1}]}, 3,
         "no document z"),
        ("--retrieved", {"question_id": "none", "spans": [{"doc": "a", "start": 0, "end": 41}]}, 3,
         "its last chunk ends at 40"),
        ("--chunks", {"doc": "a", "start": 5, "end": 5}, 4, "empty"),
        ("--chunks", b"\xff\xfe", 4, ""),
    ],
)  # fmt: skip
def test_a_bad_line_is_a_usage_error_that_names_file_and_line(
    rag, files: dict[str, str], tmp_path: Path, option: str, line: Any, number: int, says: str
) -> None:
    with open(files[option], "ab") as file:
        file.write((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n")
    before = set(tmp_path.rglob("*"))
    ran = rag("eval", "score", *options(files), "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert ran.error["message"].startswith(f"{files[option]}, line {number}: ")
    assert says in ran.error["message"]
    assert set(tmp_path.rglob("*")) == before


def test_a_file_that_is_not_there_is_a_usage_error(rag, files: dict[str, str]) -> None:
    files["--retrieved"] += ".gone"
    ran = rag("eval", "score", *options(files), "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert files["--retrieved"] in ran.error["message"]


def test_the_documents_beside_the_questions_are_looked_into(
    rag, files: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "corpora/b").mkdir(parents=True)
    (tmp_path / "corpora/a.txt").write_text("x" * 40)
    ran = rag("eval", "score", *options(files), "--json")
    assert ran.code == 2
    assert ran.error["message"] == f"{files['--chunks']}, line 1: no document a in the corpus"


def test_tokens_are_counted_where_the_documents_are_at_hand(rag, tmp_path: Path) -> None:
    text = "net sales rose and antidisestablishmentarianism fell"
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.txt").write_text(text)
    long = text.index("anti")
    reference = {"doc": "a.txt", "start": 4, "end": 14, "text": "sales rose"}
    files = {
        "--questions": write(
            tmp_path / "q.jsonl", {"question_id": "q", "question": "?", "references": [reference]}
        ),
        "--retrieved": write(
            tmp_path / "r.jsonl",
            {"question_id": "q", "spans": [{"doc": "a.txt", "start": 2, "end": 12}]},
        ),
        "--chunks": write(
            tmp_path / "c.jsonl",
            {"doc": "a.txt", "start": 0, "end": long},
            {"doc": "a.txt", "start": long, "end": len(text)},
        ),
        "--corpora": str(tmp_path / "docs"),
    }
    ran = rag("eval", "score", *options(files), "--unit", "token", "--json")
    assert ran.code == 0, ran.stderr
    assert (ran.json["unit"], ran.json["tokenizer"]) == ("token", "all-MiniLM-L6-v2")
    found = {name: ran.json[name] for name in METRICS}
    assert found == {"iou": 2 / 3, "precision": 2 / 3, "recall": 1.0, "precision_omega": 2 / 4}

    del files["--corpora"]
    ran = rag("eval", "score", *options(files), "--unit", "token", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "--corpora" in ran.error["hint"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["score"], "nothing to score"),
        (["score", "run.jsonl", "--retrieved", "r.jsonl"], "a recorded run has its own"),
        (["score", "run.jsonl", "--unit", "word"], "no unit word"),
        (["score", "run.jsonl", "--compat", "ragas"], "ragas"),
        (["run", "--questions", "q.jsonl", "--split", "dev"], "no split dev"),
        (["run", "--questions", "q.jsonl", "--target-recall", "0.9", "--budget", "9"], "tune"),
        (["run", "--questions", "q.jsonl", "--target-recall", "0.9", "--split", "test"], "tune"),
        (["run", "--questions", "q.jsonl", "--budget", "0"], "--budget"),
        (["compare", "a.jsonl", "b.jsonl"], "cannot read a.jsonl"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    rag, tmp_path: Path, arguments: list[str], says: str
) -> None:
    ran = rag("eval", *arguments, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert says in ran.error["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_retrieving_what_touches_the_evidence_reaches_precision_omega_on_a_real_corpus(
    rag, shared: Path, tmp_path: Path, counter: TokenCounter
) -> None:
    questions = shared / "data/chroma/questions.jsonl"
    chunker = SentenceChunker(counter, 200)
    chunks = [
        Located(chunk.name, chunk.span.start, chunk.span.end)
        for document in read_corpus(shared / "data/chroma/corpora")
        for chunk in chunker.split(document)
    ]
    known = ChunkMap(chunks)
    asked = [json.loads(line) for line in questions.read_text(encoding="utf-8").splitlines()]
    retrieved = [
        {
            "question_id": each["question_id"],
            "spans": [
                {"doc": chunk.doc, "start": chunk.start, "end": chunk.end}
                for chunk in known.touched(
                    [Located(ref["doc"], ref["start"], ref["end"]) for ref in each["references"]]
                )
            ],
        }
        for each in asked
    ]
    lines = [{"doc": each.doc, "start": each.start, "end": each.end} for each in chunks]
    files = {
        "--questions": str(questions),
        "--retrieved": write(tmp_path / "r.jsonl", *retrieved),
        "--chunks": write(tmp_path / "c.jsonl", *lines),
    }
    ran = rag("eval", "score", *options(files), "--json")
    assert ran.code == 0, ran.stderr
    assert ran.json["n"] == len(asked) == 317
    # The chunker leaves out white space between chunks alone, of which references hold little.
    assert ran.json["recall"] > 0.995
    for row in ran.json["per_question"]:
        assert row["iou"] == pytest.approx(row["precision_omega"])
    assert 0.1 < ran.json["precision_omega"] < 0.6


# --- a run of our own --------------------------------------------------------------------------

STAGE = {"stage", *METRICS, "tokens", "seconds", "ci"}


def test_run_prints_every_stage_with_its_figures_and_intervals(evaluated) -> None:
    assert evaluated.one.code == 0, evaluated.one.stderr
    found = evaluated.one.json
    assert set(found) >= {"stages", "config_hash", "manifest"}
    assert [stage["stage"] for stage in found["stages"]] == [
        "retrieve", "cluster", "select", "verify",
    ]  # fmt: skip
    for stage in found["stages"]:
        assert set(stage) >= STAGE
        assert set(stage["ci"]) == STAGE - {"stage", "ci"}
        assert all(low <= stage[key] <= high for key, (low, high) in stage["ci"].items())
        assert set(stage["per_token"]) == set(METRICS)
    retrieve, _, select, _ = found["stages"]
    assert retrieve["recall"] == select["recall"] == 1.0
    assert retrieve["precision"] < select["precision"]
    assert retrieve["tokens"] > select["tokens"] > 0
    assert (found["n"], found["unanswerable"], found["failed"]) == (3, 1, 0)
    assert found["manifest"]["embedder"].startswith("all-MiniLM-L6-v2:")


def test_run_writes_the_recorded_run_where_it_says(evaluated) -> None:
    path = Path(evaluated.one.json["run"])
    assert path.parent == Path("eval-runs")
    assert path.name.startswith(f"set-{evaluated.one.json['config_hash']}-")
    recorded = read_run(evaluated.root / path)
    assert [each.question.id for each in recorded.questions] == ["fish", "worms", "setts", "chess"]
    assert recorded.header.config_hash == evaluated.one.json["config_hash"]
    assert list((evaluated.root / "eval-runs").iterdir()) == [evaluated.root / path]


def test_the_options_of_a_run_reach_it(evaluated) -> None:
    assert evaluated.other.code == 0, evaluated.other.stderr
    assert evaluated.other.stderr == ""
    assert evaluated.other.json["run"] == "runs/narrow.jsonl"
    recorded = read_run(evaluated.root / "runs/narrow.jsonl")
    assert recorded.header.label == evaluated.other.json["label"] == "narrow"
    assert recorded.header.settings["retrieval"]["top_k"] == 1
    assert recorded.header.settings["selection"]["budget"] == 12
    for each in recorded.questions:
        assert len(each.stage("retrieve").spans or ()) == 1
        assert each.stage("select").tokens <= 12
    assert evaluated.other.json["config_hash"] != evaluated.one.json["config_hash"]


def test_nothing_is_made_beside_the_run_but_a_scratch_index_in_the_cache(
    evaluated,
) -> None:
    names = {path.name for path in evaluated.root.iterdir()}
    assert names == {"set", "narrow.toml", "eval-runs", "runs"}
    scratch = Path(evaluated.env["XDG_CACHE_HOME"]) / "spanrag/eval"
    assert len(list(scratch.iterdir())) == 1


def test_scoring_a_recorded_run_again_says_the_same(evaluated) -> None:
    ran = evaluated.rag("score", evaluated.one.json["run"], "--json")
    assert ran.code == 0, ran.stderr
    clock = {"seconds"}
    assert {key: value for key, value in evaluated.one.json.items() if key not in clock} == ran.json


def edited(evaluated: Any, path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> str:
    """A copy of the first run with its lines changed."""
    written = (evaluated.root / evaluated.one.json["run"]).read_text(encoding="utf-8")
    lines = [json.loads(line) for line in written.splitlines()]
    change(lines)
    return write(path, *lines)


def test_a_run_is_scored_per_character_where_its_documents_are_gone(
    evaluated, tmp_path: Path
) -> None:
    def move(lines: list[dict[str, Any]]) -> None:
        lines[0]["run"]["sources"]["corpora"] = "/nowhere"

    ran = evaluated.rag("score", edited(evaluated, tmp_path / "moved.jsonl", move), "--json")
    assert ran.code == 0, ran.stderr
    assert "not where they were" in ran.stderr
    for stage, before in zip(ran.json["stages"], evaluated.one.json["stages"], strict=True):
        assert stage["per_token"] is None
        assert {key: stage[key] for key in STAGE} == {key: before[key] for key in STAGE}


def test_a_run_is_not_scored_with_other_documents_than_its_own(evaluated, tmp_path: Path) -> None:
    (tmp_path / "otter.txt").write_text("An otter, but another.")
    ran = evaluated.rag("score", evaluated.one.json["run"], "--corpora", str(tmp_path), "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "otter.txt is not what it was" in ran.error["message"]


def test_a_run_is_printed_for_people(evaluated) -> None:
    ran = evaluated.rag("score", evaluated.one.json["run"], "--compat", "chroma")
    assert ran.code == 0
    for said in ("spanrag: 3 questions, 2 documents", "retrieve", "select", "per token", "ranking"):
        assert said in ran.stdout
    assert f"recorded in {evaluated.one.json['run']}" in ran.stdout


def test_compare_says_what_differs_and_what_does_not(evaluated) -> None:
    ran = evaluated.rag("compare", evaluated.one.json["run"], "runs/narrow.jsonl", "--json")
    assert ran.code == 0, ran.stderr
    assert set(ran.json) == {"a", "b", "n", "differences"}
    assert (ran.json["a"]["label"], ran.json["b"]["label"], ran.json["n"]) == (
        "spanrag", "narrow", 3,
    )  # fmt: skip
    found = {(each["stage"], each["figure"]): each for each in ran.json["differences"]}
    for each in found.values():
        assert set(each) == {"stage", "figure", "a", "b", "difference", "ci", "real"}
        assert each["difference"] == pytest.approx(each["b"] - each["a"])
        assert each["ci"][0] <= each["difference"] <= each["ci"][1]
    tokens = found["retrieve", "tokens"]
    assert tokens["a"] == evaluated.one.json["stages"][0]["tokens"]
    assert tokens["b"] == evaluated.other.json["stages"][0]["tokens"] < tokens["a"]


def test_a_run_does_not_differ_from_itself(evaluated) -> None:
    path = evaluated.one.json["run"]
    ran = evaluated.rag("compare", path, path, "--json")
    assert ran.code == 0
    assert [each for each in ran.json["differences"] if each["real"] or each["difference"]] == []
    ran = evaluated.rag("compare", path, path)
    assert (ran.code, ran.stdout.count("retrieve")) == (0, 6)


def test_incomparable_runs_are_refused_and_it_is_said_why(evaluated, tmp_path: Path) -> None:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[0]["run"]["token_unit"] = "another"
        lines[0]["run"]["questions"] -= 1
        lines[1]["document"]["digest"] = "0" * 32
        del lines[-1]

    other = edited(evaluated, tmp_path / "other.jsonl", change)
    ran = evaluated.rag("compare", evaluated.one.json["run"], other, "--json")
    assert (ran.code, ran.error["code"]) == (3, "config")
    for said in (
        "documents: 1 differ, such as otter.txt",
        "questions: 1 only in the first, such as chess",
        "tokens: all-MiniLM-L6-v2 against another",
    ):
        assert said in ran.error["message"]


def test_a_damaged_run_is_a_usage_error_that_names_its_line(evaluated, tmp_path: Path) -> None:
    path = Path(edited(evaluated, tmp_path / "cut.jsonl", lambda lines: None))
    path.write_bytes(path.read_bytes()[:-40])
    for arguments in (["score", str(path)], ["compare", evaluated.one.json["run"], str(path)]):
        ran = evaluated.rag(*arguments, "--json")
        assert (ran.code, ran.error["code"]) == (2, "usage")
        assert f"{path}, line 7: " in ran.error["message"]


def test_questions_that_are_not_a_run_are_said_not_to_be_one(evaluated) -> None:
    ran = evaluated.rag("score", "set/questions.jsonl", "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert ran.error["message"] == "set/questions.jsonl is not a recorded run"


def test_a_run_with_a_bad_question_ends_before_anything_is_made(evaluated, tmp_path: Path) -> None:
    bad = {**Q[0], "references": [{"doc": "otter.txt", "start": 0, "end": 9, "text": "not this"}]}
    path = write(tmp_path / "q.jsonl", Q[1], bad)
    cache = tmp_path / "cache"
    ran = evaluated.rag(
        "run", "--questions", path, "--corpora", str(evaluated.root / "set/corpora"), "--json",
        cwd=tmp_path, env={"XDG_CACHE_HOME": str(cache)},
    )  # fmt: skip
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert ran.error["message"].startswith(f"{path}, line 2: the text of the reference")
    assert list(tmp_path.iterdir()) == [tmp_path / "q.jsonl"]


def test_a_place_that_cannot_be_written_to_is_a_usage_error(evaluated) -> None:
    ran = evaluated.rag(
        "run", "--questions", "set/questions.jsonl", "--out", "narrow.toml/run.jsonl", "--json"
    )
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "narrow.toml/run.jsonl" in ran.error["message"]


def test_a_report_that_cannot_be_written_is_a_usage_error(evaluated) -> None:
    ran = evaluated.rag(
        "report", evaluated.one.json["run"], "--out", "narrow.toml/page.html", "--json"
    )
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "narrow.toml/page.html" in ran.error["message"]


@pytest.mark.parametrize("extra", [("--unit", "token"), ("--questions", "set/questions.jsonl")])
def test_a_recorded_run_is_scored_alone(evaluated, extra: tuple[str, str]) -> None:
    ran = evaluated.rag("score", evaluated.one.json["run"], *extra, "--json")
    assert (ran.code, ran.error["code"]) == (2, "usage")
    assert "both units" in ran.error["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--target-recall", "0.9"), "selection cannot be calibrated or tuned on summaries"),
        (("fit", "--out", "scorer.json"), "selection cannot be calibrated or tuned on summaries"),
        (("tune", "--out", "tuned.toml"), "settings cannot be tuned on summaries"),
    ],
    ids=["calibrate", "fit", "tune"],
)
def test_nothing_is_calibrated_or_tuned_on_summaries(
    evaluated, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    asked = ("--questions", str(evaluated.root / "set/questions.jsonl"))
    chosen = (
        *("--set", "clustering.mode=abstractive", "--set", "generation.kind=bundled"),
        *("--set", "models.path=/nowhere"),
    )
    ran = evaluated.rag(*arguments, *asked, *chosen, "--json", cwd=tmp_path)
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert ran.error["message"] == message
    assert "clustering.mode" in ran.error["hint"]
    assert list(tmp_path.iterdir()) == []


def test_a_run_with_summaries_and_no_language_model_is_a_config_error(
    evaluated, tmp_path: Path
) -> None:
    ran = evaluated.rag(
        "run", "--questions", str(evaluated.root / "set/questions.jsonl"),
        "--set", "clustering.mode=abstractive", "--json", cwd=tmp_path,
    )  # fmt: skip
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert "needs a language model" in ran.error["message"]
    assert list(tmp_path.iterdir()) == []
