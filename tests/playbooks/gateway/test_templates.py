"""What the role writes on a node, compared with golden files, and judged by nft and systemd themselves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROLE = Path(__file__).parents[3] / "playbooks" / "roles" / "gateway"
GOLDEN = Path(__file__).parent / "golden"
FILES = (
    "nginx.conf", "keys.conf", "engine.conf", "firewall.nft", "nodestack-gateway.service", "nodestack-firewall.service",
)  # fmt: skip
OPEN: dict[str, Any] = {
    "ansible_managed": "Ansible managed",
    "vllm_host": "127.0.0.1",
    "vllm_port": 8000,
    "vllm_shutdown_timeout_s": 120,
    "gateway_address": "203.0.113.7",
    "gateway_port": 443,
    "gateway_names": [],
    "gateway_hostname": "",
    "gateway_acme_email": "",
    "gateway_allowed_cidrs": ["0.0.0.0/0", "::/0"],
    "gateway_ssh_allowed_cidrs": ["0.0.0.0/0", "::/0"],
    "gateway_requests_per_minute": 1200,
    "gateway_concurrent_requests": 256,
    "gateway_max_body_mib": 8,
    "gateway_request_timeout_s": 3600,
    "gateway_ipv6": {"stat": {"exists": True}},
    "gateway_ssh_ports": ["22"],
    "gateway_all_keys": {"default": "sk-default_0123456789.~+/=", "alice": "sk-alice-0123456789"},
    "gateway_engine_key": "sk-engine-0123456789",
    "gateway_firewall_directory": "/nonexistent",
}
# Every choice taken the other way: few networks of one kind only, a name that ACME certifies, no IPv6, another port.
NARROW = OPEN | {
    "gateway_port": 8443,
    "gateway_hostname": "llm.example.com",
    "gateway_acme_email": "ops@example.com",
    "gateway_allowed_cidrs": ["203.0.113.0/24", "2001:db8::/32"],
    "gateway_ssh_allowed_cidrs": ["203.0.113.9/32"],
    "gateway_ipv6": {"stat": {"exists": False}},
    "gateway_ssh_ports": ["22", "2222"],
}


@pytest.fixture(scope="module", params=["open", "narrow"])
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("rendered")
    variables = {"open": OPEN, "narrow": NARROW}[request.param] | {"role": str(ROLE), "out": str(out)}
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command: list[str | Path] = [playbook, "-i", "localhost,", "-c", "local", "-e", json.dumps(variables)]
    settings = {"ANSIBLE_LOCAL_TEMP": str(out / ".tmp"), "ANSIBLE_REMOTE_TEMP": str(out / ".tmp")}
    command += ["-e", "ansible_python_interpreter=/usr/bin/python3", Path(__file__).with_name("render.yml")]
    run = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return request.param, out


def test_files_are_the_golden_ones(rendered: tuple[str, Path]) -> None:
    """With UPDATE_GOLDEN=1 they become them: then read the difference."""
    name, out = rendered
    for file in FILES:
        golden = GOLDEN / name / file
        if os.environ.get("UPDATE_GOLDEN"):
            golden.parent.mkdir(parents=True, exist_ok=True)
            golden.write_text((out / file).read_text())
        assert (out / file).read_text() == golden.read_text(), f"{name}/{file}"


def test_nft_takes_the_rules(rendered: tuple[str, Path]) -> None:
    command = ["unshare", "--net", "nft", "-c", "-f", str(rendered[1] / "firewall.nft")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_systemd_takes_the_units_without_a_word(rendered: tuple[str, Path], tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.fail("systemd-analyze is part of systemd, which local nodes need as well: install systemd")
    for name in FILES[4:]:
        # The program is on nodes only; what is judged is the unit.
        text = (
            (rendered[1] / name)
            .read_text()
            .replace("/usr/sbin/nginx", "/bin/true")
            .replace("/usr/sbin/nft", "/bin/true")
        )
        (tmp_path / name).write_text(text)
        run = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / name],
            env=os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:/lib/systemd/system"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode, [line for line in run.stderr.splitlines() if "nodestack" in line]) == (0, [])
