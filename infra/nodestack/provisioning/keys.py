"""SSH keys: the client's key, and host keys that follow from it so that a node is known before it first answers."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from nodestack.errors import SettingsError

_SEED_BYTES = 32
_HOST_KEY_SALT = b"nodestack ssh host key, version 1"


def generate() -> str:
    """Return a new ed25519 private key as OpenSSH PEM, without a passphrase."""
    return _pem(Ed25519PrivateKey.generate())


def public_key(private_pem: str) -> str:
    """Return the OpenSSH line (`ssh-ed25519 AAAA…`, no comment) that belongs to a private key.

    Raises:
        SettingsError: The text is no unencrypted ed25519 private key.
    """
    return _public_line(_load(private_pem))


def host_key(private_pem: str, node_name: str) -> tuple[str, str]:
    """Derive the host key of one node: HKDF-SHA256 (RFC 5869) over the client key's seed, with the node's name.

    Whoever holds the client key knows every host key beforehand, and again after the state was lost. The PEM text
    differs from call to call (the format holds a random check number), the key in it does not.

    Args:
        private_pem: The client's ed25519 key as OpenSSH PEM.
        node_name: Exact name of the node.

    Returns:
        The host's private key as OpenSSH PEM, and its public line.

    Raises:
        SettingsError: The text is no unencrypted ed25519 private key.

    >>> client = generate()
    >>> host_key(client, "demo-node")[1] == host_key(client, "demo-node")[1]
    True
    """
    derivation = HKDF(algorithm=hashes.SHA256(), length=_SEED_BYTES, salt=_HOST_KEY_SALT, info=node_name.encode())
    key = Ed25519PrivateKey.from_private_bytes(derivation.derive(seed(private_pem)))
    return _pem(key), _public_line(key)


def seed(private_pem: str) -> bytes:
    """Return the 32 secret bytes of a key, from which others are derived.

    Raises:
        SettingsError: The text is no unencrypted ed25519 private key.
    """
    return _load(private_pem).private_bytes_raw()


def _load(private_pem: str) -> Ed25519PrivateKey:
    try:
        key = serialization.load_ssh_private_key(private_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The parser's own words may quote the text, which is a secret.
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            "the SSH private key is not an ed25519 key in OpenSSH format without a passphrase: "
            "make one with `ssh-keygen -t ed25519 -N ''`"
        )
    return key


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode()


def _public_line(key: Ed25519PrivateKey) -> str:
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()
