"""Evidence: how likely a stretch of a document is to answer a question."""
