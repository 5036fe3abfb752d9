"""Readers of LlamaIndex as connectors: its own, another package's, and ones that misbehave."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Settings, SimpleDirectoryReader
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

from connectors.base import Access
from connectors.llama_index import LlamaIndexConnector
from connectors.llama_index.naming import name_document
from connectors.llama_index.spool import Spool
from connectors.parsing.formats import FORMATS
from connectors.registry import open_source
from rag.errors import DocumentError, SourceError, UsageError

OWN = '''
import datetime, os, sys
from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document

print("imported")

class Lazy(BaseReader):
    """Both methods: the lazy one takes other arguments."""
    def lazy_load_data(self, count, prefix="d"):
        for number in range(count):
            print("loading", number)
            yield Document(id_=f"{prefix}{number}", text=f"This is {number}.")

    def load_data(self, text):
        return [Document(id_="whole", text=text)]

class Given(BaseReader):
    """Gives what the file says, a list of keyword arguments of Document."""
    def __init__(self, path, api_key="", url=""):
        self.path, self.api_key, self.url = path, api_key, url

    def load_data(self, fail=""):
        import json
        with open(self.path) as file:
            found = json.load(file)
        if fail:
            raise RuntimeError(f"{fail} with key {self.api_key} at {self.url}\\nsecond line")
        return [Document(**each) for each in found]

class Kinds(BaseReader):
    def load_data(self, what):
        if what == "dates":
            meta = {"day": datetime.date(2024, 2, 29), "at": datetime.datetime(2024, 1, 1, 12),
                    "deep": {"a": 1}, "long": "x" * 2000, "tags": ["a", "b"], "nan": float("nan")}
            return Document(id_="one", text="x", metadata=meta)
        if what == "exit":
            sys.exit("no such account")
        if what == "import":
            import no_such_module_xyz
        return {"none": None, "dict": [{"text": "x"}], "text": "abc"}[what]

class Midway(BaseReader):
    def lazy_load_data(self):
        yield Document(id_="a", text="first")
        raise ConnectionError("the line went dead")

class Endless(BaseReader):
    def lazy_load_data(self):
        while True:
            yield Document(text="again")

class Loop(BaseReader):
    def load_data(self):
        return [Document(id_="a", text="sync")]

    async def aload_data(self):
        raise AssertionError("only the synchronous methods are called")

class Nothing(BaseReader):
    pass

def no_reader():
    raise AssertionError("called")
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module "ownreaders" that can be imported."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "ownreaders.py").write_text(OWN)
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "ownreaders", raising=False)


@pytest.fixture
def given(tmp_path: Path, own: None) -> Any:
    """A connector whose reader gives these documents, and a way to change them."""

    class Source:
        path = tmp_path / "given.json"

        def set(self, *documents: dict[str, Any]) -> None:
            self.path.write_text(json.dumps(documents))

        def open(self, options: str = "", access: Access | None = None) -> LlamaIndexConnector:
            connector = open_source(
                f"llama_index:ownreaders:Given#init.path={self.path}{options}", access=access
            )
            assert isinstance(connector, LlamaIndexConnector)
            return connector

    return Source()


def texts(connector: Any) -> dict[str, str]:
    return {ref.key: connector.fetch(ref).text for ref in connector.list()}


def test_a_folder_through_the_simple_directory_reader(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_bytes("Grüße.\nTwo  spaces.\n".encode())
    (folder / "sub" / "b.md").write_text("# Bee\n\nBuzz.\n\n## Hive\n\nWax.\n")
    source = f"llama_index:SimpleDirectoryReader#init.input_dir={folder}&init.recursive=true"
    connector = open_source(f"{source}&format=markdown")
    refs = list(connector.list())
    assert [ref.key for ref in refs] == [f"{folder}/a.txt", f"{folder}/sub/b.md"]
    assert [ref.name for ref in refs] == ["a.txt", "b.md"]
    assert [ref.source for ref in refs] == [ref.key for ref in refs]
    first, second = map(connector.fetch, refs)
    assert first.text == "Grüße.\nTwo  spaces.\n"
    assert (first.meta["file_type"], first.meta["file_size"]) == ("text/plain", 22)
    assert [section.title for section in second.sections] == ["Bee", "Hive"]
    assert second.sections[1].span.text_in(second.text).startswith("## Hive")
    for ref, document in zip(refs, (first, second), strict=True):
        assert (document.key, document.source, document.name) == (ref.key, ref.source, ref.name)
        assert (document.fingerprint, document.namespace) == (
            ref.fingerprint,
            connector.namespace,
        )
        assert connector.covers(ref.key)
    assert list(connector.list()) == refs
    (folder / "a.txt").unlink()
    (folder / "sub" / "b.md").write_text("# Bee\n\nGone.\n")
    (only,) = connector.list()
    assert only.key == refs[1].key
    assert only.fingerprint != refs[1].fingerprint
    for stale in refs:
        with pytest.raises(DocumentError, match="changed since it was listed; run this again"):
            connector.fetch(stale)


class Broken(BaseReader):
    """What SimpleDirectoryReader asks to read files of one kind."""

    def load_data(self, *args: Any, **kwargs: Any) -> list[Document]:
        raise ValueError("no header")


def test_a_file_that_the_directory_reader_cannot_read_ends_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SimpleDirectoryReader, "supported_suffix_fn", lambda: {".bad": Broken})
    (tmp_path / "a.txt").write_text("fine")
    (tmp_path / "b.bad").write_text("not fine")
    source = f"llama_index:SimpleDirectoryReader#init.input_dir={tmp_path}"
    told = r"^SimpleDirectoryReader failed: Exception: Error loading file \(no header\)$"
    with pytest.raises(SourceError, match=told):
        list(open_source(source).list())
    lax = open_source(f"{source}&init.raise_on_error=false")
    assert [ref.name for ref in lax.list()] == ["a.txt"]
    assert "Failed to load file" in capsys.readouterr().err


def test_strings_are_named_by_what_they_say() -> None:
    source = 'llama_index:StringIterableReader#texts=["One.", "Two.", "One."]'
    connector = open_source(source)
    one, two, again = connector.list()
    assert (one.key[:5], again.key) == ("text:", f"{one.key}#2")
    assert two.source == f"llama_index:StringIterableReader/{two.key}"
    assert {ref.name for ref in (one, two, again)} == {"StringIterableReader"}
    assert list(texts(connector).values()) == ["One.", "Two.", "One."]
    assert list(open_source(source).list()) == [one, two, again]


@pytest.mark.parametrize(
    "reader",
    [
        "JSONReader",
        "json.JSONReader",
        "llama_index.readers.json.JSONReader",
        "llama_index.readers.json:JSONReader",
    ],
)
def test_one_file_by_the_readers_of_two_packages(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "a b.json"
    path.write_text('{"name": "Ana", "pets": ["cat", "dog"]}')
    source = f"llama_index:{reader}#input_file={path}&init.levels_back=0"
    (ref,) = open_source(source).list()
    assert open_source(source).fetch(ref).text == "name Ana\npets cat\npets dog"
    core = reader == "JSONReader"
    module = "llama_index.core.readers.json" if core else "llama_index.readers.json"
    assert open_source(source).namespace.startswith(f"llama_index:{module}:JSONReader:")


def test_the_lazy_method_is_preferred_where_it_takes_the_arguments(own: None) -> None:
    lazy = open_source("llama_index:ownreaders:Lazy#count=2&load.prefix=007")
    assert texts(lazy) == {"0070": "This is 0.", "0071": "This is 1."}
    assert texts(open_source("llama_index:ownreaders:Lazy#text=9 lives")) == {"whole": "9 lives"}


def test_values_are_json_or_strings(given: Any, own: None) -> None:
    for written, expected in {
        "9 lives": "9 lives",
        '"9"': "9",
        "NaN": "NaN",
        "Infinity": "Infinity",
        "[" * 100_000: "[" * 100_000,
        "1" * 5_000: "1" * 5_000,
    }.items():
        connector = open_source(f"llama_index:ownreaders:Lazy#text={written}")
        assert list(texts(connector).values()) == [expected]


def test_what_a_reader_prints_stays_out_of_stdout(
    own: None, capsys: pytest.CaptureFixture[str]
) -> None:
    connector = open_source("llama_index:ownreaders:Lazy#count=1")
    list(connector.list())
    assert capsys.readouterr() == ("", "imported\nloading 0\n")
    with pytest.raises(SourceError) as kept:
        list(open_source("llama_index:ownreaders:Midway").list())
    sys.stdout.write("told")
    assert capsys.readouterr().out == "told"
    assert kept.value.__traceback__ is not None


def test_a_reader_that_fails_midway_lists_nothing(own: None) -> None:
    connector = open_source("llama_index:ownreaders:Midway")
    told = "^Midway failed: ConnectionError: the line went dead$"
    with pytest.raises(SourceError, match=told):
        connector.list()


def test_what_was_listed_stays_readable_when_the_next_listing_fails(given: Any) -> None:
    given.set({"id_": "a", "text": "kept"})
    connector = given.open()
    (ref,) = connector.list()
    given.path.write_text("broken")
    with pytest.raises(SourceError, match="JSONDecodeError"):
        connector.list()
    assert connector.fetch(ref).text == "kept"


def test_another_process_loads_anew(given: Any) -> None:
    given.set({"id_": "a", "text": "A"}, {"id_": "a", "text": "B"})
    refs = list(given.open().list())
    elsewhere = given.open()
    assert [elsewhere.fetch(ref).text for ref in reversed(refs)] == ["B", "A"]
    given.path.unlink()
    with pytest.raises(DocumentError, match="Given failed: FileNotFoundError"):
        given.open().fetch(refs[0])


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ("exit", SourceError, "Kinds failed: SystemExit: no such account"),
        ("import", UsageError, "Kinds: No module named 'no_such_module_xyz'; install what"),
        ("none", SourceError, "Kinds loads a NoneType, which is no document"),
        ("dict", SourceError, "Kinds loads a dict, which is no document"),
        ("text", SourceError, "Kinds loads a str, which is no document"),
        ("else", SourceError, "Kinds failed: KeyError: 'else'"),
    ],
)
def test_a_reader_that_misbehaves_is_one_line(
    own: None, what: str, kind: type[Exception], told: str
) -> None:
    with pytest.raises(kind, match=f"^{told}") as raised:
        open_source(f"llama_index:ownreaders:Kinds#what={what}").list()
    assert "\n" not in str(raised.value)


def test_a_reader_without_end_is_given_up(own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.llama_index.connector._MOST_DOCUMENTS", 3)
    with pytest.raises(SourceError, match="Endless loads over 3 documents"):
        open_source("llama_index:ownreaders:Endless").list()


def test_metadata_becomes_flat_facts(own: None) -> None:
    connector = open_source("llama_index:ownreaders:Kinds#what=dates")
    (ref,) = connector.list()
    assert connector.fetch(ref).meta == {
        "day": "2024-02-29",
        "at": "2024-01-01T12:00:00",
        "tags": ["a", "b"],
    }


def test_the_text_is_exactly_the_readers(given: Any) -> None:
    text = "  \r\n# No heading\r\n\ttabs \u00a0 \U0001f600 e\u0301\n\n\n"
    given.set({"text": text, "metadata": {"title": "A title", "n": 1}})
    connector = given.open()
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert document.text == text
    assert (document.title, document.meta, document.sections) == ("A title", {"n": 1}, ())
    assert ref.name == "A title"


def test_half_a_character_does_not_end_a_run(own: None) -> None:
    connector = open_source('llama_index:ownreaders:Lazy#text="half \\ud83d of a character"')
    assert texts(connector) == {"whole": "half \ufffd of a character"}


def test_documents_without_text_or_too_much_are_listed_with_a_problem(given: Any) -> None:
    given.set(
        {"id_": "blank", "text": " \n"},
        {"id_": "large", "text": "x" * 101},
        {"id_": "fine", "text": "x" * 100},
    )
    blank, large, fine = given.open(access=Access(most_bytes=100)).list()
    assert (str(blank.problem), blank.key) == ("no text", "blank")
    assert str(large.problem).startswith("larger than 100 characters")
    assert fine.problem is None
    with pytest.raises(DocumentError, match="no text"):
        given.open().fetch(blank)


def test_an_unchanged_document_keeps_its_fingerprint(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def marks() -> list[str]:
        return [ref.fingerprint for ref in given.open().list()]

    given.set({"text": "a", "metadata": {"url": "u"}}, {"text": "b", "metadata": {"url": "v"}})
    before = marks()
    assert marks() == before
    given.set({"text": "a", "metadata": {"url": "u"}}, {"text": "B", "metadata": {"url": "v"}})
    assert [old == new for old, new in zip(before, marks(), strict=True)] == [True, False]
    given.set({"text": "a", "metadata": {"url": "u", "more": 1}})
    assert marks()[0] != before[0]
    given.set({"text": "a", "metadata": {"url": "u"}})
    monkeypatch.setitem(FORMATS, ".txt", FORMATS[".md"])  # type: ignore[index]
    assert marks()[0] != before[0]


UUID4 = "3f0c2a54-9a4e-4a1e-8a63-0d9d9a2a5c11"
UUID5 = "886313e1-3b8a-5372-9b90-0c9aee199e5d"


@pytest.mark.parametrize(
    ("id_", "meta", "key", "place"),
    [
        ("page-7", {"url": "https://x/7"}, "page-7", "https://x/7"),
        (UUID5, {}, UUID5, ""),
        (UUID4, {"url": "https://x/7", "id": 3}, "https://x/7", "https://x/7"),
        (UUID4, {"file_path": "/a.pdf", "page_label": "iv"}, *["/a.pdf#page=iv"] * 2),
        (UUID4, {"id": 3, "source": "wiki"}, "3", ""),
        (UUID4, {"source": "wiki", "page": 2}, "wiki#page=2", ""),
        (UUID4, {"url": " ", "id": True, "link": ["x"], "path": None, "doc_id": "d"}, "d", ""),
        ("", {"page": 2}, "text:", ""),
    ],
)
def test_names_are_the_same_on_every_run(
    id_: str, meta: dict[str, Any], key: str, place: str
) -> None:
    name = name_document(id_, meta, "text")
    assert name.place == place
    assert name.key == key or (key == "text:" and name.key.startswith(key))


def test_random_ids_are_no_keys(given: Any) -> None:
    given.set({"text": "a"}, {"text": "b"}, {"text": "c", "metadata": {"url": "https://x/c"}})
    before = list(given.open().list())
    assert list(given.open().list()) == before
    assert before[2].key == before[2].source == "https://x/c"


def test_documents_that_share_a_key_are_told_apart(given: Any) -> None:
    pages = [
        {"text": f"page {number}", "metadata": {"file_path": "/a.pdf", "file_name": "a.pdf"}}
        for number in (1, 2, 3)
    ]
    given.set(*pages, {"id_": "/a.pdf#2", "text": "a trap"})
    connector = given.open()
    assert texts(connector) == {
        "/a.pdf": "page 1",
        "/a.pdf#2": "page 2",
        "/a.pdf#3": "page 3",
        "/a.pdf#2#2": "a trap",
    }
    refs = list(connector.list())
    assert [ref.source for ref in refs[:3]] == ["/a.pdf", "/a.pdf#2", "/a.pdf#3"]
    assert {ref.name for ref in refs[:3]} == {"a.pdf"}


def test_the_user_may_say_what_names_a_document(given: Any) -> None:
    given.set(
        {"id_": "x", "text": "a", "metadata": {"isbn": 123}},
        {"id_": "y", "text": "b", "metadata": {"title": "Nameless"}},
    )
    connector = given.open("&key=isbn")
    named, nameless = connector.list()
    assert named.key == "123"
    assert (nameless.key, nameless.name) == ("", "Nameless")
    assert str(nameless.problem) == "no 'isbn' in its metadata; name another field by key="
    assert connector.namespace != given.open().namespace


def test_many_documents_are_read_by_several_threads(own: None) -> None:
    connector = open_source("llama_index:ownreaders:Lazy#count=10000")
    refs = list(connector.list())
    assert len({ref.key for ref in refs}) == 10_000
    with ThreadPoolExecutor(8) as pool:
        read = [document.text for document in pool.map(connector.fetch, refs)]
    assert read == [f"This is {number}." for number in range(10_000)]


def test_what_is_spooled_is_gone_with_its_owner(tmp_path: Path) -> None:
    spool = Spool()
    spool.put("a", {"text": "é"})
    spool.put("b", {"text": "x" * 100_000})
    assert (spool.get("a"), len(spool.get("b")["text"])) == ({"text": "é"}, 100_000)
    assert "c" not in spool
    with pytest.raises(KeyError):
        spool.get("c")
    close = spool.close
    assert close.alive
    del spool
    gc.collect()
    assert not close.alive


def test_secrets_come_from_the_environment_and_are_not_shown(
    given: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIKI_KEY", "hunter22")
    url = "https://me:pa55word@wiki.local/api?key=hunter22"
    given.set(
        {"id_": "a-hunter22", "text": "x", "metadata": {"url": url, "by": ["hunter22"]}},
    )
    connector = given.open(f"&init.api_key=env:WIKI_KEY&init.url={url}")
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert (ref.key, ref.source) == ("a-***", "https://wiki.local/api?key=***")
    assert document.meta == {"url": ref.source, "by": ["***"]}
    failing = given.open(f"&init.api_key=env:WIKI_KEY&init.url={url}&fail=refused")
    inline = given.open(f"&init.api_key=hunter22&init.url={url}&fail=refused")
    for each in (failing, inline):
        told = r"refused with key \*\*\* at https://wiki.local/api\?key=\*\*\*$"
        with pytest.raises(SourceError, match=told):
            each.list()
    shown = repr([ref, document]) + connector.namespace + inline.namespace
    assert "hunter22" not in shown
    assert "pa55word" not in shown
    namespace = connector.namespace
    monkeypatch.setenv("WIKI_KEY", "another1")
    assert given.open(f"&init.api_key=env:WIKI_KEY&init.url={url}").namespace == namespace
    monkeypatch.delenv("WIKI_KEY")
    with pytest.raises(UsageError, match=r"option init.api_key: the environment has no WIKI_KEY;"):
        given.open("&init.api_key=env:WIKI_KEY")


def test_it_runs_inside_a_loop_and_leaves_settings_alone(own: None) -> None:
    before = dict(vars(Settings))

    async def inside() -> dict[str, str]:
        return texts(open_source("llama_index:ownreaders:Loop"))

    assert asyncio.run(inside()) == {"a": "sync"}
    assert vars(Settings) == before


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("llama_index:", "no name of a reader: ''; write llama_index:SimpleDirectoryReader,"),
        ("llama_index://wiki", "no name of a reader"),
        ("llama_index:a:b:C", "no name of a reader"),
        ("llama_index:NoSuchReader", "llama_index.core.readers has no reader NoSuchReader; read"),
        (
            "llama_index:no_such_thing.NoReader",
            "llama_index.readers.no_such_thing cannot be loaded: there is no .*no_such_thing; "
            "run: pip install llama-index-readers-no-such-thing$",
        ),
        ("llama_index:no_such_mod.sub:X", ".*no no_such_.*"),
        ("llama_index:no_such_mod:X", ".*there is no no_such_mod; run: pip install no-such-mod$"),
        ("llama_index:os:system", "os has no reader system"),
        ("llama_index:builtins:dict", "builtins has no reader dict"),
        ("llama_index:ownreaders:no_reader", "ownreaders has no reader no_reader"),
        ("llama_index:ownreaders:Nothing", "Nothing: has no load_data; name another reader"),
        ("llama_index:ownreaders:Lazy", "Lazy: missing a required argument: 'text'; load_data ta"),
        (
            "llama_index:ownreaders:Given#init.pth=x",
            "Given: missing a required argument: 'path'; the constructor takes init.path, init.a",
        ),
        (
            "llama_index:JSONReader#input=x",
            "JSONReader: missing a required argument: 'input_file'; load_data takes input_file,",
        ),
        ("llama_index:ownreaders:Loop#format=pdf", "option format of llama_index: .*'text' or"),
    ],
)
def test_a_wrong_source_is_refused(own: None, source: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}") as raised:
        open_source(source)
    assert "\n" not in str(raised.value)


def test_a_module_that_breaks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "badreaders.py").write_text("import no_such_module_xyz")
    (tmp_path / "worsereaders.py").write_text("raise OSError('first\\nsecond')")
    monkeypatch.syspath_prepend(tmp_path)
    told = "there is no no_such_module_xyz; run: pip install no-such-module-xyz$"
    with pytest.raises(UsageError, match=told):
        open_source("llama_index:badreaders:X")
    with pytest.raises(UsageError, match=r"^worsereaders cannot be loaded: first; mend"):
        open_source("llama_index:worsereaders:X")
