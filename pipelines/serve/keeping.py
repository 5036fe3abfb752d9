"""Keeping up with a server: what another process has had served there is taken up."""

from __future__ import annotations

import asyncio
import logging

from pipelines.serve.asking import Desk
from rag.errors import RagError
from rag.index import Index, open_again

__all__ = ["keep_up"]

_LOOK = 5.0  # seconds between two looks; each is one small request

logger = logging.getLogger(__name__)


async def keep_up(desk: Desk) -> None:
    """Have a desk answer from what is served, whatever that is by now, until cancelled.

    An embedded index needs none of it: nobody else can have another served while it is open.
    """
    told = ""
    while True:
        await asyncio.sleep(_LOOK)
        look = asyncio.ensure_future(asyncio.to_thread(_look, desk))
        try:
            await asyncio.shield(look)
            told = ""
        except asyncio.CancelledError:
            await asyncio.gather(look, return_exceptions=True)  # its thread does not end with us
            raise
        except RagError as error:
            if str(error) != told:  # a server may be away for hours
                told = str(error)
                logger.error("what is served now cannot be taken up: %s", told)  # noqa: TRY400
        except Exception:
            logger.exception("what is served now cannot be taken up")


def _look(desk: Desk) -> None:
    """Take up other indexes, if such are served. Questions wait for it only to change places.

    Raises:
        RagError: one cannot be looked for or opened; the desk goes on with what it has.
    """
    errors: list[RagError] = []
    for route, index in desk.indexes.items():
        try:
            _take_up(desk, route, index)
        except RagError as error:  # the others may be there
            errors.append(error)
    if errors:
        raise errors[0]


def _take_up(desk: Desk, route: str, now: Index) -> None:
    if now.store.is_served():
        return
    index = open_again(now.given, now.embedder)
    try:
        index.embedder.load()
    except BaseException:
        index.close()
        raise
    if index.embedder is now.embedder:
        index = now.over(index.store)
    desk.move(index, route)
    logger.warning("another index is served now, built with %s", index.embedder.fingerprint)
