"""The process a local node lives under: the first of the node's namespaces, so that all of the node ends with it."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO

from nodestack.clouds.local import cgroups, commands, disk, network
from nodestack.clouds.local.records import (
    POWER_OFF_PATIENCE_S,
    VOLUME_DEVICE,
    NodeHome,
    NodeRecord,
    NodeState,
    started_at,
)
from nodestack.clouds.local.servers import Servers
from nodestack.errors import CloudError, NodestackError

_TICK_S = 1.0
# systemd-nspawn --keep-unit ends with this when the machine wants to be booted again.
_WANTS_REBOOT = 133


class StopRequest:
    """Set by SIGTERM; waiting for it ends with any signal, so also when a child ends."""

    def __init__(self) -> None:
        self.made = False
        self._wake, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGTERM, self._make)
        # The first process of a namespace hears of nothing it has no handler for.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, timeout_s: float) -> None:
        """Wait for a signal."""
        if select.select([self._wake], [], [], timeout_s)[0]:
            os.read(self._wake, 4096)

    def _make(self, _number: int, _frame: FrameType | None) -> None:
        self.made = True


class Supervisor:
    """Holds one node together from its first boot to its end; runs in the node's directory.

    Args:
        home: That directory.
        record: What the node was made as.
        lock: Descriptor of the held lock; whatever we start keeps it, so that it is free only when all has ended.
        log: Takes everybody's output.
        stop: Tells when to stop.
    """

    def __init__(self, home: NodeHome, record: NodeRecord, lock: int, log: IO[bytes], stop: StopRequest) -> None:
        self._home = home
        self._record = record
        self._lock = lock
        self._log = log
        self._stop = stop
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        # The host's /proc is still mounted, so this is our number on the host.
        pid = int(Path("/proc/self").readlink().name)
        self._state = NodeState(pid=pid, start_ticks=started_at(pid) or 0)
        self._home.write_state(self._state)

    def run(self) -> None:
        """Build the node's surroundings, boot it, and return when it has ended."""
        self._mount()
        volume = disk.attach(Path(self._record.disk))
        commands.run(["unshare", f"--net={network.NETNS}", "true"], doing="making the node's network")
        address = network.claim_address()
        way_out = self._start(network.slirp_command())
        network.forward(address)
        servers = Servers(self._record, self._start)
        servers.start_due()
        self._tell(address=address.ip, ssh_port=address.ssh_port)
        machine = self._boot(volume.device)
        stop_by: float | None = None
        while stop_by is None or time.monotonic() < stop_by:
            if self._stop.made and stop_by is None:
                stop_by = time.monotonic() + POWER_OFF_PATIENCE_S
                os.kill(machine, signal.SIGTERM)
            for ended, code in self._reap():
                if ended == way_out:
                    raise CloudError(f"the node's way to the network was lost: slirp4netns ended with {code}")
                servers.ended(ended)
                if ended == machine:
                    if code != _WANTS_REBOOT or stop_by is not None:
                        return
                    machine = self._boot(volume.device)
            servers.start_due()
            self._stop.wait(_TICK_S)
        self.say(f"not off after {POWER_OFF_PATIENCE_S:g} s, switched off")

    def tell_problem(self, problem: str) -> None:
        """Leave the reason for our end where the one who started us looks for it."""
        self.say(problem)
        self._tell(problem=problem)

    def say(self, line: str) -> None:
        """Write a line to the log."""
        self._log.write(f"supervisor: {line}\n".encode())
        self._log.flush()

    def _mount(self) -> None:
        for name in ("lower", "upper", "work", "root", "run"):
            Path(name).mkdir(exist_ok=True)
        for argv in (
            # systemd-nspawn must see the processes of our namespace, and leave nothing in the host's /run.
            ["mount", "-t", "proc", "proc", "/proc"],
            ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "run"],
            ["mkdir", "-p", "run/nspawn", "/run/systemd/nspawn"],
            ["mount", "--bind", "run/nspawn", "/run/systemd/nspawn"],
            ["touch", network.NETNS],
            # Relative, since a directory's name may hold what separates an overlay's options.
            ["mount", "--bind", self._record.image, "lower"],
            ["mount", "-t", "overlay", "overlay", "-o", "lowerdir=lower,upperdir=upper,workdir=work", "root"],
        ):
            commands.run(argv, doing="mounting the node's root")

    def _boot(self, volume: Path) -> int:
        self._tell(boots=self._state.boots + 1)
        nspawn = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--directory=root",
            f"--machine={self._record.name}", f"--network-namespace-path={self._home.directory / network.NETNS}",
            "--capability=CAP_NET_ADMIN", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe",
            f"--bind={volume}:{VOLUME_DEVICE}",
        ]  # fmt: skip
        return self._start(cgroups.inside(cgroups.group(self._record.node_id, "machine"), nspawn))

    def _start(self, argv: list[str]) -> int:
        # On a hybrid host too, the machine sees the one hierarchy that it sees on a cloud.
        environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "SYSTEMD_NSPAWN_LOCK": "0"}
        process = commands.start(argv, log=self._log, environment=environment, keep=self._lock)
        self._running[process.pid] = process
        return process.pid

    def _reap(self) -> Iterator[tuple[int, int]]:
        """Yield number and code of each process that ended; orphans of the namespace come to us as well."""
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            process = self._running.pop(pid, None)
            if process is not None:
                process.returncode = code
                yield pid, code

    def _tell(self, **changed: str | int | bool) -> None:
        self._state = self._state.model_copy(update=changed)
        self._home.write_state(self._state)


def main() -> int:
    """Run as `python -m nodestack.clouds.local.supervisor <node directory> <descriptor of its held lock>`."""
    stop = StopRequest()
    home, lock = NodeHome(Path(sys.argv[1])), int(sys.argv[2])
    os.chdir(home.directory)
    record = home.record()
    if record is None:
        return 1
    with home.log.open("ab") as log:
        supervisor = Supervisor(home, record, lock, log, stop)
        try:
            supervisor.run()
        except (NodestackError, OSError) as problem:
            supervisor.tell_problem(str(problem))
            return 1
        supervisor.say("ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
