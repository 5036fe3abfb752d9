"""Sensitivity: how far the pooled vector moves when a token's embedding is nudged.

Zeroth-order: forward passes only, so it needs no look inside the model. For token k and random unit
directions u, S(k) = mean over u of |pooled(x + h u_k) - pooled(x - h u_k)| / 2h. Tokens are then
taken greedily by S, scaled to [0, 1], times one minus the greatest cosine of its output to those
already taken, so that one of two tokens that say the same comes late.

Source: the importance and selection rules of ZOO-Prune (2509.24837), made for image tokens and the
projection layer; that they carry over to text encoders is ours to measure. With a query the shift
of <q, pooled> is taken in place of the shift's length. Cost: 2 * directions forward passes a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag.attribution.base import TokenScores
from rag.attribution.batches import score_in_batches
from rag.attribution.encoder import Encoded, FrozenEncoder

if TYPE_CHECKING:
    import torch

__all__ = ["Sensitivity"]

_STEP = 0.01
_TOKENS_AT_ONCE = 16


class Sensitivity:
    """Zeroth-order sensitivity and diversity.

    Args:
        encoder: the model.
        directions: how many random directions a token is nudged in.
        seed: of the directions; they are the same for every text.
    """

    name = "sensitivity"
    query_aware = True
    bias = None

    def __init__(self, encoder: FrozenEncoder, *, directions: int = 4, seed: int = 0) -> None:
        self._encoder = encoder
        self._directions = directions
        self._seed = seed

    def readout(self, query: str | None = None) -> None:
        """None to choose."""

    def scores(
        self,
        texts: Sequence[str],
        *,
        query: str | None = None,
        pairs: Sequence[str] | None = None,
    ) -> list[TokenScores]:
        """Score each text: the value at which each token was taken."""
        target = self._encoder.pooled([query])[0] if query is not None else None

        def score(batch: Sequence[Encoded]) -> torch.Tensor:
            import torch

            rows = [self._score(each, target) for each in batch]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)

        return score_in_batches(self._encoder.encode(texts, pairs), score)

    def _score(self, encoded: Encoded, target: torch.Tensor | None) -> torch.Tensor:
        import torch

        x, _ = self._encoder.embed([encoded])
        length, size = x.shape[1:]
        drawn = torch.Generator().manual_seed(self._seed)
        unit = torch.randn((self._directions, size), generator=drawn, dtype=x.dtype)
        unit = torch.nn.functional.normalize(unit, dim=1).to(x.device)
        shifts = [
            self._shifts(x, list(range(start, min(start + _TOKENS_AT_ONCE, length))), unit, target)
            for start in range(0, length, _TOKENS_AT_ONCE)
        ]
        outputs = self._encoder.hidden(x, x.new_ones((1, length), dtype=torch.bool))[0]
        return _greedy(torch.cat(shifts), torch.nn.functional.normalize(outputs, dim=1))

    def _shifts(
        self, x: torch.Tensor, tokens: list[int], unit: torch.Tensor, target: torch.Tensor | None
    ) -> torch.Tensor:
        """S of some tokens, (tokens,)."""
        import torch

        directions, length = len(unit), x.shape[1]
        nudged = x.repeat(len(tokens) * directions * 2, 1, 1)
        steps = _STEP * torch.cat((unit, -unit))
        for at, token in enumerate(tokens):
            here = slice(at * 2 * directions, (at + 1) * 2 * directions)
            nudged[here, token] += steps
        mask = nudged.new_ones((len(nudged), length), dtype=torch.bool)
        pooled = self._encoder.hidden(nudged, mask).mean(dim=1)
        forth, back = pooled.view(len(tokens), 2, directions, -1).unbind(dim=1)
        shift = (forth - back) / (2 * _STEP)
        lengths = shift.norm(dim=-1) if target is None else (shift @ target).abs()
        return lengths.mean(dim=1)


def _greedy(sensitivity: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """The value at which each token is taken, falling in the order of taking, (T,)."""
    import torch

    low, high = sensitivity.min(), sensitivity.max()
    scaled = (sensitivity - low) / (high - low).clamp(min=1e-12)
    nearest = torch.zeros_like(scaled)
    left = torch.ones_like(scaled, dtype=torch.bool)
    values = torch.zeros_like(scaled)
    for _ in range(len(scaled)):
        worth = (scaled * (1 - nearest)).masked_fill(~left, float("-inf"))
        taken = int(worth.argmax())
        values[taken] = worth[taken]
        left[taken] = False
        nearest = torch.maximum(nearest, (outputs @ outputs[taken]).clamp(min=0))
    return values
