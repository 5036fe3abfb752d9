"""The same rows in SQLite and, where one is installed, in a PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from connectors.base import Access, Connector, Prepares, SourceRef
from connectors.registry import open_source
from connectors.sql import connector as sql_connector
from connectors.sql import open_sql
from rag.errors import DocumentError, SourceError, UsageError
from rag.types import Document

PASSWORD = "s3cret-pa:ss"
BASIC = {"table": "articles", "key": "id", "text": "body"}


class Rows:
    """A database with a table `articles`, to write to."""

    def __init__(self, url: str, kind: str) -> None:
        self.url, self.kind = url, kind
        self._engine = sa.create_engine(url, poolclass=NullPool)

    def run(self, statement: str, *values: Mapping[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.text(statement), [*values] or None)

    def make(self, columns: str, *rows: Mapping[str, Any], name: str = "articles") -> None:
        self.run(f"DROP TABLE IF EXISTS {name}")
        self.run(f"CREATE TABLE {name} ({columns})")
        if rows:
            named = ", ".join(f'"{column}"' for column in rows[0])
            bound = ", ".join(f":{column}" for column in rows[0])
            self.run(f"INSERT INTO {name} ({named}) VALUES ({bound})", *rows)

    def open(self, **options: str) -> Connector:
        return open_sql(self.url, {**BASIC, **options}, Access(timeout=5))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL on a socket of its own, with a password."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (str(programs[-1]) if programs else None)
    if found is None:
        pytest.skip("no initdb: PostgreSQL is not installed")
    as_root = os.geteuid() == 0  # whom PostgreSQL refuses
    folder = Path(tempfile.mkdtemp(prefix="spanrag-pg-"))
    (folder / "password").write_text(PASSWORD)
    if as_root:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")

    def run(program: str, *arguments: str) -> None:
        command = [str(Path(found).with_name(program)), "-D", str(folder / "data"), *arguments]
        user = {"user": "postgres", "group": "postgres"} if as_root else {}
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)

    try:
        run("initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--username=reader",
            "--auth=scram-sha-256", f"--pwfile={folder / 'password'}")  # fmt: skip
        settings = f"-k {folder} -c listen_addresses= -c fsync=off"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        login = f"reader:{quote(PASSWORD)}"
        yield f"postgresql+psycopg://{login}@/postgres?host={quote(str(folder), safe='')}"
    finally:
        if (folder / "data" / "postmaster.pid").exists():
            run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def sqlite(tmp_path: Path) -> Rows:
    return Rows(f"sqlite:///{tmp_path / 'news.db'}", "sqlite")


@pytest.fixture(params=["sqlite", "postgresql"])
def rows(request: pytest.FixtureRequest) -> Rows:
    if request.param == "sqlite":
        made: Rows = request.getfixturevalue("sqlite")
        return made
    return Rows(request.getfixturevalue("postgresql"), "postgresql")


def documents(connector: Connector) -> list[Document]:
    return [connector.fetch(ref) for ref in connector.list()]


def failure(act: Callable[[], object]) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        act()
    return caught.value


def test_rows_are_documents(rows: Rows) -> None:
    rows.make(
        "id INTEGER, body TEXT, headline TEXT, author TEXT, year INTEGER, modified_at TIMESTAMP",
        {"id": 2, "body": "Two\r\nlines 😀", "headline": " A  head ", "author": "Ann",
         "year": 2021, "modified_at": "2024-01-02 03:04:05"},
        {"id": 1, "body": "One", "headline": None, "author": None, "year": None,
         "modified_at": "2024-01-01 00:00:00"},
    )  # fmt: skip
    connector = rows.open(title="headline", updated="modified_at", meta="author,year")
    refs = list(connector.list())
    assert refs == list(connector.list())
    assert [ref.key for ref in refs] == ["1", "2"]
    one, two = (connector.fetch(ref) for ref in refs)
    assert (two.key, two.name, two.source, two.fingerprint) == (
        "2", "2", refs[1].source, refs[1].fingerprint
    )  # fmt: skip
    assert (two.text, two.title) == ("Two\r\nlines 😀", "A head")
    assert two.meta == {"author": "Ann", "year": 2021}
    assert (one.title, one.meta) == ("", {})
    assert two.namespace == connector.namespace
    assert connector.namespace.startswith(f"sql:{rows.kind}://")
    assert connector.namespace.endswith(":articles")
    assert connector.covers("anything")


def test_a_source_as_it_is_written(sqlite: Rows, tmp_path: Path) -> None:
    sqlite.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    source = f"sql:{sqlite.url}#table=articles&key=id&text=body&where=id%20%3E%200 and id<9"
    (found,) = documents(open_source(source))
    assert found.source == f"sql:sqlite:///{tmp_path / 'news.db'}#table=articles"


def test_an_updated_row_has_another_fingerprint(rows: Rows) -> None:
    rows.make(
        "id INTEGER, body TEXT, at TIMESTAMP",
        *({"id": n, "body": f"text {n}", "at": f"2024-01-0{n} 00:00:00"} for n in (1, 2, 3)),
        {"id": 4, "body": "never edited", "at": None},
    )
    connector = rows.open(updated="at")
    before = {ref.key: ref.fingerprint for ref in connector.list()}
    rows.run("UPDATE articles SET body = 'new', at = '2024-02-02 00:00:00' WHERE id = 2")
    rows.run("DELETE FROM articles WHERE id = 3")
    rows.run("INSERT INTO articles VALUES (5, 'fifth', NULL)")
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert list(after) == ["1", "2", "4", "5"]
    assert {key for key in after if before.get(key) != after[key]} == {"2", "5"}
    assert documents(connector)[1].text == "new"


def test_without_a_time_the_texts_show_what_changed(rows: Rows) -> None:
    rows.make(
        "id INTEGER, body TEXT, author TEXT, other TEXT",
        *({"id": n, "body": f"text {n}", "author": "a", "other": "o"} for n in (1, 2, 3)),
    )
    connector = rows.open(meta="author")
    before = {ref.key: ref.fingerprint for ref in connector.list()}
    rows.run("UPDATE articles SET body = 'new' WHERE id = 1")
    rows.run("UPDATE articles SET author = 'b' WHERE id = 2")
    rows.run("UPDATE articles SET other = 'p' WHERE id = 3")  # no part of the document
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert [before[key] != after[key] for key in "123"] == [True, True, False]


def test_another_reading_of_the_same_row_has_another_fingerprint(rows: Rows) -> None:
    rows.make(
        "id INTEGER, body TEXT, b2 TEXT, at INTEGER", {"id": 1, "body": "x", "b2": "x", "at": 1}
    )
    opened = [rows.open(updated="at", **more) for more in (
        {}, {"text": "b2"}, {"title": "b2"}, {"meta": "b2"}, {"format": "html"}
    )]  # fmt: skip
    assert len({next(iter(each.list())).fingerprint for each in opened}) == 5


def test_a_deleted_row_is_gone(rows: Rows) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"}, {"id": 2, "body": "Two"})
    connector = rows.open()
    refs = list(connector.list())
    rows.run("DELETE FROM articles WHERE id = 1")
    assert "gone since it was listed" in str(failure(lambda: connector.fetch(refs[0])))
    assert [ref.key for ref in connector.list()] == ["2"]
    assert "gone since it was listed" in str(failure(lambda: rows.open().fetch(refs[0])))


def test_thousands_of_rows_in_batches(rows: Rows) -> None:
    rows.make(
        "id INTEGER PRIMARY KEY, body TEXT, at INTEGER",
        *({"id": n, "body": f"text {n} " * 20, "at": n} for n in range(5000)),
    )
    connector = rows.open(updated="at")
    assert isinstance(connector, Prepares)
    refs = list(connector.list())
    assert [ref.key for ref in refs] == [str(n) for n in range(5000)]
    assert len({ref.fingerprint for ref in refs}) == 5000
    texts = []
    for at in range(0, len(refs), connector.batch):
        batch = refs[at : at + connector.batch]
        connector.prepare(batch)
        texts += [connector.fetch(ref).text for ref in batch]
    assert texts == [f"text {n} " * 20 for n in range(5000)]


def test_a_batch_is_one_statement_and_what_it_lacks_is_read_singly(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.make("id INTEGER, body TEXT", *({"id": n, "body": f"text {n}"} for n in range(10)))
    connector = rows.open()
    refs = list(connector.list())
    connector.prepare(refs[:5])
    rows.run("UPDATE articles SET body = 'later'")
    texts = [connector.fetch(ref).text for ref in refs]
    assert texts == [f"text {n}" for n in range(5)] + ["later"] * 5
    monkeypatch.setattr(sql_connector, "_MOST_HELD", 12)  # as of texts too long to hold at once
    connector.prepare(refs)
    rows.run("UPDATE articles SET body = 'last'")
    texts = [connector.fetch(ref).text for ref in refs]
    assert "later" in texts
    assert texts.count("last") > 5
    connector.prepare([SourceRef("nobody", "", "", "")])


def test_a_listing_holds_no_texts(sqlite: Rows) -> None:
    sqlite.make("id INTEGER, body TEXT", *({"id": n, "body": "words " * 5000} for n in range(400)))
    connector = sqlite.open()
    tracemalloc.start()
    for ref in connector.list():
        connector.fetch(ref)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000  # of 12 MB of text


def test_threads_and_fetching_without_a_listing(rows: Rows) -> None:
    rows.make("id INTEGER, body TEXT", *({"id": n, "body": f"text {n}"} for n in range(60)))
    refs = list(rows.open().list())
    connector = rows.open()
    with ThreadPoolExecutor(8) as pool:
        texts = [found.text for found in pool.map(connector.fetch, refs)]
    assert texts == [f"text {n}" for n in range(60)]


def test_keys_of_text_are_never_part_of_a_statement(rows: Rows) -> None:
    keys = ["x' OR '1'='1", "'); DROP TABLE articles; --", '"', "%s", ":keys", "😀 ü", "a\\b", " a"]
    rows.make("id TEXT, body TEXT", *({"id": key, "body": f"of {key}"} for key in keys))
    connector = rows.open()
    refs = list(connector.list())
    assert sorted(ref.key for ref in refs) == sorted(keys)
    assert {connector.fetch(ref).text for ref in refs} == {f"of {key}" for key in keys}
    connector.prepare(refs)
    assert {connector.fetch(ref).text for ref in refs} == {f"of {key}" for key in keys}
    assert len(list(connector.list())) == len(keys)


@pytest.mark.parametrize("key", ["id, part", "part,id"])
def test_a_key_of_several_columns_is_joined_in_a_query(rows: Rows, key: str) -> None:
    rows.make("id INTEGER, part TEXT, body TEXT", {"id": 1, "part": "a", "body": "One a"})
    with pytest.raises(UsageError, match=r"no column .*; a key is one column; join several in a q"):
        list(rows.open(key=key).list())
    joined = "SELECT id || '/' || part AS id, body FROM articles"
    assert [found.key for found in documents(rows.open(table="", query=joined))] == ["1/a"]


def test_large_and_small_integers(rows: Rows) -> None:
    keys = [-(2**63), -1, 0, 1, 2**31, 2**63 - 1]
    rows.make("id BIGINT, body TEXT", *({"id": key, "body": f"of {key}"} for key in keys))
    connector = rows.open()
    refs = list(connector.list())
    connector.prepare(refs)
    assert [connector.fetch(ref).text for ref in refs] == [f"of {key}" for key in keys]


@pytest.mark.parametrize(("key", "name"), [("NULL", "row 2"), ("''", "row 1"), ("'good'", "good")])
def test_a_row_without_a_key_of_its_own_is_one_failed_document(
    rows: Rows, key: str, name: str
) -> None:
    rows.make("id TEXT, body TEXT", {"id": "good", "body": "x"})
    rows.run(f"INSERT INTO articles VALUES ({key}, 'y')")
    connector = rows.open()
    refs = list(connector.list())
    (bad,) = [ref for ref in refs if ref.problem]
    (good,) = [ref for ref in refs if not ref.problem]
    assert connector.fetch(good).key == "good"
    expected = (
        ("good", r"^duplicate key 'good'") if key == "'good'" else ("", r"^row [12]: no key: ")
    )
    assert bad.key == expected[0]
    with pytest.raises(DocumentError, match=expected[1]):
        connector.fetch(bad)
    if key != "NULL" or rows.kind == "postgresql":  # SQLite puts NULL first
        assert bad.name == name


def test_keys_that_may_look_the_same(sqlite: Rows) -> None:
    sqlite.make("id, body TEXT")
    sqlite.run("INSERT INTO articles VALUES (1, 'a'), ('1', 'b'), (1.5, 'c'), (x'00', 'd')")
    one, same, *others = sorted(sqlite.open().list(), key=lambda ref: ref.key, reverse=True)
    assert (one.key, one.problem, same.key) == ("1", None, "1")
    assert "duplicate key '1'" in str(same.problem)
    assert all("cannot name a row" in str(ref.problem) for ref in others)
    assert len(others) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("NULL", "empty text: 'body' is NULL"), ("' \t'", "empty text: 'body' is blank")],
)
def test_a_row_without_text_is_one_failed_document(rows: Rows, text: str, reason: str) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    rows.run(f"INSERT INTO articles VALUES (2, {text})")
    connector = rows.open()
    refs = list(connector.list())
    assert [ref.key for ref in refs] == ["1", "2"]  # it must not look deleted
    assert connector.fetch(refs[0]).text == "One"
    assert str(failure(lambda: connector.fetch(refs[1]))) == f"row '2': {reason}"


def test_a_text_that_is_too_large(sqlite: Rows) -> None:
    sqlite.make("id INTEGER, body TEXT", {"id": 1, "body": "x" * 100})
    connector = open_sql(sqlite.url, BASIC, Access(most_bytes=99))
    (ref,) = connector.list()
    assert "too large: over 99 bytes" in str(failure(lambda: connector.fetch(ref)))


def test_bytes_are_text_or_refused(sqlite: Rows) -> None:
    sqlite.make(
        "id INTEGER, body BLOB",
        {"id": 1, "body": "Das Café an der Straße öffnet um zehn.".encode("cp1252")},
        {"id": 2, "body": bytes(range(32)) * 20},
    )
    # What SQLite calls text may be any bytes too.
    words = b"The price of t\xffea rose again today.".hex()
    sqlite.run(f"INSERT INTO articles VALUES (3, CAST(x'{words}' AS TEXT))")
    connector = sqlite.open()
    latin, binary, broken = connector.list()
    assert connector.fetch(latin).text == "Das Café an der Straße öffnet um zehn."
    assert "not text" in str(failure(lambda: connector.fetch(binary)))
    assert connector.fetch(broken).text == "The price of t\ufffdea rose again today."


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("html", "<h1>Top</h1><p>a</p><h2>Sub</h2><p>b</p><script>x</script>",
         "Top\n\na\n\nSub\n\nb"),
        ("markdown", "# Top\n\na\n\n## Sub\n\nb", "# Top\n\na\n\n## Sub\n\nb"),
    ],
)  # fmt: skip
def test_texts_with_markup_have_sections(rows: Rows, kind: str, body: str, text: str) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": body})
    (found,) = documents(rows.open(format=kind))
    assert (found.text, found.title) == (text, "Top")
    assert [(each.title, each.level) for each in found.sections] == [("Top", 1), ("Sub", 2)]
    for each in found.sections:
        assert each.span.text_in(found.text).lstrip("# ").startswith(each.title)


def test_names_that_sql_reserves(rows: Rows) -> None:
    rows.make(
        '"select" INTEGER, "From" TEXT, "a ""b"" %" TEXT', name='"Order"',
    )  # fmt: skip
    rows.run("""INSERT INTO "Order" VALUES (1, 'One', 'odd')""")
    (found,) = documents(rows.open(table="Order", key="select", text="From", meta='a "b" %'))
    assert (found.key, found.text, found.meta) == ("1", "One", {'a "b" %': "odd"})


def test_a_view_is_read_as_a_table(rows: Rows) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    rows.run("DROP VIEW IF EXISTS latest")
    rows.run("CREATE VIEW latest AS SELECT id, body FROM articles")
    assert [found.text for found in documents(rows.open(table="latest"))] == ["One"]
    rows.run("DROP VIEW latest")


@pytest.mark.parametrize("option", ["key", "text", "title", "updated", "meta"])
def test_a_column_that_is_not_there(rows: Rows, option: str) -> None:
    rows.make("id INTEGER, body TEXT")
    with pytest.raises(UsageError, match=r"no column 'nope; --' in sql:.*; there are id, body"):
        list(rows.open(**{option: "nope; --"}).list())


def test_a_table_that_is_not_there(rows: Rows) -> None:
    rows.make("id INTEGER, body TEXT")
    with pytest.raises(UsageError, match=r"has no table 'nope'; there are .*articles"):
        list(rows.open(table="nope").list())


def test_a_condition_makes_another_place(rows: Rows) -> None:
    rows.make(
        "id INTEGER, body TEXT, year INTEGER",
        *({"id": n, "body": f"100% of {n}:x", "year": 2020 + n} for n in range(4)),
    )
    late = rows.open(where="year >= 2022 -- of late")
    assert [ref.key for ref in late.list()] == ["2", "3"]
    found = rows.open(where="body LIKE '100%:x' AND year = 2021 OR id = 3")
    assert [found.key for found in documents(found)] == ["1", "3"]
    # Else the rows that only one of them sees would be retired by the other.
    assert len({each.namespace for each in (late, found, rows.open())}) == 3
    refs = list(late.list())
    rows.run("UPDATE articles SET year = 1999 WHERE id = 2")
    assert "gone since it was listed" in str(failure(lambda: late.fetch(refs[0])))
    assert [ref.key for ref in late.list()] == ["3"]


@pytest.mark.parametrize("where", ["nope = 1", "id = = 1", "1=1; DROP TABLE articles"])
def test_a_condition_that_is_no_sql(rows: Rows, where: str) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    with pytest.raises(UsageError, match=r"; mend the source's options"):
        list(rows.open(where=where).list())
    assert len(documents(rows.open())) == 1


def test_the_rows_of_a_query(rows: Rows) -> None:
    rows.make("id INTEGER, body TEXT", *({"id": n, "body": f"text {n}"} for n in range(3)))
    query = "SELECT id AS k, body AS t, ':a %s 12:30' AS m FROM articles WHERE id > 0; -- end"
    connector = rows.open(table="", query=query.replace("; -- end", ";"), key="k", text="t",
                          meta="m", where="k < 2")  # fmt: skip
    (found,) = documents(connector)
    assert (found.key, found.text, found.meta) == ("1", "text 1", {"m": ":a %s 12:30"})
    assert found.source.endswith("#query")
    assert connector.namespace != rows.open(table="", query="SELECT 1 AS id").namespace
    with pytest.raises(UsageError, match=r"no column 'nope'.*there are k, t, m"):
        list(rows.open(table="", query=query.removesuffix("; -- end"), key="nope").list())


@pytest.mark.parametrize(
    "query",
    ["DELETE FROM articles", "DELETE FROM articles RETURNING id, body",
     "SELECT id, body FROM articles) AS x; DELETE FROM articles; --", "SELECT"],
)  # fmt: skip
def test_a_query_cannot_write(rows: Rows, query: str) -> None:
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    with pytest.raises(UsageError):
        list(rows.open(table="", query=query).list())
    assert len(documents(rows.open())) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": ""}, "there must be either table= or query="),
        ({"query": "SELECT 1"}, "there must be either table= or query="),
        ({"format": "pdf"}, "option format of sql"),
        ({"colour": "red"}, "unknown option 'colour' of sql: sources; there are key, text, table"),
        ({"password_env": "SPANRAG_NOT_SET"}, "SPANRAG_NOT_SET is not set"),
    ],
)
def test_wrong_options(sqlite: Rows, options: dict[str, str], message: str) -> None:
    sqlite.make("id INTEGER, body TEXT")
    with pytest.raises(UsageError, match=message):
        sqlite.open(**options)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "malformed database address"),
        ("//nothing", "malformed database address"),
        ("postgresql://u:s3cret@host:s3cret/db", "malformed database address"),
        ("dbase://u:s3cret@host/db", "SQLAlchemy knows no dbase"),
        ("mysql+pymysql://u:s3cret@host/db", "pymysql is not installed; run: pip install 'pymysql"),
        ("mysql://u:s3cret@host/db", "run: pip install 'mysqlclient'"),
        ("sqlite+aiosqlite:///x.db", "no such file|asynchronous"),
        ("mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret", "odbc_connect= hides|not installed"),
        ("sqlite:///none/such.db", "no such file: none/such.db"),
        ("sqlite://", "no such file: :memory:"),
    ],
)
def test_a_wrong_address(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        open_sql(address, BASIC, Access())
    assert "s3cret" not in str(caught.value)


def test_an_asynchronous_driver_is_refused(sqlite: Rows) -> None:
    sqlite.make("id INTEGER, body TEXT")
    with pytest.raises(UsageError, match="aiosqlite is an asynchronous driver"):
        open_sql(sqlite.url.replace("sqlite:", "sqlite+aiosqlite:"), BASIC, Access())


def test_a_file_is_neither_made_nor_written(sqlite: Rows, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        sqlite.open()
    assert not (tmp_path / "news.db").exists()
    sqlite.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    before = (tmp_path / "news.db").read_bytes()
    documents(sqlite.open())
    assert sorted(os.listdir(tmp_path)) == ["news.db"]
    assert (tmp_path / "news.db").read_bytes() == before


def test_what_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "odd #1 x.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(UsageError, match="file is not a database"):
        list(open_sql(f"sqlite:///{path}", BASIC, Access()).list())
    path.unlink()
    rows = Rows(f"sqlite:///{path}", "sqlite")
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    assert [found.text for found in documents(rows.open())] == ["One"]


def test_a_locked_database_is_tried_again_next_time(sqlite: Rows) -> None:
    sqlite.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    connector = open_sql(f"{sqlite.url}?timeout=0", BASIC, Access())
    (ref,) = connector.list()
    with sqlite._engine.connect() as writer:
        writer.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="database is locked"):
            list(connector.list())
        assert "database is locked" in str(failure(lambda: connector.prepare([ref])))
        assert "database is locked" in str(failure(lambda: connector.fetch(ref)))
    assert connector.fetch(ref).text == "One"


# PostgreSQL alone.


def test_types_of_postgresql(postgresql: str) -> None:
    rows = Rows(postgresql, "postgresql")
    rows.make(
        "id UUID, body JSONB, at TIMESTAMPTZ, day DATE, price NUMERIC(10, 2), big NUMERIC, "
        "ok BOOLEAN, tags TEXT[], raw BYTEA, numbers INTEGER[], kind JSONB, x DOUBLE PRECISION"
    )
    rows.run(
        "INSERT INTO articles VALUES ('6d3b1f5e-5a0c-5c0e-9a57-7370616e7261', '{\"a\": \"é\"}', "
        "'2024-01-02 03:04:05+00', '2024-01-02', 12.50, 7, true, '{a,b}', 'x', '{1,2}', "
        "'{\"b\": 1}', 'NaN')"
    )
    rows.run("SET TIME ZONE 'UTC'")
    names = "at,day,price,big,ok,tags,raw,numbers,kind,x"
    connector = rows.open(meta=names, title="raw", updated="at")
    refs = list(connector.list())
    assert [ref.key for ref in refs] == ["6d3b1f5e-5a0c-5c0e-9a57-7370616e7261"]
    connector.prepare(refs)
    assert connector.fetch(refs[0]).meta == connector.fetch(refs[0]).meta
    found = connector.fetch(refs[0])
    assert (found.text, found.title) == ('{"a": "é"}', "x")
    assert found.meta["at"].startswith("2024-01-02T0")
    assert {**found.meta, "at": ""} == {
        "at": "", "day": "2024-01-02", "price": 12.5, "big": 7, "ok": True, "tags": ["a", "b"]
    }  # fmt: skip


def test_a_schema(postgresql: str) -> None:
    rows = Rows(postgresql, "postgresql")
    rows.run("CREATE SCHEMA IF NOT EXISTS press")
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "Pressed"}, name="press.items")
    connector = rows.open(table="items", schema="press")
    assert [found.text for found in documents(connector)] == ["Pressed"]
    assert connector.namespace.endswith(":press.items")
    with pytest.raises(UsageError, match=r"has no table 'other'; there are items"):
        list(rows.open(table="other", schema="press").list())


def test_a_transaction_of_postgresql_only_reads(postgresql: str) -> None:
    rows = Rows(postgresql, "postgresql")
    rows.run("CREATE SEQUENCE IF NOT EXISTS counter")
    query = "SELECT nextval('counter') AS id, 'x' AS body"
    with pytest.raises(UsageError, match="read-only transaction"):
        list(rows.open(table="", query=query).list())


def test_nobody_sees_the_password(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows(postgresql, "postgresql")
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    bare = postgresql.replace(f":{quote(PASSWORD)}@", "@")
    monkeypatch.setenv("NEWS_PASSWORD", PASSWORD)
    inside = f"{bare}&password={quote(PASSWORD)}"
    opened = [
        open_sql(postgresql, BASIC, Access()),
        open_sql(bare, {**BASIC, "password_env": "NEWS_PASSWORD"}, Access()),
        open_sql(inside, BASIC, Access()),
    ]
    # However one logs in, it is the same place.
    assert len({connector.namespace for connector in opened}) == 1
    shown = [
        str((each.namespace, list(each.list()), documents(each), vars(each))) for each in opened
    ]
    with pytest.raises(UsageError) as caught:
        list(open_sql(inside, {**BASIC, "where": f"'{PASSWORD}'"}, Access()).list())
    shown += [str(caught.value)]
    for text in shown:
        for form in (PASSWORD, quote(PASSWORD)):
            assert form not in text
    assert "reader" not in opened[0].namespace


@pytest.mark.parametrize("kind", ["wrong password", "no server", "no database"])
def test_a_server_that_cannot_be_reached(postgresql: str, kind: str) -> None:
    url = {
        "wrong password": postgresql.replace(quote(PASSWORD), "s3cret-other"),
        "no server": postgresql.replace("spanrag-pg-", "spanrag-none-"),
        "no database": postgresql.replace("/postgres?", "/nope?"),
    }[kind]
    connector = open_sql(url, BASIC, Access(timeout=2))
    with pytest.raises(SourceError, match=r"^postgresql:///.*; check the address") as caught:
        list(connector.list())
    assert "s3cret" not in str(caught.value)
    ref = SourceRef("1", "", "1", "")
    assert "s3cret" not in str(failure(lambda: connector.fetch(ref)))


def test_a_connection_that_was_cut_is_made_again(postgresql: str) -> None:
    rows = Rows(postgresql, "postgresql")
    rows.make("id INTEGER, body TEXT", {"id": 1, "body": "One"})
    connector = rows.open()
    (ref,) = connector.list()
    rows.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
    )
    assert connector.fetch(ref).text == "One"
