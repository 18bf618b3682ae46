"""The completion at the end of `up`: asked over TLS that the stack's own authority vouches for, and no other."""

import http.server
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nodestack.automation.completion import ask
from nodestack.errors import ReachError
from nodestack.provisioning import authority, keys

SSH_KEY = keys.generate()
ADDRESS = "127.0.0.1"


def server_certificate(directory: Path) -> Path:
    """Issue a certificate as a node does; return the file that a server reads."""
    key_pem, chain_pem = authority.issuer(SSH_KEY, "id-1", [ADDRESS]).split("-----BEGIN CERT", 1)
    issuer = x509.load_pem_x509_certificate(f"-----BEGIN CERT{chain_pem}".encode())
    issuer_key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))]), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    own_key = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    file = directory / "server.pem"
    text = own_key + made.public_bytes(serialization.Encoding.PEM).decode()
    file.write_text(text + issuer.public_bytes(serialization.Encoding.PEM).decode())
    return file


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.headers["Authorization"] == "Bearer sk-known"
            message = {"reasoning": "Think.", "content": f"I am {asked['model']}."}
            reply = json.dumps({"choices": [{"message": message}], "usage": {"completion_tokens": 5}}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:
            return

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the server goes away; that is what is tested."""

    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(server_certificate(tmp_path))
    with Server((ADDRESS, 0), Handler) as server:
        server.socket = trust.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://{ADDRESS}:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


def test_an_endpoint_of_the_stacks_own_authority_is_asked(endpoint: str) -> None:
    reply = ask(endpoint, authority.certificate(SSH_KEY), "tiny", "sk-known")
    assert (reply.text, reply.tokens) == ("Think.\nI am tiny.", 5)


@pytest.mark.parametrize("trusted", [authority.certificate(keys.generate()), ""])
def test_an_endpoint_that_another_authority_vouches_for_is_not(endpoint: str, trusted: str) -> None:
    with pytest.raises(ReachError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(endpoint, trusted, "tiny", "sk-known")


def test_a_refusal_is_told_without_the_key(endpoint: str) -> None:
    with pytest.raises(ReachError, match="401") as refused:
        ask(endpoint, authority.certificate(SSH_KEY), "tiny", "sk-unknown")
    assert "sk-unknown" not in str(refused.value)
