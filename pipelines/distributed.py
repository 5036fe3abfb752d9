"""Ingest past one process, or one machine: the same stages as Ray Data actor pools.

    documents to fetch -> readers -> embedders (a GPU each, by setting) -> writers -> report

What is planned, retired and optimised is decided here, in one place, as in `pipelines.ingest`; only
the work in between is spread. On one small machine Ray only costs.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tenacity

from connectors.base import Connector, Prepares
from pipelines.ingest import (
    Failure,
    IngestReport,
    Listing,
    Progress,
    count_index,
    discard_leftovers,
    ingest,
    list_all,
    plan_all,
)
from pipelines.reading import read_one
from pipelines.sources import connect
from pipelines.sync import Task, guard_prune
from pipelines.twins import Twins
from rag.embedding.registry import load_embedder
from rag.errors import (
    DocumentError,
    ExtraMissing,
    RagError,
    StoreLocked,
    UsageError,
    first_line,
)
from rag.index import EmbeddedChunks, Encoder, Index, open_index
from rag.settings import Settings
from rag.store import open_store
from rag.trace import spanned
from rag.types import Chunk, Document

__all__ = ["ingest_distributed"]

_PATIENCE = 60.0  # seconds that a worker may take to let go of the index
_KNOCK = 5.0  # seconds that a cluster may take to answer at all

_Batch = dict[str, Any]
"""What Ray Data hands on: one column of pickled items."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A document on its way: to be read, read, embedded, or done with."""

    source: str
    task: Task
    document: Document | None = None
    chunks: tuple[Chunk, ...] = ()
    vectors: EmbeddedChunks | None = None
    failure: str = ""
    did: str = ""
    tokens: int = 0
    truncated: int = 0


def ingest_distributed(
    settings: Settings,
    sources: Sequence[str],
    *,
    listings: Sequence[Listing] | None = None,
    prune: bool = False,
    yes: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> IngestReport:
    """As `pipelines.ingest.ingest`, with its stages spread over a Ray cluster.

    Every document is still committed by itself, and a lost worker's documents are done again: ids
    are the same whoever writes them. There are several writers only where `ingest.duplicates` is
    `keep`: links are made by one. A document and its vectors must fit into one process.

    Args:
        settings: `ray` says how many of what, and where; `store` should name a server where the
            cluster is more than this machine.
        sources: as `rag ingest` takes them; every reader opens them for itself.
        listings: what they have just listed, where that is known already.
        prune: retire documents that are gone from their source.
        yes: retire them however many they are.
        progress: hears how far the run is.
        stop: asked after each document; true ends the run early, cleanly.

    Raises:
        ExtraMissing: Ray is not installed.
        UsageError, StoreError, ModelError: as of `ingest`.
    """
    with spanned("rag.ingest") as figures:
        report = _spread(
            settings, sources, listings, prune=prune, yes=yes, progress=progress, stop=stop
        )
        figures |= report.figures
    return report


def _spread(
    settings: Settings,
    sources: Sequence[str],
    listings: Sequence[Listing] | None,
    *,
    prune: bool,
    yes: bool,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> IngestReport:
    began = time.perf_counter()
    report = IngestReport()
    if listings is None:
        listings = list_all([connect(source, settings) for source in sources])
    connectors = [listing.connector for listing in listings]
    with open_index(settings, create=True) as index:
        settings = index.settings  # they name the embedder that the index was built with
        items = _planned(index, sources, listings, report, prune=prune, yes=yes)
    if progress:
        progress.start(len(items))
    with _cluster(settings) as data:
        for item in _flow(data, settings, sources, items):
            _count(report, item)
            if progress:
                progress.advance(1, item.tokens)
            if stop():
                report.interrupted = True
                break
    return _concluded(settings, connectors, report, began, prune=prune, yes=yes)


def _planned(
    index: Index,
    sources: Sequence[str],
    listings: Sequence[Listing],
    report: IngestReport,
    *,
    prune: bool,
    yes: bool,
) -> list[_Item]:
    """What there is to read; leftovers are cleared, and what cannot be listed is said."""
    items: list[_Item] = []
    plans = plan_all(listings, index.store.documents)
    if prune and not yes:
        for _, planned in plans:
            guard_prune(planned, index.settings.ingest.max_delete_fraction)
    for source, (_, planned) in zip(sources, plans, strict=True):
        discard_leftovers(index, planned)
        if planned.unlisted:
            report.failed.append(Failure(source, planned.unlisted))
        report.unchanged += len(planned.unchanged)
        report.failed += [Failure(ref.source, str(ref.problem)) for ref in planned.refused]
        items += [_Item(source, task) for task in planned.tasks]
    return items


def _concluded(
    settings: Settings,
    connectors: Sequence[Connector],
    report: IngestReport,
    began: float,
    *,
    prune: bool,
    yes: bool,
) -> IngestReport:
    """Retire what is gone, read what has lost its original, and count what there is."""
    with _opened_again(settings) as index:
        if not report.interrupted:
            # What is left to do is little: retire what is gone, read copies that became originals.
            rest = ingest(index, connectors, prune=prune, yes=yes)
            report.retired, report.vanished = rest.retired, rest.vanished
            said = {failure.source for failure in report.failed}
            report.failed += [each for each in rest.failed if each.source not in said]
        index.store.optimize()  # what the writers wrote; they are many, or gone
        count_index(index, report)
    report.seconds = time.perf_counter() - began
    return report


def _opened_again(settings: Settings) -> Index:
    """The index, once the worker that owned it is gone: a cluster takes its time to end one."""
    patience = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(StoreLocked),
        wait=tenacity.wait_fixed(0.2),
        stop=tenacity.stop_after_delay(_PATIENCE),
        reraise=True,
    )
    return patience(open_index, settings)


@contextmanager
def _cluster(settings: Settings) -> Iterator[Any]:
    """A running Ray, quiet; one that this process started is stopped at the end."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    try:
        import ray
        import ray.data
    except ImportError:
        raise ExtraMissing("ray", "ray") from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _require_cluster(settings.ray.address)
    ours = not ray.is_initialized()
    if ours:
        ray.init(
            address=settings.ray.address or None,
            include_dashboard=None if settings.ray.address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    try:
        yield ray.data
    finally:
        if ours:
            ray.shutdown()


def _require_cluster(address: str) -> None:
    """Whether anybody answers there; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():  # "auto", or a cluster on this machine
        return
    try:
        socket.create_connection((host, int(port)), timeout=_KNOCK).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster at {address}: {first_line(error)}",
            hint="check ray.address, or leave it out for a cluster on this machine",
        ) from None


