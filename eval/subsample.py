"""Hard-negative subsampling: a smaller corpus that ranks embedders as the whole one does.

Embedding a large corpus once more for each embedder that is tried takes hours. Most chunks are
never near any question. Kept are all that is relevant, what rankers at hand put first for each
question (the chunks a new embedder may take for the evidence) and a random rest of the others.

With a ranker whose scores do not depend on what else is in the corpus, a question's ranking in
the sample is its ranking in the corpus with chunks left out. So nDCG and recall at k can only
rise, and stay as they are where the first k are kept. For the same reason term statistics (BM25)
are to be taken from the whole corpus.

Take a sample whose `depth` is above the k that is judged. Where it is less, the rankers that chose
it meet their own hard negatives and others lack theirs, so that systems come out nearer to each
other than they are; in the extreme a sample by chance then ranks them better.

Source: the idea is that of MTEB's hard-negative retrieval tasks (Enevoldsen et al., "MMTEB", 2025),
which keep the top 250 of several models for each question. That every ranking is kept to the same
depth, and the random rest, are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from rag.errors import UsageError
from rag.ids import digest

__all__ = ["Subsample", "subsample"]


class Subsample(NamedTuple):
    """What is kept of a corpus.

    Attributes:
        chunks: ids of the chunks kept, in the order of the corpus.
        depth: as many of every ranking's first chunks are all among them.
    """

    chunks: tuple[str, ...]
    depth: int


def subsample(
    chunks: Sequence[str],
    relevant: Collection[str],
    rankings: Iterable[Sequence[str]],
    size: int,
    *,
    easy: float = 0.1,
    seed: int = 0,
) -> Subsample:
    """Choose the chunks of a corpus that an evaluation needs.

    Args:
        chunks: ids of the whole corpus.
        relevant: ids of all chunks that hold evidence of any question; always kept.
        rankings: ids, best first: of each ranker and each question, one ranking. Of these and of
            `relevant`, what is not among `chunks` takes no room.
        size: how many chunks to keep. All rankings are kept to the greatest depth that fits.
        easy: the share of `size` that is kept for the random rest, 0 to below 1. It goes by a
            digest of id and seed, so samples of a corpus that grows have nearly all of it in
            common.
        seed: another seed is another rest.

    Raises:
        UsageError: `easy` is no such share, or the relevant chunks alone are more than `size`
            leaves room for.

    >>> subsample("abcdef", {"e"}, ["cde", "efa"], 4, easy=0.25)
    Subsample(chunks=('a', 'c', 'e', 'f'), depth=1)
    """
    if not 0 <= easy < 1:
        raise UsageError(
            f"a random rest of {easy} of the sample", hint="choose a share of 0 or more, below 1"
        )
    corpus = frozenset(chunks)
    known = [[each for each in ranking if each in corpus] for ranking in rankings]
    hard, depth = _hard(corpus.intersection(relevant), known, round(size * (1 - easy)))
    others = sorted((each for each in chunks if each not in hard), key=lambda x: digest([seed, x]))
    kept = hard.union(others[: size - len(hard)])
    return Subsample(tuple(each for each in chunks if each in kept), depth)


def _hard(
    kept: frozenset[str], rankings: Sequence[Sequence[str]], room: int
) -> tuple[frozenset[str], int]:
    """The relevant, and as many whole ranks of all rankings as there is room for."""
    if len(kept) > room:
        raise UsageError(
            f"{len(kept)} chunks hold evidence, which leaves no room in a sample of {room}",
            hint="take a larger sample",
        )
    longest = max(map(len, rankings), default=0)
    for depth in range(longest):
        deeper = kept.union(ranking[depth] for ranking in rankings if depth < len(ranking))
        if len(deeper) > room:
            return kept, depth
        kept = deeper
    return kept, longest
