"""The command line: `rag`."""

from pipelines.cli.main import main

__all__ = ["main"]
