"""Buckets over real HTTP: moto's server on loopback, which stands in for S3.

What depends on the server also runs against a real one where RAG_TEST_S3_ENDPOINT names it (with
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY): the tests make buckets there and remove them.
"""

from __future__ import annotations

import base64
import gzip
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.header import Header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

from connectors.base import Access, SourceRef
from connectors.parsing.formats import FORMATS
from connectors.registry import open_source
from connectors.s3 import S3Connector, S3Options, open_s3
from rag.errors import DocumentError, ExtraMissing, SourceError, UsageError

REAL = os.environ.get("RAG_TEST_S3_ENDPOINT", "")
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
GIVEN = {name: os.environ[name] for name in CREDENTIALS if name in os.environ}

Connect = Callable[..., S3Connector]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Nobody's own profile, and no asking of a cloud's machine for credentials."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret/+value")


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(
    scope="module",
    params=[
        "stand-in",
        pytest.param(
            "real",
            marks=pytest.mark.skipif(
                not REAL, reason="no real S3: set RAG_TEST_S3_ENDPOINT and AWS_*"
            ),
        ),
    ],
)
def client(request: pytest.FixtureRequest) -> Any:
    """What the tests fill buckets with, at the stand-in or at a real server."""
    real = request.param == "real"
    keys = GIVEN if real else {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return boto3.session.Session(region_name="us-east-1").client(
        "s3",
        endpoint_url=REAL if real else request.getfixturevalue("stand_in"),
        config=Config(retries={"total_max_attempts": 2}),
        **{name.lower(): value for name, value in keys.items()},
    )


@pytest.fixture
def endpoint(client: Any, stand_in: str, monkeypatch: pytest.MonkeyPatch) -> str:
    if (url := str(client.meta.endpoint_url)) != stand_in:
        for name, value in GIVEN.items():
            monkeypatch.setenv(name, value)
    return url


@pytest.fixture
def bucket(client: Any) -> Iterator[str]:
    name = f"spanrag-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    yield name
    pages = list(client.get_paginator("list_object_versions").paginate(Bucket=name))
    for page in pages:
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        each = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        if each:
            client.delete_objects(Bucket=name, Delete={"Objects": each, "Quiet": True})
    client.delete_bucket(Bucket=name)


@pytest.fixture
def put(client: Any, bucket: str) -> Callable[..., None]:
    def store(key: str, body: bytes | str = "text", **how: Any) -> None:
        data = body.encode() if isinstance(body, str) else body
        client.put_object(Bucket=bucket, Key=key, Body=data, **how)

    return store


@pytest.fixture
def connect(endpoint: str, bucket: str) -> Connect:
    def make(prefix: str = "", *, access: Access | None = None, **options: Any) -> S3Connector:
        given = S3Options(endpoint=endpoint, region="us-east-1", **options)
        return S3Connector(f"//{bucket}/{prefix}", given, access or Access(), attempts=1)

    return make


def names(connector: S3Connector) -> list[str]:
    return [ref.name for ref in connector.list()]


def only(connector: S3Connector) -> SourceRef:
    (ref,) = connector.list()
    return ref


def test_objects_are_listed_and_read(endpoint: str, bucket: str, put: Callable[..., None]) -> None:
    put("docs/a.md", "# Alpha\n\nOne.\n\n## Beta\n\nTwo.\n")
    put("docs/sub/b.html", "<title>Bee</title><p>Buzz.</p>")
    put("docs/sub/c.TXT", "plain")
    for passed in ("docs/", "docs/.git/x.md", "docs/.h.md", "docs/rows.jsonl", "docs/x", "e.md"):
        put(passed)
    for spelling in (f"s3://{bucket}/docs", f"S3:{bucket}/docs/"):
        connector = open_source(f"{spelling}#endpoint={endpoint}&region=us-east-1")
        refs = list(connector.list())
        assert [ref.name for ref in refs] == ["a.md", "sub/b.html", "sub/c.TXT"]
        assert refs[0].key == f"{bucket}/docs/a.md"
        assert refs[0].source == f"s3://{bucket}/docs/a.md"
        assert all(ref.problem is None for ref in refs)
        assert refs == list(connector.list())
        documents = [connector.fetch(ref) for ref in refs]
        assert [each.title for each in documents] == ["Alpha", "Bee", ""]
        first = documents[0]
        assert first.sections[1].title == "Beta"
        assert first.sections[1].span.text_in(first.text).startswith("## Beta")
        for ref, document in zip(refs, documents, strict=True):
            told = (document.key, document.source, document.name, document.fingerprint)
            assert told == (ref.key, ref.source, ref.name, ref.fingerprint)
            assert document.namespace == connector.namespace
            assert connector.covers(ref.key)


def test_overlapping_prefixes_list_the_same_document(
    connect: Connect, put: Callable[..., None]
) -> None:
    put("docs/a/x.md")
    wide, narrow, alone = connect(), connect("docs/a/"), connect("docs/a/x.md")
    found = {(c.namespace, only(c).key) for c in (wide, narrow, alone)}
    assert len(found) == 1


def test_a_prefix_is_a_folder_or_an_object(connect: Connect, put: Callable[..., None]) -> None:
    for key in ("docs/a.md", "docs2/b.md", "docs.md", "docs.md/c.md"):
        put(key)
    assert names(connect("docs")) == ["a.md"]
    assert names(connect("docs/")) == ["a.md"]
    assert names(connect("docs.md")) == ["docs.md", "c.md"]
    assert names(connect("docs.md/")) == ["c.md"]
    assert names(connect("")) == ["docs.md", "docs.md/c.md", "docs/a.md", "docs2/b.md"]


def test_what_is_covered(connect: Connect, bucket: str) -> None:
    folder = connect("docs", ignore=("drafts/",))
    for key, covered in {
        "docs/a.md": True,
        "docs/gone/x.md": True,
        "docs/drafts/x.md": True,
        "docs2/a.md": False,
        "docs.md": False,
        "a.md": False,
        "docs/.git/a.md": False,
        "docs/a.bin": False,
        "docs": False,
    }.items():
        assert folder.covers(f"{bucket}/{key}") is covered, key
    assert not folder.covers(f"{bucket}2/docs/a.md")
    assert connect("docs/.git").covers(f"{bucket}/docs/.git/a.md")
    assert connect("docs/a.md").covers(f"{bucket}/docs/a.md")
    assert not connect("docs/a.md").covers(f"{bucket}/docs/a.mdx")
    assert connect().covers(f"{bucket}/a.md")


def test_more_than_a_page_is_listed(
    endpoint: str, stand_in: str, connect: Connect, put: Callable[..., None], bucket: str
) -> None:
    expected = [f"n/{number:04}.txt" for number in range(1_003)]
    if endpoint == stand_in:  # past its HTTP, which takes ten times as long
        backend = get_backend("s3")["123456789012"]["aws"]
        for name in expected:
            backend.put_object(bucket, name, b"text")
    else:
        for name in expected:
            put(name)
    assert names(connect()) == expected
    assert names(connect("n")) == [name.removeprefix("n/") for name in expected]


KEYS = [
    "a b.md",
    "a+b.md",
    "a%20b.md",
    "100%.md",
    "ü/\U0001f600.md",
    "a#b.md",
    "a&b=c?d.md",
    "a//b.md",
    "'\"<>.md",
    "q*[x].md",
    "~(1).md",
    "tab\there.md",
    "\\back.md",
]


def test_keys_of_all_kinds(connect: Connect, put: Callable[..., None], bucket: str) -> None:
    for key in KEYS:
        put(key, f"This is {key}.")
    connector = connect()
    refs = {ref.name: ref for ref in connector.list()}
    assert set(refs) == set(KEYS)
    for key in KEYS:
        assert refs[key].source == f"s3://{bucket}/{key}"
        assert connector.fetch(refs[key]).text == f"This is {key}."
        alone = connect(key)
        assert alone.fetch(only(alone)).text == f"This is {key}."


def test_a_change_changes_the_fingerprint(connect: Connect, put: Callable[..., None]) -> None:
    put("a.md", "one")
    put("b.md", "same")
    connector = connect()
    before = {ref.name: ref for ref in connector.list()}
    put("a.md", "two")
    after = {ref.name: ref for ref in connector.list()}
    assert after["b.md"] == before["b.md"]
    assert after["a.md"].fingerprint != before["a.md"].fingerprint
    assert connector.fetch(after["a.md"]).text == "two"
    with pytest.raises(DocumentError, match=r"^changed since it was listed; run this again$"):
        connector.fetch(before["a.md"])


def test_the_parser_is_part_of_the_fingerprint(
    connect: Connect, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.md")
    connector = connect()
    before = only(connector).fingerprint
    monkeypatch.setitem(FORMATS, ".md", replace(FORMATS[".md"], version="markdown-next"))  # type: ignore[arg-type]
    assert only(connector).fingerprint != before


def test_what_is_deleted_is_gone(
    connect: Connect, put: Callable[..., None], client: Any, bucket: str
) -> None:
    put("d/a.md")
    put("d/b.md")
    connector = connect("d")
    gone = next(ref for ref in connector.list() if ref.name == "b.md")
    client.delete_object(Bucket=bucket, Key="d/b.md")
    assert names(connector) == ["a.md"]
    with pytest.raises(DocumentError, match=r"^gone since it was listed; run this again$"):
        connector.fetch(gone)
    client.delete_object(Bucket=bucket, Key="d/a.md")
    with pytest.raises(UsageError, match=rf"^nothing at s3://{bucket}/d; check the prefix$"):
        connector.list()
    assert names(connect()) == []


def test_of_a_versioned_bucket_the_latest_is_read(
    connect: Connect, put: Callable[..., None], client: Any, bucket: str
) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for text in ("one", "two", "three"):
        put("a.md", text)
    put("b.md")
    client.delete_object(Bucket=bucket, Key="b.md")
    connector = connect()
    assert connector.fetch(only(connector)).text == "three"


def test_an_object_of_parts_is_read(connect: Connect, client: Any, bucket: str) -> None:
    first = "line of text\n" * 420_000  # over 5 MiB: the least that a part may be
    upload = client.create_multipart_upload(Bucket=bucket, Key="big.txt")["UploadId"]
    where = {"Bucket": bucket, "Key": "big.txt", "UploadId": upload}
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**where, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate((first.encode(), b"the end"), 1)
    ]
    client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    connector = connect()
    ref = only(connector)
    assert "-2 " in ref.fingerprint
    assert connector.fetch(ref).text == first + "the end"


def test_ignored_objects_vanish(connect: Connect, put: Callable[..., None], bucket: str) -> None:
    for key in ("docs/a.md", "docs/drafts/b.md", "docs/c.txt"):
        put(key)
    connector = connect("docs", ignore=("drafts/", "*.txt"))
    assert names(connector) == ["a.md"]
    assert connector.covers(f"{bucket}/docs/drafts/b.md")


def test_what_is_known_of_an_object_becomes_meta(
    connect: Connect, put: Callable[..., None]
) -> None:
    cafe = Header("Café", "utf-8").encode()
    long = "x" * 1_500
    put("a.md", Metadata={"author": "Ana", "place": cafe, "broken": "=?utf-8?b?x?=", "long": long})
    connector = connect()
    meta = connector.fetch(only(connector)).meta
    assert (meta["author"], meta["place"], meta["broken"]) == ("Ana", "Café", "=?utf-8?b?x?=")
    assert meta["last_modified"].endswith("+00:00")
    assert "long" not in meta


def test_packed_objects_are_unpacked(connect: Connect, put: Callable[..., None]) -> None:
    put("a.md", gzip.compress(b"# Packed\n"), ContentEncoding="gzip")
    put("b.md", gzip.compress(b"one ") + gzip.compress(b"two"), ContentEncoding="x-gzip")
    put("c.md", "not packed", ContentEncoding="gzip")
    put("d.md", "not packed", ContentEncoding="utf-8")
    connector = connect()
    read = [connector.fetch(ref).text for ref in connector.list()]
    assert read == ["# Packed\n", "one two", "not packed", "not packed"]


def test_bombs_and_other_bad_objects_are_refused(
    connect: Connect, put: Callable[..., None]
) -> None:
    put("bomb.md", gzip.compress(b"x" * 2_000_000), ContentEncoding="gzip")
    put("brotli.md", b"\x0b", ContentEncoding="br")
    put("cut.md", gzip.compress(b"x" * 5_000)[:-9], ContentEncoding="gzip")
    put("empty.md", "")
    put("large.md", "x" * 100_001)
    put("rubbish.pdf", b"\x00\x01")
    connector = connect(access=Access(most_bytes=100_000))
    told = {}
    for ref in connector.list():
        with pytest.raises(DocumentError) as raised:
            connector.fetch(ref)
        told[ref.name] = str(raised.value)
    assert told["bomb.md"].startswith("larger than 100,000 bytes; split it, or set sources.most_")
    assert told["large.md"] == told["bomb.md"]
    assert told["brotli.md"] == "packed as br; store it as it is, or gzipped"
    assert told["cut.md"].startswith("broken compression: ")
    assert told["empty.md"] == "empty file"
    assert told["rubbish.pdf"].startswith("damaged PDF")
    assert len(told) == 6


def test_archived_objects_are_not_asked_for(
    stand_in: str,
    connect: Connect,
    put: Callable[..., None],
    client: Any,
    bucket: str,
    endpoint: str,
) -> None:
    if endpoint != stand_in:
        pytest.skip("what is archived there takes hours to restore")
    put("cold.md", StorageClass="DEEP_ARCHIVE")
    put("warm.md", StorageClass="GLACIER_IR")
    connector = connect()
    cold, warm = connector.list()
    assert str(cold.problem) == "archived in DEEP_ARCHIVE; restore it, or add it to ignore"
    assert warm.problem is None
    with pytest.raises(DocumentError, match="archived in DEEP_ARCHIVE"):
        connector.fetch(cold)
    with pytest.raises(DocumentError, match=r"^archived; restore it"):
        connector.fetch(replace(cold, problem=None))
    client.restore_object(Bucket=bucket, Key="cold.md", RestoreRequest={"Days": 1})
    assert connector.fetch(replace(cold, problem=None)).text == "text"


def test_several_threads_may_fetch(connect: Connect, put: Callable[..., None]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    for number in range(40):
        put(f"{number:02}.md", f"number {number}")
    connector = connect()
    with ThreadPoolExecutor(8) as pool:
        texts = [document.text for document in pool.map(connector.fetch, connector.list())]
    assert texts == [f"number {number}" for number in range(40)]


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("no-such-bucket-of-ours", "no such bucket; check its name"),
        ("UPPER_case!", "no name for a bucket; write s3://bucket/prefix"),
    ],
)
def test_a_bucket_that_is_none_is_the_users_to_mend(endpoint: str, place: str, told: str) -> None:
    connector = S3Connector(
        place, S3Options(endpoint=endpoint, region="us-east-1"), Access(), attempts=1
    )
    with pytest.raises(UsageError, match=rf"^s3://{place}/: {told}"):
        list(connector.list())


