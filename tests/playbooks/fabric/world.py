"""A node as the gate sees it: the answers of all commands, without a process."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nodestack_fabric import NotUnderstood, clocks, commands, fabric_state, gpus, pcie
from nodestack_fabric.entries import Entry
from nodestack_fabric.expected import Expected
from nodestack_fabric.gate import Gate
from nodestack_fabric.measured import Measured
from nodestack_fabric.surroundings import Surroundings

from nodestack.clouds.local.hardware import load
from nodestack.clouds.local.hardware.profile import Profile
from nodestack.clouds.local.hardware.render import nvlink, nvlink_errors, query, topology
from tests.playbooks.fabric.conftest import H100, H200

QUERIES = {
    "gpus": gpus.FIELDS,
    "remaps": gpus.REMAP_FIELDS,
    "pcie": pcie.FIELDS,
    "clocks": clocks.FIELDS,
    "fabric": fabric_state.FIELDS,
    "processes": ("pid",),
}
COMMANDS: dict[tuple[str, ...], str] = {
    ("topo", "-m"): "topology",
    ("nvlink", "-s"): "nvlink",
    ("nvlink", "-e"): "nvlink-errors",
}
UPTIME_S = 600.0
TODAY = datetime.date(2026, 11, 27)
KERNEL_LOG = "Linux version 6.8.0-87-generic\nNVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.95.05\n"


def expected(**changes: object) -> Expected:
    """Return what eight H100 must be, but for what is changed."""
    whole = {**H100, **changes}
    return Expected(**{**whole, "harmless_xids": tuple(whole["harmless_xids"])})


def four_h200(**changes: object) -> Expected:
    """Return what four H200 must be, but for what is changed."""
    return expected(**{**H200, **changes})


def answers(profile: Profile) -> dict[str, str]:
    """Return what the commands print on a profile's hardware, by the names used here."""
    recorded = query(profile)
    told: dict[str, str] = {"topology": topology(profile), "nvlink": nvlink(profile)}
    told |= {"nvlink-errors": nvlink_errors(profile), "kernel-log": KERNEL_LOG, "processes": ""}
    for name in ("gpus", "remaps", "pcie", "clocks", "fabric"):
        rows = recorded["remapped_rows" if name == "remaps" else "gpu"]
        assert isinstance(rows, list)
        told[name] = "".join(f"{', '.join(_cell(row[key], profile) for key in QUERIES[name])}\n" for row in rows)
    return told


def _cell(text: str, profile: Profile) -> str:
    filled = text.replace("@FABRIC_STATE@", profile.fabric.state).replace("@FABRIC_STATUS@", profile.fabric.status)
    return filled.removesuffix(" MiB").removesuffix(" MHz")


@dataclass
class World:
    """A node, its programs, and what was measured on it before.

    Attributes:
        told: What each command prints, by the names used here.
        ends: How a command ends that does not end with 0.
        programs: Programs that are installed beside the driver.
        measured: What was measured on these GPUs before.
        asked: Commands that were run, in order.
    """

    told: dict[str, str]
    ends: Mapping[str, int] = field(default_factory=dict)
    programs: Iterable[str] = ()
    measured: Measured | None = None
    asked: list[str] = field(default_factory=list)
    waited_s: float = 0.0

    def run(self, *command: str, answers: tuple[int, ...] | None = (0,), timeout_s: int = 0) -> str:
        """Answer as the node would."""
        assert timeout_s >= 0
        name = named(command)
        self.asked.append(name)
        if name not in self.told:
            raise NotUnderstood(f"{command[0]}: no such command")
        return commands.answer(command, answers, self.ends.get(name, 0), self.told[name], "")

    def find(self, program: str, places: Sequence[str]) -> str | None:
        """Find a program that is installed."""
        assert all(place.startswith("/") for place in places)
        return program if program in self.programs else None

    def judged(self, wanted: Expected, *, acceptance: bool = False, again: bool = False) -> list[Entry]:
        """Return the verdict, and remember what was measured."""
        around = Surroundings(
            run=self.run,
            find=self.find,
            tell=lambda text: None,
            clock=lambda: self.waited_s,
            sleep=self._sleep,
            uptime_s=lambda: UPTIME_S,
            today=lambda: TODAY,
        )
        gate = Gate(wanted, around, self._recall, acceptance=acceptance, again=again)
        entries = gate.judge()
        self.measured = gate.measured or self.measured
        return entries

    def _recall(self, uuids: tuple[str, ...]) -> Measured:
        known = self.measured
        return known if known is not None and known.gpus == uuids else Measured(uuids)

    def _sleep(self, seconds: float) -> None:
        self.waited_s += seconds


def world(profile: str = "h100-sxm5-x8", **told: str) -> World:
    """Return a node with this hardware, which answers differently where that is said."""
    return World({**answers(load(profile)), **{name.replace("_", "-"): text for name, text in told.items()}})


def named(command: Sequence[str]) -> str:
    """Return the name of a command here."""
    program, *arguments = command
    if program != "nvidia-smi":
        return {"journalctl": "kernel-log", "dcgmi": "dcgm", "all_reduce_perf": "all-reduce"}[program]
    if tuple(arguments) in COMMANDS:
        return COMMANDS[tuple(arguments)]
    fields = tuple(arguments[0].split("=", 1)[1].split(","))
    return next(name for name, own in QUERIES.items() if own == fields)
