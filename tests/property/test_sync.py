from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import SourceRef
from pipelines.sync import Plan, plan
from rag.errors import DocumentError
from rag.ids import document_id
from rag.store import DocumentRecord

NAMESPACE = "file"
KEYS = st.sampled_from("abc")
FEW = st.sampled_from("123")
PROBLEM = DocumentError("must not be read")


def _record(key: str, revision: str, mark: str, source: str, live: bool) -> DocumentRecord:
    doc_id = document_id(NAMESPACE, key)
    tokens = 9 * live
    return DocumentRecord(doc_id, NAMESPACE, key, source, key, revision, mark, "", tokens, live)


REFS = st.builds(
    lambda key, mark, source, bad: SourceRef(key, source, key, mark, PROBLEM if bad else None),
    KEYS, FEW, st.sampled_from(["docs", "./docs"]), st.booleans(),
)  # fmt: skip
RECORDS = st.builds(_record, KEYS, FEW, FEW, st.sampled_from(["docs", "./docs"]), st.booleans())
# A listing holds each key once; a store holds each revision of a document once.
LISTINGS = st.lists(REFS, unique_by=lambda ref: ref.key)
STORES = st.lists(RECORDS, unique_by=lambda record: (record.doc_id, record.revision))
SCOPES = st.frozensets(KEYS)

often = settings(max_examples=300)


def planned(listing: list[SourceRef], actual: list[DocumentRecord], scope: frozenset[str]) -> Plan:
    return plan(NAMESPACE, listing, actual, scope.__contains__)


def within(listing: list[SourceRef], scope: frozenset[str]) -> list[SourceRef]:
    """A connector lists only what it covers."""
    return [ref for ref in listing if ref.key in scope]


@often
@given(LISTINGS, STORES, SCOPES)
def test_every_listed_document_is_in_exactly_one_list(listing, actual, scope) -> None:
    listing = within(listing, scope)
    found = planned(listing, actual, scope)
    keys = [task.ref.key for task in found.tasks]
    keys += [record.key for record in found.unchanged]
    keys += [ref.key for ref in found.refused]
    assert Counter(keys) == Counter(ref.key for ref in listing)


@often
@given(LISTINGS, STORES, SCOPES)
def test_what_has_vanished_is_served_and_covered_and_not_listed(listing, actual, scope) -> None:
    listing = within(listing, scope)
    found = planned(listing, actual, scope)
    served = {record.key for record in actual if record.live and record.key in scope}
    assert [record.live for record in found.vanished] == [True] * len(found.vanished)
    assert sorted(record.key for record in found.vanished) == sorted(
        served - {ref.key for ref in listing}
    )


@often
@given(LISTINGS, STORES, SCOPES)
def test_leftovers_are_all_covered_revisions_but_the_one_served(listing, actual, scope) -> None:
    listing = within(listing, scope)
    found = planned(listing, actual, scope)
    covered = [record for record in actual if record.key in scope]
    kept = [record for record in covered if record not in found.leftovers]
    assert [record for record in found.leftovers if record not in covered] == []
    assert len(found.leftovers) + len(kept) == len(covered)
    # Of each document that is served, one live revision is kept; of any other, none.
    assert Counter(record.key for record in kept if record.live) == Counter(
        {record.key for record in covered if record.live}
    )
    assert all(record.live for record in kept)


@often
@given(LISTINGS, STORES, SCOPES)
def test_what_is_kept_of_a_document_is_what_the_plan_says_of_it(listing, actual, scope) -> None:
    listing = within(listing, scope)
    found = planned(listing, actual, scope)
    told = [*found.unchanged, *found.vanished, *found.leftovers]
    told += [task.served for task in found.tasks if task.served]
    refused = {ref.key for ref in found.refused}
    silent = [record for record in actual if record.key in scope and record not in told]
    # A refused document's served revision is in no list: it goes on being served.
    assert {record.key for record in silent} <= refused
    assert len(told) == len(set(told))


@often
@given(LISTINGS, STORES, SCOPES)
def test_documents_outside_the_scope_are_never_touched(listing, actual, scope) -> None:
    found = planned(within(listing, scope), actual, scope)
    touched = [*found.unchanged, *found.vanished, *found.leftovers]
    touched += [task.served for task in found.tasks if task.served]
    assert {record.key for record in touched} <= scope
    inside = [record for record in actual if record.key in scope]
    assert planned(within(listing, scope), inside, scope) == found


@often
@given(LISTINGS, STORES, SCOPES)
def test_only_what_looks_the_same_in_every_way_is_unchanged(listing, actual, scope) -> None:
    listing = within(listing, scope)
    found = planned(listing, actual, scope)
    by_key = {ref.key: ref for ref in listing}
    for record in found.unchanged:
        ref = by_key[record.key]
        assert (record.live, ref.problem) == (True, None)
        assert (record.fingerprint, record.source) == (ref.fingerprint, ref.source)
    alike = {
        record.key
        for record in actual
        if record.live
        and (ref := by_key.get(record.key))
        and ref.problem is None
        and (record.fingerprint, record.source) == (ref.fingerprint, ref.source)
    }
    assert {record.key for record in found.unchanged} == alike


@often
@given(LISTINGS, STORES, SCOPES)
def test_tasks_keep_the_order_of_the_listing(listing, actual, scope) -> None:
    listing = within(listing, scope)
    tasks = [task.ref for task in planned(listing, actual, scope).tasks]
    assert tasks == [ref for ref in listing if ref in tasks]


@often
@given(LISTINGS, STORES, SCOPES)
def test_planning_changes_nothing_and_gives_the_same_again(listing, actual, scope) -> None:
    refs, records = list(listing), list(actual)
    first = planned(listing, actual, scope)
    assert planned(listing, actual, scope) == first
    assert (listing, actual) == (refs, records)


@often
@given(LISTINGS, SCOPES)
def test_a_store_that_holds_the_listing_has_nothing_to_do(listing, scope) -> None:
    listing = [ref for ref in within(listing, scope) if ref.problem is None]
    actual = [_record(ref.key, "1", ref.fingerprint, ref.source, True) for ref in listing]
    assert planned(listing, actual, scope) == Plan(unchanged=actual)
