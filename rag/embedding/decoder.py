"""A decoder language model as an embedder: documented, measured, used only where it is asked for.

Four ways, each saved as an ordinary sentence-transformers folder that `embedding.model` may name:

- `causal`: the last hidden state at an end-of-text token that is put behind every text.
- `bidirectional`: every token sees every other, and the mean is taken, as KaLM-Embedding-V2 does
  (arXiv 2506.20923). The model was not made for it: train it.
- `causal2vec`: a small encoder reads the text first, and its vector stands before it as one token
  more (Causal2Vec, arXiv 2507.23386). The projection is new: train it.
- `gem`: see `rag.embedding.gem`. Its special tokens are new: train it.

This file imports torch, which takes seconds: import it inside functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import PreTrainedTokenizerFast

from rag.embedding.gem import TASK, BottleneckDecoder
from rag.embedding.modules import load_model
from rag.errors import ModelError, UsageError, first_line

__all__ = ["ContextualDecoder", "Variant", "decoder_embedder"]

Variant = Literal["causal", "bidirectional", "causal2vec", "gem"]


class ContextualDecoder(InputModule):
    """A decoder that reads one contextual token before a text: what a small encoder makes of it.

    The embedding is the last hidden state at the contextual token and at the last one, side by
    side, (B, 2 d). What lies beyond the encoder's window reaches only the second half.

    Args:
        decoder: reads the texts, each with an end-of-text token.
        encoder: its vector of a text is projected to the decoder's dimension.
    """

    def __init__(self, decoder: Transformer, encoder: SentenceTransformer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.decoder = decoder
        self.encoder = encoder
        size = decoder.get_embedding_dimension()
        self.project = nn.Sequential(
            nn.Linear(encoder.get_embedding_dimension() or 0, size),
            nn.GELU(),
            nn.Linear(size, size),
        )
        self.ends = Pooling(size, ("cls", "lasttoken"))

    @property
    def tokenizer(self) -> Any:  # type: ignore[override]
        """The decoder's."""
        return self.decoder.tokenizer

    @property
    def max_seq_length(self) -> int | None:
        """What the decoder reads of a text, at most."""
        return self.decoder.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, length: int | None) -> None:
        self.decoder.max_seq_length = length

    def get_embedding_dimension(self) -> int:
        """The length of a text's vector, 2 d."""
        return int(self.ends.get_embedding_dimension())

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The texts as tokens of both models, (B, T) and (B, S)."""
        features = self.decoder.preprocess(inputs, prompt, **kwargs)
        read = self.encoder.preprocess(inputs, prompt, **kwargs)
        # Not `..._input_ids`: sentence-transformers' trainer takes that for another text.
        return {
            **features,
            "context_ids": read["input_ids"],
            "context_mask": read["attention_mask"],
        }

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """Add `sentence_embedding`, (B, 2 d)."""
        read = {"input_ids": features["context_ids"], "attention_mask": features["context_mask"]}
        context = self.project(self.encoder(read)["sentence_embedding"])[:, None]
        model: Any = self.decoder.model
        words = model.get_input_embeddings()(features["input_ids"])
        mask = features["attention_mask"]
        whole = {
            "inputs_embeds": torch.cat([context, words], dim=1),
            "attention_mask": torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1),
        }
        hidden = model(**whole).last_hidden_state
        pooled = self.ends({"token_embeddings": hidden, "attention_mask": whole["attention_mask"]})
        features["sentence_embedding"] = pooled["sentence_embedding"]
        return features

    def save(
        self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any
    ) -> None:
        """Write the decoder into a folder, the encoder below it, and the projection beside it."""
        self.decoder.save(output_path, safe_serialization=safe_serialization)
        self.encoder.save_pretrained(str(Path(output_path, "encoder")), create_model_card=False)
        save_file(self.project.state_dict(), Path(output_path, "projection.safetensors"))

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", *args: Any, **kwargs: Any) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError, OSError, ValueError, RuntimeError: the files are not what they should be.
        """
        decoder: Any = Transformer.load(model_name_or_path, subfolder, *args, **kwargs)
        folder = Path(model_name_or_path, subfolder)
        dtype = decoder.model.dtype
        read = cls(decoder, load_model(folder / "encoder", device="cpu", dtype=dtype))
        read.project.load_state_dict(load_file(folder / "projection.safetensors"))
        read.project.to(dtype)
        return read


