"""One HTTP client for every connector: bounded, patient, polite."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Any, Self

import httpcore
import httpx
import tenacity

from connectors.base import Access
from connectors.net.address import parse_address, without_user
from connectors.net.answer import (
    Bounds,
    RequestFailed,
    Response,
    TryAgain,
    check_status,
    take,
)
from connectors.net.guard import GuardedBackend
from connectors.net.patience import Patience
from connectors.net.throttle import Throttle
from rag.errors import UsageError, first_line

__all__ = ["Client", "RequestFailed", "Response"]

_ATTEMPTS = 4
_REDIRECTS = 5
_CONNECTIONS = 32
_KEPT_OPEN = 15.0  # seconds, idle
_CHECK = "check the address"


class Client:
    """Asks servers for bytes. A context manager, or closed with its last user; thread-safe.

    What fails in passing (no connection, a time-out, 429, 5xx) is asked for again, up to four
    times, after a growing pause or the one the server names, as long as `access.deadline` allows.
    Redirects are followed, five at most. Private addresses are refused, after every redirect too.

    User and password in an address are sent to its own host only and never shown. Cookies are not
    kept. Proxies that the environment names (HTTPS_PROXY) are not used: what a proxy connects to
    could not be checked. A certificate authority of one's own is named by SSL_CERT_FILE.

    Args:
        access: who asks, and what may be asked.
        per_second: the most requests a second, to all hosts together; None for no limit.
        headers: sent with every request, after redirects too: nothing secret.
        check: called with every address before it is asked, those of redirects too; what it
            raises ends the request.
        pause: how to wait before asking again, in seconds.
    """

    def __init__(
        self,
        access: Access,
        *,
        per_second: float | None = None,
        headers: Mapping[str, str] | None = None,
        check: Callable[[str], None] = lambda address: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._access = access
        self._throttle = Throttle(per_second)
        self._check = check
        self._pause = pause
        agent = f"spanrag/{version('spanrag')} {' '.join(access.contact.split())}".strip()
        self._http = httpx.Client(
            transport=_GuardedTransport(access),
            headers={
                # As bytes: a name in a contact may be beyond ASCII.
                b"User-Agent": agent.encode(),
                b"Accept-Encoding": b"gzip",  # what `unpack` unpacks bit by bit
                **{name.encode(): value.encode() for name, value in (headers or {}).items()},
            },
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self.close: Callable[[], object] = weakref.finalize(self, self._http.close)

    def get(
        self,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        most_bytes: int | None = None,
        accept: Callable[[Mapping[str, str]], None] = lambda headers: None,
    ) -> Response:
        """Ask for a page; 2xx and 304 are answers, all else is an error.

        Args:
            url: an http or https address.
            params: its query; not shown in errors.
            headers: of this request only.
            most_bytes: the largest answer, unpacked; default `access.most_bytes`.
            accept: called with an answer's headers before its content is read; what it raises
                ends the request.

        Raises:
            RequestFailed: no answer, an error, or one too large or too slow.
            DocumentError: the address is not public, or is no web address.
        """
        bounds = Bounds(self._most(most_bytes), accept)
        return self._request("GET", url, bounds, params=params, headers=headers)

    def post(self, url: str, *, data: Mapping[str, Any], most_bytes: int | None = None) -> Response:
        """Send a form: what is asked for is too long for an address. Errors as of `get`."""
        return self._request("POST", url, Bounds(self._most(most_bytes)), data=data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _most(self, most_bytes: int | None) -> int:
        return self._access.most_bytes if most_bytes is None else most_bytes

    def _request(self, method: str, url: str, bounds: Bounds, **how: Any) -> Response:
        address = _address(url)
        auth = httpx.BasicAuth(address.username, address.password) if address.userinfo else None
        self._check(str(without_user(address)))
        self._throttle.wait()
        patience = Patience(self._access.timeout, time.monotonic() + self._access.deadline)
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), patience)
        request = self._http.build_request(
            method, without_user(address), extensions={"timeout": timeouts}, **how
        )
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_ATTEMPTS)
            | tenacity.stop_before_delay(self._access.deadline),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(TryAgain),
            sleep=self._rest,
            reraise=True,
        )
        try:
            return attempts(self._once, request, auth, bounds)
        except TryAgain as error:
            raise error.failure from None

    def _once(
        self, request: httpx.Request, auth: httpx.BasicAuth | None, bounds: Bounds
    ) -> Response:
        shown = _shown(request.url)
        try:
            with self._answer(request, auth) as answer:
                check_status(answer, shown)
                return take(answer, shown, bounds)
        except httpx.HTTPError as error:
            raise TryAgain(RequestFailed.of(f"{shown}: {_said(error)}")) from None

    @contextmanager
    def _answer(
        self, request: httpx.Request, auth: httpx.BasicAuth | None
    ) -> Iterator[httpx.Response]:
        """What is found at the end of the redirects, nothing of it read yet."""
        # httpx would follow them itself, but reads what comes with a redirect, however long.
        shown = _shown(request.url)
        for _ in range(_REDIRECTS + 1):
            answer = self._http.send(request, auth=auth, stream=True)
            if answer.next_request is None:
                try:
                    yield answer
                finally:
                    answer.close()
                return
            answer.close()
            request, auth = answer.next_request, None
            self._check(str(without_user(_address(str(request.url), answer.status_code))))
            self._throttle.wait()
        status = answer.status_code
        raise RequestFailed.of(f"{shown}: redirects too often", status=status, hint=_CHECK)

    def _rest(self, seconds: float) -> None:
        self._pause(seconds)
        self._throttle.wait()


class _GuardedTransport(httpx.HTTPTransport):
    """httpx's own transport over a pool that resolves and checks addresses itself."""

    def __init__(self, access: Access) -> None:
        context = httpx.create_ssl_context()
        super().__init__(verify=context)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            network_backend=GuardedBackend(access.allow_private),
            max_connections=_CONNECTIONS,
            keepalive_expiry=_KEPT_OPEN,
        )


def _address(url: str, status: int = 0) -> httpx.URL:
    try:
        return parse_address(url)
    except UsageError as error:
        raise RequestFailed.of(error.message, status=status, hint=error.hint) from None


def _shown(address: httpx.URL) -> str:
    # Without the query: it may hold a key. The caller knows what it asked for.
    return str(without_user(address).copy_with(query=None, fragment=None))


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait if isinstance(error, TryAgain) else 0.0
    return max(asked, tenacity.wait_random_exponential(multiplier=0.5, max=8.0)(state))


def _said(error: httpx.HTTPError) -> str:
    kind = "no answer in time" if isinstance(error, httpx.TimeoutException) else "no connection"
    return f"{kind} ({first_line(error)})"
