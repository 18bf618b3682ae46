"""The role's way out of a failure ends with the failure, whatever it says, in check mode too."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.playbooks.vllm.conftest import PROGRAMS, ROLE


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["for real", "in check mode"])
def test_where_nothing_served_before_the_failure_is_all_that_is_said(tmp_path: Path, mode: list[str]) -> None:
    variables = {
        "role": str(ROLE),
        "vllm_scripts": str(PROGRAMS),
        # The distribution's own: Ansible cannot start one whose path has a space, as a checkout may.
        "ansible_python_interpreter": "/usr/bin/python3",
    }
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command: list[str | Path] = [playbook, "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), *mode]
    settings = {"ANSIBLE_LOCAL_TEMP": str(tmp_path), "ANSIBLE_REMOTE_TEMP": str(tmp_path)}
    ended = subprocess.run(
        [*command, Path(__file__).with_name("return.yml")],
        env=os.environ | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    last = ended.stdout.rsplit("FAILED! => ", 1)[1].partition("\n")[0]
    assert json.loads(last)["msg"] == 'it said: "{{ braces }}", and ended', ended.stdout
    assert "changed=0" in ended.stdout
