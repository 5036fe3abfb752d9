"""The settings themselves, in groups, with their defaults."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rag.ids import digest

__all__ = [
    "SECRET_OPTION",
    "ChunkingSettings",
    "ClientSettings",
    "ClusteringSettings",
    "EmbeddingSettings",
    "GenerationSettings",
    "GroundingSettings",
    "IngestSettings",
    "LexicalSettings",
    "ModelsSettings",
    "PruningSettings",
    "QuestionKind",
    "RaySettings",
    "RetrievalSettings",
    "SelectionSettings",
    "ServeSettings",
    "Settings",
    "SourceSettings",
    "StoreSettings",
    "SynthesisSettings",
    "TelemetrySettings",
]

SECRET_OPTION = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password)$")
"""Names of free options (`embedding.options`) whose values are never shown nor digested."""


QuestionKind = Literal[
    "numeric", "comparison", "definition", "procedure", "attribution", "explanation"
]
"""What a question asks for."""


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
    shards: int | None = Field(
        None, ge=1, description="shards of a new collection; default: one for each node"
    )
    replicas: int = Field(1, ge=1, description="copies of each shard of a new collection")
    quantization: Literal["none", "int8", "binary"] = Field(
        "none", description="of a new collection's vectors: 4 or 32 times less memory"
    )
    on_disk: bool = Field(
        False, description="a new collection's whole vectors stay on disk, the small in memory"
    )

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

    kind: Literal["auto", "bundled", "sentence_transformers", "llama_index"] = Field(
        "auto", description="auto: what the index was built with; for a new one, bundled"
    )
    model: str = Field("", description="folder or name; for llama_index 'module:Class'")
    options: dict[str, Any] = Field({}, description="arguments of the llama_index class")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    backend: Literal["torch", "openvino"] = "torch"

    @model_validator(mode="after")
    def _model_is_named(self) -> EmbeddingSettings:
        if self.kind not in ("auto", "bundled") and not self.model:
            raise ValueError(f"embedding.kind is {self.kind} but embedding.model is not set")
        if self.kind == "auto" and self.model:
            raise ValueError(
                "embedding.model is set but embedding.kind does not say what it is "
                "(sentence_transformers or llama_index)"
            )
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
    name_weight: float = Field(1.0, ge=0, description="of the documents a question names")
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
    whole_tables: bool = Field(
        False, description="where much of what was found is tables, keep them beside the sentences"
    )
    reader: bool = Field(False, description="read question and passage together: better, slower")
    scorer: str = Field("", description="a scorer of your own; empty: the bundled one")
    min_evidence: float = Field(
        0.55, ge=-1, le=1.5, description="score of the best sentence below which we abstain"
    )


class ClusteringSettings(_Group):
    """How passages that say the same are made one (Clustered RAG)."""

    mode: Literal["off", "extractive", "abstractive"] = Field(
        "extractive",
        description="extractive: in sentences of theirs; abstractive: in a model's words",
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
        0.5, ge=0, le=1, description="share of text said twice, below which nothing is done"
    )
    budget: int = Field(216, ge=1, description="tokens kept at most")
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
    concurrency: int = Field(4, ge=1, le=256, description="requests to a server at a time")
    retries: int = Field(3, ge=0, le=20, description="of a request that a server did not answer")
    requests_per_minute: float = Field(0.0, ge=0, description="to a server; 0: no limit")
    advice: str = Field(
        "",
        description="what a model is told besides, of the domain: one or two sentences; one that "
        "completes examples (bundled, a base model) is not told",
    )
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


class GroundingSettings(_Group):
    """How an answer is held to the facts of its context (SIFT)."""

    mode: Literal["off", "extractive", "sift"] = Field(
        "off", description="extractive: facts are sentences; sift: a model writes them"
    )
    paper: bool = Field(
        False, description="sift as published: no fact is dropped, no stage left out"
    )
    sticker_tokens: int = Field(
        96, ge=8, description="of an extractive sticker: the best sentences that fit"
    )
    fallback: Literal["answer", "abstain"] = Field(
        "answer", description="what becomes of a question whose answers never agree"
    )
    samples: int = Field(
        1, ge=1, le=64, description="answers drawn each time, of which the most frequent counts"
    )
    temperature: float = Field(0.6, gt=0, le=2, description="of those, where there are several")


class SynthesisSettings(_Group):
    """How questions are made out of documents (`rag synth`)."""

    personas: tuple[str, ...] = Field(
        (
            "a new colleague who must find their way into the subject",
            "an expert who checks one detail",
            "a manager who has a decision to make",
        ),
        description="who asks; a language model is told one of them a question",
    )
    kinds: tuple[QuestionKind, ...] = Field(
        ("numeric", "comparison", "definition", "procedure", "attribution", "explanation"),
        min_length=1,
        description="what is asked for; each gets the same share of the attempts",
    )
    window: int = Field(
        4_000, ge=400, description="characters of a document that a question is made from"
    )
    max_references: int = Field(5, ge=1, le=5, description="excerpts a question may have")
    min_similarity: float = Field(
        0.3, ge=-1, le=1, description="cosine of the question and each excerpt, at least"
    )
    max_likeness: float = Field(
        0.9, ge=0, le=1, description="cosine of two questions, at most; above it one is dropped"
    )
    max_leakage: float = Field(
        0.8, ge=0, le=1, description="share of an excerpt's words that the question may repeat"
    )


class IngestSettings(_Group):
    """How a run of ingest behaves."""

    window_tokens: int = Field(65_536, ge=256, description="tokens embedded at a time")
    optimize_chunks: int = Field(
        20_000, ge=1, description="chunks written between two optimisations: bounds memory"
    )
    workers: int = Field(
        4, ge=1, le=64, description="threads that fetch and parse ahead of the embedder"
    )
    read_ahead_characters: int = Field(
        32_000_000, ge=1, description="text that may wait for the embedder: bounds memory"
    )
    duplicates: Literal["near", "exact", "keep"] = Field(
        "near", description="copies that are linked to their original, not stored again"
    )
    near_duplicate: float = Field(
        0.9, ge=0.5, le=1, description="of an original's words that a near copy must make up"
    )
    copies_within: tuple[str, ...] = Field(
        ("tenant",), description="fields of metadata: documents that differ in one are no copies"
    )
    max_delete_fraction: float = Field(
        0.2, ge=0, le=1, description="of a source's documents --prune may retire without --yes"
    )
    ignore: tuple[str, ...] = Field((), description="extra patterns, as in .gitignore")


class RaySettings(_Group):
    """How `rag ingest --engine ray` spreads its stages."""

    address: str = Field("", description="of a running cluster; default: one on this machine")
    readers: int = Field(1, ge=1, description="processes that fetch and parse")
    embedders: int = Field(1, ge=1, description="processes that cut and embed")
    gpus_per_embedder: float = Field(0.0, ge=0, description="GPUs, or shares of one, for each")
    writers: int = Field(
        1, ge=1, description="processes that store; 1 for kind edge, or where copies are linked"
    )
    batch_documents: int = Field(64, ge=1, description="documents handed on at a time")


class SourceSettings(_Group):
    """How connectors behave towards the places they read."""

    contact: str = Field(
        "", description="name and address to write to; SEC and NCBI ask who is asking"
    )
    allow_private: tuple[str, ...] = Field(
        (), description="hosts or networks that may be asked though they are not public"
    )
    timeout: float = Field(30.0, gt=0, description="seconds a server may stay silent")
    deadline: float = Field(300.0, gt=0, description="seconds one request may take in all")
    most_bytes: int = Field(512 * 2**20, ge=1, description="largest document that is fetched")
    ncbi_api_key: SecretStr = Field(
        SecretStr(""), description="of an NCBI account: 10 requests a second, not 3"
    )


class ServeSettings(_Group):
    """How `rag serve` answers, and whom."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen at")
    port: int = Field(8080, ge=0, le=65_535, description="0: any that is free")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description='who may ask: {"KEY": "read"}, or ingest, or admin, or {"role": "read", '
        '"tenant": "acme"}; without any, only this machine',
    )
    concurrency: int = Field(4, ge=1, le=256, description="questions answered at a time")
    waiting: int = Field(16, ge=0, description="questions that may wait; one more is refused")
    timeout: float = Field(120.0, gt=0, description="seconds a question may take, waiting included")
    most_bytes: int = Field(1_000_000, ge=1, description="largest request body")
    most_upload_bytes: int = Field(
        20_000_000, ge=1, description="largest body of a request that brings documents"
    )
    requests_per_minute: int = Field(600, ge=0, description="of one key; 0: no limit")
    sources: tuple[str, ...] = Field(
        (), description="what a request may have ingested: folders and all in them, or sources"
    )
    jobs: Path | None = Field(
        None,
        description="folder of what is to be ingested; default: beside the embedded index, its "
        "name with -jobs",
    )

    @field_validator("api_keys", mode="before")
    @classmethod
    def _table_is_json(cls, value: Any) -> Any:
        return json.dumps(value) if isinstance(value, dict) else value


