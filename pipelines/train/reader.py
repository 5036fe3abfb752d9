"""Train the joint reader: `python -m pipelines.train.reader --data DIR --index DIR`.

Only the adapter and the two heads learn. A step takes a few questions, each with passages that hold
its evidence and passages that a search took for it, drawn anew each epoch. Three losses: every
token's (evidence or not), and for each question two choices among all that was drawn for it: the
passage that holds evidence, and the evidence tokens. The choices make scores of different passages
comparable, which is what ranking needs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.train.examples import TRAINING_SETS, Asked, ask, evidence_in, fold
from pipelines.train.examples import training_questions as questions_of
from rag.embedding.registry import BUNDLED, bundled_model
from rag.evidence.adapter import adapted_maps
from rag.evidence.reader import BUNDLED_READER, Piece, load_tokenizer, padded, pieces_of
from rag.index import open_index
from rag.settings import Settings, StoreSettings
from rag.spans import Span, SpanSet

if TYPE_CHECKING:
    import torch

__all__ = ["Recipe", "train"]

FOLDS = 5
HELD_BACK = 3
"""The fold of training documents that the reader never reads: its scorer learns there."""


class Recipe(NamedTuple):
    """How to train."""

    rank: int = 16
    alpha: float = 32.0
    epochs: int = 5
    questions: int = 2
    passages: int = 8
    positives: int = 3
    rate: float = 6e-4
    passage_weight: float = 0.3
    choice_weight: float = 0.3
    seed: int = 1


class _Group(NamedTuple):
    """A question's pieces, and of each which of its tokens are evidence."""

    pieces: list[Piece]
    labels: list[list[bool]]


