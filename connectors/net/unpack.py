"""Unpacking what may be a bomb: never more at a time than was allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

__all__ = ["TooLarge", "bounded", "unpack"]

_PIECE = 1 << 16
_GZIP = zlib.MAX_WBITS | 16


class TooLarge(Exception):
    """More bytes than was allowed."""


def bounded(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    """The same pieces, as long as they are no more than `most` bytes together.

    Raises:
        TooLarge: they are more.
    """
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if seen > most:
            raise TooLarge(f"larger than {most:,} bytes")
        yield piece


def unpack(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What gzip packed, 64 KiB at a time, however much a few bytes expand to.

    What follows the packed data and is not packed itself is passed over, as gzip does.

    Raises:
        zlib.error: it is damaged, or ends too early.
    """
    member = zlib.decompressobj(_GZIP)
    begun = False
    for piece in pieces:
        more = bool(piece)
        while more:
            if member.eof:
                if piece[:1] != b"\x1f":
                    return
                member = zlib.decompressobj(_GZIP)
            begun = True
            found = member.decompress(piece, _PIECE)
            yield found
            piece = member.unconsumed_tail or member.unused_data
            # A full piece: there may be more of it though all input was taken.
            more = bool(piece) or (len(found) == _PIECE and not member.eof)
    if begun and not member.eof:
        raise zlib.error("it ends too early")
