"""DecompX: vectors, not norms, decomposed and carried through every layer.

Source: Modarressi et al., "DecompX" (ACL 2023); order of operations as in its published code.
D[i, k], the part of position i owed to input k, starts as [i = k] x_i; then, a layer at a time,
with S spreading a bias over the sources and everything but D frozen:

    Z_ik = sum_h sum_j A^h_ij Wo^h Wv^h D_jk       Y = S(LN1(S(Z + D; bo + Wo bv)); beta1)
    F = S(W2 (theta * S(W1 Y; b1)); b2)            D = S(LN2(Y + F); beta2)

Biases: "absdot" (the paper's) gives each source a share of bias b in proportion to |<y_ik, b>|;
"biastoken" collects them all in one more source; "none" leaves them out. In layer 1 the value bias
stays with its token. With absdot or biastoken the parts of a position sum to its hidden state.

Departures, none of which changes a number: heads are mixed before the output map is applied; rows
are taken a few at a time and in place; the last layer keeps only what is read out. absdot still
costs about T forward passes: it is there to audit with. For a target that is a dot product,
`adjoint` has the same shares as "biastoken" in one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from rag.attribution.base import TokenScores
from rag.attribution.batches import score_in_batches
from rag.attribution.encoder import Encoded, FrozenEncoder, Layer, LayerTrace
from rag.attribution.head import Head
from rag.errors import UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["BIASES", "READOUTS", "DecompX", "Parts", "decompose", "through_head"]

Bias = Literal["absdot", "biastoken", "none"]
Readout = Literal[
    "cls_norm",
    "meanpool_norm",
    "rowmean_norm",
    "meanpool_dot_query",
    "meanpool_dot_self",
    "cls_dot_query",
    "pooler_norm",
    "classifier_label0",
    "classifier_label1",
]
BIASES: tuple[Bias, ...] = ("absdot", "biastoken", "none")
READOUTS: tuple[Readout, ...] = (
    "cls_norm",
    "meanpool_norm",
    "rowmean_norm",
    "meanpool_dot_query",
    "meanpool_dot_self",
    "cls_dot_query",
    "pooler_norm",
    "classifier_label0",
    "classifier_label1",
)

_ROWS = 16  # positions whose parts are carried through a feed-forward block at a time
_TINY = 1e-12


class DecompX:
    """DecompX scores.

    Args:
        encoder: the model.
        bias: where biases go.
        readout: what is made of the parts: norms of the first position's (`cls_norm`), of their
            mean over positions (`meanpool_norm`), the mean of norms (`rowmean_norm`), or shares
            of a dot product of the pooled vector with a query or with its own direction. Of an
            encoder with a classification head also norms of the pooler's parts (`pooler_norm`)
            and shares of a label's logit (`classifier_label0`, the notebooks' choice, or 1).
            By default shares of the query with one, else `meanpool_norm`.
    """

    name = "decompx"
    query_aware = True

    def __init__(
        self, encoder: FrozenEncoder, bias: Bias = "absdot", readout: Readout | None = None
    ) -> None:
        self._encoder = encoder
        self.bias: Bias = bias
        self._readout = readout

    def readout(self, query: str | None = None) -> Readout:
        """As chosen, or by whether there is a query."""
        return self._readout or ("meanpool_norm" if query is None else "meanpool_dot_query")

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text by what is made of its tokens' parts."""
        readout = self.readout(query)
        if readout.endswith("_query") != (query is not None):
            raise UsageError(
                f"{readout} {'needs a' if query is None else 'knows no'} query",
                hint="give --query with a readout that ends in dot_query",
            )
        target = self._encoder.pooled([query])[0] if query is not None else None

        def score(batch: Sequence[Encoded]) -> torch.Tensor:
            import torch

            rows = [self._read(each, readout, target) for each in batch]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

        return score_in_batches(self._encoder.encode(texts, pairs), score)

    def _read(
        self, encoded: Encoded, readout: Readout, target: torch.Tensor | None
    ) -> torch.Tensor:
        head = self._encoder.head if readout.startswith(("classifier", "pooler")) else None
        parts = decompose(self._encoder, encoded, self.bias)
        if head is None:
            return _read(parts, readout, target)
        pooler, labels = through_head(head, parts, self.bias)
        length = len(parts.norms)
        lengths: torch.Tensor = pooler[:length].norm(dim=1)
        return lengths if readout == "pooler_norm" else labels[:length, int(readout[-1])]


class Parts(NamedTuple):
    """What a text's output is made of. Sources are its T positions and, with "biastoken", one more.

    Attributes:
        first: the parts of the first position's output, (sources, d).
        mean: the parts of the mean over positions, (sources, d).
        norms: the mean over positions of their parts' norms, (T,).
        pooled: the mean over positions itself, (d,).
        cls: the first position's output itself, (d,).
    """

    first: torch.Tensor
    mean: torch.Tensor
    norms: torch.Tensor
    pooled: torch.Tensor
    cls: torch.Tensor


