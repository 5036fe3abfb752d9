"""The objectives: what they are at a given point, by hand, and that a few steps lower them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from pipelines.adapt.contrastive import ContrastiveLoss
from pipelines.adapt.dupmae import DuplexLoss
from pipelines.adapt.lem import EntityMaskingLoss, linguistic_entities
from pipelines.adapt.text2token import TokenTargetLoss, bag_of_words, token_rarity
from pipelines.adapt.tokens import IGNORED, BatchVocabulary, TokenHead, WordMasker, words_of


class Given(torch.nn.Module):
    """Stands for a model whose vectors are the features themselves."""

    def forward(self, features: dict[str, Any]) -> dict[str, Any]:
        return features


def columns(*tensors: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    return [{"sentence_embedding": each} for each in tensors]


@pytest.fixture
def vectors() -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return [torch.randn(4, 6, generator=drawn) for _ in range(3)]


def own_shares(vectors: list[torch.Tensor], temperature: float) -> torch.Tensor:
    q, p, n = (functional.normalize(each, dim=-1) for each in vectors)
    terms = torch.exp(q @ torch.cat([p, n]).T / temperature)
    return terms.diagonal() / terms.sum(dim=1)


def test_the_plain_loss_is_multiple_negatives_ranking(vectors) -> None:
    found = ContrastiveLoss(Given(), temperature=0.1)(columns(*vectors))
    assert found.item() == pytest.approx(-own_shares(vectors, 0.1).log().mean().item(), rel=1e-5)


def test_focal_weights_are_those_of_the_share(vectors) -> None:
    found = ContrastiveLoss(Given(), temperature=0.1, focal=0.5)(columns(*vectors))
    own = own_shares(vectors, 0.1)
    assert found.item() == pytest.approx(-((1 - own) ** 0.5 * own.log()).mean().item(), rel=1e-4)


def test_focal_weights_have_no_gradient_of_their_own(vectors) -> None:
    queries = vectors[0].clone().requires_grad_()
    ContrastiveLoss(Given(), 0.1, focal=0.5)(columns(queries, *vectors[1:])).backward()
    other = vectors[0].clone().requires_grad_()
    weight = (1 - own_shares(vectors, 0.1)) ** 0.5
    own = own_shares([other, *vectors[1:]], 0.1)
    (-(weight * own.log()).mean()).backward()
    assert torch.allclose(queries.grad, other.grad, atol=1e-6)


def test_a_mixed_negative_makes_the_task_harder_and_is_made_of_negatives_only(vectors) -> None:
    torch.manual_seed(0)
    plain = ContrastiveLoss(Given(), 0.1)(columns(*vectors))
    mixed = ContrastiveLoss(Given(), 0.1, mixing=2.0)(columns(*vectors))
    assert mixed > plain
    positives = ContrastiveLoss(Given(), 0.1, mixing=2.0)(columns(*vectors[:2]))
    assert positives == ContrastiveLoss(Given(), 0.1)(columns(*vectors[:2]))
    same = torch.ones(4, 6)
    loss = ContrastiveLoss(Given(), 0.1, mixing=2.0)
    assert torch.allclose(
        loss._mixed(vectors[0], same), functional.normalize(same, dim=-1), atol=1e-6
    )


def test_words_of_pieces() -> None:
    assert words_of(["[CLS]", "ot", "##ter", ".", "[SEP]"], [True, False, False, False, True]) == [
        [1, 2], [3],
    ]  # fmt: skip
    assert words_of(["Ġnet", "works", "Ġfell"], [False] * 3) == [[0, 1], [2]]
    assert words_of(["<s>", "▁a", "b"], [True, False, False]) == [[1, 2]]


def encoded(model: Any, *texts: str) -> dict[str, torch.Tensor]:
    return dict(model.tokenizer(list(texts), padding=True, return_tensors="pt"))


def test_whole_words_are_hidden_or_one_token_of_an_eligible_one(tiny) -> None:
    ids = encoded(tiny, "otter report", "owl")["input_ids"]
    tokenizer = tiny.tokenizer
    hidden, labels = WordMasker(tokenizer, 1.0, whole=True).mask(ids)
    special = torch.tensor(tokenizer.all_special_ids)
    ordinary = ~torch.isin(ids, special)
    assert torch.equal(hidden[ordinary], torch.full_like(hidden[ordinary], tokenizer.mask_token_id))
    assert torch.equal(labels[ordinary], ids[ordinary])
    assert torch.equal(hidden[~ordinary], ids[~ordinary])
    one = WordMasker(tokenizer, 1.0, whole=False, eligible={"report"}.__contains__).mask(ids)
    assert (one.labels != IGNORED).sum() == 1
    word = tokenizer.convert_ids_to_tokens(one.labels[one.labels != IGNORED].tolist())
    assert word[0] in {"r", "##e", "##port"}


def test_a_batch_vocabulary_leads_back_to_its_tokens(tiny) -> None:
    ids = encoded(tiny, "otter report", "owl otter owl")["input_ids"]
    vocabulary = BatchVocabulary.of(ids, set(tiny.tokenizer.all_special_ids))
    ordinary = vocabulary.places != IGNORED
    assert torch.equal(vocabulary.ids[vocabulary.places[ordinary]], ids[ordinary])
    assert len(vocabulary.ids.unique()) == len(vocabulary.ids)
    bag = bag_of_words(vocabulary)
    owl = (vocabulary.ids == tiny.tokenizer.convert_tokens_to_ids("owl")).nonzero().item()
    assert bag[:, owl].tolist() == [0.0, 1.0]
    assert bag.sum(dim=1).tolist() == [
        len(set(row[o].tolist())) for row, o in zip(ids, ordinary, strict=True)
    ]


def test_entities_are_names_and_words_for_things_and_deeds(passages) -> None:
    found = linguistic_entities(passages)
    assert {"nordic", "otter", "observers", "increased", "count"} <= found
    assert not {"the", "by", "in", "will"} & found


def test_rare_tokens_weigh_more(tiny, passages) -> None:
    rarity = token_rarity(tiny.tokenizer, [each.text for each in passages])
    otter, full = tiny.tokenizer.convert_tokens_to_ids(["otter", "."])
    assert rarity[otter] > rarity[full] > 0


def test_the_head_starts_as_the_identity(tiny) -> None:
    head = TokenHead(tiny)
    given = torch.randn(2, 32)
    ids = torch.tensor([5, 9])
    rows = tiny[0].model.get_input_embeddings().weight[ids]
    right = head.norm(functional.gelu(given)) @ rows.T
    assert torch.allclose(head(given, ids), right, atol=1e-5)
    assert not any(p is tiny[0].model.get_input_embeddings().weight for p in head.parameters())


@pytest.mark.parametrize("kind", ["lem", "emo", "dupmae", "text2token"])
def test_steps_lower_the_objective(kind, tiny, passages) -> None:
    torch.manual_seed(0)
    loss = {
        "lem": lambda: EntityMaskingLoss(tiny, linguistic_entities(passages)),
        "emo": lambda: EntityMaskingLoss(tiny, linguistic_entities(passages), emo=True),
        "dupmae": lambda: DuplexLoss(tiny),
        "text2token": lambda: TokenTargetLoss(
            tiny, token_rarity(tiny.tokenizer, [each.whole for each in passages])
        ),
    }[kind]()
    features = encoded(tiny, *(each.text[:80] for each in passages))
    optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)
    values: list[float] = []
    for _ in range(25):
        value = loss([dict(features)])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert sum(values[-5:]) < 0.9 * sum(values[:5])
    embeddings = tiny[0].model.get_input_embeddings().weight
    assert embeddings.grad is not None


def test_a_text_of_unknown_tokens_only_breaks_nothing(tiny) -> None:
    features = encoded(tiny, "សត្វ", "otter owl")
    for loss in (
        TokenTargetLoss(tiny, torch.ones(len(tiny.tokenizer))),
        DuplexLoss(tiny),
        EntityMaskingLoss(tiny, frozenset({"otter"})),
        EntityMaskingLoss(tiny, frozenset()),
    ):
        value = loss([dict(features)])
        value.backward()
        assert torch.isfinite(value)
        grads = [p.grad for p in loss.parameters() if p.grad is not None]
        assert all(torch.isfinite(each).all() for each in grads)


def test_what_the_target_holds_is_what_is_predicted(tiny) -> None:
    """The loss is the divergence: nought where the prediction is the target."""
    features = encoded(tiny, "owl owl owl")
    loss = TokenTargetLoss(tiny, torch.ones(len(tiny.tokenizer)))
    assert loss([features]).item() == pytest.approx(0.0, abs=1e-6)  # one token: it must be that
