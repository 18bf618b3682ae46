"""The machine-independent part of the node document, from settings, plan and catalogue."""

from typing import Any

from nodestack.catalog import Catalog
from nodestack.planning.options import config_file
from nodestack.planning.plan import PORT
from nodestack.planning.result import Plan
from nodestack.settings import Settings

MOUNT_POINT = "/srv/nodestack"
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
    shape, gpu = catalog.shape(settings.node.shape), catalog.gpu(settings.node.shape)
    return {
        "nvidia_driver_version": catalog.driver.version,
        "nvidia_driver_minimum_version": catalog.engine(settings.engine.version).minimum_driver,
        "nvidia_driver_fabric_manager": shape.nvswitch,
        "nvidia_driver_repository_uri": settings.node.driver_repository,
        "nvidia_driver_repository_key_url": settings.node.driver_repository_key_url,
        "fabric_gpu_count": shape.gpu_count,
        "fabric_gpu_name": gpu.name,
        "fabric_gpu_memory_mib": gpu.visible_mib,
        "fabric_nvlinks_per_gpu": gpu.nvlinks,
        "fabric_nvlink_speed_gb_s": gpu.nvlink_gb_per_s,
        "fabric_nvswitch": shape.nvswitch,
        "fabric_wait_s": settings.node.fabric_wait_s,
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
        "vllm_host": settings.serving.listen_address,
        "vllm_port": PORT,
        "vllm_start_timeout_s": settings.engine.start_timeout_s,
        "vllm_shutdown_timeout_s": settings.serving.shutdown_timeout_s,
        "smoke_kind": plan.smoke_kind,
        "smoke_timeout_s": SMOKE_TIMEOUT_S[settings.engine.build],
    }
