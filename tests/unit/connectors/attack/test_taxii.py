from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.attack import open_taxii
from connectors.base import Access
from connectors.registry import open_source
from rag.errors import SourceError, UsageError


def test_all_pages_of_a_collection(taxii: Any, access: Access, cti_folder: str) -> None:
    connector = open_source(f"taxii:{taxii.url}", access=access)
    assert connector.namespace == f"stix:{taxii.url}"
    refs = list(connector.list())
    assert len(taxii.asked) == 3
    assert taxii.asked[0].endswith("/objects/")
    assert taxii.asked[1:] == [f"{taxii.asked[0]}?next={at}" for at in (5, 10)]
    local = open_source(f"attack:{cti_folder}")
    assert [connector.fetch(ref).text for ref in refs] == [
        local.fetch(ref).text for ref in local.list()
    ]
    (component,) = (ref for ref in refs if ref.name == "File Access")
    assert component.source == f"{taxii.url}#{component.key}"
    assert len(taxii.asked) == 3  # nothing is asked for to fetch
    assert {seen["accept"] for seen in taxii.headers_seen} == {"application/taxii+json;version=2.1"}


def test_a_server_that_pages_by_date(taxii: Any, access: Access) -> None:
    taxii.dated = True
    assert len(list(open_source(f"taxii:{taxii.url}", access=access).list())) == 8
    assert taxii.asked[1].endswith("?added_after=5")


@pytest.mark.parametrize("ending", ["", "/", "/objects", "/objects/", "/objects/?limit=3#top"])
def test_however_the_address_is_written(taxii: Any, access: Access, ending: str) -> None:
    connector = open_source(f"taxii:{taxii.url.rstrip('/')}{ending}", access=access)
    assert len(list(connector.list())) == 8
    assert connector.namespace == f"stix:{taxii.url}"


def test_an_object_that_was_deleted_is_no_longer_listed(taxii: Any, access: Access) -> None:
    connector = open_source(f"taxii:{taxii.url}#types=malware", access=access)
    assert [ref.name for ref in connector.list()] == ["S1043"]
    taxii.objects = [each for each in taxii.objects if each["type"] != "malware"]
    assert list(connector.list()) == []
    assert connector.covers("malware--1")


def test_an_empty_collection(taxii: Any, access: Access) -> None:
    taxii.objects = []
    assert list(open_source(f"taxii:{taxii.url}", access=access).list()) == []


@pytest.mark.parametrize(
    ("variable", "sent"),
    [("joe:s3cret pass", "joe:s3cret pass"), ("Bearer s3cret", "Bearer s3cret")],
)
def test_a_login_from_the_environment(
    taxii: Any, access: Access, monkeypatch: pytest.MonkeyPatch, variable: str, sent: str
) -> None:
    taxii.login = sent
    monkeypatch.setenv("TAXII_LOGIN_ACME", variable)
    connector = open_source(f"taxii:{taxii.url}#login=acme", access=access)
    refs = list(connector.list())
    assert len(refs) == 8
    assert "s3cret" not in f"{refs}{connector.namespace}{connector.fetch(refs[0])}"
    monkeypatch.setenv("TAXII_LOGIN_ACME", "joe:other")
    with pytest.raises(UsageError, match="HTTP 401") as caught:
        list(open_source(f"taxii:{taxii.url}#login=acme", access=access).list())
    assert "other" not in str(caught.value)


def test_a_login_in_the_address_is_not_shown(taxii: Any, access: Access) -> None:
    taxii.login = "joe:s3cret"
    connector = open_source(f"taxii:{taxii.url.replace('//', '//joe:s3cret@')}", access=access)
    refs = list(connector.list())
    assert len(refs) == 8
    assert "s3cret" not in f"{refs}{connector.namespace}"


def test_a_login_is_sent_to_no_other_host(
    taxii: Any, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXII_LOGIN_ACME", "Bearer s3cret")
    taxii.moved_to = f"http://localhost:{taxii.server_port}/elsewhere/"
    with pytest.raises((SourceError, UsageError)) as caught:
        list(open_source(f"taxii:{taxii.url}#login=acme", access=access).list())
    first, *others = taxii.headers_seen
    assert first["authorization"] == "Bearer s3cret"
    assert others
    assert not any("authorization" in seen for seen in others)
    assert "s3cret" not in str(caught.value)


def test_a_login_is_not_sent_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXII_LOGIN_ACME", "Bearer s3cret")
    with pytest.raises(UsageError, match="unencrypted"):
        open_source("taxii:http://taxii.example/c/#login=acme")
    open_source("taxii:https://taxii.example/c/#login=acme")


@pytest.mark.parametrize("value", ["", "  ", "a\nb: c", "käse:brot"])
def test_a_login_that_is_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TAXII_LOGIN_ACME", value)
    with pytest.raises(UsageError, match="TAXII_LOGIN_ACME holds no login"):
        open_source("taxii:https://taxii.example/c/#login=acme")


def test_a_secret_in_place_of_a_name_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="login of taxii: is no name") as caught:
        open_source("taxii:https://taxii.example/c/#login=joe:s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, UsageError), (404, UsageError), (406, UsageError), (418, UsageError)],
)
def test_a_server_that_refuses(
    taxii: Any, access: Access, status: int, error: type[Exception]
) -> None:
    taxii.status = status
    taxii.answers = [b""]
    with pytest.raises(error, match=f"HTTP {status}"):
        list(open_source(f"taxii:{taxii.url}", access=access).list())


def said(**envelope: Any) -> bytes:
    return json.dumps(envelope).encode()


THING = {"type": "tool", "id": "tool--1", "name": "T"}


@pytest.mark.parametrize(
    "answers",
    [
        [said(more=True, objects=[THING])],  # and not how to go on
        [said(more=True, next="1", objects=[THING])],  # the same page again and again
        [said(more=True, next="1", objects=[THING]), said(more=True, next="2", objects=[THING]),
         said(more=True, next="1", objects=[THING])],  # in a circle
        [said(more=True)],
        [b"<html>"],
        [said(more=True, next="1", objects=[THING]), b"{"],
    ],
)  # fmt: skip
def test_a_collection_that_cannot_be_read_to_its_end(
    taxii: Any, access: Access, answers: list[bytes]
) -> None:
    taxii.answers = answers
    with pytest.raises(SourceError):
        list(open_source(f"taxii:{taxii.url}", access=access).list())
    assert len(taxii.asked) < 5


def test_all_pages_together_are_bounded(taxii: Any) -> None:
    small = Access(allow_private=("127.0.0.1",), most_bytes=12_000)
    with pytest.raises(SourceError, match="larger than"):
        list(open_taxii(taxii.url, {}, small).list())
    assert len(taxii.asked) > 1
