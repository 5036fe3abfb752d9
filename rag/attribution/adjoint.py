"""Adjoint attribution: every token's exact DecompX share of a score, in one backward pass.

With attention, LayerNorm deviations and activation slopes frozen, an encoder is affine in the input
of its first layer and in its biases. So a scalar s = sum_i <lam_i, h_i> of its output h splits
exactly into a credit for each token and one for all biases together, and one pass of cotangents g
from the last layer to the first finds all of them. Per layer, with adj(g) = C(gamma g) / sd:

    gs = adj2(g)    gx = gs + W1' (theta (W2' gs))    gu = adj1(gx)
    gv_j = sum_i A_ij Wo' gu_i (each head)            g_j = gu_j + Wv' gv_j

    credit of token k: <g_k, x_k> at the input of layer 1, + <gv_k, bv> of layer 1

Ours. It equals DecompX (Modarressi et al., ACL 2023) with its biases set apart (bias mode
"biastoken" or "none"), projected on the same target; the last term is there because DecompX counts
the first layer's value bias as its token's. Plain gradient times input is something else: it also
differentiates attention and the deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rag.attribution.base import TokenScores
from rag.attribution.batches import score_in_batches
from rag.attribution.encoder import Encoded, FrozenEncoder, LayerTrace, Trace
from rag.errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["Adjoint", "shares"]

Readout = Literal["meanpool_dot_query", "meanpool_dot_self", "cls_dot_query"]


class Adjoint:
    """Shares of the similarity of a text to a query, or to itself.

    Args:
        encoder: the model.
        readout: "meanpool_dot_query" and "cls_dot_query": of <q, pooled>, q the unit embedding of
            the query; "meanpool_dot_self": of the length of the mean. By default the last without
            a query, and with one whichever pools as the model does.
    """

    name = "adjoint"
    query_aware = True
    bias = None

    def __init__(self, encoder: FrozenEncoder, readout: Readout | None = None) -> None:
        self._encoder = encoder
        self._readout = readout

    def readout(self, query: str | None = None) -> Readout:
        """As chosen, or by whether there is a query and how the model pools."""
        if self._readout or query is None:
            return self._readout or "meanpool_dot_self"
        return "cls_dot_query" if self._encoder.pools_cls else "meanpool_dot_query"

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text by its tokens' shares."""
        readout = self.readout(query)
        if readout == "meanpool_dot_self":
            if query is not None:
                raise UsageError(
                    "meanpool_dot_self knows no query", hint="use --readout meanpool_dot_query"
                )
            target = None
        elif query is None:
            raise UsageError(f"{readout} needs a query", hint="give one with --query")
        else:
            target = self._encoder.pooled([query])[0]

        def score(batch: Sequence[Encoded]) -> torch.Tensor:
            trace = self._encoder.trace(batch)
            return shares(trace, _cotangent(trace, readout, target))

        return score_in_batches(self._encoder.encode(texts, pairs), score)


def _cotangent(trace: Trace, readout: Readout, target: torch.Tensor | None) -> torch.Tensor:
    """Lam of the readout, (B, T, d)."""
    import torch

    if target is None:
        mean = torch.einsum("bt,btd->bd", trace.weights, trace.hidden)
        return trace.weights[:, :, None] * torch.nn.functional.normalize(mean, dim=1)[:, None]
    if readout == "cls_dot_query":
        lam = torch.zeros_like(trace.hidden)
        lam[:, 0] = target
        return lam
    return trace.weights[:, :, None] * target


def shares(trace: Trace, cotangent: torch.Tensor) -> torch.Tensor:
    """Each position's share of sum_i <cotangent_i, hidden_i>, (B, T); 0 on padding.

    The shares and what all biases bring add up to the sum exactly.
    """
    import torch

    with torch.inference_mode():
        g = cotangent
        gv = g
        for traced in reversed(trace.layers):
            g, gv = _backward(traced, g)
        first = trace.layers[0]
        found = (g * first.x).sum(dim=-1) + gv @ first.layer.bv
    return found * trace.mask


def _backward(traced: LayerTrace, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cotangents of a layer's input and of its values, (B, T, d) each."""
    layer = traced.layer
    batch, length, size = g.shape
    gs = _normalised(g, layer.gamma2, traced.sd2)
    gx = gs + (traced.slope * (gs @ layer.w2)) @ layer.w1
    gu = _normalised(gx, layer.gamma1, traced.sd1)
    out = (gu @ layer.wo).view(batch, length, layer.heads, -1).transpose(1, 2)
    gv = (traced.attention.transpose(2, 3) @ out).transpose(1, 2).reshape(batch, length, size)
    return gu + gv @ layer.wv, gv


def _normalised(g: torch.Tensor, gamma: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    """The adjoint of a frozen LayerNorm: C(gamma g) / sd."""
    scaled = gamma * g
    return (scaled - scaled.mean(dim=-1, keepdim=True)) / sd
