"""A project's own catalogue: what docs/configure.md shows is taken by commands and stacks alike."""

import json
import re
from pathlib import Path

import pytest

from nodestack.catalog import load, load_for
from nodestack.errors import CatalogError
from tests.commands.runs import nodestack

ROOT = Path(__file__).resolve().parents[2]
SHOWN = re.search(r"^```yaml\n(models:.*?)^```", (ROOT / "docs/configure.md").read_text("utf-8"), flags=re.M | re.S)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose own catalogue is the one of the page."""
    assert SHOWN
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: nodestack\n")
    (tmp_path / "stacks/catalog.yaml").write_text(SHOWN[1])
    return tmp_path


def test_a_project_without_one_has_ours(tmp_path: Path) -> None:
    assert load_for(tmp_path) is load()


def test_what_the_page_shows_is_a_catalogue(project: Path) -> None:
    catalog = load_for(project)
    assert catalog.model("our-trinity").architecture == load().model("trinity-large-thinking").architecture
    assert catalog.format("our-trinity", "fp8-block").repository == "our-org/our-trinity-FP8"
    assert [entry.partition(" by ")[0] for entry in catalog.overridden] == ["prices.4x-h200-sxm5"]


def test_commands_in_the_project_plan_with_it(project: Path) -> None:
    run = nodestack("plan", "--model", "our-trinity", "--node", "4x-h200-sxm5", "--json", directory=project)
    made = json.loads(run.stdout)
    assert (run.returncode, made["repository"], made["cost"]["usd_per_hour"]) == (0, "our-org/our-trinity-FP8", 13.1)
    assert made["overridden"][0].startswith("prices.4x-h200-sxm5 by ")


def test_a_file_of_it_that_is_wrong_is_named(project: Path) -> None:
    (project / "stacks/catalog.yaml").write_text("modles: {}\n")
    with pytest.raises(CatalogError, match=r"catalog\.yaml.*modles"):
        load_for(project)
