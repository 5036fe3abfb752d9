from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from connectors.net.throttle import Throttle


def test_calls_are_spaced_evenly_also_across_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    throttle = Throttle(4.0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: throttle.wait(), range(5)))
    assert sorted(slept) == [0.25, 0.5, 0.75, 1.0]


def test_there_need_be_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    throttle = Throttle(None)
    throttle.wait()
    throttle.wait()
    assert slept == []
