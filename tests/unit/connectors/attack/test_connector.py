from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from connectors.attack import open_attack
from connectors.base import Access, Connector, SourceRef
from connectors.registry import open_source, schemes
from rag.errors import DocumentError, SourceError, UsageError

Thing = dict[str, Any]
Make = Callable[..., Thing]
Write = Callable[..., str]

SPOON = "attack-pattern--8d7bd4f5-3a89-4453-9c82-2c8894d5655e"  # T1552.006


def names(connector: Connector) -> list[str]:
    return [ref.name for ref in connector.list()]


def by_name(connector: Connector) -> dict[str, SourceRef]:
    return {ref.name: ref for ref in connector.list()}


def test_a_folder_of_one_object_a_bundle(cti_folder: str) -> None:
    connector = open_source(f"attack:{cti_folder}")
    assert connector.namespace == f"stix:{cti_folder}"
    refs = list(connector.list())
    assert [ref.name for ref in refs] == [
        "T1552", "T1552.006", "C0007", "M1027", "G0090", "S1043", "File Access", "TA0006",
    ]  # fmt: skip
    assert refs == list(connector.list())
    document = connector.fetch(refs[1])
    assert (document.namespace, document.key, document.name, document.fingerprint) == (
        connector.namespace, SPOON, "T1552.006", refs[1].fingerprint)  # fmt: skip
    assert document.source == refs[1].source == "https://attack.mitre.org/techniques/T1552/006"
    assert document.title == "T1552.006 Group Policy Preferences"
    component = refs[6]
    assert component.source == (
        f"{cti_folder}/x-mitre-data-component/{component.key}.json#{component.key}"
    )


def test_one_bundle_tells_the_same(cti_folder: str, recorded: list[Thing], write: Write) -> None:
    folder, file = open_source(f"attack:{cti_folder}"), open_source(f"attack:{write(*recorded)}")
    texts = [[each.fetch(ref).text for ref in each.list()] for each in (folder, file)]
    assert texts[0] == texts[1]
    assert folder.namespace != file.namespace


def test_only_some_types(recorded: list[Thing], write: Write) -> None:
    connector = open_source(f"attack:{write(*recorded)}#types=malware,campaign")
    assert names(connector) == ["C0007", "S1043"]
    assert "ccf32 (S1043)" in connector.fetch(by_name(connector)["C0007"]).text
    assert connector.covers("malware--1")
    assert not connector.covers(SPOON)
    assert open_source(f"attack:{write(*recorded)}").covers(SPOON)


def test_what_is_revoked_or_deprecated(sdo: Make, write: Write) -> None:
    path = write(sdo("tool", 1, name="A"), sdo("tool", 2, name="B", revoked=True),
                 sdo("tool", 3, name="C", x_mitre_deprecated=True))  # fmt: skip
    assert names(open_source(f"attack:{path}")) == ["A"]
    assert names(open_source(f"attack:{path}#deprecated=skip")) == ["A"]
    assert names(open_source(f"attack:{path}#deprecated=keep")) == ["A", "B", "C"]
    assert open_source(f"attack:{path}").covers(sdo("tool", 2)["id"])


def test_what_is_a_document(sdo: Make, relate: Make, write: Write) -> None:
    malware, address = sdo("malware", name="M"), sdo("ipv4-addr", name=None, value="192.0.2.1")
    things = [malware, address, sdo("identity", name="Nobody"), sdo("x-mitre-matrix", name="X"),
              sdo("identity", 2, name="Told", description="of"), sdo("marking-definition"),
              sdo("x-acme-thing", name="Own", description="type"), sdo("location", name="Here"),
              sdo("x-mitre-collection", name="All", description="of it")]  # fmt: skip
    assert names(open_source(f"attack:{write(*things)}")) == ["Told", "M", "Own"]
    linked = relate("beacons-to", malware, address)
    assert "192.0.2.1" in names(open_source(f"attack:{write(*things, linked)}"))


