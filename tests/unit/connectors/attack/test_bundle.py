from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from connectors.attack.bundle import read_bundle
from rag.errors import DocumentError

Make = Callable[..., dict[str, Any]]


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_objects_however_they_are_wrapped(sdo: Make) -> None:
    one, two = sdo("malware", 1), sdo("tool", 2)
    bundle = {"type": "bundle", "id": "bundle--1", "objects": [one, two]}
    for content in (bundle, {"objects": [one, two]}, [one, two]):
        assert [each["id"] for each in read_bundle(as_json(content)).objects] == [
            one["id"],
            two["id"],
        ]
    assert [each["id"] for each in read_bundle(as_json(one)).objects] == [one["id"]]
    assert read_bundle(b"\xef\xbb\xbf" + as_json(one)).objects
    assert read_bundle(b'{"type": "bundle", "id": "bundle--1"}').objects == []
    envelope = read_bundle(as_json({"more": True, "next": "x", "objects": [one]}))
    assert (envelope.more, envelope.next) == (True, "x")
    assert read_bundle(as_json(bundle)).more is False
    assert read_bundle(b'{"more": false, "objects": []}').next == ""


def test_nothing_in_an_envelope() -> None:
    for said in (b"{}", b'{"more": false}'):
        assert read_bundle(said, enveloped=True).objects == []
        assert read_bundle(said, enveloped=True).nameless == 0
    with pytest.raises(DocumentError, match="not STIX"):
        read_bundle(b'{"title": "an error"}', enveloped=True)


def test_what_nobody_reads_is_let_go(sdo: Make) -> None:
    thing = sdo("malware", extensions={"big": {"type": "x", "id": "y"}}, payload_bin="A" * 9)
    (kept,) = read_bundle(as_json(thing)).objects
    assert set(kept) == {"type", "id", "name", "created", "modified"}


def test_a_large_bundle_is_never_held_whole(sdo: Make) -> None:
    things = [sdo("malware", n, payload=[{"n": [n] * 9}] * 50) for n in range(2_000)]
    data = as_json({"type": "bundle", "id": "bundle--1", "objects": things})
    del things
    tracemalloc.start()
    assert len(read_bundle(data).objects) == 2_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The text once, and little else: all of it as objects is more than five times as much.
    assert peak < 2 * len(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"{oops", "not JSON: .* at character 2"),
        (b"[" * 200_000, "not JSON: "),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not JSON: "),
        (b"\x00\x01\x02\x03" * 99, "not text"),
        (b"{}", "not STIX"),
        (b"7", "not STIX"),
        (b'"malware"', "not STIX"),
        (b'{"name": "package", "version": "1"}', "not STIX"),
        (b'{"objects": {"0": {"type": "file"}}}', "not STIX"),
        (b'{"type": "bundle", "objects": 7}', "not STIX"),
        (b'{"type": "malware", "id": 7}', "not STIX"),
        (b'{"type": ["malware"], "id": "malware--1"}', "not STIX"),
        (b'{"type": "malware", "id": "a\\ud800"}', "not STIX"),
        (b'{"type": "malware", "id": "' + b"a" * 201 + b'"}', "not STIX"),
    ],
)
def test_what_is_no_stix_is_said_so(data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=f"^{reason}") as caught:
        read_bundle(data)
    assert "\n" not in str(caught.value)


def test_objects_that_nobody_can_name_are_counted(sdo: Make) -> None:
    mixed = [sdo("malware"), None, 7, {"type": "malware"}, {"id": "malware--2"}, [], "x"]
    bundle = read_bundle(as_json({"type": "bundle", "id": "b", "objects": mixed}))
    assert (len(bundle.objects), bundle.nameless) == (1, 6)
