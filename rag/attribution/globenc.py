"""GlobEnc: norms of what each token passes on through a layer, rolled out over all layers.

Source: Modarressi et al., "GlobEnc" (NAACL 2022). In each layer the part of position i owed to j is
y_ij = sum_h A^h_ij Wo^h v_j^h + [i = j] x_i, and N_ij = |LN2(LN1(y_ij))|, with both LayerNorms
linearised at their true deviations; output bias, betas and the feed-forward part are left out (its
effect on the second deviation is not). Rollout is the product of all N, last layer first.

Departure: no (T, T, d) tensor. With M = diag(gamma2) C diag(gamma1) C, C the centring,
N_ij = |M y_ij| / (sd1_i sd2_i); for i != j that is a quadratic form in the H attention weights,
whose Gram matrix depends on j alone: O(T H^2 d + T^2 H^2) a layer in place of O(T^2 H d).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rag.attribution.base import TokenScores
from rag.attribution.batches import score_in_batches
from rag.attribution.encoder import Encoded, FrozenEncoder, Layer, LayerTrace
from rag.errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["GlobEnc", "layer_norms"]

Readout = Literal["cls_row", "mean_rows"]


class GlobEnc:
    """GlobEnc scores.

    Args:
        encoder: the model.
        readout: "cls_row", what the first position owes to each (the paper's), or "mean_rows",
            the mean over all positions.
    """

    name = "globenc"
    query_aware = False
    bias = None

    def __init__(self, encoder: FrozenEncoder, readout: Readout = "cls_row") -> None:
        self._encoder = encoder
        self._readout = readout
        self._folded: list[torch.Tensor] | None = None

    def readout(self, query: str | None = None) -> str:
        """As chosen."""
        return self._readout

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text; what it is about cannot be asked for: GlobEnc knows no target."""
        if query is not None:
            raise UsageError("globenc knows no query", hint="use --method adjoint, or --pair")
        return score_in_batches(self._encoder.encode(texts, pairs), self._score)

    def _score(self, batch: Sequence[Encoded]) -> torch.Tensor:
        """Scores of a batch, (B, T)."""
        import torch

        trace = self._encoder.trace(batch)
        if self._folded is None:
            self._folded = [_fold(layer) for layer in self._encoder.layers]
        if self._readout == "cls_row":
            row = torch.zeros_like(trace.weights)
            row[:, 0] = 1
        else:
            row = trace.weights
        with torch.inference_mode():
            for traced, folded in zip(reversed(trace.layers), reversed(self._folded), strict=True):
                norms = layer_norms(traced, folded) * trace.mask[:, :, None]
                row = (row[:, None, :] @ norms)[:, 0]
        return row


def _fold(layer: Layer) -> torch.Tensor:
    """M = diag(gamma2) C diag(gamma1) C, (d, d)."""
    import torch

    size = len(layer.gamma1)
    eye = torch.eye(size, dtype=layer.wo.dtype, device=layer.wo.device)
    centring = eye - 1 / size
    return layer.gamma2[:, None] * (centring @ (layer.gamma1[:, None] * centring))


def layer_norms(traced: LayerTrace, folded: torch.Tensor) -> torch.Tensor:
    """The matrix N of one layer, (B, T, T): row i the receiver, column j the source."""
    import torch

    layer, x, attention = traced.layer, traced.x, traced.attention
    batch, length, size = x.shape
    heads = layer.heads
    value = torch.nn.functional.linear(x, layer.wv, layer.bv).view(batch, length, heads, -1)
    # M Wo^h v_j^h of every head: (B, T, H, d).
    out = (folded @ layer.wo).view(size, heads, -1)
    passed = torch.einsum("bthe,dhe->bthd", value, out)
    gram = passed @ passed.transpose(2, 3)
    weights = attention.permute(0, 3, 2, 1)  # (B, source, receiver, H)
    squares = ((weights @ gram) * weights).sum(dim=-1).transpose(1, 2).clamp_(min=0)
    own = torch.einsum("bhtt,bthd->btd", attention, passed) + x @ folded.T
    norms = squares.sqrt_()
    norms.diagonal(dim1=1, dim2=2).copy_(own.norm(dim=-1))
    return norms / (traced.sd1 * traced.sd2)
