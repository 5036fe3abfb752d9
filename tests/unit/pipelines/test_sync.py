from __future__ import annotations

from collections.abc import Sequence

import pytest

from connectors.base import SourceRef
from pipelines.sync import Plan, Task, guard_prune, plan
from rag.errors import DocumentError, UsageError
from rag.ids import document_id
from rag.store import DocumentRecord


def ref(key: str, fingerprint: str = "1", problem: str = "", source: str = "") -> SourceRef:
    name = key.removeprefix("/docs/")
    return SourceRef(
        key, source or key, name, fingerprint, DocumentError(problem) if problem else None
    )


def record(
    key: str, revision: str = "r", fingerprint: str = "1", *, live: bool = True
) -> DocumentRecord:
    return DocumentRecord(
        doc_id=document_id("file", key),
        namespace="file",
        key=key,
        source=key,
        name=key.removeprefix("/docs/"),
        revision=revision,
        fingerprint=fingerprint,
        meta_digest="",
        tokens=9 if live else 0,
        live=live,
    )


def planned(listing: Sequence[SourceRef], actual: Sequence[DocumentRecord]) -> Plan:
    return plan("file", listing, actual, lambda key: key.startswith("/docs/"))


def test_a_document_that_is_not_stored_is_a_task_without_a_served_revision() -> None:
    assert planned([ref("/docs/a")], []) == Plan(tasks=[Task(ref("/docs/a"), None)])


def test_a_document_with_the_same_fingerprint_is_unchanged() -> None:
    assert planned([ref("/docs/a")], [record("/docs/a")]) == Plan(unchanged=[record("/docs/a")])


def test_a_document_with_another_fingerprint_is_a_task() -> None:
    old = record("/docs/a", fingerprint="0")
    assert planned([ref("/docs/a")], [old]) == Plan(tasks=[Task(ref("/docs/a"), old)])


def test_a_new_spelling_of_the_source_is_a_task() -> None:
    listed = ref("/docs/a", source="./docs/a")
    assert planned([listed], [record("/docs/a")]).tasks == [Task(listed, record("/docs/a"))]


def test_a_served_document_that_is_not_listed_has_vanished() -> None:
    assert planned([], [record("/docs/a")]) == Plan(vanished=[record("/docs/a")])


def test_a_document_outside_the_scope_is_left_alone_live_or_not() -> None:
    outside = [record("/other/a"), record("/other/b", live=False)]
    assert planned([], outside) == Plan()


def test_the_same_key_in_another_namespace_is_another_document() -> None:
    listed = ref("/docs/a")
    found = plan("jsonl:/docs", [listed], [], lambda key: True)
    assert found.tasks == [Task(listed, None)]
    # A record that the caller let in from elsewhere is not taken for it.
    assert plan("jsonl:/docs", [listed], [record("/docs/a")], lambda key: True).unchanged == []


def test_a_document_with_a_problem_is_refused_and_what_is_served_of_it_stays() -> None:
    bad = ref("/docs/a", problem="symlink leaves the folder")
    assert planned([bad], [record("/docs/a")]) == Plan(refused=[bad])
    assert planned([bad], []) == Plan(refused=[bad])


def test_nothing_has_vanished_while_a_listed_document_cannot_be_told_from_it() -> None:
    nameless = SourceRef("", "/docs/rows:3", "rows:3", "", DocumentError("not JSON"))
    assert planned([nameless], [record("/docs/a")]) == Plan(refused=[nameless])
    assert planned([nameless, ref("/docs/a")], [record("/docs/a")]).unchanged == [record("/docs/a")]


