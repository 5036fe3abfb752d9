"""`rag adapt` from end to end: a tiny embedder, a made-up domain, and a reindex."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

from connectors.registry import open_source
from eval.split import on_tuning_side
from pipelines.adapt.recipe import Recipe
from pipelines.adapt.run import Asked, adapt
from pipelines.ingest import ingest
from pipelines.reindex import reindex, rollback
from rag.embedding.registry import with_model
from rag.errors import UsageError
from rag.index import open_index
from rag.settings import EmbeddingSettings, Settings
from rag.store import open_store

SYLLABLES = "zor vek mul tas rin pog lad nef qui bru dax hom".split()
DEEDS = "calibrated inspected replaced drained".split()
TEMPLATE = (
    "the valve of line was by crew on shift as planned when looked after early late night "
    "calibrated inspected replaced drained"
)


@pytest.fixture(scope="session")
def base(tiny_bert) -> Path:
    """An embedder that knows the words and the syllables, and nothing of what they are worth."""
    return tiny_bert(f"{TEMPLATE} {' '.join(SYLLABLES)}")


NAMES = [f"book-{at:02}.txt" for at in range(30)]


def corpus(folder: Path, seed: int = 0) -> tuple[Path, Path]:
    """Thirty log books of machine parts with invented names, and questions about each part."""
    chance = Random(seed)
    documents, lines = folder / "documents", []
    documents.mkdir(parents=True)
    for name in NAMES:
        sentences, asked = [], []
        for _ in range(6):
            part = "".join(chance.sample(SYLLABLES, 3))
            sentences.append(
                f"The {part} valve of line {chance.randint(1, 9)} was {chance.choice(DEEDS)} "
                f"by the crew on the {chance.choice(['early', 'late', 'night'])} shift, as planned."
            )
            asked.append(f"When was the {part} valve looked after?")
        text = "\n\n".join(sentences)
        (documents / name).write_text(text, encoding="utf-8")
        for question, sentence in zip(asked, sentences, strict=True):
            at = text.index(sentence)
            reference = {"doc": name, "start": at, "end": at + len(sentence)}
            lines.append(
                {"question_id": str(len(lines)), "question": question, "references": [reference]}
            )
    questions = folder / "questions.jsonl"
    questions.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return documents, questions


def settings(where: Path, base: Path) -> Settings:
    return Settings(
        store={"path": where},
        chunking={"size": 32, "header_tokens": 0},
        embedding={"kind": "sentence_transformers", "model": str(base), "device": "cpu"},
    )


QUICK = Recipe(steps=200, batch=16, passage_tokens=48, rate=6e-3, temperature=0.15, shifted=0)


def test_what_proves_better_is_kept_and_serves_after_a_reindex(base: Path, tmp_path: Path) -> None:
    documents, questions = corpus(tmp_path)
    plain, out = settings(tmp_path / "index", base), tmp_path / "adapted"
    with open_index(plain, create=True) as index:
        ingest(index, [open_source(str(documents))])
    found = adapt(plain, Asked("", QUICK, out, questions))
    assert found.verdict.accepted, found.to_payload()
    assert found.gain.low > 0
    payload = json.loads((out / "adaptation.json").read_text(encoding="utf-8"))
    assert payload["ci"] == [*found.gain]
    assert (payload["recipe"]["lexical_dims"], payload["dimension"]) == (768, 32 + 768)
    assert payload["after"]["dense"]["ndcg@10"] > payload["before"]["dense"]["ndcg@10"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "ndcg@10" in card
    assert "| vector | 800 numbers, 768 of them for its words |" in card
    assert "sentence-transformers and spanrag installed: `SentenceTransformer(" in card
    held = [name for name in NAMES if not on_tuning_side(name)]
    assert found.held_documents == len(held)
    assert len(found.before.dense) == 6 * len(held)

    tuned = plain.model_copy(update={"embedding": with_model(plain.embedding, str(out))})
    of_the_index = plain.model_copy(update={"embedding": EmbeddingSettings(device="cpu")})
    with open_store(plain.store) as store:
        assert reindex(store, tuned).swapped
    with open_index(of_the_index) as index:
        assert Path(index.embedder.name).resolve() == out.resolve()
        assert index.search("When was the valve looked after?")
    with open_store(plain.store) as store:
        rollback(store, of_the_index)
    with open_index(of_the_index) as index:
        assert Path(index.embedder.name).resolve() == base.resolve()


def test_what_does_not_is_refused_and_nothing_is_written(base: Path, tmp_path: Path) -> None:
    documents, questions = corpus(tmp_path)
    out = tmp_path / "adapted"
    still = Recipe(steps=1, batch=4, passage_tokens=32, rate=0.0, lexical_dims=0)
    plain = settings(tmp_path / "index", base)
    found = adapt(plain, Asked(str(documents), still, out, questions))
    assert not found.verdict.accepted
    gains = (*found.verdict.dense, *found.verdict.served)
    assert {*gains} == {(0.0, 0.0)}  # the same vectors and words rank alike in any index
    assert {each.name for each in tmp_path.iterdir()} == {"documents", "questions.jsonl"}


def test_a_folder_of_other_things_is_not_written_over(base: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine", encoding="utf-8")
    asked = Asked(str(tmp_path), QUICK, tmp_path / "notes")
    with pytest.raises(UsageError, match="not empty"):
        adapt(settings(tmp_path / "index", base), asked)


@pytest.mark.parametrize("out", ["file/model", "busy"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    base: Path, tmp_path: Path, out: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "busy").write_text("", encoding="utf-8")
    with pytest.raises(UsageError):
        adapt(settings(tmp_path / "index", base), Asked("nowhere", QUICK, tmp_path / out))


def test_questions_about_what_was_not_read_are_left_out(base: Path, tmp_path: Path) -> None:
    documents, questions = corpus(tmp_path)
    line = {"question_id": "gone", "question": "Which?", "references": [
        {"doc": "copy.txt", "start": 0, "end": 3}]}  # fmt: skip
    with questions.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    plain = settings(tmp_path / "index", base)
    still = Recipe(steps=1, batch=4, passage_tokens=32, rate=0.0, lexical_dims=0)
    found = adapt(plain, Asked(str(documents), still, tmp_path / "out", questions))
    assert len(found.before.dense) == 6 * found.held_documents


def test_too_few_questions_prove_nothing(base: Path, tmp_path: Path) -> None:
    documents, questions = corpus(tmp_path)
    few = "\n".join(questions.read_text(encoding="utf-8").splitlines()[:12])
    questions.write_text(few + "\n", encoding="utf-8")
    asked = Asked(str(documents), QUICK, tmp_path / "out", questions)
    with pytest.raises(UsageError, match="prove nothing"):
        adapt(settings(tmp_path / "index", base), asked)
