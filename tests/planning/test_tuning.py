import pytest

from nodestack.catalog import load
from nodestack.catalog.tuning import Tuning
from nodestack.errors import CatalogError
from nodestack.planning import tuning


def test_an_unknown_approach_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CatalogError, match=r"approach is 'dpo', known are: full-grpo, lora-grpo"):
        tuning.floor(load().tuning, "dpo")


def test_sources_that_agree_do_not_contradict() -> None:
    statement = load().tuning.floors["lora-grpo"][0]
    agreed = Tuning(floors={"lora-grpo": (statement, statement)}, accuracy_losses={})
    assert not tuning.floor(agreed, "lora-grpo").contradictory
