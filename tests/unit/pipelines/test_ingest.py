from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tiny_index import TinyEmbedder, dump, open_tiny

from connectors.base import SourceRef
from connectors.registry import open_source
from pipelines.ingest import Failure, IngestReport, ingest, list_all, plan_all
from rag.errors import DocumentError, SourceError, StoreError, UsageError
from rag.index import Index, open_index
from rag.settings import Settings
from rag.store import parse_condition
from rag.types import Document

WRITES = frozenset(
    {"stage", "commit", "discard", "retire", "describe", "optimize", "link", "unlink", "bequeath"}
)


class Recorder:
    """Delegates to a store and notes the name of every write; may be told to fail at one."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.writes: list[str] = []
        self.fail_at = ""

    def __getattr__(self, name: str) -> Any:
        if name in WRITES:
            if name == self.fail_at:
                raise StoreError(f"{name} is told to fail")
            self.writes.append(name)
        return getattr(self.wrapped, name)


class ListConnector:
    """Documents out of a dictionary of keys and texts. A text that is an exception is raised."""

    namespace = "list"

    def __init__(self, texts: dict[str, str | Exception], broken_after: int | None = None) -> None:
        self.texts = texts
        self.broken_after = broken_after

    def list(self) -> Iterator[SourceRef]:
        for number, (key, text) in enumerate(self.texts.items()):
            if number == self.broken_after:
                raise UsageError("the listing broke off")
            yield SourceRef(key, f"list/{key}", key, str(text))

    def covers(self, key: str) -> bool:
        return True

    def fetch(self, ref: SourceRef) -> Document:
        text = self.texts[ref.key]
        if isinstance(text, Exception):
            raise text
        return Document(
            self.namespace, ref.key, ref.source, ref.name, text, fingerprint=ref.fingerprint
        )


class Heard:
    """A `Progress` that adds up what it hears."""

    def __init__(self) -> None:
        self.total, self.documents, self.tokens = 0, 0.0, 0

    def start(self, documents: int) -> None:
        self.total = documents

    def advance(self, documents: float, tokens: int) -> None:
        self.documents += documents
        self.tokens += tokens


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `docs` in the current one, with three documents."""
    monkeypatch.chdir(tmp_path)
    docs = tmp_path / "docs"
    for name in ("a.txt", "sub/b.txt", "sub/c.md"):
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(about(name))
    return docs


@pytest.fixture
def open_new(tmp_path: Path) -> Iterator[Callable[..., Index]]:
    """Make a new index whose store notes every write; it is closed at the end."""
    opened: list[Index] = []

    def make(name: str = "index", **settings: Any) -> Index:
        opened.append(open_tiny(tmp_path / name, wrap=Recorder, **settings))
        return opened[-1]

    yield make
    for index in opened:
        index.close()


@pytest.fixture
def index(open_new: Callable[..., Index]) -> Index:
    return open_new()


def about(name: str, version: str = "old", sentences: int = 12) -> str:
    word = Path(name).stem
    return " ".join(f"{word} {version} says sentence {n}." for n in range(sentences))


def run(index: Index, *sources: Any, **options: Any) -> IngestReport:
    """Ingest paths or connectors, and forget the writes and embeddings of the run before."""
    recorded(index).clear()
    embedded(index).clear()
    connectors = [open_source(each) if isinstance(each, str) else each for each in sources]
    return ingest(index, connectors, **options)


def recorded(index: Index) -> list[str]:
    assert isinstance(index.store, Recorder)
    return index.store.writes


def embedded(index: Index) -> list[str]:
    assert isinstance(index.embedder, TinyEmbedder)
    return index.embedder.embedded


def served(index: Index) -> dict[str, str]:
    """Every served document's text by its name, put together from its chunks."""
    chunks: dict[str, dict[int, str]] = {}
    for payload, *_ in dump(index).values():
        if payload.get("state") == "live":
            chunks.setdefault(payload["name"], {})[payload["start"]] = payload["text"]
    return {name: " ".join(text for _, text in sorted(of.items())) for name, of in chunks.items()}


def unfinished(index: Index) -> list[str]:
    return [record.name for record in index.store.documents() if not record.live]


def counts(report: IngestReport) -> dict[str, int]:
    """What a run did, where it did anything."""
    names = ("added", "replaced", "unchanged", "retired", "vanished")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


# --- what a run does ---------------------------------------------------------------------------


def test_everything_listed_is_served_word_for_word(index: Index) -> None:
    report = run(index, "docs")
    assert counts(report) == {"added": 3}
    assert report.failed == []
    assert served(index) == {name: about(name) for name in ("a.txt", "sub/b.txt", "sub/c.md")}


