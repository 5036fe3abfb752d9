from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.pubmed import records
from connectors.pubmed.inline import flat_text
from connectors.pubmed.records import RecordsError, read_records

Article = Callable[..., str]


def wrap(*inner: str, head: str = "") -> bytes:
    return (
        f"<?xml version='1.0'?>{head}<PubmedArticleSet>{''.join(inner)}</PubmedArticleSet>".encode()
    )


def test_records_in_order_however_the_bytes_are_cut(article: Article) -> None:
    data = wrap(article("1"), "\n", article("2"), "<DeleteCitation><PMID>3</PMID></DeleteCitation>")
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        found = [(each.tag, each.findtext(".//PMID")) for each in read_records(pieces)]
        assert found == [("PubmedArticle", "1"), ("PubmedArticle", "2"), ("DeleteCitation", "3")]


def test_what_was_read_does_not_stay(article: Article) -> None:
    filler = "<Junk>x</Junk><!-- and a comment -->"
    data = wrap(*(filler + article(str(n)) for n in range(500)))
    around = [len(each.getparent()) for each in read_records([data])]
    # Some lie ahead, within a piece of 64 KiB; behind there is the last filler at most.
    assert around[-1] <= 2
    assert max(around) < 900 < 2 * len(around)


def test_a_record_without_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_MOST_RECORD", 1 << 20)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield b"<PubmedArticleSet><PubmedArticle>"
        while True:
            taken += 1
            yield b"<x/>" * 1_000

    with pytest.raises(RecordsError, match="larger than 1 MiB"):
        list(read_records(endless()))
    assert taken < 300


def test_more_records_than_any_file_has(monkeypatch: pytest.MonkeyPatch, article: Article) -> None:
    monkeypatch.setattr(records, "_MOST_RECORDS", 2)
    assert len(list(read_records([wrap(article(), article())]))) == 2
    with pytest.raises(RecordsError, match="more than 2 records"):
        list(read_records([wrap(article(), article(), article())]))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "broken XML"),
        (b"no XML", "broken XML"),
        (b"<PubmedArticleSet><PubmedArticle>", "broken XML"),
        (b"<PubmedArticleSet></PubmedArticleSet><more/>", "broken XML"),
        (b"<html><b>busy</b> now</html>", "no PubMed records, but <html> busy now"),
        (b"<PubmedArticleSet>" + b"<x>" * 5_000, "broken XML"),
    ],
)
def test_what_is_no_pubmed_xml(data: bytes, said: str) -> None:
    with pytest.raises(RecordsError, match=said):
        list(read_records([data]))


def test_entities_are_neither_expanded_nor_fetched(article: Article) -> None:
    bombs = '<!ENTITY a "boom"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">'
    data = wrap(article(title="Safe &b; &f; title."), head=f"<!DOCTYPE x [{bombs}]>")
    (record,) = read_records([data])
    assert flat_text(record.find(".//ArticleTitle")) == "Safe title."
