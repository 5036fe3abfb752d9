"""Lists and fetches what a LlamaIndex reader loads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from threading import Lock
from typing import Any, Literal

from connectors.base import Access, SourceRef
from connectors.llama_index.naming import is_digest, name_document
from connectors.llama_index.reader import Reader
from connectors.llama_index.spool import Spool
from connectors.options import read_options
from connectors.parsing.formats import FORMATS, parse
from connectors.parsing.rows import facts, whole
from rag.errors import DocumentError, RagError, SourceError, first_line
from rag.ids import digest
from rag.types import Document

__all__ = ["LlamaIndexConnector", "LlamaIndexOptions", "open_llama_index"]

_VERSION = "llama-index-1"
_MOST_DOCUMENTS = 1_000_000
_MOST_SPOOLED = 16 * 2**30
_SUFFIXES = {"text": ".txt", "markdown": ".md"}


@dataclass(frozen=True, slots=True)
class LlamaIndexOptions:
    """What is done with a reader's documents; all other options are the reader's.

    Args:
        format: what their text is; Markdown's headings become sections.
        key: the metadata that names a document, where what is found by itself will not do.
    """

    format: Literal["text", "markdown"] = "text"
    key: str = ""


def open_llama_index(place: str, options: Mapping[str, str], access: Access) -> LlamaIndexConnector:
    """The connector for "llama_index:wikipedia.WikipediaReader#pages=["Alan Turing"]".

    Raises:
        UsageError: there is no such reader, or it does not take such options.
    """
    own = {name: options[name] for name in ("format", "key") if name in options}
    others = {name: value for name, value in options.items() if name not in own}
    given = read_options(LlamaIndexOptions, own, "llama_index")
    return LlamaIndexConnector(Reader(place, others), given, access)


class LlamaIndexConnector:
    """Lists and reads the documents of one reader.

    A reader knows no listing: each listing runs it to its end, and what it loads lies in a
    temporary file until it is fetched. The text is exactly the reader's. Documents that share a
    key, like the pages of a file, are told apart by "#2", "#3" and so on, in their order.

    The reader asks its servers itself: neither the guard that keeps other connectors from private
    addresses nor their bounds of time and size stand between.

    Args:
        reader: what loads them.
        options: what is done with them.
        access: the largest document.
    """

    def __init__(self, reader: Reader, options: LlamaIndexOptions, access: Access) -> None:
        self._reader = reader
        self._options = options
        self._suffix = _SUFFIXES[options.format]
        self._most = access.most_bytes
        self._lock = Lock()
        self._spool: Spool | None = None

    @property
    def namespace(self) -> str:
        """The reader and its arguments: with others it is another place."""
        by = f":{self._options.key}" if self._options.key else ""
        return f"llama_index:{self._reader.identity}{by}"

    def list(self) -> Iterable[SourceRef]:
        """Every document, in the reader's order.

        Raises:
            UsageError: a package that the reader needs is not installed.
            SourceError: the reader fails, loads what is no document, or does not end.
        """
        with self._lock:
            self._spool, refs = self._load()
        return refs

    def covers(self, key: str) -> bool:
        """True for all: whatever the reader loads is listed."""
        return True

    def fetch(self, ref: SourceRef) -> Document:
        """One of the documents that were loaded for the last listing.

        Raises:
            DocumentError: it is no text, or the reader no longer loads it.
        """
        if ref.problem is not None:
            raise ref.problem
        spool = self._spooled()
        kept = spool.get(ref.key) if ref.key in spool else {}
        if kept.get("fingerprint") != ref.fingerprint:
            raise DocumentError("it has changed since it was listed", hint="run this again")
        parsed = parse(kept["text"].encode(), self._suffix)
        said = replace(parsed, title=kept["title"] or parsed.title, meta=kept["meta"])
        return said.as_document(ref, self.namespace)

    def _spooled(self) -> Spool:
        """What was loaded last; another process than the one that listed loads it anew."""
        with self._lock:
            if self._spool is None:
                try:
                    self._spool, _ = self._load()
                except RagError as error:
                    raise DocumentError(error.message, hint=error.hint) from error
            return self._spool

    def _load(self) -> tuple[Spool, Sequence[SourceRef]]:
        name = self._reader.name
        spool = Spool()
        seen: Counter[str] = Counter()
        refs = []
        try:
            # Closed, so that stdout is its old self when an error is told.
            with closing(self._reader.documents()) as documents:
                for loaded in documents:
                    refs.append(self._ref(loaded, spool, seen))
                    if len(refs) > _MOST_DOCUMENTS or spool.size > _MOST_SPOOLED:
                        raise SourceError(
                            f"{name} loads over {_MOST_DOCUMENTS:,} documents or "
                            f"{_MOST_SPOOLED >> 30} GB",
                            hint="ask it for less",
                        )
        except OSError as error:
            raise SourceError(f"what {name} loads cannot be kept: {first_line(error)}") from error
        return spool, refs

    def _ref(self, loaded: Any, spool: Spool, seen: Counter[str]) -> SourceRef:
        """Name one document, and keep it unless it cannot be read."""
        reader = f"llama_index:{self._reader.name}"
        text, meta = self._read(loaded)
        title = meta.pop("title") if isinstance(meta.get("title"), str) else ""
        try:
            name = name_document(self._reader.hide(loaded.node_id), meta, text, self._options.key)
        except DocumentError as nameless:
            return SourceRef("", reader, title or self._reader.name, "", nameless)
        key = _unique(name.key, seen)
        place = name.place + key.removeprefix(name.key) if name.place else f"{reader}/{key}"
        last = self._reader.name if is_digest(key) else key.rstrip("/").rpartition("/")[2]
        shown = meta.get("file_name") or title or last or key
        marks = [_VERSION, FORMATS[self._suffix].version, text, title, meta]
        ref = SourceRef(key, place, str(shown), digest(marks), self._problem(text))
        if ref.problem is None:
            kept = {"text": text, "title": title, "meta": meta, "fingerprint": ref.fingerprint}
            spool.put(key, kept)
        return ref

    def _read(self, loaded: Any) -> tuple[str, dict[str, Any]]:
        """A document's text and its flat metadata, without halves of characters and secrets."""
        from llama_index.core.schema import BaseNode, MetadataMode

        if not isinstance(loaded, BaseNode):
            raise SourceError(
                f"{self._reader.name} loads a {type(loaded).__name__}, which is no document"
            )
        found = {str(name): _plain(value) for name, value in loaded.metadata.items()}
        meta = {name: self._hidden(value) for name, value in facts(found).items()}
        return whole(loaded.get_content(metadata_mode=MetadataMode.NONE)), meta

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._reader.hide(each) for each in value]
        return self._reader.hide(value) if isinstance(value, str) else value

    def _problem(self, text: str) -> DocumentError | None:
        if len(text) > self._most:
            return DocumentError(f"larger than {self._most:,} characters", hint="split it")
        return None if text.strip() else DocumentError("no text")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _unique(key: str, seen: Counter[str]) -> str:
    """The key, with its number where others had it before."""
    found = key
    while found in seen:
        seen[key] += 1
        found = f"{key}#{seen[key]}"
    seen[found] = 1
    return found
