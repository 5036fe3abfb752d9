"""What can be known of the compose files and the Dockerfile without a container engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose
from packaging.requirements import Requirement
from pydantic import BaseModel

from rag.settings import ServeSettings, Settings, load_settings, sources

ROOT = Path(__file__).parents[2]
BASE_TEXT = (ROOT / "docker-compose.yml").read_text("utf-8")
CLUSTER_TEXT = (ROOT / "deploy/compose.cluster.yml").read_text("utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINNED = {
    name.replace("_", "-"): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
}

PINNED_TAG = re.compile(r":(v?\d+\.\d+\.\d+[\w.-]*|server-b\d{4,})$")
SECRET = re.compile(r"(?i)(key|token|secret|password)")
RAG_VARIABLES = sorted(set(re.findall(r"\bRAG_\w+", BASE_TEXT + CLUSTER_TEXT + ENV_EXAMPLE)))

# Which service has which key, and no other.
NEEDED = {
    "qdrant": ["RAG_STORE__API_KEY"],
    "app": ["RAG_STORE__API_KEY", "RAG_SERVE__API_KEYS", "RAG_GENERATION__API_KEY"],
    "worker": ["RAG_STORE__API_KEY", "RAG_GENERATION__API_KEY"],
    "llm-gpu": ["RAG_GENERATION__API_KEY"],
    "llm-cpu": ["RAG_GENERATION__API_KEY"],
    "prometheus": ["metrics-key"],
    "grafana": ["grafana-password"],
}
HAS_CURL_OR_WGET = {
    "llm-cpu": "its Dockerfile installs curl for the probe that it brings itself",
    "grafana": "it is built on Alpine, whose busybox has wget",
}
UNPROBED = {"worker": "it runs once"}


def interpolate(text: str) -> str:
    """What Compose puts in before it validates: the defaults."""
    return re.sub(r"(?<!\$)\$\{\w+:-([^}]*)\}", r"\1", text)


def read(text: str) -> dict[str, Any]:
    compose: dict[str, Any] = yaml.safe_load(interpolate(text))
    return compose


def merged(base: Any, over: Any, key: str = "") -> Any:
    """As Compose merges files: tables key by key, lists one after the other, commands replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        both = {**base, **over}
        return {
            k: merged(base[k], over[k], k) if k in base and k in over else both[k] for k in both
        }
    if isinstance(base, list) and isinstance(over, list) and key not in ("command", "entrypoint"):
        return [*base, *over]
    return over


COMPOSE = read(BASE_TEXT)
CLUSTER = merged(COMPOSE, read(CLUSTER_TEXT))
FILES = {"docker-compose.yml": COMPOSE, "with deploy/compose.cluster.yml": CLUSTER}
EACH_FILE = pytest.mark.parametrize("compose", FILES.values(), ids=list(FILES))


def validate(compose: dict[str, Any]) -> None:
    # Written anew: the library reads no merge keys (`<<`).
    PyCompose.from_yaml(yaml.safe_dump(compose)).validate()


@EACH_FILE
def test_it_follows_the_compose_specification(compose):
    validate(compose)


def test_the_specification_is_really_checked():
    mistyped = deepcopy(COMPOSE)
    mistyped["services"]["qdrant"]["heathcheck"] = {}
    with pytest.raises(ValueError, match="heathcheck"):
        validate(mistyped)


