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
        mig: Whether it can be divided.
        sm_clock_mhz: Highest clock of its multiprocessors in MHz, where it is known.
        pcie_generation: Generation of its PCIe link, where it is known.
        pcie_width: Lanes of that link, where they are known.
    """

    name: str
    visible_mib: Positive
    nominal_gb: Positive
    compute_capability: PositiveFloat
    interconnect: Literal["nvlink", "pcie"] = "nvlink"
    nvlinks: Annotated[int, Field(ge=0)]
    nvlink_gb_per_s: Annotated[float, Field(ge=0)]
    peer_gb_per_s: PositiveFloat | None = None
    mig: bool = False
    sm_clock_mhz: Positive | None = None
    pcie_generation: Positive | None = None
    pcie_width: Positive | None = None


class AllReduce(Fact):
    """What NCCL's all-reduce reaches on a node that is well.

    Attributes:
        low_gb_s: Lower end of the bus bandwidths that were seen, in GB/s, at 8 GiB.
        high_gb_s: Upper end.
    """

    low_gb_s: PositiveFloat
    high_gb_s: PositiveFloat


class Shape(Entry):
    """A node shape.

    Attributes:
        gpu: Name of its GPU.
        gpu_count: GPUs of one machine.
        machines: Machines that serve one model together.
        nvswitch: Whether GPUs meet over NVSwitches, which need a fabric manager.
        runs_on: What the engine computes on; "cpu" where the GPUs are replayed.
        memory_gib: CPU memory of one machine in GiB, where it is known.
        all_reduce: What an all-reduce reaches on one machine, where it is known.
    """

    gpu: str
    gpu_count: Positive
    machines: Positive = 1
    nvswitch: bool
    runs_on: Literal["gpu", "cpu"]
    memory_gib: Positive | None = None
    all_reduce: AllReduce | None = None

    @property
    def gpus(self) -> int:
        """GPUs of all its machines."""
        return self.gpu_count * self.machines


class Nodes(Entry):
    """GPUs and the shapes made of them."""

    gpus: dict[str, Gpu]
    shapes: dict[str, Shape]
