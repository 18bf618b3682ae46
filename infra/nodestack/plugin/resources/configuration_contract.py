"""What goes into a Configuration, and what comes out of it."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from nodestack.plugin.resources.base import Args, Typed
from nodestack.provisioning.bench_report import BenchResult
from nodestack.provisioning.document import MACHINE_FIELDS, NodeDocument
from nodestack.provisioning.report import (
    DriverResult,
    EngineResult,
    FabricResult,
    SmokeResult,
    WeightsResult,
)


def _without_machine(document: object) -> object:
    """Fill the fields that belong to one machine and run with nothing, so that the rest is checked as what it is."""
    if not isinstance(document, dict):
        return document
    if given := sorted(MACHINE_FIELDS & document.keys()):
        raise ValueError(f"{', '.join(given)}: set for each machine, leave out of the document")
    return document | dict.fromkeys(MACHINE_FIELDS, "")


class ConfigurationArgs(Args):
    """A configuration to be had.

    Attributes:
        node_id: The cloud's id of the machine.
        identity: The very machine; another one behind the same id or address needs a configuration of its own.
        address: IP address that takes SSH.
        ssh_port: TCP port of SSH.
        ssh_user: Login name, may sudo without a password.
        ssh_host_public_key: The one host key to accept.
        volume_device: Block device of the weights volume; "" where only the node can tell.
        volume_handle: What the node may see of the volume's name, by which it is found there; "" where not known.
        ssh_private_key: The key that logs in.
        api_keys: Keys that clients of the endpoint present, by name.
        hub_token: Token for the hub of the weights.
        alert_secret: Token or password of whoever carries alerts.
        document: What site.yml applies, without the machine's own fields.
        expected_manifest_sha256: Digest of the commit's manifest, where it is known beforehand; "" where not.
    """

    node_id: Annotated[str, Field(min_length=1)]
    identity: Annotated[str, Field(min_length=1)]
    address: Annotated[str, Field(min_length=1)]
    ssh_port: Annotated[int, Field(gt=0, lt=65536)]
    ssh_user: Annotated[str, Field(min_length=1)]
    ssh_host_public_key: Annotated[str, Field(min_length=1)]
    volume_device: Annotated[str, Field(pattern=r"^(/dev/|$)")]
    volume_handle: str = ""
    ssh_private_key: SecretStr
    api_keys: Annotated[dict[str, Annotated[SecretStr, Field(min_length=1)]], Field(min_length=1)]
    hub_token: SecretStr | None = None
    alert_secret: SecretStr | None = None
    document: Annotated[NodeDocument, BeforeValidator(_without_machine)]
    expected_manifest_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class ConfigurationOutputs(Typed):
    """What was proved about the machine, and whether it still holds.

    Attributes:
        manifest_sha256: Digest of the manifest the weights were verified against.
        model_commit: Commit of the weights.
        engine_version: Version of the engine that serves.
        fabric: The fabric gate's verdict.
        smoke: The smoke test's result.
        weights: What was fetched and verified.
        driver: The driver that runs.
        engine: The engine and its options.
        ca_certificate: PEM of the certificate that clients verify the endpoint with; "" where any client trusts it.
        drift: What is not as it was; empty when all is well.
        bench: What was measured last on this machine; None where nothing was.
        document_sha256: Digest of the document that was applied; "" when the last run did not end well.
        phases: Seconds each role took when it last ran.
    """

    manifest_sha256: str = ""
    model_commit: str = ""
    engine_version: str = ""
    fabric: FabricResult | None = None
    smoke: SmokeResult | None = None
    weights: WeightsResult | None = None
    driver: DriverResult | None = None
    engine: EngineResult | None = None
    bench: BenchResult | None = None
    ca_certificate: str = ""
    drift: tuple[str, ...] = ()
    document_sha256: str = ""
    phases: dict[str, float] = Field(default_factory=dict)
