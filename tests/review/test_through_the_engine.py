"""A review of real previews: against nothing, against what is deployed, and of a volume that would go."""

import json
from pathlib import Path

import pytest

from nodestack.automation import engine, previewing
from nodestack.automation.checkout import Checkout
from nodestack.review.preview import Preview, read
from tests.plugin.engine import ROOT
from tests.plugin.trial import Trial
from tests.policies import harness

pytestmark = pytest.mark.e2e

PROGRAM = '''"""A weights volume, as long as it is wanted."""

import json
from pathlib import Path

from nodestack.clouds.base import LocalAccount
from nodestack.components.weights_volume import WeightsVolume, WeightsVolumeArgs

HERE = Path(__file__).parent
wanted = json.loads((HERE / "wanted.json").read_text())
if wanted:
    account = LocalAccount(directory=str(HERE / "account"))
    WeightsVolume("weights", WeightsVolumeArgs(account, "weights", 1, judged=wanted))
'''


class Reviewed:
    """A project whose stack is reviewed."""

    def __init__(self, directory: Path) -> None:
        self.trial = Trial(directory)
        (directory / "program" / "__main__.py").write_text(PROGRAM)
        (directory / ".nodestack").mkdir()
        record = engine.record(ROOT)
        (directory / ".nodestack" / "engine.json").write_text(record.model_dump_json())
        self.file = directory / "Pulumi.trial.yaml"

    def review(self, usd_per_hour: float | None) -> tuple[Preview, bool]:
        """Return the review of a stack at this price, or of one that has nothing, and whether it is deployed."""
        self._want(usd_per_hour)
        found = previewing.preview(Checkout(self.trial.directory), "trial", ROOT / "policies", self.file)
        preview = read(found.events)
        assert bool(preview.refusals) == bool(found.status), preview
        return preview, found.deployed

    def up(self, usd_per_hour: float) -> None:
        """Bring the volume up; nothing else is made."""
        self._want(usd_per_hour)
        run = self.trial.run("up", "--yes", "--skip-preview")
        assert run.status == 0, run.text

    def _want(self, usd_per_hour: float | None) -> None:
        facts = dict(harness.stack().facts) | {"usd_per_hour": usd_per_hour}
        wanted = {} if usd_per_hour is None else facts
        (self.trial.directory / "program" / "wanted.json").write_text(json.dumps(wanted))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reviewed:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path / 'backend'}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "for a trial")
    monkeypatch.setenv("PULUMI_HOME", engine.exports(ROOT)["PULUMI_HOME"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "infra"))
    return Reviewed(tmp_path)


def test_a_stack_is_reviewed_from_the_first_day_to_the_last(project: Reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    project.up(14.8)
    preview, deployed = project.review(31.36)
    assert (preview.refusals, deployed) == ([], True)
    assert [(price.deployed["usd_per_hour"], price.planned["usd_per_hour"]) for price in preview.prices] == [
        (14.8, 31.36)
    ]

    refused = " ".join(project.review(45)[0].refusals)
    assert "budget: " in refused and "it costs 45.00 USD an hour, at most 40.00 are allowed" in refused

    refused = " ".join(project.review(None)[0].refusals)
    assert "delete of nodestack:index:Volume weights: what is on it would be lost" in refused

    before = project.file.read_bytes()
    (project.trial.directory / "elsewhere").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{project.trial.directory / 'elsewhere'}")
    preview, deployed = project.review(31.36)
    assert (preview.refusals, deployed) == ([], False)
    assert {operation.op for operation in preview.operations} == {"create"}
    assert project.file.read_bytes() == before
    assert list((project.trial.directory / "elsewhere").glob(".pulumi/stacks/*/*")) == []
