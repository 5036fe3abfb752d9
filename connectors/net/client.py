"""One HTTP client for every connector: bounded, patient, polite."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Self

import httpcore
import httpx
import tenacity

from connectors.base import Access
from connectors.net.guard import GuardedBackend
from connectors.net.throttle import Throttle
from rag.errors import DocumentError, first_line

__all__ = ["Client", "RequestFailed", "Response"]

_ATTEMPTS = 4
_LONGEST_WAIT = 60.0  # seconds; a server that asks for more is tried again next run
_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered: `url` is where it was found in the end, `headers` lower-case."""

    status: int
    url: str
    headers: Mapping[str, str]
    content: bytes = field(repr=False)


class RequestFailed(DocumentError):
    """A server that cannot be reached or answers with an error; `status` is 0 without answer."""

    status: int = 0

    @classmethod
    def of(cls, message: str, *, status: int = 0, hint: str = "") -> Self:
        """The error for an answer of this status."""
        made = cls(message, hint=hint)
        made.status = status
        return made


class _TryAgain(Exception):
    """A failure that may pass; `wait` is what the server asked for, in seconds."""

    def __init__(self, failure: RequestFailed, wait: float = 0.0) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.wait = wait


class Client:
    """Asks servers for bytes. A context manager; several threads may use one.

    What fails in passing (no connection, a time-out, 429, 5xx) is asked for again, up to four
    times, after a growing pause or the one the server names. Redirects are followed, five at
    most. Private addresses are refused, after every redirect too.

    Args:
        access: who asks, and what may be asked.
        per_second: the most requests a second, to all hosts together; None for no limit.
        headers: sent with every request.
    """

    def __init__(
        self,
        access: Access,
        *,
        per_second: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._access = access
        self._throttle = Throttle(per_second)
        agent = f"spanrag/{version('spanrag')}"
        self._http = httpx.Client(
            transport=_GuardedTransport(access),
            timeout=httpx.Timeout(access.timeout),
            follow_redirects=True,
            max_redirects=_REDIRECTS,
            headers={
                "User-Agent": f"{agent} {access.contact}".strip(),
                "Accept-Encoding": "gzip, deflate",  # what httpx unpacks bit by bit
                **(headers or {}),
            },
        )

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int | None = None,
    ) -> Response:
        """Ask for a page; 2xx and 304 are answers, all else is an error.

        Raises:
            RequestFailed: no answer, an error, or one too large or too slow.
            DocumentError: the address is not public.
        """
        return self._request("GET", url, params=params, headers=headers, most_bytes=most_bytes)

    def post(self, url: str, *, data: Mapping[str, Any], most_bytes: int | None = None) -> Response:
        """Send a form: what is asked for is too long for an address. Errors as of `get`."""
        return self._request("POST", url, data=data, most_bytes=most_bytes)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _request(
        self, method: str, url: str, *, most_bytes: int | None = None, **how: Any
    ) -> Response:
        most = self._access.most_bytes if most_bytes is None else most_bytes
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(_TryAgain),
            reraise=True,
        )
        try:
            return attempts(self._once, method, url, most, how)
        except _TryAgain as error:
            raise error.failure from None

    def _once(self, method: str, url: str, most: int, how: Mapping[str, Any]) -> Response:
        self._throttle.wait()
        until = time.monotonic() + self._access.deadline
        try:
            with self._http.stream(method, url, **how) as answer:
                _check(answer)
                content = bytearray()
                for piece in answer.iter_bytes():
                    content += piece
                    if len(content) > most:
                        raise RequestFailed.of(f"{url}: larger than {most:,} bytes")
                    if time.monotonic() > until:
                        raise RequestFailed.of(f"{url}: not done in {self._access.deadline:.0f} s")
                return Response(
                    answer.status_code, str(answer.url), dict(answer.headers), bytes(content)
                )
        except (httpx.TooManyRedirects, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RequestFailed.of(
                f"{url}: {first_line(error)}", hint="check the address"
            ) from None
        except httpx.DecodingError as error:
            raise RequestFailed.of(f"{url}: broken compression: {first_line(error)}") from None
        except httpx.HTTPError as error:
            raise _TryAgain(RequestFailed.of(f"{url}: {_said(error)}")) from None


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport over a pool that resolves and checks addresses itself."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            network_backend=GuardedBackend(access.allow_private),
        )


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if answer.is_success or status == httpx.codes.NOT_MODIFIED:
        return
    failure = RequestFailed.of(
        f"{answer.url}: HTTP {status} {answer.reason_phrase}".rstrip(), status=status
    )
    if status in _PASSING:
        raise _TryAgain(failure, _retry_after(answer.headers.get("retry-after", "")))
    raise failure


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, _TryAgain) else 0.0
    own = tenacity.wait_random_exponential(multiplier=0.5, max=8.0)(state)
    return min(max(asked, own), _LONGEST_WAIT)


def _retry_after(written: str) -> float:
    """Seconds that a Retry-After header asks for; 0 where it cannot be read."""
    if written.strip().isdecimal():
        return float(written)
    try:
        return max(parsedate_to_datetime(written).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def _said(error: httpx.HTTPError) -> str:
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else "no connection"
    return f"{kind} ({first_line(error)})"
