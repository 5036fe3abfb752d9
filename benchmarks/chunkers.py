"""The chunkers that others are measured with, as spans: what the published table and baselines cut.

They are not spanrag's (`rag.chunking`): each follows the code it stands for, quirks included. The
offsets of the first two come from cutting, not from a search. LlamaIndex hands out strings, and
its own offsets are those of the next copy of a chunk, so its chunks are placed here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache, partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tiktoken

from eval.located import Located
from rag.spans import Span
from rag.tokens import TokenCounter

__all__ = ["Cutter", "Placed", "Ruler", "cut", "llama_index", "recursive", "rulers", "windows"]

SEPARATORS = ("\n\n", "\n", ".", "?", "!", " ", "")
"""Of the published evaluation, coarse to fine; "" cuts between any two characters."""

Cutter = Callable[[str], Sequence[Span]]


class Ruler(NamedTuple):
    """How long texts are, in somebody's tokens."""

    name: str
    lengths: Callable[[Sequence[str]], Sequence[int]]


class Placed(NamedTuple):
    """Where the chunks stand that were handed out as strings.

    Attributes:
        spans: of those that could be placed, in order.
        lost: how many could not.
        ambiguous: how many could stand in several places; the first one is taken.
    """

    spans: list[Span]
    lost: int
    ambiguous: int


def rulers(counter: TokenCounter) -> tuple[Ruler, Ruler]:
    """Tokens of cl100k_base; and a model's, special tokens of every text included."""
    special = counter.special_tokens
    encoding = _cl100k()
    return (
        Ruler("cl100k", lambda texts: [len(encoding.encode_ordinary(each)) for each in texts]),
        Ruler(counter.name, lambda texts: [count + special for count in counter.count_all(texts)]),
    )


def cut(texts: Mapping[str, str], cutter: Cutter) -> list[Located]:
    """Every chunk of a corpus."""
    return [
        Located(doc, span.start, span.end) for doc, text in texts.items() for span in cutter(text)
    ]


def windows(text: str, size: int, overlap: int) -> list[Span]:
    """Windows of `size` cl100k tokens, each `size - overlap` after the last.

    A window edge inside a character leaves it to the window that begins there.
    """
    encoding = _cl100k()
    tokens = encoding.encode_ordinary(text)
    edges = np.cumsum([0, *map(len, encoding.decode_tokens_bytes(tokens))])
    continues = (np.frombuffer(text.encode(), dtype=np.uint8) & 0xC0) == 0x80
    begun = np.concatenate([[0], np.cumsum(~continues)])
    inside = np.append(continues, False)[edges]
    places = (begun[edges] - inside).tolist()
    last = len(tokens)
    starts = range(0, max(last - overlap, 1), size - overlap)
    spans = [Span(places[start], places[min(start + size, last)]) for start in starts]
    return [span for span in spans if span]


def recursive(text: str, size: int, overlap: int, ruler: Ruler) -> list[Span]:
    """What LangChain's RecursiveCharacterTextSplitter cuts, without white space at the ends.

    A separator stays at the head of the piece that follows it. As there, a chunk is as long as
    its pieces are one by one, plus the length of "" between any two: 2 where special tokens count.
    """
    whole = Span(0, len(text))
    trimmed = (span.trim_in(text) for span in _divide(text, whole, 0, size, overlap, ruler))
    return [span for span in trimmed if span]


def _divide(
    text: str, span: Span, level: int, size: int, overlap: int, ruler: Ruler
) -> Iterator[Span]:
    while SEPARATORS[level] and text.find(SEPARATORS[level], span.start, span.end) < 0:
        level += 1
    pieces = list(_pieces(text, span, SEPARATORS[level]))
    lengths = ruler.lengths([piece.text_in(text) for piece in pieces])
    merge = partial(_merge, size=size, overlap=overlap, joint=ruler.lengths([""])[0])
    short: list[tuple[Span, int]] = []
    for piece, length in zip(pieces, lengths, strict=True):
        if length < size:
            short.append((piece, length))
            continue
        yield from merge(short)
        short = []
        if SEPARATORS[level]:
            yield from _divide(text, piece, level + 1, size, overlap, ruler)
        else:
            yield piece
    yield from merge(short)


def _pieces(text: str, span: Span, separator: str) -> Iterator[Span]:
    if not separator:
        edges: Iterable[int] = range(span.start, span.end + 1)
    else:
        found = re.compile(re.escape(separator)).finditer(text, span.start, span.end)
        edges = (span.start, *(match.start() for match in found), span.end)
    return (Span(start, end) for start, end in pairwise(edges) if start < end)


def _merge(
    pieces: Sequence[tuple[Span, int]], size: int, overlap: int, joint: int
) -> Iterator[Span]:
    """Neighbours joined while they fit; after each chunk the last ones are taken again."""
    first, total = 0, 0
    for at, (_, length) in enumerate(pieces):
        if at > first and total + joint + length > size:
            yield Span(pieces[first][0].start, pieces[at - 1][0].end)
            while total > overlap or (
                total + length + (joint if at > first else 0) > size and total > 0
            ):
                total -= pieces[first][1] + (joint if at - first > 1 else 0)
                first += 1
        total += length + (joint if at > first else 0)
    if pieces:
        yield Span(pieces[first][0].start, pieces[-1][0].end)


def llama_index(text: str, size: int, overlap: int) -> Placed:
    """The chunks of LlamaIndex's SentenceSplitter, placed.

    They come in order and skip nothing but white space. So a chunk begins no earlier than the one
    before it, and no later than the first other character that is in none yet; and it ends behind
    the one before. In repeated text several places may do: those that lead nowhere are given up.
    """
    from llama_index.core.node_parser import SentenceSplitter

    with redirect_stdout(None):
        chunks = SentenceSplitter(chunk_size=size, chunk_overlap=overlap).split_text(text)
    layers: list[dict[Span, list[Span]]] = [{Span(0, 0): []}]  # place to the places before it
    for chunk in chunks:
        places: dict[Span, list[Span]] = {}
        for before in layers[-1]:
            for place in _next_places(chunk, text, before):
                places.setdefault(place, []).append(before)
        if places:
            layers.append(places)
    lost = len(chunks) + 1 - len(layers)
    spans: list[Span] = []
    ambiguous = 0
    leading, possible = list(layers[-1]), set(layers[-1])
    for layer in reversed(layers[1:]):
        ambiguous += len(possible) > 1
        spans.append(min(leading))
        leading = layer[spans[-1]]
        possible = {before for place in possible for before in layer[place]}
    return Placed(spans[::-1], lost, ambiguous)


def _next_places(chunk: str, text: str, before: Span) -> Iterator[Span]:
    rest = text[before.end : before.end + 10_000]
    latest = before.end + len(rest) - len(rest.lstrip())
    at = max(before.start, before.end + 1 - len(chunk)) - 1
    while (at := text.find(chunk, at + 1, latest + len(chunk))) >= 0:
        yield Span(at, at + len(chunk))


@cache
def _cl100k() -> tiktoken.Encoding:
    """The encoding, from the copy that LlamaIndex carries: nothing is fetched."""
    spec = find_spec("llama_index.core")
    if spec and spec.origin:
        folder = Path(spec.origin).parent / "_static" / "tiktoken_cache"
        os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    return tiktoken.get_encoding("cl100k_base")
