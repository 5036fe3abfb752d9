"""`rag attribute` as its users run it."""

from __future__ import annotations

import pytest

TEXT = "Köln grew by 12%, not less."


def test_every_token_has_a_score_and_a_place(rag) -> None:
    ran = rag("attribute", TEXT, "--query", "How far did Köln grow?", "--json")
    assert ran.code == 0, ran.stderr
    found = ran.json
    assert set(found) == {"method", "bias", "readout", "model", "tokens", "offsets", "scores"}
    assert (found["method"], found["bias"]) == ("adjoint", None)
    assert (found["readout"], found["model"]) == ("meanpool_dot_query", "all-MiniLM-L6-v2")
    assert len(found["tokens"]) == len(found["offsets"]) == len(found["scores"])
    assert (found["tokens"][0], found["offsets"][0]) == ("[CLS]", [0, 0])
    start, end = found["offsets"][1]
    assert TEXT[start:end] == "Köln"


def test_a_method_bias_and_readout_can_be_chosen(rag) -> None:
    chosen = ("--method", "decompx", "--bias", "none", "--readout", "cls_norm")
    found = rag("attribute", "-", *chosen, "--json", text=TEXT).json
    assert [found[each] for each in ("method", "bias", "readout")] == [
        "decompx",
        "none",
        "cls_norm",
    ]
    assert min(found["scores"]) >= 0


def test_a_pair_is_read_together_and_offsets_are_of_each_text(rag) -> None:
    chosen = ("--method", "globenc", "--pair", "It grew.")
    found = rag("attribute", "What grew?", *chosen, "--json").json
    assert found["tokens"].count("[SEP]") == 2
    second = found["tokens"].index("[SEP]") + 1
    assert (found["tokens"][second], found["offsets"][second]) == ("it", [0, 2])


def test_people_see_a_bar_for_each_token(rag) -> None:
    ran = rag("attribute", TEXT, "--method", "globenc")
    assert ran.code == 0
    assert [line.split()[1] for line in ran.stdout.splitlines()[:3]] == ["[CLS]", "koln", "grew"]
    assert "█" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--method", "nosuch"), 2, "no attribution method"),
        (("--method", "globenc", "--query", "q"), 2, "knows no query"),
        (("--readout", "nosuch"), 2, "knows no readout"),
        (("--set", "embedding.kind=llama_index", "--set",
          "embedding.model=llama_index.core.embeddings:MockEmbedding", "--set",
          "embedding.options.embed_dim=8"), 3, "looks inside the embedder"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(rag, arguments: tuple[str, ...], code: int, says: str) -> None:
    ran = rag("attribute", TEXT, *arguments, "--json")
    assert ran.code == code
    assert says in ran.error["message"]


def test_a_text_longer_than_the_model_reads_is_refused(rag) -> None:
    ran = rag("attribute", "-", "--json", text="word " * 600)
    assert (ran.code, ran.error["code"]) == (6, "model")
    assert "602 tokens" in ran.error["message"]
