"""Generations on a server: a collection each, and aliases that say which is served and kept.

The first is the collection that the settings name, as it has always been. The others are called
`NAME--reindex-` and eight random digits; the alias `NAME--served` leads to the one that is served,
`NAME--kept` to the one that is kept. Both are changed in one request, which the server does whole
or not at all.
"""

from __future__ import annotations

from qdrant_client import QdrantClient
from qdrant_client import models as m

from rag.errors import StoreError
from rag.store.generations import FIRST, Generations, is_rebuilt

__all__ = ["abandon", "clear", "collection_of", "read", "write"]


def collection_of(name: str, generation: str) -> str:
    """The collection of a generation of the index `name`."""
    return f"{name}--{generation}" if generation else name


def read(client: QdrantClient, name: str) -> Generations:
    """What the aliases of the index `name` say.

    Raises:
        StoreError: one of them leads to what is none of its collections.
    """
    found = {}
    for role, collection in _aliases(client, name).items():
        generation = _generation(name, collection)
        if generation is None:
            raise StoreError(
                f"the alias {_alias(name, role)} leads to {collection}, no index of {name!r}",
                hint="delete that alias; without one, the first index is served",
            )
        found[role] = generation
    return Generations(found.get("served", FIRST), found.get("kept"))


def write(client: QdrantClient, name: str, generations: Generations) -> None:
    """Say which generation is served and which is kept, in one request."""
    wanted = {"served": generations.served}
    if generations.kept is not None:
        wanted["kept"] = generations.kept
    operations: list[m.AliasOperations] = [
        m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name=_alias(name, role)))
        for role in _aliases(client, name)
    ]
    operations += [
        m.CreateAliasOperation(
            create_alias=m.CreateAlias(
                collection_name=collection_of(name, generation), alias_name=_alias(name, role)
            )
        )
        for role, generation in wanted.items()
    ]
    client.update_collection_aliases(operations)


def clear(client: QdrantClient, name: str) -> None:
    """Delete what was never finished: rebuilt collections that are neither served nor kept."""
    for collection in client.get_collections().collections:
        generation = _generation(name, collection.name)
        if generation is not None:
            abandon(client, name, generation)


def abandon(client: QdrantClient, name: str, generation: str) -> None:
    """Delete one rebuilt collection, unless it is served or kept.

    The aliases are read each time, as late as can be: another run may have changed them.
    """
    if is_rebuilt(generation) and not read(client, name).needs(generation):
        client.delete_collection(collection_of(name, generation))


def _aliases(client: QdrantClient, name: str) -> dict[str, str]:
    """Those of "served" and "kept" that there are, and the collection each leads to."""
    every = {each.alias_name: each.collection_name for each in client.get_aliases().aliases}
    return {
        role: every[_alias(name, role)]
        for role in ("served", "kept")
        if _alias(name, role) in every
    }


def _alias(name: str, role: str) -> str:
    return f"{name}--{role}"


def _generation(name: str, collection: str) -> str | None:
    """The reverse of `collection_of`; none for what is no collection of this index."""
    generation = collection.removeprefix(name).removeprefix("--")
    ours = generation == FIRST or is_rebuilt(generation)
    return generation if ours and collection == collection_of(name, generation) else None
