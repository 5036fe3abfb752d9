"""Learned poolings on the frozen bundled encoder, against its mean.

Of each set, half of the documents that questions are about are held out, by a digest of their
names. On chunks of the others a head is trained with InfoNCE: one sentence of a chunk asks for the
rest of it, the other chunks of the batch are wrong. Then the held-out documents' chunks are ranked
by cosine alone, for the questions about them: nDCG@10 with a head less that with the mean, question
by question. A gain is averaged over the seeds before it is resampled, so its interval says what
other questions would bring; the range of the seeds stands beside it. Steps and learning rate were
fixed beforehand; nothing was tried on the questions. The encoder runs once, in bfloat16 where the
processor has it; its states are kept.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from numpy.typing import NDArray
from report import heading, say, table
from workload import SHARED

from eval.datasets import Question, read_questions
from eval.located import Located
from eval.metrics.overlap import ChunkMap
from eval.metrics.ranking import ndcg
from eval.stats import bootstrap
from pipelines.evaluate import read_corpus
from rag.embedding.context import embedded_text
from rag.embedding.dense import SentenceTransformerEmbedder, has_bfloat16
from rag.embedding.pooling import Kind, with_pooling
from rag.embedding.registry import BUNDLED, bundled_model
from rag.ids import digest
from rag.index import Encoder
from rag.sentences import sentence_spans
from rag.settings import Settings

__all__ = ["Domain", "bundled", "info_nce", "read_domain", "scores"]

SETS = ("financebench", "covidqa", "cyber")
HEADS: tuple[Kind, ...] = ("latent", "layers")
SCALE = 20.0  # of a cosine, as sentence-transformers has it
_BATCH = 32
_SHORTEST = 30  # characters of a sentence that asks


class Domain(NamedTuple):
    """What there is to train on, and what to test with."""

    pairs: list[tuple[str, str]]
    chunks: list[Located]
    texts: list[str]
    questions: list[Question]


class State(NamedTuple):
    """What the encoder makes of one text: the mean of each layer (L, d), its tokens (T, d)."""

    layers: torch.Tensor
    tokens: torch.Tensor


def bundled() -> SentenceTransformerEmbedder:
    """The bundled model, in whatever precision is fastest."""
    return SentenceTransformerEmbedder(bundled_model(), name=BUNDLED, device="cpu")


def read_domain(
    folder: Path, embedder: SentenceTransformerEmbedder, pairs: int, limit: int
) -> Domain:
    """Training pairs and a test of one set.

    Args:
        folder: with `corpora` and `questions.jsonl`.
        embedder: measures the chunks.
        pairs: how many to draw, at most.
        limit: of the held-out chunks: documents beyond it are left out, with their questions.
    """
    encoder = Encoder(Settings(), embedder)
    documents = {document.name: document for document in read_corpus(folder / "corpora")}
    asked = read_questions(folder / "questions.jsonl")
    held = sorted({r.doc for question in asked for r in question.references if _is_held(r.doc)})
    chunks: list[Located] = []
    texts: list[str] = []
    for name in held:
        cut = list(encoder.chunk(documents[name]))
        if len(chunks) + len(cut) <= limit:
            chunks += [Located(name, chunk.span.start, chunk.span.end) for chunk in cut]
            texts += [embedded_text(chunk, embedder.counter, 32) for chunk in cut]
    known = {chunk.doc for chunk in chunks}
    # A question about documents of both sides is asked of those that are held out.
    narrowed = [
        replace(each, references=tuple(r for r in each.references if r.doc in known))
        for each in asked
    ]
    questions = [question for question in narrowed if question.references]
    chance = random.Random(0)
    train = [
        c for name in sorted(set(documents) - set(held)) for c in encoder.chunk(documents[name])
    ]
    made = (_pair(chunk.text, chance) for chunk in chance.sample(train, len(train)))
    drawn = [pair for pair, _ in zip(filter(None, made), range(pairs), strict=False)]
    return Domain(drawn, chunks, texts, questions)


def _is_held(document: str) -> bool:
    """As `eval.split` has it for a document that no question ties to another."""
    return int(digest([0, document])[:12], 16) / 16**12 >= 0.5


def _pair(text: str, chance: random.Random) -> tuple[str, str] | None:
    """A sentence and the text without it; nothing, where it has but one."""
    spans = [span for span in sentence_spans(text) if span.end - span.start >= _SHORTEST]
    if len(spans) < 2:
        return None
    span = chance.choice(spans)
    return span.text_in(text), f"{text[: span.start]} {text[span.end :]}".strip()


def info_nce(asking: torch.Tensor, answering: torch.Tensor) -> torch.Tensor:
    """InfoNCE with the batch's other texts as the wrong ones; (B, d) each, a scalar."""
    normal = torch.nn.functional.normalize
    cosines = normal(asking.float(), dim=1) @ normal(answering.float(), dim=1).T
    return torch.nn.functional.cross_entropy(SCALE * cosines, torch.arange(len(cosines)))


def scores(domain: Domain, asked: NDArray[Any], found: NDArray[Any]) -> NDArray[np.float64]:
    """nDCG@10 of each question, by the cosine of unit vectors, (questions,)."""
    whole = ChunkMap(domain.chunks)
    best = np.argsort(-(asked @ found.T), axis=1, kind="stable")[:, :10]
    return np.array(
        [
            ndcg(question.references, [domain.chunks[at] for at in row], whole)
            for question, row in zip(domain.questions, best, strict=True)
        ]
    )


