"""The scorer: from a sentence's features to the share of it that is evidence, as a probability.

Two regressions, fitted on tuning questions (`pipelines/train/scorer.py`) and kept as one small JSON
file, so that what they do can be read. The first ranks the sentences of a question against each
other, the second makes a probability of what came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rag.errors import ConfigError

__all__ = ["BUNDLED_SCORER", "BUNDLED_SCORER_READ", "Scorer"]

_MODELS = Path(__file__).parent / "models"
BUNDLED_SCORER = _MODELS / "scorer.json"
BUNDLED_SCORER_READ = _MODELS / "scorer_with_reader.json"


class Scorer(BaseModel):
    """p = 1 / (1 + exp(-(bias + own * s + among * log(exp(s) / sum of exp(s of all sentences))))).

    s = sum of weight * (feature - mean) / scale. What a sentence scores says little by itself in
    another corpus; what it scores among all that were found for the question says more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    own: float = 1.0
    among: float = 0.0
    about: dict[str, Any] = {}
    """What it was trained on."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Scorer:
        counts = {len(each) for each in (self.features, self.means, self.scales, self.weights)}
        if len(counts) != 1 or 0 in self.scales:
            raise ValueError("a mean, a scale other than 0 and a weight for each feature")
        return self

    @classmethod
    def read(cls, path: Path, features: Sequence[str]) -> Scorer:
        """A scorer of exactly these features.

        Raises:
            ConfigError: the file is not there, or is no scorer of these features.
        """
        try:
            found = cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise ConfigError(
                f"cannot read the scorer {path}: {type(error).__name__}",
                hint="leave selection.scorer empty for the bundled one",
            ) from error
        if found.features != tuple(features):
            raise ConfigError(
                f"{path} scores other features than this version has",
                hint="leave selection.scorer empty for the bundled one, or train it again",
            )
        return found

    def probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Of all the sentences of one question, shape (sentences, features) -> (sentences,)."""
        scaled = (matrix.astype(np.float64) - np.array(self.means)) / np.array(self.scales)
        scores = scaled @ np.array(self.weights)
        standing = scores - np.logaddexp.reduce(scores)
        logits = self.bias + self.own * scores + self.among * standing
        return np.asarray(1 / (1 + np.exp(-logits)))