def _flow(
    data: Any, settings: Settings, sources: Sequence[str], items: Sequence[_Item]
) -> Iterator[_Item]:
    """The items, when they are done with, in no order."""
    if not items:
        return
    plan = settings.ray
    edge = settings.store.kind == "edge"
    rows = [{"item": pickle.dumps(item)} for item in items]
    blocks = math.ceil(len(rows) / plan.batch_documents)

    def pool(size: int) -> Any:
        return data.ActorPoolStrategy(size=min(size, blocks))

    made = {"batch_format": "numpy", "batch_size": None}
    here = (settings, os.getcwd())
    done = (
        data.from_items(rows, override_num_blocks=blocks)
        .map_batches(
            _Reader,
            fn_constructor_args=(*here, tuple(sources)),
            compute=pool(plan.readers),
            num_cpus=0.25,
            **made,
        )
        .map_batches(
            _Embedder,
            fn_constructor_args=here,
            compute=pool(plan.embedders),
            num_cpus=1,
            num_gpus=plan.gpus_per_embedder or None,
            **made,
        )
        .map_batches(
            _Writer,
            fn_constructor_args=here,
            compute=pool(1 if edge or settings.ingest.duplicates != "keep" else plan.writers),
            num_cpus=0.25,
            **made,
            **(_here() if edge else {}),
        )
    )
    from ray.exceptions import RayError

    try:
        for row in done.iter_rows():
            yield pickle.loads(row["item"])
    except RayError as error:
        last = str(error).strip().splitlines()[-1]
        raise RagError(
            f"a worker of the cluster failed: {last}", hint="mend it, and run this again to go on"
        ) from error


def _here() -> dict[str, Any]:
    """On this machine: an embedded index is a folder of it."""
    import ray

    return {"label_selector": {"ray.io/node-id": ray.get_runtime_context().get_node_id()}}


