"""What changed is told by path, and an unknown value differs from everything."""

from pulumi.runtime.proto.provider_pb2 import DiffResponse, PropertyDiff

from nodestack.plugin.diff import Difference, changed_paths
from nodestack.plugin.properties import UNKNOWN


def test_nothing_differs_from_itself() -> None:
    assert changed_paths({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}) == ()


def test_the_deepest_path_that_differs_is_named() -> None:
    assert changed_paths({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3, "d": 4}}) == ("a.c", "a.d")


def test_an_unknown_value_differs() -> None:
    assert changed_paths({"id": "x"}, {"id": UNKNOWN}) == ("id",)


def test_a_value_left_out_is_the_same_as_none() -> None:
    assert changed_paths({"token": None}, {}) == ()


def test_no_difference_is_said_to_be_none_and_not_left_to_the_engine() -> None:
    assert Difference().response().changes == DiffResponse.DIFF_NONE


def test_a_replacement_is_deleted_first_and_named_by_its_property() -> None:
    response = Difference(replaces=("account.kind",), updates=("document.a",)).response()
    assert response.deleteBeforeReplace
    assert list(response.replaces) == ["account"]
    assert response.detailedDiff["document.a"].kind == PropertyDiff.UPDATE
