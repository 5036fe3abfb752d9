"""How an embedder is trained: every figure of it, and what there is to choose from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from rag.errors import UsageError

__all__ = ["METHODS", "POOLINGS", "Method", "Pooling", "Recipe"]

Method = Literal["triplets", "dupmae", "lem", "text2token"]
METHODS: tuple[Method, ...] = get_args(Method)
"""All end in the contrastive stage of `triplets`; the others go through a stage of their own first,
without which their objective would undo the geometry that cosines live on."""

Pooling = Literal["keep", "mean", "cls", "last", "latent", "layers"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

_LEXICAL_DIMS = 768


@dataclass(frozen=True, slots=True)
class Recipe:
    """What `pipelines.adapt.train.train` is told.

    Args:
        method: see `METHODS`.
        steps: of the contrastive stage.
        first_steps: of the stage before it, where the method has one.
        batch: queries in a step; each also meets the passages of all others.
        first_batch: texts in a step of the stage before.
        rate: the highest learning rate, reached after a tenth of the steps, then falling to 0.
        temperature: what cosines are divided by.
        query_tokens: what is read of a query.
        passage_tokens: what is read of a passage while training.
        negatives: mined hard negatives of a query.
        margin: how much less alike than its own passage a mined one must be, as a share.
        shifted: share of rows that are minimal pairs (a sentence, a paraphrase, a sentence of
            shifted meaning) and not queries with passages.
        focal: exponent of the weight (1 - p)^focal of a query; 0 weighs all alike (KaLM).
        mixing: alpha of Beta(alpha, alpha) by which two negatives are mixed; 0: none (KaLM).
        dims: Matryoshka dimensions, the full one apart; none trains the full one alone.
        lexical_dims: numbers added to the vector, which hold its words; 0: none are added. None:
            768, unless the vector is to be cut short, or the model has such numbers already.
        pooling: how token vectors become one; "keep" leaves the base's.
        interpolation: how far to go from the base's weights to the trained ones, in a straight line
            (alpha of WiSE-FT, arXiv 2109.01903; LM-Cocktail, arXiv 2311.13534, does it to
            embedders). Between the two lie models that know the domain and forget less; 1 is the
            trained one.
        emo: have `lem` also minimise the earth mover's distance between tokens.
        seed: of everything that is drawn.
    """

    method: Method = "triplets"
    steps: int = 60
    first_steps: int = 40
    batch: int = 32
    first_batch: int = 24
    rate: float = 3e-5
    temperature: float = 0.05
    query_tokens: int = 64
    passage_tokens: int = 128
    negatives: int = 1
    margin: float = 0.05
    shifted: float = 0.1
    focal: float = 0.0
    mixing: float = 0.0
    dims: tuple[int, ...] = ()
    lexical_dims: int | None = None
    pooling: Pooling = "keep"
    interpolation: float = 0.5
    emo: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"no method {self.method}", hint=f"one of {', '.join(METHODS)}")
        if self.pooling not in POOLINGS:
            raise UsageError(f"no pooling {self.pooling}", hint=f"one of {', '.join(POOLINGS)}")
        if self.negatives < 1:
            raise UsageError("a query needs a hard negative", hint="let negatives be 1 or more")
        if not 0 <= self.interpolation <= 1:
            raise UsageError(
                f"no interpolation {self.interpolation:g}", hint="let it be from 0 to 1"
            )
        if self.lexical_dims and self.dims:
            raise UsageError(
                "a vector with a lexical part cannot be cut short", hint="leave --dims out"
            )

    def for_corpus(self, passages: int) -> Recipe:
        """With batches no larger than so many passages."""
        return replace(
            self,
            batch=min(self.batch, passages),
            first_batch=min(self.first_batch, passages),
        )

    def for_model(self, *, takes_words: bool) -> Recipe:
        """With `lexical_dims` decided, by whether a lexical part can be added to the model."""
        if self.lexical_dims is not None:
            return self
        return replace(self, lexical_dims=_LEXICAL_DIMS if takes_words and not self.dims else 0)

    @property
    def all_steps(self) -> int:
        """Of both stages."""
        return self.steps + (self.first_steps if self.method != "triplets" else 0)

    def to_payload(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "dims": [*self.dims]}
