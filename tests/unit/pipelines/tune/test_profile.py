from __future__ import annotations

import os
import re
import shlex
import tempfile
import tomllib
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tune.profile import command_line, outweighed, profile_values, write_profile
from pipelines.tune.tuning import EVIDENCE_GROUPS
from rag.errors import UsageError
from rag.settings import load_settings

BASES = st.fixed_dictionaries(
    {},
    optional={
        "chunking.size": st.sampled_from([30, 100, 200]),
        "retrieval.top_k": st.integers(1, 60),
        "retrieval.name_weight": st.sampled_from([0.0, 0.1, 1.0]),
        "selection.budget": st.sampled_from([0, 64]),
        "selection.whole_tables": st.booleans(),
        "pruning.profile": st.sampled_from(["general", "finance"]),
        "synthesis.personas": st.lists(st.text(max_size=9), max_size=2),
        "ingest.ignore": st.just(["*.tmp", 'a "b" \\c']),
    },
)


def written(values: dict[str, Any], comments: tuple[str, ...] = ()) -> Path:
    path = Path(tempfile.mkdtemp()) / "profile.toml"
    write_profile(path, values, comments)
    return path


@given(st.data(), BASES, st.booleans())
def test_a_profile_loads_as_exactly_the_tuned_settings(
    make_space: Any, drawing: Any, data: st.DataObject, base: dict[str, Any], profiled: bool
) -> None:
    grouped: dict[str, Any] = {}
    for key, value in base.items():
        group, _, field = key.partition(".")
        grouped.setdefault(group, {})[field] = value
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        loaded = (
            load_settings(profile=written(grouped)) if profiled else load_settings(overrides=base)
        )
        space = make_space(loaded.settings, pruning=True)
        tuned = space.settings(drawing(data, space))
        again = load_settings(profile=written(profile_values(loaded, tuned, space.keys))).settings
    for group in EVIDENCE_GROUPS:
        assert getattr(again, group) == getattr(tuned, group)
    if profiled:  # and what it says of other things is kept
        assert again.synthesis == loaded.settings.synthesis
        assert again.ingest == loaded.settings.ingest


@given(st.lists(st.text(), max_size=3))
def test_any_comment_leaves_the_file_a_file(comments: list[str]) -> None:
    path = written({"retrieval": {"top_k": 3}}, tuple(comments))
    assert tomllib.loads(path.read_text("utf-8")) == {"retrieval": {"top_k": 3}}


def test_only_what_is_no_default_is_written(make_space: Any, tmp_path: Path) -> None:
    with chdir(tmp_path):
        loaded = load_settings()
        assert profile_values(loaded, loaded.settings, make_space().keys) == {}
        device = load_settings(overrides={"embedding.device": "cpu", "offline": "false"})
        assert profile_values(device, device.settings, make_space().keys) == {}


def test_no_secret_is_written(make_space: Any, tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        '[generation]\nkind="server"\nurl="http://x"\nmodel="m"\napi_key="hush"\n'
        '[embedding]\nkind="llama_index"\nmodel="a:B"\noptions={api_key="hush", size=3}\n'
    )
    with chdir(tmp_path):
        loaded = load_settings(profile=Path("base.toml"))
        values = profile_values(loaded, loaded.settings, make_space().keys)
    assert "hush" not in str(values)
    assert values["embedding"]["options"] == {"size": 3}
    assert values["generation"]["model"] == "m"


def test_what_wins_over_the_profile_is_named(
    make_space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rag.toml").write_text("[chunking]\nsize = 150\n[retrieval]\ntop_k = 7\n")
    monkeypatch.setenv("RAG_SELECTION__KEEP", "everything")
    with chdir(tmp_path):
        loaded = load_settings(overrides={"retrieval.dense_weight": "0.5"})
    space = make_space(loaded.settings)
    tuned = space.settings({**space.first[0], "retrieval.top_k": 7}.__getitem__)
    assert outweighed(loaded, tuned, space.keys) == {
        "chunking.size": "rag.toml",
        "selection.keep": "environment RAG_SELECTION__KEEP",
    }


def test_the_command_is_as_it_was_typed_without_secrets() -> None:
    typed = ["eval", "tune", "--questions", "my file.jsonl", "--set", "generation.api_key=hush"]
    line = command_line([*typed, "--set=store.api_key=hush", "--set", "retrieval.top_k=3"])
    assert "hush" not in line
    assert shlex.split(line)[:5] == ["rag", *typed[:4]]
    assert re.search(r"retrieval\.top_k=3$", line)


def test_a_place_where_nothing_can_be_written_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write"):
        write_profile(tmp_path / "file" / os.curdir / "x.toml", {}, ())
