"""Embedders on one's own corpus: retrieval, and FinMTEB's kinds of tasks without labels.

    python benchmarks/embedding_tasks.py CORPUS... --models bundled DIR...

A corpus is a folder as `rag eval run` takes it (`corpora/`, and `questions.jsonl` where there are
questions), with `:name,name` behind it for some of its corpora. Without one, those of the data
beside the repository are measured, by domain. A model is a folder of sentence-transformers, or
`bundled`. Vectors are kept in the temporary folder, so that a run that is broken off goes on.

- Retrieval: nDCG@10, recall@10, and IoU of the first five chunks with the evidence, over exact
  spans; chunks are embedded under their headers, as in an index. BM25 and the bag of words are
  always there: a model that does not beat them is of no use. `+ BM25` is reciprocal rank fusion of
  the first hundred of both. *Reranking*: nDCG@10 over BM25's first fifty and what is relevant.
- Minimal pairs (`minimal_pairs.py`): the share of sentences that are nearer to their paraphrase
  than to a shift of their meaning, by kind of shift.
- Pairs, clusters and classes out of the structure of the corpus: see `structure_tasks.py`.
- General similarity (`--sts FILE`, lines of score, sentence, sentence, parted by tabs): Spearman's
  correlation. What adapting to a domain must not destroy.

In parentheses are 95 % bootstrap intervals over questions, pairs, draws or chunks. Differences to
the first model are paired.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the `rag` command sets it

import numpy as np
from embedding_parts import Part
from minimal_pairs import KINDS, Triplet, triplets
from outcomes import Outcome, cell, mean_of, spearman_of
from report import heading, say, table
from retrieval_tasks import Retrieval, ranked
from searching import CACHE, LexicalSearch, document_vectors, plain_embedder
from structure_tasks import StructureTasks
from word_vectors import HashedWords
from workload import SHARED

from eval.subsample import subsample
from rag.embedding.base import Embedder, Vectors
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.embedding.registry import BUNDLED, bundled_model
from rag.errors import UsageError

DOMAINS = {
    "finance": ("financebench", "chroma:finance"),
    "biomedical": ("covidqa", "pubmedqa"),
    "cyber": ("cyber",),
    "general": ("xquad", "chroma:wikitexts,state_of_the_union"),
}
WORDS = "bag of words"
LEXICAL = "BM25"
SAMPLED_FROM = 1_000
"""How deep the rankings go that a sample is chosen from."""
LEAST_DEPTH = 10
"""A sample that keeps less of them does not rank systems as the corpus does."""

Outcomes = dict[str, Outcome]
Embed = Callable[[Sequence[str]], Vectors]


class Bench:
    """All tasks of one part.

    Args:
        part: the corpus.
        models: by name; the first is what the others are compared with.
        sample: keep one chunk in so many, with hard negatives of BM25 and the first model.
        most: chunks of each task out of structure, and triplets of each kind, at most.
    """

    def __init__(self, part: Part, models: Mapping[str, Embedder], sample: int, most: int) -> None:
        self.whole, self.part = part, part
        self.models = models
        self.words = HashedWords(part.texts)
        if sample > 1 and part.questions:
            self.part = self._sampled(sample)
        self.structure = StructureTasks(part.chunks, most)
        self.triplets = triplets([chunk.text for chunk in part.chunks], most)

    def _sampled(self, share: int) -> Part:
        """A sample of the chunks that keeps the order of systems; see `subsampling.py`."""
        first = next(iter(self.models.values()))
        asked, held = first.embed_queries(self.whole.asked), self._held(first, self.whole.texts)
        lexical = LexicalSearch(self.whole.texts)
        rankings = [row[:SAMPLED_FROM] for row in ranked(asked, held)]
        rankings += [lexical.rank(each, SAMPLED_FROM) for each in self.whole.asked]
        ids = [str(at) for at in range(len(self.whole.chunks))]
        relevant = {str(at) for at in self.whole.relevant}
        size = len(ids) // share
        kept = subsample(ids, relevant, [[*map(str, each)] for each in rankings], size)
        say(f"{self.whole.name}: {len(kept.chunks):,} chunks, rankings to depth {kept.depth}")
        if kept.depth < LEAST_DEPTH:
            say(f"that is less than {LEAST_DEPTH}: take a larger sample, or figures mislead")
        return self.whole.kept([int(each) for each in kept.chunks])

    def _held(self, model: Embedder, texts: Sequence[str]) -> Vectors:
        return document_vectors(model, texts, CACHE, f"{self.whole.name}, {model.name}")

    @cached_property
    def retrieval(self) -> Retrieval:
        """The questions' side."""
        return Retrieval(self.part, self.whole)

    def searched(self) -> dict[str, Outcomes]:
        """Retrieval and reranking, system by system."""
        task = self.retrieval
        words = ranked(
            self.words.embed_queries(self.part.asked), self.words.embed_documents(self.part.texts)
        )
        found = {LEXICAL: task.outcomes(task.lexical), WORDS: task.outcomes(words)}
        for name, model in self.models.items():
            say(f"{self.whole.name}: retrieval, {name}")
            held = self._held(model, self.part.texts)
            rankings = ranked(model.embed_queries(self.part.asked), held)
            found[name] = task.outcomes(rankings)
            found[_forms(name)[1]] = task.outcomes(task.fused(rankings), reranks=False)
        return found

    def compared(self) -> dict[str, Outcomes]:
        """Tasks without questions, system by system."""
        found = {WORDS: self._compared(self.words.embed_documents)}
        for name, model in self.models.items():
            say(f"{self.whole.name}: pairs, clusters and classes, {name}")
            found[name] = self._compared(partial(self._held, model))
        return found

    def _compared(self, embed: Embed) -> Outcomes:
        found = shifts(self.triplets, embed)
        if texts := self.structure.texts:
            found.update(self.structure.outcomes(embed(texts)))
        return found


