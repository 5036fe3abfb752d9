"""Adapting from end to end: divide, train, judge on what was held out, keep or throw away."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from eval.datasets import Question, read_questions
from eval.files import require_writable
from eval.stats import Interval
from pipelines.adapt.card import write_card
from pipelines.adapt.judge import FIGURES, Judged, Verdict, decide, indexed, judge
from pipelines.adapt.passages import Passage, about, divide, passages_of
from pipelines.adapt.recipe import Recipe
from pipelines.adapt.rows import Translation
from pipelines.adapt.train import fitted, require_extra, train
from pipelines.evaluate import texts_of
from pipelines.ingest import Progress
from pipelines.synthesize.corpus import Corpus, read_documents
from pipelines.synthesize.rules import RulesEngine
from pipelines.synthesize.run import Budget, synthesize
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import load_embedder, with_model
from rag.errors import ConfigError, UsageError
from rag.ids import digest
from rag.index import Encoder, Index
from rag.settings import Settings
from rag.types import Document

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["Adaptation", "Asked", "Watch", "adapt"]

_MOST_PASSAGES = 4_000
"""Trained on, drawn at random: more than a recipe's steps come round to."""

_MOST_HELD = 400
"""Documents that are judged on; those with questions, and others by a digest of their names."""

_FEWEST_QUESTIONS = 20
_TRIES = 60  # attempts for each synthetic question that is wanted


