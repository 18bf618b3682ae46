"""The stack's own certificate authority: it follows from the stack's SSH key, so clients trust every later node."""

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from nodestack.provisioning import keys

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
"""What a node's server certificates name besides what clients know it by: probes on the node verify TLS as well."""

# Dates, serial numbers and signatures are the same on each call: what did not change is not written again.
_BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
_ENDS = datetime(2046, 1, 1, tzinfo=UTC)
_SALT = b"nodestack certificate authority, version 1"
_CURVE = ec.SECP256R1()
# FIPS 186-5, A.2.1: 64 bits more than the order has, so that the reduction leaves no bias.
_SCALAR_BYTES = 40
_SERIAL_BYTES = 16


def certificate(ssh_private_key: str) -> str:
    """Return the certificate, as PEM, that clients of the stack trust; it outlives nodes, volumes and a lost state.

    Args:
        ssh_private_key: The stack's ed25519 key as OpenSSH PEM.

    Raises:
        SettingsError: The text is no unencrypted ed25519 private key.
    """
    return _pem(_root(keys.seed(ssh_private_key)))


def issuer(ssh_private_key: str, node: str, names: Sequence[str]) -> str:
    """Return what one node issues its server certificates with: a private key, its certificate and the authority's.

    The node cannot speak for anybody else: its certificate is constrained (RFC 5280, 4.2.1.10) to the names that
    clients know it by. The authority's own key stays where the stack's secrets are.

    Args:
        ssh_private_key: The stack's ed25519 key as OpenSSH PEM.
        node: Identity of the machine; another one gets another key.
        names: DNS names and IP addresses of the node; what it calls itself is always among them.

    Returns:
        Three PEM blocks, in this order: the issuer's key, the issuer's certificate, the authority's certificate.

    Raises:
        SettingsError: The key is no unencrypted ed25519 private key.
    """
    seed = keys.seed(ssh_private_key)
    root, authority_key = _root(seed), _key(seed, "authority")
    about = f"issuer of {node}"
    key = _key(seed, about)
    # A kind of name of which none is permitted would not be constrained at all: there is one of each.
    permitted = [constraint(name) for name in dict.fromkeys((*names, *LOOPBACK_NAMES))]
    told = _builder(
        _named("nodestack node issuer"), root.subject, key, _serial(seed, f"{about} for {' '.join(names)}"), 0
    )
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    made = (
        told.add_extension(x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None), critical=True)
        .add_extension(signed_by, critical=False)
        .sign(authority_key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private + _pem(made) + _pem(root)


def constraint(name: str) -> x509.GeneralName:
    """Return the subtree that holds just one DNS name (and what is below it) or one IP address."""
    try:
        return x509.IPAddress(ip_network(ip_address(name)))
    except ValueError:
        return x509.DNSName(name)


def _root(seed: bytes) -> x509.Certificate:
    key = _key(seed, "authority")
    # Two stacks' authorities must not have the same name: a client that trusts both would try the wrong key.
    name = _named(f"nodestack {_derive(seed, 'name of the authority', 4).hex()}")
    told = _builder(name, name, key, _serial(seed, "authority"), 1)
    return told.sign(key, hashes.SHA256(), ecdsa_deterministic=True)


def _builder(
    subject: x509.Name, issued_by: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int, path_length: int
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_by)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(_BEGINS)
        .not_valid_after(_ENDS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _serial(seed: bytes, about: str) -> int:
    # Zero is no serial number.
    return 1 + int.from_bytes(_derive(seed, f"serial of {about}", _SERIAL_BYTES), "big")


def _key(seed: bytes, about: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(_derive(seed, f"key of {about}", _SCALAR_BYTES), "big")
    return ec.derive_private_key(scalar % (_ORDER - 1) + 1, _CURVE)


def _derive(seed: bytes, about: str, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=_SALT, info=about.encode()).derive(seed)


def _pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()


# SEC 2, 2.4.2: the order of the curve's base point.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
