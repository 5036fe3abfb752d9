"""What can be known of deploy/ without Docker, Kubernetes, Prometheus or Grafana."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.serve.keys import Keys, Role
from rag.index import open_index
from rag.settings import Settings, load_settings, sources

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from serving import serving

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
ALERTS = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
BOARD = json.loads((DEPLOY / "grafana/dashboards/spanrag.json").read_text("utf-8"))
KUBERNETES: dict[tuple[str, str], dict[str, Any]] = {
    (each["kind"], each["metadata"]["name"]): each
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for each in yaml.safe_load_all(file.read_text("utf-8"))
}
TOLD = [*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml"), ROOT / "docs/operations.md"]


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [
        (each["metadata"]["name"], each["spec"]["template"])
        for (kind, _), each in KUBERNETES.items()
        if kind in ("Deployment", "StatefulSet")
    ]


EACH_POD = pytest.mark.parametrize("template", [t for _, t in pods()], ids=[n for n, _ in pods()])


# Keys.


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "made"
    told = make_secrets(folder)
    assert "kept" not in told
    assert not [name for name in os.listdir(folder) if (folder / name).read_text() in told]
    return folder


def make_secrets(folder: Path) -> str:
    command = ["/bin/sh", str(DEPLOY / "make-secrets.sh"), str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert ran.stderr == ""
    return ran.stdout


def test_every_key_that_is_mounted_is_made(keys):
    assert set(COMPOSE["secrets"]) | {"admin-key"} == set(os.listdir(keys))
    assert oct(keys.stat().st_mode)[-3:] == "700"  # nobody but its owner gets to them,
    assert {oct(each.stat().st_mode)[-3:] for each in keys.iterdir()} == {"444"}  # but mounted, any
    texts = [(keys / name).read_text() for name in os.listdir(keys) if "KEYS" not in name]
    assert len({*texts}) == 5
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in texts)


def test_keys_that_are_there_are_left_alone(tmp_path):
    make_secrets(tmp_path)
    before = {each.name: each.read_text() for each in tmp_path.iterdir()}
    (tmp_path / "metrics-key").unlink()
    assert make_secrets(tmp_path).count("kept") == 5
    after = {each.name: each.read_text() for each in tmp_path.iterdir()}
    old, new = before.pop("metrics-key"), after.pop("metrics-key")
    assert old != new
    assert after == before


@pytest.mark.parametrize("folder", ["secrets", "models"])
def test_neither_keys_nor_models_are_ever_committed(folder):
    ignored = (DEPLOY / folder / ".gitignore").read_text("utf-8").splitlines()
    assert [line for line in ignored if not line.startswith("#")] == ["*", "!.gitignore"]


# A server that is started as the compose file has it, and what asks it.


@pytest.fixture(scope="module")
def server(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, with the keys that were made, and one question asked."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "facts.md").write_text("# May\n\nThe plant in Brno made 4,120 valves in May.\n")
    with open_index(Settings(store={"path": folder / "index"}), create=True) as index:
        ingest(index, [open_source(str(folder / "facts.md"))])
    table = (keys / "RAG_SERVE__API_KEYS").read_text()
    with serving(folder / "index", api_keys=table) as base:
        assert ask(base, keys, "admin-key", "/v1/query")[0] == 200
        yield base


def ask(base: str, keys: Path, who: str, path: str) -> tuple[int, str]:
    import httpx

    headers = {"Authorization": f"Bearer {(keys / who).read_text()}"}
    with httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False) as asking:
        if path.startswith("/v1/"):
            answer = asking.post(path, json={"question": "How many valves were made in May?"})
        else:
            answer = asking.get(path)
    return answer.status_code, answer.text


def test_the_probe_of_the_app_tells_a_real_server(server):
    _, program, *rest = COMPOSE["services"]["app"]["healthcheck"]["test"]
    assert program == "python"
    rest[-1] = rest[-1].replace("http://127.0.0.1:8080", server)
    subprocess.run([sys.executable, *rest], timeout=30, check=True, capture_output=True)


def test_the_key_of_prometheus_reads_counters_and_no_documents(server, keys):
    assert ask(server, keys, "metrics-key", "/metrics")[0] == 200
    assert ask(server, keys, "metrics-key", "/v1/search")[0] == 403
    assert json.loads(ask(server, keys, "admin-key", "/v1/search")[1])["hits"]


def test_the_keys_grant_what_they_are_for(keys):
    granted = Keys.read((keys / "RAG_SERVE__API_KEYS").read_text())
    admin, metrics = (granted.find((keys / n).read_text()) for n in ("admin-key", "metrics-key"))
    assert admin is not None
    assert metrics is not None
    assert (admin.role, admin.tenant) == (Role.admin, "")
    assert (metrics.role, metrics.tenant) == (Role.metrics, "")


EXPRESSIONS = [
    *(target["expr"] for panel in BOARD["panels"] for target in panel["targets"]),
    *(rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]),
]
_WORDS = {"by", "without", "sum", "rate", "increase", "histogram_quantile", "min_over_time"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_and_label_that_is_asked_for_is_there(server, keys, expression):
    _, told = ask(server, keys, "metrics-key", "/metrics")
    there: dict[str, set[str]] = {"up": {"job"}}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", told, re.MULTILINE):
        there.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    matchers = re.findall(r"(\w+)\{([^}]*)\}", expression)
    names = set(re.findall(r"\b(spanrag_\w+|up)\b", expression))
    assert names
    assert names <= set(there)
    for name, inside in matchers:
        assert set(re.findall(r"(\w+)=", inside)) <= there[name]
    grouped = re.findall(r"(?:by|without) \(([\w, ]+)\)", expression)
    known = set.union(*(there[name] for name in names))
    assert {label for group in grouped for label in group.split(", ")} <= known
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|(?:by|without) \([\w, ]+\)", "", expression)
    assert set(re.findall(r"[a-z_]{2,}", bare)) <= names | _WORDS  # nothing that was not looked at


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_route_that_is_asked_for_is_there(expression):
    from pipelines.serve import chat, documents, questions

    routes = [
        route.path
        for module in (questions, documents, chat)
        for route in module.router.routes
        if hasattr(route, "path")
    ]
    for pattern in re.findall(r'route=~"([^"]*)"', expression):
        assert [route for route in routes if re.fullmatch(pattern, route)]
        for each in re.sub(r".*\((.*)\)", r"\1", pattern).split("|"):
            assert each == pattern or f"/v1/{each}" in routes


# Prometheus and Grafana.


def test_prometheus_asks_the_app_with_its_key():
    service = COMPOSE["services"]["prometheus"]
    (scraped,) = PROMETHEUS["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": ["app:8080"]}]
    (port,) = COMPOSE["services"]["app"]["ports"]
    assert port.endswith(":8080")
    secret = scraped["authorization"]["credentials_file"].removeprefix("/run/secrets/")
    assert service["secrets"] == [secret]
    assert "./deploy/prometheus:/etc/prometheus:ro" in service["volumes"]
    assert all((DEPLOY / "prometheus" / name).is_file() for name in PROMETHEUS["rule_files"])
    jobs = {job for e in EXPRESSIONS for job in re.findall(r'job="([^"]*)"', e)}
    assert jobs == {scraped["job_name"]}


def test_every_alert_says_what_is_wrong_and_how_bad():
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in ("page", "ticket")
    names = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    told = (ROOT / "docs/operations.md").read_text("utf-8")
    assert [name for name in names if name not in told] == []


def test_grafana_finds_its_source_and_its_dashboard():
    folder = DEPLOY / "grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert {panel["datasource"]["uid"] for panel in BOARD["panels"]} == {source["uid"]}
    (provider,) = yaml.safe_load((folder / "dashboards/files.yml").read_text())["providers"]
    mounted = COMPOSE["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounted
    assert "./deploy/grafana/provisioning:/etc/grafana/provisioning:ro" in mounted
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len({*ids}) == len({panel["title"] for panel in BOARD["panels"]})
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]}
    assert len(places) == len(ids)


def test_every_counter_is_on_the_dashboard(server, keys):
    _, told = ask(server, keys, "metrics-key", "/metrics")
    families = set(re.findall(r"^# TYPE (\w+?)(?:_total|_created)? ", told, re.MULTILINE))
    shown = " ".join(t["expr"] for panel in BOARD["panels"] for t in panel["targets"])
    assert len(families) == 10
    assert [name for name in families if name not in shown] == []


def test_each_alert_has_a_test_of_when_it_fires():
    """`promtool test rules` runs them, where there is one."""
    file = DEPLOY / "prometheus/alerts.test.yml"
    fires = {
        test["alertname"]
        for series in yaml.safe_load(file.read_text("utf-8"))["tests"]
        for test in series["alert_rule_test"]
        if test["exp_alerts"]
    }
    assert fires == {rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]}
    if promtool := shutil.which("promtool"):
        subprocess.run([promtool, "test", "rules", file], timeout=60, check=True)


# Kubernetes.


def test_what_there_is():
    kinds = {kind for kind, _ in KUBERNETES}
    assert kinds == {
        "Deployment", "Namespace", "NetworkPolicy", "PersistentVolumeClaim", "PodDisruptionBudget",
        "Secret", "Service", "StatefulSet",
    }  # fmt: skip
    namespaces = {each["metadata"].get("namespace") for each in KUBERNETES.values()}
    assert namespaces == {None, "spanrag"}
    assert KUBERNETES["Namespace", "spanrag"]["metadata"]["labels"].items() >= {
        ("pod-security.kubernetes.io/enforce", "restricted")
    }


@EACH_POD
def test_a_pod_is_confined(template):
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert re.search(r":v?\d+\.\d+\.\d+[\w.-]*$", container["image"])


@EACH_POD
def test_a_pod_is_asked_how_it_is(template):
    for container in template["spec"]["containers"]:
        ports = {port["name"] for port in container["ports"]}
        for probe, path in (
            ("startupProbe", "/healthz"),
            ("livenessProbe", "/healthz"),
            ("readinessProbe", "/readyz"),
        ):
            assert container[probe]["httpGet"]["path"] == path
            assert container[probe]["httpGet"]["port"] in ports


@EACH_POD
def test_a_pod_mounts_what_it_has(template):
    spec = template["spec"]
    claims = KUBERNETES["StatefulSet", "qdrant"]["spec"]["volumeClaimTemplates"]
    there = {volume["name"] for volume in spec["volumes"]}
    if template["metadata"]["labels"]["app.kubernetes.io/name"] == "qdrant":
        there |= {claim["metadata"]["name"] for claim in claims}
    (container,) = spec["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == there
    for volume in spec["volumes"]:
        if "persistentVolumeClaim" in volume:
            claim = volume["persistentVolumeClaim"]["claimName"]
            assert ("PersistentVolumeClaim", claim) in KUBERNETES
        if "secret" in volume:
            secret = KUBERNETES["Secret", volume["secret"]["secretName"]]
            wanted = {item["key"] for item in volume["secret"].get("items", ())}
            assert wanted <= set(secret["stringData"])


def test_the_secret_is_a_form():
    (secret,) = (each for (kind, _), each in KUBERNETES.items() if kind == "Secret")
    assert set(secret["stringData"].values()) == {""}
    assert "data" not in secret


def test_everything_that_selects_finds_its_pods():
    labels = [template["metadata"]["labels"] for _, template in pods()]
    for (kind, name), each in KUBERNETES.items():
        selector = each.get("spec", {}).get("selector") or each.get("spec", {}).get("podSelector")
        if selector:
            wanted = selector if kind == "Service" else selector["matchLabels"]
            assert wanted in labels, (kind, name)
    budgets = {name for kind, name in KUBERNETES if kind == "PodDisruptionBudget"}
    policies = {name for kind, name in KUBERNETES if kind == "NetworkPolicy"}
    assert budgets == {name for name, _ in pods()}
    assert policies == budgets | {"nothing"}


def test_policies_open_the_ports_that_there_are():
    ports = {
        name: {port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        for name, template in pods()
    }
    for name in ports:
        policy = KUBERNETES["NetworkPolicy", name]["spec"]
        opened = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert opened == ports[name]
    asked = {p["port"] for r in policy_egress("spanrag") for p in r["ports"]}
    assert asked == {6333, 53}
    everything = KUBERNETES["NetworkPolicy", "nothing"]["spec"]
    assert everything == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def policy_egress(name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = KUBERNETES["NetworkPolicy", name]["spec"]["egress"]
    return rules


@pytest.mark.parametrize(
    ("host", "key", "told"),
    [
        ("qdrant-0", "k", "k --uri http://qdrant-0.qdrant-nodes:6335"),
        (
            "qdrant-2",
            "k",
            "k --bootstrap http://qdrant-0.qdrant-nodes:6335 "
            "--uri http://qdrant-2.qdrant-nodes:6335",
        ),
        ("qdrant-0", "", None),
    ],
)
def test_a_node_joins_the_first(tmp_path, host, key, told):
    (container,) = KUBERNETES["StatefulSet", "qdrant"]["spec"]["template"]["spec"]["containers"]
    stub = tmp_path / "entrypoint.sh"
    stub.write_text('#!/bin/bash\necho "$QDRANT__SERVICE__API_KEY" "$@"\n')
    stub.chmod(0o755)
    (tmp_path / "RAG_STORE__API_KEY").write_text(key)
    command = [part.replace("/run/secrets", str(tmp_path)) for part in container["command"]]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PATH": os.environ["PATH"], "HOSTNAME": host},
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (ran.returncode == 0, ran.stdout.strip()) == (told is not None, told or "")


@pytest.mark.parametrize("filled", [True, False])
def test_the_settings_load_from_a_mounted_secret(monkeypatch, tmp_path, keys, filled):
    # As Kubernetes mounts it: links to files in a folder that it can replace in one step.
    (tmp_path / "..data").mkdir()
    for name, empty in KUBERNETES["Secret", "spanrag-keys"]["stringData"].items():
        (tmp_path / "..data" / name).write_text((keys / name).read_text() if filled else empty)
        (tmp_path / name).symlink_to(Path("..data") / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "SECRETS_DIR", tmp_path)
    (container,) = KUBERNETES["Deployment", "spanrag"]["spec"]["template"]["spec"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load_settings().settings
    assert (settings.store.url, settings.store.replicas) == ("http://qdrant:6333", 2)
    assert bool(Keys.read(settings.serve.api_keys.get_secret_value())) is filled
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert str(settings.serve.jobs) in mounted


# All of it.


@pytest.mark.parametrize("file", TOLD, ids=lambda path: path.name)
def test_every_variable_is_a_setting(file):
    for variable in set(re.findall(r"\bRAG_\w+", file.read_text("utf-8"))):
        group: Any = Settings
        for part in variable.removeprefix("RAG_").lower().split("__"):
            assert issubclass(group, BaseModel), variable
            assert part in group.model_fields, variable
            group = group.model_fields[part].annotation


def test_all_name_the_same_images():
    images: dict[str, set[str]] = {}
    for file in (ROOT / "docker-compose.yml", *TOLD):
        for name, tag in re.findall(
            r"\b(qdrant/qdrant|[\w/.-]*spanrag):(v?\d[\w.-]*)", file.read_text("utf-8")
        ):
            images.setdefault(name.rsplit("/", 1)[-1], set()).add(tag)
    assert {name: len(tags) for name, tags in images.items()} == {"qdrant": 1, "spanrag": 1}