def test_one_object_of_an_unknown_format_is_refused(
    connect: Connect, put: Callable[..., None]
) -> None:
    put("data.bin")
    put("plain")
    with pytest.raises(UsageError, match=r"data\.bin: unknown format \.bin; known are \.txt"):
        connect("data.bin").list()
    with pytest.raises(UsageError, match=r"unknown format \(no suffix\)"):
        connect("plain").list()


# What follows needs no bucket: sources that are wrong, and servers that are.


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("s3:", "no bucket in an s3: source; write s3://bucket/prefix"),
        ("s3:///docs", "no bucket in an s3: source; write s3://bucket/prefix"),
        ("s3:b#endpoint=minio.local:9000", "no web address: 'minio.local:9000'"),
        ("s3:b#endpoint=ftp://x", "no web address"),
        ("s3:b#endpoint=https://me:hunter2@x", "the endpoint of an s3: source holds a password"),
        ("s3:b#profile=nobody", r"s3: The config profile \(nobody\) could not be found"),
        ("s3:b#region=no/where", "s3: .*region"),
        ("s3:b#anonymous=perhaps", "option anonymous of s3: .*boolean"),
        ("s3:b#acces_key=x", "unknown option 'acces_key' of s3: sources; there are endpoint,"),
        ("s3:b#ignore=!", "option ignore of s3: "),
    ],
)
def test_a_wrong_source_is_refused(source: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}") as raised:
        open_source(source)
    assert "\n" not in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(ExtraMissing, match=r"boto3 is not installed.*spanrag\[s3\]"):
        open_s3("bucket", {}, Access())


