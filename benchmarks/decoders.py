"""A small language model as an embedder, four ways, before and after a little training.

SmolLM2-135M (the bundled generator's file, unpacked to float32) beside the bundled encoder, on one
set: chunks of held-out documents, cut short, ranked by cosine for the questions about them. Trained
on pairs of the other documents as in `pooling.py`, every variant for as many steps; GEM the first
third of them at alpha 0 (next tokens through its bottleneck), the rest at alpha 1. Each before and
after is one seed: a gain says what other questions would bring, not what another seed would.

Needs the `gguf` package to unpack the file (`pip install gguf`, for the benchmark only), or
`--decoder` with the folder of any causal model.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
from numpy.typing import NDArray
from pooling import Domain, bundled, info_nce, read_domain, scores
from report import heading, say, table
from searching import CACHE
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForCausalLM, AutoTokenizer
from workload import SHARED

from eval.stats import bootstrap
from rag.embedding.decoder import Variant, decoder_embedder
from rag.embedding.dense import has_bfloat16
from rag.embedding.gem import GemLoss
from rag.embedding.registry import bundled_model
from rag.errors import ModelError
from rag.generation.bundled import model_file

Row = tuple[object, ...]


def unpacked() -> Path:
    """The bundled language model as a Hugging Face folder, in the benchmarks' cache.

    Raises:
        ModelError: the package that reads its file is not installed.
    """
    folder, file = CACHE / "SmolLM2-135M-Instruct", model_file()
    if (folder / "model.safetensors").is_file():
        return folder
    try:
        from transformers import GgufConfig

        model: Any = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
    except ImportError:
        raise ModelError(
            f"nothing here reads {file.name}", hint="run: pip install gguf, or give --decoder"
        ) from None
    tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def shortened(domain: Domain, args: argparse.Namespace) -> Domain:
    """The same with texts of so many words, and as many questions as there is time for."""
    cut = [" ".join(text.split()[: args.words]) for text in domain.texts]
    pairs = [(asked, " ".join(text.split()[: args.words])) for asked, text in domain.pairs]
    return Domain(pairs, domain.chunks, cut, domain.questions)


def embedded(model: Any, texts: Sequence[str]) -> NDArray[Any]:
    """Unit vectors, (n, d)."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16("cpu")):
        found = model.encode(
            list(texts), batch_size=16, convert_to_tensor=True, show_progress_bar=False
        )
    unit: NDArray[Any] = torch.nn.functional.normalize(found.float(), dim=1).numpy()
    return unit


def ranked(model: Any, domain: Domain) -> NDArray[np.float64]:
    """nDCG@10 of each question."""
    asked = embedded(model, [question.text for question in domain.questions])
    return scores(domain, asked, embedded(model, domain.texts))


def train(model: Any, variant: Variant, domain: Domain, args: argparse.Namespace) -> None:
    """Train all weights, in place."""
    chance = random.Random(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.rate)
    model.train()
    for step in range(args.steps):
        batch = chance.sample(domain.pairs, args.batch)
        texts = [[asked for asked, _ in batch], [passage for _, passage in batch]]
        features = [model.preprocess(each) for each in texts]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bfloat16("cpu")):
            if variant == "gem" and step < args.steps // 3:
                loss = GemLoss(model, alpha=0.0, share=0.5, seed=step)(features)
            else:
                asking, answering = (model(each)["sentence_embedding"] for each in features)
                loss = info_nce(asking, answering)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def perplexity(model: Any, domain: Domain) -> float:
    """Of a GEM's own texts, without its special tokens: whether it still writes."""
    features = model.preprocess(domain.texts[:16])
    with torch.inference_mode():
        return float(GemLoss(model, alpha=0.0, share=0.0).next_tokens(features).exp())


def measured(variant: Variant, folder: Path, domain: Domain, args: argparse.Namespace) -> list[Row]:
    """The rows of one variant: as made, and trained."""
    torch.manual_seed(0)
    encoder = SentenceTransformer(str(bundled_model()), device="cpu")
    model: Any = decoder_embedder(folder, variant, encoder=encoder, max_tokens=256)
    told: Callable[[], str] = (
        (lambda: f"{perplexity(model, domain):.1f}") if variant == "gem" else lambda: ""
    )
    began = time.perf_counter()
    before = ranked(model, domain)
    seconds = time.perf_counter() - began
    rows: list[Row] = [(variant, "no", f"{before.mean():.3f}", "", told(), f"{seconds:.0f}")]
    say(f"{variant}: {before.mean():.3f}")
    began = time.perf_counter()
    train(model, variant, domain, args)
    seconds = time.perf_counter() - began
    after = ranked(model, domain)
    low, high = bootstrap((after - before)[:, None])[0]
    gain = f"{(after - before).mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    rows.append((variant, "yes", f"{after.mean():.3f}", gain, told(), f"{seconds:.0f}"))
    say(f"{variant}, trained: {after.mean():.3f}")
    return rows


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--set", default="covidqa")
    parser.add_argument("--decoder", type=Path, help="a causal model's folder")
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--words", type=int, default=48, help="of a chunk that are read")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=2e-5)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    title = heading("A decoder as an embedder")
    folder = args.decoder or unpacked()
    embedder = bundled()
    domain = shortened(read_domain(args.data / args.set, embedder, args.pairs, args.chunks), args)
    say(
        f"{len(domain.questions)} questions, {len(domain.chunks)} chunks, {len(domain.pairs)} pairs"
    )
    base = ranked(embedder.model, domain)
    rows: list[Row] = [("the bundled encoder", "no", f"{base.mean():.3f}", "", "", "")]
    for variant in get_args(Variant):
        rows += measured(variant, folder, domain, args)
        gc.collect()
    columns = ("model", "trained", "nDCG@10", "gain by training, 95 %", "perplexity", "seconds")
    print(
        f"{title}\n{len(domain.questions)} questions of {args.set}, {len(domain.chunks)} chunks.\n"
    )
    print(table(columns, rows))


if __name__ == "__main__":
    main()
