from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipelines.serve.schemas import LONGEST, Message, Options, PostQuery, PostSearch
from rag.settings import Settings


def test_options_change_what_they_name_and_nothing_else() -> None:
    settings = Settings()
    assert Options().applied(settings) == settings
    options = Options(
        budget=40, clustering="off", selection="everything", pruning="on", grounding="extractive"
    )
    changed = options.applied(settings)
    assert (changed.selection.budget, changed.selection.keep) == (40, "everything")
    assert (changed.clustering.mode, changed.pruning.mode) == ("off", "on")
    assert changed.grounding.mode == "extractive"
    assert changed.selection.recall_weight == settings.selection.recall_weight
    assert changed.store == settings.store


@pytest.mark.parametrize(
    "body",
    [{}, {"question": ""}, {"question": " \n "}, {"question": "x" * (LONGEST + 1)},
     {"question": "x", "top_k": 0}, {"question": "x", "top_k": 101}, {"question": 3},
     {"question": "x", "tenant": "acme"}, {"question": "x", "filters": ["a=b"] * 33}],
)  # fmt: skip
def test_what_no_question_has_is_refused(body: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PostSearch.model_validate(body)
    with pytest.raises(ValidationError):
        PostQuery.model_validate(body)


def test_only_the_text_of_a_message_is_read() -> None:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:"}},
        {"type": "text", "text": "And why?"},
    ]
    assert Message(role="user", content=parts).text == "What is it?\nAnd why?"
    assert Message(role="user", content=None).text == ""
