from __future__ import annotations

import pytest
import torch

from rag.embedding.joint import LexicalPart


def part(dims: int = 4096, share: float = 0.5, tokens: int = 50) -> LexicalPart:
    rarity = torch.linspace(1, 2, tokens)
    rarity[0] = 0  # padding
    return LexicalPart(3, 2, dims, share, tokens, rarity)


def features(ids: list[list[int]]) -> dict[str, torch.Tensor]:
    given = torch.tensor(ids)
    return {
        "input_ids": given,
        "attention_mask": (given != 0).long(),
        "token_embeddings": torch.ones(*given.shape, 2),
        "sentence_embedding": torch.tensor([[2.0, 0.0, 0.0]] * len(ids)),
    }


def test_a_cosine_is_the_mean_of_that_of_meanings_and_that_of_weighted_words() -> None:
    out = part()(features([[7, 9, 9, 0], [9, 30, 0, 0]]))["sentence_embedding"]
    assert torch.allclose(out.norm(dim=1), torch.ones(2), atol=1e-6)
    rarity = torch.linspace(1, 2, 50)
    one, other = torch.zeros(50), torch.zeros(50)
    one[[7, 9]], other[[9, 30]] = rarity[[7, 9]], rarity[[9, 30]]
    one[9] *= 2.2 * 2 / (1.2 + 2)  # twice counts less than two
    words = torch.nn.functional.cosine_similarity(one, other, dim=0)
    assert (out[0] @ out[1]).item() == pytest.approx((0.5 + 0.5 * words).item(), abs=1e-5)


def test_padding_and_order_change_nothing() -> None:
    plain = part()(features([[7, 9, 30]]))["sentence_embedding"]
    other = part()(features([[30, 7, 9, 0, 0]]))["sentence_embedding"]
    assert torch.allclose(plain, other, atol=1e-6)


def test_a_text_without_words_has_its_meaning_left() -> None:
    out = part()(features([[0, 0]]))["sentence_embedding"]
    assert torch.isfinite(out).all()
    assert out[0].tolist()[:3] == pytest.approx([1.0, 0.0, 0.0])


def test_the_weights_learn() -> None:
    lexical = part()
    given = features([[7, 9], [9, 30]])
    given["token_embeddings"] = torch.randn(2, 2, 2, generator=torch.Generator().manual_seed(0))
    out = lexical(given)["sentence_embedding"]
    (out[0] @ out[1]).backward()
    assert lexical.weigh.weight.grad is not None
    assert lexical.weigh.weight.grad.abs().sum() > 0


def test_it_saves_and_loads(tmp_path) -> None:
    saved = part(dims=16)
    torch.nn.init.normal_(saved.weigh.weight)
    saved.save(str(tmp_path))
    loaded = LexicalPart.load(str(tmp_path))
    given = [[7, 9, 30], [3, 0, 0]]
    one, other = (each(features(given))["sentence_embedding"] for each in (saved, loaded))
    assert torch.equal(one, other)
    assert loaded.get_embedding_dimension() == 19
