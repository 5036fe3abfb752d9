"""Generations on a server, in the client's local mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m

from rag.errors import StoreError
from rag.store import aliases

ONE = "reindex-00000001"


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:")
    for name in ("docs", ONE, f"other--{ONE}", f"docs--{ONE}", "docs--notes"):
        client.create_collection(
            name, vectors_config=m.VectorParams(size=2, distance=m.Distance.COSINE)
        )
    yield client
    client.close()


def test_only_collections_of_this_index_are_deleted(client: QdrantClient) -> None:
    aliases.clear(client, "docs")
    left = {each.name for each in client.get_collections().collections}
    assert left == {"docs", ONE, f"other--{ONE}", "docs--notes"}


@pytest.mark.parametrize("collection", [ONE, f"other--{ONE}", "docs--notes"])
def test_an_alias_that_leads_elsewhere_is_not_followed(
    client: QdrantClient, collection: str
) -> None:
    made = m.CreateAlias(collection_name=collection, alias_name="docs--served")
    client.update_collection_aliases([m.CreateAliasOperation(create_alias=made)])
    with pytest.raises(StoreError, match=f"docs--served leads to {collection}, no index of 'docs'"):
        aliases.read(client, "docs")
