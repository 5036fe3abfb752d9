"""`rag serve` over real connections: answers, refusals, tenants, and clients that leave."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from connectors.registry import open_source
from pipelines.ingest import ingest
from pipelines.query import open_parts
from pipelines.serve.app import create_app
from pipelines.serve.listening import listening
from rag.errors import StoreError
from rag.index import open_index
from rag.settings import Settings
from rag.store.generations import copy_file

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, client, metric, serving, until

FACTS = {
    "acme": "The Acme plant in Brno made 4,120 valves in May. Its manager is Ada Novak.",
    "apex": "The Apex plant in Brno made 9,900 valves in May. Its manager is Ines Ruiz.",
    "": "The ministry counted three plants that make valves in Brno.",
}
ASKED = "How many valves did the plant in Brno make in May?"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of three documents, two of which are a tenant's."""
    folder = tmp_path_factory.mktemp("serve")
    lines = [
        {"id": tenant or "all", "text": text, **({"tenant": tenant} if tenant else {})}
        for tenant, text in FACTS.items()
    ]
    source = folder / "facts.jsonl"
    source.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    with open_index(Settings(store={"path": folder / "index"}), create=True) as index:
        report = ingest(index, [open_source(str(source))])
    assert report.documents == 3
    return folder / "index"


@pytest.fixture
def where(built: Path, tmp_path: Path) -> Path:
    """A copy of it for one test: an index has one owner."""
    return shutil.copytree(built, tmp_path / "index", copy_function=copy_file)


@pytest.fixture(scope="module")
def base(built: Path) -> Iterator[str]:
    with serving(
        shutil.copytree(built, built.with_name("base"), copy_function=copy_file)
    ) as address:
        yield address


@pytest.fixture(scope="module")
def keyed(built: Path) -> Iterator[str]:
    own = shutil.copytree(built, built.with_name("keyed"), copy_function=copy_file)
    with serving(own, api_keys=TABLE, requests_per_minute=0) as address:
        yield address


def problem(answer: httpx.Response, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["code"] == told["error"]["code"] == code
    return str(told["detail"])


def events(text: str) -> list[tuple[str, Any]]:
    """Name and data of every event."""
    found = []
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        data = fields.get("data", "")
        found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found


def test_a_search_finds_chunks(base: str) -> None:
    with client(base) as asking:
        hits = asking.post("/v1/search", json={"question": ASKED, "top_k": 2}).json()["hits"]
    assert len(hits) == 2
    for hit in hits:
        assert hit["text"] in {text[hit["start"] : hit["end"]] for text in FACTS.values()}


def test_an_answer_cites_and_counts(base: str) -> None:
    booked = metric(base, 'spanrag_stage_tokens_total{direction="in",stage="retrieve"}')
    with client(base) as asking:
        answer = asking.post("/v1/query", json={"question": ASKED}).json()
    assert not answer["abstained"]
    assert answer["citations"][0]["quote"] in "".join(FACTS.values())
    stages = [entry["stage"] for entry in answer["ledger"]]
    assert stages == ["retrieve", "cluster", "select", "generate", "verify"]
    now = metric(base, 'spanrag_stage_tokens_total{direction="in",stage="retrieve"}')
    assert now - booked == answer["ledger"][0]["tokens_in"]


def test_stages_can_be_left_out_for_one_question(base: str) -> None:
    options = {"clustering": "off", "selection": "everything", "grounding": "extractive"}
    with client(base) as asking:
        answer = asking.post("/v1/query", json={"question": ASKED, "options": options}).json()
        plain = asking.post("/v1/query", json={"question": ASKED}).json()
    ledger = {entry["stage"]: entry for entry in answer["ledger"]}
    assert "cluster" not in ledger
    assert ledger["select"]["tokens_in"] == ledger["select"]["tokens_out"]
    assert answer["sticker"]["facts"]
    assert plain["sticker"] is None


def test_a_stream_tells_the_stages_and_ends_with_the_answer(base: str) -> None:
    with client(base) as asking:
        plain = asking.post("/v1/query", json={"question": ASKED}).json()
        told = asking.post("/v1/query", json={"question": ASKED, "stream": True})
    assert told.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in events(told.text)]
    assert names == ["stage", "stage", "stage", "answer"]
    streamed = events(told.text)[-1][1]
    for answer in (plain, streamed):
        for entry in answer["ledger"]:
            entry["seconds"] = 0
    assert streamed == plain


