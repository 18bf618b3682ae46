"""Simulated clouds over HTTP and a checkout of its own, for commands that are processes of their own."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.clouds.offers import Offer
from nodestack.clouds.simulated import market, spheron, verda
from nodestack.clouds.simulated.faults import Faults
from nodestack.clouds.simulated.machines import Order
from nodestack.clouds.simulated.server import serve
from nodestack.clouds.simulated.things import Disk, Machine
from nodestack.clouds.simulated.world import World
from tests.commands.runs import ROOT

Run = subprocess.CompletedProcess[str]


@dataclass
class Account:
    """A simulated account, and the command line before it.

    Attributes:
        kind: `spheron` or `verda`.
        base_url: Where it is asked.
        world: What it holds and sells.
        faults: What was asked, and what goes wrong.
        checkout: The clone that commands run in.
        keys: Environment variables with its key.
    """

    kind: str
    base_url: str
    world: World
    faults: Faults
    checkout: Checkout
    keys: dict[str, str]
    states: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def section(self) -> dict[str, str]:
        return {"kind": self.kind, "base_url": self.base_url}

    def stack(self, name: str) -> None:
        """Give the checkout a stack whose cloud this is."""
        shape = {"shape": "8x-h100-sxm5", "driver_repository": "r", "driver_repository_key_url": "k"}
        config: dict[str, Any] = {f"{PROJECT}:cloud": self.section, f"{PROJECT}:node": shape}
        config |= {
            f"{PROJECT}:model": {"name": "trinity-large-thinking", "format": "fp8-block"},
            f"{PROJECT}:engine": {"version": "0.23.0"},
            f"{PROJECT}:volume": {"size_gib": 600},
        }
        file = self.checkout.stack_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"config": config}))

    def record(self, stack: str, kind: str, thing_id: str, name: str) -> None:
        """Have a stack's state know something, as the engine writes it."""
        known = self.states.setdefault(stack, [])
        inputs = {"account": self.section, "name": name}
        known.append({"type": f"nodestack:index:{kind}", "id": thing_id, "inputs": inputs, "outputs": {}})
        file = self.checkout.checkpoint(stack)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": known}}}))

    def lock(self, stack: str, pid: int) -> Path:
        """Lock a stack as the engine does."""
        file = self.checkout.locks(stack) / "0.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"pid": pid, "username": "u", "hostname": os.uname().nodename}))
        return file

    def node(self, name: str, hours: float = 0) -> Machine:
        """Order a node, so many hours ago."""
        offer = self.world.market[0]
        self.world.stock[(offer.offer_id, offer.region, offer.market)] += 1
        machine = self.world.order(Order(name=name, offer=offer), unique_names=False)
        machine.ordered_at -= timedelta(hours=hours)
        return machine

    def volume(self, name: str) -> Disk:
        offer = self.world.market[0]
        return self.world.make_disk(name, 600, offer.provider, offer.region, unique_names=False)

    def run(self, *arguments: str, **environment: str) -> Run:
        """Run a command in the checkout, away from any terminal."""
        return subprocess.run(
            [sys.executable, "-m", "nodestack.cli", *arguments],
            cwd=self.checkout.root,
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def on_terminal(self, answers: str, *arguments: str) -> Run:
        """Run a command that can ask."""
        ours, its = pty.openpty()
        try:
            os.write(ours, answers.encode())
            return subprocess.run(
                [sys.executable, "-m", "nodestack.cli", *arguments],
                cwd=self.checkout.root,
                env=self.environment(),
                stdin=its,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            os.close(its)
            os.close(ours)

    def environment(self) -> dict[str, str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("PULUMI_")}
        return inherited | self.keys | {"PYTHONPATH": str(ROOT / "infra")}

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return its JSON."""
        found = self.run(*arguments, "--json")
        assert found.returncode == code, found.stderr
        return json.loads(found.stdout)

    def asked(self) -> list[str]:
        """Return every request that came, e.g. `GET /api/volumes`."""
        return [f"{one.method} {one.path}" for one in self.faults.asked]


def checkout_at(directory: Path) -> Checkout:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    return Checkout(directory)


@contextmanager
def spheron_account(directory: Path, goods: list[tuple[Offer, int]] | None = None) -> Iterator[Account]:
    """Yield a new Spheron account whose lists come in pages of 100."""
    world, faults = World(goods or market.standard(), balance_usd=1e9), Faults()
    world.rules = world.rules.model_copy(update={"pages": True})
    with serve(spheron.app(world, faults)) as base_url:
        keys = {"SPHERON_API_KEY": spheron.API_KEY}
        yield Account("spheron", base_url, world, faults, checkout_at(directory), keys)


@contextmanager
def verda_account(directory: Path) -> Iterator[Account]:
    """Yield a new Verda project."""
    world, faults = World(verda.market(), balance_usd=1e9), Faults()
    project = verda.Project(world, "the-client", "the-client-secret")
    with serve(verda.application(project, faults)) as base_url:
        keys = {"VERDA_CLIENT_ID": "the-client", "VERDA_CLIENT_SECRET": "the-client-secret"}
        yield Account("verda", f"{base_url}/v1", world, faults, checkout_at(directory), keys)
