"""A Pulumi program of one's own declares endpoints by our components, and our policies judge it."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.plugin.engine import ROOT
from tests.plugin.trial import Trial

pytestmark = pytest.mark.e2e

EXAMPLE = ROOT / "examples" / "own-program"


def test_the_example_declares_two_endpoints_that_policies_let_pass(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    shutil.rmtree(tmp_path / "program")
    shutil.copy(EXAMPLE / "__main__.py", tmp_path)
    project = yaml.safe_load((EXAMPLE / "Pulumi.yaml").read_text())
    project["runtime"]["options"]["virtualenv"] = str(EXAMPLE / project["runtime"]["options"]["virtualenv"])
    for plugin in project["plugins"]["providers"]:
        plugin["path"] = str(EXAMPLE / plugin["path"])
    file = tmp_path / "Pulumi.trial.yaml"
    secrets = yaml.safe_load(file.read_text())
    settings = yaml.safe_load((ROOT / "stacks" / "templates" / "local.yaml").read_text())["config"]
    (tmp_path / "Pulumi.yaml").write_text(yaml.safe_dump(project | {"name": "nodestack"}))
    file.write_text(yaml.safe_dump(secrets | {"config": secrets["config"] | settings}))
    run = trial.run("preview", "--policy-pack", str(ROOT / "policies"))
    assert run.status == 0, run.text
    for profile in ("reasoning", "ttft"):
        for part in ("weights", "node", "serving"):
            assert f" {profile}-{part} create" in run.text
    assert run.changes == {"create": 13}
    assert "[mandatory]" not in run.text
