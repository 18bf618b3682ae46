"""Where a checkout keeps what belongs to it alone: state backend, passphrase, stack files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = "nodestack"


@dataclass(frozen=True)
class Checkout:
    """A clone of this project on disk.

    Attributes:
        root: Directory of Pulumi.yaml.
    """

    root: Path

    @property
    def state(self) -> Path:
        """Directory of all that git ignores and that must not be lost."""
        return self.root / ".nodestack"

    @property
    def backend(self) -> Path:
        """Pulumi's file backend."""
        return self.state / "backend"

    @property
    def passphrase(self) -> Path:
        """File with the passphrase of the stacks' secrets, mode 0600."""
        return self.state / "passphrase"

    def stack_file(self, stack: str) -> Path:
        """The engine's configuration file of a stack."""
        return self.root / "stacks" / f"Pulumi.{stack}.yaml"

    def template(self, stack: str) -> Path:
        """What the configuration file of a stack is made from, where it is not committed itself."""
        return self.root / "stacks" / "templates" / f"{stack}.yaml"

    def source(self, stack: str) -> Path | None:
        """What says what a stack is: its file, or else the template of its name; None where there is neither."""
        return next((place for place in self._places(stack) if place.is_file()), None)

    def places(self, stack: str) -> str:
        """Where `source` looks, for a person: both files, from the checkout's directory on."""
        return " nor ".join(str(place.relative_to(self.root)) for place in self._places(stack))

    def _places(self, stack: str) -> tuple[Path, Path]:
        return self.stack_file(stack), self.template(stack)

    def checkpoint(self, stack: str) -> Path:
        """The engine's state of a stack."""
        return self.backend / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"

    def latest(self, stack: str) -> dict[str, Any]:
        """The engine's last state of a stack: resources and pending operations; empty where there is none."""
        try:
            text = self.checkpoint(stack).read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return dict(json.loads(text)["checkpoint"].get("latest") or {})

    def locks(self, stack: str) -> Path:
        """Directory of the engine's locks on a stack."""
        return self.backend / ".pulumi" / "locks" / "organization" / PROJECT / stack


def find(start: Path) -> Checkout:
    """Return the checkout that `start` lies in.

    Raises:
        FileNotFoundError: No directory above holds a Pulumi.yaml.
    """
    for directory in (start, *start.parents):
        if (directory / "Pulumi.yaml").is_file():
            return Checkout(directory)
    raise FileNotFoundError(f"no Pulumi.yaml in {start} or above: run this inside a clone of nodestack")