def states(encoder: Any, texts: Sequence[str], longest: int | None = None) -> list[State]:
    """The frozen encoder's view of texts, in order; at most so many tokens of each are kept."""
    found: dict[int, State] = {}
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            read = encoder(encoder.preprocess([texts[at] for at in batch]))
            for row, at in enumerate(batch):
                mask = read["attention_mask"][row].bool()
                layers = torch.stack([s[row][mask].float().mean(0) for s in read["layers"]])
                found[at] = State(layers, read["token_embeddings"][row][mask][:longest].clone())
    return [found[at] for at in range(len(texts))]


class _Reader:
    """The encoder alone, handing on its layers."""

    def __init__(self, embedder: SentenceTransformerEmbedder) -> None:
        self.model = with_pooling(embedder.model, "layers")
        self.preprocess = self.model.preprocess

    def __call__(self, features: dict[str, Any]) -> dict[str, Any]:
        read: dict[str, Any] = self.model[0](features)
        return {**read, "layers": read["all_layer_embeddings"][1:]}


def pooled(head: Any, kind: Kind, given: Sequence[State]) -> torch.Tensor:
    """What a head makes of texts, (B, d)."""
    if kind == "layers":
        means = torch.stack([state.layers for state in given])
        columns = [means[:, at : at + 1] for at in range(means.shape[1])]
        features = {
            "all_layer_embeddings": [columns[0], *columns],
            "token_embeddings": columns[-1],  # one token a text: its mean is itself
            "attention_mask": torch.ones(len(given), 1, dtype=torch.long),
        }
    else:
        pad = torch.nn.utils.rnn.pad_sequence
        ones = [torch.ones(len(state.tokens), dtype=torch.long) for state in given]
        features = {
            "token_embeddings": pad([state.tokens for state in given], batch_first=True).float(),
            "attention_mask": pad(ones, batch_first=True),
        }
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16("cpu")):
        vectors: torch.Tensor = head(features)["sentence_embedding"]
    return vectors


def vectors(head: Any, kind: Kind, given: Sequence[State]) -> NDArray[Any]:
    """Unit vectors, (n, d); texts of like length together."""
    order = sorted(range(len(given)), key=lambda at: len(given[at].tokens))
    with torch.inference_mode():
        parts = [
            pooled(head, kind, [given[at] for at in order[start : start + _BATCH]]).float()
            for start in range(0, len(order), _BATCH)
        ]
    unit = torch.nn.functional.normalize(torch.cat(parts), dim=1).numpy()
    return unit[np.argsort(order)]


def trained(
    embedder: SentenceTransformerEmbedder,
    kind: Kind,
    pairs: Sequence[tuple[State, State]],
    seed: int,
    args: argparse.Namespace,
) -> Any:
    """A head, in float32; the encoder under it stays as it is."""
    torch.manual_seed(seed)
    head = with_pooling(embedder.model, kind)[1].float()
    optimiser = torch.optim.AdamW(head.parameters(), lr=args.rate)
    chance = random.Random(seed)
    for _ in range(args.steps):
        asking, answering = zip(*chance.sample(pairs, min(_BATCH, len(pairs))), strict=True)
        loss = info_nce(pooled(head, kind, asking), pooled(head, kind, answering))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return head.eval()


def measured(name: str, args: argparse.Namespace) -> list[tuple[object, ...]]:
    """One row a pooling."""
    embedder = bundled()
    domain = read_domain(args.data / name, embedder, args.pairs, args.chunks)
    say(f"{name}: {len(domain.pairs)} pairs, {len(domain.chunks)} chunks are read")
    reader = _Reader(embedder)
    asking = states(reader, [asked for asked, _ in domain.pairs])
    answering = states(reader, [passage for _, passage in domain.pairs], args.tokens)
    pairs = list(zip(asking, answering, strict=True))
    found = states(reader, domain.texts)
    asked = states(reader, [question.text for question in domain.questions])
    # What a head is at first: the mean, through the same code and the same rounding.
    torch.manual_seed(0)
    fresh = with_pooling(embedder.model, "layers")[1].float()
    mean = scores(domain, vectors(fresh, "layers", asked), vectors(fresh, "layers", found))
    size = f"{len(domain.questions)} on {len(domain.chunks):,}"
    rows: list[tuple[object, ...]] = [(name, size, "mean", f"{mean.mean():.3f}", "", "", "")]
    for kind in HEADS:
        runs, began = [], time.perf_counter()
        for seed in range(args.seeds):
            head = trained(embedder, kind, pairs, seed, args)
            runs.append(scores(domain, vectors(head, kind, asked), vectors(head, kind, found)))
            say(f"{name}, {kind}, seed {seed}: {runs[-1].mean():.3f}, the mean {mean.mean():.3f}")
        each = np.array(runs)
        (low, high) = bootstrap((each.mean(axis=0) - mean)[:, None])[0]
        gain, means = each.mean() - mean.mean(), each.mean(axis=1)
        seconds = (time.perf_counter() - began) / args.seeds
        span = f"{means.min():.3f} to {means.max():.3f}"
        interval = f"[{low:+.3f}, {high:+.3f}]"
        shown = f"{gain:+.3f} {interval}"
        rows.append((name, size, kind, f"{each.mean():.3f}", span, shown, f"{seconds:.0f}"))
    return rows


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--chunks", type=int, default=2_000, help="held out, at most, of a set")
    parser.add_argument("--tokens", type=int, default=96, help="of a passage, in training")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    title = heading("Poolings on a frozen encoder")
    rows = [row for name in args.sets for row in measured(name, args)]
    columns = ("set", "questions", "pooling", "nDCG@10", "of the seeds", "gain, 95 %", "s a seed")
    print(f"{title}\n{table(columns, rows)}")


if __name__ == "__main__":
    main()
