"""Training: the stages of a recipe, one after the other, by sentence-transformers' trainer."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.adapt.passages import Passage
from pipelines.adapt.recipe import Recipe
from pipelines.adapt.rows import Translation, rows, texts
from pipelines.ingest import Progress
from rag.embedding.base import Embedder
from rag.embedding.dense import has_bfloat16
from rag.errors import ConfigError, ExtraMissing, ModelError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

__all__ = ["fitted", "require_extra", "train"]

_LEXICAL_SHARE = 0.4
"""Of a joint vector's cosine, what words decide. More finds more by itself, and adds less to a
ranking by words that is fused with it."""


@dataclass(frozen=True)
class _Stage:
    """One run of the trainer: columns of texts, the loss they go to, and how many steps."""

    columns: dict[str, list[str]]
    loss: torch.nn.Module
    steps: int
    batch: int


def train(
    model: SentenceTransformer,
    base: Embedder,
    passages: Sequence[Passage],
    recipe: Recipe,
    *,
    translations: Sequence[Translation] = (),
    progress: Progress | None = None,
) -> SentenceTransformer:
    """Train a model in place, and hand back what it became.

    On a CPU dropout is left out: drawing its masks takes as long as a third of the pass. At the end
    the weights go back a part of the way they came (`Recipe.interpolation`).

    Args:
        model: a copy of the base in float32, on the device to train on.
        base: the embedder it was made from: hard negatives are mined with it.
        passages: to learn from.
        recipe: how.
        translations: pairs of texts that say the same, where there are any.
        progress: hears of every step.

    Returns:
        The model, with the pooling and lexical part that the recipe asks for.

    Raises:
        ConfigError: the recipe is none for this model.
        ModelError: training went out of bounds: a weight is no number.
    """
    import torch

    from rag.embedding.pooling import with_pooling

    torch.manual_seed(recipe.seed)  # of what a pooling starts with
    recipe = fitted(model, recipe).for_corpus(len(passages))
    if progress:
        progress.start(recipe.all_steps)
    if recipe.pooling != "keep":
        model = with_pooling(model, recipe.pooling)
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    longest, dropouts = model.max_seq_length, _without_dropout(model)
    model.max_seq_length = min(longest or recipe.passage_tokens, recipe.passage_tokens)
    for stage in _stages(model, base, passages, recipe, translations):
        _run(model, stage, recipe, progress)
    model.max_seq_length = longest
    for dropout, rate in dropouts:
        dropout.p = rate
    model.eval()
    if not all(torch.isfinite(weight).all() for weight in model.parameters()):
        raise ModelError("training went out of bounds", hint="use a lower --rate")
    _interpolate(model, start, recipe.interpolation)
    return model


def _interpolate(model: SentenceTransformer, start: Mapping[str, Any], share: float) -> None:
    """Go only a share of the way from where each weight started; what was added since stays."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in start:
                weight.copy_(torch.lerp(start[name], weight, share))


def require_extra() -> None:
    """Refuse where what training needs is not installed.

    Raises:
        ExtraMissing: `datasets` or `accelerate` is not.
    """
    for module in ("datasets", "accelerate"):
        try:
            __import__(module)
        except ImportError:
            raise ExtraMissing(module, "train") from None


def fitted(model: SentenceTransformer, recipe: Recipe) -> Recipe:
    """The recipe, with what it leaves to the model decided.

    Raises:
        ConfigError: it hides words, and the tokenizer has no mask; it predicts tokens from vectors,
            and they are not as long as the word embeddings; the model has a lexical part, or cuts
            vectors short.
    """
    from rag.embedding.joint import LexicalPart

    lexical = any(isinstance(module, LexicalPart) for module in model)
    recipe = recipe.for_model(takes_words=not lexical and model.truncate_dim is None)
    if recipe.lexical_dims and model.truncate_dim is not None:
        raise ConfigError(
            f"the embedder cuts its vectors to {model.truncate_dim} numbers, and words with them",
            hint="leave --lexical-dims out",
        )
    whole = recipe.method in ("dupmae", "text2token") or recipe.dims or recipe.lexical_dims
    if lexical and whole:
        raise ConfigError(
            "the embedder has a lexical part already",
            hint="adapt its base, or use triplets or lem without --dims and --lexical-dims",
        )
    if recipe.method in ("dupmae", "lem") and model.tokenizer.mask_token_id is None:
        raise ConfigError(
            f"--method {recipe.method} hides words, and the embedder's tokenizer has no mask",
            hint="use --method triplets or text2token",
        )
    transformer: Any = model[0]
    embedded = transformer.model.get_input_embeddings().weight.shape[1]
    lengths = {embedded, transformer.get_embedding_dimension(), model.get_embedding_dimension()}
    needed = {"lem": {embedded, transformer.get_embedding_dimension()}, "triplets": {embedded}}
    if len(needed.get(recipe.method, lengths)) > 1:
        raise ConfigError(
            f"--method {recipe.method} needs vectors as long as the embedder's word embeddings",
            hint="use --method triplets",
        )
    return recipe


def _prompts(model: SentenceTransformer) -> tuple[str, str]:
    """What goes before a query and before a passage, as the embedder has it."""
    known = model.prompts or {}
    return known.get("query") or "", known.get("document") or known.get("passage") or ""


def _without_dropout(model: SentenceTransformer) -> list[tuple[Any, float]]:
    """Set every dropout to 0 on a CPU; they, and what they were."""
    import torch

    if model.device.type != "cpu":
        return []
    found = [
        (module, module.p) for module in model.modules() if isinstance(module, torch.nn.Dropout)
    ]
    for dropout, _ in found:
        dropout.p = 0.0
    return found


