"""What a node finds on its own disk at its first boot: its name, who may log in, and the host key it shall have."""

import json
from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization

from nodestack.clouds.base import NodeRequest
from nodestack.errors import CloudError

SSH_USER = "ubuntu"

_SEED = "/var/lib/cloud/seed/nocloud"


def files(request: NodeRequest, identity: str, user: str = SSH_USER) -> dict[str, bytes]:
    """Return the seed of cloud-init's NoCloud source, by absolute path on the node.

    Args:
        request: What the node is made as.
        identity: Tells it from every other node.
        user: Who may log in, `root` included.

    Raises:
        CloudError: The host key is not an unencrypted OpenSSH private key.
    """
    metadata = {"instance-id": identity, "local-hostname": request.name}
    return {
        f"{_SEED}/meta-data": json.dumps(metadata).encode(),
        f"{_SEED}/user-data": f"#cloud-config\n{yaml.safe_dump(_user_data(request, user), sort_keys=False)}".encode(),
    }


def place(files_by_path: dict[str, bytes], upper: Path, image: Path) -> None:
    """Put files over an image; directories keep the mode they have in it.

    Files are the owner's alone to write; programs are anyone's to run.
    """
    for path, content in files_by_path.items():
        relative = Path(path).relative_to("/")
        for parent in reversed(relative.parents[:-1]):
            if not (upper / parent).is_dir():
                (upper / parent).mkdir()
                (upper / parent).chmod((image / parent).stat().st_mode if (image / parent).is_dir() else 0o755)
        file = upper / relative
        file.touch(mode=0o600)
        file.write_bytes(content)
        secret = path.startswith(_SEED)
        file.chmod(0o600 if secret else 0o755 if content.startswith(b"#!") else 0o644)


def _user_data(request: NodeRequest, user: str) -> dict[str, object]:
    private = request.ssh_host_private_key.get_secret_value()
    return {
        "users": [
            {
                "name": user,
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": [request.ssh_public_key.strip()],
            }
        ],
        "disable_root": user != "root",
        "ssh_deletekeys": True,
        "ssh_genkeytypes": [],
        "ssh_keys": {"ed25519_private": private, "ed25519_public": _public_line(private)},
    }


def _public_line(private: str) -> str:
    try:
        key = serialization.load_ssh_private_key(private.encode(), password=None)
    except (ValueError, TypeError):
        # The library's message may quote the key.
        raise CloudError(
            "the node's host key is not an unencrypted private key in OpenSSH form: make one with ssh-keygen -t ed25519"
        ) from None
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()
