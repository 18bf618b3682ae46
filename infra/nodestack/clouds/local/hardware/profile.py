"""Hardware profiles: what a node's GPUs look like, read from YAML, broken ones derived from good ones."""

import re
import uuid
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from nodestack.clouds.base import Frozen
from nodestack.errors import CloudError

PROFILES = Path(__file__).parent / "profiles"
_PAIR = re.compile(r"GPU(\d+)-GPU(\d+)")


class GpuModel(Frozen):
    """What all GPUs of a node have in common.

    Attributes:
        name: As nvidia-smi prints it.
        memory_mib: Visible memory in MiB.
        power_limit_w: Power limit in W.
        pci_id: Device on the PCI bus, e.g. 10de:2330.
        vbios: Version of the video BIOS.
        sm_clock_mhz: Highest clock of its multiprocessors in MHz.
    """

    name: str
    memory_mib: Annotated[int, Field(gt=0)]
    power_limit_w: Annotated[int, Field(gt=0)]
    pci_id: Annotated[str, Field(pattern=r"^10de:[0-9a-f]{4}$")]
    vbios: str
    sm_clock_mhz: Annotated[int, Field(gt=0)]


class Fabric(Frozen):
    """What every GPU says about its registration with the NVSwitch fabric.

    Attributes:
        state: Not Started, In Progress or Completed.
        status: Success, or why not; N/A until completed.
        manager_on_node: Whether it only gets that far once this node's own fabric manager runs.
    """

    state: str
    status: str
    manager_on_node: bool


class Profile(Frozen):
    """One node's hardware.

    Attributes:
        source: Where the figures and the layout come from.
        date: When they were read.
        gpu: The GPU model.
        bus_ids: PCI bus of each GPU in order; their number is the number of GPUs the board has.
        links_per_gpu: NVLinks a GPU has.
        link_speed_gb_s: Speed of each in GB/s.
        gpu_to_gpu: How two GPUs reach each other, as in `nvidia-smi topo -m`.
        numa_cpus: CPUs of each NUMA node; GPUs and network cards are spread over them evenly.
        network_cards: Network cards, the first beside the first GPU and so on.
        nvswitches: PCI bus of each NVSwitch that the node itself sees.
        fabric: State of the NVSwitch fabric.
        pairs: Pairs that differ, e.g. {"GPU2-GPU3": "PIX"}.
        inactive_links: Links that did not train, by GPU.
        missing_gpus: GPUs that do not show up.
        uncorrectable_errors: Volatile uncorrectable ECC errors, by GPU.
        pending_row_remaps: GPUs whose row remap waits for a reset.
    """

    source: str
    date: str
    gpu: GpuModel
    bus_ids: tuple[Annotated[str, Field(pattern=r"^[0-9A-F]{2}$")], ...]
    links_per_gpu: Annotated[int, Field(ge=0)]
    link_speed_gb_s: Annotated[float, Field(ge=0)]
    gpu_to_gpu: str
    numa_cpus: Annotated[tuple[str, ...], Field(min_length=1)]
    network_cards: Annotated[int, Field(ge=0)]
    nvswitches: tuple[Annotated[str, Field(pattern=r"^[0-9A-F]{2}$")], ...] = ()
    fabric: Fabric
    pairs: dict[Annotated[str, Field(pattern=f"^{_PAIR.pattern}$")], str] = Field(default_factory=dict)
    inactive_links: dict[int, tuple[int, ...]] = Field(default_factory=dict)
    missing_gpus: tuple[int, ...] = ()
    uncorrectable_errors: dict[int, int] = Field(default_factory=dict)
    pending_row_remaps: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _only_gpus_that_exist(self) -> Self:
        named = {*self.inactive_links, *self.missing_gpus, *self.uncorrectable_errors, *self.pending_row_remaps}
        named.update(gpu for pair in self.pairs for gpu in ends(pair))
        unknown = sorted(named - set(range(len(self.bus_ids))))
        if unknown:
            raise ValueError(f"GPU{unknown[0]} is changed, but the board has {len(self.bus_ids)} GPUs")
        return self

    @property
    def gpus(self) -> tuple[int, ...]:
        """Places on the board of the GPUs that show up; nvidia-smi numbers them anew from 0."""
        return tuple(place for place in range(len(self.bus_ids)) if place not in self.missing_gpus)

    def numa(self, place: int, of: int) -> int:
        """Return the NUMA node of the place-th of so many devices."""
        return place * len(self.numa_cpus) // of

    def path(self, one: int, other: int) -> str:
        """Return how two GPUs, by place on the board, reach each other."""
        low, high = sorted((one, other))
        return self.pairs.get(f"GPU{low}-GPU{high}", self.gpu_to_gpu)

    def uuid(self, place: int) -> str:
        """Return a GPU's UUID: made up, always the same for the same place and model."""
        return f"GPU-{uuid.uuid5(uuid.NAMESPACE_OID, f'{self.gpu.name} {self.bus_ids[place]}')}"


def ends(pair: str) -> tuple[int, int]:
    """Return the two GPUs of a pair such as GPU2-GPU3."""
    found = _PAIR.fullmatch(pair)
    if found is None:
        raise ValueError(f"{pair!r} is no pair of GPUs: write it as GPU2-GPU3")
    return int(found[1]), int(found[2])


def profiles() -> tuple[str, ...]:
    """Return the names of all profiles, sorted."""
    return tuple(sorted(path.stem for path in PROFILES.glob("*.yaml")))


@cache
def load(name: str) -> Profile:
    """Return a profile by name.

    Raises:
        CloudError: There is no such profile, or its file is malformed.
    """
    if name not in profiles():
        raise CloudError(f"hardware profile {name!r} does not exist: choose one of {', '.join(profiles())}")
    try:
        return Profile.model_validate(_merged(name))
    except ValidationError as error:
        raise CloudError(f"hardware profile {name}: {error.errors()[0]['msg']}") from error


def _merged(name: str) -> dict[str, Any]:
    """Return a profile's keys laid over those of its base."""
    own: dict[str, Any] = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    base = own.pop("base", None)
    return own if base is None else {**_merged(base), **own}
