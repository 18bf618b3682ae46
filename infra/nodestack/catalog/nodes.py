"""GPUs and the node shapes made of them."""

from typing import Annotated, Literal

from pydantic import Field

from nodestack.catalog.entry import Entry, Fact, Positive, PositiveFloat


class Gpu(Fact):
    """A GPU as the driver shows it.

    Attributes:
        visible_mib: Memory in MiB that nvidia-smi reports.
        nominal_gb: Memory in GB as it is sold.
        compute_capability: 9.0 for Hopper, 10.0 for Blackwell.
        interconnect: How GPUs of one node reach each other.
        nvlinks: NVLinks a GPU has; 0 over PCIe.
        nvlink_gb_per_s: Speed of each in GB/s as nvidia-smi shows it; 0 over PCIe.
        peer_gb_per_s: What a GPU can send to the others of its machine, one way, in GB/s.
    """

    name: str
    visible_mib: Positive
    nominal_gb: Positive
    compute_capability: PositiveFloat
    interconnect: Literal["nvlink", "pcie"] = "nvlink"
    nvlinks: Annotated[int, Field(ge=0)]
    nvlink_gb_per_s: Annotated[float, Field(ge=0)]
    peer_gb_per_s: PositiveFloat | None = None


class Shape(Entry):
    """A node shape.

    Attributes:
        gpu: Name of its GPU.
        gpu_count: GPUs of one machine.
        machines: Machines that serve one model together.
        nvswitch: Whether GPUs meet over NVSwitches, which need a fabric manager.
        runs_on: What the engine computes on; "cpu" where the GPUs are replayed.
        memory_gib: CPU memory of one machine in GiB, where it is known.
    """

    gpu: str
    gpu_count: Positive
    machines: Positive = 1
    nvswitch: bool
    runs_on: Literal["gpu", "cpu"]
    memory_gib: Positive | None = None

    @property
    def gpus(self) -> int:
        """GPUs of all its machines."""
        return self.gpu_count * self.machines


class Nodes(Entry):
    """GPUs and the shapes made of them."""

    gpus: dict[str, Gpu]
    shapes: dict[str, Shape]
