"""Call the Pulumi engine: in the checkout, with its environment, secrets by standard input only."""

import subprocess
from dataclasses import dataclass

from nodestack.automation.checkout import Checkout
from nodestack.automation.engine import environment, pulumi_binary
from nodestack.errors import NodestackError


@dataclass(frozen=True)
class Engine:
    """The engine, bound to one stack of one checkout."""

    checkout: Checkout
    stack: str

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
        done = subprocess.run(
            self._argv(arguments),
            cwd=self.checkout.root,
            env=self._env(),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise NodestackError(f"pulumi {' '.join(arguments[:2])} failed: {lines[-1] if lines else 'no message'}")
        return done.stdout

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        return [str(pulumi_binary(self.checkout.root)), *arguments, "--stack", self.stack]

    def _env(self) -> dict[str, str]:
        return environment(self.checkout.root)
