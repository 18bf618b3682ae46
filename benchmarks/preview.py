"""What `pulumi preview` of a production stack costs, against the preview of a program that declares nothing.

Run anywhere in the checkout: `python -m benchmarks.preview [--runs N]`. Both sides run in turn on the same machine. The
production stack is stacks/templates/production.yaml as it comes, with generated secrets, and a hub on this machine that
has the pinned commit, so that the preview asks one as it would ask the real hub. Nothing is created.
Ends with the ratio of the medians and fails above the limit; the plugin's own start is shown beside it.
"""

import argparse
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from benchmarks.empty_project import STACK, empty_project, scratch_environment, seconds_of
from tests import hubs

from nodestack.automation.checkout import find
from nodestack.automation.engine import pulumi_binary
from nodestack.catalog import load
from nodestack.provisioning import keys

LIMIT = 2.0


def main() -> int:
    """Measure, print both medians and their ratio; 1 above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="pairs (default: 5)")
    parser.add_argument("--record", type=Path, help="file that gets the ratio as JSON")
    options = parser.parse_args()
    root = find(Path.cwd()).root
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with hubs.running(scratch, "--root", str(_hub_with_the_pin(scratch / "hub"))) as hub:
            empty, environ = empty_project(scratch, root)
            floor = [str(pulumi_binary(root)), "preview", "--stack", STACK]
            project = _production(scratch, root, hub.endpoint)
            ours = [str(pulumi_binary(root)), "preview", "--stack", "production"]
            seconds_of(floor, empty, environ)
            seconds_of(ours, project, environ)
            floors, mine = [], []
            for _ in range(options.runs):
                floors.append(seconds_of(floor, empty, environ))
                mine.append(seconds_of(ours, project, environ))
    plugin = statistics.median(_plugin_start_s(root) for _ in range(options.runs))
    ratio = statistics.median(mine) / statistics.median(floors)
    print(f"preview of an empty program: {_shown(floors)} s")
    print(f"preview of the production stack, the hub asked: {_shown(mine)} s (the plugin's start {plugin:.2f} s)")
    print(f"ratio {ratio:.2f} (limit {LIMIT}), medians of {options.runs} pairs")
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        figures = {"preview to empty preview": round(ratio, 2), "plugin start s": round(plugin, 2)}
        options.record.write_text(json.dumps(figures), encoding="utf-8")
    return int(ratio > LIMIT)


def _production(scratch: Path, root: Path, hub: str) -> Path:
    """Make a project of the checkout's own program with stacks of its own; return its directory."""
    project = scratch / "project"
    (project / "stacks").mkdir(parents=True)
    for name in ("Pulumi.yaml", "infra", ".venv"):
        (project / name).symlink_to(root / name)
    document = yaml.safe_load((root / "stacks/templates/production.yaml").read_text(encoding="utf-8"))
    document["config"]["nodestack:model"]["hub"] = hub
    (project / "stacks/Pulumi.production.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    _engine(root, project, scratch, "stack", "init", "production")
    for key, value in (("api_key", secrets.token_urlsafe(32)), ("ssh_private_key", keys.generate())):
        _engine(
            root, project, scratch, "config", "set", "--stack", "production", "--secret", f"nodestack:{key}", said=value
        )
    return project


def _engine(root: Path, project: Path, scratch: Path, *arguments: str, said: str | None = None) -> None:
    command = [str(pulumi_binary(root)), *arguments]
    environ = scratch_environment(scratch, root)
    subprocess.run(command, cwd=project, env=environ, check=True, capture_output=True, input=said, text=True)


def _hub_with_the_pin(directory: Path) -> Path:
    """Make the repository that the production stack pins, with one small file; return the hub's root."""
    weights = load().format("trinity-large-thinking", "fp8-block")
    repository = directory / weights.repository
    (repository / str(weights.commit)).mkdir(parents=True)
    (repository / str(weights.commit) / "config.json").write_text("{}", encoding="utf-8")
    (repository / "refs.json").write_text(json.dumps({"main": weights.commit}), encoding="utf-8")
    return directory


def _plugin_start_s(root: Path) -> float:
    """Return the seconds from starting the plugin until it has printed its port."""
    started = time.monotonic()
    program = [str(root / ".venv/bin/python"), str(root / "infra/provider/__main__.py")]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        line = process.stdout.readline()
        taken = time.monotonic() - started
        process.terminate()
    if not line.strip().isdecimal():
        raise RuntimeError(f"the plugin printed {line!r} where its port was expected")
    return taken


def _shown(seconds: Sequence[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in seconds)


if __name__ == "__main__":
    sys.exit(main())
