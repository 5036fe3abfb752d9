from __future__ import annotations

import datetime
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.net.client import Client, RequestFailed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS for wiki.test, which clients trust."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "wiki.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("wiki.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(made.public_bytes(encoding) + secret)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_the_name_is_verified_though_an_address_is_connected_to(
    trusted: ssl.SSLContext,
    serve: Callable[..., Any],
    client: Callable[..., Client],
    resolve: Callable[..., list[str]],
) -> None:
    asked: list[str] = []
    trusted.sni_callback = lambda _, name, __: asked.append(name)
    resolve({"wiki.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]})
    server = serve(lambda _: OK, trusted)
    asking = client()
    assert asking.get(f"https://wiki.test:{server.port}/").content == b"fine"
    for host in ("other.test", "127.0.0.1"):
        with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
            asking.get(f"https://{host}:{server.port}/")
    assert asked[0] == "wiki.test"
    assert len(server.requests) == 1


def test_an_authority_nobody_knows_is_refused(
    trusted: ssl.SSLContext,
    serve: Callable[..., Any],
    client: Callable[..., Client],
    resolve: Callable[..., list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    resolve({"wiki.test": [["127.0.0.1"]]})
    server = serve(lambda _: OK, trusted)
    with pytest.raises(RequestFailed, match="CERTIFICATE_VERIFY_FAILED"):
        client().get(f"https://wiki.test:{server.port}/")
    assert server.requests == []


def test_a_handshake_that_drags_on_ends(
    serve: Callable[..., Any], client: Callable[..., Client], resolve: Callable[..., list[str]]
) -> None:
    # A server that takes the connection and never says a word of TLS.
    resolve({"wiki.test": [["127.0.0.1"]]})
    server = serve(lambda _: b"")
    with pytest.raises(RequestFailed, match=r"no answer in time|no connection"):
        client(deadline=0.3).get(f"https://wiki.test:{server.port}/")
