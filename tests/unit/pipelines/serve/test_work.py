"""What the process that writes does with a job, where the index is swapped meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pipe

import pytest
from qdrant_client import QdrantClient
from tiny_index import TinyEmbedder

from pipelines.ingest import ingest
from pipelines.serve import work
from pipelines.serve.brought import BroughtDocuments, namespace_of
from pipelines.serve.jobs import Brought, Request
from rag.errors import StoreAway
from rag.ids import document_id
from rag.index import Index, index_manifest
from rag.settings import Settings
from rag.store.server import ServerStore

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")

NOTE = (Brought(id="a", text="The harbour office at Varde recorded 412 arrivals."),)
DOC = document_id(namespace_of(""), "a")


@pytest.fixture
def index() -> Iterator[Index]:
    settings, embedder = Settings(chunking={"size": 40}), TinyEmbedder()
    client = QdrantClient(":memory:")
    store = ServerStore(client, "index")
    store.prepare(index_manifest(settings, embedder, embedder.dimension))
    with Index(settings, store, embedder) as made:
        ingest(made, [BroughtDocuments(NOTE, "")])
        yield made


@pytest.mark.parametrize(
    "request_",
    [Request(kind="delete", doc_id=DOC), Request(kind="ingest", documents=NOTE)],
    ids=lambda request: request.kind,
)
def test_what_is_done_to_an_index_that_is_served_no_more_is_not_done(
    index: Index, request_: Request
) -> None:
    line, _ = Pipe()
    with index.store.beside(replace(index.store.manifest(), embedder="other:1")) as beside:
        index.store.serve(beside.generation)
    with pytest.raises(StoreAway, match="another index is served"):
        work._done(index, request_, work._Told("job", line))
