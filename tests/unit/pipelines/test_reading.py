from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from time import sleep

import pytest

from connectors.base import SourceRef
from pipelines.reading import read_ahead
from pipelines.sync import Task
from rag.errors import DocumentError
from rag.types import Document


class Place:
    """Documents of chosen lengths; notes how much was read and not yet taken."""

    namespace = "place"

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self.read = self.taken = self.most = 0
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def list(self) -> Iterable[SourceRef]:
        return [SourceRef(str(n), str(n), str(n), "") for n in range(len(self.lengths))]

    def covers(self, key: str) -> bool:
        return True

    def fetch(self, ref: SourceRef) -> Document:
        number = int(ref.key)
        sleep(0.001 * (number % 3))  # so that they end in another order
        if number % 10 == 7:
            raise DocumentError(f"no {number}")
        if number % 10 == 8:
            raise ZeroDivisionError("a bug\nof the connector")
        with self._lock:
            self.read += self.lengths[number]
            self.most = max(self.most, self.read - self.taken)
            self.threads.add(threading.get_ident())
        return Document("place", ref.key, ref.key, ref.key, "x" * self.lengths[number])

    def tasks(self) -> list[Task]:
        return [Task(ref, None) for ref in self.list()]


class Batches(Place):
    """One that gets four at a time."""

    batch = 4

    def __init__(self, lengths: Sequence[int]) -> None:
        super().__init__(lengths)
        self.prepared: list[list[str]] = []

    def prepare(self, refs: Sequence[SourceRef]) -> None:
        self.prepared.append([ref.key for ref in refs])
        if "4" in self.prepared[-1]:
            raise DocumentError("that batch cannot be had")


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_documents_come_in_order_and_failures_in_their_place(workers: int) -> None:
    place = Place([5] * 30)
    read = list(read_ahead(place, place.tasks(), workers=workers, most_characters=1_000))
    assert [task.ref.key for task, _ in read] == [str(n) for n in range(30)]
    for number, (_, found) in enumerate(read):
        if number % 10 == 7:
            assert str(found) == f"no {number}"
        elif number % 10 == 8:
            assert str(found) == "unexpected ZeroDivisionError: a bug"
        else:
            assert isinstance(found, Document)
    if workers == 3:
        assert 1 < len(place.threads) <= 3


@pytest.mark.parametrize("most", [1, 50, 100])
def test_what_waits_is_bounded_whoever_is_slow(most: int) -> None:
    place = Place([10] * 60)
    for _, found in read_ahead(place, place.tasks(), workers=4, most_characters=most):
        sleep(0.002)  # embedding
        if isinstance(found, Document):
            with place._lock:
                place.taken += len(found.text)
    # What may wait, one document a worker, and the one in the consumer's hands.
    assert place.most <= most + 5 * 10


def test_a_document_larger_than_all_that_may_wait_is_read_all_the_same() -> None:
    place = Place([10, 5_000, 10, 7_000, 10])
    read = list(read_ahead(place, place.tasks(), workers=2, most_characters=20))
    assert [len(found.text) for _, found in read if isinstance(found, Document)] == place.lengths


def test_whoever_stops_early_waits_for_no_more_than_is_under_way() -> None:
    place = Place([10] * 500)
    reading = read_ahead(place, place.tasks(), workers=2, most_characters=30)
    for _ in range(3):
        next(reading)
    reading.close()
    assert place.read <= 10 * 12
    assert not [each for each in threading.enumerate() if each.name.startswith("read")]


def test_batches_are_prepared_in_order_and_a_failed_one_is_fetched_one_by_one() -> None:
    place = Batches([5] * 10)
    read = list(read_ahead(place, place.tasks(), workers=4, most_characters=1_000))
    assert place.prepared == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert [task.ref.key for task, _ in read] == [str(n) for n in range(10)]
    assert sum(isinstance(found, Document) for _, found in read) == 8
    assert len(place.threads) == 1


def test_nothing_to_read_is_nothing_read() -> None:
    place = Place([])
    assert list(read_ahead(place, [], workers=4, most_characters=10)) == []
