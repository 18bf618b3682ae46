"""Whoever creates or deletes a node may be killed at any moment; the next call finds one whole node or none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nodestack
from nodestack.clouds.local.records import NodeHome
from tests.clouds.local.conftest import Lab
from tests.clouds.local.remains import control_groups, remains

pytestmark = pytest.mark.node

CREATE = """
import sys
from pathlib import Path
from pydantic import SecretStr
from nodestack.clouds.base import LocalAccount, NodeRequest
from nodestack.clouds.local import LocalCloud
request, directory, key = sys.argv[1:]
plain = NodeRequest.model_validate_json(request)
request = plain.model_copy(update={"ssh_host_private_key": SecretStr(Path(key).read_text())})
cloud = LocalCloud(LocalAccount(directory=directory))
print("ready", flush=True)
cloud.create_node(request, lambda line: None)
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5])
def test_a_killed_creator_leaves_one_whole_node_or_none(lab: Lab, tmp_path: Path, delay_s: float) -> None:
    name = lab.name()
    (tmp_path / "key").write_text(lab.host_key.private)
    (tmp_path / "key").chmod(0o600)
    creator = subprocess.Popen(
        [sys.executable, "-c", CREATE, lab.request(name).model_dump_json(), str(lab.directory), str(tmp_path / "key")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(nodestack.__file__).parents[1])},
        start_new_session=True,
    )
    assert creator.stdout is not None
    with creator:
        assert creator.stdout.readline() == b"ready\n"
        time.sleep(delay_s)
        os.killpg(creator.pid, signal.SIGKILL)

    found = lab.cloud.find_node(name)
    if found is None:
        assert not (lab.directory / "nodes" / name).exists()
    node = lab.running(name)
    assert found is None or found.identity == node.identity
    assert lab.on(node, "sudo -n id -u") == "0"
    assert [other.name for other in lab.cloud.nodes()].count(name) == 1

    lab.cloud.delete_node(node.node_id)
    assert remains(node, lab.directory) == []
    assert control_groups(node) == []


def test_a_killed_deleter_leaves_nothing_the_next_call_does_not_clear(lab: Lab) -> None:
    node = lab.running()
    NodeHome(lab.directory / "nodes" / node.name).condemn()
    assert lab.cloud.find_node(node.name) is None
    lab.cloud.delete_node(node.node_id)
    assert remains(node, lab.directory) == []
