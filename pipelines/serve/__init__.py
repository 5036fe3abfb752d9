"""The HTTP server: `rag serve`."""
