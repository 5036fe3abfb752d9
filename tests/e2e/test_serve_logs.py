"""`rag serve -v`: what it writes down of requests, good and bad, and what it never does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from serving import KEYS, TABLE, client, finished, until

SAID = "Marzipan"
"""In every text, name, question, filter and path that is sent; and once in a key."""
GUESS = f"{SAID}-guessed-key-0123456789"
HALF = f"{SAID} \ud800"


def sent(base: str) -> list[httpx.Response]:
    """Answers to requests of all kinds, most of them faulty."""
    document = {"id": f"{SAID}-1", "name": f"{SAID}.md", "meta": {SAID: SAID},
                "text": f"# {SAID}\n\n{SAID} is sold in May."}  # fmt: skip
    empty = {"id": f"{SAID}-2", "text": " \n "}
    binary = {"id": f"{SAID}-3", "text": f"{SAID}\x00\x01\x02\x03\x04\x05"}
    ask = {"question": f"When is {SAID} sold?"}
    talk = {"messages": [{"role": "user", "content": f"When is {SAID} sold?"}]}
    json_type = {"Content-Type": "application/json"}
    with (
        client(base, "writer") as asking,
        client(base) as stranger,
        client(base, "reader") as reader,
    ):
        job = asking.post("/v1/ingest", json={"documents": [document, empty, binary]})
        done = finished(asking, job)
        assert (done["state"], done["report"]["added"]) == ("done", 1)
        found = asking.post("/v1/search", json=ask)
        where = f"/v1/documents/{found.json()['hits'][0]['doc_id']}"
        answers = [
            found, asking.get(where), asking.post("/v1/query", json={**ask, "explain": True}),
            asking.post("/v1/query", json={**ask, "stream": True}),
            asking.post("/v1/chat/completions", json=talk),
            asking.post("/v1/chat/completions", json={**talk, "stream": True}),
            asking.post("/v1/search", json={**ask, "filters": [f"{SAID}<{SAID}"]}),
            asking.post("/v1/search", json={**ask, "filters": [SAID]}),
            asking.post("/v1/query", json={**ask, SAID: SAID}),
            asking.post("/v1/query", json={**ask, "options": {"grounding": "sift"}}),
            asking.post("/v1/search", content=f'{{"question": "{SAID}', headers=json_type),
            asking.post("/v1/search", content=json.dumps({"question": HALF}), headers=json_type),
            asking.post("/v1/ingest", content=json.dumps({"documents": [{**document, "meta": {
                "a": HALF}}]}), headers=json_type),
            asking.post("/v1/ingest", json={"sources": [f"/{SAID}"]}),
            asking.get(f"/v1/documents/{SAID}"), asking.get(f"/v1/jobs/{SAID}"),
            asking.get(f"/{SAID}", params={SAID: SAID}), asking.request(SAID.upper(), "/v1/query"),
            asking.get("/v1/models", headers={"User-Agent": SAID, "Referer": SAID, "Host": SAID}),
            stranger.get("/v1/models", headers={"Authorization": f"Bearer {GUESS}"}),
            reader.post("/v1/ingest", json={"documents": [document]}),
            asking.delete(where),
        ]  # fmt: skip
        finished(asking, answers[-1])
    return answers


@pytest.mark.slow
def test_no_text_question_name_or_key_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stream, subprocess.Popen(
        [Path(sys.executable).with_name("rag"), "serve", "-v",
         "--where", tmp_path / "index", "--port", "0"],
        stdout=stream, stderr=stream, env=os.environ | {"RAG_SERVE__API_KEYS": TABLE},
    ) as running:  # fmt: skip
        try:
            until(lambda: "listening at " in log.read_text())
            base = log.read_text().split("listening at ")[1].split()[0]
            until(lambda: _ready(base))
            answers = sent(base)
        finally:
            running.send_signal(signal.SIGTERM)
    assert {200, 202, 400, 401, 403, 404, 405, 422} <= {each.status_code for each in answers}
    told = log.read_text()
    assert "POST /v1/search 200" in told
    assert "GET /v1/models 401" in told
    assert SAID.lower() not in told.lower()
    assert not [name for name, key in KEYS.items() if key in told]
    kept = b"".join(each.read_bytes() for each in (tmp_path / "index-jobs").iterdir())
    assert b"is sold in May" not in kept  # though names of what failed stand in a job's report


def _ready(base: str) -> bool:
    try:
        with client(base) as asking:
            return asking.get("/readyz").is_success
    except httpx.TransportError:
        return False
