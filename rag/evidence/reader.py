"""The joint reader: question and passage through the encoder together, evidence token by token.

An embedder reads them apart, and can only tell that two texts are alike. Read together, each token
of the passage attends to the question. The bundled encoder with a low-rank adapter and two linear
heads: one for each token (is it evidence?), one on the first position (does the passage hold any?).
Trained by `python -m pipelines.train.reader`; which documents it has seen is in its file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag.embedding.dense import has_bfloat16
from rag.embedding.registry import bundled_model
from rag.errors import ModelError, first_line
from rag.evidence.adapter import merge

if TYPE_CHECKING:
    import torch

__all__ = [
    "BUNDLED_READER",
    "JointReader",
    "Piece",
    "Reading",
    "load_reader",
    "load_tokenizer",
    "padded",
    "pieces_of",
]

BUNDLED_READER = Path(__file__).parent / "models" / "reader.safetensors"

_QUESTION_TOKENS = 96  # a longer question is read no further
_POSITIONS = 512
_BATCH_TOKENS = 6_144


class Reading(NamedTuple):
    """What the reader makes of one passage.

    Args:
        offsets: where its tokens stand in it, shape (tokens, 2).
        logits: log-odds that each is evidence, shape (tokens,).
        passage: log-odds that the passage holds evidence at all.
    """

    offsets: NDArray[np.int64]
    logits: NDArray[np.float32]
    passage: float


class Piece(NamedTuple):
    """A question and as much of a passage as the encoder reads at once."""

    text: int
    ids: list[int]
    first: int
    """Where the passage's tokens begin; the last id is a separator."""
    offsets: NDArray[np.int64]


class JointReader:
    """Reads passages for a question.

    Args:
        folder: of the encoder the adapter was trained on.
        weights: the adapter and its heads.
        device: a torch device.
        dtype: "float32" or "bfloat16".
    """

    def __init__(
        self,
        folder: Path,
        weights: Path = BUNDLED_READER,
        *,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        self._folder = folder
        self._weights = weights
        self._device = device
        self._dtype = dtype

    def read(self, question: str, passages: Sequence[str]) -> list[Reading]:
        """A reading of each passage; a long one is read in parts.

        Raises:
            ModelError: the weights are not there, or are not of this encoder.
        """
        pieces = pieces_of(self._tokenizer, question, passages)
        found: list[list[tuple[Piece, NDArray[np.float32], float]]] = [[] for _ in passages]
        for batch in _batches(pieces):
            tokens, wholes = self._forward(batch)
            for row, piece in enumerate(batch):
                end = piece.first + len(piece.offsets)
                logits = tokens[row, piece.first : end].numpy()
                found[piece.text].append((piece, logits, float(wholes[row])))
        return [_joined(parts) for parts in found]

    def _forward(self, batch: Sequence[Piece]) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-odds of tokens (B, T) and of passages (B,), in float32 on the CPU."""
        import torch

        encoder, heads = self._model
        ids, types, mask = padded(batch)
        with torch.inference_mode():
            hidden = encoder(
                input_ids=ids.to(self._device),
                token_type_ids=types.to(self._device),
                attention_mask=mask.to(self._device),
            ).last_hidden_state.float()
            tokens = hidden @ heads["token.weight"] + heads["token.bias"]
            wholes = hidden[:, 0] @ heads["passage.weight"] + heads["passage.bias"]
        return tokens.cpu(), wholes.cpu()

    @cached_property
    def _model(self) -> tuple[Any, dict[str, torch.Tensor]]:
        import torch
        from safetensors import SafetensorError, safe_open
        from transformers import AutoModel
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        try:
            encoder = AutoModel.from_pretrained(str(self._folder), local_files_only=True)
            with safe_open(self._weights, framework="pt") as file:
                about = json.loads(file.metadata()["about"])
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            merge(encoder, weights, about["scale"])
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"cannot load the joint reader {self._weights.name}: {first_line(error)}",
                hint="set selection.reader = false",
            ) from error
        encoder = encoder.eval().to(self._device, getattr(torch, self._dtype))
        heads = {n: w.to(self._device) for n, w in weights.items() if n.startswith(_HEADS)}
        return encoder, heads

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(self._folder)


def load_reader() -> JointReader:
    """The bundled reader, on a GPU where there is one, in bfloat16 where that is fast.

    Its weights are read now, so that no question is charged with it.

    Raises:
        ModelError: they are not there.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = "bfloat16" if has_bfloat16(device) else "float32"
    reader = JointReader(bundled_model(), device=device, dtype=dtype)
    reader.read("load", ["load"])
    return reader


_HEADS = ("token.", "passage.")


def load_tokenizer(folder: Path) -> Any:
    """The encoder's tokenizer, cutting and padding nothing."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def pieces_of(tokenizer: Any, question: str, passages: Sequence[str]) -> list[Piece]:
    """[CLS] question [SEP] passage [SEP], the passage in as few parts as fit the positions."""
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    asked = tokenizer.encode(question, add_special_tokens=False).ids[:_QUESTION_TOKENS]
    before = [cls, *asked, sep]
    room = _POSITIONS - len(before) - 1
    pieces: list[Piece] = []
    encoded = tokenizer.encode_batch(list(passages), add_special_tokens=False)
    for number, each in enumerate(encoded):
        offsets = np.array(each.offsets, dtype=np.int64).reshape(-1, 2)
        for start in range(0, max(len(each.ids), 1), room):
            part = slice(start, start + room)
            ids = [*before, *each.ids[part], sep]
            pieces.append(Piece(number, ids, len(before), offsets[part]))
    return pieces


def padded(batch: Sequence[Piece]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, segments and mask, each (B, T)."""
    import torch

    longest = max(len(piece.ids) for piece in batch)
    ids = torch.zeros((len(batch), longest), dtype=torch.long)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, piece in enumerate(batch):
        ids[row, : len(piece.ids)] = torch.tensor(piece.ids)
        types[row, piece.first : len(piece.ids)] = 1
        mask[row, : len(piece.ids)] = 1
    return ids, types, mask


def _batches(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Pieces of like length together, so that little is padding."""
    batches: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda each: -len(each.ids)):
        if not batches or (len(batches[-1]) + 1) * len(batches[-1][0].ids) > _BATCH_TOKENS:
            batches.append([])
        batches[-1].append(piece)
    return batches


def _joined(parts: Sequence[tuple[Piece, NDArray[np.float32], float]]) -> Reading:
    ordered = sorted(parts, key=lambda part: part[0].offsets[0, 0] if len(part[0].offsets) else 0)
    return Reading(
        np.concatenate([piece.offsets for piece, _, _ in ordered]),
        np.concatenate([logits for _, logits, _ in ordered]),
        max(whole for _, _, whole in ordered),
    )
