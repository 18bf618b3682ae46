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
        "vllm_api_key_file",
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
    nvidia_driver_fabric_manager: bool = Field(description="Whether the node has NVSwitches.")
    nvidia_driver_repository_uri: str = Field(description="Base URI of the apt repository with the driver packages.")
    nvidia_driver_repository_key_url: str = Field(description="Where the repository's armored signing key is fetched.")

    fabric_gpu_count: int = Field(description="GPUs the node must show.")
    fabric_gpu_name: str = Field(description="GPU name as nvidia-smi prints it, e.g. NVIDIA H100 80GB HBM3.")
    fabric_gpu_memory_mib: int = Field(description="Visible memory of each GPU in MiB.")
    fabric_nvlinks_per_gpu: int = Field(description="NVLinks each GPU must have active; 0 for a node without.")
    fabric_nvlink_speed_gb_s: float = Field(description="Speed of each NVLink in GB/s.")
    fabric_nvswitch: bool = Field(description="Whether the fabric state must be Completed with Success.")
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
    vllm_host: str = Field(description="Address the server listens on.")
    vllm_port: int = Field(description="TCP port the server listens on.")
    vllm_api_key_file: str = Field(description="Controller's file with the API key.")
    vllm_start_timeout_s: int = Field(description="Seconds from start until /health must answer.")
    vllm_shutdown_timeout_s: int = Field(description="Seconds in-flight requests get to finish on stop.")

    smoke_kind: Literal["chat_reasoning_tools", "chat", "completion"] = Field(description="What a healthy reply is.")
    smoke_timeout_s: int = Field(description="Seconds one reply may take.")


def document_sha256(document: NodeDocument) -> str:
    """Return the digest of what was asked for: the canonical JSON of a document without its `MACHINE_FIELDS`.

    Those say where and with which files of this run the rest is applied, and the manifest digest follows from the
    commit: a digest with them would never be the same again on the next run.
    """
    asked = document.model_dump(mode="json", exclude=set(MACHINE_FIELDS))
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
