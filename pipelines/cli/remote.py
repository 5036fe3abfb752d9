"""Commands that are put to a running `rag serve`, which owns the index."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.run import Run
from rag.errors import (
    ConfigError,
    DocumentError,
    IndexMismatch,
    IndexMissing,
    ModelError,
    RagError,
    SourceError,
    StoreError,
    StoreLocked,
    UsageError,
)

if TYPE_CHECKING:  # slow, and `rag --help` needs none of it
    import httpx

    from pipelines.ingest import Progress
    from rag.settings import ClientSettings

__all__ = ["Remote", "Server", "remote", "server_of"]

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Put it to the `rag serve` there."),
]
"""The option of commands that can be put to a server; `client.server` is its default."""

_ERRORS: Mapping[str, type[RagError]] = {
    each.code: each
    for each in (
        ConfigError, DocumentError, IndexMismatch, IndexMissing, ModelError, SourceError,
        StoreError, StoreLocked, UsageError,
    )
} | {"unauthorized": ConfigError, "forbidden": ConfigError, "not_found": UsageError}  # fmt: skip
_POLL = 0.5  # seconds between two looks at a job


class Remote:
    """A server, as the commands need it.

    Every call raises the error that the command itself would have raised there; one that is the
    server's own (too many questions, too late) is a StoreError.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """As `POST /v1/search` answers."""
        return self._sent("POST", "/v1/search", body)

    def query(self, body: dict[str, Any]) -> dict[str, Any]:
        """As `POST /v1/query` answers."""
        return self._sent("POST", "/v1/query", body)

    def ingest(self, body: dict[str, Any], progress: Progress | None) -> dict[str, Any]:
        """The report of a job, once it is at its end.

        Raises:
            RagError: the job failed.
        """
        job = self._sent("POST", "/v1/ingest", body)
        told = 0.0
        started = False
        while job["state"] not in ("done", "failed"):
            time.sleep(_POLL)
            job = self._sent("GET", f"/v1/jobs/{job['id']}")
            if progress and job["total"] and not started:
                progress.start(job["total"])
                started = True
            if progress and started:
                progress.advance(job["done"] - told)
                told = job["done"]
        if job["state"] == "failed":
            error = job["error"]
            raise _error(error["code"], error["message"], error["hint"])
        report: dict[str, Any] = job["report"]
        return report

    def _sent(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        import httpx

        try:
            answer = self._client.request(method, path, json=body)
            told = answer.json()
        except httpx.HTTPError as error:
            raise StoreError(
                f"{self._client.base_url} does not answer: {error or type(error).__name__}",
                hint="check --server, and that `rag serve` runs there",
            ) from None
        except ValueError:
            raise StoreError(
                f"{self._client.base_url} answers with status {answer.status_code} and no JSON",
                hint="check that --server is the address of `rag serve`",
            ) from None
        if not isinstance(told, dict) or not (answer.is_error or answer.is_success):
            raise StoreError(
                f"{self._client.base_url} answers with status {answer.status_code}, and strangely",
                hint="check that --server is the address of `rag serve`",
            )
        if answer.is_error:
            raise _error(str(told.get("code", "")), str(told.get("detail", answer.status_code)))
        return told


def server_of(run: Run, given: str | None) -> ClientSettings | None:
    """The server a command is to be put to, or None: it is run here."""
    client = run.settings.client
    client = client if given is None else client.model_copy(update={"server": given})
    return client if client.server else None


@contextmanager
def remote(settings: ClientSettings) -> Iterator[Remote]:
    """The server that the settings name.

    Raises:
        UsageError: its address is none.
    """
    import httpx

    if not settings.server.startswith(("http://", "https://")):
        raise UsageError(f"{settings.server} is no address", hint="write http://HOST:PORT")
    key = settings.api_key.get_secret_value()
    if not key.isascii():
        raise ConfigError("client.api_key is no key of `rag serve`", hint="it has ASCII only")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        client = httpx.Client(
            base_url=settings.server, headers=headers, timeout=settings.timeout, trust_env=False
        )
    except httpx.InvalidURL as error:
        raise UsageError(
            f"{settings.server} is no address: {error}", hint="write http://HOST:PORT"
        ) from None
    with client:
        yield Remote(client)


def _error(code: str, message: str, hint: str = "") -> RagError:
    return _ERRORS.get(code, StoreError)(message, hint=hint)
