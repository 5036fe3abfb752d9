"""Routes: fit the classifier that says which of several indexes a question goes to."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.ingest import Progress
from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.errors import UsageError
from rag.routing.features import features
from rag.routing.fit import Calibration, Examples, Vocabulary, fit, measure
from rag.routing.opening import at_route, router_embedder
from rag.routing.routes import Routes
from rag.routing.texts import RouteTexts, documents_of, route_texts
from rag.routing.vocabulary import evidence
from rag.settings import Settings
from rag.store import open_store

__all__ = ["FittedRoutes", "RouteReport", "fit_routes", "vocabulary_of"]

_BLOCK = 256  # texts embedded between two steps of progress


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What one route learned from, and the share of its held-out texts that went its way."""

    name: str
    index: str
    documents: int
    texts: int
    held: int
    accuracy: float


class FittedRoutes(NamedTuple):
    """What fitting came to."""

    routes: Routes
    reports: tuple[RouteReport, ...]
    calibration: Calibration
    seconds: float


def fit_routes(
    settings: Settings,
    indexes: Mapping[str, str],
    *,
    coverage: float,
    most: int,
    texts: int,
    progress: Progress | None = None,
) -> FittedRoutes:
    """Fit routes to the indexes' own texts; no question and no label is needed.

    Args:
        settings: how the bundled embedder runs, and the language of words.
        indexes: of each route, its folder (or collection, where the store is a server).
        coverage: see `rag.routing.Routes`.
        most: the same.
        texts: sentences of each route at the most.
        progress: told how many of them are embedded.

    Raises:
        UsageError: fewer than two routes, two of one index, or one that holds too little text.
        StoreError: an index is not there, or another process owns it; the message says which.
    """
    began = time.perf_counter()
    if len(indexes) < 2:
        raise UsageError("one route leaves nothing to choose", hint="name two indexes or more")
    edge = settings.store.kind == "edge"
    places = {
        name: str(Path(index).resolve()) if edge else index for name, index in indexes.items()
    }
    _require_apart(places)
    lexical = LexicalEncoder(settings.lexical.language)
    learned = {
        name: _texts(at_route(settings, place), name, texts, lexical)
        for name, place in places.items()
    }
    embedder = router_embedder(settings)
    if progress:
        progress.start(sum(len(each.fitted) + len(each.held) for each in learned.values()))
    examples = [
        Examples(
            _read(each.fitted, embedder, lexical, progress),
            _read(each.held, embedder, lexical, progress),
        )
        for each in learned.values()
    ]
    vocabulary = vocabulary_of([*learned.values()], lexical)
    classifier = fit(
        list(indexes),
        examples,
        embedder.fingerprint,
        settings.lexical.language,
        vocabulary=vocabulary,
    )
    calibration = measure(classifier, [each.held for each in examples], vocabulary.held)
    reports = tuple(
        RouteReport(name, places[name], each.documents, len(each.fitted), len(each.held), right)
        for (name, each), right in zip(learned.items(), calibration.accuracy, strict=True)
    )
    about = {
        "routes": [asdict(report) for report in reports],
        "calibration": calibration._asdict(),
    }
    routes = Routes(
        indexes=places, coverage=coverage, most=most, about=about, classifier=classifier
    )
    return FittedRoutes(routes, reports, calibration, time.perf_counter() - began)


def _require_apart(places: Mapping[str, str]) -> None:
    """Refuse two routes of one index: nothing could tell their texts apart."""
    first: dict[str, str] = {}
    for name, place in places.items():
        other = first.setdefault(place, name)
        if other != name:
            raise UsageError(
                f"{other} and {name} are both the index {place}",
                hint="give each route an index of its own",
            )


def vocabulary_of(learned: Sequence[RouteTexts], lexical: LexicalEncoder) -> Vocabulary:
    """The words of routes, and what those of the fitted documents say of the held texts."""
    held = [text for each in learned for text in each.held]
    fitted_words = np.stack([each.fitted_words for each in learned])
    return Vocabulary(
        np.stack([each.words for each in learned]), evidence(fitted_words, held, lexical)
    )


def _texts(settings: Settings, name: str, most: int, lexical: LexicalEncoder) -> RouteTexts:
    with open_store(settings.store) as store:
        found = route_texts(store, documents_of(store), most, lexical)
    if not found.fitted or not found.held:
        raise UsageError(
            f"the index of {name} holds too little to learn from: {found.documents} documents, "
            f"{len(found.fitted) + len(found.held)} sentences",
            hint="ingest more into it, or leave this route out",
        )
    return found


def _read(
    texts: Sequence[str], embedder: Embedder, lexical: LexicalEncoder, progress: Progress | None
) -> NDArray[np.float32]:
    blocks: list[NDArray[np.float32]] = []
    for start in range(0, len(texts), _BLOCK):
        block = texts[start : start + _BLOCK]
        blocks.append(features(block, embedder, lexical))
        if progress:
            progress.advance(len(block))
    return np.concatenate(blocks)
