"""Snapshots: what an index serves, in one file, from which any backend can be filled again.

The file is gzipped JSON lines. The first names the format and holds the index's manifest; then
comes a line for every chunk and every link, with vectors as the little-endian bytes of their
numbers; the last counts them. So a file that was cut short is known for one.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from eval.files import replacing
from pipelines.reindex import documents_of, require_nothing_kept
from pipelines.writing import Progress
from rag.embedding.lexical import SparseVector
from rag.errors import StoreError, UsageError
from rag.manifest import IndexManifest
from rag.store import Point, Store
from rag.store.schema import LINKED, LIVE

__all__ = ["SnapshotReport", "restore", "take"]

_FORMAT = 1
_WINDOW = 1_000  # points that are written at a time
_FAST = 1  # vectors hardly shrink, whatever it costs


@dataclass(slots=True)
class SnapshotReport:
    """What was written to a file, or from one into an index.

    `kept`: what was served before lies beside what was restored.
    """

    file: str
    embedder: str
    chunks: int = 0
    links: int = 0
    seconds: float = 0.0
    kept: bool = False
    interrupted: bool = False

    def count(self, point: Point) -> bool:
        """Count a chunk or a link; whether it is a chunk."""
        is_chunk = bool(point.payload["state"] == LIVE)
        self.chunks += is_chunk
        self.links += not is_chunk
        return is_chunk


def take(
    store: Store,
    file: Path,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> SnapshotReport:
    """Write what an index serves to a file; what was staged and never committed is left out.

    The file is replaced at the end, or left as it is.

    Args:
        store: the index, open.
        file: where to.
        progress: hears of chunks.
        stop: asked at each point; true ends the run, and the file is not written.

    Raises:
        UsageError: the file cannot be written.
        StoreError: the index cannot be read, or somebody wrote into it meanwhile.
    """
    began = time.perf_counter()
    manifest, before = store.manifest(), documents_of(store)
    report = SnapshotReport(str(file), manifest.embedder)
    if progress:
        progress.start(store.count())
    try:
        with replacing(file) as part, _writing(part) as stream:
            _say(stream, {"spanrag": _FORMAT, "manifest": manifest.to_payload()})
            for point in store.points(dense=True):
                _go_on(stop)
                _say(stream, _told(point))
                if report.count(point) and progress:
                    progress.advance(1)
            _say(stream, {"chunks": report.chunks, "links": report.links})
            _require_unchanged(store, before, report.chunks)
    except _Stopped:
        report.interrupted = True
    report.seconds = time.perf_counter() - began
    return report


def restore(
    open_index: Callable[[IndexManifest | None], Store],
    file: Path,
    *,
    optimize_chunks: int = 50_000,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> SnapshotReport:
    """Fill an index from a snapshot, of this backend or another.

    The file is read to its end before anything is touched. It is filled beside what is there, which
    stays until one step has the new one served, and is kept beside it then, as after a reindex.
    Where there was no index, killed at any moment, there is an empty one or the whole.

    Args:
        open_index: opens it, as `rag.store.open_store` does; given a manifest, it makes the index
            where there is none.
        file: from `take`.
        optimize_chunks: `ingest.optimize_chunks`, which bounds memory.
        progress: hears of chunks.
        stop: asked after each window; true ends the run, and nothing has changed.

    Raises:
        UsageError: the file is not there, damaged, or no snapshot; an index is kept already.
        IndexMismatch: another version wrote it.
        StoreError: the index cannot be reached, or another one was served meanwhile.
    """
    began = time.perf_counter()
    manifest = _manifest(file)
    whole = SnapshotReport(str(file), manifest.embedder)
    for point in _points(file, manifest):
        whole.count(point)
    if progress:
        progress.start(whole.chunks)
    report = SnapshotReport(str(file), manifest.embedder)
    served = False
    with open_index(manifest) as store:
        require_nothing_kept(store)
        report.kept = next(store.documents(), None) is not None
        beside = store.beside(manifest)
        try:
            with beside:
                points = _points(file, manifest)
                filled = _fill(beside, points, optimize_chunks, report, progress, stop)
            if filled:
                store.serve(beside.generation)
                served = True
        finally:
            if not served:
                store.abandon(beside.generation)
    if served and not report.kept:  # an index without a document is nothing to go back to
        with open_index(None) as store:
            store.forget()
    report.kept = report.kept and served
    report.interrupted = not served
    report.seconds = time.perf_counter() - began
    return report


class _Stopped(Exception):
    """The run was asked to stop; it leaves no file."""


def _go_on(stop: Callable[[], bool]) -> None:
    if stop():
        raise _Stopped


def _require_unchanged(store: Store, documents: Mapping[str, object], chunks: int) -> None:
    if documents_of(store) != documents or store.count() != chunks:
        raise StoreError(
            "the index changed while it was read: no snapshot was written",
            hint="run it again when no ingest is running",
        )


def _fill(
    beside: Store,
    points: Iterator[Point],
    most: int,
    report: SnapshotReport,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> bool:
    """Write points into an empty index, window by window; whether to the end."""
    unoptimized = 0
    while window := list(islice(points, _WINDOW)):
        if stop():
            return False
        beside.put(window)
        chunks = sum(report.count(point) for point in window)
        if progress:
            progress.advance(chunks)
        unoptimized += len(window)
        if unoptimized >= most:  # as an ingest does: it bounds memory
            beside.optimize()
            unoptimized = 0
    beside.optimize()
    return True


@contextmanager
def _writing(part: Path) -> Iterator[TextIO]:
    """Text to be gzipped, on the disk when all is written. No time or name goes into it."""
    with part.open("wb") as raw:
        with (
            gzip.GzipFile("", "wb", _FAST, raw, mtime=0) as packed,
            io.TextIOWrapper(packed, encoding="ascii") as stream,
        ):
            yield stream
        raw.flush()
        os.fsync(raw.fileno())


def _say(stream: TextIO, line: dict[str, Any]) -> None:
    stream.write(json.dumps(line, separators=(",", ":")) + "\n")


def _told(point: Point) -> dict[str, Any]:
    line: dict[str, Any] = {"id": point.id, "payload": point.payload}
    if point.dense is not None:
        line["dense"] = _packed(point.dense, "<f4")
    if point.lexical is not None:
        line["lexical"] = [
            _packed(point.lexical.indices, "<u4"), _packed(point.lexical.values, "<f4")
        ]  # fmt: skip
    return line


def _packed(numbers: Sequence[float], kind: str) -> str:
    return base64.b64encode(np.asarray(numbers, dtype=kind).tobytes()).decode("ascii")


def _unpacked(text: str, kind: str) -> list[Any]:
    found: list[Any] = np.frombuffer(base64.b64decode(text, validate=True), dtype=kind).tolist()
    return found


def _manifest(file: Path) -> IndexManifest:
    with _refused(file):
        head = next(_lines(file))
        if head["spanrag"] != _FORMAT:
            raise ValueError("another format")
        payload = dict(head["manifest"])
    return IndexManifest.from_payload(payload)


def _points(file: Path, manifest: IndexManifest) -> Iterator[Point]:
    """Every point, in the order of the file."""
    found = SnapshotReport("", "")
    with _refused(file):
        lines = _lines(file)
        line = next(lines)
        for line in lines:
            if "id" not in line:
                break
            point = _point(line)
            if found.count(point) and len(point.dense or ()) != manifest.dimension:
                raise ValueError("a vector of another length")
            yield point
        if line != {"chunks": found.chunks, "links": found.links} or next(lines, None):
            raise ValueError("its end is missing")


def _point(line: dict[str, Any]) -> Point:
    payload = line["payload"]
    if payload["state"] not in (LIVE, LINKED):
        raise ValueError("neither a chunk nor a link")
    lexical = line.get("lexical")
    return Point(
        line["id"],
        payload,
        _unpacked(line["dense"], "<f4") if "dense" in line else None,
        SparseVector(_unpacked(lexical[0], "<u4"), _unpacked(lexical[1], "<f4"))
        if lexical
        else None,
    )


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="ascii") as stream:
        yield from map(json.loads, stream)


@contextmanager
def _refused(file: Path) -> Iterator[None]:
    """Turn whatever a file that is no whole snapshot does to its reader into one error."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError(f"there is no file {file}", hint="make one with `rag snapshot`") from None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, StopIteration):
        raise UsageError(
            f"{file} is no snapshot, or not all of one", hint="use another copy of it"
        ) from None
