"""Domain profiles: those that are packaged, and how a profile is named."""

from __future__ import annotations

import json
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import pytest

from rag.errors import ConfigError
from rag.profiles import profile_file, profile_names
from rag.pruning.protect import PROFILES
from rag.settings import QuestionKind, Settings, load_settings
from rag.settings import sources as module

NAMES = ("biomedical", "cyber", "finance", "general")
SOURCES = ("--profile", "--set", "environment", ".env", "secrets", "rag.toml")  # strongest first
ORIGINS = ("command line", "command line", "environment RAG_PROFILE", ".env", "", "rag.toml")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with its own place for secrets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SECRETS_DIR", tmp_path / "secrets")
    return tmp_path


def name_it(source: str, profile: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Name the profile in one source; what `load_settings` must be told is returned."""
    if source == "--profile":
        return {"profile": profile}
    if source == "--set":
        return {"overrides": {"profile": profile}}
    if source == "environment":
        monkeypatch.setenv("RAG_PROFILE", profile)
    elif source == ".env":
        Path(".env").write_text(f"RAG_PROFILE={profile}\n")
    elif source == "secrets":
        Path("secrets").mkdir()
        Path("secrets/rag_profile").write_text(f"{profile}\n")
    else:
        Path("rag.toml").write_text(f"profile = '{profile}'\n")
    return {}


def refused(**arguments: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(**arguments)
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


# --- the packaged ones ---------------------------------------------------------------------


def test_these_are_packaged() -> None:
    assert profile_names() == NAMES
    packaged = {each.name for each in files("rag.profiles").iterdir()}
    assert {name for name in packaged if name.endswith(".toml")} == {f"{n}.toml" for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_profile_holds_nothing_but_settings_of_its_own(name: str) -> None:
    loaded = load_settings(profile=name)
    assert loaded.settings.profile == name
    assert set(loaded.origins.values()) == {f"profile {name}", "command line"}
    assert loaded.origins["profile"] == "command line"
    values = json.loads(loaded.settings.model_dump_json())
    assert Settings(**values) == loaded.settings
    machine = {"profile", "store", "models", "offline", "ingest"}
    assert not {key.partition(".")[0] for key in loaded.origins} - {"profile"} & machine


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("general", set()),
        ("finance", {"ticker"}),
        ("biomedical", {"gene", "drug"}),
        ("cyber", {"threat"}),
    ],
)
def test_a_packaged_profile_protects_what_its_domain_must_not_lose(
    name: str, own: set[str]
) -> None:
    classes = set(PROFILES[load_settings(profile=name).settings.pruning.profile])
    assert classes - set(PROFILES["general"]) == own
    assert classes >= set(PROFILES["general"])


def test_personas_are_distinct_within_a_profile_and_between_them() -> None:
    all_of_them = [load_settings(profile=name).settings.synthesis.personas for name in NAMES]
    for personas in all_of_them:
        assert 4 <= len(personas) <= 6
        assert len(set(personas)) == len(personas)
        assert all(each.startswith(("a ", "an ")) for each in personas)
    assert not any(set(one) & set(other) for one, other in combinations(all_of_them, 2))


def test_kinds_of_question_are_a_set_and_the_general_profile_has_them_all() -> None:
    kinds = {name: load_settings(profile=name).settings.synthesis.kinds for name in NAMES}
    assert all(len(set(each)) == len(each) for each in kinds.values())
    assert set(kinds["general"]) == set(get_args(QuestionKind))


def test_each_domain_has_advice_of_its_own_and_the_general_one_none() -> None:
    advice = {name: load_settings(profile=name).settings.generation.advice for name in NAMES}
    assert advice.pop("general") == ""
    assert len(set(advice.values())) == len(advice)
    assert all("\n" not in each and 40 < len(each) < 400 for each in advice.values())
    assert all(word in advice["finance"] for word in ("currency", "unit", "fiscal period"))
    assert all(word in advice["biomedical"] for word in ("population", "dose", "arm", "interval"))
    assert all(word in advice["cyber"] for word in ("CVE", "versions", "hashes", "defanged"))


def test_tables_are_kept_whole_among_filings() -> None:
    assert load_settings(profile="finance").settings.selection.whole_tables


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_derived_a_profile_stands_in_it(name: str) -> None:
    text = (files("rag.profiles") / f"{name}.toml").read_text(encoding="utf-8")
    command, made, tuned, reported = text.splitlines()[:4]
    assert command.startswith(f"# rag eval tune --profile {name} --questions ")
    assert "trials; wanted: " in made
    assert tuned.startswith("# tuned on ")
    assert reported.startswith("# reported on ")


# --- how a profile is named ----------------------------------------------------------------


@pytest.mark.parametrize("strongest", range(len(SOURCES)), ids=lambda at: SOURCES[at])
def test_the_strongest_source_names_the_profile(
    strongest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: dict[str, Any] = {}
    for source in SOURCES[strongest + 1 :]:
        arguments |= name_it(source, "cyber", monkeypatch)
    arguments |= name_it(SOURCES[strongest], "finance", monkeypatch)
    loaded = load_settings(**arguments)
    assert loaded.settings.profile == "finance"
    assert loaded.settings.pruning.profile == "finance"
    assert loaded.origins["pruning.profile"] == "profile finance"
    if wanted := ORIGINS[strongest]:
        assert loaded.origins["profile"] == wanted
    else:
        assert loaded.origins["profile"].endswith("secrets")


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_wins_over_what_the_profile_holds(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.toml").write_text("[chunking]\nsize = 100\noverlap = 5\nheader_tokens = 6\n")
    arguments = name_it(source, "mine.toml", monkeypatch)
    with Path("rag.toml").open("a") as file:
        file.write("[chunking]\nsize = 120\n")
    monkeypatch.setenv("RAG_CHUNKING__OVERLAP", "7")
    loaded = load_settings(**arguments)
    chunking = loaded.settings.chunking
    assert (chunking.size, chunking.overlap, chunking.header_tokens) == (120, 7, 6)
    assert loaded.origins["chunking.header_tokens"] == "profile mine.toml"


@pytest.mark.parametrize("weaker", SOURCES[1:])
def test_an_empty_name_means_none(weaker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = name_it(weaker, "finance", monkeypatch)
    loaded = load_settings(**arguments, profile="")
    assert loaded.settings == Settings()


def test_other_tools_variables_win_over_a_profile_as_they_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("mine.toml").write_text("[store]\nurl = 'http://profile'\n")
    monkeypatch.setenv("QDRANT_URL", "http://other")
    assert load_settings(profile="mine.toml").settings.store.url == "http://other"


@pytest.mark.parametrize("profile", ["./finance", "finance.toml", Path("finance")], ids=repr)
def test_a_file_may_be_called_as_a_packaged_profile(profile: str | Path) -> None:
    for name in ("finance", "finance.toml"):
        Path(name).write_text("[chunking]\nsize = 77\n")
    loaded = load_settings(profile=profile)
    assert loaded.settings.chunking.size == 77
    assert loaded.settings.pruning.profile == "general"
    again = load_settings(profile=loaded.settings.profile)  # as it was recorded
    assert again.settings == loaded.settings
    assert load_settings(profile="finance").settings.chunking.size == 200


def test_a_path_is_relative_to_the_working_directory_wherever_it_stands(folder: Path) -> None:
    (folder / "conf").mkdir()
    (folder / "conf/rag.toml").write_text("profile = 'conf/mine.toml'\n")
    (folder / "conf/mine.toml").write_text("[chunking]\nsize = 77\n")
    assert load_settings(Path("conf/rag.toml")).settings.chunking.size == 77


@pytest.mark.parametrize("source", SOURCES)
def test_a_name_that_is_none_is_an_error_that_lists_the_names(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(**name_it(source, "finanz", monkeypatch))
    assert "no profile finanz" in error.message
    assert (ORIGINS[SOURCES.index(source)] or "secrets") in error.message
    assert all(name in error.hint for name in (*NAMES, "TOML file"))


def test_a_profile_names_no_other() -> None:
    Path("mine.toml").write_text("profile = 'finance'\n")
    error = refused(profile="mine.toml")
    assert error.message == "profile mine.toml names a profile itself"


def test_a_profile_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "bad.toml").write_text("store = ")
    (folder / "folder").mkdir()
    assert "bad.toml" in refused(profile="bad.toml").message
    assert "cannot read folder" in refused(profile="folder").message


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[chunking]\nsise = 3", "unknown setting chunking.sise (from profile mine.toml)"),
        ("[chunking]\nsize = 0", "setting chunking.size (from profile mine.toml)"),
    ],
)
def test_what_is_wrong_in_a_profile_is_said_to_come_from_it(content: str, complaint: str) -> None:
    Path("mine.toml").write_text(content)
    assert complaint in refused(profile="mine.toml").message


@pytest.mark.parametrize("content", ["profile = 3", "profile = ['finance']", "[profile]\nx = 1"])
def test_a_profile_that_is_no_text_is_refused(content: str) -> None:
    Path("rag.toml").write_text(content)
    assert "setting profile (from rag.toml)" in refused().message


def test_the_name_of_a_profile_is_no_part_of_the_hash(folder: Path) -> None:
    finance = load_settings(profile="finance").settings
    copy = folder / "copied.toml"
    copy.write_bytes(profile_file("finance", "test").read_bytes())
    copied = load_settings(profile=str(copy)).settings
    assert finance.hash == copied.hash != Settings().hash
    assert (finance.public()["profile"], copied.public()["profile"]) == ("finance", str(copy))
    assert Settings(profile="x").hash == Settings().hash
