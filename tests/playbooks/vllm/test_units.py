"""What the role writes on a node, compared with golden files, and judged by systemd itself."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nodestack_vllm.install import Engine

from tests.playbooks.vllm.conftest import ROLE

GOLDEN = Path(__file__).parent / "golden"
FILES = ("nodestack-vllm.service", "nodestack-vllm-ready.service", "nodestack-weights.service", "vllm.yaml")
MOST_EXPOSED = {"cpu": "25", "cuda": "35"}
"""Tenths of what systemd-analyze may say of the unit, on a local node and with GPUs."""
VARIABLES = {
    "ansible_managed": "Ansible managed",
    "fabric_gpu_name": "NVIDIA H100 80GB HBM3",
    "vllm_version": "0.23.0",
    "vllm_options": {"tensor-parallel-size": 8, "enable-auto-tool-choice": True, "kv-cache-dtype": "fp8"},
    "vllm_environment": {"QUOTED": 'a "b" 100% \\'},
    "vllm_served_model_name": "trinity-large-thinking",
    "vllm_host": "127.0.0.1",
    "vllm_port": 8000,
    "vllm_start_timeout_s": 1800,
    "vllm_shutdown_timeout_s": 120,
}


def render(out: Path, build: str, **more: str) -> None:
    out.mkdir(exist_ok=True)
    variables = VARIABLES | {"role": str(ROLE), "out": str(out), "vllm_build": build} | more
    variables.setdefault("storage_mount_point", "/srv/nodestack")
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command: list[str | Path] = [playbook, "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
    # The distribution's own: Ansible cannot start one whose path has a space, as a checkout may.
    settings = {"ANSIBLE_LOCAL_TEMP": str(out / ".tmp"), "ANSIBLE_REMOTE_TEMP": str(out / ".tmp")}
    command += ["-e", "ansible_python_interpreter=/usr/bin/python3", Path(__file__).with_name("render.yml")]
    run = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("build", ["cuda", "cpu"])
def test_units_and_options_are_the_golden_ones(tmp_path: Path, build: str) -> None:
    """With UPDATE_GOLDEN=1 they become them: then read the difference."""
    render(tmp_path / "out", build)
    for name in FILES:
        golden = GOLDEN / build / name
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tmp_path / "out" / name, golden)
        assert (tmp_path / "out" / name).read_text() == golden.read_text(), f"{build}/{name}"
    # The role and the program that installs name the engine's directory alike.
    lock = ROLE / "files" / f"requirements-0.23.0-{build}.txt"
    additions = ROLE / "files" / "cpu" if build == "cpu" else None
    engine = Engine(Path("/srv/nodestack/engines"), f"vllm-0.23.0-{build}", "0.23.0", lock, lock, additions, "", 0)
    assert (tmp_path / "out" / "engine").read_text() == str(engine.directory())


@pytest.mark.parametrize("build", MOST_EXPOSED)
def test_systemd_takes_the_units_without_a_word_and_calls_the_engine_well_confined(tmp_path: Path, build: str) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is part of systemd, which local nodes need as well: install systemd")
    mount = tmp_path / "mount"
    scripts = tmp_path / "scripts"
    for program in (mount / "engines/current/bin/python", scripts / "verify-weights", scripts / "engine-drain"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    units = tmp_path / "units"
    render(units, build, storage_mount_point=str(mount), vllm_scripts=str(scripts), vllm_user="root")
    gate = "[Unit]\nDescription=stand-in\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
    (units / "nodestack-fabric.service").write_text(gate)
    path = {"SYSTEMD_UNIT_PATH": f"{units}:/lib/systemd/system"}
    for name in FILES[:3]:
        run = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", units / name],
            env=os.environ | path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode, [line for line in run.stderr.splitlines() if "nodestack" in line]) == (0, [])

    limit = f"--threshold={MOST_EXPOSED[build]}"
    run = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", limit, "--no-pager", units / FILES[0]],
        env=os.environ | path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-300:] + run.stderr