class ClientSettings(_Group):
    """A running `rag serve` that commands are put to, in place of an index of one's own."""

    server: str = Field("", description="its address, e.g. http://127.0.0.1:8080")
    api_key: SecretStr = Field(SecretStr(""), description="a key of its serve.api_keys")
    timeout: float = Field(130.0, gt=0, description="seconds to wait for an answer")


class TelemetrySettings(_Group):
    """What a process says of its work: spans for OpenTelemetry, and its log."""

    traces: Literal["off", "otlp", "console"] = Field(
        "off",
        description="otlp: to the collector OTEL_EXPORTER_OTLP_ENDPOINT names; console: stderr",
    )
    logs: Literal["text", "json"] = Field("text", description="lines of the log, on stderr")


class ModelsSettings(_Group):
    """Where pulled model files are kept."""

    path: Path | None = Field(None, description="default: the user's cache folder")


class Settings(BaseSettings):
    """The whole tree. Make one with `load_settings` to have every source read."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    profile: str = Field(
        "", description="a domain's settings, below all others: name of a packaged one, or file"
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
    grounding: GroundingSettings = GroundingSettings()
    synthesis: SynthesisSettings = SynthesisSettings()
    sources: SourceSettings = SourceSettings()
    ingest: IngestSettings = IngestSettings()
    ray: RaySettings = RaySettings()
    serve: ServeSettings = ServeSettings()
    client: ClientSettings = ClientSettings()
    models: ModelsSettings = ModelsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

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
        """A digest of every value but secrets and the profile's name; reports carry it."""
        values = self.public()
        del values["profile"]  # its values count; where they came from does not
        return digest(values)[:12]

    def public(self) -> dict[str, Any]:
        """Every value but secrets, as JSON."""
        secrets = {
            "store": {"api_key"},
            "generation": {"api_key"},
            "sources": {"ncbi_api_key"},
        }
        values = self.model_dump(mode="json", exclude=secrets)
        options = values["embedding"]["options"]
        values["embedding"]["options"] = {
            key: value for key, value in options.items() if not SECRET_OPTION.search(key)
        }
        return values
