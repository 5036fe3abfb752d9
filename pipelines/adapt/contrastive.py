"""The contrastive loss: a query's own passage against those of all others, and hard negatives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["ContrastiveLoss"]


class ContrastiveLoss(nn.Module):
    """InfoNCE with in-batch and hard negatives; focal weights and mixed negatives as options.

    Of query i, with s the cosine, T the temperature, and C every passage of the batch, its own p_i
    among them:

        L_i = -w_i log(exp(s(q_i, p_i)/T) / Z_i),   Z_i = sum over C of exp(s(q_i, c)/T)

    Multiple-negatives ranking is w_i = 1. *Focal*: w_i = (1 - P_i)^focal, P_i the share of the own
    passage, without a gradient of its own: what is easy already counts less. *Mixing*: for each
    query its two hardest negatives a, b in the batch make a harder one, m a + (1 - m) b, scaled
    to length 1, m ~ Beta(mixing, mixing), whose term joins Z_i. Passages that are some query's own
    are never mixed. Source: KaLM-Embedding-V2 (arXiv 2506.20923), whose exact equations could not
    be verified: the forms here are inferred from its description.

    Args:
        model: being trained.
        temperature: T.
        focal: the exponent; 0 weighs all alike.
        mixing: alpha of the Beta distribution; 0 mixes none.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        temperature: float = 0.05,
        focal: float = 0.0,
        mixing: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.focal = focal
        self.mixing = mixing

    def forward(self, features: Iterable[dict[str, Any]], labels: Any = None) -> torch.Tensor:
        """The mean loss of a batch.

        Args:
            features: tokens of the queries, of their passages, and of each column of negatives.
            labels: not used; the trainer hands them over.
        """
        del labels
        queries, *columns = (
            functional.normalize(self.model(each)["sentence_embedding"].float(), dim=-1)
            for each in features
        )
        with torch.autocast(queries.device.type, enabled=False):  # bfloat16 has 3 digits
            logits = queries @ torch.cat(columns).T / self.temperature
            if self.mixing and len(columns) > 1:
                mixed = self._mixed(queries.detach(), torch.cat(columns[1:]))
                own = (queries * mixed).sum(dim=-1, keepdim=True) / self.temperature
                logits = torch.cat([logits, own], dim=1)
        right = torch.arange(len(queries), device=logits.device)
        losses = functional.cross_entropy(logits, right, reduction="none")
        if self.focal:
            losses = losses * (1 - torch.exp(-losses.detach())) ** self.focal
        return losses.mean()

    def _mixed(self, queries: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
        """A mixed negative for each query, shape (queries, d)."""
        hardest = (queries @ negatives.detach().T).topk(2, dim=1).indices
        drawn = torch.distributions.Beta(self.mixing, self.mixing).sample((len(queries), 1))
        share = drawn.to(negatives.device)
        mixed = share * negatives[hardest[:, 0]] + (1 - share) * negatives[hardest[:, 1]]
        return functional.normalize(mixed, dim=-1)
