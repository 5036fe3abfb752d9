"""One object as the server sends it: its bytes, within bounds, and what is known of it."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from connectors.base import Access
from connectors.net.unpack import TooLarge, bounded, unpack
from connectors.parsing.rows import facts
from rag.errors import DocumentError

__all__ = ["content_of", "facts_of"]

_PIECE = 1 << 12  # bytes; between two of them the deadline is looked at
_UNREADABLE = frozenset({"br", "compress", "deflate", "zstd"})


def content_of(answer: Mapping[str, Any], access: Access) -> bytes:
    """An object's bytes, unpacked where they were packed for the way.

    Raises:
        DocumentError: it is larger, slower or otherwise packed than is read.
    """
    most = access.most_bytes
    packing = answer.get("ContentEncoding", "").lower()
    if any(each in packing for each in _UNREADABLE):
        raise DocumentError(f"packed as {packing[:40]}", hint="store it as it is, or gzipped")
    try:
        data = b"".join(bounded(_pieces(answer, access), most))
        # Not where it only says so: some store plain text under that name.
        if "gzip" in packing and data.startswith(b"\x1f\x8b"):
            data = b"".join(bounded(unpack([data]), most))
    except TooLarge as error:
        raise DocumentError(str(error), hint="split it, or set sources.most_bytes") from None
    except zlib.error as error:
        raise DocumentError(f"broken compression: {error}") from None
    return data


def _pieces(answer: Mapping[str, Any], access: Access) -> Iterator[bytes]:
    if answer.get("ContentLength", 0) > access.most_bytes:
        answer["Body"].close()
        raise TooLarge(f"larger than {access.most_bytes:,} bytes")
    until = time.monotonic() + access.deadline
    # Not the body as its own context: that is the stream below it, without its checksum.
    with closing(answer["Body"]) as body:
        while piece := body.read(_PIECE):
            yield piece
            if time.monotonic() > until:
                raise DocumentError(f"not read in {access.deadline:.0f} s")


def facts_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """When it was stored, and what its owner wrote beside it (x-amz-meta-...)."""
    found = {name: _words(value) for name, value in answer.get("Metadata", {}).items()}
    if "LastModified" in answer:
        found["last_modified"] = answer["LastModified"].isoformat()
    return facts(found)


def _words(value: str) -> str:
    """Metadata beyond ASCII comes as in a mail's header: "=?UTF-8?Q?Caf=C3=A9?="."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value
