"""A clone of this project of its own, in a path with a space, for tests that drive the real engine."""

import json
import os
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from pydantic import SecretStr

from nodestack.provisioning import keys, reach

ROOT = Path(__file__).resolve().parents[2]
STACK = "local"
NODE = f"nodestack-{STACK}-node"
TIMEOUT_S = 900


@dataclass(frozen=True)
class Run:
    """How a command ended and what it said."""

    status: int
    text: str


@dataclass(frozen=True)
class Project:
    """A checkout with a state of its own.

    Attributes:
        root: Its directory.
    """

    root: Path

    @property
    def account(self) -> Path:
        """The local cloud's account directory."""
        return self.root / ".nodestack" / "local"

    @property
    def stack_file(self) -> Path:
        """The engine's configuration of the stack."""
        return self.root / "stacks" / f"Pulumi.{STACK}.yaml"

    def environment(self) -> dict[str, str]:
        """What commands of this project run with; nothing of the caller's Pulumi reaches them."""
        ours = ("PULUMI_", "PYTHONPATH", "VIRTUAL_ENV", "MAKE")
        return {name: value for name, value in os.environ.items() if not name.startswith(ours)}

    def make(self, *arguments: str) -> Run:
        """Run a target of the Makefile to its end."""
        return self.shell(shlex.join(["make", *arguments]))

    def shell(self, command: str, **environment: str) -> Run:
        """Run a line as a user would type it, to its end."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.root,
            env=self.environment() | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        with (self.root / "runs.log").open("a", encoding="utf-8") as log:
            log.write(f"$ {command}\n{done.stdout}[exit {done.returncode}]\n")
        return Run(done.returncode, done.stdout)

    def start_up(self) -> subprocess.Popen[bytes]:
        """Begin to bring the stack up; what it says goes to `started.log`."""
        return self.start("make", "up")

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Begin a command; what it says goes to `started.log`."""
        with (self.root / "started.log").open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def started_log(self) -> str:
        """What the last started command has said so far."""
        path = self.root / "started.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def up(self) -> Run:
        """Bring the stack up."""
        return self.make("up")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        return dict(json.loads(self.make("-s", "outputs").text))

    def section(self, name: str) -> dict[str, Any]:
        """A section of the stack's settings."""
        document = yaml.safe_load(self.stack_file.read_text(encoding="utf-8"))
        return dict(document["config"].get(f"nodestack:{name}", {}))

    def configure(self, section: str, **changes: Any) -> None:
        """Change keys of a section of the stack's settings."""
        document = yaml.safe_load(self.stack_file.read_text(encoding="utf-8"))
        name = f"nodestack:{section}"
        document["config"][name] = {**document["config"].get(name, {}), **changes}
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def secret(self, name: str) -> str:
        """A secret of the stack, as the engine decrypts it."""
        from nodestack.automation.checkout import Checkout  # noqa: PLC0415 - needs the engine, which few tests do
        from nodestack.automation.engine_call import Engine  # noqa: PLC0415

        return Engine(Checkout(self.root), STACK).ask("config", "get", f"nodestack:{name}").strip()

    def client(self, timeout_s: float = 240) -> httpx.Client:
        """Return a client of the endpoint, who has its key and trusts the stack's own authority and no other."""
        outputs = self.outputs()
        return httpx.Client(
            base_url=outputs["endpoint_url"],
            verify=ssl.create_default_context(cadata=outputs["ca_certificate"]),
            headers={"Authorization": f"Bearer {self.secret('api_key')}"},
            timeout=timeout_s,
        )

    def node(self, command: str, timeout_s: float = 60) -> str:
        """Run a shell command on the node as root and return what it printed."""
        state = json.loads((self.account / "nodes" / NODE / "state.json").read_text())
        private = self.secret("ssh_private_key") + "\n"
        connection = reach.Connection(
            address=state["address"],
            port=state["ssh_port"],
            user="ubuntu",
            host_public_key=keys.host_key(private, NODE)[1],
            private_key=SecretStr(private),
        )
        return reach.run(connection, f"sudo -n sh -c {json.dumps(command)}", timeout_s)

    def supervisor(self) -> int:
        """Process id of the node's supervisor."""
        return int(json.loads((self.account / "nodes" / NODE / "state.json").read_text())["pid"])

    def hub_requests(self) -> list[dict[str, Any]]:
        """What the hub was asked for, since this project began."""
        path = self.account / "logs" / f"hub-{NODE}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def shard_bytes(self, since: int = 0) -> dict[str, int]:
        """Bytes of each shard that the hub sent, counted from its request number `since`."""
        sent: dict[str, int] = {}
        for request in self.hub_requests()[since:]:
            if request["method"] == "GET" and request["path"].endswith(".safetensors"):
                shard = request["path"].rsplit("/", 1)[-1]
                sent[shard] = sent.get(shard, 0) + request["bytes"]
        return sent

    def inject(self, *faults: dict[str, Any]) -> None:
        """Have the hub do these things wrong; see nodestack.clouds.local.hub.faults."""
        path = self.account / "logs" / f"hub-{NODE}.faults.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(faults), encoding="utf-8")

    def volumes(self) -> list[str]:
        """Names of the volumes that the account holds."""
        return sorted(path.stem for path in (self.account / "volumes").glob("*.json"))

    def nodes(self) -> list[str]:
        """Names of the nodes that the account holds."""
        return sorted(path.name for path in (self.account / "nodes").glob("*") if path.is_dir())


def clone(root: Path) -> Project:
    """Copy what git tracks or would, and set it up from the caches."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, root / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    project = Project(root)
    done = project.make("setup")
    assert done.status == 0, done.text
    return project


def processes(of: str) -> Iterator[int]:
    """Process ids whose command line or working directory names a text, this process excepted."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            directory = os.readlink(entry / "cwd")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if int(entry.name) != os.getpid() and (of in command or directory.startswith(of)):
            yield int(entry.name)


def leftovers(project: Project) -> list[str]:
    """What a torn-down project still holds of this machine: processes, mounts, loop devices."""
    place = str(project.root)
    left = [f"process {pid}" for pid in processes(place)]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").replace("\\040", " ")
    left += [f"mount {line}" for line in mounts.splitlines() if place in line]
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        if place in device.read_text(encoding="utf-8"):
            left.append(f"loop device {device}")
    return left