class _Stage(ABC):
    """An actor: takes a batch of pickled items and gives one back.

    Args:
        settings: as the driver has them.
        folder: the driver's current one, which paths are relative to; it need not be here.
    """

    def __init__(self, settings: Settings, folder: str) -> None:
        self.settings = settings
        if os.path.isdir(folder):
            os.chdir(folder)

    def __call__(self, batch: _Batch) -> _Batch:
        items = self.work([pickle.loads(each) for each in batch["item"]])
        return {"item": np.array([pickle.dumps(item) for item in items], dtype=object)}

    @abstractmethod
    def work(self, items: list[_Item]) -> list[_Item]:
        """Do this stage's part."""


class _Reader(_Stage):
    """Fetches and parses; opens each source once."""

    def __init__(self, settings: Settings, folder: str, sources: Sequence[str]) -> None:
        super().__init__(settings, folder)
        self._connectors = {source: connect(source, settings) for source in sources}

    def work(self, items: list[_Item]) -> list[_Item]:
        """Documents, or why there are none."""
        for source, connector in self._connectors.items():
            refs = [item.task.ref for item in items if item.source == source]
            if isinstance(connector, Prepares):
                for at in range(0, len(refs), connector.batch):
                    with suppress(DocumentError):  # each is then fetched by itself
                        connector.prepare(refs[at : at + connector.batch])
        return [self._read(item) for item in items]

    def _read(self, item: _Item) -> _Item:
        _, found = read_one(self._connectors[item.source], item.task)
        if isinstance(found, DocumentError):
            return replace(item, failure=str(found))
        return replace(item, document=found)


class _Embedder(_Stage):
    """Cuts and embeds a batch of documents at once; those whose text is served are left out."""

    def __init__(self, settings: Settings, folder: str) -> None:
        super().__init__(settings, folder)
        embedder = load_embedder(settings.embedding, offline=settings.offline)
        self._encoder = Encoder(settings, embedder)

    def work(self, items: list[_Item]) -> list[_Item]:
        """Documents with chunks and vectors."""
        cut = [replace(item, chunks=self._cut(item)) for item in items]
        flat = [chunk for item in cut for chunk in item.chunks]
        if not flat:
            return cut
        vectors = self._encoder.embed(flat)
        done, at = list[_Item](), 0
        for item in cut:
            here = slice(at, at + len(item.chunks))
            own = EmbeddedChunks(vectors.dense[here], vectors.lexical[here], 0)
            done.append(replace(item, vectors=own))
            at += len(item.chunks)
        done[0] = replace(done[0], truncated=vectors.truncated)  # of the whole batch
        return done

    def _cut(self, item: _Item) -> tuple[Chunk, ...]:
        served = item.task.served
        if item.document is None:
            return ()
        if served and served.revision == item.document.revision and not served.twin_of:
            return ()
        return tuple(self._encoder.chunk(item.document))


class _Writer(_Stage):
    """Stores what was embedded, document by document."""

    def __init__(self, settings: Settings, folder: str) -> None:
        super().__init__(settings, folder)
        self._store = open_store(settings.store)
        self._twins = Twins(self._store, settings.ingest)

    def work(self, items: list[_Item]) -> list[_Item]:
        """What became of each; their texts and vectors are let go of."""
        done = []
        for item in items:
            outcome = self._written(item)
            tokens = sum(chunk.tokens for chunk in item.chunks)
            bare = replace(outcome, document=None, chunks=(), vectors=None)
            done.append(replace(bare, tokens=tokens))
        return done

    def _written(self, item: _Item) -> _Item:
        document, served = item.document, item.task.served
        if document is None:
            return item
        if served and served.revision == document.revision and not served.twin_of:
            self._twins.renew(document, served)
            return replace(item, did="unchanged")
        stays = served is not None and self._twins.stays(document, served)
        if not stays and (original := self._twins.find(document)):
            self._twins.link(document, original)
            return replace(item, did="linked")
        tokens = sum(chunk.tokens for chunk in item.chunks)
        if item.vectors is None or not tokens:
            return replace(item, failure="no words in it")
        vectors, marks = item.vectors, self._twins.marks(document)
        self._store.stage(document, item.chunks, vectors.dense, vectors.lexical, marks)
        self._twins.settle(document, served, tokens, stays=stays)
        return replace(item, did="replaced" if served else "added")


def _count(report: IngestReport, item: _Item) -> None:
    report.truncated += item.truncated
    report.embedded_tokens += item.tokens
    if item.failure:
        report.failed.append(Failure(item.task.ref.source, item.failure))
    else:
        setattr(report, item.did, getattr(report, item.did) + 1)
