from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rag.generation.streaming import parts_of


def test_parts_come_in_order_and_then_it_ends() -> None:
    def write(emit: Callable[[int], bool]) -> None:
        for number in range(100):
            assert emit(number) is False

    assert list(parts_of(write)) == list(range(100))


def test_what_goes_wrong_is_raised_after_what_came_before() -> None:
    def write(emit: Callable[[str], bool]) -> None:
        emit("first")
        raise ZeroDivisionError("gone")

    parts = parts_of(write)
    assert next(parts) == "first"
    with pytest.raises(ZeroDivisionError, match="gone"):
        next(parts)


def test_who_leaves_early_stops_the_engine() -> None:
    ended = threading.Event()

    def write(emit: Callable[[int], bool]) -> None:
        number = 0
        while not emit(number):
            number += 1
        ended.set()

    parts = parts_of(write)
    assert next(parts) == 0
    parts.close()  # type: ignore[attr-defined]  # a generator
    assert ended.wait(timeout=30)


def test_an_engine_that_does_not_hear_is_not_waited_for() -> None:
    never = threading.Event()

    def write(emit: Callable[[int], bool]) -> None:
        emit(1)
        never.wait(timeout=60)

    parts = parts_of(write)
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert not never.is_set()
    never.set()


def test_an_interrupt_is_heard_while_an_engine_is_busy() -> None:
    program = """
import sys, time
from rag.generation.streaming import parts_of

def write(emit):
    print("busy", flush=True)
    time.sleep(600)

try:
    list(parts_of(write))
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    pipe: Any = subprocess.PIPE

    def heard() -> None:  # also where the suite runs in the background, and ignores interrupts
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=pipe, text=True, preexec_fn=heard) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out == "interrupted\n"
    assert process.returncode == 0
