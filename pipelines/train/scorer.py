"""Train the scorer of sentences: `python -m pipelines.train.scorer --data DIR --index DIR`.

A conditional logit learns to tell a question's evidence from the other sentences found for it; a
logistic regression turns that into probabilities. A sentence's target is the share of it that is
reference, so the probabilities that come out are what expected IoU needs. The scorer without the
reader learns from all tuning questions; the one on top of it only from those whose documents the
reader has never seen, where its reading is honest.
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

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Rows(NamedTuple):
    """All sentences of a question: features (n, columns), the share of each that is reference."""

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
    """Fit a scorer: weights that rank within questions, then probabilities across them."""
    matrix = np.concatenate([each.matrix for each in rows]).astype(np.float64)
    means, scales = matrix.mean(axis=0), matrix.std(axis=0)
    scales[scales == 0] = 1.0
    scaled = [(each.matrix.astype(np.float64) - means) / scales for each in rows]
    weights = _ranking(scaled, [each.share for each in rows])
    scores = [each @ weights for each in scaled]
    own, among, bias = _calibration(scores, [each.share for each in rows])
    return Scorer(
        features=tuple(names),
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        weights=tuple(weights.tolist()),
        bias=bias,
        own=own,
        among=among,
        about=about,
    )


def _ranking(matrices: Sequence[Matrix], shares: Sequence[Vector]) -> Vector:
    """The weights of a conditional logit: which of its sentences are a question's evidence?

    Every question with evidence counts the same, however many sentences were found for it, and
    what sets one corpus apart from another as a whole teaches nothing. With a ridge of one half.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    holding = [at for at, share in enumerate(shares) if share.any()]
    matrix = np.concatenate([matrices[at] for at in holding])
    target = np.concatenate([shares[at] / shares[at].sum() for at in holding])
    counts = np.array([len(shares[at]) for at in holding])
    starts = np.cumsum(counts) - counts

    def loss(weights: Vector) -> tuple[float, Vector]:
        scores = matrix @ weights
        best = np.maximum.reduceat(scores, starts)
        odds = np.exp(scores - np.repeat(best, counts))
        sums = np.add.reduceat(odds, starts)
        value = np.sum(best + np.log(sums)) - target @ scores + weights @ weights / 2
        return float(value), matrix.T @ (odds / np.repeat(sums, counts) - target) + weights

    found = minimize(loss, np.zeros(matrix.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def _calibration(scores: Sequence[Vector], shares: Sequence[Vector]) -> tuple[float, float, float]:
    """Scorer.own, Scorer.among and Scorer.bias: a row is so much evidence, and the rest none."""
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    own = np.concatenate(scores)
    standing = np.concatenate([each - np.logaddexp.reduce(each) for each in scores])
    share = np.concatenate(shares)
    columns = np.stack((own, standing), axis=1)
    holds = share > 0
    fitted = LogisticRegression(C=1.0, max_iter=2_000).fit(
        np.concatenate((columns, columns[holds])),
        np.concatenate((np.zeros(len(columns)), np.ones(int(holds.sum())))),
        sample_weight=np.concatenate((1 - share, share[holds])),
    )
    return float(fitted.coef_[0, 0]), float(fitted.coef_[0, 1]), float(fitted.intercept_[0])


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
