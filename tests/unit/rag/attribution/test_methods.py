"""What the methods owe each other, on small encoders with random weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from rag.attribution import METHODS, Attributor, TokenScores, load_attributor
from rag.attribution.adjoint import shares
from rag.attribution.decompx import decompose
from rag.attribution.encoder import FrozenEncoder, LayerTrace
from rag.attribution.globenc import GlobEnc
from rag.errors import UsageError

TEXTS = ["Net revenue fell 12% to $4.2 billion.", "Not in Asia.", "It did not rise, but fell."]
QUERY = "How far did revenue fall?"


def scores(attributor: Attributor, texts: Sequence[str] = TEXTS) -> list[TokenScores]:
    return attributor.scores(texts, query=QUERY if attributor.query_aware else None)


@pytest.mark.parametrize("bias", ["absdot", "biastoken"])
def test_parts_sum_to_the_output(tiny: FrozenEncoder, bias: str) -> None:
    (encoded,) = tiny.encode(TEXTS[:1])
    parts = decompose(tiny, encoded, bias)  # type: ignore[arg-type]
    hidden = tiny.trace([encoded]).hidden[0]
    assert torch.allclose(parts.first.sum(dim=0), hidden[0], atol=1e-9)
    assert torch.allclose(parts.mean.sum(dim=0), hidden.mean(dim=0), atol=1e-9)


def test_parts_sum_to_the_output_in_float32(minilm: FrozenEncoder) -> None:
    (encoded,) = minilm.encode(TEXTS[:1])
    for bias in ("absdot", "biastoken"):
        parts = decompose(minilm, encoded, bias)  # type: ignore[arg-type]
        assert (parts.mean.sum(dim=0) - parts.pooled).abs().max() < 1e-4


def test_without_biases_the_parts_are_those_beside_the_bias_token(tiny: FrozenEncoder) -> None:
    (encoded,) = tiny.encode(TEXTS[:1])
    bare = decompose(tiny, encoded, "none")
    beside = decompose(tiny, encoded, "biastoken")
    assert torch.allclose(bare.mean, beside.mean[:-1], atol=1e-12)
    assert not torch.allclose(bare.mean.sum(dim=0), bare.pooled, atol=1e-3)


@pytest.mark.parametrize("readout", ["meanpool_dot_query", "meanpool_dot_self", "cls_dot_query"])
def test_one_backward_pass_equals_decompx(tiny: FrozenEncoder, readout: str) -> None:
    query = QUERY if readout.endswith("query") else None
    fast = load_attributor("adjoint", tiny, readout=readout).scores(TEXTS, query=query)
    slow = load_attributor("decompx", tiny, bias="biastoken", readout=readout)
    for one, other in zip(fast, slow.scores(TEXTS, query=query), strict=True):
        assert np.allclose(one.scores, other.scores, atol=1e-9 * np.abs(other.scores).max())


def test_shares_are_the_gradient_of_the_frozen_network_times_its_input(tiny: FrozenEncoder) -> None:
    """Against autograd over the same pass with everything frozen that is not linear."""
    encoded = tiny.encode(TEXTS)
    trace = tiny.trace(encoded)
    lam = torch.randn(trace.hidden.shape, dtype=torch.float64, generator=torch.manual_seed(0))
    lam = lam * trace.mask[:, :, None]
    x = trace.layers[0].x.clone().requires_grad_()
    first_bias = trace.layers[0].layer.bv.clone().requires_grad_()
    out = x
    for number, traced in enumerate(trace.layers):
        out = frozen(traced, out, first_bias if number == 0 else traced.layer.bv)
    target = (out * lam).sum()
    by_input, by_bias = torch.autograd.grad(target, (x, first_bias))
    wanted = (by_input * x).sum(dim=-1)
    found = shares(trace, lam)
    # The value bias of layer 1 belongs to the tokens; over all of them it adds up.
    total = (wanted.sum() + by_bias @ first_bias).item()
    assert found.sum().item() == pytest.approx(total, rel=1e-9)
    assert torch.all(found[~trace.mask] == 0)


def frozen(traced: LayerTrace, x: torch.Tensor, bv: torch.Tensor) -> torch.Tensor:
    """A layer with attention, deviations and slopes as they were."""
    layer = traced.layer
    batch, length, size = x.shape
    value = (x @ layer.wv.T + bv).view(batch, length, layer.heads, -1).transpose(1, 2)
    mixed = (traced.attention.clone() @ value).transpose(1, 2).reshape(batch, length, size)
    u = mixed @ layer.wo.T + layer.bo + x
    y = layer.gamma1 * (u - u.mean(-1, keepdim=True)) / traced.sd1.clone() + layer.beta1
    z = y @ layer.w1.T + layer.b1
    s = (traced.slope.clone() * z) @ layer.w2.T + layer.b2 + y
    return layer.gamma2 * (s - s.mean(-1, keepdim=True)) / traced.sd2.clone() + layer.beta2


@pytest.mark.parametrize("readout", ["cls_row", "mean_rows"])
def test_globenc_equals_its_definition(tiny: FrozenEncoder, readout: str) -> None:
    for found, text in zip(GlobEnc(tiny, readout).scores(TEXTS), TEXTS, strict=True):  # type: ignore[arg-type]
        trace = tiny.trace(tiny.encode([text]))
        rollout = torch.eye(trace.hidden.shape[1], dtype=torch.float64)
        for traced in trace.layers:
            rollout = norms(traced) @ rollout
        row = rollout[0] if readout == "cls_row" else rollout.mean(dim=0)
        assert np.allclose(found.scores, row.numpy(), rtol=1e-9)


def norms(traced: LayerTrace) -> torch.Tensor:
    """N of one text, vector by vector."""
    layer, x = traced.layer, traced.x[0]
    length, size = x.shape
    each = size // layer.heads
    value = (x @ layer.wv.T + layer.bv).view(length, layer.heads, each)
    found = torch.zeros(length, length, dtype=torch.float64)
    for i in range(length):
        for j in range(length):
            y = x[i].clone() if i == j else torch.zeros(size, dtype=torch.float64)
            for h in range(layer.heads):
                out = layer.wo[:, h * each : (h + 1) * each] @ value[j, h]
                y = y + traced.attention[0, h, i, j] * out
            y = layer.gamma1 * (y - y.mean()) / traced.sd1[0, i]
            y = layer.gamma2 * (y - y.mean()) / traced.sd2[0, i]
            found[i, j] = y.norm()
    return found


# Not of "lexical": rarity is a matter of the texts it is scored with.
@pytest.mark.parametrize("method", [each for each in METHODS if each != "lexical"])
def test_a_text_scores_the_same_alone_and_among_longer_ones(
    tiny: FrozenEncoder, method: str
) -> None:
    attributor = load_attributor(method, tiny)
    together = scores(attributor)
    for text, among in zip(TEXTS, together, strict=True):
        (alone,) = scores(attributor, [text])
        assert np.allclose(alone.scores, among.scores, rtol=1e-6, atol=1e-12)
        assert alone.tokens == among.tokens


@pytest.mark.parametrize("method", METHODS)
def test_every_position_has_a_score_and_no_text_is_no_error(
    tiny: FrozenEncoder, method: str
) -> None:
    attributor = load_attributor(method, tiny)
    for found in [*scores(attributor), *scores(attributor, [""])]:
        assert len(found.tokens) == len(found.offsets) == len(found.scores) == len(found.ranked)
        assert np.isfinite(found.scores).all()
    assert scores(attributor, []) == []


def test_a_query_decides_what_is_salient(minilm: FrozenEncoder) -> None:
    text = "The probe weighs 4.2 kg. Its battery lasts nine hours."
    for query, word in (
        ("How heavy is it?", "weighs"),
        ("How long does the battery last?", "battery"),
    ):
        (found,) = load_attributor("adjoint", minilm).scores([text], query=query)
        best = int(np.where(found.ranked, found.scores, -np.inf).argmax())
        assert found.tokens[best] == word


def test_of_two_tokens_that_say_the_same_sensitivity_takes_one_late(minilm: FrozenEncoder) -> None:
    (found,) = load_attributor("sensitivity", minilm).scores(["profit profit profit profit margin"])
    ranked = found.scores[found.ranked]
    assert ranked[-1] > np.sort(ranked[:-1])[-2]


def test_random_is_the_same_for_the_same_text(minilm: FrozenEncoder) -> None:
    one, other = (load_attributor("random", minilm).scores(TEXTS) for _ in range(2))
    assert all(np.array_equal(a.scores, b.scores) for a, b in zip(one, other, strict=True))
    assert not np.allclose(one[0].scores[:5], one[1].scores[:5])


def test_lexical_ranks_rare_tokens_first_and_the_questions_before_them(
    minilm: FrozenEncoder,
) -> None:
    texts = ["the board met", "the chair resigned", "the board voted"]
    first = load_attributor("lexical", minilm).scores(texts)[0]
    by_token = dict(zip(first.tokens, first.scores, strict=True))
    assert by_token["met"] > by_token["board"] > by_token["the"]
    asked = load_attributor("lexical", minilm).scores(texts, query="the?")[0]
    assert dict(zip(asked.tokens, asked.scores, strict=True))["the"] > by_token["met"]


@pytest.mark.parametrize(
    ("method", "options", "query", "fault"),
    [
        ("nosuch", {}, None, "no attribution method"),
        ("globenc", {"readout": "cls_norm"}, None, "knows no readout"),
        ("globenc", {"bias": "absdot"}, None, "knows no bias"),
        ("decompx", {"bias": "nosuch"}, None, "knows no bias"),
        ("globenc", {}, QUERY, "knows no query"),
        ("adjoint", {"readout": "meanpool_dot_query"}, None, "needs a query"),
        ("adjoint", {"readout": "meanpool_dot_self"}, QUERY, "knows no query"),
        ("decompx", {"readout": "cls_norm"}, QUERY, "knows no query"),
        ("decompx", {"readout": "cls_dot_query"}, None, "needs a query"),
    ],
)
def test_what_a_method_does_not_know_is_said(
    minilm: FrozenEncoder, method: str, options: dict[str, str], query: str | None, fault: str
) -> None:
    with pytest.raises(UsageError, match=fault):
        load_attributor(method, minilm, **options).scores(["text"], query=query)


def test_an_encoder_that_pools_the_first_position_is_explained_by_it(
    tiny: FrozenEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    encoder = FrozenEncoder(folder, dtype="float64")
    adjoint = load_attributor("adjoint", encoder)
    assert adjoint.readout(QUERY) == "cls_dot_query"
    assert load_attributor("adjoint", tiny).readout(QUERY) == "meanpool_dot_query"
    first = encoder.trace(encoder.encode([QUERY])).hidden[0, 0]
    assert torch.allclose(encoder.pooled([QUERY])[0], first / first.norm())