def train(
    asked: Sequence[Asked], folder: Path, recipe: Recipe, *, device: str = "cpu"
) -> dict[str, torch.Tensor]:
    """Weights of the adapter and the heads, in half precision."""
    import torch
    from transformers import AutoModel, get_linear_schedule_with_warmup

    torch.manual_seed(recipe.seed)
    encoder = AutoModel.from_pretrained(
        str(folder),
        local_files_only=True,
        # Drawing dropout masks takes a CPU as long as the pass itself.
        attention_probs_dropout_prob=0.0,
        hidden_dropout_prob=0.0,
    ).to(device)
    encoder.requires_grad_(False)
    learned = _adapt(encoder, recipe, device)
    size = int(encoder.config.hidden_size)
    for head in ("token", "passage"):
        learned[f"{head}.weight"] = torch.zeros(size, device=device, requires_grad=True)
        learned[f"{head}.bias"] = torch.full((), -3.0, device=device, requires_grad=True)
    tokenizer = load_tokenizer(folder)
    drawn = random.Random(recipe.seed)
    steps = recipe.epochs * ((len(asked) + recipe.questions - 1) // recipe.questions)
    optimizer = torch.optim.AdamW(list(learned.values()), lr=recipe.rate, weight_decay=0.01)
    schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
        optimizer, steps // 20, steps
    )
    encoder.train()
    began, done, mean = time.monotonic(), 0, 0.0
    for epoch in range(recipe.epochs):
        for groups in _epoch(asked, tokenizer, recipe, drawn):
            with torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
                loss = _loss(encoder, learned, groups, recipe, device)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(list(learned.values()), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            done += 1
            mean = loss.item() if done == 1 else 0.98 * mean + 0.02 * loss.item()
            if done % 20 == 0:
                left = (time.monotonic() - began) / done * (steps - done)
                said = f"epoch {epoch + 1}, step {done} of {steps}, loss {mean:.3f}"
                print(f"{said}, {left:.0f} s left", file=sys.stderr)
    return {name: weight.detach().half().cpu() for name, weight in learned.items()}


def _adapt(encoder: Any, recipe: Recipe, device: str) -> dict[str, torch.Tensor]:
    """Hang a low-rank adapter on every map; its weights, by name."""
    import torch

    learned: dict[str, torch.Tensor] = {}
    for name, linear in adapted_maps(encoder):
        size_out, size_in = linear.weight.shape
        down = torch.randn((recipe.rank, size_in), device=device) / size_in**0.5
        learned[f"{name}.a"] = down.requires_grad_()
        learned[f"{name}.b"] = torch.zeros((size_out, recipe.rank), device=device).requires_grad_()
        linear.register_forward_hook(_added(learned, name, recipe.alpha / recipe.rank))
    return learned


def _added(learned: dict[str, torch.Tensor], name: str, scale: float) -> Any:
    def hook(module: Any, given: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        import torch

        low = torch.nn.functional.linear(given[0], learned[f"{name}.a"])
        return output + scale * torch.nn.functional.linear(low, learned[f"{name}.b"])

    return hook


def _epoch(
    asked: Sequence[Asked], tokenizer: Any, recipe: Recipe, drawn: random.Random
) -> Iterator[list[_Group]]:
    """Every question once, in a new order, with passages drawn anew."""
    order = drawn.sample(range(len(asked)), len(asked))
    for start in range(0, len(order), recipe.questions):
        yield [
            _draw(asked[at], tokenizer, recipe, drawn)
            for at in order[start : start + recipe.questions]
        ]


def _draw(asked: Asked, tokenizer: Any, recipe: Recipe, drawn: random.Random) -> _Group:
    """Passages with evidence and hard negatives; the nearer to the top, the likelier."""
    evidence = [evidence_in(hit.chunk, asked.question) for hit in asked.found]
    holding = [at for at, spans in enumerate(evidence) if spans]
    others = [at for at, spans in enumerate(evidence) if not spans]
    chosen = drawn.sample(holding, min(recipe.positives, len(holding)))
    room = recipe.passages - len(chosen)
    others.sort(key=lambda at: drawn.random() * (at + 5))
    chosen += others[:room]
    texts = [asked.found[at].chunk.text for at in chosen]
    pieces = pieces_of(tokenizer, asked.question.text, texts)
    labels: list[list[bool]] = []
    for piece in pieces:
        at = chosen[piece.text]
        start = asked.found[at].chunk.span.start
        spans = SpanSet(span.shift(-start) for span in evidence[at])
        labels.append([bool(spans.clip(Span(s, e))) for s, e in piece.offsets.tolist()])
    return _Group(pieces, labels)


def _loss(
    encoder: Any,
    learned: dict[str, torch.Tensor],
    groups: Sequence[_Group],
    recipe: Recipe,
    device: str,
) -> torch.Tensor:
    import torch

    pieces = [piece for group in groups for piece in group.pieces]
    ids, types, mask = padded(pieces)
    labels = torch.full(ids.shape, -1.0)
    for row, marks in enumerate(marks for group in groups for marks in group.labels):
        first = pieces[row].first
        labels[row, first : first + len(marks)] = torch.tensor(marks, dtype=torch.float32)
    labels = labels.to(device)
    hidden = encoder(
        input_ids=ids.to(device), token_type_ids=types.to(device), attention_mask=mask.to(device)
    ).last_hidden_state.float()
    tokens = hidden @ learned["token.weight"] + learned["token.bias"]
    wholes = hidden[:, 0] @ learned["passage.weight"] + learned["passage.bias"]
    own = labels >= 0
    loss = torch.nn.functional.binary_cross_entropy_with_logits(tokens[own], labels[own])
    holds = ((labels == 1).any(dim=1)).float()
    loss = loss + recipe.passage_weight * torch.nn.functional.binary_cross_entropy_with_logits(
        wholes, holds
    )
    row = 0
    for group in groups:
        rows = slice(row, row + len(group.pieces))
        row += len(group.pieces)
        right = labels[rows] == 1
        if not right.any():
            continue
        of_passages = wholes[rows].log_softmax(dim=0)[right.any(dim=1)].logsumexp(dim=0)
        of_tokens = tokens[rows][own[rows]].log_softmax(dim=0)[right[own[rows]]].logsumexp(dim=0)
        loss = loss - (
            recipe.passage_weight * of_passages + recipe.choice_weight * of_tokens
        ) / len(groups)
    return loss


def save(weights: dict[str, torch.Tensor], out: Path, about: dict[str, Any]) -> None:
    """Write the weights, and what they were trained on."""
    from safetensors.torch import save_file

    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, out, metadata={"about": json.dumps(about, sort_keys=True)})


def main() -> None:
    """Retrieve, train, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the question sets")
    parser.add_argument("--out", type=Path, default=BUNDLED_READER)
    parser.add_argument("--index", type=Path, required=True, help="where to keep the index")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    recipe = Recipe(epochs=args.epochs)
    questions = questions_of(args.data)
    folds = fold(questions, FOLDS)
    seen = [each for each, at in zip(questions, folds, strict=True) if at != HELD_BACK]
    documents = sorted({r.doc for each in seen for r in each.references})
    with open_index(Settings(store=StoreSettings(path=args.index)), create=True) as index:
        corpora = [args.data / name / "corpora" for name in TRAINING_SETS]
        asked = [
            Asked(each.question, [hit for hit in each.found if hit.chunk.name in set(documents)])
            for each in ask(index, corpora, seen, 60)
        ]
    print(f"{len(asked)} questions about {len(documents)} documents", file=sys.stderr)
    weights = train(asked, bundled_model(), recipe, device=args.device)
    about = {
        "encoder": BUNDLED,
        "scale": recipe.alpha / recipe.rank,
        "recipe": recipe._asdict(),
        "sets": list(TRAINING_SETS),
        "documents": documents,
    }
    save(weights, args.out, about)


if __name__ == "__main__":
    main()
