"""Every setting, its default, and where its value came from.

Order: command line > environment (`RAG_STORE__URL`) > `.env` > `/run/secrets` > `rag.toml` >
other tools' variables (`QDRANT_URL`) > a profile > defaults. An unknown key anywhere is an error.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from rag.errors import ConfigError
from rag.ids import digest

__all__ = [
    "ChunkingSettings",
    "ClusteringSettings",
    "EmbeddingSettings",
    "GenerationSettings",
    "IngestSettings",
    "LexicalSettings",
    "LoadedSettings",
    "ModelsSettings",
    "PruningSettings",
    "RetrievalSettings",
    "SelectionSettings",
    "Settings",
    "StoreSettings",
    "load_settings",
]

CONFIG_FILE = Path("rag.toml")
SECRETS_DIR = Path("/run/secrets")

SECRET_OPTION = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password)$")
"""Names of free options (`embedding.options`) whose values are never shown nor digested."""

FOREIGN_ENV = {
    "QDRANT_URL": "store.url",
    "QDRANT_API_KEY": "store.api_key",
    "OPENAI_BASE_URL": "generation.url",
    "OPENAI_API_KEY": "generation.api_key",
}
"""Variables other tools use: the weakest source. A key goes only with the URL beside it."""


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Group):
    """Where the index lives."""

    kind: Literal["edge", "server"] = Field("edge", description="embedded engine, or a server")
    path: Path = Field(Path(".spanrag"), description="folder of the embedded index")
    url: str = Field("", description="address of the Qdrant server")
    api_key: SecretStr = Field(SecretStr(""), description="key of the Qdrant server")
    collection: str = Field("spanrag", min_length=1, description="collection on the server")
    timeout: float = Field(30.0, gt=0, description="seconds to wait for the server")

    @model_validator(mode="before")
    @classmethod
    def _url_means_server(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("url"):
            return {"kind": "server", **values}
        return values

    @model_validator(mode="after")
    def _server_has_url(self) -> StoreSettings:
        if self.kind == "server" and not self.url:
            raise ValueError("store.kind is server but store.url is not set")
        return self


class ChunkingSettings(_Group):
    """How documents are cut."""

    kind: Literal["sentences", "recursive", "tokens"] = "sentences"
    size: int = Field(200, ge=1, description="tokens of the embedder, at most")
    overlap: int = Field(0, ge=0, description="tokens repeated of the chunk before")
    header_tokens: int = Field(32, ge=0, description="title and section embedded with a chunk")

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> ChunkingSettings:
        if self.overlap >= self.size:
            raise ValueError("chunking.overlap must be smaller than chunking.size")
        return self


class EmbeddingSettings(_Group):
    """Which model makes the dense vectors."""

    kind: Literal["bundled", "sentence_transformers", "llama_index"] = "bundled"
    model: str = Field("", description="folder or name; for llama_index 'module:Class'")
    options: dict[str, Any] = Field({}, description="arguments of the llama_index class")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    backend: Literal["torch", "openvino"] = "torch"

    @model_validator(mode="after")
    def _model_is_named(self) -> EmbeddingSettings:
        if self.kind != "bundled" and not self.model:
            raise ValueError(f"embedding.kind is {self.kind} but embedding.model is not set")
        return self


class LexicalSettings(_Group):
    """How words are matched."""

    language: str = Field("english", description="of stemming and stop words")


class RetrievalSettings(_Group):
    """How many chunks are found, and how the two rankings are joined."""

    top_k: int = Field(10, ge=1, le=1000, description="chunks a question gets")
    candidates: int = Field(100, ge=1, le=10_000, description="chunks each ranking offers")
    dense_weight: float = Field(1.0, ge=0)
    lexical_weight: float = Field(1.0, ge=0)
    rrf_k: int = Field(60, ge=1, description="reciprocal rank fusion: 1 / (k + rank)")

    @model_validator(mode="after")
    def _some_ranking(self) -> RetrievalSettings:
        if not self.dense_weight + self.lexical_weight:
            raise ValueError("retrieval.dense_weight and retrieval.lexical_weight are both 0")
        return self


class SelectionSettings(_Group):
    """How retrieved chunks are narrowed to evidence sentences."""

    keep: Literal["evidence", "everything"] = Field(
        "evidence", description="everything: whole chunks, only judged"
    )
    recall_weight: float = Field(
        10.0, gt=0, description="what missed evidence costs, against kept text; 1: the best IoU"
    )
    target_recall: float = Field(
        0.0, ge=0, le=1, description="share of the expected evidence; where set, in its place"
    )
    budget: int = Field(
        0, ge=0, description="tokens kept at most; where set, in place of the two above"
    )
    reader: bool = Field(False, description="read question and passage together: better, slower")
    scorer: str = Field("", description="a scorer of your own; empty: the bundled one")
    min_evidence: float = Field(
        0.55, ge=-1, le=1.5, description="score of the best sentence below which we abstain"
    )


class ClusteringSettings(_Group):
    """How passages that say the same are made one (Clustered RAG)."""

    mode: Literal["off", "extractive", "abstractive"] = Field(
        "off", description="extractive: in sentences of theirs; abstractive: in a model's words"
    )
    policy: str = Field(
        "silhouette",
        pattern=r"^(fixed:[1-9]\d*|silhouette|sqrt)$",
        description="fixed:4, silhouette or sqrt: how many clusters",
    )
    alike: float = Field(
        0.85, gt=0, le=1, description="cosine from which two sentences say the same"
    )
    min_redundancy: float = Field(
        0.3, ge=0, le=1, description="share of text said twice, below which nothing is done"
    )
    budget: int = Field(320, ge=1, description="tokens kept at most")
    share: float = Field(0.5, gt=0, le=1, description="share of tokens kept at most")
    novelty: float = Field(0.3, ge=0, lt=1, description="weight of newness against relevance")
    cache: Path | None = Field(
        None, description="file of the summaries that were written; default: in the user's cache"
    )


class PruningSettings(_Group):
    """How the words of the context are thinned out, after selection (FrugalPrompt)."""

    mode: Literal["off", "auto", "on"] = Field("off", description="auto: only where it pays")
    method: Literal["adjoint", "globenc", "decompx", "sensitivity", "lexical", "random"] = "adjoint"
    granularity: Literal["token", "word", "clause"] = "word"
    retention: float = Field(0.8, gt=0, le=1, description="share of words (or clauses) kept")
    mass: float = Field(
        0.0, ge=0, le=1, description="share of the score kept; where set, in place of retention"
    )
    profile: Literal["general", "finance", "biomedical", "cyber", "none"] = Field(
        "general", description="what is never dropped: numbers, negations, names of the domain"
    )
    min_tokens: int = Field(64, ge=0, description="auto leaves shorter contexts alone")


class GenerationSettings(_Group):
    """Who writes the answer."""

    kind: Literal["extractive", "bundled", "local", "server"] = "extractive"
    model: str = Field("", description="folder or hub name (local), model name (server)")
    url: str = Field("", description="OpenAI-compatible base URL, e.g. http://127.0.0.1:8000/v1")
    api_key: SecretStr = SecretStr("")
    device: str = Field("auto", description="of a local model: auto, cpu, cuda")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    context_window: int = Field(4096, ge=256, description="tokens the model can take")
    max_tokens: int = Field(256, ge=1, description="tokens of an answer")
    temperature: float = Field(0.0, ge=0, le=2)
    timeout: float = Field(120.0, gt=0, description="seconds to wait for an answer")
    reading_speed: float = Field(
        0.0, ge=0, description="prompt tokens a second, to tell whether pruning pays; 0: measured"
    )

    @model_validator(mode="after")
    def _endpoint_is_named(self) -> GenerationSettings:
        if self.kind == "server" and not (self.url and self.model):
            raise ValueError("generation.kind is server but generation.url or .model is not set")
        if self.kind == "local" and not self.model:
            raise ValueError("generation.kind is local but generation.model is not set")
        if self.max_tokens >= self.context_window:
            raise ValueError("generation.max_tokens must be smaller than generation.context_window")
        return self


class IngestSettings(_Group):
    """How a run of ingest behaves."""

    window_tokens: int = Field(65_536, ge=256, description="tokens embedded at a time")
    optimize_chunks: int = Field(
        20_000, ge=1, description="chunks written between two optimisations: bounds memory"
    )
    max_delete_fraction: float = Field(
        0.2, ge=0, le=1, description="of a source's documents --prune may retire without --yes"
    )
    ignore: tuple[str, ...] = Field((), description="extra patterns, as in .gitignore")


class ModelsSettings(_Group):
    """Where pulled model files are kept."""

    path: Path | None = Field(None, description="default: the user's cache folder")


class Settings(BaseSettings):
    """The whole tree. Make one with `load_settings` to have every source read."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    offline: bool = Field(True, description="never ask a model hub for anything")
    store: StoreSettings = StoreSettings()
    chunking: ChunkingSettings = ChunkingSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    lexical: LexicalSettings = LexicalSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    clustering: ClusteringSettings = ClusteringSettings()
    selection: SelectionSettings = SelectionSettings()
    pruning: PruningSettings = PruningSettings()
    generation: GenerationSettings = GenerationSettings()
    ingest: IngestSettings = IngestSettings()
    models: ModelsSettings = ModelsSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load_settings` reads the sources, to know their origins."""
        return (init_settings,)

    @property
    def hash(self) -> str:
        """A digest of every value but secrets; reports carry it."""
        return digest(self.public())[:12]

    def public(self) -> dict[str, Any]:
        """Every value but secrets, as JSON."""
        secrets = {"store": {"api_key"}, "generation": {"api_key"}}
        values = self.model_dump(mode="json", exclude=secrets)
        options = values["embedding"]["options"]
        values["embedding"]["options"] = {
            key: value for key, value in options.items() if not SECRET_OPTION.search(key)
        }
        return values


class LoadedSettings(BaseModel):
    """Settings and the origin of every value that is not a default."""

    settings: Settings
    origins: dict[str, str]
    """Dotted key to origin, as in {"store.url": "environment RAG_STORE__URL"}."""


def load_settings(
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    profile: Path | None = None,
) -> LoadedSettings:
    """Read every source there is.

    Args:
        file: a TOML file; by default `rag.toml` where there is one.
        overrides: dotted keys to values, from the command line; strings are read as TOML values.
        profile: a TOML file with what suits a domain: all other sources but defaults win over it.

    Raises:
        ConfigError: a file is missing or malformed, a key is unknown, a value is invalid.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, values in _sources(file, overrides or {}, profile):
        for key, value in _leaves(values):
            origins[key] = origin(key) if callable(origin) else origin
            _put(tree, key, value, origins)
    for group in ("store", "generation"):
        # A key somebody exported for one host must not travel to another.
        key, url = f"{group}.api_key", f"{group}.url"
        if _is_foreign(origins.get(key, "")) and url in origins and not _is_foreign(origins[url]):
            del tree[group]["api_key"], origins[key]
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise _config_error(error, origins) from None
    return LoadedSettings(settings=settings, origins=origins)


def _sources(
    file: Path | None, overrides: Mapping[str, Any], profile: Path | None
) -> Iterable[tuple[Any, Any]]:
    """Weakest first: a later value replaces an earlier one."""
    if profile is not None:
        yield f"profile {profile}", _read_toml(profile, "check the path after --profile")
    foreign: dict[str, Any] = {}
    for variable, key in FOREIGN_ENV.items():
        if value := os.environ.get(variable):
            _put(foreign, key, value)
    names = {key: variable for variable, key in FOREIGN_ENV.items()}
    yield lambda key: f"environment {names[key]}", foreign
    if file is not None or CONFIG_FILE.is_file():
        path = file or CONFIG_FILE
        yield str(path), _read_toml(path)
    if SECRETS_DIR.is_dir():
        yield str(SECRETS_DIR), _variables(_secret_files(), str(SECRETS_DIR))
    if Path(".env").is_file():
        source = DotEnvSettingsSource(Settings, env_file=".env")
        yield ".env", _variables(source.env_vars, ".env")
    yield (
        lambda key: "environment RAG_" + key.upper().replace(".", "__"),
        _variables(os.environ, "the environment"),
    )
    given: dict[str, Any] = {}
    for key, value in overrides.items():
        _put(given, key, _toml_value(key, value))
    yield "command line", given


def _is_foreign(origin: str) -> bool:
    return origin.removeprefix("environment ") in FOREIGN_ENV


def _read_toml(path: Path, hint: str = "check the path after -c") -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        raise ConfigError(f"no settings file {path}", hint=hint) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="mend the file") from None


def _secret_files() -> dict[str, str]:
    """File name to content, of the secrets that are ours; one value a file, as Docker has them."""
    ours = (p for p in SECRETS_DIR.iterdir() if p.name.upper().startswith("RAG_") and p.is_file())
    return {path.name: path.read_text(encoding="utf-8").strip() for path in ours}


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _variables(variables: Mapping[str, str | None], where: str) -> dict[str, Any]:
    """The settings among variables; those of other programs do not start with RAG_."""
    ours = {
        name.lower(): value for name, value in variables.items() if name.upper().startswith("RAG_")
    }
    for name in ours:
        group, _, rest = name.removeprefix("rag_").partition("__")
        field = Settings.model_fields.get(group)
        if field is None or (rest and not _is_group(field.annotation)):
            raise ConfigError(
                f"unknown setting {name.upper()} in {where}",
                hint="`rag config show` lists every setting",
            )
    source = EnvSettingsSource(Settings)
    source.env_vars = ours
    try:
        return source()
    except SettingsError as error:
        raise ConfigError(f"{error} in {where}", hint="write it as JSON") from None


def _toml_value(key: str, value: Any) -> Any:
    """A command-line string: an array or table as TOML reads it, else as it stands.

    Plain values need no reading: pydantic knows what type each setting has. Only the options of
    an embedding are of any type.
    """
    if not isinstance(value, str):
        return value
    try:
        read = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
    return (
        read
        if isinstance(read, str | list | dict) or key.startswith("embedding.options.")
        else value
    )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and f"{prefix}{key}" != "embedding.options":
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(
    tree: dict[str, Any], key: str, value: Any, origins: Mapping[str, str] | None = None
) -> None:
    *groups, leaf = key.split(".")
    for at, group in enumerate(groups, start=1):
        tree = cast("dict[str, Any]", tree.setdefault(group, {}))
        if not isinstance(tree, dict):
            above = ".".join(groups[:at])
            where = (origins or {}).get(above, "command line")
            raise ConfigError(
                f"setting {above} (from {where}) is one value, but {key} is set too",
                hint="`rag config show` lists every setting",
            )
    tree[leaf] = value


def _config_error(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    # A table has no origin of its own: that of the first value in it will do.
    inside = (origin for each, origin in origins.items() if f"{each}.".startswith(f"{key}."))
    above = (origin for each, origin in origins.items() if key.startswith(f"{each}."))
    origin = next(inside, "") or next(above, "")
    where = f" (from {origin})" if origin else ""
    if first["type"] == "extra_forbidden":
        return ConfigError(
            f"unknown setting {key}{where}", hint="`rag config show` lists every setting"
        )
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"setting {key}{where}: {message}", hint="mend the value")
