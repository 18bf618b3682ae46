"""What a stack may say about being watched: who reads the metrics, how long they are kept, and where alerts go."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from nodestack.settings.sections import Section

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _network(value: str) -> str:
    try:
        network = ip_network(value)
    except ValueError:
        raise ValueError("a network such as 192.0.2.0/24 is needed, with no bits beside its prefix") from None
    if network.prefixlen == 0:
        raise ValueError("that is everybody: name the network of the monitor")
    return value


def _http_url(value: str) -> str:
    if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
        raise ValueError("an http or https URL is needed")
    return value


def _smarthost(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value and not (host and port.isdigit()):
        raise ValueError("it must be HOST:PORT, such as smtp.example.org:587")
    return value


Network = Annotated[str, AfterValidator(_network)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class MonitoringSettings(Section):
    """How the node is watched.

    Attributes:
        enabled: Whether Prometheus, its exporters and alert rules run on the node.
        scrape: `local` keeps all metrics on the node's loopback; `external` lets `allowed_cidrs` read them.
        allowed_cidrs: Networks of the monitor outside, for `external`.
        retention_days: Days that metrics are kept.
        retention_gib: Room that they may take on the boot disk, in GiB.
        ttft_p95_s: Longest time to the first token in seconds, 95th percentile; left out, the profile's.
        inter_token_latency_p95_s: Longest time between tokens in seconds, 95th percentile; left out, the profile's.
        alertmanager_url: Alertmanager elsewhere that gets the alerts.
        webhook_url: Webhook that an Alertmanager on the node calls; `alert_secret` is its bearer token.
        email_to: Address that an Alertmanager on the node writes to.
        email_from: Address that it writes from, and logs in as with `alert_secret`.
        email_smarthost: Mail server as HOST:PORT.
        grafana: Whether Grafana is installed on the node, from its own repository; the dashboard is there in any case.
        runbook_base_url: Where your copy of docs/runbooks is read; each alert links its page there.
        journal_gib: Room that the node's logs may take, in GiB.
        journal_days: Days that the node's logs are kept.
    """

    enabled: bool = True
    scrape: Literal["local", "external"] = "local"
    allowed_cidrs: tuple[Network, ...] = ()
    retention_days: Annotated[int, Field(gt=0, le=365)] = 15
    retention_gib: Annotated[float, Field(ge=0.5, le=1000, allow_inf_nan=False)] = 2
    ttft_p95_s: Seconds | None = None
    inter_token_latency_p95_s: Seconds | None = None
    alertmanager_url: HttpUrl = ""
    webhook_url: HttpUrl = ""
    email_to: str = ""
    email_from: str = ""
    email_smarthost: Annotated[str, AfterValidator(_smarthost)] = ""
    grafana: bool = False
    runbook_base_url: str = "docs/runbooks"
    journal_gib: Annotated[float, Field(ge=0.1, le=1000, allow_inf_nan=False)] = 2
    journal_days: Annotated[int, Field(gt=0, le=3650)] = 30

    @model_validator(mode="after")
    def _one_reader(self) -> Self:
        if self.scrape == "external" and not self.allowed_cidrs:
            raise ValueError("monitoring.scrape is 'external', so allowed_cidrs must name the monitor's networks")
        if self.scrape == "local" and self.allowed_cidrs:
            raise ValueError("monitoring.allowed_cidrs is for scrape: external; with 'local' nobody outside reads")
        if self.scrape == "external" and self.alertmanager_url and not self._is_allowed(self.alertmanager_url):
            raise ValueError(
                "monitoring.alertmanager_url must name an address within allowed_cidrs where scrape is 'external': "
                "Prometheus talks to nobody else then"
            )
        return self

    @model_validator(mode="after")
    def _one_receiver(self) -> Self:
        if self.alertmanager_url and (self.webhook_url or self.email_to):
            raise ValueError(
                "monitoring has alertmanager_url beside webhook_url or email_to: the other one routes them"
            )
        email = (self.email_to, self.email_from, self.email_smarthost)
        if any(email) and not all(email):
            raise ValueError("monitoring needs all of email_to, email_from and email_smarthost, or none")
        return self

    def _is_allowed(self, url: str) -> bool:
        try:
            address = ip_address(urlsplit(url).hostname or "")
        except ValueError:
            return False
        return any(address in ip_network(network) for network in self.allowed_cidrs)