def decoder_embedder(
    folder: Path,
    variant: Variant = "causal",
    *,
    encoder: SentenceTransformer | None = None,
    tokens: int = 4,
    max_tokens: int = 512,
    device: str = "cpu",
) -> SentenceTransformer:
    """An embedder of unit vectors made of a causal language model; `save_pretrained` keeps it.

    New weights come from torch's generator: seed it for the same again.

    Args:
        folder: of a Hugging Face causal model, with a fast tokenizer.
        variant: how it embeds, see above.
        encoder: of causal2vec; it becomes part of the model.
        tokens: how many special tokens gem appends.
        max_tokens: how much of a text is read.
        device: a torch device.

    Raises:
        UsageError: there is no such variant, or causal2vec was given no encoder.
        ModelError: the model cannot be loaded, is no decoder, or cannot do what the variant asks.
    """
    if variant not in get_args(Variant):
        raise UsageError(f"no variant {variant}", hint=f"one of {', '.join(get_args(Variant))}")
    if variant == "causal2vec" and encoder is None:
        raise UsageError("causal2vec reads a text with an encoder first", hint="give one")
    try:
        decoder = _read(folder, variant)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"cannot load the decoder in {folder}: {first_line(error)}",
            hint="give the folder of a Hugging Face causal model",
        ) from error
    _own_tokenizer(decoder, folder)
    decoder.max_seq_length = max_tokens
    size = decoder.get_embedding_dimension()
    modules: list[Any]
    if isinstance(decoder, BottleneckDecoder):
        _append(decoder.tokenizer, decoder.add_tokens(tokens))
        modules = [decoder, Pooling(size, "mean")]
    elif variant == "bidirectional":
        _look_both_ways(decoder.model, folder)
        modules = [decoder, Pooling(size, "mean")]
    else:
        _append(decoder.tokenizer, [str(decoder.tokenizer.eos_token)])
        modules = [decoder, Pooling(size, "lasttoken")]
        if encoder is not None and variant == "causal2vec":
            modules = [ContextualDecoder(decoder, encoder)]
    return SentenceTransformer(
        modules=[*modules, Normalize()], device=device, local_files_only=True
    )


def _read(folder: Path, variant: Variant) -> Any:
    """The model, with its head where the variant trains it."""
    kwargs = {"local_files_only": True}
    options: dict[str, Any] = {
        "model_kwargs": {**kwargs, "dtype": torch.float32},
        "processor_kwargs": dict(kwargs),
        "config_kwargs": dict(kwargs),
    }
    if variant == "gem":
        return BottleneckDecoder(str(folder), **options, **TASK)
    return Transformer(str(folder), **options)


def _own_tokenizer(decoder: Any, folder: Path) -> None:
    """Make the tokenizer a plain one, which is saved and read as it stands.

    A model's own tokenizer class may build its post-processor anew when it is read, without what is
    appended here.

    Raises:
        ModelError: it is not a fast one, or knows no end of a text.
    """
    old: Any = decoder.tokenizer
    backend = getattr(old, "backend_tokenizer", None)
    if backend is None or old.eos_token is None:
        raise ModelError(
            f"the tokenizer in {folder} is no fast one, or has no end-of-text token",
            hint="choose a model that ships a tokenizer.json with an eos_token",
        )
    make: Any = PreTrainedTokenizerFast  # untyped
    tokenizer: Any = make(
        tokenizer_object=backend,
        **old.special_tokens_map,
        model_max_length=old.model_max_length,
        padding_side=old.padding_side,
        chat_template=old.chat_template,
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    decoder.processor = tokenizer


def _append(tokenizer: Any, tokens: Sequence[str]) -> None:
    """Have the tokenizer end every text with these tokens; they count in its window.

    What it puts around a text already stays. It has to become part of one template: of two behind
    each other, the `tokenizers` library applies only the first.
    """
    backend = tokenizer.backend_tokenizer
    probe = backend.encode("a")
    marked = list(zip(probe.tokens, probe.special_tokens_mask, strict=True))
    first = probe.special_tokens_mask.index(0)
    before = [token for token, _ in marked[:first]]
    after = [token for token, special in marked[first:] if special]
    after += [token for token in tokens if token not in after]
    named = list(dict.fromkeys([*before, *after]))
    backend.post_processor = TemplateProcessing(
        single=[*before, "$A", *after],
        special_tokens=list(zip(named, tokenizer.convert_tokens_to_ids(named), strict=True)),
    )


def _look_both_ways(model: Any, folder: Path) -> None:
    """Take the causal mask off, in place; the configuration keeps that.

    Raises:
        ModelError: the model's code does not know how, and would go on as before.
    """
    model.config.is_causal = False
    ids = torch.arange(2)[:, None] + torch.zeros(2, 2, dtype=torch.long)
    ids[:, 0] = 0  # two texts that differ behind their first token
    with torch.inference_mode():
        first, second = model(input_ids=ids.to(model.device)).last_hidden_state[:, 0]
    if torch.equal(first, second):
        raise ModelError(
            f"the model in {folder} cannot look both ways", hint="choose another variant"
        )