def mounts(service: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Type, source and target of each mount."""
    for mount in service.get("volumes", ()):
        if isinstance(mount, dict):
            yield mount["type"], mount["source"], mount["target"]
        else:
            source, target = mount.split(":")[:2]
            yield "bind" if source.startswith((".", "/", "~")) else "volume", source, target


def find_problems(compose: dict[str, Any]) -> list[str]:
    """What `validate` lets through, and what we do not want."""
    problems = []
    for name, service in compose["services"].items():
        told = [
            *_dangling(service, compose),
            *_open(service),
            *_unconfined(service),
            *_unwatched(name, service),
        ]
        problems += [f"{name}: {each}" for each in told]
    return problems


def _dangling(service: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    for other in service.get("depends_on", ()):
        if other not in compose["services"]:
            yield f"depends on unknown {other}"
        elif not set(compose["services"][other].get("profiles", ())) <= set(
            service.get("profiles", ())
        ):
            yield f"depends on {other}, which may not be started"
    for kind, source, _ in mounts(service):
        if kind == "volume" and source not in compose.get("volumes", {}):
            yield f"undefined volume {source}"
    for secret in service.get("secrets", ()):
        if secret not in compose.get("secrets", {}):
            yield f"undefined secret {secret}"


def _open(service: dict[str, Any]) -> Iterator[str]:
    if "image" not in service and "build" not in service:
        yield "neither image nor build"
    if "image" in service and not PINNED_TAG.search(service["image"]):
        yield f"{service['image']} is not pinned"
    for port in service.get("ports", ()):
        if not str(port).startswith("127.0.0.1:"):
            yield f"port {port} is open to the network"
    for variable, value in service.get("environment", {}).items():
        if SECRET.search(variable) and not str(value).startswith("/run/secrets/"):
            yield f"{variable} holds a secret"


def _unconfined(service: dict[str, Any]) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "its files can be changed"
    if service.get("cap_drop") != ["ALL"]:
        yield "it has capabilities"
    if "no-new-privileges:true" not in service.get("security_opt", ()):
        yield "it can gain privileges"
    if service.get("privileged") or service.get("cap_add"):
        yield "it has privileges"
    # What we build has its user in the Dockerfile.
    user = service.get("user", "10001" if "build" in service else "0")
    if not isinstance(user, str):  # 472:0 is a number of minutes to some readers of YAML
        yield "its user is not quoted"
    elif user.split(":")[0] in ("0", "root"):
        yield "it runs as root"
    if "memory" not in service.get("deploy", {}).get("resources", {}).get("limits", {}):
        yield "its memory is not limited"
    if "max-size" not in service.get("logging", {}).get("options", {}):
        yield "its logs grow for ever"


def _unwatched(name: str, service: dict[str, Any]) -> Iterator[str]:
    probe = service.get("healthcheck", {}).get("test", ())
    if not probe and name not in UNPROBED:
        yield "nobody asks whether it is well"
    if name not in HAS_CURL_OR_WGET and re.search(r"\b(curl|wget)\b", " ".join(probe)):
        yield "the image has no curl or wget"


@EACH_FILE
def test_it_has_none_of_the_problems_the_specification_allows(compose):
    assert find_problems(compose) == []


@pytest.mark.parametrize(
    ("service", "change", "problem"),
    [
        ("app", {"depends_on": {"qdrnt": {}}}, "depends on unknown qdrnt"),
        ("app", {"depends_on": ["grafana"]}, "depends on grafana, which may not be started"),
        ("app", {"volumes": ["models:/cache"]}, "undefined volume models"),
        (
            "app",
            {"volumes": [{"type": "volume", "source": "models", "target": "/cache"}]},
            "undefined volume models",
        ),
        ("app", {"secrets": ["key"]}, "undefined secret key"),
        ("qdrant", {"image": None}, "neither image nor build"),
        ("qdrant", {"image": "qdrant/qdrant"}, "qdrant/qdrant is not pinned"),
        ("qdrant", {"image": "qdrant/qdrant:latest"}, "qdrant/qdrant:latest is not pinned"),
        ("llm-cpu", {"image": "a/llama.cpp:server"}, "a/llama.cpp:server is not pinned"),
        ("qdrant", {"ports": ["6333:6333"]}, "port 6333:6333 is open to the network"),
        ("app", {"environment": {"RAG_STORE__API_KEY": "k"}}, "RAG_STORE__API_KEY holds a secret"),
        ("app", {"read_only": None}, "its files can be changed"),
        ("app", {"cap_drop": ["NET_RAW"]}, "it has capabilities"),
        ("app", {"security_opt": None}, "it can gain privileges"),
        ("app", {"privileged": True}, "it has privileges"),
        ("app", {"user": "0:0"}, "it runs as root"),
        ("qdrant", {"user": None}, "it runs as root"),
        ("qdrant", {"user": 28_320}, "its user is not quoted"),
        ("app", {"deploy": None}, "its memory is not limited"),
        ("app", {"logging": None}, "its logs grow for ever"),
        ("app", {"healthcheck": None}, "nobody asks whether it is well"),
        (
            "qdrant",
            {"healthcheck": {"test": ["CMD", "curl", "-f", "http://localhost:6333/readyz"]}},
            "the image has no curl or wget",
        ),
    ],
)
def test_each_problem_is_found(service, change, problem):
    broken = deepcopy(COMPOSE)
    broken["services"][service] |= change
    broken["services"][service] = {k: v for k, v in broken["services"][service].items() if v}
    assert find_problems(broken) == [f"{service}: {problem}"]


def test_what_is_mounted_is_there():
    folders = [
        source
        for name, service in COMPOSE["services"].items()
        for kind, source, _ in mounts(service)
        if kind == "bind" and name != "llm-cpu"  # whose model is the user's
    ]
    assert folders
    assert [source for source in folders if not (ROOT / source).is_dir()] == []
    assert all(
        mount.get("read_only") is True and mount["bind"]["create_host_path"] is False
        for service in COMPOSE["services"].values()
        for mount in service.get("volumes", ())
        if isinstance(mount, dict)
    )


def test_without_a_profile_the_index_and_the_server_start():
    unasked = [name for name, each in COMPOSE["services"].items() if not each.get("profiles")]
    assert unasked == ["qdrant", "app"]


@EACH_FILE
def test_each_key_is_mounted_where_it_is_needed_and_nowhere_else(compose):
    nodes = {name: NEEDED["qdrant"] for name in compose["services"] if name.startswith("qdrant-")}
    needed = NEEDED | nodes
    assert {n: each.get("secrets", []) for n, each in compose["services"].items()} == needed
    files = {name: Path(each["file"]) for name, each in compose["secrets"].items()}
    assert files == {name: Path("deploy/secrets") / name for name in files}


def test_both_language_models_answer_as_the_app_asks():
    base = COMPOSE["services"]["app"]["environment"]
    assert base["RAG_GENERATION__URL"] == "http://llm:8000/v1"
    for name, named in (("llm-gpu", "--served-model-name"), ("llm-cpu", "--alias")):
        service = COMPOSE["services"][name]
        assert service["networks"]["default"]["aliases"] == ["llm"]
        words = " ".join(service["command"]).replace("=", " ").split()
        words = words[words[0][0] != "-" :]  # vLLM's first is the model
        given = dict(pairwise(words))
        assert given[named] == base["RAG_GENERATION__MODEL"]
        assert given["--port"] == "8000"
        room = given.get("--max-model-len") or given["--ctx-size"]
        assert room == str(base["RAG_GENERATION__CONTEXT_WINDOW"])


def test_the_nodes_of_the_cluster_are_alike():
    first, *others = (CLUSTER["services"][name] for name in ("qdrant", "qdrant-2", "qdrant-3"))
    same = ("image", "user", "entrypoint", "healthcheck", "read_only", "cap_drop", "logging")
    for other in others:
        assert {key: other[key] for key in same} == {key: first[key] for key in same}
        assert other["environment"] == first["environment"]
        assert not {each[1] for each in mounts(other)} & {each[1] for each in mounts(first)}
        assert "ports" not in other
    for name, node in (("qdrant", first), ("qdrant-2", others[0]), ("qdrant-3", others[1])):
        flags = dict(zip(node["command"][::2], node["command"][1::2], strict=True))
        assert flags.pop("--uri") == f"http://{name}:6335"
        assert flags == ({} if name == "qdrant" else {"--bootstrap": "http://qdrant:6335"})


def test_the_example_names_every_variable_the_files_read_and_its_default():
    read = dict(re.findall(r"(?<!\$)\$\{(\w+):-([^}]*)\}", BASE_TEXT + CLUSTER_TEXT))
    assert re.findall(r"(?<!\$)\$\{(\w+)[^:\w]", BASE_TEXT + CLUSTER_TEXT) == []
    told = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", ENV_EXAMPLE, re.MULTILINE))
    assert told.pop("COMPOSE_PROFILES") == ""  # Compose's own
    assert told == read


def test_the_example_names_every_profile():
    profiles = {p for each in COMPOSE["services"].values() for p in each.get("profiles", ())}
    assert [p for p in profiles - {"ingest"} if not re.search(rf"\b{p}\b", ENV_EXAMPLE)] == []


@pytest.mark.parametrize("variable", RAG_VARIABLES)
def test_every_variable_is_a_setting(variable):
    group: Any = Settings
    for part in variable.removeprefix("RAG_").lower().split("__"):
        assert issubclass(group, BaseModel)
        assert part in group.model_fields
        group = group.model_fields[part].annotation


@pytest.mark.parametrize("compose", FILES.values(), ids=list(FILES))
@pytest.mark.parametrize("service", ["app", "worker"])
@pytest.mark.parametrize("kind", ["extractive", "server"])
def test_the_settings_load(monkeypatch, tmp_path, compose, service, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "SECRETS_DIR", tmp_path / "secrets")
    Path("secrets").mkdir()
    for secret in compose["services"][service]["secrets"]:
        keys = '{"a-key-0123456789": "admin"}\n' if secret == "RAG_SERVE__API_KEYS" else "a-key\n"
        Path("secrets", secret).write_text(keys, "utf-8")
    for variable, value in compose["services"][service]["environment"].items():
        monkeypatch.setenv(variable, str(value))
    monkeypatch.setenv("RAG_GENERATION__KIND", kind)
    settings = load_settings().settings
    assert (settings.store.kind, settings.store.url) == ("server", "http://qdrant:6333")
    assert settings.store.api_key.get_secret_value() == "a-key"
    assert settings.store.replicas == (2 if compose is CLUSTER else 1)
    assert settings.generation.api_key.get_secret_value() == "a-key"
    if service == "app":
        assert json.loads(settings.serve.api_keys.get_secret_value())
        assert settings.serve.host == "0.0.0.0"
        assert settings.serve.sources == ("/documents",)
        mounted = {target for _, _, target in mounts(compose["services"]["app"])}
        assert {str(settings.serve.jobs), *settings.serve.sources} <= mounted
        (port,) = compose["services"]["app"]["ports"]
        assert port.endswith(f":{settings.serve.port}")


def test_rag_is_not_put_out_by_the_env_file_of_compose(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text(re.sub(r"(?m)^# ([A-Z_]+=)", r"\1", ENV_EXAMPLE), "utf-8")
    assert load_settings().settings == Settings()


ENTRYPOINTS = {
    "qdrant": ("./entrypoint.sh", "QDRANT__SERVICE__API_KEY"),
    "llm-gpu": ("vllm", "VLLM_API_KEY"),
}


@pytest.mark.parametrize("service", ENTRYPOINTS)
@pytest.mark.parametrize("key", ["a key", "", None])
def test_the_key_reaches_the_process_or_it_does_not_start(tmp_path, service, key):
    program, variable = ENTRYPOINTS[service]
    stub = tmp_path / program
    stub.write_text(f'#!/bin/bash\nprintf "%s|" "${variable}" "$@"\n', "utf-8")
    stub.chmod(0o755)
    (secret,) = COMPOSE["services"][service]["secrets"]
    if key is not None:
        (tmp_path / secret).write_text(f"{key}\n", "utf-8")
    entrypoint = [
        part.replace("$$", "$").replace("/run/secrets", str(tmp_path))
        for part in COMPOSE["services"][service]["entrypoint"]
    ]
    ran = subprocess.run(
        [*entrypoint, "--flag", "two words"],
        cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    if key:
        told = "serve|--flag|two words|" if service == "llm-gpu" else "--flag|two words|"
        assert (ran.returncode, ran.stdout) == (0, f"a key|{told}")
    else:
        assert ran.returncode != 0
        assert ran.stdout == ""


@contextmanager
def serve(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server on loopback that answers every GET with `status`: its port, and the paths asked."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            paths.append(self.path)
            self.send_response(status)
            self.end_headers()

        def do_HEAD(self):
            self.do_GET()

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


PROBES = {  # port and path that are asked
    "qdrant": (6333, "/readyz"),
    "app": (8080, "/healthz"),
    "llm-gpu": (8000, "/health"),
    "llm-cpu": (8000, "/health"),
    "grafana": (3000, "/api/health"),
}
EACH_PROBE = pytest.mark.parametrize("service", PROBES)


def run_probe(service: str, port: int) -> int:
    """Run a health probe as the engine would, against another port, past a proxy that is dead."""
    kind, program, *rest = COMPOSE["services"][service]["healthcheck"]["test"]
    assert kind == "CMD"
    if not (found := shutil.which(program)):
        pytest.skip(f"{program} is not installed")
    real = str(PROBES[service][0])
    assert real in rest[-1]
    rest[-1] = rest[-1].replace("$$", "$").replace(real, str(port))
    environment = os.environ | {"http_proxy": "http://127.0.0.1:9"}
    if program == "wget":
        environment |= {"no_proxy": "127.0.0.1"}  # it knows no better
    return subprocess.run(
        [found, *rest], env=environment, timeout=30, capture_output=True, check=False
    ).returncode


def test_every_probe_that_can_be_run_here_is():
    probed = {name for name, each in COMPOSE["services"].items() if "healthcheck" in each}
    assert probed - set(PROBES) == {"prometheus"}  # by promtool, which is not here


@EACH_PROBE
@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_probe_tells_ready_from_not_ready(service, status, healthy):
    with serve(status) as (port, paths):
        assert (run_probe(service, port) == 0) is healthy
    assert set(paths) == {PROBES[service][1]}


@EACH_PROBE
def test_probe_fails_where_nothing_listens(service):
    with serve(200) as (port, _):
        pass
    assert run_probe(service, port) != 0


def test_image_is_pinned_and_not_root():
    (base,) = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert PINNED_TAG.search(base)
    (user,) = re.findall(r"^USER (\d+)", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0
    (name,) = {each["image"] for each in COMPOSE["services"].values() if "build" in each}
    assert name.endswith(f":{PROJECT['version']}")


def test_image_copies_what_there_is():
    copied = [
        source
        for line in re.findall(r"^COPY (.+)", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert [source for source in copied if source in ignored] == []
    assert "deploy" in ignored  # where keys may lie
    find = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    packages = [pattern.rstrip("*") for pattern in find["packages"]["find"]["include"]]
    assert [name for name in packages if (ROOT / name).is_dir() and name not in copied] == []


def test_image_takes_the_torch_of_the_constraints():
    (version,) = re.findall(r"torch==(\S+)", DOCKERFILE)
    assert PINNED["torch"] == version


def test_image_has_the_extras_of_a_server_and_each_is_pinned():
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', DOCKERFILE)
    assert extras.split(",") == ["bundled", "server", "serve", "telemetry"]
    wanted = [
        Requirement(each)
        for extra in extras.split(",")
        for each in PROJECT["optional-dependencies"][extra]
    ]
    assert [str(r) for r in wanted if PINNED.get(r.name, "") not in r.specifier] == []


def test_image_serves_where_rag_does():
    assert re.findall(r"^EXPOSE (\d+)", DOCKERFILE, re.MULTILINE) == [str(ServeSettings().port)]
    assert re.findall(r"^ENTRYPOINT (.+)", DOCKERFILE, re.MULTILINE) == ['["rag"]']
    assert PROJECT["scripts"]["rag"]


def test_image_has_a_folder_of_its_users_wherever_a_volume_goes():
    (made,) = re.findall(r"install --directory --owner=rag --group=rag (.+)", DOCKERFILE)
    app = COMPOSE["services"]["app"]
    assert {target for kind, _, target in mounts(app) if kind == "volume"} == set(made.split())


@pytest.mark.parametrize("index", ["https://torch.example/cpu", ""])
def test_every_step_of_the_image_runs(tmp_path, index):
    """By a shell whose every program only tells how it was called."""
    lines = DOCKERFILE.replace("\\\n", " ")
    steps = re.findall(r"^RUN (.+)", lines, re.MULTILINE)
    for program in ("apt-get", "rm", "groupadd", "useradd", "install", "touch", "pip", "rag"):
        stub = tmp_path / program
        stub.write_text('#!/bin/sh\necho "${0##*/} $@"\n', "utf-8")
        stub.chmod(0o755)
    told = [
        subprocess.run(
            ["/bin/sh", "-c", step], env={"PATH": str(tmp_path), "TORCH_INDEX": index},
            capture_output=True, text=True, timeout=20, check=True,
        ).stdout
        for step in steps
    ]  # fmt: skip
    assert len(told) == 6
    (user, group) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[0]
    # `useradd` by itself takes a number of its own for the group.
    assert told[1].splitlines()[:2] == [
        f"groupadd --gid {group} rag", f"useradd --uid {user} --gid rag --create-home rag",
    ]  # fmt: skip
    extra = f"--extra-index-url {index} " if index else ""
    assert told[2] == f"pip install {extra}--constraint constraints.txt torch==2.13.0\n"
    assert told[3].splitlines() == [
        "touch README.md",
        "pip install --constraint constraints.txt .[bundled,server,serve,telemetry]",
    ]
    assert told[4:] == ["pip install --no-deps --force-reinstall .\n", "rag models pull\n"]
