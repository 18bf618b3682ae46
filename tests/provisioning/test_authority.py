"""The stack's authority is the same on each call, and a node's issuer speaks for that node and nobody else."""

import ssl
import subprocess
from pathlib import Path

import pytest

from nodestack.errors import SettingsError
from nodestack.provisioning import authority, keys

KEY = keys.generate()
ISSUER = authority.issuer(KEY, "id-1/nonce", ["203.0.113.7", "llm.example.com"])


def openssl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)


def leaf(directory: Path, names: str) -> tuple[Path, Path]:
    """Issue a server certificate with the node's issuer; return it and the chain that it comes with."""
    key, certificate, _ = ISSUER.split("-----END", 2)
    issuer_key, issuer = directory / "issuer.key", directory / "issuer.pem"
    issuer_key.write_text(f"{key}-----END PRIVATE KEY-----\n")
    issuer.write_text("-----BEGIN CERT" + certificate.partition("-----BEGIN CERT")[2] + "-----END CERTIFICATE-----\n")
    extensions = directory / "extensions"
    extensions.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
    request, made = directory / "request", directory / "leaf.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(directory / "leaf.key")]
    assert openssl("req", "-new", *curve, "-subj", "/CN=leaf", "-out", str(request)).returncode == 0
    signed = openssl(
        "x509", "-req", "-in", str(request), "-CA", str(issuer), "-CAkey", str(issuer_key), "-set_serial", "7",
        "-days", "2", "-extfile", str(extensions), "-out", str(made),
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    return made, issuer


def verified(directory: Path, names: str, *asked: str) -> bool:
    made, issuer = leaf(directory, names)
    root = directory / "root.pem"
    root.write_text(authority.certificate(KEY))
    strict = ("-x509_strict", "-purpose", "sslserver")
    return (
        openssl("verify", "-CAfile", str(root), "-untrusted", str(issuer), *strict, *asked, str(made)).returncode == 0
    )


def test_the_authority_follows_from_the_key_and_from_nothing_else() -> None:
    assert authority.certificate(KEY) == authority.certificate(KEY)
    assert authority.certificate(KEY) != authority.certificate(keys.generate())


def test_the_issuer_is_the_same_for_a_node_and_another_for_another() -> None:
    names = ["203.0.113.7", "llm.example.com"]
    assert authority.issuer(KEY, "id-1/nonce", names) == ISSUER
    assert authority.issuer(KEY, "id-2/nonce", names).splitlines()[1] != ISSUER.splitlines()[1]
    assert ISSUER.endswith(authority.certificate(KEY))


def test_the_authoritys_own_key_is_not_among_what_a_node_gets() -> None:
    assert ISSUER.count("PRIVATE KEY") == 2


def test_python_trusts_it() -> None:
    assert ssl.create_default_context(cadata=authority.certificate(KEY)).get_ca_certs()


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ("IP:203.0.113.7", ("-verify_ip", "203.0.113.7")),
        ("IP:127.0.0.1", ("-verify_ip", "127.0.0.1")),
        ("DNS:llm.example.com", ("-verify_hostname", "llm.example.com")),
    ],
)
def test_a_certificate_for_the_node_itself_is_trusted(tmp_path: Path, names: str, asked: tuple[str, str]) -> None:
    assert verified(tmp_path, names, *asked)


@pytest.mark.parametrize("names", ["IP:203.0.113.8", "DNS:bank.example.com", "IP:203.0.113.7,DNS:example.com"])
def test_a_certificate_for_anybody_else_is_not(tmp_path: Path, names: str) -> None:
    assert not verified(tmp_path, names)


def test_another_stacks_authority_does_not_vouch_for_the_node(tmp_path: Path) -> None:
    made, issuer = leaf(tmp_path, "IP:203.0.113.7")
    other = tmp_path / "other.pem"
    other.write_text(authority.certificate(keys.generate()))
    assert openssl("verify", "-CAfile", str(other), "-untrusted", str(issuer), str(made)).returncode != 0


def test_what_is_no_key_is_refused_without_being_told() -> None:
    with pytest.raises(SettingsError) as refused:
        authority.certificate("a secret that is no key")
    assert "a secret" not in str(refused.value)