def test_the_namespace_is_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def space(options: str = "") -> str:
        return open_source(f"s3:bucket{options}").namespace

    assert space() == space("#region=eu-west-1") == "s3:aws"
    assert space("#endpoint=https://s3.eu-west-1.amazonaws.com") == "s3:aws"
    assert space("#endpoint=https://amazonaws.com.evil.org") == "s3:amazonaws.com.evil.org"
    assert space("#endpoint=http://10.0.0.5:9000") == "s3:10.0.0.5:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://minio.local")
    assert space() == "s3:minio.local"


class Server:
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status: int, body: str = "", headers: dict[str, str] | None = None) -> None:
        asked = self.asked = list[tuple[str, Any]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers))
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_HEAD = do_GET  # noqa: N815  as http.server wants it

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(status: int, body: str = "", headers: dict[str, str] | None = None) -> Server:
        servers.append(Server(status, body, headers))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def at(url: str, place: str = "bucket", **options: Any) -> S3Connector:
    given = S3Options(endpoint=url, region="us-east-1", **options)
    return S3Connector(place, given, Access(timeout=2), attempts=1)


def error(code: str, message: str = "Said the server.") -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "AccessDenied", "access denied; it takes s3:ListBucket and s3:GetObject"),
        (403, "SomethingNew", "access denied; it takes"),
        (403, "InvalidAccessKeyId", "the access key is not known there; check AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "the secret key is not the access key's; check"),
        (400, "ExpiredToken", "the credentials have expired; sign in again"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong; set it"),
        (301, "PermanentRedirect", "the bucket is in another region, and 127.0.0.1:\\d+ does not"),
        (307, "TemporaryRedirect", "the bucket is in another region, and 127.0.0.1:\\d+ does not"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region; name its region"),
        (404, "NoSuchBucket", "no such bucket; check its name"),
    ],
)
def test_what_the_user_can_mend_is_a_usage_error(
    serve: Callable[..., Server], status: int, code: str, told: str
) -> None:
    connector = at(serve(status, error(code)).url, "bucket/docs/")
    with pytest.raises(UsageError, match=rf"^s3://bucket/docs/: {told}") as raised:
        list(connector.list())
    assert "s3cret" not in str(raised.value)
    with pytest.raises(DocumentError, match=told):
        connector.fetch(SourceRef("bucket/docs/a.md", "s3://bucket/docs/a.md", "a.md", "e 1 d v"))


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (503, error("SlowDown", "Please\n" + "slow " * 200), "SlowDown: Please slow"),
        (500, "", "500: "),
        (200, "<html><p>Sign in to the network<br></html>", "500: Internal Server Error"),
        (200, "<html><p>Sign in to the network</p></html>", "127.0.0.1:.* does not answer as S3"),
        (200, "", "127.0.0.1:.* does not answer as S3 does; check the endpoint"),
        (
            200,
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>a</NextMarker>"
            "<Contents><Key>a.md</Key></Contents></ListBucketResult>",
            "127.0.0.1:.* does not answer as S3 does; .*ListObjectsV2",
        ),
    ],
)
def test_a_server_that_cannot_list_retires_nothing(
    serve: Callable[..., Server], status: int, body: str, told: str
) -> None:
    with pytest.raises(SourceError, match=rf"^s3://bucket/: {told}") as raised:
        list(at(serve(status, body).url).list())
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_listing_that_fails_on_its_second_page_raises(
    serve: Callable[..., Server],
) -> None:
    # The same page, with the same token, for ever.
    page = (
        "<ListBucketResult><IsTruncated>true</IsTruncated>"
        "<NextContinuationToken>t</NextContinuationToken>"
        "<Contents><Key>a.md</Key></Contents></ListBucketResult>"
    )
    server = serve(200, page)
    with pytest.raises(SourceError, match="same next token"):
        list(at(server.url).list())
    assert len(server.asked) == 2