def test_the_latest_version_counts(sdo: Make, write: Write, tmp_path: Path) -> None:
    times = ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00.5Z", "2024-01-02T00:00:00.123Z", "2023"]
    for n, modified in enumerate(times):
        write(sdo("tool", name=f"v{n}", modified=modified), name=f"many/{n}.json")
    folder = f"attack:{tmp_path}/many"
    assert names(open_source(folder)) == ["v1"]
    write(sdo("tool", name="last", modified="2024-01-02T00:00:00.500000Z"), name="many/9.json")
    assert names(open_source(folder)) == ["last"]
    write(sdo("tool", revoked=True, modified="2025-01-01T00:00:00Z"), name="many/0.json")
    assert names(open_source(folder)) == []


def test_fingerprints_change_with_what_is_shown(sdo: Make, relate: Make, write: Write) -> None:
    group, tool, other = sdo("intrusion-set", name="G"), sdo("tool", name="T"), sdo("tool", 2)
    uses = relate("uses", group, tool, description="One.")

    def marks(*things: Thing) -> dict[str, str]:
        refs = open_source(f"attack:{write(*things)}").list()
        return {ref.key.partition("--")[0] + ref.key[-1]: ref.fingerprint for ref in refs}

    def changed(*things: Thing) -> set[str]:
        before, now = marks(group, tool, other, uses), marks(*things)
        return {each for each in before | now if before.get(each) != now.get(each)}

    assert changed(group, tool, other, uses) == set()
    assert changed(uses, other, tool, group) == set()
    said = {**uses, "description": "Two.", "modified": "2025-01-01T00:00:00Z"}
    assert changed(group, tool, other, said) == {"intrusion-set1", "tool1"}
    assert changed(group, {**tool, "name": "T2"}, other, uses) == {"intrusion-set1", "tool1"}
    assert changed(group, tool, {**other, "description": "New."}, uses) == {"tool2"}
    assert changed(group, tool, other) == {"intrusion-set1", "tool1"}
    assert changed(group, tool, other, {**uses, "revoked": True}) == {"intrusion-set1", "tool1"}
    assert changed(group, tool, uses) == {"tool2"}
    # Nothing of this is shown, or said in meta.
    assert changed(group, tool, other, {**uses, "x_mitre_version": "9"}) == set()


def test_what_changes_after_the_listing_gives_no_wrong_text(sdo: Make, write: Write) -> None:
    path = write(sdo("tool", 1, name="A"), sdo("tool", 2, name="B"))
    connector = open_source(f"attack:{path}")
    refs = list(connector.list())
    write(sdo("tool", 1, name="A", description="Now."))
    assert connector.fetch(refs[0]).text == "A\n\nType: tool"  # as it was listed
    for ref in refs:
        with pytest.raises(DocumentError, match="has changed since it was listed"):
            open_source(f"attack:{path}").fetch(ref)
    os.remove(path)
    with pytest.raises(DocumentError, match="no such file"):
        open_source(f"attack:{path}").fetch(refs[0])


def test_many_threads_may_fetch_without_a_listing(cti_folder: str) -> None:
    refs = list(open_source(f"attack:{cti_folder}").list())
    fresh = open_source(f"attack:{cti_folder}")
    with ThreadPoolExecutor(8) as pool:
        found = [*pool.map(fresh.fetch, refs * 5)]
    assert [document.key for document in found] == [ref.key for ref in refs * 5]


def test_a_bad_file_is_one_problem(sdo: Make, write: Write, tmp_path: Path) -> None:
    write(sdo("tool", name="A"), name="all/a.json")
    write(sdo("tool", 2, name="B"), None, 7, {"type": "tool"}, name="all/b.json")
    (tmp_path / "all" / "c.json").write_text("{oops")
    (tmp_path / "all" / "d.json").write_text('{"name": "package"}')
    (tmp_path / "all" / ".hidden.json").write_text("{oops")
    (tmp_path / "all" / "e.txt").write_text("{oops")
    (tmp_path / "all" / "f.json").symlink_to("/etc/hostname")
    refs = list(open_source(f"attack:{tmp_path}/all").list())
    assert [ref.name for ref in refs if ref.problem is None] == ["A", "B"]
    problems = {os.path.basename(ref.source): str(ref.problem) for ref in refs if ref.problem}
    assert problems["b.json"] == "3 of its objects have no type and id"
    assert problems["c.json"].startswith("not JSON: ")
    assert problems["d.json"].startswith("not STIX: ")
    assert problems["f.json"].startswith("symlink leaves the folder")
    assert len(problems) == 4
    # Nobody knows which objects they hold, so nothing may be retired.
    assert {ref.key for ref in refs if ref.problem} == {""}


