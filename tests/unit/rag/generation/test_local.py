"""A local model: whatever it read before and however prompts are batched, answers are the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

from rag.errors import ModelError
from rag.generation.local import LocalLlm, load_local
from rag.generation.prefix import PrefixCache
from rag.settings import GenerationSettings

PIECES = ("The harbour office", " recorded 412", " arrivals in May.", " What then?", "Oak")
PROMPTS = [
    "The harbour office recorded 412 arrivals in May.",
    "The harbour office recorded 412 arrivals in June, and many more of them. What then?",
    "Something else altogether",
    "The harbour office",
]

prompts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join)


def load(folder: Path, **chosen: object) -> LocalLlm:
    fields = {"kind": "local", "model": str(folder), "device": "cpu", "max_tokens": 6}
    return load_local(GenerationSettings(**{**fields, **chosen}))


@pytest.fixture(scope="module")
def llm(tiny_llama: Path) -> LocalLlm:
    return load(tiny_llama)


def alone(llm: LocalLlm, prompt: str) -> str:
    """The answer of a model that has read nothing else."""
    remembered, llm._read = llm._read, PrefixCache()
    try:
        return llm.complete(prompt).text
    finally:
        llm._read = remembered


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(prompts, min_size=1, max_size=4), min_size=1, max_size=4))
def test_an_answer_does_not_depend_on_what_was_read_before(
    llm: LocalLlm, batches: list[list[str]]
) -> None:
    for batch in batches:
        wanted = [alone(llm, prompt) for prompt in batch]
        assert [each.text for each in llm.complete_all(batch)] == wanted


def test_threads_that_ask_at_once_take_turns_and_get_what_each_gets_alone(
    llm: LocalLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read is one memory: two that use it at once would read each other's."""
    asked = [PROMPTS[n % len(PROMPTS)] for n in range(12)]
    wanted = [alone(llm, prompt) for prompt in asked]
    generate, inside, most = llm._model.generate, [], []

    def watched(**inputs: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        sleep(0.01)
        try:
            return generate(**inputs)
        finally:
            inside.pop()

    monkeypatch.setattr(llm._model, "generate", watched)
    with ThreadPoolExecutor(4) as several:
        assert [each.text for each in several.map(llm.complete, asked)] == wanted
    assert max(most) == 1


@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=4),
    known=st.lists(st.integers(0, 3), max_size=6),
)
def test_what_is_reused_is_shared_and_never_the_whole(
    rows: list[list[int]], known: list[int]
) -> None:
    cache = PrefixCache()
    keys = torch.arange(len(known), dtype=torch.float32).reshape(1, 1, -1, 1)
    cache._ids, cache._layers = known, [(keys, keys)] if known else []
    batch = cache.batch(rows, torch.device("cpu"))
    mask, tokens = batch.inputs["attention_mask"], batch.inputs["input_ids"]
    for at, (row, reused) in enumerate(zip(rows, batch.reused, strict=True)):
        assert row[:reused] == known[:reused]
        assert reused == len(row) - 1 or row[: reused + 1] != known[: reused + 1]
        assert tokens[at][mask[at].bool()].tolist() == row
    if any(batch.reused):
        (layer,) = batch.inputs["past_key_values"].layers
        width = max(batch.reused)
        for at, reused in enumerate(batch.reused):
            assert layer.keys[at, 0, width - reused :, 0].tolist() == list(range(reused))


def test_it_tells_what_it_remembered(tiny_llama: Path) -> None:
    llm = load(tiny_llama)
    first, again = (llm.complete(PROMPTS[1]).raw["usage"] for _ in range(2))
    tokens = len(AutoTokenizer.from_pretrained(tiny_llama)(PROMPTS[1])["input_ids"])
    assert first["prompt_tokens_details"]["cached_tokens"] == 0
    assert again["prompt_tokens_details"]["cached_tokens"] == tokens - 1
    assert first["total_tokens"] == again["total_tokens"]
    assert tokens < first["total_tokens"] <= tokens + 6


def test_a_streamed_answer_is_the_whole_one_with_the_same_counts(llm: LocalLlm) -> None:
    whole = llm.complete(PROMPTS[0])
    *parts, last = llm.stream_complete(PROMPTS[0])
    assert "".join(part.delta or "" for part in parts) == whole.text == last.text
    assert last.raw["usage"]["total_tokens"] == whole.raw["usage"]["total_tokens"]


def test_an_answer_that_is_left_early_stops_the_model(
    llm: LocalLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llm, "max_tokens", 400)
    steps: list[int] = []
    hook = llm._model.register_forward_hook(lambda *_: steps.append(1))
    stream = llm.stream_complete(PROMPTS[0])
    next(stream)
    stream.close()  # waits until the model has stopped
    hook.remove()
    assert 0 < len(steps) < 400


def test_a_batch_without_room_is_halved_until_it_fits(
    llm: LocalLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [alone(llm, prompt) for prompt in PROMPTS]
    generate = llm._model.generate
    tried: list[int] = []

    def cramped(**inputs: Any) -> Any:
        tried.append(len(inputs["input_ids"]))
        if tried[-1] > 1:
            raise torch.OutOfMemoryError
        return generate(**inputs)

    monkeypatch.setattr(llm._model, "generate", cramped)
    assert [each.text for each in llm.complete_all(PROMPTS)] == wanted
    assert tried == [4, 2, 1, 1, 2, 1, 1]


def test_one_prompt_without_room_is_a_model_error(
    llm: LocalLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(llm._model, "generate", full)
    with pytest.raises(ModelError, match="has no room on cpu") as caught:
        llm.complete(PROMPTS[0])
    assert "smaller model" in caught.value.hint


def test_a_seed_draws_the_same_again_and_differently_in_each_row(llm: LocalLlm) -> None:
    def drawn(seed: int) -> list[str]:
        found = llm.complete_all([PROMPTS[0]] * 4, temperature=1.5, seed=seed)
        return [each.text for each in found]

    first = drawn(3)
    assert drawn(3) == first
    assert drawn(4) != first
    assert len(set(first)) > 1


def test_a_row_that_ends_early_is_cut_at_its_end(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = load(tiny_llama)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    ids = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS[:2]]
    free = [llm.complete(prompt).raw["usage"]["total_tokens"] for prompt in PROMPTS[:2]]
    assert free == [len(each) + 6 for each in ids]
    inputs = torch.tensor([ids[0]])
    written = llm._model.generate(inputs, max_new_tokens=6, do_sample=False, pad_token_id=0)
    third = int(written[0, len(ids[0]) + 2])
    monkeypatch.setattr(llm._model.generation_config, "eos_token_id", third)
    ended, other = llm.complete_all(PROMPTS[:2])
    assert ended.raw["usage"]["total_tokens"] <= len(ids[0]) + 3
    assert other.text == alone(llm, PROMPTS[1])


def test_a_model_that_forgets_by_a_window_is_read_to_anew(tiny_llama: Path, tmp_path: Path) -> None:
    torch.manual_seed(11)
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    tokenizer.save_pretrained(tmp_path)
    MistralForCausalLM(
        MistralConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            sliding_window=8,
            max_position_embeddings=512,
        )
    ).save_pretrained(tmp_path)
    llm = load(tmp_path)
    wanted = [load(tmp_path).complete(prompt).text for prompt in PROMPTS]
    for _ in range(2):
        assert [llm.complete(prompt).text for prompt in PROMPTS] == wanted
    assert llm.complete(PROMPTS[0]).raw["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
