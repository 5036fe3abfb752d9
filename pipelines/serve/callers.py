"""Who may call: a bearer key with a role, counted; without keys, this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.serve.keys import Access, Role
from pipelines.serve.problems import Problem, response
from pipelines.serve.state import ServerState

__all__ = ["Admin", "Admission", "Ingester", "Observer", "Reader", "is_loopback", "state_of"]

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
    """Refuses who may not call before a byte of what they bring is read.

    Args:
        app: what answers those who may.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] == "http" and scope["method"] not in _BARE:
            try:
                scope.setdefault("state", {})["caller"] = _identified(Request(scope))
            except Problem as problem:
                await response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _allowed(role: Role) -> Callable[[Request, Credentials], Access]:
    def caller(request: Request, credentials: Credentials) -> Access:
        del credentials  # in the signature for the OpenAPI document
        access: Access = getattr(request.state, "caller", None) or _identified(request)
        if access.role < role:
            raise Problem(403, "forbidden", f"the key may {access.role.name}, not {role.name}")
        return access

    return caller


def _identified(request: Request) -> Access:
    """Who is asking, counted.

    Raises:
        Problem: nobody we know, or once too often.
    """
    state = state_of(request)
    if not state.keys:
        _require_own_name(request)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    access = state.keys.find(key.strip() if scheme.lower() == "bearer" else "")
    if access is not None:
        state.rate.count(access.name)
        return access
    if key:  # no trying out of keys
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
Ingester = Annotated[Access, Depends(_allowed(Role.ingest))]
Admin = Annotated[Access, Depends(_allowed(Role.admin))]