def test_a_second_run_writes_nothing_and_embeds_nothing(index: Index) -> None:
    first = run(index, "docs")
    before = dump(index)
    second = run(index, "docs")
    assert counts(second) == {"unchanged": 3}
    assert recorded(index) == []
    assert embedded(index) == []
    assert dump(index) == before
    held = ("documents", "chunks", "tokens")
    assert [getattr(second, name) for name in held] == [getattr(first, name) for name in held]


def test_a_changed_file_is_replaced_and_nothing_of_the_old_is_left(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    (folder / "a.txt").write_text(about("a.txt", "new", 3))
    assert counts(run(index, "docs")) == {"replaced": 1, "unchanged": 2}
    assert served(index)["a.txt"] == about("a.txt", "new", 3)
    texts = [payload.get("text", "") for payload, *_ in dump(index).values()]
    assert not [text for text in texts if "a old" in text]
    assert all("sub/" not in text for text in embedded(index))


def test_a_file_changed_and_changed_back_ends_as_it_began(index: Index, folder: Path) -> None:
    run(index, "docs")
    before = served(index)
    (folder / "a.txt").write_text(about("a.txt", "new"))
    assert counts(run(index, "docs")) == {"replaced": 1, "unchanged": 2}
    (folder / "a.txt").write_text(about("a.txt"))
    assert counts(run(index, "docs")) == {"replaced": 1, "unchanged": 2}
    assert served(index) == before
    assert unfinished(index) == []


def test_a_change_taken_back_before_it_was_committed_leaves_no_trace(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    before = served(index)
    (folder / "a.txt").write_text(about("a.txt", "new"))
    index.store.fail_at = "commit"
    with pytest.raises(StoreError):
        run(index, "docs")
    index.store.fail_at = ""
    assert unfinished(index) == ["a.txt"]
    (folder / "a.txt").write_text(about("a.txt"))
    assert counts(run(index, "docs")) == {"unchanged": 3}
    assert embedded(index) == []
    assert served(index) == before
    assert unfinished(index) == []


def test_a_touch_without_change_is_described_once_and_not_embedded(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    os.utime(folder / "a.txt", (1, 1))
    assert counts(run(index, "docs")) == {"unchanged": 3}
    assert embedded(index) == []
    assert recorded(index).count("describe") == 1
    assert {"stage", "commit"}.isdisjoint(recorded(index))
    run(index, "docs")
    assert recorded(index) == []


def test_a_change_of_metadata_only_is_described_and_not_embedded(
    index: Index, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"

    def write(**meta: Any) -> None:
        rows.write_text("".join(
            json.dumps({"id": key, "text": about(key), **meta}) + "\n" for key in ("x", "y")
        ))  # fmt: skip

    def found(condition: str) -> set[str]:
        hits = index.search("sentence", conditions=[parse_condition(condition)])
        return {hit.chunk.name for hit in hits}

    write(year=2020, draft="yes")
    run(index, "rows.jsonl")
    vectors = [point[1:] for point in dump(index).values()]
    assert (found("year=2020"), found("draft=yes")) == ({"x", "y"}, {"x", "y"})
    write(year=2021)
    assert counts(run(index, "rows.jsonl")) == {"unchanged": 2}
    assert embedded(index) == []
    assert recorded(index).count("describe") == 2
    assert [point[1:] for point in dump(index).values()] == vectors
    assert (found("year=2021"), found("year=2020"), found("draft=yes")) == (
        {"x", "y"},
        set(),
        set(),
    )


def test_another_spelling_of_the_source_is_what_is_cited_from_then_on(index: Index) -> None:
    run(index, "docs")
    assert {hit.chunk.source for hit in index.search("b old")} >= {"docs/sub/b.txt"}
    assert counts(run(index, "./docs")) == {"unchanged": 3}
    assert embedded(index) == []
    assert {hit.chunk.source for hit in index.search("b old")} >= {"./docs/sub/b.txt"}
    run(index, "./docs")
    assert recorded(index) == []


# --- what is gone ------------------------------------------------------------------------------


def test_a_vanished_document_is_served_until_a_run_prunes(index: Index, folder: Path) -> None:
    run(index, "docs")
    (folder / "a.txt").unlink()
    assert counts(run(index, "docs")) == {"unchanged": 2, "vanished": 1}
    assert "a.txt" in served(index)
    report = run(index, "docs", prune=True, yes=True)
    assert counts(report) == {"unchanged": 2, "retired": 1}
    assert (report.documents, sorted(served(index))) == (2, ["sub/b.txt", "sub/c.md"])
    assert not [hit for hit in index.search("a old") if hit.chunk.name == "a.txt"]


def test_pruning_more_than_the_fraction_is_refused_and_nothing_is_written(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    (folder / "a.txt").unlink()
    (folder / "new.txt").write_text("something new")
    with pytest.raises(UsageError, match="retire 1 of 3 documents"):
        run(index, "docs", prune=True)
    assert recorded(index) == []
    assert len(served(index)) == 3


def test_the_fraction_is_a_setting(open_new: Callable[..., Index], folder: Path) -> None:
    index = open_new(max_delete_fraction=0.34)
    run(index, "docs")
    (folder / "a.txt").unlink()
    assert run(index, "docs", prune=True).retired == 1


def test_the_guard_looks_at_every_source_before_the_first_is_written(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/d.txt").write_text(about("d"))
    run(index, "docs", "more")
    (tmp_path / "more/d.txt").unlink()
    (folder / "new.txt").write_text(about("new"))
    with pytest.raises(UsageError, match="retire 1 of 1 documents"):
        run(index, "docs", "more", prune=True)
    assert recorded(index) == []


def test_pruning_one_source_leaves_the_others_alone(index: Index, folder: Path) -> None:
    run(index, "docs")
    (folder / "a.txt").unlink()
    (folder / "sub/b.txt").unlink()
    assert counts(run(index, "docs/sub", prune=True, yes=True))["retired"] == 1
    assert sorted(served(index)) == ["a.txt", "c.md"]
    assert run(index, "docs/*.md", prune=True, yes=True).retired == 0
    assert run(index, "docs/*.txt", prune=True, yes=True).retired == 1


def test_a_document_that_may_not_be_read_any_more_is_refused_and_stays_served(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    run(index, "docs")
    outside = tmp_path / "outside.txt"
    outside.write_text("outside")
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(outside)
    report = run(index, "docs", prune=True)
    assert [failure.source for failure in report.failed] == ["docs/a.txt"]
    assert (report.retired, served(index)["a.txt"]) == (0, about("a.txt"))


def test_a_listing_that_raises_retires_nothing_and_writes_nothing(index: Index) -> None:
    texts: dict[str, str | Exception] = {key: about(key) for key in "uvwxyz"}
    run(index, ListConnector(texts))
    before = dump(index)
    # It breaks off after two, and one of those has changed.
    broken = ListConnector({**texts, "u": about("u", "new")}, broken_after=2)
    for connectors in ([broken], ["docs", broken], [broken, "docs"]):
        with pytest.raises(UsageError, match="broke off"):
            run(index, *connectors, prune=True, yes=True)
        assert recorded(index) == []
    assert dump(index) == before


# --- sources that overlap ----------------------------------------------------------------------


def test_a_place_that_cannot_be_listed_now_is_a_line_and_the_others_go_on(
    index: Index, folder: Path
) -> None:
    class Down(ListConnector):
        def list(self) -> Iterator[SourceRef]:
            yield from super().list()
            raise SourceError("the server is down")

    run(index, ListConnector({"x": about("x"), "y": about("y")}), "docs")
    (folder / "a.txt").write_text(about("a", "new"))
    report = run(index, Down({"x": about("x", "new")}), "docs", prune=True)
    assert [failure.reason for failure in report.failed] == ["the server is down"]
    assert counts(report) == {"replaced": 1, "unchanged": 2}
    assert {"x", "y"} <= served(index).keys(), "what was not listed to the end is not retired"


def test_sources_that_overlap_run_after_run_give_no_duplicates(index: Index) -> None:
    run(index, "docs")
    chunks = index.store.count()
    for source, documents in (
        ("docs/sub", 2), ("docs/sub/b.txt", 1), ("./docs/../docs", 3), ("docs/**/*.txt", 2),
    ):  # fmt: skip
        report = run(index, source)
        assert counts(report) == {"unchanged": documents}, source
        assert (report.documents, report.chunks) == (3, chunks), source
        assert embedded(index) == [], source


def test_a_document_that_two_sources_of_one_run_list_is_ingested_once(index: Index) -> None:
    report = run(index, "docs", "docs/sub", "docs/sub/b.txt", "./docs/../docs")
    assert (counts(report), report.documents) == ({"added": 3}, 3)
    assert recorded(index).count("commit") == 3
    assert len(embedded(index)) == report.chunks


def test_a_second_run_over_overlapping_sources_writes_nothing(index: Index) -> None:
    sources = ("docs", "docs/sub", "./docs")
    run(index, *sources)
    report = run(index, *sources)
    assert recorded(index) == []
    assert counts(report) == {"unchanged": 3}


def test_overlapping_sources_never_leave_a_document_unserved(index: Index) -> None:
    """The second listing of a document must not stage over what the first has committed."""
    seen: list[list[str]] = []
    stage = index.store.wrapped.stage

    def staged(*arguments: Any) -> None:
        live_before = set(served(index))
        stage(*arguments)
        seen.append(sorted(live_before - set(served(index))))

    index.store.wrapped.stage = staged
    run(index, "docs", "docs/sub")
    assert seen
    assert [lost for lost in seen if lost] == []


# --- failures ----------------------------------------------------------------------------------


def test_a_document_that_fails_is_a_line_and_the_others_go_on(index: Index) -> None:
    texts = {
        "good": about("good"),
        "bad": DocumentError("damaged", hint="mend it"),
        "bug": ZeroDivisionError("by\nzero"),
        "late": about("late"),
    }
    report = run(index, ListConnector(texts))
    assert counts(report) == {"added": 2}
    assert report.failed == [
        Failure("list/bad", "damaged; mend it"),
        Failure("list/bug", "unexpected ZeroDivisionError: by"),
    ]
    assert set(served(index)) == {"good", "late"}


def test_a_document_that_fails_on_update_keeps_its_old_revision_served(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    (folder / "a.txt").write_bytes(bytes(range(256)) * 9)
    report = run(index, "docs", prune=True)
    assert [failure.source for failure in report.failed] == ["docs/a.txt"]
    assert counts(report) == {"unchanged": 2}
    assert served(index)["a.txt"] == about("a.txt")
    (folder / "a.txt").write_text(about("a.txt", "new"))
    assert counts(run(index, "docs")) == {"replaced": 1, "unchanged": 2}
    assert served(index)["a.txt"] == about("a.txt", "new")


def test_a_document_without_words_fails_and_leaves_nothing_behind(
    index: Index, folder: Path
) -> None:
    (folder / "a.txt").write_text("\u200b\u200b \u00ad")  # not white space, and no token either
    report = run(index, "docs")
    assert report.failed == [Failure("docs/a.txt", "no words in it")]
    assert unfinished(index) == []
    run(index, "docs")
    assert {"stage", "discard"}.isdisjoint(recorded(index))


def test_a_document_that_fails_again_causes_no_write(index: Index, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"")
    run(index, "docs")
    report = run(index, "docs")
    assert [failure.source for failure in report.failed] == ["docs/a.txt"]
    assert recorded(index) == []


def test_a_store_that_fails_ends_the_run_and_the_next_one_completes_it(
    index: Index, folder: Path
) -> None:
    run(index, "docs")
    for name in ("a.txt", "sub/b.txt"):
        (folder / name).write_text(about(name, "new"))
    before = served(index)
    for write in ("stage", "commit", "optimize"):
        index.store.fail_at = write
        with pytest.raises(StoreError, match="told to fail"):
            run(index, "docs")
        if write != "optimize":
            assert served(index) == before, write
    index.store.fail_at = ""
    run(index, "docs")
    assert served(index)["sub/b.txt"] == about("b", "new")
    assert unfinished(index) == []


# --- stopping ----------------------------------------------------------------------------------


def test_a_run_that_is_stopped_keeps_what_it_has_and_the_next_one_completes(index: Index) -> None:
    asked = iter([False, False, True, True])
    report = run(index, "docs", stop=lambda: next(asked))
    assert report.interrupted
    assert (report.added, report.documents, len(served(index))) == (2, 2, 2)
    assert unfinished(index) == []
    again = run(index, "docs")
    assert not again.interrupted
    assert counts(again) == {"added": 1, "unchanged": 2}
    assert len(served(index)) == 3


def test_a_run_that_is_stopped_retires_nothing(index: Index, folder: Path) -> None:
    run(index, "docs")
    (folder / "a.txt").unlink()
    (folder / "new.txt").write_text(about("new"))
    report = run(index, "docs", prune=True, yes=True, stop=lambda: True)
    assert report.interrupted
    assert report.retired == 0
    assert len(served(index)) == 3


# --- windows -----------------------------------------------------------------------------------


def test_a_document_larger_than_a_window_is_the_same_as_in_one(
    open_new: Callable[..., Index], folder: Path
) -> None:
    (folder / "long.txt").write_text(about("long", sentences=200))
    small, large = open_new("small", window_tokens=256), open_new("large")
    report = run(small, "docs")
    assert recorded(small).count("stage") >= 5
    assert recorded(small).count("commit") == 4
    run(large, "docs")
    assert recorded(large).count("stage") == 4
    assert dump(small) == dump(large)
    assert served(small)["long.txt"] == about("long", sentences=200)
    assert report.embedded_tokens == report.tokens
    (folder / "long.txt").write_text(about("long", "new", sentences=190))
    assert counts(run(small, "docs")) == {"replaced": 1, "unchanged": 3}
    assert served(small)["long.txt"] == about("long", "new", sentences=190)


def test_a_document_is_served_only_when_its_last_window_is_written(
    open_new: Callable[..., Index], folder: Path
) -> None:
    (folder / "long.txt").write_text(about("long", sentences=200))
    index = open_new(window_tokens=256)
    order = []
    for write in ("stage", "commit"):
        call = getattr(index.store.wrapped, write)

        def noted(*arguments: Any, call: Any = call, write: str = write) -> None:
            order.append((write, getattr(arguments[0], "id", arguments[0])))
            call(*arguments)

        setattr(index.store.wrapped, write, noted)
    run(index, "docs")
    for record in index.store.documents():
        own = [write for write, doc_id in order if doc_id == record.doc_id]
        assert own == ["stage"] * (len(own) - 1) + ["commit"], record.name


def test_many_tiny_documents_are_embedded_in_one_window(index: Index, tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"row {n} holds word{n}"} for n in range(150)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    calls: list[int] = []
    embed = index.embedder.embed_documents
    index.embedder.embed_documents = lambda texts: calls.append(len(texts)) or embed(texts)
    report = run(index, "rows.jsonl")
    assert calls == [150]
    assert (report.added, report.documents, report.chunks) == (150, 150, 150)
    assert index.search("word77")[0].chunk.text == "row 77 holds word77"


@pytest.mark.parametrize("window_tokens", [256, 65_536])
def test_progress_adds_up_to_the_documents_and_the_tokens(
    open_new: Callable[..., Index], folder: Path, window_tokens: int
) -> None:
    (folder / "long.txt").write_text(about("long", sentences=200))
    (folder / "empty.txt").write_text("")
    index = open_new(window_tokens=window_tokens)
    heard = Heard()
    report = run(index, "docs", progress=heard)
    assert heard.total == 5
    assert heard.documents == pytest.approx(5)
    assert heard.tokens == report.embedded_tokens == report.tokens


# --- the report --------------------------------------------------------------------------------


def test_the_report_says_what_the_store_holds(index: Index, folder: Path) -> None:
    def check(report: IngestReport) -> None:
        chunks = [p for p, *_ in dump(index).values() if p.get("state") == "live"]
        assert report.chunks == len(chunks) == index.store.count()
        assert report.documents == len({chunk["doc_id"] for chunk in chunks})
        assert report.tokens == sum(chunk["tokens"] for chunk in chunks)

    check(run(index, "docs"))
    (folder / "a.txt").write_text(about("a", "new", 40))
    (folder / "sub/c.md").unlink()
    check(run(index, "docs"))
    check(run(index, "docs/sub", prune=True, yes=True))


def test_a_plan_writes_nothing(index: Index, folder: Path) -> None:
    run(index, "docs")
    (folder / "a.txt").write_text("new")
    (folder / "sub/b.txt").unlink()
    recorded(index).clear()
    ((_, planned),) = plan_all(list_all([open_source("docs")]), index.store.documents)
    assert [task.ref.source for task in planned.tasks] == ["docs/a.txt"]
    assert [record.source for record in planned.vanished] == ["docs/sub/b.txt"]
    assert recorded(index) == []


# --- the bundled model -------------------------------------------------------------------------


def test_with_the_bundled_model_a_document_is_found_by_its_meaning(tmp_path: Path) -> None:
    (tmp_path / "docs/car.txt").write_text("The automobile would not start on cold mornings.")
    (tmp_path / "docs/cake.txt").write_text("Whisk the eggs, then fold in sugar and flour.")
    settings = Settings(store={"path": tmp_path / "bundled"})
    with closing(open_index(settings, create=True)) as index:
        report = ingest(index, [open_source("docs")])
        assert (report.added, report.failed, report.truncated) == (5, [], 0)
        assert index.search("vehicle with engine trouble")[0].chunk.name == "car.txt"
        assert index.search("baking a dessert")[0].chunk.name == "cake.txt"
        writes = Recorder(index.store)
        again = ingest(Index(settings, writes, index.embedder), [open_source("docs")])
        assert (again.unchanged, writes.writes) == (5, [])
