"""What the node must be, as the role writes it down; whatever is missing, unknown or of another type is refused."""

import json
import pathlib
from dataclasses import dataclass, fields
from typing import Any

from nodestack_fabric import NotUnderstood

_KINDS: dict[Any, tuple[type, ...]] = {int: (int,), str: (str,), bool: (bool,), float: (int, float)}


@dataclass(frozen=True)
class Expected:
    """What the node must be.

    Attributes:
        gpu_count: GPUs it must show.
        gpu_name: Their name as nvidia-smi prints it.
        gpu_memory_mib: Memory each must show at least, in MiB.
        gpu_mig: Whether the GPU can be divided (MIG), and must not be.
        sm_clock_mhz: Highest clock of its multiprocessors in MHz; 0 for unknown.
        pcie_generation: Generation of its PCIe link; 0 for unknown.
        pcie_width: Lanes of that link; 0 for unknown.
        nvlinks_per_gpu: NVLinks each must have active; 0 for a node without.
        nvlink_speed_gb_s: Speed of each in GB/s.
        nvswitch: Whether the GPUs meet over NVSwitches.
        wait_s: Seconds the fabric may take to complete.
        harmless_xids: Xid errors that a program alone can cause.
        busbw_gb_s: Bus bandwidth of an all-reduce that is known of such nodes, in GB/s; 0 for unknown.
        busbw_floor: Share of it below which the node fails.
        busbw_pcie_gb_s: What GPUs without NVLink could reach at most; a baseline must be above it.
        busbw_tolerance: Share by which a later measurement may be below the node's own baseline.
        crc_errors_per_s: CRC errors of an NVLink from which on they matter, a second since boot.
        dcgm_level: Level of DCGM's diagnostics at acceptance, 1 to 3.
    """

    gpu_count: int
    gpu_name: str
    gpu_memory_mib: int
    gpu_mig: bool
    sm_clock_mhz: int
    pcie_generation: int
    pcie_width: int
    nvlinks_per_gpu: int
    nvlink_speed_gb_s: float
    nvswitch: bool
    wait_s: int
    harmless_xids: tuple[int, ...]
    busbw_gb_s: float
    busbw_floor: float
    busbw_pcie_gb_s: float
    busbw_tolerance: float
    crc_errors_per_s: float
    dcgm_level: int


def read(path: pathlib.Path) -> Expected:
    """Return what is expected.

    Raises:
        NotUnderstood: The file is not there, or does not hold exactly what is needed.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotUnderstood(f"{path}: {error}") from error
    names = [field.name for field in fields(Expected)]
    if not isinstance(document, dict) or set(document) != set(names):
        raise NotUnderstood(f"{path} must hold exactly {', '.join(names)}")
    for field in fields(Expected):
        value, kinds = document[field.name], _KINDS.get(field.type)
        fits = _integers(value) if kinds is None else type(value) in kinds
        if not fits:
            raise NotUnderstood(
                f"{path}: {field.name} is {value!r}, {getattr(field.type, '__name__', 'list')} is needed"
            )
    if document["gpu_count"] < 1:
        raise NotUnderstood(f"{path}: gpu_count is {document['gpu_count']}, at least 1 is needed")
    return Expected(**{**document, "harmless_xids": tuple(document["harmless_xids"])})


def _integers(value: object) -> bool:
    """Return whether it is a list of whole numbers."""
    return isinstance(value, list) and all(type(item) is int for item in value)
