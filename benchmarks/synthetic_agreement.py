"""Do synthetic questions rank configurations as human ones do?

Every configuration is run on the human questions of a set and on synthetic ones about the same
documents; Kendall's tau compares the two rankings, by IoU and by recall. The ceiling is the tau of
one half of the human questions with the other: no other set of questions can agree better.

    rag synth ../shared/data/covidqa/corpora --n 200 --engine rules --out S/covidqa-rules.jsonl
    python benchmarks/synthetic_agreement.py --synthetic S
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from report import heading, say, table
from scipy.stats import kendalltau

from eval.datasets import Question, read_questions
from pipelines.evaluate import read_corpus, sampled, texts_of
from pipelines.tune.bench import Bench, Embedders
from pipelines.tune.space import with_values
from rag.settings import Settings

DATA = Path(__file__).parents[2] / "shared/data"
SETS = ("chroma", "covidqa", "cyber", "xquad")
CHUNKS = (("sentences", 50), ("sentences", 100), ("sentences", 200))
WEIGHTS = ((2.0, 0.0), (1.0, 1.0), (0.0, 2.0))
KEEPING: tuple[dict[str, object], ...] = ({"selection.keep": "everything"}, {})
FIGURES = ("iou", "recall")
DRAWS = 1_000


@dataclass(frozen=True)
class Asked:
    """What every configuration made of some questions.

    `values` has, for each figure, an array of shape (configurations, questions).
    """

    name: str
    values: Mapping[str, NDArray[np.float64]]

    @property
    def n(self) -> int:
        """How many questions."""
        return int(next(iter(self.values.values())).shape[1])

    def means(self, figure: str, drawn: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Of each configuration, over all questions or those drawn."""
        values = self.values[figure]
        means: NDArray[np.float64] = (values if drawn is None else values[:, drawn]).mean(axis=1)
        return means


def configurations() -> Iterator[dict[str, object]]:
    """Chunks, weights of the two rankings, and what of the chunks is kept."""
    for kind, size in CHUNKS:
        for dense, lexical in WEIGHTS:
            for keeping in KEEPING:
                yield {
                    "chunking.kind": kind,
                    "chunking.size": size,
                    "retrieval.dense_weight": dense,
                    "retrieval.lexical_weight": lexical,
                    **keeping,
                }


def measured(bench: Bench, name: str, questions: Sequence[Question]) -> Asked:
    """Every configuration on these questions."""
    rows: dict[str, list[tuple[float, ...]]] = {figure: [] for figure in FIGURES}
    every = list(configurations())
    for at, values in enumerate(every, start=1):
        figures = bench.measure(with_values(Settings(), values), questions)
        for figure in FIGURES:
            rows[figure].append(getattr(figures, figure))
        say(f"{name}: {at} of {len(every)}")
    return Asked(name, {figure: np.array(each) for figure, each in rows.items()})


def tau(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Kendall's tau-b of two rankings of the configurations; 0 where one ranks nothing."""
    found = float(kendalltau(one, other).statistic)
    return 0.0 if np.isnan(found) else found


def agreement(human: Asked, synthetic: Asked, figure: str) -> tuple[float, float, float]:
    """Tau, and its 95 % interval when both sets of questions are drawn anew."""
    chance = np.random.default_rng(0)
    draws = [
        tau(
            human.means(figure, chance.integers(human.n, size=human.n)),
            synthetic.means(figure, chance.integers(synthetic.n, size=synthetic.n)),
        )
        for _ in range(DRAWS)
    ]
    low, high = np.percentile(draws, (2.5, 97.5))
    return tau(human.means(figure), synthetic.means(figure)), float(low), float(high)


def ceiling(human: Asked, figure: str) -> float:
    """The mean tau of two random halves of the human questions."""
    chance = np.random.default_rng(0)
    taus = []
    for _ in range(200):
        order = chance.permutation(human.n)
        half = human.n // 2
        taus.append(tau(human.means(figure, order[:half]), human.means(figure, order[half:])))
    return float(np.mean(taus))


def lost(human: Asked, synthetic: Asked, figure: str) -> float:
    """What one loses, on human questions, by the choice that the synthetic ones make."""
    means = human.means(figure)
    return float(means.max() - means[int(synthetic.means(figure).argmax())])


def rows_of(data: Path, name: str, synthetic: Path, count: int) -> Iterator[Sequence[object]]:
    """The lines of a set, one for each file of synthetic questions."""
    corpora = data / name / "corpora"
    documents = read_corpus(corpora)
    texts = texts_of(documents)
    embedders = Embedders()
    counter = embedders.load(Settings().embedding)[0].counter
    with Bench(corpora, documents, (), embedders, counter) as bench:
        asked = sampled(read_questions(data / name / "questions.jsonl", texts), count)
        human = measured(bench, f"{name}, human", asked)
        for path in sorted(synthetic.glob(f"{name}-*.jsonl")):
            engine = path.stem.partition("-")[2]
            made = sampled(read_questions(path, texts), count)
            other = measured(bench, f"{name}, {engine}", made)
            yield _row(name, engine, human, other)


def _row(name: str, engine: str, human: Asked, other: Asked) -> list[object]:
    row: list[object] = [name, engine, human.n, other.n]
    for figure in FIGURES:
        value, low, high = agreement(human, other, figure)
        row += [
            f"{value:.2f} ({low:.2f} to {high:.2f})",
            f"{ceiling(human, figure):.2f}",
            f"{100 * lost(human, other, figure):.1f}",
        ]
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--synthetic", type=Path, required=True, help="folder of <set>-<engine>.jsonl"
    )
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--questions", type=int, default=100, help="of each kind, at most")
    given = parser.parse_args()
    columns = ["set", "engine", "human", "synthetic"]
    for figure in FIGURES:
        columns += [f"{figure}: tau", "halves", "lost"]
    rows = [
        row
        for name in given.sets
        for row in rows_of(given.data, name, given.synthetic, given.questions)
    ]
    print(heading("Do synthetic questions rank as human ones do?"))
    print(table(columns, rows))


if __name__ == "__main__":
    main()