@dataclass(frozen=True)
class Asked:
    """What to adapt to, how, and where to put it.

    Args:
        source: as `rag ingest` takes one, or an index; "" for the index of the settings.
        recipe: how to train.
        out: folder of the adapted model; written only if it is accepted.
        questions: a file of question lines about the documents of the source; by default
            questions are made by rules.
        wanted: how many to make.
        share: the part of the documents that is trained on.
        translations: pairs of texts that say the same.
    """

    source: str
    recipe: Recipe
    out: Path
    questions: Path | None = None
    wanted: int = 200
    share: float = 0.5
    translations: tuple[Translation, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of progress; any may be nobody."""

    documents: Progress | None = None
    questions: Progress | None = None
    steps: Progress | None = None


@dataclass(frozen=True)
class Adaptation:
    """What adapting came to.

    Attributes:
        verdict: whether the model was kept, and why.
        before: figures of the base on held-out documents.
        after: those of the adapted embedder.
        base: what was adapted.
        model: the folder of the adapted embedder; it is there only if it was accepted.
        dimension: the length of its vectors.
        recipe: how it was trained.
        trained: passages it was trained on.
        train_documents: documents they are from.
        held_documents: documents it was judged on.
        corpus: digest of the texts trained on.
        synthetic: whether the questions were made by rules.
        failed: sources that could not be read.
        seconds: everything together; `train_seconds` training alone.
    """

    verdict: Verdict
    before: Judged
    after: Judged
    base: str
    model: str
    dimension: int
    recipe: Recipe
    trained: int
    train_documents: int
    held_documents: int
    corpus: str
    synthetic: bool
    failed: tuple[str, ...]
    seconds: float
    train_seconds: float

    @property
    def gain(self) -> Interval:
        """The interval of the gain in nDCG@10 of the embedder's own ranking."""
        return self.verdict.dense[0]

    def to_payload(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "accepted": self.verdict.accepted,
            "why": self.verdict.why,
            "before": self.before.means(),
            "after": self.after.means(),
            "ci": [*self.gain],
            "gains": {
                name: {figure: [*gain] for figure, gain in zip(FIGURES, gains, strict=True)}
                for name, gains in (
                    ("dense", self.verdict.dense), ("served", self.verdict.served),
                )
            },
            "seconds": round(self.seconds, 1),
            "train_seconds": round(self.train_seconds, 1),
            "base": self.base,
            "model": self.model,
            "dimension": self.dimension,
            "recipe": self.recipe.to_payload(),
            "trained": self.trained,
            "train_documents": self.train_documents,
            "held_documents": self.held_documents,
            "questions": len(self.before.dense),
            "synthetic": self.synthetic,
            "corpus": self.corpus,
            "failed": [*self.failed],
            "version": version("spanrag"),
        }  # fmt: skip


def adapt(settings: Settings, asked: Asked, watch: Watch | None = None) -> Adaptation:
    """Adapt the embedder of the settings to a corpus; keep it only if it proves better.

    Documents are divided first. On those of one side, without labels, a copy of the embedder is
    trained; on an index of the others, which it never sees, both are asked the same questions.

    Raises:
        UsageError: the source is not there, too small, or has too few questions; `out` is not free,
            or cannot be written.
        ConfigError: the embedder is not one that can be trained, or not by this recipe.
        ModelError: it cannot be loaded, an extra is missing, or training went out of bounds.
    """
    watch = watch or Watch()
    began = time.monotonic()
    require_extra()
    out = _free(asked.out)
    reading = read_documents(settings, asked.source)
    settings = settings.model_copy(update={"embedding": reading.embedding})
    base = _trainable(settings)
    model = _copy_of(base)
    recipe = fitted(model, asked.recipe)
    given = _given(asked.questions, reading.documents) if asked.questions else []
    divided = divide(reading.documents, asked.share, recipe.seed)
    own = about(given, divided.held)
    if asked.questions:
        _require_enough(own)
    held = _judged_on(divided.held, own)
    passages = _drawn(passages_of(Encoder(settings, base), divided.train), recipe)
    recipe = recipe.for_corpus(len(passages))
    with tempfile.TemporaryDirectory(prefix="rag-adapt-") as scratch:
        folder = Path(scratch)
        with indexed(settings, base, held, folder / "before", watch.documents) as index:
            questions = own if asked.questions else _made(index, held, settings, asked, folder)
            _require_enough(questions)
            before = judge(index, held, questions, watch.questions)
        started = time.monotonic()
        model = train(
            model, base, passages, recipe, translations=asked.translations, progress=watch.steps
        )
        model.save_pretrained(str(folder / "model"), create_model_card=False)
        train_seconds = time.monotonic() - started
        tuned = with_model(settings.embedding, str(folder / "model"))
        after_settings = settings.model_copy(update={"embedding": tuned})
        embedder = load_embedder(tuned, offline=settings.offline)
        with indexed(after_settings, embedder, held, folder / "after", watch.documents) as index:
            after = judge(index, held, questions, watch.questions)
        result = Adaptation(
            verdict=decide(before, after),
            before=before,
            after=after,
            base=base.name,
            model=str(asked.out),
            dimension=embedder.dimension,
            recipe=recipe,
            trained=len(passages),
            train_documents=len({each.doc for each in passages}),
            held_documents=len(held),
            corpus=digest([each.whole for each in passages]),
            synthetic=asked.questions is None,
            failed=reading.failed,
            seconds=time.monotonic() - began,
            train_seconds=train_seconds,
        )
        if result.verdict.accepted:
            write_card(folder / "model", result.to_payload())
            _move(folder / "model", out)
    return result


def _free(out: Path) -> Path:
    """The folder to write, if it is new or empty: an index may be served by what is in another.

    Raises:
        UsageError: it is not, or cannot be written.
    """
    out = out.resolve()
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(
            f"{out} is there already, and not empty", hint="choose a new folder for the model"
        )
    require_writable(out.with_name(f"{out.name}.new"))
    return out


def _given(file: Path, documents: Sequence[Document]) -> list[Question]:
    """The questions about documents that were read; others, as about a copy, are left out.

    Raises:
        UsageError: a line is bad, or its evidence ends behind its document.
    """
    texts = texts_of(documents)
    found: list[Question] = []
    for question in read_questions(file):
        own = [ref for ref in question.references if ref.doc in texts]
        if any(ref.end > len(texts[ref.doc]) for ref in own):
            raise UsageError(
                f"{file}: evidence of question {question.id} ends behind its document",
                hint="use questions about these very documents",
            )
        if own:
            found.append(replace(question, references=tuple(own)))
    return found


def _trainable(settings: Settings) -> SentenceTransformerEmbedder:
    base = load_embedder(settings.embedding, offline=settings.offline)
    if not isinstance(base, SentenceTransformerEmbedder):
        raise ConfigError(
            f"{base.name} cannot be trained here",
            hint="set embedding.kind to bundled or sentence_transformers",
        )
    return base


def _judged_on(held: Sequence[Document], questions: Sequence[Question]) -> list[Document]:
    """Held-out documents with questions, and others until there are enough to get lost among."""
    wanted = {ref.doc for each in questions for ref in each.references}
    rest = sorted((each for each in held if each.name not in wanted), key=lambda d: digest(d.name))
    chosen = wanted | {each.name for each in rest[: max(_MOST_HELD - len(wanted), 0)]}
    return [each for each in held if each.name in chosen]


def _drawn(passages: list[Passage], recipe: Recipe) -> list[Passage]:
    if len(passages) <= _MOST_PASSAGES:
        return passages
    return Random(recipe.seed).sample(passages, _MOST_PASSAGES)


def _made(
    index: Index, held: Sequence[Document], settings: Settings, asked: Asked, folder: Path
) -> list[Question]:
    """Questions by rules about the held-out documents."""
    corpus = Corpus(tuple(held), index, "held out")
    out = folder / "questions.jsonl"
    budget = Budget(asked.wanted, _TRIES * asked.wanted)
    synthesize(
        corpus, RulesEngine(settings.synthesis), settings.synthesis, budget, out,
        seed=asked.recipe.seed,
    )  # fmt: skip
    return read_questions(out, texts_of(held))


def _require_enough(questions: Sequence[Question]) -> None:
    if len(questions) < _FEWEST_QUESTIONS:
        raise UsageError(
            f"{len(questions)} questions about held-out documents prove nothing, "
            f"{_FEWEST_QUESTIONS} are needed",
            hint="adapt on more documents, or give --questions about more of them",
        )


def _copy_of(base: SentenceTransformerEmbedder) -> SentenceTransformer:
    """A copy to train, in float32."""
    import torch

    from rag.embedding.modules import load_model

    return load_model(base.folder, device=base.device, dtype=torch.float32)


def _move(folder: Path, out: Path) -> None:
    """Put the model in its place at once, whatever file system that is on."""
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(folder, beside)
    beside.replace(out)
