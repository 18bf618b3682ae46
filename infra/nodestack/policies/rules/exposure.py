"""Who gets in: named networks, with a key, over TLS."""

from collections.abc import Iterator
from ipaddress import ip_network

from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule, Terms
from nodestack.settings.gateway import Network

_IPV4 = 4


class Ingress(Given):
    """Whose addresses may connect."""

    allowed_cidrs: tuple[Network, ...]
    ssh_allowed_cidrs: tuple[Network, ...]
    firewall: bool


class IngressTerms(Terms):
    """How narrow it must be.

    Attributes:
        ssh_too: Whether SSH, which takes keys only, must be closed to the internet as well.
        widest_prefix_ipv4: Shortest prefix that still counts as a network of one's own.
        widest_prefix_ipv6: The same for IPv6.
    """

    ssh_too: bool = False
    widest_prefix_ipv4: int = 8
    widest_prefix_ipv6: int = 19


def closed(given: Ingress, terms: IngressTerms) -> Iterator[str]:
    """Yield which networks are too wide, and that nothing keeps them."""
    if not given.firewall:
        yield "the node has no firewall: whatever else it serves is open"
    ports = {"the endpoint": given.allowed_cidrs, **({"SSH": given.ssh_allowed_cidrs} if terms.ssh_too else {})}
    for what, networks in ports.items():
        for network in networks:
            if _too_wide(network, terms):
                yield f"{what} is open to {network}"


def _too_wide(text: str, terms: IngressTerms) -> bool:
    network = ip_network(text)
    return network.prefixlen < (terms.widest_prefix_ipv4 if network.version == _IPV4 else terms.widest_prefix_ipv6)


class Keyed(Given):
    """What is asked of who connects."""

    api_key: bool
    tls: bool


def keyed(given: Keyed, _: NoTerms) -> Iterator[str]:
    """Yield what is missing between a client and the model."""
    if not given.api_key:
        yield "the endpoint asks for no API key"
    if not given.tls:
        yield "the endpoint is not encrypted"


RULES = (Rule("closed-ingress", Ingress, IngressTerms, closed), Rule("keyed-endpoint", Keyed, NoTerms, keyed))
