"""The routes of an installation, as a file: names, indexes, and the classifier between them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rag.embedding.base import Embedder
from rag.embedding.lexical import LexicalEncoder
from rag.embedding.memo import RememberingEmbedder
from rag.errors import ConfigError, UsageError, first_line
from rag.routing.classifier import RouteClassifier, fewest
from rag.routing.features import features

__all__ = ["Router", "Routes", "Routing"]


class Routing(NamedTuple):
    """Where a question goes.

    `probabilities` are of every route, the most probable first; they sum to 1. `chosen` are the
    first few.
    """

    probabilities: Mapping[str, float]
    chosen: tuple[str, ...]


class Routes(BaseModel):
    """What `rag route fit` writes.

    `indexes` says of each route where its index is: a folder, or a collection on the server. A
    question goes to the fewest routes whose probability reaches `coverage`, and to `most` of them.
    `about` is how the classifier did on held-out documents.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    indexes: dict[str, str]
    coverage: float = Field(0.9, gt=0, le=1)
    most: int = Field(3, ge=1)
    about: dict[str, Any] = {}
    classifier: RouteClassifier

    @model_validator(mode="after")
    def _an_index_each(self) -> Routes:
        if set(self.indexes) != set(self.classifier.routes):
            raise ValueError("an index for each route of the classifier, and no other")
        if len(set(self.indexes.values())) < len(self.indexes):
            raise ValueError("two routes lead to one index")
        return self

    @classmethod
    def read(cls, path: Path) -> Routes:
        """The routes of a file.

        Raises:
            UsageError: it is not there.
            ConfigError: it is no such file.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise UsageError(
                f"cannot read {path}: {error.strerror}",
                hint="name a file that `rag route fit` wrote",
            ) from None
        except ValidationError as error:
            raise ConfigError(
                f"{path} holds no routes: {first_line(error)}",
                hint="make it again with `rag route fit`",
            ) from None

    def write(self, path: Path) -> None:
        """Write them, every number exactly, whole or not at all.

        Raises:
            UsageError: it cannot be written.
        """
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_text(self.model_dump_json() + "\n", encoding="utf-8")
            os.replace(part, path)
        except OSError as error:
            with suppress(OSError):  # what stopped it may have been that there is no such folder
                part.unlink()
            raise UsageError(
                f"cannot write {path}: {error.strerror}", hint="choose another file with --out"
            ) from None


class Router:
    """Says of a question which routes it goes to.

    Args:
        routes: from a file.
        embedder: the one they were fitted with.

    Raises:
        IndexMismatch: it is another.
    """

    def __init__(self, routes: Routes, embedder: Embedder) -> None:
        routes.classifier.require(embedder)
        self.routes = routes
        self.embedder = embedder
        self.sentences = RememberingEmbedder(embedder)
        self._lexical = LexicalEncoder(routes.classifier.language)

    def route(self, question: str) -> Routing:
        """The probability of each route, and which of them to search."""
        matrix = features([question], self.sentences, self._lexical)
        words = self.routes.classifier.evidence([question], self._lexical)
        row = self.routes.classifier.probabilities(matrix, words)[0].tolist()
        found = dict(zip(self.routes.classifier.routes, row, strict=True))
        ordered = dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))
        return Routing(ordered, fewest(ordered, self.routes.coverage, self.routes.most))
