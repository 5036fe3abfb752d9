"""Keeping up with a server: what another process has had served there is taken up."""

from __future__ import annotations

import asyncio
import logging

from pipelines.serve.asking import Desk
from rag.errors import RagError
from rag.index import open_again

__all__ = ["keep_up"]

_LOOK = 5.0  # seconds between two looks; each is one small request

logger = logging.getLogger(__name__)


async def keep_up(desk: Desk) -> None:
    """Have a desk answer from what is served, whatever that is by now, until cancelled.

    An embedded index needs none of it: nobody else can have another served while it is open.
    """
    told = dict.fromkeys(desk.indexes, "")
    while True:
        await asyncio.sleep(_LOOK)
        for route in told:
            told[route] = await _kept_up(desk, route, told[route])


async def _kept_up(desk: Desk, route: str, told: str) -> str:
    """Look at one index; what went wrong, which is told once: a server may be away for hours."""
    look = asyncio.ensure_future(asyncio.to_thread(_look, desk, route))
    whose = f"of {route} " if route else ""
    try:
        await asyncio.shield(look)
    except asyncio.CancelledError:
        await asyncio.gather(look, return_exceptions=True)  # its thread does not end with us
        raise
    except RagError as error:
        if str(error) != told:
            logger.error("what is served now %scannot be taken up: %s", whose, error)  # noqa: TRY400
        return str(error)
    except Exception:
        logger.exception("what is served now %scannot be taken up", whose)
    return ""


def _look(desk: Desk, route: str) -> None:
    """Take up another index, if one is served. Questions wait for it only to change places.

    Raises:
        RagError: it cannot be looked for or opened; the desk goes on with what it has.
    """
    now = desk.indexes[route]
    if now.store.is_served():
        return
    index = open_again(now.given, now.embedder, as_built=now.as_built)
    try:
        index.embedder.load()
    except BaseException:
        index.close()
        raise
    if index.embedder is now.embedder:
        index = index.sharing(now.embedder, now.sentences)
    desk.move(index, route)
    whose = f" of {route}" if route else ""
    logger.warning(
        "another index%s is served now, built with %s", whose, index.embedder.fingerprint
    )
