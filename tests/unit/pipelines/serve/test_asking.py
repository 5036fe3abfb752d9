"""Questions against the swap of indexes, and against clients that leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_index import open_tiny

from connectors.base import SourceRef
from pipelines.ingest import ingest
from pipelines.serve import asking
from pipelines.serve.asking import Asked, Desk
from pipelines.serve.streams import begun
from rag.engine import QueryEngine
from rag.generation.extractive import ExtractiveGenerator
from rag.store.edge import EdgeStore
from rag.types import Document

ASKED = Asked("How many arrivals has Varde?")


class _One:
    namespace = "one"

    def list(self) -> list[SourceRef]:
        return [SourceRef("a", "one/a", "a", "1")]

    def covers(self, key: str) -> bool:
        return True

    def fetch(self, ref: SourceRef) -> Document:
        return Document("one", "a", "one/a", "a", "Varde has 412 arrivals.", fingerprint="1")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    index = open_tiny(tmp_path / "index")
    ingest(index, [_One()])
    opened = Desk(index, ExtractiveGenerator())
    yield opened
    opened.close()


def _swap(desk: Desk) -> None:
    store = desk.index.store
    assert isinstance(store, EdgeStore)
    desk.move(desk.index.over(store.moved(store.copied())))


def test_a_question_that_waits_while_indexes_are_swapped_is_answered(desk: Desk) -> None:
    async def run() -> str:
        swapping = threading.Thread(target=_swap, args=(desk,))
        with desk._narrowing:
            swapping.start()
            await asyncio.to_thread(_until_waits, desk)
            asked = asyncio.create_task(desk.answer(ASKED))
            await asyncio.sleep(0.1)
        answer = await asked
        swapping.join()
        return answer.text

    assert "412" in asyncio.run(run())


def test_an_engine_that_is_made_during_a_swap_is_not_kept_on_a_closed_store(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slowly(*arguments: object) -> QueryEngine:
        inside.set()
        go_on.wait()
        return QueryEngine(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(asking, "QueryEngine", slowly)

    async def run() -> list[str]:
        first = asyncio.create_task(desk.answer(ASKED))
        await asyncio.to_thread(inside.wait)
        swapping = threading.Thread(target=_swap, args=(desk,))
        swapping.start()
        await asyncio.sleep(0.1)
        go_on.set()
        texts = [(await first).text]
        await asyncio.to_thread(swapping.join)
        return [*texts, (await desk.answer(ASKED)).text]

    assert all("412" in text for text in asyncio.run(run()))


def test_nothing_is_searched_for_who_left_while_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []
    monkeypatch.setattr(type(desk.index), "search", lambda *_, **__: searched.append("x") or [])

    async def run() -> None:
        with desk._narrowing:
            waiting = [
                asyncio.create_task(desk.search("x", None, ())),
                asyncio.create_task(desk.answer(ASKED)),
            ]
            await asyncio.sleep(0.1)
            assert desk.slots.taken == 2
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        while desk.slots.taken:
            await asyncio.sleep(0.01)

    asyncio.run(run())
    assert searched == []


def test_who_leaves_before_the_first_event_stops_the_question(desk: Desk) -> None:
    async def run() -> None:
        with desk._narrowing:
            waiting = asyncio.create_task(begun(desk.ask(ASKED)))
            await asyncio.sleep(0.1)
            assert desk.slots.taken == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        while desk.slots.taken:
            await asyncio.sleep(0.01)

    asyncio.run(run())


def _until_waits(desk: Desk) -> None:
    """Until the copy is made, and the swap waits for its turn: then a question is behind it."""
    root = desk.index.settings.store.path
    while not (root / "generations.json").is_file():
        threading.Event().wait(0.01)
