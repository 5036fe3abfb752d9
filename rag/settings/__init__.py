"""Every setting, its default, and where its value came from."""

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
    RetrievalSettings,
    SelectionSettings,
    Settings,
    StoreSettings,
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
    "RetrievalSettings",
    "SelectionSettings",
    "Settings",
    "StoreSettings",
    "load_settings",
]