def _add_lexical_part(model: SentenceTransformer, passages: Sequence[Passage], dims: int) -> None:
    from pipelines.adapt.text2token import token_rarity
    from rag.embedding.joint import LexicalPart

    rarity = token_rarity(model.tokenizer, [each.whole for each in passages])
    rarity[model.tokenizer.all_special_ids] = 0
    rarity[_without_letters(model.tokenizer)] = 0
    for prompt in _prompts(model):  # every text has it: it tells none apart
        rarity[model.tokenizer(prompt, add_special_tokens=False)["input_ids"]] = 0
    size = int(model.get_embedding_dimension() or 0)
    token_size = int(model[0].get_embedding_dimension())  # type: ignore[operator]
    part = LexicalPart(size, token_size, dims, _LEXICAL_SHARE, len(rarity), rarity)
    model.append(part.to(model.device))


def _without_letters(tokenizer: Any) -> list[int]:
    """Tokens that hold no letter.

    Figures come in pieces, and a table in hundreds of them, each rare: they would be most of its
    length, and nothing else in it would be found.
    """
    vocabulary = tokenizer.get_vocab()
    written = tokenizer.batch_decode([[at] for at in vocabulary.values()])
    return [
        at
        for at, text in zip(vocabulary.values(), written, strict=True)
        if not any(letter.isalpha() for letter in text)
    ]


def _stages(
    model: SentenceTransformer,
    base: Embedder,
    passages: Sequence[Passage],
    recipe: Recipe,
    translations: Sequence[Translation],
) -> Iterator[_Stage]:
    if recipe.method != "triplets":
        column = {"text": texts(passages, recipe)}
        loss = _first_loss(model, passages, recipe)
        yield _Stage(column, loss, recipe.first_steps, recipe.first_batch)
    if recipe.lexical_dims:  # the stage before writes texts again from the pooled vector alone
        _add_lexical_part(model, passages, recipe.lexical_dims)
    learned = rows(passages, base, recipe, translations)
    columns = {
        "anchor": [_cut(model, row.anchor, recipe.query_tokens) for row in learned],
        "positive": [row.positive for row in learned],
        **{
            f"negative_{at}": [row.negatives[at] for row in learned]
            for at in range(recipe.negatives)
        },
    }
    yield _Stage(columns, _contrastive(model, recipe), recipe.steps, recipe.batch)


def _first_loss(
    model: SentenceTransformer, passages: Sequence[Passage], recipe: Recipe
) -> torch.nn.Module:
    if recipe.method == "lem":
        from pipelines.adapt.lem import EntityMaskingLoss, linguistic_entities

        entities = linguistic_entities(passages)
        return EntityMaskingLoss(model, entities, emo=recipe.emo, seed=recipe.seed)
    if recipe.method == "dupmae":
        from pipelines.adapt.dupmae import DuplexLoss

        return DuplexLoss(model, seed=recipe.seed)
    from pipelines.adapt.text2token import TokenTargetLoss, token_rarity

    rarity = token_rarity(model.tokenizer, [each.whole for each in passages])
    return TokenTargetLoss(model, rarity)


def _contrastive(model: SentenceTransformer, recipe: Recipe) -> torch.nn.Module:
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    from pipelines.adapt.contrastive import ContrastiveLoss

    loss = ContrastiveLoss(model, recipe.temperature, recipe.focal, recipe.mixing)
    if not recipe.dims:
        return loss
    full = int(model.get_embedding_dimension() or 0)
    dims = [full, *(each for each in recipe.dims if each < full)]
    return MatryoshkaLoss(model, loss, dims)


def _cut(model: SentenceTransformer, text: str, tokens: int) -> str:
    """The first tokens of a text, so that one long query does not widen a whole batch."""
    encoded = model.tokenizer(
        text, add_special_tokens=False, truncation=True, max_length=tokens,
        return_offsets_mapping=True, verbose=False,
    )  # fmt: skip
    offsets = encoded["offset_mapping"]
    return text[: offsets[-1][1]] if offsets else text


def _run(
    model: SentenceTransformer, stage: _Stage, recipe: Recipe, progress: Progress | None
) -> None:
    """One stage by the trainer, which writes nothing but into a folder that goes away."""
    import torch
    from datasets import Dataset, disable_progress_bars
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from transformers import PrinterCallback, TrainerCallback

    class Watch(TrainerCallback):
        """Tells of each step."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if progress:
                progress.advance(1)

    disable_progress_bars()
    model.model_card_data.widget = [{"text": ""}]  # or examples are made, with a bar of their own
    random.seed(recipe.seed)
    torch.manual_seed(recipe.seed)
    stage.loss.to(model.device)
    on_cpu = model.device.type == "cpu"
    query, document = _prompts(model)
    prompts = {name: query if name == "anchor" else document for name in stage.columns}
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=str(Path(scratch, "trainer")),
            max_steps=stage.steps,
            per_device_train_batch_size=stage.batch,
            learning_rate=recipe.rate,
            warmup_steps=max(1, stage.steps // 10),
            weight_decay=0.01,
            bf16=has_bfloat16(model.device.type),
            use_cpu=on_cpu,
            dataloader_drop_last=True,
            dataloader_pin_memory=not on_cpu,
            batch_sampler=_in_order,
            seed=recipe.seed,
            prompts=prompts if query or document else None,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(stage.columns),
            loss=stage.loss,
            callbacks=[Watch()],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def _in_order(dataset: Any, batch_size: int, drop_last: bool, **_: Any) -> Any:
    """Batches as the rows come: they were put together with a mind to each other."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(
        SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last
    )
