"""Names are exact and taken by every cloud, or refused before anything is made."""

import pytest

from nodestack import naming
from nodestack.errors import SettingsError


def test_a_stacks_things_have_its_name() -> None:
    assert naming.node_name("nodestack", "prod") == "nodestack-prod-node"
    assert naming.volume_name("nodestack", "prod") == "nodestack-prod-weights"


@pytest.mark.parametrize("stack", ["Prod", "my_stack", "a.b", "x" * 40])
def test_a_stack_whose_names_no_cloud_takes_is_refused(stack: str) -> None:
    with pytest.raises(SettingsError, match=rf"stack {stack} would have something called 'nodestack-{stack}-weights'"):
        naming.volume_name("nodestack", stack)


def test_the_longest_name_is_that_of_the_volume() -> None:
    stack = "x" * (50 - len("nodestack--weights"))
    assert len(naming.volume_name("nodestack", stack)) == 50
