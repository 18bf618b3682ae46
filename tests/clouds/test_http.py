"""What an answer of a cloud means: whether it is repeated, how long is waited, and what of it is told."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nodestack.clouds.http import Http, NotFound, Patience, message_of, retry_after_s
from nodestack.clouds.simulated.server import serve
from nodestack.errors import AmbiguousError, CloudError

PATIENCE = Patience(timeout_s=1, attempts=3, delay_s=0.5, longest_wait_s=60)
REQUEST = httpx.Request("GET", "https://cloud.example", headers={"Authorization": "Bearer the-key"})


class Scripted:
    """A server that gives its answers in order, the last one again and again."""

    def __init__(self, *answers: tuple[int, str, dict[str, str]]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, scope: dict[str, object], receive: object, send: Callable[..., object]) -> None:
        status, body, headers = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        told = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": told})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": body.encode()})  # type: ignore[misc]


def ask(server: Scripted, method: str) -> tuple[httpx.Response | CloudError, list[float]]:
    waits: list[float] = []
    with serve(server) as base_url:  # type: ignore[arg-type]
        http = Http("Cloud", base_url, headers=lambda: {}, patience=PATIENCE, sleep=waits.append)
        try:
            return http.request(method, "/thing"), waits
        except CloudError as error:
            return error, waits


@pytest.mark.parametrize(("method", "asked"), [("GET", 3), ("DELETE", 3), ("POST", 1), ("PUT", 1), ("PATCH", 1)])
def test_a_server_error_is_asked_again_only_where_that_is_safe_and_stays_unclear(method: str, asked: int) -> None:
    server = Scripted((503, "", {}))
    told, waits = ask(server, method)
    assert isinstance(told, AmbiguousError)
    assert (server.asked, waits) == (asked, [0.5, 1.0][: asked - 1])


def test_whatever_was_refused_for_its_number_is_asked_again_after_as_long_as_was_asked_for() -> None:
    server = Scripted((429, "", {"Retry-After": "7"}), (429, '{"retryAfter": 9}', {}), (200, "{}", {}))
    told, waits = ask(server, "POST")
    assert isinstance(told, httpx.Response)
    assert waits == [7, 9]


def test_a_cloud_that_wants_to_be_left_alone_for_long_is_not_waited_for() -> None:
    told, waits = ask(Scripted((429, "", {"Retry-After": "61"})), "POST")
    assert "run again later" in str(told)
    assert waits == []


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (401, CloudError), (302, CloudError), (400, CloudError)])
def test_a_refusal_is_no_unclear_answer(status: int, kind: type[CloudError]) -> None:
    told, _ = ask(Scripted((status, "no", {"Location": "https://elsewhere.example"})), "POST")
    assert type(told) is kind


@pytest.mark.parametrize("status", [408, 425])
def test_a_timeout_that_the_cloud_tells_of_is_unclear(status: int) -> None:
    assert isinstance(ask(Scripted((status, "", {})), "POST")[0], AmbiguousError)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "No"}, "No"),
        ({"error": "No", "message": "because"}, "No: because"),
        ({"error": {"code": "E", "message": "because"}}, "because"),
        ({"error": {"code": "E"}}, "E"),
        ({"code": "E", "message": "because"}, "because"),
        ({"error": "the key the-key is bad"}, "the key [the key] is bad"),
    ],
)
def test_an_error_is_told_in_one_line_and_without_the_key(body: dict[str, object], expected: str) -> None:
    assert message_of(httpx.Response(400, json=body, request=REQUEST)) == expected


def test_an_error_that_is_no_json_is_told_shortened() -> None:
    assert message_of(httpx.Response(502, text="<html>\n" + "x" * 999, request=REQUEST)) == "<html> " + "x" * 293
    assert message_of(httpx.Response(502, request=REQUEST)) == "Bad Gateway"


def test_a_wait_that_is_a_date_or_nonsense_is_none() -> None:
    for value in ("Wed, 21 Oct 2026 07:28:00 GMT", "soon"):
        assert retry_after_s(httpx.Response(429, headers={"Retry-After": value}, request=REQUEST)) is None


@contextmanager
def of_an_unknown_authority(directory: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Serve https on the loopback with a certificate that nobody vouches for; yields its URL and what was sent."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cloud")])
    since = datetime.now(UTC) - timedelta(days=1)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=2))
        .add_extension(loopback, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "both.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "both.pem")
    sent: list[bytes] = []

    def answer() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                sent.append(secured.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}", sent
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_nobody_vouches_for_is_told_and_sent_no_key(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with of_an_unknown_authority(tmp_path) as (base_url, sent):
        http = Http("Cloud", base_url, headers=lambda: {"Authorization": "the-key"}, patience=PATIENCE, sleep=print)
        with pytest.raises(CloudError, match="its certificate is not to be trusted: self-signed certificate"):
            http.request(method, "/thing")
        assert sent == []
