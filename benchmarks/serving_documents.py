"""Documents that are brought to a server: each is unlike the others, and holds its own word."""

from __future__ import annotations

import random
import time
from typing import Any

import httpx

__all__ = ["bring", "holding", "word_of"]

_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def word_of(number: int) -> str:
    """The word that document has, and no other."""
    return f"zq{number:04}{_word(random.Random(number))}"


def document(number: int) -> dict[str, str]:
    """As a request brings it. Words are drawn anew for each: none is taken for another's copy."""
    draw = random.Random(number)
    words = [_word(draw) for _ in range(60)]
    text = f"The word of this document is {word_of(number)}. {' '.join(words)}."
    return {"id": word_of(number), "name": f"{word_of(number)}.txt", "text": text}


def bring(asking: httpx.Client, number: int) -> str:
    """Bring a document; the id of the job, once the server has taken it on.

    Raises:
        httpx.HTTPError: it was not taken on, or nobody knows.
    """
    taken = asking.post("/v1/ingest", json={"documents": [document(number)]}).raise_for_status()
    return str(taken.json()["id"])


def holding(asking: httpx.Client, number: int) -> list[dict[str, Any]]:
    """The hits of a search for a document's word that do hold it."""
    word = word_of(number)
    body = {"question": word, "top_k": 20}
    while (found := asking.post("/v1/search", json=body)).status_code == 503:
        time.sleep(float(found.headers["Retry-After"]))
    return [hit for hit in found.raise_for_status().json()["hits"] if word in hit["text"]]


def _word(draw: random.Random) -> str:
    return "".join(draw.choices(_SYLLABLES, k=4))
