"""Chunk sizes by domain: twelve chunkings of five corpora, by dense vectors, by BM25, by chance.

After Jadon et al. (arXiv 2502.15854), who ask which chunk size suits which domain. Their "5, 10, 15
and 20 tokens" are sentences: their notebooks cut chunks of so many sentences. So both are cut here,
5 to 800 tokens of the embedder and 5 to 20 sentences. As there, five chunks answer a question, and
a chunk is embedded as it stands; as nowhere there, BM25 and chance stand beside the embedder, and
every figure has an interval.

Five chunks of 800 tokens are 160 times as much text as five of 5, so recall rises with size for
that alone. A second search therefore returns about 800 tokens whatever the size: 160 chunks of 5,
one of 800.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from domain_plot import Point, plot
from numpy.typing import NDArray
from report import heading, say, table
from searching import CACHE, DenseSearch, LexicalSearch
from workload import SHARED, named

from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.score import Scores, score_retrieval
from eval.stats import Interval, bootstrap
from pipelines.evaluate import read_corpus, texts_of
from rag.chunking import SpanChunker, TokenChunker
from rag.chunking.base import Cut
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.sentences import sentence_spans
from rag.spans import Span
from rag.types import Chunk, Document

TOP = 5
BUDGET = 800
"""Tokens that the second search returns."""
DRAWS = 20
"""How often chance draws five chunks for a question."""
SIZES = ("5", "10", "20", "50", "100", "200", "400", "800", "5s", "10s", "15s", "20s")
"""Tokens; with an s, sentences."""
PARTS = {
    "finance": ("chroma", ("finance",)),
    "general": ("chroma", ("wikitexts", "state_of_the_union")),
    "encyclopedia": ("xquad", ("xquad",)),
    "biomedical": ("covidqa", ("covidqa",)),
    "cyber": ("cyber", ("annoctr", "cisa")),
    "filings": ("financebench", ("financebench",)),
}
"""What is one index each: a folder of the data, and the corpora in it."""
DEFAULT_SETS = ("finance", "general", "encyclopedia", "biomedical", "cyber")
TITLES = {
    "precision_omega": "PΩ",
    "iou": "IoU",
    "recall": "recall",
    "precision": "precision",
}
_STOPS = re.compile(r"(?<=[.!?])\s+")

Value = NDArray[np.float64]


class CountedSentences(SpanChunker):
    """Chunks of `size` whole sentences, however long; the last of a document may have fewer."""

    kind = "counted-sentences"

    def cuts(self, document: Document) -> Iterator[Cut]:
        """Every `size` sentences of the whole text."""
        sentences = list(sentence_spans(document.text))
        for at in range(0, len(sentences), self.size):
            held = sentences[at : at + self.size]
            span = Span(held[0].start, held[-1].end)
            yield Cut(span, self.counter.count(span.text_in(document.text)))


class Part(NamedTuple):
    """One index: its documents and the questions about them."""

    name: str
    documents: Sequence[Document]
    questions: Sequence[Question]

    @classmethod
    def read(cls, name: str, data: Path) -> Part:
        """The documents and questions of one of PARTS."""
        folder, corpora = PARTS[name]
        everything = read_corpus(data / folder / "corpora")
        questions = read_questions(data / folder / "questions.jsonl", texts_of(everything))
        return cls(
            name,
            [each for each in everything if each.name.partition("/")[0] in corpora],
            [each for each in questions if each.corpus in corpora],
        )


class Found(NamedTuple):
    """What some search returned: figures of each question, and tokens a question on average."""

    scores: Scores
    tokens: float


class Chunking:
    """A part cut in one way, and what every search finds in it."""

    def __init__(
        self, part: Part, size: str, embedder: SentenceTransformerEmbedder, cache: Path
    ) -> None:
        kind = CountedSentences if size.endswith("s") else TokenChunker
        chunker = kind(embedder.counter, int(size.rstrip("s")))
        self.part, self.size = part, size
        self._chunks: list[Chunk] = [
            chunk for document in part.documents for chunk in chunker.split(document)
        ]
        self._places = [
            Located(chunk.name, chunk.span.start, chunk.span.end) for chunk in self._chunks
        ]
        self.tokens = np.array([chunk.tokens for chunk in self._chunks])
        self._map = ChunkMap(self._places)
        self._window = embedder.max_tokens - embedder.reserved_tokens
        texts = [chunk.text for chunk in self._chunks]
        say(f"{part.name}, {size}: {len(texts):,} chunks of {self.mean_tokens:.0f} tokens")
        asked = [question.text for question in part.questions]
        dense = DenseSearch(embedder, texts, cache, f"{part.name}, {size}")
        words = LexicalSearch(texts)
        most = max(TOP, self.equal)
        by_vectors = dense.rank_all(asked, most)
        by_words = [words.rank(each, most) for each in asked]
        self.dense, self.equal_dense = self._both(by_vectors)
        self.words, self.equal_words = self._both(by_words)
        self.chance = self._by_chance()
        say(f"{part.name}, {size}: " + ", ".join(percent(self.dense, name) for name in TITLES))

    @property
    def mean_tokens(self) -> float:
        """Of a chunk."""
        return float(self.tokens.mean())

    @cached_property
    def equal(self) -> int:
        """How many chunks make about BUDGET tokens; of the size meant, where that is in tokens."""
        length = self.mean_tokens if self.size.endswith("s") else int(self.size)
        return max(1, round(BUDGET / length))

    @property
    def unread(self) -> float:
        """The share of all tokens that the model never reads: behind its window."""
        return float(np.maximum(self.tokens - self._window, 0).sum() / self.tokens.sum())

    def _both(self, ranked: Sequence[Sequence[int]]) -> tuple[Found, Found]:
        return self._found(ranked, TOP), self._found(ranked, self.equal)

    def _found(self, ranked: Sequence[Sequence[int]], top: int) -> Found:
        taken = [best[:top] for best in ranked]
        retrieved = {
            question.id: [self._places[at] for at in best]
            for question, best in zip(self.part.questions, taken, strict=True)
        }
        scores = score_retrieval(self.part.questions, retrieved, self._map)
        return Found(scores, float(np.mean([self.tokens[best].sum() for best in taken])))

    def _by_chance(self) -> Found:
        """Means over DRAWS of TOP chunks for each question."""
        chance = np.random.default_rng(0)
        count = len(self._chunks)
        draws = [
            self._found(
                [
                    chance.choice(count, min(TOP, count), replace=False).tolist()
                    for _ in self.part.questions
                ],
                TOP,
            )
            for _ in range(DRAWS)
        ]
        first = draws[0].scores
        values = {
            name: np.mean([each.scores.values[name] for each in draws], axis=0)
            for name in first.values
        }
        return Found(Scores(first.ids, values), float(np.mean([each.tokens for each in draws])))


def percent(found: Found, figure: str) -> str:
    """A mean and its interval."""
    low, high = (edge * 100 for edge in found.scores.intervals[figure])
    return f"{found.scores.means[figure] * 100:.1f} ({low:.1f} - {high:.1f})"


def plain(found: Found, figure: str) -> str:
    """A mean."""
    return f"{found.scores.means[figure] * 100:.1f}"


def label(size: str) -> str:
    """A chunking in words."""
    return f"{size[:-1]} sentences" if size.endswith("s") else f"{size} tokens"


def corpora_table(parts: Sequence[Part], embedder: SentenceTransformerEmbedder) -> str:
    """What is searched, and how long its sentences are, cut in two ways."""
    rows = []
    for part in parts:
        ours = theirs = tokens = 0
        for document in part.documents:
            ours += sum(1 for _ in sentence_spans(document.text))
            theirs += sum(1 for each in _STOPS.split(document.text) if each.strip())
            tokens += embedder.counter.count(document.text)
        lengths = [sum(len(ref.span) for ref in each.references) for each in part.questions]
        rows.append(
            (
                part.name,
                f"{PARTS[part.name][0]}: {', '.join(PARTS[part.name][1])}",
                len(part.documents),
                f"{tokens:,}",
                len(part.questions),
                f"{np.mean(lengths):.0f}",
                f"{np.mean([len(each.references) > 1 for each in part.questions]) * 100:.0f}",
                f"{tokens / ours:.1f}",
                f"{tokens / theirs:.1f}",
            )
        )
    return table(
        (
            "set",
            "data",
            "documents",
            "tokens",
            "questions",
            "characters of evidence, mean",
            "% with several spans",
            "tokens a sentence",
            "cut after . ! ? only",
        ),
        rows,
    )


def top_table(cells: Sequence[Chunking]) -> str:
    """Five chunks a question."""
    return table(
        (
            "chunks of",
            "tokens, mean",
            "% unread",
            *TITLES.values(),
            "BM25: IoU",
            "BM25: recall",
            "chance: recall",
            "tokens returned",
        ),
        (
            (
                label(cell.size),
                f"{cell.mean_tokens:.0f}",
                f"{cell.unread * 100:.0f}",
                *(percent(cell.dense, name) for name in TITLES),
                percent(cell.words, "iou"),
                percent(cell.words, "recall"),
                plain(cell.chance, "recall"),
                f"{cell.dense.tokens:,.0f}",
            )
            for cell in cells
        ),
    )


def equal_table(cells: Sequence[Chunking]) -> str:
    """About as many tokens a question, whatever the size."""
    return table(
        ("chunks of", "chunks", "tokens returned", "IoU", "recall", "BM25: IoU", "BM25: recall"),
        (
            (
                label(cell.size),
                cell.equal,
                f"{cell.equal_dense.tokens:,.0f}",
                *(
                    percent(found, name)
                    for found in (cell.equal_dense, cell.equal_words)
                    for name in ("iou", "recall")
                ),
            )
            for cell in cells
        ),
    )


def difference(one: Value, other: Value) -> tuple[float, Interval]:
    """How much more the second is, question by question, in points."""
    (edges,) = bootstrap((other - one)[:, None])
    low, high = (edge * 100 for edge in edges)
    return float((other - one).mean() * 100), Interval(low, high)


def direction_table(parts: Sequence[Sequence[Chunking]]) -> str:
    """The longest sentence chunks less the shortest, and the same of tokens."""
    rows = []
    for cells in parts:
        held = {cell.size: cell for cell in cells}
        for short, long in (("5s", "20s"), ("50", "800")):
            if short not in held or long not in held:
                continue
            one, other = held[short], held[long]
            pairs = [(one.dense, other.dense, name) for name in TITLES]
            pairs.append((one.words, other.words, "recall"))
            pairs.append((one.equal_dense, other.equal_dense, "recall"))
            pairs.append((one.equal_words, other.equal_words, "recall"))
            changes = (
                signed(*difference(before.scores.values[name], after.scores.values[name]))
                for before, after, name in pairs
            )
            rows.append((cells[0].part.name, f"{label(long)} less {short.rstrip('s')}", *changes))
    return table(
        (
            "set",
            "chunks of",
            *TITLES.values(),
            "BM25: recall",
            f"recall in {BUDGET} tokens",
            f"BM25: recall in {BUDGET}",
        ),
        rows,
    )


def signed(value: float, edges: Interval) -> str:
    """A difference and its interval; bold where the interval leaves out nought."""
    cell = f"{value:+.1f} ({edges.low:+.1f} to {edges.high:+.1f})"
    return f"**{cell}**" if edges.excludes_zero else cell


def choice_table(parts: Sequence[Sequence[Chunking]]) -> str:
    """For each goal the best chunking of a set, and those that are not told from it."""
    rows = []
    for cells in parts:
        goals = [
            [(cell, cell.dense, "iou") for cell in cells],
            [(cell, cell.dense, "recall") for cell in cells],
            [(cell, cell.equal_dense, "recall") for cell in cells],
            [(cell, cell.words, "recall") for cell in cells],
            [(cell, cell.equal_words, "recall") for cell in cells],
        ]
        rows.append((cells[0].part.name, *map(best, goals)))
    return table(
        (
            "set",
            "IoU, five chunks",
            "recall, five chunks",
            f"recall, {BUDGET} tokens",
            "BM25: recall, five chunks",
            f"BM25: recall, {BUDGET} tokens",
        ),
        rows,
    )


def best(found: Sequence[tuple[Chunking, Found, str]]) -> str:
    """The best of some chunkings with its figure, and its equals."""
    top_cell, top_found, figure = max(found, key=lambda each: each[1].scores.means[each[2]])
    leader = top_found.scores.values[figure]
    equals = [
        cell.size
        for cell, each, _ in found
        if cell is not top_cell
        and not difference(each.scores.values[figure], leader)[1].excludes_zero
    ]
    also = f"; also {', '.join(equals)}" if equals else ""
    return f"**{top_cell.size}**: {percent(top_found, figure)}{also}"


def points(cells: Sequence[Chunking]) -> list[Point]:
    """What the plot shows of a set."""
    return [
        Point(
            cell.size,
            cell.mean_tokens,
            {name: cell.dense.scores.means[name] * 100 for name in TITLES},
            {
                name: (each.low * 100, each.high * 100)
                for name, each in cell.dense.scores.intervals.items()
            },
            cell.words.scores.means["recall"] * 100,
        )
        for cell in cells
    ]


def main() -> None:
    """Cut, embed, search, score, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, help="default: %(default)s")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--sets", nargs="+", choices=PARTS, default=DEFAULT_SETS)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES, help="s: sentences")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--out-plot", type=Path, help="an SVG of the figures")
    args = parser.parse_args()
    if not args.data.is_dir():
        raise SystemExit(f"nothing to measure on: {args.data} is not there")
    top = heading("Chunk sizes by domain")

    embedder = SentenceTransformerEmbedder(bundled_model(), name=BUNDLED, precision=args.precision)
    parts = [Part.read(name, args.data) for name in args.sets]
    cells = [[Chunking(part, size, embedder, args.cache) for size in args.sizes] for part in parts]
    if args.out_plot:
        args.out_plot.parent.mkdir(parents=True, exist_ok=True)
        plot({each[0].part.name: points(each) for each in cells}, args.out_plot)

    print(top)
    print(
        f"{named(args.data)}. Percent, of characters, with 95 % intervals; {BUNDLED} in "
        f"{str(embedder.dtype).removeprefix('torch.')}, exact search, {TOP} chunks a question.\n"
    )
    print(corpora_table(parts, embedder))
    print(f"### What is best\n\n{choice_table(cells)}")
    print(f"### Which way it goes\n\n{direction_table(cells)}")
    for each in cells:
        print(f"### {each[0].part.name}: {len(each[0].part.questions)} questions\n")
        print(top_table(each))
        print(f"About {BUDGET} tokens a question:\n\n{equal_table(each)}")


if __name__ == "__main__":
    main()
