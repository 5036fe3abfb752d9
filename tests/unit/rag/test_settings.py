from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rag.errors import ConfigError
from rag.settings import FOREIGN_ENV, LoadedSettings, Settings, load_settings
from rag.settings import sources as module

SOURCES = ("command line", "environment", ".env", "secrets", "file", "default")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with its own place for secrets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "SECRETS_DIR", tmp_path / "secrets")
    return tmp_path


def write_secret(name: str, value: str) -> None:
    Path("secrets").mkdir(exist_ok=True)
    Path("secrets", name).write_text(value)


def place(source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set `store.collection` in one source to that source's name; overrides are returned."""
    if source == "command line":
        return {"store.collection": source}
    if source == "environment":
        monkeypatch.setenv("RAG_STORE__COLLECTION", source)
    elif source == ".env":
        Path(".env").write_text(f"RAG_STORE__COLLECTION={source}\n")
    elif source == "secrets":
        write_secret("rag_store", json.dumps({"collection": source}))
    elif source == "file":
        Path("rag.toml").write_text(f"[store]\ncollection = '{source}'\n")
    return {}


def refused(**arguments: Any) -> str:
    """The message of the ConfigError that loading ends with."""
    with pytest.raises(ConfigError) as caught:
        load_settings(**arguments)
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize("strongest", range(len(SOURCES)), ids=lambda at: SOURCES[at])
def test_a_source_wins_over_all_that_come_after_it(
    strongest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides: dict[str, str] = {}
    for source in SOURCES[strongest:]:
        overrides.update(place(source, monkeypatch))
    loaded = load_settings(overrides=overrides)
    wanted = SOURCES[strongest]
    assert loaded.settings.store.collection == ("spanrag" if wanted == "default" else wanted)


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("command line", "command line"),
        ("environment", "environment RAG_STORE__COLLECTION"),
        (".env", ".env"),
        ("file", "rag.toml"),
    ],
)
def test_the_origin_of_a_value_is_told(
    source: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = place(source, monkeypatch)
    assert load_settings(overrides=overrides).origins == {"store.collection": origin}


def test_the_origin_of_a_secret_is_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    place("secrets", monkeypatch)
    assert load_settings().origins["store.collection"].startswith(str(module.SECRETS_DIR))


def test_defaults_have_no_origin() -> None:
    assert load_settings().origins == {}
    assert load_settings().settings == Settings()


def test_sources_are_joined_value_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("rag.toml").write_text("[chunking]\nsize = 100\noverlap = 7\n")
    monkeypatch.setenv("RAG_CHUNKING__SIZE", "150")
    loaded = load_settings(overrides={"chunking.header_tokens": "9"})
    chunking = loaded.settings.chunking
    assert (chunking.size, chunking.overlap, chunking.header_tokens) == (150, 7, 9)
    assert loaded.origins == {
        "chunking.size": "environment RAG_CHUNKING__SIZE",
        "chunking.overlap": "rag.toml",
        "chunking.header_tokens": "command line",
    }


def test_a_named_file_is_read_instead_of_rag_toml(folder: Path) -> None:
    Path("rag.toml").write_text("[chunking]\nsize = 100\n")
    named = folder / "other.toml"
    named.write_text("[chunking]\noverlap = 7\n")
    loaded = load_settings(named)
    assert (loaded.settings.chunking.size, loaded.settings.chunking.overlap) == (200, 7)
    assert loaded.origins == {"chunking.overlap": str(named)}


@pytest.mark.parametrize("name", ["RAG_STORE__API_KEY", "rag_store__api_key"])
def test_a_secret_file_is_named_as_its_variable_is(name: str) -> None:
    write_secret(name, "hunter2\n")
    loaded = load_settings()
    assert loaded.settings.store.api_key.get_secret_value() == "hunter2"
    assert loaded.origins["store.api_key"].startswith(str(module.SECRETS_DIR))


def test_files_of_other_programs_among_the_secrets_are_fine() -> None:
    write_secret("postgres_password", "hunter2")
    assert load_settings().settings == Settings()


@pytest.mark.parametrize(
    ("variable", "key"), [("RAG_BOGUS", "bogus"), ("RAG_STORE__BOGUS", "store.bogus")]
)
@pytest.mark.parametrize("source", ["environment", ".env", "secrets"])
def test_an_unknown_variable_is_refused_with_its_origin(
    source: str, variable: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "environment":
        monkeypatch.setenv(variable, "1")
    elif source == ".env":
        Path(".env").write_text(f"{variable}=1\n")
    else:
        write_secret(variable, "1")
    message = refused()
    assert "unknown setting" in message
    assert key in message or variable in message
    assert source in message


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ("bogus = 1", "bogus"),
        ("[store]\nbogus = 1", "store.bogus"),
        ("[bogus]\nx = 1", "bogus"),
        ("[store.bogus]\nx = 1", "store.bogus"),
        ("[embedding]\noption = {x = 1}", "embedding.option"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_its_origin(content: str, key: str) -> None:
    Path("rag.toml").write_text(content)
    message = refused()
    assert f"unknown setting {key}" in message
    assert "rag.toml" in message


@pytest.mark.parametrize("key", ["bogus", "store.bogus", "bogus.x", "store.bogus.x", "", "store."])
def test_an_unknown_key_on_the_command_line_is_refused_with_its_origin(key: str) -> None:
    message = refused(overrides={key: "1"})
    assert "unknown setting" in message
    assert key in message or key.rpartition(".")[0] in message
    assert "command line" in message


@pytest.mark.parametrize(
    ("source", "variable"), [("environment", "RAG_OFFLINE__X"), (".env", "RAG_OFFLINE__X")]
)
def test_a_variable_below_a_plain_setting_is_refused(
    source: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "environment":
        monkeypatch.setenv(variable, "1")
    else:
        Path(".env").write_text(f"{variable}=1\n")
    assert "offline" in refused().lower()


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("store = 3", "store"),
        ("[chunking]\nsize = 0", "chunking.size"),
        ("[chunking]\nsize = 'many'", "chunking.size"),
        ("[store]\nkind = 'cloud'", "store.kind"),
        ("[generation]\ntemperature = 3", "generation.temperature"),
        ("[retrieval]\ntop_k = 0", "retrieval.top_k"),
        ("[ingest]\nmax_delete_fraction = 1.5", "ingest.max_delete_fraction"),
    ],
)
def test_an_invalid_value_is_refused_with_key_and_origin(content: str, where: str) -> None:
    Path("rag.toml").write_text(content)
    assert f"setting {where} (from rag.toml): " in refused()


def test_a_group_that_is_no_group_is_named_even_where_another_source_looks_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("rag.toml").write_text("store = 3")
    monkeypatch.setenv("RAG_STORE__COLLECTION", "x")
    assert "rag.toml" in refused()


@pytest.mark.parametrize("variable", ["RAG_STORE", "RAG_INGEST__IGNORE", "RAG_EMBEDDING__OPTIONS"])
@pytest.mark.parametrize("source", ["environment", ".env"])
def test_a_variable_that_should_be_json_and_is_not_is_a_config_error(
    source: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "environment":
        monkeypatch.setenv(variable, "a, b")
    else:
        Path(".env").write_text(f"{variable}=a, b\n")
    group = variable.removeprefix("RAG_").split("__")[0].lower()
    assert group in refused().lower()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[chunking]\nsize = 5\noverlap = 5", "chunking.overlap must be smaller"),
        ("[store]\nkind = 'server'", "store.url is not set"),
        ("[embedding]\nkind = 'llama_index'", "embedding.model is not set"),
        ("[embedding]\nkind = 'sentence_transformers'", "embedding.model is not set"),
        ("[embedding]\nmodel = 'adapted'", "embedding.kind does not say what it is"),
        ("[retrieval]\ndense_weight = 0\nlexical_weight = 0", "are both 0"),
        ("[generation]\nkind = 'server'\nmodel = 'm'", "generation.url or .model is not set"),
        ("[generation]\nkind = 'server'\nurl = 'u'", "generation.url or .model is not set"),
        ("[generation]\nkind = 'local'", "generation.model is not set"),
        ("[generation]\nmax_tokens = 4096", "generation.max_tokens must be smaller"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(content: str, complaint: str) -> None:
    Path("rag.toml").write_text(content)
    assert complaint in refused()


@pytest.mark.parametrize(
    "content",
    [
        "[chunking]\nsize = 5\noverlap = 4",
        "[retrieval]\ndense_weight = 0",
        "[retrieval]\nlexical_weight = 0",
        "[generation]\nmax_tokens = 4095",
        "[generation]\nkind = 'server'\nurl = 'u'\nmodel = 'm'",
    ],
)
def test_settings_at_the_edge_are_let_in(content: str) -> None:
    Path("rag.toml").write_text(content)
    assert set(load_settings().origins.values()) == {"rag.toml"}


def test_a_url_means_a_server_unless_the_kind_is_said() -> None:
    assert load_settings(overrides={"store.url": "http://q"}).settings.store.kind == "server"
    both = {"store.url": "http://q", "store.kind": "edge"}
    assert load_settings(overrides=both).settings.store.kind == "edge"
    assert load_settings().settings.store.kind == "edge"


@pytest.mark.parametrize(("variable", "key"), FOREIGN_ENV.items())
def test_a_variable_of_another_tool_is_read(
    variable: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://other")
    loaded = load_settings()
    assert value_at(loaded, key) == "http://other"
    assert loaded.origins == {key: f"environment {variable}"}


@pytest.mark.parametrize(("variable", "key"), FOREIGN_ENV.items())
def test_our_own_variable_wins_over_that_of_another_tool(
    variable: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = "RAG_" + key.upper().replace(".", "__")
    monkeypatch.setenv(variable, "http://other")
    monkeypatch.setenv(ours, "http://ours")
    loaded = load_settings()
    assert value_at(loaded, key) == "http://ours"
    assert loaded.origins == {key: f"environment {ours}"}


def test_an_empty_variable_of_another_tool_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FOREIGN_ENV:
        monkeypatch.setenv(variable, "")
    assert load_settings().origins == {}


def value_at(loaded: LoadedSettings, key: str) -> Any:
    group, leaf = key.split(".")
    value = getattr(getattr(loaded.settings, group), leaf)
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def test_keys_of_other_programs_in_dotenv_are_fine() -> None:
    Path(".env").write_text(
        "DATABASE_URL=postgres://x\nOFFLINE=false\nSTORE=shop\nstore__url=http://shop\n"
        "DOCUMENTS_DIR=./documents\nRAG_STORE__URL=http://ours\n"
    )
    loaded = load_settings()
    assert loaded.origins == {"store.url": ".env"}
    assert loaded.settings.store.url == "http://ours"
    assert loaded.settings.offline is True


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("chunking.size", "120", 120),
        ("offline", "false", False),
        ("retrieval.dense_weight", "0.5", 0.5),
        ("ingest.ignore", '["a", "b"]', ("a", "b")),
        ("store.url", "http://q:6333", "http://q:6333"),
        ("store.collection", "'quoted'", "quoted"),
        ("models.path", "/m", Path("/m")),
    ],
)
def test_a_command_line_value_is_read_as_toml_or_as_it_stands(
    key: str, value: str, read: Any
) -> None:
    found: Any = load_settings(overrides={key: value}).settings
    for name in key.split("."):
        found = getattr(found, name)
    assert found == read


@pytest.mark.parametrize("value", ["2023", "2023.10", "2023-10-01", "true", "1_000", "007"])
def test_a_text_setting_takes_a_text_that_looks_like_something_else(value: str) -> None:
    loaded = load_settings(overrides={"store.collection": value})
    assert loaded.settings.store.collection == value


def test_options_of_an_embedding_keep_their_types() -> None:
    Path("rag.toml").write_text(
        "[embedding]\nkind = 'llama_index'\nmodel = 'm:C'\n[embedding.options]\ndim = 8\nx = 'y'\n"
    )
    loaded = load_settings()
    assert loaded.settings.embedding.options == {"dim": 8, "x": "y"}
    assert loaded.origins["embedding.options"] == "rag.toml"
    given = load_settings(overrides={"embedding.options.dim": "8"})
    assert given.settings.embedding.options == {"dim": 8}


def bad_syntax(path: Path) -> None:
    path.write_text("store = ")


def bad_encoding(path: Path) -> None:
    path.write_bytes(b"a = '\xff'")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [bad_syntax, bad_encoding, a_folder])
def test_a_file_that_cannot_be_read_is_named(folder: Path, make: Callable[[Path], None]) -> None:
    path = folder / "bad.toml"
    make(path)
    assert str(path) in refused(file=path)


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    assert str(folder / "none.toml") in refused(file=folder / "none.toml")


SECRET = {"store": {"api_key": "hunter2"}, "generation": {"api_key": "hunter2"}}


def test_secrets_are_never_shown() -> None:
    settings = Settings(**SECRET)
    shown = [settings.model_dump_json(), json.dumps(settings.model_dump(mode="json"))]
    shown += [repr(settings), str(settings), settings.hash]
    assert [text for text in shown if "hunter2" in text] == []
    assert settings.store.api_key.get_secret_value() == "hunter2"


def test_a_refused_secret_is_not_shown() -> None:
    Path("rag.toml").write_text("[store]\napi_key = ['hunter2']\n")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_hash_is_of_every_value_but_secrets() -> None:
    assert Settings(**SECRET).hash == Settings().hash
    assert Settings(chunking={"size": 100}).hash != Settings().hash
    assert Settings(offline=False).hash != Settings().hash
    assert Settings(chunking={"size": 200}).hash == Settings().hash


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().offline = False  # type: ignore[misc]
    with pytest.raises(ValidationError, match="frozen"):
        Settings().store.url = "x"  # type: ignore[misc]


def test_settings_made_by_hand_read_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_CHUNKING__SIZE", "7")
    assert os.environ["RAG_CHUNKING__SIZE"] == "7"
    assert Settings().chunking.size == 200
