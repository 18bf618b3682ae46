import doctest

from nodestack.rendering import plan_table, units
from nodestack.settings import reference


def test_examples_in_docstrings_hold() -> None:
    for module in (units, plan_table, reference):
        found = doctest.testmod(module)
        assert found.attempted
        assert not found.failed
