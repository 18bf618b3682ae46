"""Call the Pulumi engine: in the checkout, with its environment, secrets by standard input only."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodestack.automation.checkout import Checkout
from nodestack.automation.engine import environment, pulumi_binary
from nodestack.errors import NodestackError


@dataclass(frozen=True)
class Engine:
    """The engine, bound to one stack of one checkout.

    Attributes:
        checkout: The checkout.
        stack: The stack's name.
        more: What its environment has besides, such as another backend.
    """

    checkout: Checkout
    stack: str
    more: Mapping[str, str] = field(default_factory=dict)

    def stream(self, *arguments: str) -> int:
        """Run a command on the user's terminal and return its exit status."""
        return subprocess.run(self._argv(arguments), cwd=self.checkout.root, env=self._env(), check=False).returncode

    def ask(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command quietly and return what it printed.

        Args:
            arguments: The command and its flags; never a secret.
            stdin: Text for its standard input, such as a secret value.

        Raises:
            NodestackError: It failed; the message carries the engine's own last line.
        """
        done = self.run(*arguments, stdin=stdin)
        if done.returncode:
            raise NodestackError(f"pulumi {' '.join(arguments[:2])} failed: {last_line(done)}")
        return done.stdout

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command quietly and return how it ended, whatever that is; takes what `ask` takes."""
        return subprocess.run(
            self._argv(arguments),
            cwd=self.checkout.root,
            env=self._env(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(pulumi_binary(self.checkout.root)), *arguments, "--stack", self.stack]

    def _env(self) -> dict[str, str]:
        return {**environment(self.checkout.root), **self.more}


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last thing that a command complained of."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
