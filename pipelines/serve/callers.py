"""Who may call: a bearer key with a role, counted; without keys, this machine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.serve.keys import Access, Role
from pipelines.serve.problems import Problem, response
from pipelines.serve.state import ServerState

__all__ = [
    "Admin",
    "Admission",
    "Asker",
    "Ingester",
    "Observer",
    "Reader",
    "is_loopback",
    "state_of",
]

_BEARER = HTTPBearer(auto_error=False, description="A key of `serve.api_keys`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]

_BARE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that bring no body: what they ask for looks at who is asking, where that matters."""


def state_of(request: Request) -> ServerState:
    """What the server holds."""
    state: ServerState = request.app.state.server
    return state


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine, for itself alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Admission:
    """Refuses who may not call, or cannot be answered now, before a byte of theirs is read.

    A refusal costs next to nothing, so that those who are let in are answered, however many come.

    Args:
        app: what answers those who may.
        questions: paths that need one of the `Slots`.
    """

    def __init__(self, app: ASGIApp, questions: frozenset[str]) -> None:
        self._app = app
        self._questions = questions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and scope["method"] not in _BARE:
            try:
                self._admit(Request(scope))
            except Problem as problem:
                await response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        state, access = state_of(request), _known(request)
        if request.scope["path"] in self._questions:
            state.desk.slots.require_room()  # it is counted once it has a place
        else:
            state.rate.count(access.name)
        request.state.caller = access


def _allowed(role: Role) -> Callable[[Request, Credentials], Awaitable[Access]]:
    async def caller(request: Request, credentials: Credentials) -> Access:
        del credentials  # in the signature for the OpenAPI document
        access: Access | None = getattr(request.state, "caller", None)
        if access is None:
            access = _known(request)
            state_of(request).rate.count(access.name)
        if access.role < role:
            raise Problem(403, "forbidden", f"the key may {access.role.name}, not {role.name}")
        return access

    return caller


async def _asking(
    request: Request, access: Annotated[Access, Depends(_allowed(Role.read))]
) -> AsyncIterator[Access]:
    """Who asks a question, and has a place for it; a refusal takes nothing of a key's minute."""
    with state_of(request).desk.slots.entered():
        state_of(request).rate.count(access.name)
        yield access


def _known(request: Request) -> Access:
    """Who is asking.

    Raises:
        Problem: nobody we know; or one who tries out keys, once too often.
    """
    state = state_of(request)
    if not state.keys:
        _require_own_name(request)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    access = state.keys.find(key.strip() if scheme.lower() == "bearer" else "")
    if access is not None:
        return access
    if key:
        state.rate.count(f"unknown {request.client.host if request.client else ''}")
    raise Problem(
        401,
        "unauthorized",
        "no such key; send one as `Authorization: Bearer KEY`",
        {"WWW-Authenticate": "Bearer"},
    )


def _require_own_name(request: Request) -> None:
    """Without keys, refuse what came under another name: a page that had its own name lead here."""
    try:
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise Problem(403, "forbidden", "without keys the server answers as localhost only")


Observer = Annotated[Access, Depends(_allowed(Role.metrics))]
Reader = Annotated[Access, Depends(_allowed(Role.read))]
Asker = Annotated[Access, Depends(_asking)]
Ingester = Annotated[Access, Depends(_allowed(Role.ingest))]
Admin = Annotated[Access, Depends(_allowed(Role.admin))]
