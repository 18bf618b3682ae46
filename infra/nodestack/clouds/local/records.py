"""What is written down about a node of the local cloud, and where; every file appears whole or not at all."""

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from nodestack.clouds.base import Frozen
from nodestack.errors import AmbiguousError

VOLUME_DEVICE = "/dev/vdb"
"""Where a node finds its volume."""

POWER_OFF_PATIENCE_S = 15.0
"""A node asked to stop gets this long to stop its services and unmount its volume."""

Model = TypeVar("Model", bound=Frozen)


class NodeRecord(Frozen):
    """What a node was made as; never changes.

    Attributes:
        node_id: Name and nonce.
        identity: The id and a longer nonce; another machine of the same name has another one.
        name: As requested.
        shape: As requested.
        volume_id: The attached volume.
        hardware_profile: As requested.
        image: Directory of the image's root.
        disk: File behind the volume.
        hub_log: File the node's hub appends its requests to.
    """

    node_id: str
    identity: str
    name: str
    shape: str
    volume_id: str
    hardware_profile: str
    image: str
    disk: str
    hub_log: str


class NodeState(Frozen):
    """What the supervisor tells of a running node.

    Attributes:
        pid: The supervisor, as this host counts.
        start_ticks: When it started, so that its number is never mistaken for another process's.
        address: Address on this host's loopback that takes SSH and the engine's port; "" until known.
        ssh_port: TCP port of SSH; 0 until known.
        boots: How often the machine was booted.
        problem: Why it could not go on; "" while all is well.
    """

    pid: int
    start_ticks: int
    address: str = ""
    ssh_port: int = 0
    boots: int = 0
    problem: str = ""


@dataclass(frozen=True)
class NodeHome:
    """The directory of one node."""

    directory: Path

    @property
    def name(self) -> str:
        """The node's name."""
        return self.directory.name

    @property
    def upper(self) -> Path:
        """What the node changed against its image."""
        return self.directory / "upper"

    @property
    def log(self) -> Path:
        """Where the supervisor, what it runs and the machine's console write; outlives the node, ends with the next."""
        return self.directory.parents[1] / "logs" / f"node-{self.name}.log"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor and what it started, from before it exists until all of it has ended."""
        return self.directory / "supervisor.lock"

    @property
    def alive(self) -> bool:
        """Whether any process of the node is left."""
        try:
            descriptor = os.open(self.supervisor_lock, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @property
    def condemned(self) -> bool:
        """Whether somebody has begun to delete the node; nobody may adopt it any more."""
        return self._verdict.exists()

    def condemn(self) -> None:
        """Write down that the node is being deleted, so that the next one goes on with it if we are killed."""
        # Gone already: somebody else deleted it meanwhile.
        with contextlib.suppress(FileNotFoundError):
            self._verdict.touch()

    @property
    def _verdict(self) -> Path:
        return self.directory / "condemned"

    def record(self) -> NodeRecord | None:
        """Return what the node was made as; None where creation did not get that far."""
        return read(self.directory / "node.json", NodeRecord)

    def state(self) -> NodeState | None:
        """Return what the supervisor told last; None where it has not yet."""
        return read(self.directory / "state.json", NodeState)

    def write_record(self, record: NodeRecord) -> None:
        """Write down what the node is made as."""
        write(self.directory / "node.json", record)

    def write_state(self, state: NodeState) -> None:
        """Write down how the node is; the supervisor's alone."""
        write(self.directory / "state.json", state)


def read(path: Path, model: type[Model]) -> Model | None:
    """Return what a file holds, None where there is none.

    Raises:
        AmbiguousError: It holds something else.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as invalid:
        raise AmbiguousError(
            f"{path} is not what the local cloud wrote ({invalid.error_count()} fields): restore or move it away"
        ) from invalid


def write(path: Path, content: Frozen) -> None:
    """Write a file that is there whole or not at all, whatever kills us."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w") as file:
        file.write(content.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def started_at(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, None where there is no such process or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Fields 3 (state) and 22 (starttime) of proc_pid_stat(5); the name in field 2 may hold anything but ends with ")".
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])
