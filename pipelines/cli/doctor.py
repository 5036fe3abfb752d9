"""`rag doctor`: what this installation has, and what is wrong with it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from typing import NamedTuple

import typer
from rich.console import Console

from pipelines.cli.run import Run, command
from rag.errors import RagError

__all__ = ["register"]

_CORE = ("torch", "sentence-transformers", "qdrant-edge-py", "qdrant-client", "llama-index-core")
_EXTRAS = {
    "xllamacpp": "bundled",
    "llama-index-llms-openai-like": "server",
    "openvino": "openvino",
}


class Check(NamedTuple):
    """One thing looked at: "ok", "note" (works without it) or "fail"."""

    state: str
    subject: str
    finding: str


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app)(doctor)


def doctor(run: Run) -> None:
    """Check this installation and its index; exit 1 where something is broken."""
    looks: list[Callable[[Run], Iterator[Check]]] = [_python, _names, _packages, _models, _index]
    checks = [check for look in looks for check in look(run)]

    def human(console: Console) -> None:
        for check in checks:
            console.print(f"{check.state:5}{check.subject:32}{check.finding}")

    run.show({"checks": [check._asdict() for check in checks]}, human)
    run.exit_code = int(any(check.state == "fail" for check in checks))


def _python(run: Run) -> Iterator[Check]:
    yield Check("ok", "python", f"{platform.python_version()} at {sys.executable}")


def _names(run: Run) -> Iterator[Check]:
    """Our top-level names are common ones: old distributions on PyPI own each of them."""
    owners = packages_distributions()
    for name in ("rag", "connectors", "eval", "pipelines"):
        foreign = [owner for owner in owners.get(name, []) if owner != "spanrag"]
        spec = find_spec(name)
        if foreign:
            finding = f"also installed by {', '.join(foreign)}: uninstall it"
            yield Check("fail", f"package {name}", finding)
        elif spec is None:
            yield Check("fail", f"package {name}", "not importable: reinstall spanrag")
        else:
            yield Check("ok", f"package {name}", str(spec.origin))


def _packages(run: Run) -> Iterator[Check]:
    for package in _CORE:
        installed = _version(package)
        yield Check("ok" if installed else "fail", package, installed or "not installed")
    for package, extra in _EXTRAS.items():
        installed = _version(package)
        missing = f"not installed; pip install 'spanrag[{extra}]'"
        yield Check("ok" if installed else "note", package, installed or missing)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _models(run: Run) -> Iterator[Check]:
    from rag.embedding.registry import load_embedder
    from rag.generation.bundled import model_file

    try:
        embedder = load_embedder(run.settings.embedding)
        yield Check("ok", "embedder", embedder.fingerprint)
    except RagError as error:
        yield Check("fail", "embedder", str(error))
    path = model_file(run.settings.models.path)
    if path.is_file():
        yield Check("ok", "bundled language model", str(path))
    else:
        yield Check("note", "bundled language model", "not pulled; run `rag models pull`")


def _index(run: Run) -> Iterator[Check]:
    from pipelines.reindex import kept_beside
    from rag.errors import IndexMissing
    from rag.index import open_index

    try:
        with open_index(run.settings) as index:
            records = list(index.store.documents())
            unfinished = sum(not record.live for record in records)
            finding = f"{len(records) - unfinished} documents, {index.store.count()} chunks"
            yield Check("ok", "index", finding)
            yield Check("ok", "embedder of the index", index.embedder.fingerprint)
            if kept := kept_beside(index.store):
                yield Check("note", "kept vectors", f"{kept.kept}; `rag reindex --forget`")
            if unfinished:
                yield Check("note", "index", f"{unfinished} unfinished writes; run `rag ingest`")
    except IndexMissing as error:
        yield Check("note", "index", str(error))
    except RagError as error:
        yield Check("fail", "index", str(error))
