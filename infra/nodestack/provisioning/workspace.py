"""The private directory of one run: secrets, inventory and variables on tmpfs, gone when the run is over."""

import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import ansible_mitogen
from pydantic import BaseModel, ConfigDict, SecretStr

from nodestack.provisioning import processes
from nodestack.provisioning.document import NodeDocument, document_sha256

if TYPE_CHECKING:
    from nodestack.provisioning.reach import Connection

PLAYBOOKS = Path(__file__).parents[3] / "playbooks"
"""Where site.yml and the roles are: beside infra/ in the checkout."""

ANSIBLE = {
    "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"),
    # One interpreter on the node for all tasks, instead of one for each.
    "ANSIBLE_STRATEGY": "mitogen_linear",
    "ANSIBLE_STRATEGY_PLUGINS": str(Path(next(iter(ansible_mitogen.__path__))) / "plugins" / "strategy"),
}
"""Environment that makes Ansible run as it does here, whatever it runs for."""

HOST = "node"
"""Name of the one host in the inventory."""

_PACKAGE_ROOT = Path(__file__).parents[2]
_PREFIX = "nodestack-run-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the one tmpfs that every Linux has; the directory in it is ours alone
_OWNER = "owner"
_STALE_GRACE_S = 2.0


class Secrets(BaseModel):
    """What a node needs to know and nobody else may read.

    Attributes:
        api_keys: Keys that clients of the gateway present, by name.
        issuer: What the node issues its server certificates with: a key and two certificates as PEM.
        hub_token: Token for the hub of the weights, or None.
        alert_secret: Token or password of whoever carries alerts, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_keys: dict[str, SecretStr]
    issuer: SecretStr
    hub_token: SecretStr | None = None
    alert_secret: SecretStr | None = None


@contextmanager
def workspace() -> Iterator[Path]:
    """Make a private directory of mode 0700, and remove it with all processes of its run at the end.

    What a run left whose owner was killed is cleared first: the owner holds a lock on its directory for life.
    """
    base = base_directory()
    clear_abandoned(base)
    made = Path(tempfile.mkdtemp(prefix="nodestack-new-", dir=base))
    directory = made.with_name(made.name.replace("nodestack-new-", _PREFIX))
    owner = os.open(made / _OWNER, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX)
        # Under its final name only once it is locked, so that nobody takes it for abandoned.
        made.rename(directory)
        yield directory
    finally:
        processes.end(directory, _STALE_GRACE_S)
        shutil.rmtree(directory, ignore_errors=True)
        os.close(owner)


def clear_abandoned(base: Path | None = None) -> None:
    """End the processes and remove the directories of runs whose owner is dead."""
    for directory in (base or base_directory()).glob(f"{_PREFIX}*"):
        try:
            owner = os.open(directory / _OWNER, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            processes.end(directory, _STALE_GRACE_S)
            shutil.rmtree(directory, ignore_errors=True)
        except BlockingIOError:
            continue
        finally:
            os.close(owner)


def fill(  # noqa: PLR0913 - the parts of one run, each given by name
    directory: Path,
    *,
    connection: "Connection",
    document: NodeDocument,
    secrets: Secrets,
    run: str,
    applied: object,
    more: BaseModel | None = None,
) -> None:
    """Write what the playbook reads: key, pinned host key, inventory, variables; secrets only as files named there.

    Args:
        directory: The private directory.
        connection: How the node is reached.
        document: What to apply; its `*_file` fields are set here.
        secrets: What goes into those files.
        run: Identifies the run; set in the environment of its tasks on the node.
        applied: What the node says was applied before, as found in applied.json there.
        more: Variables of this playbook alone.
    """
    key = _secret_file(directory / "ssh_key", connection.private_key)
    named = {name: key.get_secret_value() for name, key in secrets.api_keys.items()}
    api_keys = _secret_file(directory / "api_keys", SecretStr(json.dumps(named)))
    issuer = _secret_file(directory / "issuer", secrets.issuer)
    token = _secret_file(directory / "hub_token", secrets.hub_token) if secrets.hub_token else ""
    alert_secret = _secret_file(directory / "alert_secret", secrets.alert_secret) if secrets.alert_secret else ""
    known_hosts = directory / "known_hosts"
    known_hosts.write_text(f"{connection.known_host} {connection.host_public_key.strip()}\n")
    files = {
        "gateway_keys_file": api_keys,
        "gateway_issuer_file": issuer,
        "weights_token_file": token,
        "monitoring_receiver_secret_file": alert_secret,
    }
    own = document.model_copy(update={name: str(path) for name, path in files.items()})
    wanted = {"identity": document.base_identity, "document_sha256": document_sha256(document)}
    variables = (
        own.model_dump(mode="json")
        | (more.model_dump(mode="json") if more else {})
        | {
            "nodestack_run": run,
            "nodestack_document_sha256": wanted["document_sha256"],
            "nodestack_is_applied": applied == wanted,
        }
    )
    host = {
        "ansible_host": connection.address,
        "ansible_port": connection.port,
        "ansible_user": connection.user,
        # The interpreter lives as long as the run, and is to be told from others' after it.
        "ansible_python_interpreter": f"/usr/bin/env NODESTACK_RUN={run} /usr/bin/python3",
        "ansible_ssh_private_key_file": str(key),
        "ansible_control_path": str(directory / "mux"),
        "ansible_ssh_common_args": f"-F none -o UserKnownHostsFile={known_hosts} -o GlobalKnownHostsFile=/dev/null",
    }
    (directory / "env").mkdir()
    (directory / "env" / "extravars").write_text(json.dumps(variables))
    (directory / "inventory.json").write_text(json.dumps({"all": {"hosts": {HOST: host}}}))


def environment(directory: Path) -> dict[str, str]:
    """Return the whole environment of the process that runs Ansible: nothing of ours but what is named here."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONPATH": str(_PACKAGE_ROOT),
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GRPC_VERBOSITY": "ERROR",
        **ANSIBLE,
        # ansible-runner turns the check off unless told otherwise.
        "ANSIBLE_HOST_KEY_CHECKING": "True",
        processes.MARK: str(directory),
    }


def base_directory() -> Path:
    """Return where private directories are made: on tmpfs where there is one."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def _secret_file(path: Path, secret: SecretStr) -> Path:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        # OpenSSH refuses a key whose last line does not end, and the engine's configuration drops that end.
        file.write(secret.get_secret_value().rstrip("\n") + "\n")
    return path
