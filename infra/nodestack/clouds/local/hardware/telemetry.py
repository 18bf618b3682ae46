"""What the GPUs of a profile measure of themselves, as DCGM's fields; the stand-in exporter replays it."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nodestack.clouds.base import Frozen

if TYPE_CHECKING:
    from nodestack.clouds.local.hardware.profile import Profile

Percent = Annotated[int, Field(ge=0, le=100)]


class Telemetry(Frozen):
    """Readings that are the same for all GPUs, and those of single ones that differ.

    Attributes:
        gpu_celsius: Temperature of the GPU.
        memory_celsius: Temperature of its memory.
        power_w: Power it draws.
        sm_clock_mhz: Clock of its processors.
        utilisation_percent: Share of time that a kernel ran.
        memory_used_mib: Memory taken, in MiB.
        hot_gpus: Temperatures that differ, by GPU.
        hot_memories: Temperatures of memories that differ, by GPU.
        xids: Last Xid error, by GPU.
        nvlink_recoveries: NVLinks that were retrained since boot, by GPU.
    """

    gpu_celsius: int = 32
    memory_celsius: int = 41
    power_w: Annotated[float, Field(ge=0)] = 71
    sm_clock_mhz: int = 1980
    utilisation_percent: Percent = 0
    memory_used_mib: Annotated[int, Field(ge=0)] = 1
    hot_gpus: dict[int, int] = Field(default_factory=dict)
    hot_memories: dict[int, int] = Field(default_factory=dict)
    xids: dict[int, int] = Field(default_factory=dict)
    nvlink_recoveries: dict[int, int] = Field(default_factory=dict)


def dcgm(profile: "Profile") -> list[dict[str, object]]:
    """Return the labels and fields of each GPU that shows up, as DCGM names them before 4.7."""
    return [_gpu(profile, index, place) for index, place in enumerate(profile.gpus)]


def _gpu(profile: "Profile", index: int, place: int) -> dict[str, object]:
    read, errors = profile.telemetry, profile.uncorrectable_errors.get(place, 0)
    pending = place in profile.pending_row_remaps
    return {
        "labels": {
            "gpu": str(index),
            "UUID": profile.uuid(place),
            "pci_bus_id": f"00000000:{profile.bus_ids[place]}:00.0",
            "device": f"nvidia{index}",
            "modelName": profile.gpu.name,
        },
        "fields": {
            "DCGM_FI_DEV_SM_CLOCK": read.sm_clock_mhz,
            "DCGM_FI_DEV_GPU_TEMP": read.hot_gpus.get(place, read.gpu_celsius),
            "DCGM_FI_DEV_MEMORY_TEMP": read.hot_memories.get(place, read.memory_celsius),
            "DCGM_FI_DEV_POWER_USAGE": read.power_w,
            "DCGM_FI_DEV_GPU_UTIL": read.utilisation_percent,
            "DCGM_FI_DEV_MEM_COPY_UTIL": 0,
            "DCGM_FI_DEV_FB_FREE": profile.gpu.memory_mib - read.memory_used_mib,
            "DCGM_FI_DEV_FB_USED": read.memory_used_mib,
            "DCGM_FI_DEV_XID_ERRORS": read.xids.get(place, 0),
            "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 0,
            "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": errors,
            "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": int(pending),
            "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS": 0,
            "DCGM_FI_DEV_ROW_REMAP_PENDING": int(pending),
            "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0,
            "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": 0,
            "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": 0,
            "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": 0,
            "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": read.nvlink_recoveries.get(place, 0),
            "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": 0,
        },
    }
