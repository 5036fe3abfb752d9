"""Request bodies: no larger, and no slower, than a question needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.serve.problems import Problem, response

__all__ = ["BoundedBodies"]

_CLOSE = {"Connection": "close"}  # what is left of the body is not waited for
_TWO_LENGTHS = Problem(400, "usage", "the body has two lengths", _CLOSE)
_SECONDS = 30.0  # for a whole body to arrive in


class BoundedBodies:
    """Refuses a body that is too large (413), too long in coming (408) or of two lengths (400).

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
        headers = Headers(scope=scope)
        told = headers.get("content-length", "")
        if told and "transfer-encoding" in headers:
            # What a proxy takes for a body may be a request to us (RFC 9112, 6.1): nobody's key.
            await response(_TWO_LENGTHS)(scope, receive, send)
            return
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
                raise HTTPException(
                    408, "the body was too long in coming", headers=_CLOSE
                ) from None
            size += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if size > most:
                raise _too_large(most)
            return message

        await self._app(scope, bounded, send)


def _too_large(most: int) -> HTTPException:
    return HTTPException(413, f"the body is larger than {most:,} bytes", headers=_CLOSE)
