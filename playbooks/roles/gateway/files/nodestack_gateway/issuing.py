"""Server certificates from the node's own issuer: whether one still does, and a new one where it does not."""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodestack_gateway import GatewayError

UTC = timezone.utc  # noqa: UP017 - Ubuntu 22.04 has Python 3.10
BEGIN = "-----BEGIN "
# A client's clock may be behind that of the node.
BACKDATED = timedelta(hours=1)


class Issuer(NamedTuple):
    """What certificates are issued with.

    Attributes:
        key: Its private key.
        certificate: Its certificate, which clients get with each server certificate.
        pem: That certificate as it is in the file.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    pem: str


def load_issuer(path: Path) -> Issuer:
    """Return the issuer of a file with three PEM blocks: its key, its certificate, the authority's.

    Raises:
        GatewayError: The file is not such a one.
    """
    try:
        key_pem, certificate_pem, _authority = blocks(path.read_text())
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except (OSError, ValueError):
        # The parser's own words may quote the key.
        raise GatewayError(f"{path} holds no key and two certificates: run `make up`, which writes it") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise GatewayError(f"{path} holds no key of an elliptic curve: run `make up`, which writes it")
    return Issuer(key, certificate, certificate_pem)


def blocks(pem: str) -> list[str]:
    """Return the PEM blocks of a text, in order."""
    return [BEGIN + block.strip() + "\n" for block in pem.split(BEGIN)[1:]]


def still_good(pem: str, issuer: Issuer, names: Sequence[str], left: timedelta) -> bool:
    """Return whether a server's PEM text has a certificate of this issuer, for these names, that holds long enough."""
    try:
        _key, own, *chain = blocks(pem)
        certificate = x509.load_pem_x509_certificate(own.encode())
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return chain == [issuer.pem] and list(held) == _general(names) and expiry(certificate) - _now() > left


def issue(issuer: Issuer, names: Sequence[str], lifetime: timedelta) -> str:
    """Return a new private key with its certificate and the issuer's, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = _now()
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
        .sign(issuer.key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode() + made.public_bytes(serialization.Encoding.PEM).decode() + issuer.pem


def expiry_of(pem: str) -> datetime:
    """Return until when the first certificate of a PEM text holds."""
    first = next(block for block in blocks(pem) if "CERTIFICATE" in block.splitlines()[0])
    return expiry(x509.load_pem_x509_certificate(first.encode()))


def expiry(certificate: x509.Certificate) -> datetime:
    """Return until when a certificate holds; older versions of the library have no time with a zone."""
    told = getattr(certificate, "not_valid_after_utc", None)
    return told if told is not None else certificate.not_valid_after.replace(tzinfo=UTC)


def _general(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


_USAGE = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
)  # fmt: skip
