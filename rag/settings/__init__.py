"""Every setting, its default, and where its value came from."""

from rag.settings.profile import profile_file, profile_names
from rag.settings.sources import FOREIGN_ENV, LoadedSettings, load_settings
from rag.settings.tree import (
    SECRET_OPTION,
    ChunkingSettings,
    ClusteringSettings,
    EmbeddingSettings,
    GenerationSettings,
    GroundingSettings,
    IngestSettings,
    LexicalSettings,
    ModelsSettings,
    PruningSettings,
    QuestionKind,
    RetrievalSettings,
    SelectionSettings,
    ServeSettings,
    Settings,
    StoreSettings,
    SynthesisSettings,
)

__all__ = [
    "FOREIGN_ENV",
    "SECRET_OPTION",
    "ChunkingSettings",
    "ClusteringSettings",
    "EmbeddingSettings",
    "GenerationSettings",
    "GroundingSettings",
    "IngestSettings",
    "LexicalSettings",
    "LoadedSettings",
    "ModelsSettings",
    "PruningSettings",
    "QuestionKind",
    "RetrievalSettings",
    "SelectionSettings",
    "ServeSettings",
    "Settings",
    "StoreSettings",
    "SynthesisSettings",
    "load_settings",
    "profile_file",
    "profile_names",
]