def shifts(found: Sequence[Triplet], embed: Embed) -> Outcomes:
    """Of each kind of shift, the share of sentences nearer to the paraphrase."""
    if not found:
        return {}
    columns = zip(*((each.sentence, each.paraphrase, each.shift) for each in found), strict=True)
    sentence, same, other = (embed(each) for each in columns)
    nearer = ((sentence * same).sum(axis=1) > (sentence * other).sum(axis=1)).astype(np.float64)
    kinds = np.array([each.kind for each in found])
    by_kind = {kind: mean_of(nearer[kinds == kind]) for kind in KINDS if kind in kinds}
    return {"minimal pairs": mean_of(nearer), **by_kind}


def similarity(path: Path, models: Mapping[str, Embedder]) -> dict[str, Outcomes]:
    """Spearman's correlation with what people said of pairs of sentences.

    Raises:
        UsageError: a line is not score, sentence, sentence.
    """
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line]
    try:
        pairs = [(float(score), one, other) for score, one, other in lines]
    except ValueError:
        raise UsageError(
            f"{path}: not lines of score, sentence, sentence, parted by tabs"
        ) from None
    given, first, second = zip(*pairs, strict=True)
    words = HashedWords([*first, *second])
    embed: dict[str, Embed] = {WORDS: words.embed_documents}
    embed.update({name: model.embed_documents for name, model in models.items()})
    return {
        name: {f"{len(pairs)} pairs": spearman_of(given, (each(first) * each(second)).sum(axis=1))}
        for name, each in embed.items()
    }


def figures(found: Mapping[str, Outcomes], base: str) -> str:
    """A table of all systems, and below them the differences of other models to the first."""
    names = list(dict.fromkeys(name for outcomes in found.values() for name in outcomes))
    rows = [
        (
            system,
            *(cell(each.value, each.bounds) if (each := of.get(name)) else "" for name in names),
        )
        for system, of in found.items()
    ]
    others = [system for system in found if system not in (WORDS, LEXICAL, *_forms(base))]
    for system in others:
        like = _forms(base)[system.endswith(f" + {LEXICAL}")]
        gains = {name: each.gain(found[like][name]) for name, each in found[system].items()}
        cells = (cell(*gains[name], "+") if name in gains else "" for name in names)
        rows.append((f"{system} less {like}", *cells))
    return table(("", *names), rows)


def _forms(name: str) -> tuple[str, str]:
    """A model alone, and fused with BM25, as tables name them."""
    return name, f"{name} + {LEXICAL}"


def model_of(given: str, precision: Literal["float32", "auto"]) -> SentenceTransformerEmbedder:
    """`bundled`, or the model in a folder."""
    bundled = given == "bundled"
    return SentenceTransformerEmbedder(
        bundled_model() if bundled else given,
        name=BUNDLED if bundled else given,
        precision=precision,
    )


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="*", help="FOLDER or FOLDER:corpus,corpus")
    parser.add_argument("--models", nargs="+", default=["bundled"], help="bundled, or folders")
    parser.add_argument("--sts", type=Path, help="lines of score, sentence, sentence")
    parser.add_argument("--side", choices=("all", "tune", "test"), default="all")
    parser.add_argument("--sample", type=int, default=1, help="one chunk in so many")
    parser.add_argument("--precision", choices=("float32", "auto"), default="float32")
    parser.add_argument("--most", type=int, default=400, help="chunks a task, triplets a kind")
    options = parser.parse_args()
    print(heading("Embedders by domain"), flush=True)
    models = {each.name: each for each in (model_of(m, options.precision) for m in options.models)}
    base = next(iter(models))
    parts = {"": options.data} if options.data else DOMAINS
    if options.sts:
        print(
            f"### General similarity\n\n{figures(similarity(options.sts, models), base)}",
            flush=True,
        )
    for domain, folders in parts.items():
        for each in folders:
            folder, _, corpora = each.partition(":")
            path = Path(folder) if options.data else SHARED / folder
            names = corpora.split(",") if corpora else ()
            part = Part.read(path, plain_embedder(), corpora=names, side=options.side)
            say(f"{part.name}: {len(part.chunks):,} chunks, {len(part.questions)} questions")
            report(domain, Bench(part, models, options.sample, options.most), base)


def report(domain: str, bench: Bench, base: str) -> None:
    """Print what there is to say of a part."""
    part = bench.whole
    documents = len({chunk.name for chunk in part.chunks})
    print(
        f"### {domain + ': ' if domain else ''}{part.name}\n\n{documents} documents, "
        f"{len(part.chunks):,} chunks, of which {len(bench.part.chunks):,} are searched; "
        f"{len(part.questions)} questions.\n"
    )
    if part.questions:
        print(figures(bench.searched(), base), flush=True)
    compared = bench.compared()
    if any(compared.values()):
        print(figures(compared, base))
    labels = ", ".join(f"{name} {count}" for name, count in bench.structure.labels.items())
    print(f"Labels to tell apart: {labels}.\n" if labels else "", flush=True)


if __name__ == "__main__":
    main()
