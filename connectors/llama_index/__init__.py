"""Documents that a LlamaIndex reader loads: the hundreds there are, and one's own."""

from connectors.llama_index.connector import LlamaIndexConnector, open_llama_index

__all__ = ["LlamaIndexConnector", "open_llama_index"]
