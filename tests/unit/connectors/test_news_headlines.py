from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from connectors.base import Access, Connector
from connectors.news import open_news, table
from connectors.news.decisions import read_date, read_decisions
from connectors.parsing.delimited import parse_csv
from connectors.registry import open_source
from rag.errors import DocumentError, UsageError
from rag.types import Document

HEADLINES = Path(__file__).parents[2] / "data" / "news" / "headlines.csv"
HEADER = ["S No.", "Title", "Decisions", "Words"]

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a CSV file of these rows and return its path."""

    def write(*rows: list[object], header: list[str] = HEADER, name: str = "news.csv") -> str:
        buffer = io.StringIO()
        csv.writer(buffer, delimiter="\t" if name.endswith("tsv") else ",").writerows(
            [header, *rows]
        )
        path = tmp_path / name
        path.write_bytes(buffer.getvalue().encode())
        return str(path)

    return write


def opened(path: str, **options: str) -> Connector:
    return open_news(path, options, Access())


def documents(connector: Connector) -> list[Document]:
    return [connector.fetch(ref) for ref in connector.list()]


def test_headlines_in_the_shape_of_sentfin() -> None:
    connector = open_source(f"news:{HEADLINES}")
    assert connector.namespace == f"news:{HEADLINES}"
    assert connector.covers("anything")
    refs = list(connector.list())
    assert refs == list(connector.list())
    found = [connector.fetch(ref) for ref in refs]
    third = found[2]
    assert (third.key, third.name, third.source) == ("3", "3", str(HEADLINES))
    assert third.fingerprint == refs[2].fingerprint
    assert third.text == third.title == "Apex Cement loses order to Acme Steel's building arm"
    assert third.meta == {
        "entities": ["Apex Cement", "Acme Steel"],
        "positive": ["Acme Steel"],
        "negative": ["Apex Cement"],
        "Words": 9,
    }
    assert found[3].meta["neutral"] == ["Harbour Bank", "O'Hara Foods"]
    assert found[4].meta == {"Words": 8}
    assert found[5].title == 'Café Lumière to open 20 shops – "our best year yet"'  # noqa: RUF001


def test_columns_may_have_other_names(write: Write) -> None:
    path = write(
        ["a-1", "Head", '["Acme"]', "Body,\nof two lines ", "2021-06-22", "007", ""],
        header=["uid", "head", "who", "body", "day", "desk", "blank"],
    )
    (found,) = documents(
        opened(path, id="uid", title="head", entities="who", text="body", date="day")
    )
    assert (found.key, found.title, found.text) == ("a-1", "Head", "Head\n\nBody,\nof two lines")
    assert found.meta == {
        "entities": ["Acme"], "published": "2021-06-22", "year": 2021, "desk": "007"
    }  # fmt: skip


def test_columns_that_are_not_there(write: Write) -> None:
    path = write(["1", "x"], header=["n", "words"])
    with pytest.raises(UsageError, match=r"has no column 'Title'; .*#title=.*there are n, words"):
        list(opened(path).list())
    with pytest.raises(UsageError, match=r"has no column 'headline'; there are n, words"):
        list(opened(path, title="headline").list())
    Path(path).write_bytes(b"")
    with pytest.raises(UsageError, match="it is empty"):
        list(opened(path).list())
    with pytest.raises(UsageError, match=r"cannot read none\.csv: No such file"):
        list(opened("none.csv").list())


def test_without_an_id_a_headline_and_its_date_are_one(write: Write) -> None:
    path = write(["Same", "2021"], ["Same", "2022"], ["Same", "2021"], header=["Title", "Date"])
    first, second, again = opened(path, date="Date").list()
    assert first.key == again.key != second.key
    assert "duplicate id" in str(again.problem)


@pytest.mark.parametrize(
    ("row", "reason", "key"),
    [
        (["", "Title", "{}"], "no id: 'S No.' is blank", ""),
        (["2", " ", "{}"], "empty row: no headline", "2"),
        (["1", "Other", "{}"], "duplicate id '1': an earlier row has it", "1"),
        (["2", "Title", "{}", "5", "extra"], "5 cells for 4 columns", "2"),
        (["2", "Title", "positive"], "entities are not an object", "2"),
        (["2", "Title", '{"A": 1}'], "entities are not an object", "2"),
        (["2", "Title", '{"A": {"b": "c"}}'], "entities are not an object", "2"),
        (["2", "Title", "[[["], "entities are not an object", "2"),
        (["2", "Title", "[" * 100_000], "entities are not an object", "2"),
        (["2", "Title", "{'A': __import__('os')}"], "entities are not an object", "2"),
    ],
)
def test_a_bad_row_is_one_failed_document(
    write: Write, row: list[object], reason: str, key: str
) -> None:
    path = write(["1", "First\nof two", "{}"], [], row, ["3", "Last"])
    connector = opened(path)
    good, bad, last = connector.list()
    assert (good.problem, last.problem) == (None, None)
    assert (bad.key, bad.source) == (key, f"{path}:5")
    with pytest.raises(DocumentError, match=f"^{reason}"):
        connector.fetch(bad)
    assert [connector.fetch(ref).text for ref in (good, last)] == ["First of two", "Last"]


@pytest.mark.parametrize("tail", ['2,"never closed,{}\n3,Gone,{}\n', '2,"closed" too soon,{}\n'])
def test_a_table_in_which_rows_cannot_be_told_apart_is_not_listed(write: Write, tail: str) -> None:
    path = Path(write(["1", "First", "{}"]))
    # Were it listed, all rows behind the mark would seem deleted.
    path.write_bytes(path.read_bytes() + tail.replace("{}", "x" * 200_000).encode())
    with pytest.raises(UsageError, match=r"news\.csv: line 3: .*; mend the row"):
        list(opened(str(path)).list())


def test_a_row_without_end_is_not_held(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_LONGEST_ROW", 1_000)
    path = Path(write(["1", "First", "{}"]))
    path.write_bytes(path.read_bytes() + b'2,"never closed' + b"\n3,Gone,{}" * 200_000)
    parse_csv(b"a,b\n1,2\n")  # which lifts Python's own limit of a field, for everybody
    tracemalloc.start()
    with pytest.raises(UsageError, match=r"line 3: over 1,000 bytes in one row"):
        list(opened(str(path)).list())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1_000_000


def test_an_article_in_a_cell_may_be_long(write: Write) -> None:
    path = write(["1", "First", "{}", "x" * 200_000], ["2", "Next", "{}"])
    assert [ref.problem for ref in opened(path).list()] == [None, None]


def test_a_line_without_end_is_not_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_LONGEST_LINE", 100)
    path = write(["1", "First", "{}"], ["2", "x" * 200, "{}"])
    with pytest.raises(UsageError, match=r"line 3: over 100 bytes without a line end"):
        list(opened(path).list())


def test_only_a_changed_row_has_another_fingerprint(write: Write) -> None:
    connector = opened(write(["1", "One", "{}"], ["2", "Two", "{}"]))
    before = {ref.key: ref.fingerprint for ref in connector.list()}
    write(["0", "New", "{}"], ["2", "Two", '{"A": "positive"}'])
    after = {ref.key: ref.fingerprint for ref in connector.list()}
    assert list(after) == ["0", "2"]  # and 1 is gone, as `covers` says
    assert after["2"] != before["2"]
    write(["1", "One", "{}"], ["2", "Two", "{}"])
    assert {ref.key: ref.fingerprint for ref in connector.list()} == before


def test_a_file_that_changes_after_the_listing_gives_no_wrong_text(write: Write) -> None:
    connector = opened(write(["1", "One", "{}"], ["2", "Two", "{}"]))
    refs = list(connector.list())
    path = write(["0", "Shifts all", "{}"], ["2", "Two", "{}"])
    for ref in refs:
        with pytest.raises(DocumentError, match=r"^the file has changed"):
            connector.fetch(ref)
    assert opened(path).fetch(refs[1]).text == "Two"
    Path(path).unlink()
    with pytest.raises(DocumentError, match=r"^cannot be read: .*No such file"):
        connector.fetch(refs[0])
    with pytest.raises(DocumentError, match=r"^cannot read .*No such file"):
        opened(path).fetch(refs[0])


def test_fetching_from_threads_and_without_a_listing(write: Write) -> None:
    path = write(*([n, f"title {n}\nwent on", "{}"] for n in range(300)))
    refs = list(opened(path).list())
    connector = opened(path)
    with ThreadPoolExecutor(8) as pool:
        texts = [found.text for found in pool.map(connector.fetch, refs)]
    assert texts == [f"title {n} went on" for n in range(300)]


@pytest.mark.parametrize(
    ("encoding", "start"), [("utf-8", b"\xef\xbb\xbf"), ("utf-8", b""), ("cp1252", b"")]
)
def test_marks_encodings_and_line_ends(tmp_path: Path, encoding: str, start: bytes) -> None:
    path = tmp_path / "x.csv"
    rows = "Title,Decisions\r\nCafé “A”,{}\r\nplain,{}\r\n\r\nlast,{}"
    path.write_bytes(start + rows.encode(encoding))
    assert [found.text for found in documents(opened(str(path)))] == ["Café “A”", "plain", "last"]


def test_tabs_part_the_columns_of_a_tsv(write: Write) -> None:
    path = write(["1", "One, two", json.dumps({"A": "positive"})], name="news.tsv")
    (found,) = documents(opened(path))
    assert (found.text, found.meta) == ("One, two", {"entities": ["A"], "positive": ["A"]})


def test_the_file_is_never_held_whole(write: Write) -> None:
    path = write(*([n, "words " * 5000, "{}"] for n in range(200)))
    tracemalloc.start()
    connector = opened(path)
    for ref in connector.list():
        connector.fetch(ref)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert Path(path).stat().st_size > 6_000_000
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("", {}),
        ("{}", {}),
        ("[]", {}),
        ('["A", "A", "B"]', {"entities": ["A", "B"]}),
        ('{"A": "Positive "}', {"entities": ["A"], "positive": ["A"]}),
        ('{"A": "mixed"}', {"entities": ["A"]}),
        (r"""{'L\'Or': 'neutral', "B'C": "x"}""",
         {"entities": ["L'Or", "B'C"], "neutral": ["L'Or"]}),
        ("{'A': 'positive',}", {"entities": ["A"], "positive": ["A"]}),
    ],
)  # fmt: skip
def test_decisions(written: str, found: dict[str, list[str]]) -> None:
    assert read_decisions(written) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("2021-06-22T10:00:00+05:30", {"published": "2021-06-22T10:00:00+05:30", "year": 2021}),
        ("Tue, 22 Jun 2021 16:52:00 -0400",
         {"published": "2021-06-22T16:52:00-04:00", "year": 2021}),
        ("next week", {}),
        ("", {}),
        ("22/06/2021", {}),
    ],
)  # fmt: skip
def test_dates(written: str, found: dict[str, str | int]) -> None:
    assert read_date(written) == found
