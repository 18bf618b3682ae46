"""Where the Pulumi engine is, and which environment it gets."""

import os
import shlex
import sys
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nodestack.automation import simulation
from nodestack.automation.checkout import Checkout, find
from nodestack.errors import NodestackError


class EngineRecord(BaseModel):
    """What set-up wrote down about the engine.

    Attributes:
        way: How it came here: found on PATH, by the official installer, or built from Go modules.
        pulumi: The program.
        directory: What belongs on PATH for it; holds the language host too, unless `way` is "path".
        reason: Why this way, for a person.
        key: What set-up decided from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Literal["path", "installer", "built"]
    pulumi: Path
    directory: Path
    reason: str
    key: str


def record(checkout: Path) -> EngineRecord:
    """Return what set-up wrote down.

    Raises:
        NodestackError: This checkout has no engine, or it has gone.
    """
    path = Checkout(checkout).state / "engine.json"
    try:
        found = EngineRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise NodestackError(f"no Pulumi engine is set up in {checkout}: run `make setup`") from None
    if not found.pulumi.exists():
        raise NodestackError(f"the Pulumi engine has gone from {found.pulumi}: run `make setup`")
    return found


def pulumi_binary(checkout: Path) -> Path:
    """Return the engine's program; raises as `record` does."""
    return record(checkout).pulumi


def exports(checkout: Path) -> dict[str, str]:
    """Return what the engine's environment has beyond the user's own.

    What the user has set about backend, passphrase and Pulumi's home is theirs to decide and stays.

    Raises:
        NodestackError: This checkout has no engine.
    """
    place = Checkout(checkout)
    ours = {
        "PULUMI_BACKEND_URL": f"file://{place.backend}",
        "PULUMI_HOME": str(place.state / "pulumi"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(place.passphrase),
    }
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        del ours["PULUMI_CONFIG_PASSPHRASE_FILE"]
    first = [str(record(checkout).directory), str(checkout / ".venv" / "bin")]
    rest = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry not in first]
    return {
        "PATH": os.pathsep.join([*first, *rest]),
        **{name: os.environ.get(name, text) for name, text in ours.items()},
    }


def environment(checkout: Path) -> dict[str, str]:
    """Return all of the engine's environment; its backend's directory exists afterwards.

    Raises:
        NodestackError: This checkout has no engine.
    """
    given = exports(checkout)
    # A file backend must exist before the engine looks at it.
    Checkout(checkout).backend.mkdir(parents=True, exist_ok=True)
    return {**os.environ, **given}


def main() -> int:
    """Print the environment as shell code, for `eval`; of a stack that is named, with its simulated cloud's key."""
    try:
        checkout = find(Path.cwd())
        given = exports(checkout.root)
        for stack in sys.argv[1:]:
            given |= simulation.credentials(checkout, stack)
    except (NodestackError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, text in given.items():
        print(f"export {name}={shlex.quote(text)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
