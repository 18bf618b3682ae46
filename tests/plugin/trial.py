"""A Pulumi project of one volume and one node, for tests that drive the plugin through the real engine."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodestack.automation import engine
from tests.e2e import victims
from tests.plugin import inputs
from tests.plugin.engine import ROOT

PROGRAM = '''"""A volume, and a node that holds it."""

import json
from pathlib import Path

import pulumi
from nodestack.components.resources import Node, Volume

wanted = json.loads(Path("wanted.json").read_text())
account, bought = wanted["account"], wanted["bought"]
volume = Volume(
    "volume",
    {"account": account, "name": "weights" + wanted["suffix"], "sizeGib": wanted["size_gib"], **bought},
    pulumi.ResourceOptions(),
)
if wanted["node"]:
    Node(
        "node",
        {
            "account": account,
            "name": "web" + wanted["suffix"],
            "shape": wanted["shape"],
            "volumeId": volume.volumeId,
            "sshPrivateKey": pulumi.Config().require_secret("ssh_private_key"),
            **bought,
        },
        pulumi.ResourceOptions(),
    )
'''


@dataclass(frozen=True)
class Run:
    """How a command of the engine ended."""

    status: int
    text: str

    @property
    def changes(self) -> dict[str, int]:
        """Numbers of resources by what was done or is planned, as the engine sums them up."""
        summary = self.text.rpartition("Resources:")[2]
        return {word: int(count) for count, word in re.findall(r"(\d+) (?:to )?([a-z]+)", summary.split("Duration")[0])}


class Trial:
    """The project, its stack and its account.

    Attributes:
        directory: Where all of it is.
        wanted: What its program declares; `bought` says which machine, where a cloud sells more than one, `suffix` how
            the names of node and volume end.
    """

    def __init__(self, directory: Path, account: dict[str, Any] | None = None) -> None:
        self.directory = directory
        self.wanted: dict[str, Any] = {
            "account": account or {"kind": "local", "directory": str(directory / "an account")},
            "bought": {},
            "size_gib": 1,
            "node": True,
            "shape": "local",
            "suffix": "",
        }
        (directory / "backend").mkdir()
        (directory / "program").mkdir()
        (directory / "program" / "__main__.py").write_text(PROGRAM)
        python = {"name": "python", "options": {"virtualenv": sys.prefix}}
        providers = [{"name": "nodestack", "path": str(ROOT / "infra" / "provider")}]
        project = {"name": "nodestack", "runtime": python, "main": "program", "plugins": {"providers": providers}}
        (directory / "Pulumi.yaml").write_text(json.dumps(project))
        self.begin()

    @property
    def account(self) -> Path:
        """The local account's directory."""
        return Path(self.wanted["account"]["directory"])

    def begin(self, private_key: str = inputs.PRIVATE_KEY) -> None:
        """Make the stack, which knows of nothing."""
        self.run("stack", "init", "trial")
        self.rotate(private_key)
        self.run("config", "set", "--secret", "api_key", stdin=inputs.API_KEY)

    def rotate(self, private_key: str) -> None:
        """Give the stack another SSH key."""
        self.run("config", "set", "--secret", "ssh_private_key", stdin=private_key)

    def forget(self, private_key: str = inputs.PRIVATE_KEY) -> None:
        """Lose the state, and begin again with what the project's own files say, or with another key."""
        lost = self.run("stack", "rm", "trial", "--yes", "--force", "--preserve-config")
        assert lost.status == 0, lost.text
        self.begin(private_key)

    def want(self, **wanted: Any) -> None:
        """Write down what the program declares from now on."""
        self.wanted |= wanted
        (self.directory / "program" / "wanted.json").write_text(json.dumps(self.wanted))

    def up(self, **wanted: Any) -> Run:
        """Bring up what is wanted, with changes to it."""
        self.want(**wanted)
        return self.run("up", "--yes", "--skip-preview")

    def preview(self, **wanted: Any) -> Run:
        """Plan what is wanted, with changes to it."""
        self.want(**wanted)
        return self.run("preview", "--diff")

    def start(self, command: str = "up") -> subprocess.Popen[str]:
        """Begin to bring up what is wanted, or to destroy it, in a process group of its own."""
        return subprocess.Popen(
            [str(engine.pulumi_binary(ROOT)), command, "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, stdin: str | None = None) -> Run:
        """Run a command of the engine to its end."""
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.directory,
            env=self._environment(),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def kill(self, kinds: list[str]) -> list[int]:
        """Kill -9 this project's processes of these kinds, as `tests.e2e.victims` tells them; return their ids."""
        return victims.kill(kinds, self.directory)

    def wait_for_the_end(self, process: subprocess.Popen[str]) -> None:
        """Return when a run and all that it started have ended; what does not end by itself is killed."""
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=90)
        for kind in victims.gone(self.directory, 20):
            victims.kill([kind], self.directory)
        process.communicate(timeout=30)

    def recover(self) -> None:
        """Do what `make up` does after a kill: remove the lock, forget operations that nobody heard the end of."""
        for lock in (self.directory / "backend").glob(".pulumi/locks/**/*.json"):
            lock.unlink()
        exported = self.run("stack", "export")
        assert exported.status == 0, exported.text
        # Notes of the engine may come first.
        state = json.loads(exported.text[exported.text.index("{") :])
        if state["deployment"].pop("pending_operations", None):
            taken = self.run("stack", "import", stdin=json.dumps(state))
            assert taken.status == 0, taken.text

    def state(self) -> str:
        """The state as it is stored."""
        return next((self.directory / "backend").glob(".pulumi/stacks/**/trial.json")).read_text()

    def resource(self, kind: str) -> dict[str, Any] | None:
        """A resource as it is recorded."""
        recorded = json.loads(self.state())["checkpoint"]["latest"].get("resources", [])
        found = [entry for entry in recorded if entry["type"] == f"nodestack:index:{kind}"]
        assert len(found) <= 1
        return found[0] if found else None

    def node_id(self) -> str:
        """The id of the node as it is recorded."""
        node = self.resource("Node")
        assert node is not None
        return str(node["id"])

    def nodes(self) -> list[str]:
        """Names of the nodes of the account."""
        return sorted(path.parent.name for path in self.account.glob("nodes/*/node.json"))

    def supervisor(self) -> int:
        """Process id of the node's supervisor."""
        return int(json.loads((self.account / "nodes" / "web" / "state.json").read_text())["pid"])

    def clear(self) -> None:
        """Destroy everything and forget it."""
        destroyed = self.run("destroy", "--yes", "--skip-preview")
        assert destroyed.status == 0, destroyed.text
        shutil.rmtree(self.directory)

    def _environment(self) -> dict[str, str]:
        ours = engine.exports(ROOT)
        return {
            **{name: text for name, text in os.environ.items() if not name.startswith("PULUMI_")},
            "PATH": ours["PATH"],
            "PULUMI_HOME": ours["PULUMI_HOME"],
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_BACKEND_URL": f"file://{self.directory / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE": "for a trial",
            "PYTHONPATH": str(ROOT / "infra"),
        }
