from __future__ import annotations

from rag.spans import Span
from rag.store import schema
from rag.types import Chunk, Document, Section

DOCUMENT = Document(
    namespace="file",
    key="/a.txt",
    source="a.txt",
    name="a.txt",
    text="One. Two.",
    sections=(Section(Span(0, 4), "First"),),
    pages=(0, 5),
    meta={"year": 2024, "audited": True, "tags": ["x"]},
    fingerprint="mark",
)


def chunk(ordinal: int) -> Chunk:
    span = Span(0, 9)
    return Chunk(
        doc_id=DOCUMENT.id,
        revision=DOCUMENT.revision,
        ordinal=ordinal,
        span=span,
        text=DOCUMENT.text,
        tokens=4,
        source=DOCUMENT.source,
        name=DOCUMENT.name,
        places=DOCUMENT.places(span),
        meta={"year": 2024, "audited": "true", "tags": ["x"]},
    )


def test_a_payload_holds_the_whole_chunk() -> None:
    assert schema.chunk_of(schema.payload_of(DOCUMENT, chunk(3))) == chunk(3)


def test_a_new_chunk_is_staged_and_a_commit_makes_it_live() -> None:
    payload = schema.payload_of(DOCUMENT, chunk(0))
    assert not schema.record_of(payload).live
    served = schema.record_of(payload | schema.committed(42))
    assert (served.live, served.tokens) == (True, 42)


def test_only_chunk_0_speaks_for_the_document() -> None:
    facts = set(schema.document_facts(DOCUMENT))
    assert facts <= set(schema.payload_of(DOCUMENT, chunk(0)))
    assert not facts & set(schema.payload_of(DOCUMENT, chunk(1)))


def test_a_record_needs_no_more_than_the_record_fields() -> None:
    payload = schema.payload_of(DOCUMENT, chunk(0)) | schema.committed(42)
    fetched = {field: payload[field] for field in schema.RECORD_FIELDS if field in payload}
    assert schema.record_of(fetched) == schema.record_of(payload)


def test_what_is_filtered_on_is_indexed() -> None:
    indexed = {*schema.KEYWORD_FIELDS, *schema.INTEGER_FIELDS}
    given = {"state", "doc_id", "revision", "namespace", "ordinal", "source", "name"}
    assert given | {"marks", "twin_of"} == indexed


def test_describing_renews_nothing_that_a_vector_depends_on() -> None:
    described = {**schema.description(DOCUMENT), **schema.document_facts(DOCUMENT)}
    assert not {"text", "start", "end", "tokens", "title", "places", "state"} & set(described)


def test_reserved_points_are_no_chunks_of_any_document() -> None:
    assert schema.MANIFEST_ID != schema.JOURNAL_ID
    assert chunk(0).id not in {schema.MANIFEST_ID, schema.JOURNAL_ID}
