"""Simulated paid clouds with a stack in them, for tests that drive the real engine against each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodestack.clouds.accounts import key_variables
from nodestack.clouds.simulated.faults import Faults
from nodestack.clouds.simulated.kinds import KINDS
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Machine, Rules
from nodestack.clouds.simulated.world import World
from tests.clouds.answering import AnsweringMachines
from tests.plugin.trial import Run, Trial

WISH = {"wish": {"gpu": "H100", "gpuCount": 8, "sxm": True}}
CLOUDS = ["spheron", pytest.param("verda", marks=pytest.mark.qualify)]
"""Each cloud, for a parametrised fixture; CI drives the engine against the first."""


@dataclass(frozen=True)
class Cloud:
    """One simulated account.

    Attributes:
        kind: Whose API it speaks.
        base_url: Where.
        world: What it holds and sells.
        faults: What goes wrong, and what it was asked for.
    """

    kind: str
    base_url: str
    world: World
    faults: Faults

    @property
    def nodes(self) -> str:
        """Path of its nodes."""
        return {"spheron": "/api/deployments", "verda": "/v1/instances"}[self.kind]

    @property
    def volumes(self) -> str:
        """Path of its volumes."""
        return {"spheron": "/api/volumes", "verda": "/v1/volumes"}[self.kind]

    @property
    def account(self) -> dict[str, str]:
        """What a stack calls it."""
        return {"kind": self.kind, "base_url": self.base_url}

    def orders(self, path: str) -> int:
        """Return how often something was ordered."""
        return sum((asked.method, asked.path) == ("POST", path) for asked in self.faults.asked)

    def machine(self, name: str = "web") -> Machine:
        """Return the one machine of a name."""
        (machine,) = (one for one in self.world.living() if one.order.name == name)
        return machine

    def require_one(self, trial: Trial, run: Run) -> Machine:
        """Assert that a run ended well, with one node that has the one volume, and that there never were two."""
        assert run.status == 0, run.text
        suffix = trial.wanted["suffix"]
        machine, weights = self.machine(f"web{suffix}"), f"weights{suffix}"
        assert trial.node_id() == machine.machine_id
        disks = [disk for disk in self.world.disks.values() if disk.name == weights]
        assert [disk.attached_to for disk in disks] == [machine.machine_id]
        report = self.world.report()
        assert report.most_alive[machine.order.name] == 1
        assert weights not in report.volumes_deleted
        return machine


@contextmanager
def opened(kind: str) -> Iterator[Cloud]:
    """Yield an empty account whose nodes take SSH, with its keys in the environment."""
    known = KINDS[kind]
    world, faults = World(known.market(), AnsweringMachines(), rules=Rules(page_size=2)), Faults()
    with pytest.MonkeyPatch.context() as patch, serve(known.open(world, known.keys, faults).app) as base_url:
        for name, variable in key_variables(known.account).items():
            patch.setenv(variable, known.keys[name])
        yield Cloud(kind, f"{base_url}{known.path}", world, faults)
        world.close()


def trial_in(cloud: Cloud, directory: Path, suffix: str = "") -> Trial:
    """Return a stack of an account, whose node and volume have names that end so."""
    trial = Trial(directory, dict(cloud.account))
    trial.wanted["suffix"] = suffix
    return trial
