"""`rag config`, and how settings reach a command."""

from __future__ import annotations

from pathlib import Path

import pytest

SECRET = "s3cr3t-and-never-shown"


def test_config_show_prints_every_value_with_its_origin(rag, tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text(
        "[chunking]\nsize = 100\noverlap = 1\n[retrieval]\ntop_k = 3\nrrf_k = 9\n"
    )
    (tmp_path / ".env").write_text("RAG_CHUNKING__OVERLAP=2\nRAG_RETRIEVAL__TOP_K=4\nOTHER=1\n")
    env = {"RAG_RETRIEVAL__TOP_K": "5", "RAG_RETRIEVAL__CANDIDATES": "50"}
    ran = rag("config", "show", "--json", "--set", "retrieval.candidates=60", env=env)
    assert ran.code == 0, ran.stderr
    settings = ran.json["settings"]
    found = {key: (shown["value"], shown["origin"]) for key, shown in settings.items()}
    assert found["chunking.size"] == (100, "rag.toml")
    assert found["retrieval.rrf_k"] == (9, "rag.toml")
    assert found["chunking.overlap"] == (2, ".env")
    assert found["retrieval.top_k"] == (5, "environment RAG_RETRIEVAL__TOP_K")
    assert found["retrieval.candidates"] == (60, "command line")
    assert found["retrieval.dense_weight"] == (1.0, "default")


def test_a_settings_file_can_be_named(rag, tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text("[chunking]\nsize = 100\n")
    (tmp_path / "mine.toml").write_text("[chunking]\noverlap = 7\n")
    settings = rag("config", "show", "--json", "-c", "mine.toml").json["settings"]
    assert settings["chunking.overlap"] == {"value": 7, "origin": "mine.toml"}
    assert settings["chunking.size"] == {"value": 200, "origin": "default"}


@pytest.mark.parametrize("options", [["--json"], []])
def test_config_show_masks_secrets(rag, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "rag.toml").write_text(f"[store]\napi_key = '{SECRET}'\n")
    env = {"OPENAI_API_KEY": SECRET}
    ran = rag("config", "show", *options, env=env)
    assert ran.code == 0
    assert SECRET not in ran.stdout + ran.stderr
    assert ran.stdout.count("********") == 2
    assert "environment OPENAI_API_KEY" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--set", "chunking.sise=9"], {}, "chunking.sise (from command line)"),
        (["--set", "nonsense=9"], {}, "nonsense"),
        ([], {"RAG_CHUNKING__SISE": "9"}, "chunking.sise (from environment RAG_CHUNKING__SISE)"),
        ([], {"RAG_NONSENSE": "9"}, "RAG_NONSENSE"),
        (["-c", "nowhere.toml"], {}, "nowhere.toml"),
    ],
)
def test_a_setting_that_does_not_exist_is_an_error_that_names_it(
    rag, arguments: list[str], env: dict[str, str], said: str
) -> None:
    ran = rag("config", "check", *arguments, "--json", env=env)
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert said in ran.error["message"]


def test_an_unknown_setting_in_the_file_is_an_error_that_names_both(rag, tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text("[chunking]\nsise = 9\n")
    ran = rag("config", "check", "--json")
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert "chunking.sise (from rag.toml)" in ran.error["message"]


def test_a_value_that_does_not_fit_is_an_error_that_does_not_repeat_secrets(rag) -> None:
    ran = rag("config", "check", "--json", "--set", "chunking.size=many")
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert "chunking.size (from command line)" in ran.error["message"]
    ran = rag("config", "check", "--json", "--set", f"store.api_key=['{SECRET}']")
    assert ran.code == 3
    assert SECRET not in ran.stdout + ran.stderr


def test_settings_that_hold_together_pass_the_check(rag) -> None:
    ran = rag("config", "check", "--json")
    assert (ran.code, ran.json) == (0, {"ok": True})


def test_a_set_without_a_value_is_a_usage_error(rag) -> None:
    ran = rag("config", "check", "--json", "--set", "chunking.size")
    assert (ran.code, ran.error["code"]) == (2, "usage")


def test_a_profile_is_shown_with_its_origin(rag) -> None:
    ran = rag("config", "show", "--profile", "finance", "--json")
    settings = ran.json["settings"]
    assert settings["profile"] == {"value": "finance", "origin": "command line"}
    whole = {"value": True, "origin": "profile finance"}
    assert settings["selection.whole_tables"] == whole
    assert settings["pruning.profile"]["value"] == "finance"


def test_a_profile_of_the_settings_file_need_not_be_repeated(rag, tmp_path: Path) -> None:
    (tmp_path / "rag.toml").write_text('profile = "cyber"\n[pruning]\nretention = 0.6\n')
    settings = rag("config", "show", "--json").json["settings"]
    assert settings["profile"] == {"value": "cyber", "origin": "rag.toml"}
    assert settings["pruning.profile"] == {"value": "cyber", "origin": "profile cyber"}
    assert settings["pruning.retention"] == {"value": 0.6, "origin": "rag.toml"}
    shown = rag("config", "show").stdout
    assert "\nprofile " in shown
    assert "profile cyber" in shown
    other = rag("config", "show", "--json", "--profile", "finance").json["settings"]
    assert other["pruning.profile"] == {"value": "finance", "origin": "profile finance"}
    none = rag("config", "show", "--json", "--set", "profile=").json["settings"]
    assert none["pruning.profile"] == {"value": "general", "origin": "default"}


def test_a_file_may_be_called_as_a_packaged_profile(rag, tmp_path: Path) -> None:
    (tmp_path / "finance").write_text("[chunking]\nsize = 77\n")
    settings = rag("config", "show", "--profile", "./finance", "--json").json["settings"]
    assert settings["chunking.size"] == {"value": 77, "origin": "profile ./finance"}


@pytest.mark.parametrize(
    ("arguments", "env", "origin"),
    [
        (["--profile", "finanz"], {}, "command line"),
        (["--set", "profile=finanz"], {}, "command line"),
        ([], {"RAG_PROFILE": "finanz"}, "environment RAG_PROFILE"),
    ],
)
def test_a_profile_that_does_not_exist_is_an_error_that_lists_them(
    rag, arguments: list[str], env: dict[str, str], origin: str
) -> None:
    ran = rag("config", "check", "--json", *arguments, env=env)
    assert (ran.code, ran.error["code"]) == (3, "config")
    assert f"no profile finanz (from {origin})" in ran.error["message"]
    assert "biomedical, cyber, finance, general" in ran.error["hint"]
