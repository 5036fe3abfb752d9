"""Dense vectors by any sentence-transformers model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rag.embedding.base import Vectors
from rag.errors import ModelError, first_line
from rag.ids import digest
from rag.tokens import TokenCounter

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

__all__ = ["SentenceTransformerEmbedder", "has_bfloat16"]

Precision = Literal["auto", "float32", "bfloat16"]

_MODEL_FILES = (".json", ".safetensors", ".bin")
_BATCH_TOKENS = 4_096  # padded tokens in one forward pass: bounds memory, keeps caches warm


class SentenceTransformerEmbedder:
    """A sentence-transformers model, loaded on first use.

    Texts are sorted by length and packed into batches of at most 4,096 padded tokens, so memory
    is bounded and little is spent on padding. bfloat16 is used where the processor has it.

    Args:
        model: a folder, or a model name of the hub (offline, one that is in its cache).
        name: how reports and manifests name it.
        device: "auto" (CUDA, then MPS, then CPU) or a torch device.
        precision: "auto", "float32" or "bfloat16".
        backend: "torch" or "openvino" (the `openvino` extra; CPU only).
        offline: take a hub's model from its cache only.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        name: str = "",
        device: str = "auto",
        precision: Precision = "auto",
        backend: Literal["torch", "openvino"] = "torch",
        offline: bool = True,
    ) -> None:
        self._model = str(model)
        self.name = name or self._model
        self._device = device
        self._precision = precision
        self._backend = backend
        self._offline = offline

    @cached_property
    def folder(self) -> Path:
        """Where the model's files are: the folder given, or the hub cache's copy.

        Raises:
            ModelError: there is neither.
        """
        if Path(self._model).is_dir():
            return Path(self._model)
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )

        try:
            return Path(snapshot_download(self._model, local_files_only=self._offline))
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
            raise ModelError(
                f"no embedding model {self._model}: neither a folder nor in the hub's cache",
                hint="set embedding.model to a folder, or offline = false to have it fetched",
            ) from error

    @cached_property
    def model(self) -> SentenceTransformer:
        """The loaded model.

        Raises:
            ModelError: it is not there, cannot be loaded, or wants code of its own to be run.
        """
        from safetensors import SafetensorError
        from transformers.utils import logging  # slow, as what follows: seconds

        from rag.embedding.modules import load_model

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # one bar a run, ours
        try:
            model = load_model(self.folder, device=self.device, dtype=self.dtype)
        except (
            OSError, ValueError, RuntimeError, ImportError, AttributeError, KeyError,
            TypeError, SafetensorError,
        ) as error:  # fmt: skip
            raise ModelError(
                f"cannot load the embedding model {self._model}: {first_line(error)}",
                hint="check embedding.model and embedding.device",
            ) from error
        if self._backend == "openvino":
            from rag.embedding.openvino import accelerate

            accelerate(model)
        return model

    @cached_property
    def device(self) -> str:
        """Where it runs."""
        import torch

        if self._device != "auto":
            return self._device
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"

    @cached_property
    def dtype(self) -> torch.dtype:
        """The precision it computes in."""
        import torch

        if self._backend == "openvino":
            return torch.float32  # OpenVINO chooses its own
        if self._precision == "auto":
            return torch.bfloat16 if has_bfloat16(self.device) else torch.float32
        return torch.bfloat16 if self._precision == "bfloat16" else torch.float32

    @cached_property
    def counter(self) -> TokenCounter:
        """The model's tokenizer."""
        file = self.folder / "tokenizer.json"
        if file.is_file():
            return TokenCounter.from_file(file, self.name)
        tokenizer = getattr(self.model.tokenizer, "backend_tokenizer", None)
        if tokenizer is None:
            raise ModelError(
                f"{self.name} has no fast tokenizer, so nothing can be measured with it",
                hint="choose a model that ships a tokenizer.json",
            )
        return TokenCounter(tokenizer, self.name)

    @cached_property
    def dimension(self) -> int:
        """The length of a vector."""
        dimension = self.model.get_embedding_dimension()
        if dimension is None:
            raise ModelError(f"{self.name} does not say its dimension", hint="choose another model")
        return int(dimension)

    @cached_property
    def max_tokens(self) -> int:
        """What the model reads, at most."""
        return int(self.model.max_seq_length or 512)

    @cached_property
    def reserved_tokens(self) -> int:
        """Special tokens and the document prompt."""
        return self.counter.special_tokens + self.counter.count(self._document_prompt or "")

    @cached_property
    def _document_prompt(self) -> str | None:
        """What goes before a passage.

        E5-like models call the prompt `passage`, and sentence-transformers 6 would overlook it
        for its own empty `document`.
        """
        prompts = self.model.prompts
        return prompts.get("document") or prompts.get("passage") or None

    @cached_property
    def fingerprint(self) -> str:
        """Name, files, precision, backend; known without loading the model."""
        files = sorted(p for p in self.folder.rglob("*") if p.suffix in _MODEL_FILES)
        contents = [(p.relative_to(self.folder).as_posix(), _sample(p)) for p in files]
        dtype = "default" if self._backend == "openvino" else str(self.dtype).split(".")[-1]
        return f"{self.name}:{digest(contents)[:8]}:{self._backend}:{dtype}"

    def load(self) -> None:
        """Read the weights, and run them once: a first pass is many times slower."""
        self.embed_queries(["load"])

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages, shape (texts, dimension)."""
        return self._embed(texts, partial(self.model.encode_document, prompt=self._document_prompt))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions, shape (texts, dimension)."""
        return self._embed(texts, self.model.encode_query)

    def _embed(self, texts: Sequence[str], encode: Any) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for batch in _batches(self.counter.count_all(texts), self.max_tokens):
            vectors[batch] = encode(
                [texts[at] for at in batch],
                batch_size=len(batch),
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        # Unit length in float32, whatever the model computes in: bfloat16 is off by up to 1 %.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors


def _sample(path: Path) -> str:
    """A digest of a file: of all of it up to 16 MiB, else of its size and 256 even samples.

    Retrained weights differ everywhere, so samples tell them apart; reading gigabytes would not
    be worth it at every start.
    """
    size, mark = path.stat().st_size, blake2b(digest_size=16)
    mark.update(str(size).encode())
    with path.open("rb") as stream:
        if size <= 16 << 20:
            mark.update(stream.read())
        else:
            for at in range(256):
                stream.seek(at * (size - 4096) // 255)
                mark.update(stream.read(4096))
    return mark.hexdigest()


def _batches(lengths: Sequence[int], longest: int) -> Iterator[list[int]]:
    """Indices of texts, sorted by length, in batches of bounded padded size."""
    batch: list[int] = []
    for at in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        width = min(lengths[batch[0] if batch else at], longest)
        if batch and (len(batch) + 1) * max(width, 1) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def has_bfloat16(device: str) -> bool:
    """Whether bfloat16 is fast here and not just emulated."""
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    # Private in torch 2.13: a version without them means float32, not a crash.
    probes = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, probe, bool)() for probe in probes)
