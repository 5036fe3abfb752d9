"""Adapting the embedder to a corpus, without labels; it is kept only if it proves better."""
