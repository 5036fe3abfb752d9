from __future__ import annotations

import asyncio

import pytest

from pipelines.serve.limits import RateLimit, Slots
from pipelines.serve.problems import Problem


def test_so_many_are_answered_so_many_wait_and_one_more_is_refused() -> None:
    async def run() -> None:
        slots = Slots(2, 1)
        first, _ = await slots.take(), await slots.take()
        third = asyncio.create_task(slots.take())
        await asyncio.sleep(0)
        assert not third.done()
        with pytest.raises(Problem) as refused:
            await slots.take()
        assert refused.value.status == 503
        assert int(refused.value.headers["Retry-After"]) >= 1
        first()
        (await third)()
        assert slots.taken == 1
        await slots.take()

    asyncio.run(run())


def test_who_is_here_has_a_place_to_wait_in() -> None:
    """However late it asks for one: none that was let in is refused then."""
    slots = Slots(1, 1)
    slots.require_room()
    with slots.entered(), slots.entered():
        with pytest.raises(Problem):
            slots.require_room()
        with pytest.raises(Problem), slots.entered():
            pass
    slots.require_room()
    assert slots.taken == 0


def test_who_gives_up_waiting_leaves_room() -> None:
    async def run() -> None:
        slots = Slots(1, 1)
        held = await slots.take()
        for _ in range(3):
            waiting = asyncio.create_task(slots.take())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert slots.taken == 1
        held()
        assert slots.taken == 0
        (await slots.take())()

    asyncio.run(run())


def test_a_key_has_so_many_requests_a_minute_whatever_others_ask() -> None:
    rate = RateLimit(3)
    for _ in range(3):
        rate.count("one")
    with pytest.raises(Problem) as refused:
        rate.count("one")
    assert refused.value.status == 429
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
    rate.count("other")
    for _ in range(100):
        RateLimit(0).count("one")
