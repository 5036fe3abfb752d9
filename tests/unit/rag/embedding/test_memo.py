"""Remembered vectors are the embedder's own, and no text is embedded twice while it is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rag.embedding.base import Vectors
from rag.embedding.memo import RememberingEmbedder


class Lengths:
    """Embeds a text as its length and its kind, and notes what it was asked for."""

    dimension = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[len(text), 0] for text in texts], dtype=np.float32)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


@given(st.lists(st.lists(st.sampled_from(["", "a", "bb", "ccc", "dddd"]), max_size=6), max_size=8))
def test_vectors_are_the_embedders_however_little_is_remembered(calls: list[list[str]]) -> None:
    for remembered in (0, 1, 2, 100):
        memo = RememberingEmbedder(Lengths(), remembered)  # type: ignore[arg-type]
        for texts in calls:
            found = memo.embed_documents(texts)
            assert (
                found[:, 0].tolist() == [len(text) for text in texts] if texts else not len(found)
            )
            if texts:
                assert memo.embed_queries(texts)[:, 1].all()


def test_what_was_lately_asked_is_not_embedded_again() -> None:
    plain = Lengths()
    memo = RememberingEmbedder(plain, 2)  # type: ignore[arg-type]
    memo.embed_documents(["a", "bb", "a"])
    memo.embed_documents(["a"])
    memo.embed_documents(["ccc"])  # "bb" is the one not seen for longest, and goes
    memo.embed_documents(["a", "ccc"])
    memo.embed_documents(["bb"])
    assert plain.asked == ["a", "bb", "ccc", "bb"]
