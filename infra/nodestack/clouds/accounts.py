"""The accounts a resource may live in: where they are, and which environment variables hold their keys."""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

LOCAL_SERVICE_PORT = 8443
"""The one port, beside that of SSH, at which nodes of this machine are reached: others may have 443 here already."""


class Frozen(BaseModel):
    """Base of all boundary types: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _encrypted(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url.rstrip("/")
    if parts.scheme == "http" and _is_loopback(parts.hostname or ""):
        return url.rstrip("/")
    raise ValueError("a cloud is asked over https, over plain http only on this machine's loopback")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


_VARIABLE = "_variable"

BaseUrl = Annotated[str, AfterValidator(_encrypted)]
"""Where an API is asked; https, or plain http on the loopback."""

VariableName = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
"""Name of an environment variable."""


class LocalAccount(Frozen):
    """Where this machine keeps the nodes and disks of one account of the local cloud.

    Attributes:
        directory: Absolute path; nodes and disks live below it, caches do not.
    """

    kind: Literal["local"] = "local"
    directory: str


class SpheronAccount(Frozen):
    """A team of a Spheron account.

    Attributes:
        base_url: Scheme and host of the API.
        team_id: The team that pays; None takes the key's current team.
        api_key_variable: Environment variable with the API key: what is not in the state cannot leak from it.
    """

    kind: Literal["spheron"] = "spheron"
    base_url: BaseUrl = "https://app.spheron.ai"
    team_id: str | None = None
    api_key_variable: VariableName = "SPHERON_API_KEY"


class VerdaAccount(Frozen):
    """A Verda project, formerly DataCrunch.

    Attributes:
        base_url: Base of the API, with its version.
        client_id_variable: Environment variable with the OAuth2 client's id.
        client_secret_variable: Environment variable with its secret.
    """

    kind: Literal["verda"] = "verda"
    base_url: BaseUrl = "https://api.verda.com/v1"
    client_id_variable: VariableName = "VERDA_CLIENT_ID"
    client_secret_variable: VariableName = "VERDA_CLIENT_SECRET"  # noqa: S105 - a name, no secret


class SshAccount(Frozen):
    """A machine that the user has already: nothing is created there and nothing deleted.

    Attributes:
        host: Name or address that takes SSH.
        port: TCP port of SSH.
        user: Login name, may sudo without a password.
        host_public_key: OpenSSH line of the one host key to accept.
        device: Block device for the weights, e.g. /dev/vdb; formatted only when blank.
        size_gib: Its size in GiB, which is not asked for over the network; what is on the node is checked there.
    """

    kind: Literal["ssh"] = "ssh"
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(gt=0, lt=65536)] = 22
    user: Annotated[str, Field(min_length=1)] = "root"
    host_public_key: str
    device: Annotated[str, Field(pattern=r"^/dev/.")]
    size_gib: Annotated[int, Field(gt=0)]


Account: TypeAlias = Annotated[
    LocalAccount | SpheronAccount | VerdaAccount | SshAccount,
    Field(discriminator="kind"),
]
"""The account a resource lives in."""


def is_at_loopback(base_url: str) -> bool:
    """Return whether an accepted base URL is on this machine, the one place that is asked over plain http."""
    return base_url.startswith("http://")


def is_simulated(account: object) -> bool:
    """Return whether an account's API is on this machine's loopback: a simulated cloud, whose nodes are local ones."""
    return is_at_loopback(getattr(account, "base_url", ""))


def key_variables(account: BaseModel) -> dict[str, str]:
    """Return the environment variables with an account's keys, by what each holds.

    >>> key_variables(VerdaAccount())
    {'client_id': 'VERDA_CLIENT_ID', 'client_secret': 'VERDA_CLIENT_SECRET'}
    """
    values = account.model_dump()
    return {name.removesuffix(_VARIABLE): text for name, text in values.items() if name.endswith(_VARIABLE)}


def log_directory(account: Account) -> Path:
    """Return where what is done to an account's nodes is logged: the local cloud's own directory, else the user's.

    The latter is `$XDG_STATE_HOME/nodestack/logs`, by default below `~/.local/state`.
    """
    if isinstance(account, LocalAccount):
        return Path(account.directory) / "logs"
    configured = os.environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".local" / "state"
    return base / "nodestack" / "logs"
