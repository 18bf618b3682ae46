"""Who may reach the endpoint, under which name, with which keys, and how much each may ask."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from nodestack.settings.sections import Section

DEFAULT_KEY, NODE_KEY = "default", "nodestack"
"""Names that no further key may have: that of `nodestack:api_key`, and that of the node's own probes."""

_ANYWHERE = ("0.0.0.0/0", "::/0")
_HOSTNAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+")

KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
ApiKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~+/=-]{16,256}$")]
"""RFC 6750's token, long enough that none is found by asking; generated ones have 256 bits."""


def _hostname(value: str) -> str:
    if not _HOSTNAME.fullmatch(value) or value.rpartition(".")[2].isdigit():
        raise ValueError(
            "no DNS name: lower-case labels of letters, digits and hyphens, with dots between, are allowed"
        )
    return value


def _name(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        return _hostname(value)


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise ValueError(f"no network: {error}; say it like 203.0.113.0/24 or 2001:db8::/32") from None


Hostname = Annotated[str, AfterValidator(_hostname)]
Name = Annotated[str, AfterValidator(_name)]
Network = Annotated[str, AfterValidator(_network)]


class GatewaySettings(Section):
    """What stands between clients and the engine: TLS, keys, limits, firewall.

    Attributes:
        port: TCP port that clients connect to; left out, 443, and on nodes of this machine the one that is forwarded.
        allowed_cidrs: Networks whose addresses may connect to the gateway.
        ssh_allowed_cidrs: Networks whose addresses may connect by SSH; the one that configures the node among them.
        firewall: Close every other port of the node; left out, it is done but for a machine you had already (`ssh`).
        hostname: DNS name of the node, for the certificate; ACME certifies this name alone.
        names: Further DNS names and addresses that clients know the node by, for its certificate.
        acme_email: Where the ACME authority writes to; with it certificates are had from there, and port 80 is open.
        acme_directory: Where the ACME authority is asked, https.
        requests_per_minute: Requests that each key may send a minute, in the long run.
        concurrent_requests: Requests that each key may have in flight, and may send at once.
        max_body_mib: Largest request in MiB.
        request_timeout_s: Seconds that the engine may let pass between two pieces of a reply.
    """

    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    allowed_cidrs: tuple[Network, ...] = _ANYWHERE
    ssh_allowed_cidrs: Annotated[tuple[Network, ...], Field(min_length=1)] = _ANYWHERE
    firewall: bool | None = None
    hostname: Hostname | None = None
    names: tuple[Name, ...] = ()
    acme_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    acme_directory: Annotated[str, Field(pattern=r"^https://\S+$")] = "https://acme-v02.api.letsencrypt.org/directory"
    requests_per_minute: Annotated[int, Field(gt=0, le=1_000_000)] = 1200
    concurrent_requests: Annotated[int, Field(gt=0, le=8192)] = 256
    max_body_mib: Annotated[int, Field(gt=0, le=1024)] = 8
    request_timeout_s: Annotated[int, Field(gt=0, le=86_400)] = 3600

    @model_validator(mode="after")
    def _acme_needs_a_name(self) -> Self:
        if self.acme_email is not None and self.hostname is None:
            raise ValueError("gateway.acme_email is set without gateway.hostname: ACME certifies a DNS name, say which")
        return self

    @property
    def is_open(self) -> bool:
        """Whether the whole internet may connect."""
        return bool(set(_ANYWHERE) & set(self.allowed_cidrs))