def test_a_listing_without_end_is_given_up(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (
        "<ListBucketResult><IsTruncated>false</IsTruncated>"
        "<Contents><Key>a.md</Key></Contents><Contents><Key>b.md</Key></Contents>"
        "</ListBucketResult>"
    )
    connector = at(serve(200, page).url)
    assert names(connector) == ["a.md", "b.md"]
    monkeypatch.setattr("connectors.s3.connector._MOST_KEYS", 1)
    with pytest.raises(SourceError, match=r"over 1 objects; name a longer prefix"):
        connector.list()


def test_a_server_that_is_down_is_a_source_error() -> None:
    server = Server(200)
    server.close()
    with pytest.raises(SourceError, match=r"no answer from 127\.0\.0\.1:\d+: Could not connect"):
        list(at(server.url).list())


def test_what_fails_in_passing_is_asked_again(serve: Callable[..., Server]) -> None:
    server = serve(500, error("InternalError"))
    given = S3Options(endpoint=server.url, region="us-east-1")
    with pytest.raises(SourceError, match="InternalError"):
        list(S3Connector("bucket", given, Access(), attempts=2).list())
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_leads_to_another_host(serve: Callable[..., Server], status: int) -> None:
    inside = serve(200, "secret")
    where = {"Location": f"{inside.url}/bucket", "x-amz-bucket-region": "eu-west-1"}
    endpoint = f"<Endpoint>{inside.url.removeprefix('http://')}</Endpoint></Error>"
    body = error("TemporaryRedirect").replace("</Error>", endpoint)
    server = serve(status, body, where)
    with pytest.raises((UsageError, SourceError)):
        list(at(server.url).list())
    with pytest.raises(DocumentError):
        at(server.url).fetch(SourceRef("bucket/a.md", "s3://bucket/a.md", "a.md", "e 1 d v"))
    assert server.asked
    assert inside.asked == []


def test_without_credentials_it_says_where_they_go(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    server = serve(200, page)
    with pytest.raises(UsageError, match=r"no credentials: .*; set AWS_ACCESS_KEY_ID.*anonymous"):
        list(at(server.url).list())
    assert server.asked == []
    assert names(at(server.url, anonymous=True)) == []
    assert "Authorization" not in server.asked[0][1]


def test_credentials_come_from_a_profile(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.environ["AWS_SHARED_CREDENTIALS_FILE"]
    with open(path, "w", encoding="utf-8") as file:
        file.write("[work]\naws_access_key_id = worker\naws_secret_access_key = other\n")
    page = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    server = serve(200, page)
    connector = at(server.url, profile="work")
    assert names(connector) == []
    assert "Credential=worker/" in server.asked[0][1]["Authorization"]
    assert "spanrag/" in server.asked[0][1]["User-Agent"]


def test_a_body_that_is_cut_or_damaged_is_no_document(serve: Callable[..., Server]) -> None:
    ref = SourceRef("bucket/a.md", "s3://bucket/a.md", "a.md", "e 1 d v")
    wrong = {"x-amz-checksum-crc32": base64.b64encode(b"0000").decode()}
    with pytest.raises(DocumentError, match=r"no answer from .*checksum"):
        at(serve(200, "text", wrong).url).fetch(ref)


def test_nothing_secret_is_shown(serve: Callable[..., Server]) -> None:
    connector = at(serve(403, error("AccessDenied")).url)
    with pytest.raises(UsageError) as raised:
        list(connector.list())
    shown = repr(connector) + str(raised.value) + connector.namespace
    assert "s3cret" not in shown
    assert "someone" not in shown


def test_an_object_that_does_not_come_to_its_end_is_given_up(
    serve: Callable[..., Server],
) -> None:
    given = S3Options(endpoint=serve(200, "text").url, region="us-east-1")
    connector = S3Connector("bucket", given, Access(deadline=0), attempts=1)
    with pytest.raises(DocumentError, match="not read in 0 s"):
        connector.fetch(SourceRef("bucket/a.md", "s3://bucket/a.md", "a.md", "e 1 d v"))


def test_a_restored_object_may_be_read(serve: Callable[..., Server]) -> None:
    kept = "<StorageClass>GLACIER</StorageClass>"
    back = (
        "<RestoreStatus><RestoreExpiryDate>2030-01-01T00:00:00Z</RestoreExpiryDate></RestoreStatus>"
    )
    page = (
        "<ListBucketResult><IsTruncated>false</IsTruncated>"
        f"<Contents><Key>a.md</Key>{kept}</Contents>"
        f"<Contents><Key>b.md</Key>{kept}{back}</Contents></ListBucketResult>"
    )
    server = serve(200, page)
    frozen, restored = at(server.url).list()
    assert frozen.problem is not None
    assert restored.problem is None
    assert server.asked[0][1]["x-amz-optional-object-attributes"] == "RestoreStatus"


def test_a_login_in_a_source_is_not_shown() -> None:
    with pytest.raises(UsageError, match="a login in it") as caught:
        open_source("s3://AKIAX:hush@bucket/prefix")
    assert "hush" not in f"{caught.value} {caught.value.hint}"
