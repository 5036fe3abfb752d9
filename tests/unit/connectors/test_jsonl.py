from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import jsonl
from connectors.base import Connector
from connectors.jsonl import JsonlConnector
from connectors.parsing import rows
from rag.errors import DocumentError, UsageError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(*lines: object, end: str = "\n") -> str:
        path = tmp_path / "rows.jsonl"
        raw = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_bytes("".join(line + end for line in raw).encode("utf-8", "surrogateescape"))
        return str(path)

    return write


def test_one_document_a_line(write: Write) -> None:
    path = write(
        {"id": "x", "text": "one\r\ntwo 😀", "title": "First", "year": 2023, "tags": ["a", "b"]},
        {"id": 7, "text": "seven"},
    )
    connector: Connector = JsonlConnector(path)
    assert connector.namespace == f"jsonl:{path}"
    first, second = (connector.fetch(ref) for ref in connector.list())
    assert (first.key, first.name, first.source) == ("x", "x", path)
    assert (first.text, first.title) == ("one\r\ntwo 😀", "First")
    assert first.meta == {"year": 2023, "tags": ["a", "b"]}
    assert (second.key, second.title, second.meta) == ("7", "", {})
    assert first.id != second.id
    assert connector.covers("anything")


def test_fields_may_have_other_names(write: Write) -> None:
    path = write({"pmid": "1", "abstract": "words", "head": "Title", "id": "x", "text": "y"})
    connector = JsonlConnector(path, id_field="pmid", text_field="abstract", title_field="head")
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert (document.key, document.text, document.title) == ("1", "words", "Title")
    assert document.meta == {"id": "x", "text": "y"}
    other = JsonlConnector(path, id_field="pmid", text_field="text", title_field="head")
    assert next(iter(other.list())).fingerprint != ref.fingerprint


def test_meta_is_flat_and_storable(write: Write) -> None:
    row = {"id": "1", "text": "t", "ok": True, "f": 0.5, "s": "x", "none": None, "d": {"a": 1},
           "mixed": ["a", 1], "big": 2**63, "small": -(2**63), "empty": []}  # fmt: skip
    connector = JsonlConnector(write(json.dumps(row).replace("0.5", '0.5, "inf": 1e999')))
    (ref,) = connector.list()
    assert connector.fetch(ref).meta == {
        "ok": True, "f": 0.5, "s": "x", "small": -(2**63), "empty": []
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "reason", "key"),
    [
        ("{oops", "not JSON: .* at character 2", ""),
        ('["list"]', "not a JSON object", ""),
        ('{"id": "a", "text": NaN}', "not JSON: NaN", ""),
        ("[" * 100_000, "not JSON: ", ""),
        ('{"id": ' + "9" * 5000 + "}", "not JSON: ", ""),
        ('{"text": "no id"}', "no id: 'id' must be", ""),
        ('{"id": "", "text": "x"}', "no id", ""),
        ('{"id": true, "text": "x"}', "no id", ""),
        ('{"id": 1.5, "text": "x"}', "no id", ""),
        ('{"id": "a"}', "no text: 'text' must be", "a"),
        ('{"id": "a", "text": 5}', "no text", "a"),
        ('{"id": "a", "text": " \\n"}', "empty text", "a"),
        ('{"id": "good", "text": "x"}', "duplicate id 'good'", "good"),
        ('{"id": "a", "text": "caf\udce9"}', "not UTF-8", ""),
    ],
)
def test_a_bad_line_is_one_failed_document(write: Write, line: str, reason: str, key: str) -> None:
    path = write({"id": "good", "text": "x"}, "", line, {"id": "last", "text": "y"})
    connector = JsonlConnector(path)
    good, bad, last = connector.list()
    assert (good.problem, last.problem) == (None, None)
    assert bad.source == f"{path}:3"
    # A line that still has its id must not pass for a deleted document; "" says nobody knows.
    assert bad.key == key
    with pytest.raises(DocumentError, match=f"^{reason}"):
        connector.fetch(bad)
    assert "\n" not in str(bad.problem)
    assert [connector.fetch(ref).text for ref in (good, last)] == ["x", "y"]


