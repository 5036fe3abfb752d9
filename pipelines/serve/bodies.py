"""Request bodies: no larger, and no slower, than a question needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BoundedBodies"]

_SECONDS = 30.0  # for a whole body to arrive in


class BoundedBodies:
    """Refuses a body that is too large (413) or too long in coming (408).

    The framework has a limit of its own, which answers in plain text and not with a problem.

    Args:
        app: what reads the bodies.
        most: bytes.
        of_paths: of some paths another number.
        seconds: from the first call for a body to its end.
    """

    def __init__(
        self,
        app: ASGIApp,
        most: int,
        of_paths: Mapping[str, int] | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._app = app
        self._most = most
        self._of_paths = of_paths or {}
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._of_paths.get(scope["path"], self._most)
        told = Headers(scope=scope).get("content-length", "")
        loop = asyncio.get_running_loop()
        size, whole, late = 0, False, loop.time() + self._seconds

        async def bounded() -> Message:
            nonlocal size, whole
            if whole:  # what comes now is that the client leaves, whenever it does
                return await receive()
            if told.isdecimal() and int(told) > most:
                raise _too_large(most)
            try:
                async with asyncio.timeout_at(late):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "the body was too long in coming") from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > most:
                raise _too_large(most)
            return message

        await self._app(scope, bounded, send)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes")
