"""Who may call: a bearer key with a role, counted; without keys, this machine alone."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pipelines.serve.keys import Access, Role
from pipelines.serve.problems import Problem
from pipelines.serve.state import ServerState

__all__ = ["Ingester", "Reader", "is_loopback", "state_of"]

_BEARER = HTTPBearer(auto_error=False, description="A key of `serve.api_keys`.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


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


def _allowed(role: Role) -> Callable[[Request, Credentials], Access]:
    def caller(request: Request, credentials: Credentials) -> Access:
        state = state_of(request)
        if not state.keys:
            _require_own_name(request)
        access = state.keys.find(credentials.credentials if credentials else "")
        if access is None:
            raise Problem(
                401,
                "unauthorized",
                "no such key; send one as `Authorization: Bearer KEY`",
                {"WWW-Authenticate": "Bearer"},
            )
        state.rate.count(access.name)
        if access.role < role:
            raise Problem(403, "forbidden", f"the key may {access.role.name}, not {role.name}")
        return access

    return caller


def _require_own_name(request: Request) -> None:
    """Without keys, refuse what came under another name: a page that had its own name lead here."""
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if not is_loopback(host):
        raise Problem(403, "forbidden", "without keys the server answers as localhost only")


Reader = Annotated[Access, Depends(_allowed(Role.read))]
Ingester = Annotated[Access, Depends(_allowed(Role.ingest))]
