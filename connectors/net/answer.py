"""What a server answers, taken no further than was allowed."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Self

import httpx

from connectors.net.address import without_user
from connectors.net.unpack import TooLarge, bounded, unpack
from rag.errors import DocumentError, first_line

__all__ = ["Bounds", "RequestFailed", "Response", "TryAgain", "check_status", "take"]

_LONGEST_WAIT = 60.0  # seconds; a server that asks for more is tried again next run
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_PACKINGS = frozenset({"gzip", "x-gzip"})
_UNASKED = frozenset({"br", "compress", "deflate", "x-compress", "zstd"})
_OVERHEAD = 1 << 16  # that gzip may add to what it cannot pack


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered: `url` is where it was found in the end, `headers` lower-case."""

    status: int
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)


class RequestFailed(DocumentError):
    """An answer that is an error or cannot be taken, of this status; or none, and it is 0."""

    status: int = 0

    @classmethod
    def of(cls, message: str, *, status: int = 0, hint: str = "") -> Self:
        """The error for an answer of this status."""
        made = cls(message, hint=hint)
        made.status = status
        return made


class TryAgain(Exception):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, failure: RequestFailed, wait: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is taken of an answer: so many bytes, and none where `accept` raises."""

    most: int
    accept: Callable[[Mapping[str, str]], None] = lambda headers: None


def check_status(answer: httpx.Response, shown: str) -> None:
    """Let an answer pass that is one: 2xx or 304. `shown` is its address in errors.

    Raises:
        TryAgain: it may be another soon.
        RequestFailed: it will not.
    """
    status = answer.status_code
    if answer.is_success or status == httpx.codes.NOT_MODIFIED:
        return
    failure = RequestFailed.of(
        f"{shown}: HTTP {status} {answer.reason_phrase}".rstrip(), status=status
    )
    if status not in _PASSING:
        raise failure
    asked = _retry_after(answer.headers.get("retry-after", ""))
    if asked > _LONGEST_WAIT:
        failure.hint = f"the server asks to wait {asked:,.0f} s: run this again later"
        raise failure
    raise TryAgain(failure, asked)


def take(answer: httpx.Response, shown: str, bounds: Bounds) -> Response:
    """Read and unpack an answer. `shown` is its address in errors.

    Raises:
        RequestFailed: it is too large, or broken; and whatever `bounds.accept` raises.
    """
    headers, status = dict(answer.headers), answer.status_code
    bounds.accept(headers)
    try:
        content = b"".join(bounded(_pieces(answer, bounds.most), bounds.most))
    except TooLarge as error:
        raise RequestFailed.of(f"{shown}: {error}", status=status) from None
    except zlib.error as error:
        what = f"broken compression: {first_line(error)}"
        raise RequestFailed.of(f"{shown}: {what}", status=status) from None
    return Response(status, str(without_user(answer.url)), headers, content)


def _pieces(answer: httpx.Response, most: int) -> Iterator[bytes]:
    """The answer's content, unpacked here and not by httpx, which unpacks 64 KiB to 64 MiB."""
    packing = answer.headers.get("content-encoding", "").strip().lower()
    if packing in _PACKINGS:
        return unpack(bounded(answer.iter_raw(), most + _OVERHEAD))
    if "," in packing or packing in _UNASKED:
        raise zlib.error(f"{packing[:40]!r} was not asked for")
    return answer.iter_raw()


def _retry_after(written: str) -> float:
    """Seconds that a Retry-After header asks for; 0 where it cannot be read."""
    if written.strip().isdecimal():
        return float(written)
    try:
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return 0.0
