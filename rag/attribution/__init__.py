"""Attribution: how much each token of a text contributes to what an encoder makes of it.

Symbols in this package: B texts of T positions, padded; hidden size d in H heads of e; x the input
of a layer, A its attention, sd1 and sd2 the deviations of its two LayerNorms, theta = f / z the
slope of its activation. All of those are taken from one ordinary forward pass, and then frozen:
what remains of the network is linear in its inputs.
"""

from rag.attribution.base import Attributor, TokenScores
from rag.attribution.registry import METHODS, encoder_of, load_attributor

__all__ = ["METHODS", "Attributor", "TokenScores", "encoder_of", "load_attributor"]
