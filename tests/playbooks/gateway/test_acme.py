"""Certificates of an ACME authority: Pebble, Let's Encrypt's own for tests, on the node itself, real challenges."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from nodestack.clouds.local.cache import cached
from tests.playbooks.gateway.nodes import KEYS, PORT, GatewayNode

pytestmark = [pytest.mark.qualify, pytest.mark.node]

# Newest release, from the Go proxy; MPL-2.0, used here and never shipped; 2026-11-27.
PEBBLE, VERSION = "github.com/letsencrypt/pebble/v2", "v2.10.3"
HOSTNAME = "llm.example.com"
CONFIG = {
    "pebble": {
        "listenAddress": "127.0.0.1:14000",
        "managementListenAddress": "127.0.0.1:15000",
        "certificate": "/var/lib/pebble/cert.pem",
        "privateKey": "/var/lib/pebble/key.pem",
        "httpPort": 80,
        "tlsPort": 443,
    }
}
ACME: dict[str, Any] = {
    "gateway_hostname": HOSTNAME,
    "gateway_acme_email": "ops@example.com",
    "gateway_acme_directory": "https://localhost:14000/dir",
}


def go(directory: Path, *arguments: str) -> str:
    program = shutil.which("go")
    if program is None:
        pytest.skip("Pebble comes as a Go module, and there is no Go on PATH")
    done = subprocess.run(
        [program, *arguments], env={**os.environ, "GOBIN": str(directory)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pebble() -> Path:
    """Return a directory with the program, and with the key, certificate and authority that it is asked with itself."""

    def build(directory: Path) -> None:
        go(directory, "install", f"{PEBBLE}/cmd/pebble@{VERSION}")
        certificates = (
            Path(json.loads(go(directory, "mod", "download", "-json", f"{PEBBLE}@{VERSION}"))["Dir"]) / "test/certs"
        )
        for source in ("localhost/cert.pem", "localhost/key.pem", "pebble.minica.pem"):
            shutil.copyfile(certificates / source, directory / Path(source).name)

    return cached("pebble", f"{PEBBLE} {VERSION}".encode(), build)


@pytest.fixture(scope="module")
def certified(gateway: GatewayNode, pebble: Path) -> Iterator[GatewayNode]:
    """Return the node with a name that leads to it and an authority that may certify it."""
    bench = gateway.bench
    bench.on("sudo install -d -m 755 -o ubuntu /var/lib/pebble")
    options = ["-i", f"{bench.directory}/key", "-o", f"UserKnownHostsFile={bench.directory}/known_hosts", "-P"]
    files = [str(pebble / name) for name in ("pebble", "cert.pem", "key.pem", "pebble.minica.pem")]
    place = f"{bench.node.ssh_user}@{bench.node.address}:/var/lib/pebble/"
    subprocess.run(["scp", "-q", *options, str(bench.node.ssh_port), *files, place], check=True)
    gateway.put(json.dumps(CONFIG), "/var/lib/pebble/config.json")
    authority = "/usr/local/share/ca-certificates/pebble.crt"
    bench.on(f"sudo cp /var/lib/pebble/pebble.minica.pem {authority}; sudo update-ca-certificates")
    bench.on(f"echo '127.0.0.1 localhost {HOSTNAME}' | sudo tee -a /etc/hosts")
    # Which tries each client's patience on purpose, unless told not to.
    calm = "-E PEBBLE_VA_NOSLEEP=1 -E PEBBLE_WFE_NONCEREJECT=0"
    run = "/var/lib/pebble/pebble -config /var/lib/pebble/config.json"
    bench.on(f"sudo systemd-run --quiet --collect --unit=pebble {calm} {run}")
    played = gateway.play(**ACME)
    assert played.exit_code == 0, played.text
    yield gateway
    assert gateway.play().exit_code == 0


def shown(gateway: GatewayNode) -> x509.Certificate:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((gateway.address, PORT), timeout=20) as plain, trust.wrap_socket(plain) as connection:
        return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")


def test_clients_are_shown_what_the_authority_certified(certified: GatewayNode) -> None:
    certificate = shown(certified)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOSTNAME]
    assert "Pebble" in certificate.issuer.rfc4514_string()
    metrics = certified.bench.on("cat /var/lib/nodestack/metrics/gateway.prom")
    assert f'{{certificate="acme"}} {certificate.not_valid_after_utc.timestamp():.0f}' in metrics


def test_the_node_itself_goes_on_with_the_stacks_own(certified: GatewayNode) -> None:
    asked = f"curl -s -o /dev/null -w '%{{http_code}}' --cacert /etc/nodestack/gateway/ca.pem https://127.0.0.1:{PORT}/v1/models"
    assert certified.bench.on(asked) == "401"
    assert certified.bench.on(f"{asked} -H 'Authorization: Bearer {KEYS['default']}'") == "200"


def test_a_second_run_asks_for_nothing_new(certified: GatewayNode) -> None:
    before = shown(certified)
    for check in (False, True):
        played = certified.play(check=check, **ACME)
        assert (played.exit_code, played.changed) == (0, 0), played.text
    assert shown(certified) == before


def test_port_80_has_proofs_and_nothing_else(certified: GatewayNode) -> None:
    status = "curl -s -o /dev/null -w '%{http_code}' --path-as-is http://127.0.0.1"
    assert certified.bench.on(f"{status}/v1/models") == "404"
    assert certified.bench.on(f"{status}/.well-known/acme-challenge/../../server.pem") in ("404", "400")
    assert "tcp dport 80 accept" in certified.bench.on("sudo nft list chain inet nodestack input")


def test_a_name_that_leads_elsewhere_is_refused_with_what_to_do(certified: GatewayNode) -> None:
    refused = certified.play(**{**ACME, "gateway_hostname": "nowhere.example.com"})
    assert refused.exit_code != 0
    told = " ".join(refused.text.split())
    assert re.search(r"does not certify nowhere\.example\.com: .* whose port 80 the authority must reach", told)
    assert certified.play(**ACME).exit_code == 0
