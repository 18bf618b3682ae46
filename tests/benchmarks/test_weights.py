"""What fetching and verifying promise of speed, measured side by side by the scripts under benchmarks/."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.test_planning import measured

pytestmark = [pytest.mark.qualify, pytest.mark.independent]


@pytest.mark.node
@pytest.mark.timeout(1800)
def test_weights_come_as_fast_as_a_client_that_verifies_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert "of the better of" in measured("fetch", tmp_path / "figures.json", record_property)


@pytest.mark.timeout(1800)
def test_weights_are_verified_as_fast_as_the_machine_can(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    assert "of hf cache verify" in measured("verify", tmp_path / "figures.json", record_property)
