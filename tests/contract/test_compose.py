"""What can be known of the container files without a container engine."""

from __future__ import annotations

import re
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from pydantic import BaseModel

from rag.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
ENV_EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

PINNED_TAG = re.compile(r":v?\d+\.\d+\.\d+[\w.-]*$")
RAG_VARIABLES = sorted(set(re.findall(r"\bRAG_\w+", COMPOSE_TEXT + ENV_EXAMPLE)))


def interpolate(text: str) -> str:
    """What Compose puts in before it validates: defaults, and a value for all it demands."""
    text = re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text)
    return re.sub(r"(?<!\$)\$\{\w+:\?[^}]*\}", "a-key", text)


def test_it_follows_the_compose_specification():
    PyCompose.from_yaml(interpolate(COMPOSE_TEXT)).validate()


def test_the_specification_is_really_checked():
    mistyped = interpolate(COMPOSE_TEXT).replace("healthcheck:", "heathcheck:")
    with pytest.raises(ValueError, match="heathcheck"):
        PyCompose.from_yaml(mistyped).validate()


def test_the_documents_mounted_by_default_exist():
    (mount,) = (
        mount
        for mount in yaml.safe_load(interpolate(COMPOSE_TEXT))["services"]["app"]["volumes"]
        if isinstance(mount, dict)
    )
    assert (ROOT / mount["source"]).is_dir()


def find_problems(compose: dict[str, Any]) -> list[str]:
    """What `validate` lets through."""
    services = compose["services"]
    problems = []
    for name, service in services.items():
        problems += [
            f"{name}: depends on unknown {other}"
            for other in service.get("depends_on", ())
            if other not in services
        ]
        problems += [
            f"{name}: undefined volume {volume}"
            for volume in _named_volumes(service)
            if volume not in compose.get("volumes", {})
        ]
        if "image" not in service and "build" not in service:
            problems.append(f"{name}: neither image nor build")
        if "image" in service and not PINNED_TAG.search(service["image"]):
            problems.append(f"{name}: {service['image']} is not pinned")
        problems += [
            f"{name}: port {port} is open to the network"
            for port in service.get("ports", ())
            if not str(port).startswith("127.0.0.1:")
        ]
        probe = " ".join(service.get("healthcheck", {}).get("test", ()))
        if re.search(r"\b(curl|wget)\b", probe):
            problems.append(f"{name}: the image has no curl or wget")
    return problems


def _named_volumes(service: dict[str, Any]) -> list[str]:
    mounts = service.get("volumes", ())
    short = [mount.split(":")[0] for mount in mounts if isinstance(mount, str)]
    long = [m["source"] for m in mounts if isinstance(m, dict) and m["type"] == "volume"]
    return [source for source in short if not source.startswith((".", "/", "~", "$"))] + long


def test_it_has_none_of_the_problems_the_specification_allows():
    assert find_problems(COMPOSE) == []


@pytest.mark.parametrize(
    ("service", "change", "problem"),
    [
        ("app", {"depends_on": {"qdrnt": {}}}, "app: depends on unknown qdrnt"),
        ("app", {"volumes": ["models:/cache"]}, "app: undefined volume models"),
        (
            "app",
            {"volumes": [{"type": "volume", "source": "models", "target": "/cache"}]},
            "app: undefined volume models",
        ),
        ("app", {"build": None}, "app: neither image nor build"),
        ("qdrant", {"image": "qdrant/qdrant"}, "qdrant: qdrant/qdrant is not pinned"),
        ("qdrant", {"image": "qdrant/qdrant:latest"}, "qdrant: qdrant/qdrant:latest is not pinned"),
        ("qdrant", {"ports": ["6333:6333"]}, "qdrant: port 6333:6333 is open to the network"),
        (
            "qdrant",
            {"healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:6333/readyz"]}},
            "qdrant: the image has no curl or wget",
        ),
    ],
)
def test_each_problem_is_found(service, change, problem):
    broken = deepcopy(COMPOSE)
    broken["services"][service] |= change
    broken["services"][service] = {k: v for k, v in broken["services"][service].items() if v}
    assert find_problems(broken) == [problem]


def test_app_is_confined():
    app = COMPOSE["services"]["app"]
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in app["security_opt"]
    documents = next(mount for mount in app["volumes"] if isinstance(mount, dict))
    assert (documents["target"], documents["read_only"]) == ("/documents", True)


def test_the_example_names_every_variable_the_file_reads():
    read = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE_TEXT))
    assert read == set(re.findall(r"^(?:# )?([A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE))


@pytest.mark.parametrize("variable", RAG_VARIABLES)
def test_every_variable_is_a_setting(variable):
    group: Any = Settings
    for part in variable.removeprefix("RAG_").lower().split("__"):
        assert issubclass(group, BaseModel)
        assert part in group.model_fields
        group = group.model_fields[part].annotation


def test_the_settings_of_the_app_load(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for variable, value in COMPOSE["services"]["app"]["environment"].items():
        monkeypatch.setenv(variable, interpolate(value))
    store = load_settings().settings.store
    assert (store.kind, store.url) == ("server", "http://qdrant:6333")
    assert store.api_key.get_secret_value() == "a-key"


def test_rag_reads_the_same_env_file_as_compose(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    filled = ENV_EXAMPLE.replace("API_KEY=", "API_KEY=a-key").replace("# DOCUMENTS", "DOCUMENTS")
    Path(".env").write_text(filled, "utf-8")
    assert load_settings().settings.store.api_key.get_secret_value() == "a-key"


@contextmanager
def serve(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on loopback that answers every GET with `status`: its port, and the paths asked."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port, paths
        finally:
            server.shutdown()
            thread.join()


def run_probe(port: int) -> int:
    """Run Qdrant's health probe as the engine would, against another port."""
    kind, *command = COMPOSE["services"]["qdrant"]["healthcheck"]["test"]
    assert kind == "CMD"
    assert "6333" in command[-1]
    command[-1] = command[-1].replace("$$", "$").replace("6333", str(port))
    return subprocess.run(command, timeout=20, capture_output=True, check=False).returncode


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_probe_tells_ready_from_not_ready(status, healthy):
    with serve(status) as (port, paths):
        assert (run_probe(port) == 0) is healthy
    assert paths == ["/readyz"]


def test_probe_fails_where_nothing_listens():
    with serve(200) as (port, _):
        pass
    assert run_probe(port) != 0


def test_image_is_pinned_and_not_root():
    (base,) = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert PINNED_TAG.search(base)
    (user,) = re.findall(r"^USER (\d+)", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0


def test_image_copies_what_there_is():
    copied = [
        source
        for line in re.findall(r"^COPY (.+)", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    find = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    packages = [pattern.rstrip("*") for pattern in find["packages"]["find"]["include"]]
    assert [name for name in packages if (ROOT / name).is_dir() and name not in copied] == []


def test_image_takes_the_torch_of_the_constraints():
    (version,) = re.findall(r"torch==(\S+)", DOCKERFILE)
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    assert re.search(rf"^torch=={re.escape(version)}$", constraints, re.MULTILINE)