def test_a_client_of_the_openai_api_gets_an_answer_whole_or_in_parts(base: str) -> None:
    openai = pytest.importorskip("openai")
    asking = openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Yes?"},
                {"role": "user", "content": ASKED}]  # fmt: skip
    assert [each.id for each in asking.models.list()] == ["spanrag"]
    whole = asking.chat.completions.create(model="spanrag", messages=messages, temperature=0.3)
    parts = list(asking.chat.completions.create(model="spanrag", messages=messages, stream=True))
    text = "".join(part.choices[0].delta.content or "" for part in parts)
    assert text == whole.choices[0].message.content
    assert "valves" in text
    assert parts[-1].choices[0].finish_reason == "stop"
    assert parts[-1].model_extra["spanrag"]["citations"]
    assert whole.model_extra["spanrag"]["ledger"][0]["stage"] == "retrieve"
    assert asking.models.retrieve("spanrag").id == "spanrag"
    with pytest.raises(openai.NotFoundError):
        asking.models.retrieve("gpt-9")
    *_, counted = asking.chat.completions.create(
        model="spanrag", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    assert counted.choices == []
    assert counted.usage == whole.usage
    with pytest.raises(openai.BadRequestError, match="no question"):
        asking.chat.completions.create(model="x", messages=[{"role": "system", "content": "x"}])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"question": ""}, 422, "usage"),
        ({"question": "x", "unknown": 1}, 422, "usage"),
        ({"question": "x", "stream": "no"}, 422, "usage"),
        ({"question": "x", "filters": ["nonsense"]}, 400, "usage"),
        ({"question": "x", "options": {"grounding": "sift"}}, 400, "usage"),
        ({"question": "x" * 2_000_000}, 413, "too_large"),
    ],
)
def test_a_bad_request_is_a_problem(base: str, body: object, status: int, code: str) -> None:
    with client(base) as asking:
        detail = problem(asking.post("/v1/query", json=body), status, code)
    assert "xxx" not in detail


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": f"{ASKED} \ud83d"}],
        [{"role": "user", "content": [{"type": "text", "text": f"\udc00{ASKED}"}, {"type": "x"}]}],
        [{"role": "function", "name": "f", "content": "1"}, {"role": "assistant", "content": None},
         {"role": "user", "content": ASKED}],
    ],
    ids=["half a character", "in a part", "odd turns"],
)  # fmt: skip
def test_what_clients_of_chats_send_is_answered(base: str, messages: list[object]) -> None:
    body = {"messages": messages, "model": None, "stream": None, "stream_options": None}
    with client(base) as asking:
        sent = json.dumps(body)  # as ASCII: a lone surrogate is no UTF-8
        answer = asking.post(
            "/v1/chat/completions", content=sent, headers={"content-type": "application/json"}
        )
    assert "valves" in answer.json()["choices"][0]["message"]["content"]


