"""From a name to a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rag.attribution.adjoint import Adjoint
from rag.attribution.base import Attributor
from rag.attribution.controls import Lexical, Random
from rag.attribution.decompx import BIASES, READOUTS, DecompX
from rag.attribution.encoder import FrozenEncoder
from rag.attribution.globenc import GlobEnc
from rag.attribution.sensitivity import Sensitivity
from rag.embedding.base import Embedder
from rag.embedding.dense import SentenceTransformerEmbedder
from rag.errors import ConfigError, UsageError

__all__ = ["METHODS", "encoder_of", "load_attributor"]

METHODS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "globenc": (GlobEnc, ("cls_row", "mean_rows")),
    "decompx": (DecompX, READOUTS),
    "adjoint": (Adjoint, ("meanpool_dot_query", "meanpool_dot_self", "cls_dot_query")),
    "sensitivity": (Sensitivity, ()),
    "random": (Random, ()),
    "lexical": (Lexical, ()),
}
"""Name to what makes the method, and the readouts it knows."""


def encoder_of(embedder: Embedder) -> FrozenEncoder:
    """The encoder inside an embedder, in float32.

    Raises:
        ConfigError: the embedder is no local model, so nobody can look inside, or it makes a
            text's vector in a way that attribution does not follow.
    """
    if not isinstance(embedder, SentenceTransformerEmbedder):
        raise ConfigError(
            f"attribution looks inside the embedder, and {embedder.name} is not a local one",
            hint="set embedding.kind to bundled or sentence_transformers",
        )
    encoder = FrozenEncoder(embedder.folder, name=embedder.name, device=embedder.device)
    if encoder.pooling not in ("mean", "cls"):
        raise ConfigError(
            f"attribution follows the mean or the first token, and {embedder.name} pools otherwise:"
            f" {encoder.pooling}",
            hint="set pruning.mode = off, or choose a model that pools by the mean",
        )
    return encoder


def load_attributor(
    method: str, encoder: FrozenEncoder, *, bias: str | None = None, readout: str | None = None
) -> Attributor:
    """The method of that name.

    Args:
        method: one of METHODS.
        encoder: the model whose view of a text is explained.
        bias: of decompx: absdot (default), biastoken or none.
        readout: one that the method knows; by default its own choice.

    Raises:
        UsageError: there is no such method, or it knows no such bias or readout.
    """
    if method not in METHODS:
        raise UsageError(f"no attribution method {method}", hint=f"one of {', '.join(METHODS)}")
    make, readouts = METHODS[method]
    options: dict[str, str] = {}
    if readout is not None:
        if readout not in readouts:
            known = f"one of {', '.join(readouts)}" if readouts else "leave --readout out"
            raise UsageError(f"{method} knows no readout {readout}", hint=known)
        options["readout"] = readout
    if bias is not None:
        if method != "decompx" or bias not in BIASES:
            known = f"one of {', '.join(BIASES)}" if method == "decompx" else "leave --bias out"
            raise UsageError(f"{method} knows no bias {bias}", hint=known)
        options["bias"] = bias
    attributor: Attributor = make(encoder, **options)
    return attributor
