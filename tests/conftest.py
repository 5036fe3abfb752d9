"""What every test may rely on: no hub, no stray settings, and the data where there is any."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from rag.embedding.registry import bundled_tokenizer
from rag.generation.prompt import INSTRUCTIONS
from rag.tokens import TokenCounter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

os.environ["HF_HUB_OFFLINE"] = "1"  # before any test imports what reads it
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared"

# Derandomised: a failure on one machine is a failure on all of them.
settings.register_profile("spanrag", derandomize=True, deadline=None)
settings.load_profile("spanrag")


@pytest.fixture(scope="session")
def counter() -> TokenCounter:
    return TokenCounter.from_file(bundled_tokenizer(), "all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two thin layers with random weights, and a tokenizer that chats."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-llama")
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(
        [INSTRUCTIONS],
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<unk>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
    )
    tokenizer.chat_template = (
        "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<s>assistant: {% endif %}"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes an embedder: a BERT of two thin layers with random weights, and a mean over its tokens.

    Its tokens are letters, figures, and the words it is told, whole or as the rest of a word.
    """

    def make(words: str) -> Path:
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
        from transformers import BertConfig, BertModel, BertTokenizerFast

        bare = tmp_path_factory.mktemp("bare")
        tokens = [*string.ascii_lowercase, *string.digits, *".():,?-", *words.split()]
        tokens = [
            "[PAD]",
            "[UNK]",
            "[CLS]",
            "[SEP]",
            "[MASK]",
            *tokens,
            *(f"##{t}" for t in tokens),
        ]
        (bare / "vocab.txt").write_text("\n".join(dict.fromkeys(tokens)))
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(set(tokens)), hidden_size=32, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=64, max_position_embeddings=128,
        )  # fmt: skip
        BertModel(config).save_pretrained(bare)
        BertTokenizerFast(str(bare / "vocab.txt"), model_max_length=128).save_pretrained(bare)
        folder = tmp_path_factory.mktemp("tiny-bert")
        model = SentenceTransformer(modules=[Transformer(str(bare)), Pooling(32)], device="cpu")
        model.save_pretrained(str(folder), create_model_card=False)
        return folder

    return make


@pytest.fixture(autouse=True)
def _no_stray_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = ("QDRANT_URL", "QDRANT_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")
    for variable in list(os.environ):
        if variable.startswith("RAG_") or variable in foreign:
            monkeypatch.delenv(variable)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The evaluation data beside the repository; absent in a user's clone."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside this clone: its corpora are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def _every_span() -> InMemorySpanExporter:
    """OpenTelemetry's SDK, set up for the process: that can be done once and not undone."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(_every_span: InMemorySpanExporter) -> Iterator[InMemorySpanExporter]:
    """The spans of a test."""
    _every_span.clear()
    yield _every_span
    _every_span.clear()
