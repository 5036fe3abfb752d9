"""spanrag as parts of a LlamaIndex pipeline: postprocessors and a query engine."""

from rag.integrations.llama_index.nodes import KEPT_SPANS, SOURCE_TEXT, SUMMARY_OF
from rag.integrations.llama_index.postprocessors import (
    ClusterPostprocessor,
    FrugalPromptPostprocessor,
    SelectPostprocessor,
)
from rag.integrations.llama_index.query_engine import SiftQueryEngine

__all__ = [
    "KEPT_SPANS",
    "SOURCE_TEXT",
    "SUMMARY_OF",
    "ClusterPostprocessor",
    "FrugalPromptPostprocessor",
    "SelectPostprocessor",
    "SiftQueryEngine",
]
