"""A stand-in for a Qdrant server: its REST API over the local mode of its own client.

It proves that our way over HTTP works: requests and answers as they go over the wire, keys,
several processes at one store, a server that goes away and comes back. It proves nothing about
Qdrant's engine. Where SPANRAG_TEST_QDRANT_URL names a real server, the same tests ask that one.

Only what `rag/store/server.py` calls is there. What Qdrant checks while it reads a request, its
client's models check here. One request is served at a time, as the local mode wants it.

    QDRANT__SERVICE__API_KEY=... python qdrant_stand_in.py --port 6333 --path FOLDER
"""

from __future__ import annotations

import argparse
import hmac
import os
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import uvicorn
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.http import models as wire
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

__all__ = ["create_app"]

_KEY = "QDRANT__SERVICE__API_KEY"
_PROBES = ("/healthz", "/livez", "/readyz")
_ONE = "/collections/{collection_name}"
_POINTS = f"{_ONE}/points"


class _Call(NamedTuple):
    """A request as a call of the client: `whole` is the argument that takes all of the body."""

    method: str
    path: str
    name: str
    body: Any = None
    renamed: Mapping[str, str] = {}
    whole: str = ""
    told: Callable[[Any], Any] = lambda result: result

    def arguments(self, content: bytes) -> dict[str, Any]:
        if self.body is None:
            return {}
        read = TypeAdapter(self.body).validate_json(content)
        if self.whole:
            return {self.whole: read}
        given = {field: getattr(read, field) for field in read.model_fields_set}
        return {self.renamed.get(name, name): value for name, value in given.items()}


_VECTORS = {"vectors": "vectors_config", "sparse_vectors": "sparse_vectors_config"}
_CALLS = (
    _Call("GET", "/collections", "get_collections"),
    _Call("GET", "/aliases", "get_aliases"),
    _Call("POST", "/collections/aliases", "update_collection_aliases", wire.ChangeAliasesOperation,
          {"actions": "change_aliases_operations"}),
    _Call("GET", _ONE, "get_collection"),
    _Call("PUT", _ONE, "create_collection", wire.CreateCollection, _VECTORS),
    _Call("PATCH", _ONE, "update_collection", wire.UpdateCollection, _VECTORS),
    _Call("DELETE", _ONE, "delete_collection"),
    _Call("GET", f"{_ONE}/exists", "collection_exists", told=lambda there: {"exists": there}),
    _Call("PUT", f"{_ONE}/index", "create_payload_index", wire.CreateFieldIndex),
    _Call("PUT", _POINTS, "upsert", wire.PointsList),
    _Call("POST", _POINTS, "retrieve", wire.PointRequest, {"with_vector": "with_vectors"}),
    _Call("POST", f"{_POINTS}/batch", "batch_update_points", wire.UpdateOperations,
          {"operations": "update_operations"}),
    _Call("POST", f"{_POINTS}/payload", "set_payload", wire.SetPayload, {"filter": "points"}),
    _Call("POST", f"{_POINTS}/delete", "delete", m.PointsSelector, whole="points_selector"),
    _Call("POST", f"{_POINTS}/count", "count", wire.CountRequest, {"filter": "count_filter"}),
    _Call("POST", f"{_POINTS}/scroll", "scroll", wire.ScrollRequest,
          {"filter": "scroll_filter", "with_vector": "with_vectors"},
          told=lambda page: dict(zip(("points", "next_page_offset"), page, strict=True))),
    _Call("POST", f"{_POINTS}/query", "query_points", wire.QueryRequest,
          {"filter": "query_filter", "with_vector": "with_vectors", "params": "search_params"}),
    _Call("POST", f"{_POINTS}/query/batch", "query_batch_points", wire.QueryRequestBatch,
          {"searches": "requests"}),
)  # fmt: skip


def create_app(client: QdrantClient, key: str = "") -> Starlette:
    """The API over a client in local mode; whoever asks has to have the key, if there is one."""

    def route(call: _Call) -> Route:
        async def answer(request: Request) -> Response:
            if key and not _has_key(request, key):
                return PlainTextResponse("Invalid API key or JWT", 401)
            try:
                arguments = call.arguments(await request.body())
                result = getattr(client, call.name)(**request.path_params, **arguments)
            except ValueError as error:  # pydantic's, of what was sent, is one, too
                return _refusal(error)
            content = {"result": to_jsonable_python(call.told(result)), "status": "ok", "time": 0.0}
            return JSONResponse(content)

        return Route(call.path, answer, methods=[call.method])

    async def about(_: Request) -> Response:
        title = "a stand-in for Qdrant, over its client's local mode"
        return JSONResponse({"title": title, "version": version("qdrant-client")})

    async def probe(_: Request) -> Response:
        return PlainTextResponse("passed")

    routes = [route(call) for call in _CALLS]
    return Starlette(routes=[*routes, Route("/", about), *(Route(at, probe) for at in _PROBES)])


def _has_key(request: Request, key: str) -> bool:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    given = request.headers.get("api-key", bearer)
    return hmac.compare_digest(given.encode(), key.encode())


def _refusal(error: ValueError) -> Response:
    """The status that Qdrant would give; the local mode only has words for it."""
    told = str(error)
    if isinstance(error, ValidationError):
        status = 400
    elif "not found" in told:
        status = 404
    else:
        status = 409 if "already exists" in told else 400
    return JSONResponse({"status": {"error": told}, "time": 0.0}, status)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6333)
    parser.add_argument("--path", help="a folder that outlasts a kill; without it, memory")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Payload indexes have no effect", UserWarning)
    client = QdrantClient(path=options.path) if options.path else QdrantClient(":memory:")
    app = create_app(client, os.environ.get(_KEY, ""))
    uvicorn.run(app, host=options.host, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
