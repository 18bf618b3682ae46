"""The one typed document of variables that the playbooks get; each field is a variable of the role it starts with."""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MACHINE_FIELDS = frozenset(
    {
        "base_identity",
        "storage_device",
        "storage_volume_handle",
        "weights_expected_manifest_sha256",
        "weights_token_file",
        "gateway_address",
        "gateway_keys_file",
        "gateway_issuer_file",
        "monitoring_receiver_secret_file",
    }
)
"""What the plugin adds for one machine and one run; the same document on another machine differs in these alone."""


class NodeDocument(BaseModel):
    """Everything site.yml needs to know about one node.

    Secrets are never in here: `*_file` fields name files of mode 0600 on the controller, "" when there is none.
    Each role's meta/argument_specs.yml checks its own part again; a test holds the two together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_identity: str = Field(description="Identity of this very machine, written to /etc/nodestack/identity.")

    nvidia_driver_version: str = Field(description="Exact driver version to install, e.g. 580.95.05.")
    nvidia_driver_minimum_version: str = Field(
        description="Oldest driver the engine runs on; a newer one is left alone."
    )
    nvidia_driver_fabric_manager: bool = Field(description="Whether the board has NVSwitches.")
    nvidia_driver_switches_on_bus: bool = Field(description="Whether such a board's NVSwitches show up on the PCI bus.")
    nvidia_driver_repository_uri: str = Field(description="Base URI of the apt repository with the driver packages.")
    nvidia_driver_repository_key_url: str = Field(description="Where the repository's armored signing key is fetched.")
    nvidia_driver_repository_key_fingerprint: str = Field(
        description="Fingerprint that key must have; '' only for a repository at the node's own loopback."
    )
    nvidia_driver_upgrade: bool = Field(
        description="Whether a driver that does not fit may be replaced; where not, such a node is refused."
    )
    nvidia_driver_cuda_toolkit: bool = Field(
        description="Whether the engine needs the CUDA toolkit, which comes from that repository."
    )

    fabric_gpu_count: int = Field(description="GPUs the node must show.")
    fabric_gpu_name: str = Field(description="GPU name as nvidia-smi prints it, e.g. NVIDIA H100 80GB HBM3.")
    fabric_gpu_memory_mib: int = Field(description="Visible memory of each GPU in MiB.")
    fabric_nvlinks_per_gpu: int = Field(description="NVLinks each GPU must have active; 0 for a node without.")
    fabric_nvlink_speed_gb_s: float = Field(description="Speed of each NVLink in GB/s.")
    fabric_nvswitch: bool = Field(description="Whether the fabric state must be Completed with Success.")
    fabric_gpu_mig: bool = Field(description="Whether the GPU can be divided (MIG), and must not be.")
    fabric_sm_clock_mhz: int = Field(description="Highest clock each GPU must offer in MHz; 0 for unknown.")
    fabric_pcie_generation: int = Field(description="PCIe generation each GPU must reach; 0 for unknown.")
    fabric_pcie_width: int = Field(description="PCIe lanes each GPU must have; 0 for unknown.")
    fabric_busbw_gb_s: float = Field(
        description="Bus bandwidth of NCCL's all-reduce known of such nodes in GB/s; 0 for unknown."
    )
    fabric_wait_s: int = Field(description="Seconds to wait for the fabric to complete.")

    storage_device: str = Field(
        description="Block device of the weights volume, e.g. /dev/vdb; '' to find the volume on the node."
    )
    storage_volume_size_gib: int = Field(
        description="Size of the volume in GiB, which a blank disk that was found must have."
    )
    storage_volume_handle: str = Field(
        description="What the cloud calls the volume: serial number, virtiofs tag or NFS export; '' for unknown."
    )
    storage_mount_point: str = Field(description="Where it is mounted; weights, engines and caches live below.")

    weights_endpoint: str = Field(description="HF_ENDPOINT, e.g. https://huggingface.co.")
    weights_repository: str = Field(description="Repository id, e.g. arcee-ai/Trinity-Large-Thinking-FP8-Block.")
    weights_commit: str = Field(description="40 hex digits.")
    weights_expected_manifest_sha256: str = Field(description="Digest recorded for this commit before; '' at first.")
    weights_token_file: str = Field(description="Controller's file with the hub token; '' for none.")
    weights_high_performance: bool = Field(
        description="Whether fetching may take the whole bandwidth: 16 files at once, not 4."
    )
    weights_fetch_limit_mbit_s: int = Field(
        description="Bandwidth of all files together in Mbit/s; 0 for all there is."
    )

    vllm_version: str = Field(description="Engine version, e.g. 0.23.0.")
    vllm_build: Literal["cpu", "cuda"] = Field(description="Which lock file of that version is installed.")
    vllm_find_links: str = Field(description="URL of a flat wheel index used instead of PyPI; '' for PyPI.")
    vllm_options: dict[str, Any] = Field(description="Engine options by name without dashes in front, for --config.")
    vllm_environment: dict[str, str] = Field(description="Environment of the unit, no secrets.")
    vllm_served_model_name: str = Field(description="Name clients ask for.")
    vllm_host: str = Field(description="Address the server listens on: only the node reaches it.")
    vllm_port: int = Field(description="TCP port the server listens on.")
    vllm_start_timeout_s: int = Field(description="Seconds from start until /health must answer.")
    vllm_shutdown_timeout_s: int = Field(description="Seconds in-flight requests get to finish on stop.")

    gateway_address: str = Field(description="Address that clients know the node by; its certificate names it.")
    gateway_port: int = Field(description="TCP port that clients connect to.")
    gateway_names: list[str] = Field(description="Further DNS names and addresses of the certificate.")
    gateway_hostname: str = Field(description="DNS name of the node, '' for none.")
    gateway_acme_email: str = Field(description="Where the ACME authority writes to; '' for the stack's own authority.")
    gateway_acme_directory: str = Field(description="Where the ACME authority is asked.")
    gateway_allowed_cidrs: list[str] = Field(description="Networks that may connect to the gateway.")
    gateway_ssh_allowed_cidrs: list[str] = Field(description="Networks that may connect by SSH.")
    gateway_firewall: bool = Field(description="Whether every other port of the node is closed.")
    gateway_requests_per_minute: int = Field(description="Requests that each key may send a minute.")
    gateway_concurrent_requests: int = Field(description="Requests that each key may have in flight.")
    gateway_max_body_mib: int = Field(description="Largest request in MiB.")
    gateway_request_timeout_s: int = Field(description="Seconds between two pieces of a reply at most.")
    gateway_url: str = Field(description="Where the node itself reaches the gateway, e.g. https://127.0.0.1:8443.")
    gateway_ca: str = Field(description="Node's file with the certificate that gateway_url is verified with.")
    gateway_key_file: str = Field(description="Node's file with the key of the node's own probes, root's alone.")
    gateway_keys_file: str = Field(description="Controller's file with the clients' API keys: a JSON object by name.")
    gateway_issuer_file: str = Field(description="Controller's file with what the node issues its certificates with.")

    monitoring_enabled: bool = Field(description="Whether the node is watched.")
    monitoring_scrape: Literal["local", "external"] = Field(description="Who reads the metrics.")
    monitoring_allowed_cidrs: list[str] = Field(description="Networks of the monitor outside.")
    monitoring_retention_days: int = Field(description="Days that metrics are kept.")
    monitoring_retention_mib: int = Field(description="Room for them on the boot disk in MiB.")
    monitoring_ttft_p95_s: float = Field(description="Service level of the time to the first token in seconds.")
    monitoring_inter_token_latency_p95_s: float = Field(description="Service level between tokens in seconds.")
    monitoring_usd_per_hour: float = Field(description="Price of the node; 0 where none is known.")
    monitoring_planned_usd_per_million: float = Field(description="Planned cost of output tokens at worst; 0 for none.")
    monitoring_alertmanager_url: str = Field(description="Alertmanager elsewhere; '' for none.")
    monitoring_webhook_url: str = Field(description="Webhook that gets alerts; '' for none.")
    monitoring_email_to: str = Field(description="Address that gets alerts; '' for none.")
    monitoring_email_from: str = Field(description="Address they come from.")
    monitoring_email_smarthost: str = Field(description="Mail server as HOST:PORT.")
    monitoring_receiver_secret_file: str = Field(
        description="Controller's file with the receiver's secret; '' for none."
    )
    monitoring_grafana: bool = Field(description="Whether Grafana is installed on the node.")
    monitoring_runbook_base_url: str = Field(description="Where the runbooks are read.")
    monitoring_journal_mib: int = Field(description="Room for the journal in MiB.")
    monitoring_journal_days: int = Field(description="Days that the journal is kept.")

    smoke_kind: Literal["chat_reasoning_tools", "chat", "completion"] = Field(description="What a healthy reply is.")
    smoke_timeout_s: int = Field(description="Seconds one reply may take.")
    smoke_interval_minutes: int = Field(description="Minutes between two runs of the smoke timer; 0 for none.")


class BenchDocument(BaseModel):
    """What bench.yml needs beside the node's document: it changes nothing that is served, so it is no part of it.

    The role's meta/argument_specs.yml checks it again; a test holds the two together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bench_prompt_tokens: int = Field(description="Tokens of each prompt.")
    bench_output_tokens: int = Field(description="Tokens of each reply.")
    bench_requests: int = Field(description="Requests in all.")
    bench_concurrency: int = Field(description="Requests in flight at most.")
    bench_timeout_s: int = Field(description="Seconds after which the load ends.")
    bench_usd_per_hour: float | None = Field(description="What the node costs; None where nobody knows.")
    bench_usd_basis: str = Field(description="Where that comes from, or why the node is free.")
    bench_max_model_len: int = Field(description="Longest sequence that the engine takes.")
    bench_length_multiple: int = Field(description="A suggested length is a multiple of this.")
    bench_least_requests: int = Field(description="Requests that a suggested length must rest on.")
    bench_tolerances: dict[str, float] = Field(description="By figure, the share by which it may be worse than before.")
    bench_accept: bool = Field(description="Hold later runs against this one, whatever it shows.")


def document_sha256(document: NodeDocument) -> str:
    """Return the digest of what was asked for: the canonical JSON of a document without its `MACHINE_FIELDS`.

    Those say where and with which files of this run the rest is applied, and the manifest digest follows from the
    commit: a digest with them would never be the same again on the next run.
    """
    asked = document.model_dump(mode="json", exclude=set(MACHINE_FIELDS))
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
