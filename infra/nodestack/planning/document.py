"""The machine-independent part of the node document, from settings, plan and catalogue."""

from typing import Any

from nodestack.catalog import Catalog
from nodestack.planning.monitoring import monitoring_variables
from nodestack.planning.options import config_file
from nodestack.planning.plan import ENGINE_HOST, PORT
from nodestack.planning.result import Plan
from nodestack.settings import Settings

MOUNT_POINT = "/srv/nodestack"
NVLINK_5_FROM = 10.0
"""Compute capability from which on NVSwitches are managed over network cards and do not show on the PCI bus."""
GATEWAY_CA = "/etc/nodestack/gateway/ca.pem"
GATEWAY_KEY_FILE = "/etc/nodestack/credentials/gateway_key"
SMOKE_TIMEOUT_S = {"cuda": 300, "cpu": 180}


def node_document(settings: Settings, plan: Plan, catalog: Catalog) -> dict[str, Any]:
    """Return what the playbooks need and no machine decides.

    The keys are those of `provisioning.document.NodeDocument`; what is left out there (identity, device and
    handle of the volume, files of secrets, the recorded manifest) is added where it is known.

    Args:
        settings: The stack's settings.
        plan: Its plan.
        catalog: Where GPU, driver and engine numbers come from.
    """
    return {
        **_hardware_variables(settings, catalog),
        "storage_mount_point": MOUNT_POINT,
        "storage_volume_size_gib": settings.volume.size_gib,
        "weights_endpoint": settings.model.hub,
        "weights_repository": plan.repository,
        "weights_commit": plan.pin,
        "weights_high_performance": settings.model.allow_high_performance_fetch,
        "weights_fetch_limit_mbit_s": settings.model.fetch_limit_mbit_s or 0,
        "vllm_version": settings.engine.version,
        "vllm_build": settings.engine.build,
        "vllm_find_links": settings.engine.wheels,
        "vllm_options": config_file(plan.options),
        "vllm_environment": settings.engine.environment,
        "vllm_served_model_name": plan.served_model_name,
        "vllm_host": ENGINE_HOST,
        "vllm_port": PORT,
        "vllm_start_timeout_s": settings.engine.start_timeout_s,
        "vllm_shutdown_timeout_s": settings.serving.shutdown_timeout_s,
        **_gateway_variables(settings),
        **monitoring_variables(settings, plan, catalog),
        "smoke_kind": plan.smoke_kind,
        "smoke_timeout_s": SMOKE_TIMEOUT_S[settings.engine.build],
        "smoke_interval_minutes": settings.serving.smoke_interval_minutes,
    }


def _hardware_variables(settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """Return what the roles nvidia_driver and fabric need."""
    shape, gpu = catalog.shape(settings.node.shape), catalog.gpu(settings.node.shape)
    return {
        "nvidia_driver_version": catalog.driver.version,
        "nvidia_driver_minimum_version": catalog.engine(settings.engine.version).minimum_driver,
        "nvidia_driver_fabric_manager": shape.nvswitch,
        "nvidia_driver_switches_on_bus": gpu.compute_capability < NVLINK_5_FROM,
        "nvidia_driver_repository_uri": settings.node.driver_repository,
        "nvidia_driver_repository_key_url": settings.node.driver_repository_key_url,
        "nvidia_driver_repository_key_fingerprint": settings.node.driver_repository_key_fingerprint
        or catalog.driver.key_fingerprint(settings.node.driver_repository_key_url)
        or "",
        "nvidia_driver_upgrade": settings.node.driver_upgrade,
        "nvidia_driver_cuda_toolkit": settings.engine.build == "cuda",
        "fabric_gpu_count": shape.gpu_count,
        "fabric_gpu_name": gpu.name,
        "fabric_gpu_memory_mib": gpu.visible_mib,
        "fabric_nvlinks_per_gpu": gpu.nvlinks,
        "fabric_nvlink_speed_gb_s": gpu.nvlink_gb_per_s,
        "fabric_nvswitch": shape.nvswitch,
        "fabric_gpu_mig": gpu.mig,
        "fabric_sm_clock_mhz": gpu.sm_clock_mhz or 0,
        "fabric_pcie_generation": gpu.pcie_generation or 0,
        "fabric_pcie_width": gpu.pcie_width or 0,
        "fabric_busbw_gb_s": shape.all_reduce.low_gb_s if shape.all_reduce else 0.0,
        "fabric_wait_s": settings.node.fabric_wait_s,
    }


def _gateway_variables(settings: Settings) -> dict[str, Any]:
    """Return what the role gateway needs."""
    gateway = settings.gateway
    return {
        "gateway_port": settings.gateway_port,
        "gateway_names": list(gateway.names),
        "gateway_hostname": gateway.hostname or "",
        "gateway_acme_email": gateway.acme_email or "",
        "gateway_acme_directory": gateway.acme_directory,
        "gateway_allowed_cidrs": list(gateway.allowed_cidrs),
        "gateway_ssh_allowed_cidrs": list(gateway.ssh_allowed_cidrs),
        "gateway_firewall": settings.has_firewall,
        "gateway_requests_per_minute": gateway.requests_per_minute,
        "gateway_concurrent_requests": gateway.concurrent_requests,
        "gateway_max_body_mib": gateway.max_body_mib,
        "gateway_request_timeout_s": gateway.request_timeout_s,
        "gateway_url": f"https://{ENGINE_HOST}:{settings.gateway_port}",
        "gateway_ca": GATEWAY_CA,
        "gateway_key_file": GATEWAY_KEY_FILE,
    }
