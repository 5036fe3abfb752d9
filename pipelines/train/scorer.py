"""Train the scorer of sentences: `python -m pipelines.train.scorer --data DIR --index DIR`.

A sentence's target is the share of it that is reference, so the probabilities that come out are
what expected IoU needs. The scorer without the reader learns from all tuning questions; the one on
top of it only from those whose documents the reader has never seen, where its reading is honest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eval.datasets import Question
from pipelines.train.examples import TRAINING_SETS, Asked, ask, evidence_in, training_questions
from rag.evidence.features import FEATURES, READER_FEATURES, features, nearness, reader_features
from rag.evidence.reader import BUNDLED_READER, JointReader, load_reader
from rag.evidence.scorer import BUNDLED_SCORER, BUNDLED_SCORER_READ, Scorer
from rag.evidence.units import units_of
from rag.index import Index, open_index
from rag.settings import Settings, StoreSettings
from rag.types import Context

__all__ = ["Rows", "fit", "rows_of"]


class Rows(NamedTuple):
    """Sentences of questions: features (n, columns) and the share of each that is reference."""

    matrix: NDArray[np.float32]
    share: NDArray[np.float64]


def rows_of(index: Index, asked: Asked, reader: JointReader | None) -> Rows:
    """Every sentence that was found for a question."""
    context = Context.of(asked.found)
    units = units_of(context)
    near = nearness(asked.question.text, context, units, index.sentences, index.lexical)
    matrix = features(asked.question.text, context, units, near)
    if reader is not None:
        texts = [passage.chunk.text for passage in context.passages]
        readings = reader.read(asked.question.text, texts)
        matrix = np.concatenate((matrix, reader_features(context, units, readings)), axis=1)
    evidence = [evidence_in(each.chunk, asked.question) for each in context.passages]
    share = [evidence[unit.passage].clip(unit.span).length / len(unit.span) for unit in units]
    return Rows(matrix, np.array(share))


def fit(rows: Sequence[Rows], names: Sequence[str], about: dict[str, Any]) -> Scorer:
    """Fit a logistic regression: a row is so much evidence, and for the rest it is none."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    matrix = np.concatenate([each.matrix for each in rows]).astype(np.float64)
    share = np.concatenate([each.share for each in rows])
    means, scales = matrix.mean(axis=0), matrix.std(axis=0)
    scales[scales == 0] = 1.0
    scaled = (matrix - means) / scales
    holds = share > 0
    fitted = LogisticRegression(C=1.0, max_iter=2_000).fit(
        np.concatenate((scaled, scaled[holds])),
        np.concatenate((np.zeros(len(scaled)), np.ones(int(holds.sum())))),
        sample_weight=np.concatenate((1 - share, share[holds])),
    )
    return Scorer(
        features=tuple(names),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(fitted.coef_[0].tolist()),
        bias=float(fitted.intercept_[0]),
        about=about,
    )


def documents_of(questions: Sequence[Question]) -> list[str]:
    """The documents that questions are about, sorted."""
    return sorted({each.doc for question in questions for each in question.references})


def main() -> None:
    """Retrieve, fit both scorers, save them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the question sets")
    parser.add_argument("--index", type=Path, required=True, help="where to keep the index")
    parser.add_argument("--top-k", type=int, default=20)
    args = parser.parse_args()
    questions = training_questions(args.data)
    known = set(documents_of(questions))
    seen = set(about_reader()["documents"])
    corpora = [args.data / name / "corpora" for name in TRAINING_SETS]
    reader = load_reader()
    plain: list[Rows] = []
    read: list[Rows] = []
    with open_index(Settings(store=StoreSettings(path=args.index)), create=True) as index:
        for each in ask(index, corpora, questions, 60):
            found = [hit for hit in each.found if hit.chunk.name in known][: args.top_k]
            asked = Asked(each.question, found)
            plain.append(rows_of(index, asked, None))
            if not seen & {r.doc for r in each.question.references}:
                read.append(rows_of(index, asked, reader))
    about = {"sets": list(TRAINING_SETS), "top_k": args.top_k}
    for path, rows, names, documents in (
        (BUNDLED_SCORER, plain, FEATURES, known),
        (BUNDLED_SCORER_READ, read, (*FEATURES, *READER_FEATURES), known - seen),
    ):
        scorer = fit(rows, names, {**about, "documents": sorted(documents)})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(scorer.model_dump_json(indent=1) + "\n", encoding="utf-8")


def about_reader() -> dict[str, Any]:
    """What the bundled reader says of its training."""
    from safetensors import safe_open

    with safe_open(BUNDLED_READER, framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["about"])
    return found


if __name__ == "__main__":
    main()
