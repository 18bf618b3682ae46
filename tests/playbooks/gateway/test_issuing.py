"""Certificates that a node issues for itself: when a new one is due, and that it changes nothing else."""

import ipaddress
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from nodestack.provisioning import authority, keys

PROGRAMS = Path(__file__).parents[3] / "playbooks" / "roles" / "gateway" / "files"
SSH_KEY = keys.generate()
NAMES = ["203.0.113.7", "127.0.0.1", "localhost"]


class Node:
    """A directory with what the role writes, and the program."""

    def __init__(self, directory: Path) -> None:
        self.certificate = directory / "server.pem"
        self.issuer = directory / "issuer.pem"
        self.metrics = directory / "metrics" / "gateway.prom"
        self.settings = directory / "certificate.json"
        self._told: dict[str, Any] = {
            "issuer": str(self.issuer),
            "certificate": str(self.certificate),
            "names": NAMES,
            "days": 90,
            "renew_days": 30,
            "metrics": str(self.metrics),
            "acme": None,
        }
        self.issued_by(SSH_KEY, "id-1")

    def issued_by(self, ssh_key: str, node: str) -> None:
        self.issuer.write_text(authority.issuer(ssh_key, node, NAMES))

    def run(self, *arguments: str, **told: Any) -> bool:
        self.settings.write_text(json.dumps(self._told | told))
        command = [sys.executable, "-m", "nodestack_gateway.certificate", "--settings", str(self.settings), *arguments]
        ended = subprocess.run(command, cwd=PROGRAMS, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return bool(json.loads(ended.stdout)["changed"])


def certificates(node: Node) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(node.certificate.read_bytes())


def certificate(node: Node) -> x509.Certificate:
    return certificates(node)[0]


def pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    node = Node(tmp_path)
    assert node.run()
    return node


def test_a_certificate_that_holds_is_left_alone_and_told_of(node: Node) -> None:
    before = node.certificate.read_bytes(), node.metrics.stat().st_mtime_ns
    assert not node.run()
    assert (node.certificate.read_bytes(), node.metrics.stat().st_mtime_ns) == before
    ends = float(node.metrics.read_text().split()[-1])
    assert ends == certificate(node).not_valid_after_utc.timestamp()
    assert node.certificate.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "told", [{"renew_days": 91}, {"names": ["127.0.0.1", "localhost"]}, {"names": [*NAMES, "llm.example.com"]}]
)
def test_a_new_one_is_had_when_the_old_is_about_to_end_or_names_another(node: Node, told: dict[str, Any]) -> None:
    before = certificate(node)
    assert node.run("--check", **told)
    assert certificate(node) == before
    assert node.run(**told)
    assert certificate(node) != before


@pytest.mark.parametrize(("ssh_key", "identity"), [(keys.generate(), "id-1"), (SSH_KEY, "id-2")])
def test_a_new_one_is_had_from_a_new_issuer(node: Node, ssh_key: str, identity: str) -> None:
    node.issued_by(ssh_key, identity)
    assert node.run()
    assert not node.run()


@pytest.mark.parametrize("damage", ["", "not PEM", "half"])
def test_a_damaged_file_is_replaced(node: Node, damage: str) -> None:
    node.certificate.write_text(node.certificate.read_text()[:300] if damage == "half" else damage)
    assert node.run()
    assert not node.run()


def test_a_certificate_is_for_servers_with_these_names_and_from_an_hour_ago(node: Node) -> None:
    made = certificate(node)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address(name) for name in NAMES[:2]]
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(days=90, hours=1)


def test_openssl_trusts_what_a_node_shows_by_the_authority_alone(node: Node, tmp_path: Path) -> None:
    own, issuer = certificates(node)
    for name, text in (("leaf", pem(own)), ("issuer", pem(issuer)), ("root", authority.certificate(SSH_KEY))):
        (tmp_path / name).write_text(text)
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "203.0.113.7"]
    command += ["-CAfile", str(tmp_path / "root"), "-untrusted", str(tmp_path / "issuer"), str(tmp_path / "leaf")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode == 0


def test_an_issuer_that_cannot_be_read_is_told_without_its_content(node: Node) -> None:
    node.issuer.write_text("a secret that is no key")
    ended = subprocess.run(
        [sys.executable, "-m", "nodestack_gateway.certificate", "--settings", node.settings],
        cwd=PROGRAMS, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "issuer.pem holds no key and two certificates: run `make up`" in ended.stderr
    assert "a secret" not in ended.stderr