def decompose(encoder: FrozenEncoder, encoded: Encoded, bias: Bias = "absdot") -> Parts:
    """The parts of one text's output."""
    import torch

    trace = encoder.trace([encoded])
    x = trace.layers[0].x[0]
    length, size = x.shape
    sources = length + (bias == "biastoken")
    with torch.inference_mode():
        parts = x.new_zeros((length, sources, size))
        parts[torch.arange(length), torch.arange(length)] = x
        for number, traced in enumerate(trace.layers):
            first = number == 0
            values = _first_values(traced) if first else _values(traced.layer, parts)
            for start in range(0, length, _ROWS):
                rows = slice(start, start + _ROWS)
                mixed = (_first_mixed if first else _mixed)(traced, values, rows, sources)
                spread = _attention_bias(traced.layer, first)
                parts[rows] = _through(traced, mixed.add_(parts[rows]), spread, rows, bias)
        mean = parts.mean(dim=0)
        norms = parts[:, :length].norm(dim=2).mean(dim=0)
        hidden = trace.hidden[0]
        return Parts(parts[0].clone(), mean, norms, hidden.mean(dim=0), hidden[0])


def through_head(head: Head, parts: Parts, bias: Bias) -> tuple[torch.Tensor, torch.Tensor]:
    """The parts of the pooler's output, (sources, d), and of the logits, (sources, labels).

    tanh goes by its slope from zero. As in the reference the weights of S at the logits come from
    all labels together, so a label's shares depend on which others there are.
    """
    import torch

    with torch.inference_mode():
        z = head.pooler @ parts.cls + head.pooler_bias
        slope = z.tanh() / (z + _TINY)
        pooler = slope * _spread((parts.first @ head.pooler.T)[None], head.pooler_bias, bias)
        labels = _spread(pooler @ head.labels.T, head.labels_bias, bias)
        return pooler[0], labels[0]


def _read(parts: Parts, readout: Readout, target: torch.Tensor | None) -> torch.Tensor:
    """A score of each position, (T,)."""
    length = len(parts.norms)
    if readout == "rowmean_norm":
        return parts.norms
    chosen = (parts.first if readout.startswith("cls") else parts.mean)[:length]
    if readout.endswith("norm"):
        lengths: torch.Tensor = chosen.norm(dim=1)
        return lengths
    direction = parts.pooled / parts.pooled.norm() if target is None else target
    return chosen @ direction


def _first_values(traced: LayerTrace) -> torch.Tensor:
    """Wo^h v_k^h of layer 1, value bias included, (H, T, d): there each input is one source."""
    import torch

    layer, x = traced.layer, traced.x[0]
    value = torch.nn.functional.linear(x, layer.wv, layer.bv).view(len(x), layer.heads, -1)
    return torch.einsum("the,dhe->htd", value, layer.wo.view(len(layer.wo), layer.heads, -1))


def _first_mixed(
    traced: LayerTrace, values: torch.Tensor, rows: slice, sources: int
) -> torch.Tensor:
    """Z of some rows of layer 1, (rows, sources, d)."""
    import torch

    attention = traced.attention[0, :, rows]
    mixed = torch.einsum("hik,hkd->ikd", attention, values)
    return torch.nn.functional.pad(mixed, (0, 0, 0, sources - mixed.shape[1]))


def _values(layer: Layer, parts: torch.Tensor) -> torch.Tensor:
    """Wv^h D_jk, (H, T, sources * e)."""
    length, sources, size = parts.shape
    mapped = (parts.view(-1, size) @ layer.wv.T).view(length, sources, layer.heads, -1)
    return mapped.permute(2, 0, 1, 3).reshape(layer.heads, length, -1)


def _mixed(traced: LayerTrace, values: torch.Tensor, rows: slice, sources: int) -> torch.Tensor:
    """Z of some rows, (rows, sources, d): heads are mixed first, the output map applied once."""
    layer = traced.layer
    attention = traced.attention[0, :, rows]
    mixed = (attention @ values).view(layer.heads, attention.shape[1], sources, -1)
    return mixed.permute(1, 2, 0, 3).reshape(attention.shape[1], sources, -1) @ layer.wo.T


def _attention_bias(layer: Layer, first: bool) -> torch.Tensor:
    return layer.bo if first else layer.bo + layer.wo @ layer.bv


def _through(
    traced: LayerTrace, summed: torch.Tensor, attention_bias: torch.Tensor, rows: slice, bias: Bias
) -> torch.Tensor:
    """From attention and residual to the layer's output, of some rows, (rows, sources, d)."""
    layer = traced.layer
    sd1, sd2 = traced.sd1[0, rows, None], traced.sd2[0, rows, None]
    y = _spread(summed, attention_bias, bias)
    y = _spread(_normalised(y, layer.gamma1, sd1), layer.beta1, bias)
    inner = _spread(y @ layer.w1.T, layer.b1, bias).mul_(traced.slope[0, rows, None])
    y = y + _spread(inner @ layer.w2.T, layer.b2, bias)
    return _spread(_normalised(y, layer.gamma2, sd2), layer.beta2, bias)


def _normalised(y: torch.Tensor, gamma: torch.Tensor, sd: torch.Tensor) -> torch.Tensor:
    """A LayerNorm at a frozen deviation, without its beta."""
    return gamma * (y - y.mean(dim=-1, keepdim=True)) / sd


def _spread(y: torch.Tensor, b: torch.Tensor, bias: Bias) -> torch.Tensor:
    """S: y (rows, sources, n) with bias b spread over the sources, in place."""
    if bias == "none":
        return y
    if bias == "biastoken":
        y[:, -1] += b
        return y
    weights = (y @ b).abs_()
    weights /= weights.sum(dim=1, keepdim=True) + _TINY
    return y.addcmul_(weights[:, :, None], b)