def test_a_bad_object_is_one_problem(sdo: Make, write: Write) -> None:
    path = write(
        sdo("tool", name="A"),
        sdo("tool", 2, name=None),
        sdo("malware", name="B", description="x" * 600_000),
    )
    connector = open_source(f"attack:{path}")
    refs = list(connector.list())
    assert [(ref.key[:4], str(ref.problem)[:12]) for ref in refs] == [
        ("malw", "description "), ("tool", "says nothing"), ("tool", "None"),
    ]  # fmt: skip
    with pytest.raises(DocumentError, match=r"^says nothing"):
        connector.fetch(refs[1])
    assert connector.fetch(refs[2]).title == "A"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("attack:", "names no place"),
        ("attack:  ", "names no place"),
        ("attack:/nowhere/at/all.json", "no such file or folder"),
        ("attack:/dev/null", "neither a file nor a folder"),
        ("attack:x.json#kinds=malware", "unknown option 'kinds'"),
        ("attack:x.json#types=Malware Family", "no type of STIX"),
        ("attack:x.json#deprecated=maybe", "option deprecated"),
        ("attack:https://", "no web address"),
        ("taxii:", "names no place"),
        ("taxii:ftp://host/", "no web address"),
        ("reports:", "names no place"),
        ("reports:/nowhere", "no such file or folder"),
    ],
)
def test_what_the_user_must_mend(source: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        list(open_source(source).list())


def test_a_folder_without_bundles_or_with_too_much(sdo: Make, write: Write, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"no \.json files"):
        list(open_source(f"attack:{tmp_path}/none").list())
    write(sdo("tool"), name="some/a.json")
    write(sdo("tool", 2), name="some/b.json")
    size = os.path.getsize(tmp_path / "some" / "a.json")
    assert list(open_attack(f"{tmp_path}/some/a.json", {}, Access(most_bytes=size)).list())
    with pytest.raises(UsageError, match="MB of JSON"):
        list(open_attack(f"{tmp_path}/some", {}, Access(most_bytes=size + 1)).list())


def test_schemes_are_there() -> None:
    assert {"attack", "reports", "taxii"} <= set(schemes())


class Web(ThreadingHTTPServer):
    """A server with one page."""

    daemon_threads = True
    body = b""
    status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/cti/bundle.json"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def web():  # type: ignore[no-untyped-def]
    server = Web(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_bundle_on_a_web_server(web: Web, recorded: list[Thing], access: Access) -> None:
    web.body = json.dumps({"type": "bundle", "id": "bundle--1", "objects": recorded}).encode()
    address = web.url.replace("//", "//joe:secret@") + "#types=x-mitre-data-component"
    connector = open_source(f"attack:{address}", access=access)
    (ref,) = connector.list()
    assert connector.namespace == f"stix:{web.url}"
    assert ref.source == f"{web.url}#{ref.key}"
    assert "secret" not in f"{ref}{connector.fetch(ref)}"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b"", UsageError),
        (403, b"", UsageError),
        (200, b"<html>", SourceError),
        (200, b"", SourceError),
        (200, b"[1" + b",1" * 3_000, SourceError),
    ],
)
def test_a_web_server_that_fails(
    web: Web, access: Access, status: int, body: bytes, error: type[Exception]
) -> None:
    web.status, web.body = status, body
    address = web.url.replace("//", "//joe:secret@")
    limited = Access(allow_private=access.allow_private, most_bytes=5_000)
    with pytest.raises(error) as caught:
        list(open_source(f"attack:{address}", access=limited).list())
    assert web.url in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_private_server_is_not_asked(web: Web) -> None:
    with pytest.raises(UsageError, match="not a public address"):
        list(open_source(f"attack:{web.url}").list())


def test_a_vanished_object_is_no_longer_listed(cti_folder: str, tmp_path: Path) -> None:
    folder = tmp_path / "cti"
    shutil.copytree(cti_folder, folder)
    connector = open_source(f"attack:{folder}")
    assert "S1043" in names(connector)
    shutil.rmtree(folder / "malware")
    assert "S1043" not in names(connector)
    assert connector.covers("malware--a394448a-4576-41b8-81cc-9b61abad94ab")