def test_a_revision_that_was_never_committed_is_a_leftover() -> None:
    staged = record("/docs/a", "new", "2", live=False)
    old = record("/docs/a", "old", "1")
    listed = ref("/docs/a", "2")
    for actual in ([staged, old], [old, staged]):
        assert planned([listed], actual) == Plan(tasks=[Task(listed, old)], leftovers=[staged])
    assert planned([listed], [staged]) == Plan(tasks=[Task(listed, None)], leftovers=[staged])
    # Its file may be gone by now.
    assert planned([], [staged]) == Plan(leftovers=[staged])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_live_revisions_the_one_the_listing_knows_is_kept(order: int) -> None:
    old, new = record("/docs/a", "old", "1"), record("/docs/a", "new", "2")
    actual = [old, new][::order]
    assert planned([ref("/docs/a", "2")], actual) == Plan(unchanged=[new], leftovers=[old])
    assert planned([ref("/docs/a", "1")], actual) == Plan(unchanged=[old], leftovers=[new])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_live_revisions_that_the_listing_does_not_know_one_is_kept(order: int) -> None:
    both = [record("/docs/a", "old", "1"), record("/docs/a", "new", "2")][::order]
    changed = planned([ref("/docs/a", "3")], both)
    assert [task.ref for task in changed.tasks] == [ref("/docs/a", "3")]
    assert sorted([changed.tasks[0].served, *changed.leftovers], key=str) == sorted(both, key=str)
    gone = planned([], both)
    assert sorted(gone.vanished + gone.leftovers, key=str) == sorted(both, key=str)
    assert len(gone.vanished) == 1


def test_the_lines_name_every_document_that_is_touched_and_no_other() -> None:
    found = planned(
        [ref("/docs/add"), ref("/docs/check", "2"), ref("/docs/bad", problem="leads nowhere"),
         ref("/docs/same")],
        [record("/docs/check"), record("/docs/gone"), record("/docs/half", live=False),
         record("/docs/same")],
    )  # fmt: skip
    assert list(found.lines(prune=True)) == [
        "add    /docs/add",
        "check  /docs/check",
        "retire /docs/gone",
        "refuse /docs/bad: leads nowhere",
        "clean  /docs/half (an unfinished write)",
    ]
    assert "gone   /docs/gone" in found.lines(prune=False)
    assert not list(planned([ref("/docs/same")], [record("/docs/same")]).lines(prune=True))


def with_vanished(gone: int, known: int) -> Plan:
    records = [record(f"/docs/{number}") for number in range(known)]
    return Plan(vanished=records[:gone], unchanged=records[gone:])


@pytest.mark.parametrize(
    ("gone", "known", "fraction"),
    [
        (1, 5, 0.2), (20, 100, 0.2), (3, 15, 0.2), (7, 35, 0.2),
        (29, 100, 0.29), (57, 100, 0.57), (58, 100, 0.58),  # 0.29 * 100 < 29 in floats
        (1, 3, 1 / 3), (0, 0, 0.0), (0, 9, 0.0), (9, 9, 1.0),
    ],
)  # fmt: skip
def test_the_guard_lets_exactly_the_fraction_go_and_not_one_more(
    gone: int, known: int, fraction: float
) -> None:
    guard_prune(with_vanished(gone, known), fraction)
    if gone < known:
        with pytest.raises(UsageError, match=f"retire {gone + 1} of {known} documents"):
            guard_prune(with_vanished(gone + 1, known), fraction)


def test_the_guard_counts_changed_documents_as_known_and_new_ones_not() -> None:
    changed = [Task(ref(f"/docs/{n}"), record(f"/docs/{n}", fingerprint="0")) for n in range(4)]
    new = [Task(ref(f"/docs/new-{n}"), None) for n in range(90)]
    gone = [record("/docs/gone")]
    guard_prune(Plan(tasks=[*changed, *new], vanished=gone), 0.2)
    with pytest.raises(UsageError, match="retire 1 of 4 documents"):
        guard_prune(Plan(tasks=[*changed[:3], *new], vanished=gone), 0.2)


def test_the_guard_says_how_to_go_on() -> None:
    with pytest.raises(UsageError) as raised:
        guard_prune(with_vanished(1, 1), 0.2)
    assert "--yes" in raised.value.hint
