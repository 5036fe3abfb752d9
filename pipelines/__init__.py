"""Pipelines: how the parts are run. Sync, ingest, the command line. No algorithms."""