def test_an_error_that_nobody_foresaw_tells_nothing_and_has_every_header(
    where: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(store={"path": where})
    app = create_app(*open_parts(settings))

    def fails() -> None:
        raise RuntimeError("/srv/secret")

    def is_away() -> None:
        raise StoreError("no Qdrant at 10.0.0.7")

    app.add_api_route("/fails", fails)
    app.add_api_route("/is-away", is_away)
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as asking:
        for path, status, code, secret in (
            ("/fails", 500, "unexpected", "/srv/secret"),
            ("/is-away", 503, "store", "10.0.0.7"),
        ):
            answer = asking.get(path)
            problem(answer, status, code)
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert secret not in answer.text
            assert secret in caplog.text


@pytest.mark.parametrize("streamed", [True, False])
def test_what_fails_before_it_streams_is_a_problem_too(base: str, streamed: bool) -> None:
    body = {"question": "x", "options": {"grounding": "sift"}, "stream": streamed}
    with client(base) as asking:
        problem(asking.post("/v1/query", json=body), 400, "usage")


def test_what_is_no_json_or_no_route_is_a_problem(base: str) -> None:
    with client(base) as asking:
        problem(asking.post("/v1/query", content=b'{"question": "x"}',
                            headers={"content-type": "text/plain"}), 422, "usage")  # fmt: skip
        problem(asking.post("/v1/query", content=b"\xff{", headers={
            "content-type": "application/json"}), 400, "usage")  # fmt: skip
        problem(asking.get("/v1/query"), 405, "method")
        problem(asking.get("/nowhere"), 404, "not_found")
        problem(asking.post("/v1/ingest/", json={}), 404, "not_found")
        refused = asking.request("PATCH", "/v1/documents/x")
        problem(refused, 405, "method")
        assert refused.headers["allow"] == "DELETE, GET"


def test_a_body_that_grows_too_large_is_refused_though_it_tells_no_length(base: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"question": "'
        for _ in range(40):
            yield b"x" * 50_000

    with client(base) as asking:
        sent = asking.post(
            "/v1/query", content=parts(), headers={"content-type": "application/json"}
        )
    problem(sent, 413, "too_large")


def test_without_keys_only_this_machine_is_answered_under_its_own_name(base: str) -> None:
    with client(base) as asking:
        body = {"question": ASKED}
        for name in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "["):
            answer = asking.post("/v1/query", json=body, headers={"Host": name})
            problem(answer, 403, "forbidden")
        for name in ("localhost", "localhost:1", "127.0.0.1", "[::1]:80"):
            assert asking.post("/v1/search", json=body, headers={"Host": name}).is_success
        answer = asking.options(
            "/v1/query",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
        )
        assert "access-control-allow-origin" not in answer.headers


def test_a_key_is_asked_for_everywhere_but_for_health(keyed: str) -> None:
    with client(keyed) as asking:
        described = asking.get("/openapi.json").json()
        for path, operations in described["paths"].items():
            for method in operations:
                answer = asking.request(method, path, json={"question": ASKED})
                if path in ("/healthz", "/readyz"):
                    assert answer.json() == {"status": "ok"}
                    continue
                problem(answer, 401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
        for wrong in ("Bearer x", f"Basic {KEYS['acme']}", f"Bearer {KEYS['acme']}x"):
            answer = asking.post(
                "/v1/query", json={"question": ASKED}, headers={"Authorization": wrong}
            )
            problem(answer, 401, "unauthorized")


WIDER = [
    [], ["tenant=apex"], ["tenant=acme|apex"], ["tenant!=acme"], ["doc!=x"], ["tenant!=apex"],
    ['doc=x" or "1'], ["meta.tenant=apex"], ["state=live"], ["doc_id!=0"],
]  # fmt: skip


@pytest.mark.parametrize("filters", WIDER, ids=str)
def test_no_filter_shows_a_tenant_what_is_anothers(keyed: str, filters: list[str]) -> None:
    body = {"question": "Ines Ruiz Apex 9,900 valves", "filters": filters}
    with client(keyed, "acme") as asking:
        found = asking.post("/v1/search", json={**body, "top_k": 100})
        answer = asking.post("/v1/query", json=body)
        streamed = asking.post("/v1/query", json={**body, "stream": True})
    for each in (found, answer, streamed):
        told = each.text.replace(body["question"], "")
        assert "9,900" not in told
        assert "Ruiz" not in told
        assert "ministry" not in told
    with client(keyed, "apex") as asking:
        assert "9,900" in asking.post("/v1/query", json={"question": ASKED}).text
    with client(keyed, "reader") as asking:
        hits = asking.post("/v1/search", json={"question": ASKED}).json()["hits"]
    assert len(hits) == 3


def test_without_a_key_no_byte_of_a_body_is_read(keyed: str) -> None:
    address = keyed.removeprefix("http://").rsplit(":", 1)
    head = b"POST /v1/ingest HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((address[0], int(address[1])), timeout=20) as line:
        line.sendall(head + b"Content-Length: 19000000\r\n\r\n{")  # and no more comes
        assert line.recv(100).startswith(b"HTTP/1.1 401 ")


def test_an_answer_does_not_wait_for_its_readers_word() -> None:
    """On a connection that is kept, an answer of two writes would come 40 ms late."""
    with listening("127.0.0.1", 0) as line, socket.create_connection(line.getsockname()):
        taken, _ = line.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_keys_cannot_be_tried_out(where: Path) -> None:
    with serving(where, api_keys=TABLE, requests_per_minute=3) as base, client(base) as asking:
        for n in range(4):
            wrong = {"Authorization": f"Bearer {n}"}
            tried = asking.get("/v1/models", headers=wrong)
            problem(tried, *((401, "unauthorized") if n < 3 else (429, "rate_limited")))
        right = {"Authorization": f"Bearer {KEYS['acme']}"}
        assert asking.get("/v1/models", headers=right).is_success


def test_counters_are_nothing_for_a_tenant(keyed: str) -> None:
    with client(keyed, "acme") as asking:
        problem(asking.get("/metrics"), 403, "forbidden")
    with client(keyed, "reader") as asking:
        assert "spanrag_jobs_waiting 0.0" in asking.get("/metrics").text
        problem(asking.get("/v1/jobs"), 403, "forbidden")


def test_a_tenants_chat_has_its_own_documents_only(keyed: str) -> None:
    body = {"messages": [{"role": "user", "content": ASKED}]}
    with client(keyed, "acme") as asking:
        told = asking.post("/v1/chat/completions", json=body).text
    assert "4,120" in told
    assert "9,900" not in told


def test_a_key_that_asks_too_often_is_told_when_to_come_again(where: Path) -> None:
    with (
        serving(where, api_keys=TABLE, requests_per_minute=3) as base,
        client(base, "acme") as asking,
        client(base, "apex") as other,
    ):
        for _ in range(3):
            assert asking.get("/v1/models").is_success
        refused = asking.get("/v1/models")
        problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert other.get("/v1/models").is_success


GENERATION = {"kind": "server", "model": "smollm2", "context_window": 2048, "retries": 0}


@pytest.mark.slow
def test_a_model_streams_and_a_client_that_leaves_stops_it(where: Path, proxy: Any) -> None:
    proxy.script = ["linger", "linger"]
    generation = {**GENERATION, "url": proxy.base}
    body = {"question": ASKED, "stream": True}
    with serving(where, generation) as base, client(base) as asking:
        with asking.stream("POST", "/v1/query", json=body) as answer:
            for line in answer.iter_lines():
                if line == "event: text":
                    break
            assert proxy.open == 1
        assert proxy.left.wait(timeout=60)
        until(lambda: metric(base, "spanrag_questions_under_way") == 0)

        proxy.left.clear()
        with pytest.raises(httpx.ReadTimeout):
            asking.post("/v1/query", json={"question": ASKED}, timeout=2)
        assert proxy.left.wait(timeout=60)
        until(lambda: metric(base, "spanrag_questions_under_way") == 0)

        told = events(asking.post("/v1/query", json=body).text)
        assert len([data for name, data in told if name == "text"]) > 1
        name, final = told[-1]
        assert name == "answer"
        assert final["ledger"][3]["llm_tokens"] > 0


def test_what_does_not_answer_in_time_is_given_up(where: Path, proxy: Any) -> None:
    proxy.script = ["hang", "hang"]
    generation = {**GENERATION, "url": proxy.base, "timeout": 5}
    with serving(where, generation, timeout=2) as base, client(base) as asking:
        problem(asking.post("/v1/query", json={"question": ASKED}), 504, "timeout")


def test_a_model_that_fails_is_a_problem_also_in_a_stream(where: Path, proxy: Any) -> None:
    proxy.script = ["drop", "drop"]
    generation = {**GENERATION, "url": proxy.base}
    with serving(where, generation) as base, client(base) as asking:
        problem(asking.post("/v1/query", json={"question": ASKED}), 502, "model")
        told = events(asking.post("/v1/query", json={"question": ASKED, "stream": True}).text)
    assert [name for name, _ in told] == ["stage", "stage", "stage", "error"]
    assert told[-1][1]["code"] == "model"


def test_one_question_too_many_is_refused_at_once(where: Path, proxy: Any) -> None:
    proxy.script = ["hang"] * 20
    generation = {**GENERATION, "url": proxy.base, "timeout": 8}
    with (
        serving(where, generation, concurrency=2, waiting=1, timeout=6) as base,
        client(base) as asking,
        ThreadPoolExecutor(3) as crowd,
    ):
        asked = [crowd.submit(asking.post, "/v1/query", json={"question": ASKED}) for _ in range(3)]
        until(lambda: metric(base, "spanrag_questions_under_way") == 3)
        for path in ("/v1/search", "/v1/query", "/v1/chat/completions"):
            refused = asking.post(path, content="{")  # before what it brings is looked at
            problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) >= 1
        assert asking.get("/healthz").is_success
        for each in asked:
            assert each.result().status_code in (502, 504)


def test_the_command_serves_until_it_is_stopped(where: Path) -> None:
    rag = Path(sys.executable).with_name("rag")
    running = subprocess.Popen(
        [rag, "serve", "--where", where, "--port", "0"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    base = running.stderr.readline().strip().removeprefix("listening at ")
    with client(base) as asking:
        until(lambda: _answers(asking))
        assert asking.post("/v1/query", json={"question": ASKED}).is_success
        locked = subprocess.run(
            [rag, "status", "--where", where, "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert locked.returncode == 5
        assert json.loads(locked.stdout)["error"]["code"] == "store_locked"
    assert where.with_name("index-jobs").is_dir()
    # Not SIGINT: who runs the tests in the background has it ignored, and so all they start.
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == -signal.SIGTERM


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--host", "0.0.0.0"], 3, "serve.api_keys is not set"),
        (["--set", 'serve.api_keys={"short" = "read"}'], 3, "serve.api_keys"),
        (["--port", "TAKEN"], 2, "cannot listen"),
    ],
)
def test_what_cannot_be_served_is_told_at_once(
    tmp_path: Path, options: list[str], code: int, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        rag = Path(sys.executable).with_name("rag")
        ran = subprocess.run(
            [rag, "serve", "--json", "--where", tmp_path / "none",
             *(port if each == "TAKEN" else each for each in options)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ran.returncode == code, ran.stderr
    assert said in json.loads(ran.stdout)["error"]["message"]
    assert not (tmp_path / "none").exists()


def _answers(asking: httpx.Client) -> bool:
    try:
        return asking.get("/readyz").is_success
    except httpx.TransportError:
        return False