def test_half_a_surrogate_pair_is_replaced_in_its_place(write: Write) -> None:
    path = write(r'{"id": "a\ud83d", "text": "ab\ud83dcd \ud83d\ude00", "tag\udc00": ["\udc00"]}')
    connector = JsonlConnector(path)
    (ref,) = connector.list()
    document = connector.fetch(ref)
    assert (document.key, document.text) == ("a\ufffd", "ab\ufffdcd 😀")
    assert document.meta == {"tag\ufffd": ["\ufffd"]}
    assert document.id


def test_a_line_without_end_is_cut_off(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 40)
    monkeypatch.setattr(rows, "MAX_LINE", 40)
    path = write({"id": 1, "text": "x"}, {"id": 2, "text": "y" * 200}, {"id": 3, "text": "z"})
    connector = JsonlConnector(path)
    first, long, last = connector.list()
    assert "line too long" in str(long.problem)
    assert [connector.fetch(ref).text for ref in (first, last)] == ["x", "z"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_do_not_matter(write: Write, end: str) -> None:
    path = write("\ufeff" + json.dumps({"id": 1, "text": "x"}), {"id": 2, "text": "y"}, end=end)
    connector = JsonlConnector(path)
    assert [connector.fetch(ref).text for ref in connector.list()] == ["x", "y"]


def test_the_last_line_needs_no_end(tmp_path: Path, write: Write) -> None:
    path = write({"id": 1, "text": "x"})
    (with_end,) = JsonlConnector(path).list()
    Path(path).write_text(json.dumps({"id": 1, "text": "x"}))
    connector = JsonlConnector(path)
    (without,) = connector.list()
    assert without == with_end
    assert connector.fetch(without).text == "x"


def test_only_a_changed_line_has_another_fingerprint(write: Write) -> None:
    path = write({"id": 1, "text": "x"}, {"id": 2, "text": "y"})
    before = {ref.key: ref.fingerprint for ref in JsonlConnector(path).list()}
    write({"id": 0, "text": "new"}, {"id": 1, "text": "x"}, {"id": 2, "text": "Y"})
    after = {ref.key: ref.fingerprint for ref in JsonlConnector(path).list()}
    assert after["1"] == before["1"]
    assert after["2"] != before["2"]


def test_a_file_that_changes_after_the_listing_gives_no_wrong_text(write: Write) -> None:
    path = write({"id": 1, "text": "x"}, {"id": 2, "text": "y"})
    connector = JsonlConnector(path)
    refs = list(connector.list())
    write({"id": 0, "text": "shifts all offsets"}, {"id": 2, "text": "y"})
    for ref in refs:
        with pytest.raises(DocumentError, match=r"^the file has changed"):
            connector.fetch(ref)


def test_another_connector_can_fetch_and_an_unknown_id_is_said_so(write: Write) -> None:
    path = write({"id": 1, "text": "x"}, {"id": 2, "text": "y"})
    refs = list(JsonlConnector(path).list())
    assert JsonlConnector(path).fetch(refs[1]).text == "y"
    write({"id": 1, "text": "x"})
    with pytest.raises(DocumentError, match=r"^the file has changed"):
        JsonlConnector(path).fetch(refs[1])


def test_fetching_during_the_listing(write: Write) -> None:
    connector = JsonlConnector(write(*({"id": n, "text": f"text {n}"} for n in range(5))))
    assert [connector.fetch(ref).text for ref in connector.list()][4] == "text 4"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.jsonl: No such file"):
        list(JsonlConnector(str(tmp_path / "none.jsonl")).list())


def test_the_file_is_never_held_whole(write: Write) -> None:
    path = write(*({"id": n, "text": "words " * 5000} for n in range(300)))
    assert Path(path).stat().st_size > 9_000_000
    tracemalloc.start()
    connector = JsonlConnector(path)
    for ref in connector.list():
        connector.fetch(ref)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values |= st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=2)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_facts_are_always_storable(row: dict[str, object]) -> None:
    kept = rows.facts(row)
    json.dumps(kept, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert all(not isinstance(value, dict) for value in kept.values())


def test_another_process_whose_file_is_gone_says_so(write: Write) -> None:
    path = write({"id": "a", "text": "x"})
    (ref,) = JsonlConnector(path).list()
    fresh = JsonlConnector(path)
    Path(path).unlink()
    with pytest.raises(DocumentError, match="cannot read"):
        fresh.fetch(ref)
    Path(path).write_text('{"id": "a", "text": "x"}\n')
    assert fresh.fetch(ref).text == "x"
