from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Access, Prepares
from connectors.pubmed.files import FileConnector
from connectors.pubmed.marks import RecordOptions
from connectors.pubmed.packed import RecordFile
from pipelines.sync import plan
from rag.errors import DocumentError, UsageError

Article = Callable[..., str]
Save = Callable[..., Path]
DATA = Path(__file__).parents[3] / "data" / "pubmed"


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save records as a file of PubMed's, packed where its name says so."""

    def save(name: str, *records: str) -> Path:
        data = f"<PubmedArticleSet>\n{''.join(records)}\n</PubmedArticleSet>".encode()
        path = tmp_path / "baseline" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return save


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose records were read, in order."""
    names: list[str] = []
    original = RecordFile.records

    def records(self: RecordFile, **how: Any) -> Any:
        names.append(os.path.basename(self.path))
        return original(self, **how)

    monkeypatch.setattr(RecordFile, "records", records)
    return names


def folder(path: Path, **options: Any) -> FileConnector:
    return FileConnector(f"{path}/", RecordOptions(**options), Access())


def titles(connector: FileConnector) -> dict[str, str]:
    refs = connector.list()
    connector.prepare(refs)
    return {ref.key: connector.fetch(ref).title for ref in refs}


def test_a_real_file() -> None:
    path = DATA / "records.xml"
    connector = FileConnector(str(path), RecordOptions(), Access())
    assert connector.namespace == f"pubmed:{path}"
    refs = connector.list()
    assert [ref.key for ref in refs] == ["30108519", "28775130", "11748933", "9500320"]
    found = connector.fetch(refs[1])
    assert found.source == "https://pubmed.ncbi.nlm.nih.gov/28775130/"
    assert (found.name, found.fingerprint) == ("28775130", refs[1].fingerprint)
    assert [each.title for each in found.sections][:2] == ["OBJECTIVES", "METHODS"]
    assert connector.covers("1")
    assert connector.list() == refs


def test_the_last_version_in_the_order_of_names_counts(save: Save, article: Article) -> None:
    save("updates/pubmed24n0003.xml", article("1", "One, newest."), article("4", "Four."))
    save("pubmed24n0001.xml.gz", article("1", "One."), article("2", "Two."), article("3", "Three."))
    root = save("pubmed24n0002.xml.gz", article("2", "Two, newer."), article("1", "One, newer."))
    root.with_name(".hidden.xml").write_text("no")
    root.with_name("pubmed24n0001.xml.gz.md5").write_text("no")
    connector = folder(root.parent)
    assert titles(connector) == {
        "3": "Three.", "2": "Two, newer.", "1": "One, newest.", "4": "Four.",
    }  # fmt: skip
    assert [ref.key for ref in connector.list()] == ["3", "2", "1", "4"]  # as the files hold them


def test_a_higher_version_counts_wherever_it_stands(save: Save, article: Article) -> None:
    save("a.xml", article("1", "Second.", version="2"), article("1", "First.", version="1"))
    root = save("b.xml", article("1", "First again.", version="1"))
    assert titles(folder(root.parent)) == {"1": "Second."}


def test_what_a_later_file_deletes_is_gone(save: Save, article: Article) -> None:
    save("a.xml", article("1"), article("2"), article("3", version="2"), article("4"))
    deletions = "<PMID Version='1'>2</PMID><PMID>3</PMID><PMID>4</PMID><PMID>77</PMID>"
    save("b.xml", f"<DeleteCitation>{deletions}</DeleteCitation>")
    root = save("c.xml", article("4", "Back."))
    assert set(titles(folder(root.parent))) == {"1", "3", "4"}


def test_a_whole_ingest_is_one_pass(save: Save, article: Article, opened: list[str]) -> None:
    save("a.xml.gz", *(article(str(n)) for n in range(1, 31)))
    root = save("b.xml.gz", *(article(str(n)) for n in range(31, 41)))
    connector = folder(root.parent)
    assert isinstance(connector, Prepares)
    refs = connector.list()
    opened.clear()
    for at in range(0, len(refs), 7):
        connector.prepare(refs[at : at + 7])
        for ref in refs[at : at + 7]:
            assert connector.fetch(ref).key == ref.key
    assert opened == ["a.xml.gz", "b.xml.gz"]


def test_a_second_listing_starts_anew(save: Save, article: Article) -> None:
    save("b.xml", article("1", "One."), article("2", "Two."))
    root = save("c.xml", article("3", "Three."), article("4", "Four."))
    connector = folder(root.parent)
    assert connector.fetch(connector.list()[0]).title == "One."
    save("a.xml", article("5", "Five."), article("6", "Six."))  # the first file is another now
    assert connector.fetch(connector.list()[1]).title == "Six."


def test_only_files_that_hold_what_is_wanted_are_read(
    save: Save, article: Article, opened: list[str]
) -> None:
    save("a.xml", article("1"), article("2"))
    root = save("b.xml", article("3"), article("4"))
    connector = folder(root.parent)
    refs = connector.list()
    opened.clear()
    connector.prepare([refs[3]])
    assert connector.fetch(refs[3]).key == "4"
    assert opened == ["b.xml"]
    # Back again, without a batch: from the start of the file.
    assert connector.fetch(refs[2]).key == "3"
    assert opened == ["b.xml", "b.xml"]


def test_deletions_between_records_do_not_count_as_records(save: Save, article: Article) -> None:
    gone = "<DeleteCitation><PMID>9</PMID></DeleteCitation>"
    root = save("a.xml", article("1", "One."), gone, article("2", "Two."), gone, article("3", "3."))
    assert titles(folder(root.parent)) == {"1": "One.", "2": "Two.", "3": "3."}


def test_a_connector_that_has_not_listed_finds_a_record(save: Save, article: Article) -> None:
    root = save("a.xml", article("1"), article("2", "Two."))
    ref = folder(root.parent).list()[1]
    assert folder(root.parent).fetch(ref).title == "Two."


def test_fingerprints_change_with_the_record_alone(save: Save, article: Article) -> None:
    root = save("a.xml", article("1"), article("2"))
    before = {ref.key: ref.fingerprint for ref in folder(root.parent).list()}
    root.unlink()
    # Another file, packed, its records in another order: the same records.
    save("b.xml.gz", article("3"), article("2", "Revised."), article("1"))
    after = {ref.key: ref.fingerprint for ref in folder(root.parent).list()}
    assert before["1"] == after["1"]
    assert before["2"] != after["2"]


def test_options_say_what_is_listed(save: Save, article: Article) -> None:
    kind = "<PublicationTypeList><PublicationType>Retracted Publication</PublicationType>"
    retracted = article("2", "Two.", inside=f"{kind}</PublicationTypeList>")
    text = "<AbstractText>Why.</AbstractText>"
    save("a.xml", article("1"), article("2", "Two."), article("3", abstract=text))
    root = save("b.xml", retracted)
    assert titles(folder(root.parent)) == {"1": "A title.", "3": "A title.", "2": "RETRACTED: Two."}
    # What an earlier file has of it does not count any more.
    assert set(titles(folder(root.parent, retracted="skip"))) == {"1", "3"}
    assert set(titles(folder(root.parent, abstracts="only"))) == {"3"}


def test_a_damaged_file_is_a_problem_and_blocks_retiring(save: Save, article: Article) -> None:
    many = [
        article(str(n), abstract=f"<AbstractText>{n * 7919}</AbstractText>")
        for n in range(2, 3_000)
    ]
    save("a.xml", article("1", "One."))
    root = save("b.xml.gz", *many)
    whole = root.read_bytes()
    connector = folder(root.parent)
    stored = connector.list()
    for damaged in (whole[: len(whole) // 2], whole[:-4] + b"\0\0\0\0", b"\x1f\x8bnot gzip"):
        root.write_bytes(damaged)
        refs = connector.list()
        problem = refs[-1]
        assert (problem.key, problem.source, problem.name) == ("", str(root), "b.xml.gz")
        assert "download it again" in str(problem.problem)
        assert refs[0].key == "1"
        assert connector.fetch(refs[0]).title == "One."
        planned = plan(connector.namespace, refs, [], connector.covers)
        assert planned.refused == [problem]
        with pytest.raises(DocumentError):
            connector.fetch(problem)
    assert len(stored) == 2_999


def test_a_file_that_unpacks_without_end(save: Save, article: Article) -> None:
    root = save("a.xml.gz", article("1"), " " * 5_000_000)
    assert root.stat().st_size < 10_000
    connector = FileConnector(str(root), RecordOptions(), Access(most_bytes=1_000_000))
    first, problem = connector.list()
    assert (first.key, problem.key) == ("1", "")
    assert "unpacks to more than 4,000,000 bytes" in str(problem.problem)


def test_records_without_a_pmid_are_one_problem(save: Save, article: Article) -> None:
    root = save("a.xml", article("x"), article(""), article("1" * 11), article("007"))
    listed, problem = folder(root.parent).list()
    assert (listed.key, problem.key) == ("7", "")
    assert "3 records without a PMID" in str(problem.problem)


def test_a_file_that_changes_after_it_was_listed(save: Save, article: Article) -> None:
    root = save("a.xml", article("1"), article("2"))
    connector = folder(root.parent)
    refs = connector.list()
    save("a.xml", article("1"), article("2", "Longer now."))
    connector.prepare(refs)
    for ref in refs:
        with pytest.raises(DocumentError, match="changed since it was listed"):
            connector.fetch(ref)
    # The same size and time, but other bytes: the record itself tells.
    connector.list()
    stat = root.stat()
    root.write_bytes(root.read_bytes().replace(b"Longer", b"Larger"))
    os.utime(root, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(DocumentError, match="changed since it was listed"):
        connector.fetch(connector.list()[1].__class__("2", "", "2", refs[1].fingerprint))
    root.unlink()
    with pytest.raises(DocumentError, match="No such file"):
        connector.fetch(refs[0])


def test_a_record_that_says_nothing_costs_itself_alone(save: Save, article: Article) -> None:
    root = save("a.xml", article("1", ""), article("2", "Two."))
    connector = folder(root.parent)
    refs = connector.list()
    connector.prepare(refs)
    with pytest.raises(DocumentError, match="neither a title nor an abstract"):
        connector.fetch(refs[0])
    assert connector.fetch(refs[1]).title == "Two."


def test_a_link_that_leaves_the_folder_is_not_read(
    save: Save, article: Article, tmp_path: Path
) -> None:
    root = save("a.xml", article("1"))
    (tmp_path / "secret.xml").write_text(f"<PubmedArticleSet>{article('2')}</PubmedArticleSet>")
    root.with_name("b.xml").symlink_to(tmp_path / "secret.xml")
    listed, problem = folder(root.parent).list()
    assert (listed.key, problem.key) == ("1", "")
    assert "leaves the folder" in str(problem.problem)


def test_places_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        folder(tmp_path / "none").list()
    with pytest.raises(UsageError, match=r"no \.xml or \.xml\.gz files"):
        folder(tmp_path).list()


def test_another_process_reads_batches_and_says_what_is_gone(
    save: Save, article: Article, opened: list[str]
) -> None:
    path = save("pubmed24n0001.xml.gz", *(article(str(n), f"T{n}") for n in range(1, 6)))
    refs = FileConnector(str(path), RecordOptions(), Access()).list()
    opened.clear()
    fresh = FileConnector(str(path), RecordOptions(), Access())
    fresh.prepare(refs)
    assert [fresh.fetch(ref).title for ref in refs] == ["T1", "T2", "T3", "T4", "T5"]
    assert len(opened) == 2  # once to list, once for all of the batch
    path.unlink()
    gone = FileConnector(str(path), RecordOptions(), Access())
    with pytest.raises(DocumentError, match="cannot read"):
        gone.prepare(refs)
    with pytest.raises(DocumentError, match="cannot read"):
        gone.fetch(refs[0])
