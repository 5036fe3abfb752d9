from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.journal import Journal
from rag.errors import ConfigError, UsageError

HEADER = {"journal": "test", "seed": 1}


def entries_of(path: Path, header: dict[str, object] = HEADER) -> list[dict[str, object]]:
    journal = Journal(path, header)
    journal.close()
    return journal.entries


def test_what_was_appended_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/run.journal"
    journal = Journal(path, HEADER)
    assert journal.entries == []
    journal.append({"number": 1, "text": "Grüße\n"})
    on_disk = path.read_text(encoding="utf-8").splitlines()  # while it is still open
    assert [json.loads(line) for line in on_disk] == [HEADER, {"number": 1, "text": "Grüße\n"}]
    journal.append({"number": 2})
    journal.close()
    assert [each["number"] for each in entries_of(path)] == [1, 2]


@given(cut=st.integers(min_value=1, max_value=200))
def test_a_line_cut_in_half_is_dropped_and_the_rest_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "run.journal"
    journal = Journal(path, HEADER)
    for number in range(6):
        journal.append({"number": number, "text": "x" * number})
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    left = whole[:-cut].count(b"\n")
    assert [each["number"] for each in entries_of(path)] == list(range(max(left - 1, 0)))
    journal = Journal(path, HEADER)
    journal.append({"number": 99})
    journal.close()
    lines = path.read_text().splitlines()
    assert [json.loads(line) for line in lines[:1]] == [HEADER]
    assert json.loads(lines[-1]) == {"number": 99}


def test_a_journal_of_another_run_is_refused_with_each_difference(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    entries_of(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"seed: there 1, here 2; model: there None, here m\)"):
        entries_of(path, {"journal": "test", "seed": 2, "model": "m"})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["no JSON\n", "[1]\n", "no JSON, and no end of line", '{"a": 1}']
)
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(UsageError, match="line 1: this is no journal"):
        entries_of(path)
    assert path.read_text() == content


def test_a_place_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        entries_of(tmp_path)


def test_only_the_first_entries_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    journal = Journal(path, HEADER)
    journal.append({"number": 1}, {"number": 2}, {"number": 3})
    journal.keep(2)
    journal.append({"number": 4})
    journal.close()
    assert [each["number"] for each in entries_of(path)] == [1, 2, 4]


def test_a_second_run_at_the_same_time_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    journal = Journal(path, HEADER)
    with pytest.raises(UsageError, match="another run is writing"):
        Journal(path, HEADER)
    journal.close()
    assert entries_of(path) == []


def test_a_header_cut_in_half_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.journal"
    path.write_bytes(b'{"journal": "te')
    assert entries_of(path) == []
    assert json.loads(path.read_text()) == HEADER
