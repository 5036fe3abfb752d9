"""Server-sent events, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.sse import format_sse_event

__all__ = ["begun", "event", "kept_alive", "unless_gone"]

_LINE_ENDS = {each: f"\\u{each:04x}" for each in (0x85, 0x2028, 0x2029)}
"""No line ends for these events, but for clients that cut lines as Unicode has it."""

_PING = b": still at it\n\n"
_PING_SECONDS = 15.0  # proxies give up on a silent answer after 30 or 60

Result = TypeVar("Result")
Item = TypeVar("Item")


def event(data: Any, name: str | None = None) -> bytes:
    """One event; `data` as JSON, text as it is."""
    told = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    told = told.translate(_LINE_ENDS)
    return format_sse_event(data_str=told, event=name)


async def begun(items: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
    """The same items, the first waited for a while: what fails by then is the request's error."""
    first = asyncio.ensure_future(anext(items))

    async def let_go() -> None:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await items.aclose()

    async def all_of_them() -> AsyncGenerator[Item, None]:
        try:
            yield await first
            async for item in items:
                yield item
        finally:
            await let_go()

    try:
        await asyncio.wait({first}, timeout=_PING_SECONDS)
        if first.done():
            first.result()
    except BaseException:
        await let_go()
        raise
    return all_of_them()


async def kept_alive(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The same parts, and a comment wherever they are long in coming."""
    waiting = asyncio.ensure_future(anext(parts, None))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=_PING_SECONDS)
            if not done:
                yield _PING
                continue
            part = waiting.result()
            if part is None:
                return
            yield part
            waiting = asyncio.ensure_future(anext(parts, None))
    finally:
        waiting.cancel()


async def unless_gone(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What it comes to; it is cancelled, and None comes back, where the client hangs up first."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
