"""Certificates: unknown ones are refused, those of the admin's own authority are accepted, for calls and for tokens."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.core.errors import Unavailable
from hub.core.http import Call, OAuth2, Token
from hub.transport import Http

Connect = Callable[..., Http]


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"access_token": "fresh-access", "expires_in": 1800}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Listener(HTTPServer):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: object) -> None:
        """A client that refuses our certificate is what the tests want."""

    def get_request(self) -> tuple[socket.socket, Any]:
        taken: tuple[socket.socket, Any] = super().get_request()
        taken[0].settimeout(5)
        return taken


def make_certificate(path: Path, lives: timedelta) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + lives)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture(params=[30])
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Address and certificate of a server."""
    path = tmp_path / "shop.pem"
    make_certificate(path, timedelta(days=request.param))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with Listener(context) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"https://127.0.0.1:{listener.server_address[1]}", str(path)
        listener.shutdown()
        thread.join()


def test_an_unknown_authority_is_refused(connect: Connect, shop: tuple[str, str]) -> None:
    with pytest.raises(Unavailable, match=r"certificate of 127\.0\.0\.1 cannot be trusted.*self.signed.*HUB_CA_BUNDLE"):
        connect(shop[0]).call(Call("GET", "/"))


def test_a_listed_authority_is_trusted(connect: Connect, shop: tuple[str, str]) -> None:
    assert connect(shop[0], ca_bundle=shop[1]).call(Call("GET", "/")).status == 200


@pytest.mark.parametrize("shop", [-1], indirect=True)
def test_an_expired_certificate_is_refused(connect: Connect, shop: tuple[str, str]) -> None:
    with pytest.raises(Unavailable, match=r"cannot be trusted.*expired"):
        connect(shop[0], ca_bundle=shop[1]).call(Call("GET", "/"))


def test_another_name_is_refused(connect: Connect, shop: tuple[str, str]) -> None:
    url, bundle = shop
    with pytest.raises(Unavailable, match=r"certificate of localhost cannot be trusted"):
        connect(url.replace("127.0.0.1", "localhost"), ca_bundle=bundle, private_hosts=frozenset({"localhost"})).call(
            Call("GET", "/")
        )


def test_the_token_address_is_held_to_the_same(connect: Connect, shop: tuple[str, str], tokens: Any) -> None:
    url, bundle = shop
    auth = OAuth2("/token", "client", "client-secret")
    stale = Token("", "refresh-1", None, 1)
    with pytest.raises(Unavailable, match="cannot be trusted"):
        connect(url, auth, tokens=tokens(stale)).call(Call("GET", "/"))
    store = tokens(stale)
    assert connect(url, auth, tokens=store, ca_bundle=bundle).call(Call("GET", "/")).status == 200
    assert store.load().access == "fresh-access"
