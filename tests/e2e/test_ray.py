"""`rag ingest --engine ray`: two nodes on this machine write what one process would."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_index import dump

from pipelines.ingest import ingest
from pipelines.sources import connect
from rag.index import open_index
from rag.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def cluster() -> Iterator[str]:
    """Two nodes with two cores each, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
        started.add_node(num_cpus=2)
        started.wait_for_nodes()
    yield started.address
    started.shutdown()


def rag_ingest(root: Path, cluster: str, *more: str) -> dict[str, Any]:
    """Run the command as a user would, with two embedders, and read its report."""
    command = [
        Path(sys.executable).with_name("rag"),
        *("ingest", "docs", "rows.jsonl", "--engine", "ray", "--where", "ray", "--json", "--prune"),
        *("--set", f"ray.address={cluster}", "--set", "ray.embedders=2", "--set", "ray.readers=2"),
        *("--set", "ray.batch_documents=4", "--yes", *more),
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 4), done.stderr
    assert "warning" not in done.stderr.lower()
    return json.loads(done.stdout)


def points(path: Path) -> dict[str, Any]:
    with open_index(Settings(store={"path": path})) as index:
        return dump(index)


def check_the_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for point_id, (payload, dense, lexical) in expected.items():
        assert found[point_id][0] == payload
        # The neighbours in a batch differ, and with them the last bits.
        np.testing.assert_allclose(found[point_id][1], dense, atol=0.02)
        assert found[point_id][2] == lexical


def test_two_workers_write_what_one_process_would(
    tmp_path: Path, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(20):
        text = " ".join(f"Report {number} says sentence {n} of its own." for n in range(number))
        (docs / f"{number:02}.txt").write_text(f"{text} The end of {number}.")
    (docs / "bad.pdf").write_bytes(b"no PDF")
    rows = [{"id": n, "text": f"Row {n} has a text.", "year": 2000 + n} for n in range(10)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    first = rag_ingest(tmp_path, cluster)
    assert (first["added"], first["documents"], len(first["failed"])) == (30, 30, 1)

    (docs / "00.txt").unlink()
    (docs / "01.txt").write_text("Another text altogether.")
    (docs / "copy.txt").write_text((docs / "19.txt").read_text())
    one = ("--set", "ray.embedders=1", "--set", "ray.readers=1")  # there is little to do
    second = rag_ingest(tmp_path, cluster, *one)
    names = ("replaced", "linked", "retired", "unchanged")
    assert {name: second[name] for name in names} == {
        "replaced": 1,
        "linked": 1,
        "retired": 1,
        "unchanged": 28,
    }

    with open_index(Settings(store={"path": tmp_path / "local"}), create=True) as index:
        sources = [connect(each, index.settings) for each in ("docs", "rows.jsonl")]
        ingest(index, sources)
    check_the_same(points(tmp_path / "ray"), points(tmp_path / "local"))


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A text of its own.")
    with closing(socket.socket()) as closed:  # bound, and never listening
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        command = [
            Path(sys.executable).with_name("rag"),
            *("ingest", "a.txt", "--engine", "ray", "--where", "ray", "--json"),
            *("--set", f"ray.address={address}"),
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"].startswith(f"no Ray cluster at {address}")
