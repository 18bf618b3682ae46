"""Scratch nodes from the command line: `python -m nodestack.clouds.local create|list|delete|image`."""

import argparse
import os
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pydantic import SecretStr

from nodestack.clouds.base import LocalAccount, Node, NodeRequest, NodeStatus, VolumeRequest
from nodestack.clouds.local import hardware, image
from nodestack.clouds.local.cloud import LocalCloud
from nodestack.errors import CloudError, NodestackError

_BOOT_PATIENCE_S = 120.0
_POLL_S = 0.1


def main(argv: list[str] | None = None) -> int:
    """Run one command; prints one line and returns 1 when it is refused."""
    options = _parser().parse_args(argv)
    try:
        if options.command == "image":
            print(image.directory(_say))
            return 0
        cloud = LocalCloud(LocalAccount(directory=os.path.abspath(options.account)))
        if options.command == "create":
            _create(cloud, options)
        elif options.command == "delete":
            _delete(cloud, options.name, with_volume=options.with_volume)
        else:
            for node in cloud.nodes():
                print(f"{node.name}\t{node.status.value}\t{node.address}:{node.ssh_port}\t{node.identity}")
    except NodestackError as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodestack.clouds.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("image", help="build the node image where it is missing and print its directory")
    with_account = argparse.ArgumentParser(add_help=False)
    with_account.add_argument("--account", required=True, help="directory of the account")
    with_name = argparse.ArgumentParser(add_help=False)
    with_name.add_argument("--name", required=True, help="name of the node and of its volume")
    create = commands.add_parser("create", parents=[with_account, with_name], help="start a node, print its ssh line")
    create.add_argument("--key", required=True, help="private key that may log in; made where it is missing")
    create.add_argument("--profile", default="", choices=["", *hardware.profiles()], help="recorded hardware")
    create.add_argument("--volume-gib", type=int, default=8, help="size of the volume where it is missing, in GiB")
    delete = commands.add_parser("delete", parents=[with_account, with_name], help="delete a node")
    delete.add_argument("--with-volume", action="store_true", help="delete its volume, too")
    commands.add_parser("list", parents=[with_account], help="list living nodes")
    return parser


def _create(cloud: LocalCloud, options: argparse.Namespace) -> None:
    key = Path(options.key).resolve()
    host_key, known_hosts = Path(f"{key}.{options.name}.host"), Path(f"{key}.{options.name}.known_hosts")
    public, host_public = _key_pair(key), _key_pair(host_key)
    volume = cloud.find_volume(options.name) or cloud.create_volume(
        VolumeRequest(name=options.name, size_gib=options.volume_gib)
    )
    request = NodeRequest(
        name=options.name,
        shape="local",
        volume_id=volume.volume_id,
        ssh_public_key=public,
        ssh_host_private_key=SecretStr(host_key.read_text()),
        hardware_profile=options.profile,
    )
    began = time.monotonic()
    node = _await_running(cloud, cloud.create_node(request, _say))
    _say(f"{node.name} answers after {time.monotonic() - began:.1f} s")
    place = node.address if node.ssh_port == 22 else f"[{node.address}]:{node.ssh_port}"  # noqa: PLR2004 -- SSH's port
    known_hosts.write_text(f"{place} {host_public}\n")
    print(
        f"ssh -i '{key}' -o 'UserKnownHostsFile=\"{known_hosts}\"' -o StrictHostKeyChecking=yes "
        f"-p {node.ssh_port} {node.ssh_user}@{node.address}"
    )


def _await_running(cloud: LocalCloud, node: Node) -> Node:
    deadline = time.monotonic() + _BOOT_PATIENCE_S
    while time.monotonic() < deadline:
        seen = cloud.read_node(node.node_id)
        if seen is None:
            raise CloudError(f"node {node.name} ended while it booted: see its log in the account's logs directory")
        if seen.status is NodeStatus.RUNNING:
            return seen
        time.sleep(_POLL_S)
    raise CloudError(f"node {node.name} did not answer within {_BOOT_PATIENCE_S:g} s: see its log in the account")


def _delete(cloud: LocalCloud, name: str, *, with_volume: bool) -> None:
    node = cloud.find_node(name)
    if node is not None:
        cloud.delete_node(node.node_id)
    volume = cloud.find_volume(name) if with_volume else None
    if volume is not None:
        cloud.delete_volume(volume.volume_id)


def _key_pair(file: Path) -> str:
    """Return the public line of a private key, making the key where it is missing."""
    if not file.exists():
        made = ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        file.touch(mode=0o600)
        file.write_bytes(made)
    private = serialization.load_ssh_private_key(file.read_bytes(), password=None)
    form = serialization.PublicFormat.OpenSSH
    return private.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
