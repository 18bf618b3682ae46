"""What a project says of policies takes the place of what comes with nodestack, and wrong files are refused whole."""

from pathlib import Path
from typing import Any

import pytest

from nodestack.errors import SettingsError
from nodestack.policies.book import ours
from nodestack.policies.facts import ENVIRONMENTS
from nodestack.policies.rules import RULES
from tests.policies import harness


def test_every_rule_is_described_with_a_severity_for_each_environment() -> None:
    assert ours().policies.keys() == RULES.keys()
    for policy in ours().policies.values():
        assert policy.severity.keys() == set(ENVIRONMENTS)
        assert policy.why and policy.fix and policy.source


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", RULES)
def test_settings_of_ours_are_settings(name: str, environment: Any) -> None:
    assert isinstance(ours().terms(name, environment), RULES[name].terms)


def test_a_project_changes_single_severities_and_settings(tmp_path: Path) -> None:
    said = {"no-spot": {"severity": {"production": "advisory"}}, "budget": {"settings": {"spot": {"usd_per_hour": 9}}}}
    book = harness.stack(policies=said).book(tmp_path)
    assert book.severity("no-spot", "production") == "advisory"
    assert book.severity("no-pcie", "production") == "mandatory"
    limits = book.terms("budget", "spot").model_dump()
    assert (limits["usd_per_hour"], limits["usd_per_month"]) == (9, 10800)
    assert book.terms("budget", "production").model_dump()["usd_per_hour"] == 40


def test_all_that_is_wrong_in_a_projects_file_is_told_at_once(tmp_path: Path) -> None:
    said = {
        "no-spott": {},
        "budget": {"settings": {"production": {"usd_per_hou": 1}}},
        "no-pcie": {"severity": {"production": "fatal"}},
    }
    with pytest.raises(SettingsError) as caught:
        harness.stack(policies=said).book(tmp_path)
    text = str(caught.value)
    assert "no-spott is no policy" in text and "no-spot" in text
    assert "settings of the policy budget in production are wrong: usd_per_hou" in text
    assert "no-pcie.severity.production: Input should be" in text
