"""A preview is judged by its operations, its policies and its end; what it costs is held against what is deployed."""

import json
from typing import Any

import pytest

from nodestack.rendering.review_comment import comment, marker
from nodestack.review.preview import LOSING, Preview, read

END = {"summaryEvent": {"result": "succeeded"}}


def step(op: str, kind: str, name: str, *, protect: bool = False, **judged: Any) -> dict[str, Any]:
    old, new = judged.get("old"), judged.get("new")
    sides = {
        "old": {"protect": protect, "inputs": {"judged": old}} if old is not None or protect else None,
        "new": {"inputs": {"judged": new}} if new is not None else None,
    }
    urn = f"urn:pulumi:production::nodestack::{kind}::{name}"
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": urn, "type": kind, **sides}, "planning": True}}


def weights(op: str = "update", **sides: Any) -> dict[str, Any]:
    return step(op, "nodestack:components:WeightsVolume", "weights", **sides)


def policy(level: str) -> dict[str, Any]:
    told = {"policyName": "no-spot", "enforcementLevel": level, "message": "spot it is.\nSet on_demand\n"}
    return {"policyEvent": told}


def error(message: str) -> dict[str, Any]:
    return {"diagnosticEvent": {"severity": "error", "message": f"{message}\n"}}


def preview(*events: dict[str, Any]) -> Preview:
    return read(json.dumps(event) for event in events)


def test_what_changes_nothing_is_not_refused() -> None:
    found = preview(weights("same", old={}, new={}), step("refresh", "nodestack:index:Volume", "w", protect=True), END)
    assert (found.refusals, found.operations) == ([], ())


@pytest.mark.parametrize("op", sorted(LOSING))
def test_a_weights_volume_that_would_be_lost_is_refused_whatever_protects_it(op: str) -> None:
    for protect in (True, False):
        found = preview(step(op, "nodestack:index:Volume", "weights", protect=protect), END)
        assert f"{op} of nodestack:index:Volume weights: what is on it would be lost" in found.refusals[0]


def test_anything_that_is_protected_is_kept() -> None:
    assert preview(step("delete", "aws:s3:Bucket", "records", protect=True), END).refusals
    assert not preview(step("delete", "aws:s3:Bucket", "scratch"), END).refusals


def test_a_node_may_be_replaced_and_a_volume_grown() -> None:
    events = (
        step("replace", "nodestack:index:Node", "node"),
        step("update", "nodestack:index:Volume", "w", protect=True),
    )
    found = preview(*events, END)
    assert found.refusals == []
    assert [each.op for each in found.operations] == ["replace", "update"]


def test_policies_that_stop_refuse_and_those_that_advise_do_not() -> None:
    assert preview(policy("mandatory"), END).refusals == ["no-spot: spot it is. Set on_demand"]
    advised = preview(policy("advisory"), END)
    assert advised.refusals == []
    assert "no-spot: spot it is. Set on_demand" in comment("production", advised, deployed=True)


def test_errors_are_told_and_the_engines_last_word_is_not() -> None:
    assert preview(error("error: this stack cannot work"), error("preview failed"), END).refusals == [
        "error: this stack cannot work"
    ]


def test_a_preview_that_broke_off_or_cannot_be_read_is_refused() -> None:
    assert "did not come to its end" in preview(weights(old={}, new={})).refusals[0]
    assert "cannot be read" in read(["{", json.dumps(END)]).refusals[0]


def test_cost_is_held_against_what_is_deployed() -> None:
    before, after = {"usd_per_hour": 14.8, "usd_per_month": None}, {"usd_per_hour": 31.36, "usd_per_month": "[unknown]"}
    text = comment("production", preview(weights(old=before, new=after), END), deployed=True)
    assert "| weights: USD an hour | 14.80 | 31.36 | +16.56 |" in text
    assert "| weights: USD a month | - | - | - |" in text
    assert "may be brought up" in text


def test_what_is_new_or_gone_has_no_change() -> None:
    new = preview(weights("create", new={"usd_per_hour": 5}), END)
    assert "| weights: USD an hour | - | 5.00 | - |" in comment("production", new, deployed=False)
    assert "It is not deployed yet" in comment("production", new, deployed=False)
    gone = preview(weights("delete", old={"usd_per_hour": 5}), END)
    assert "| weights: USD an hour | 5.00 | - | - |" in comment("production", gone, deployed=True)


def test_a_comment_is_found_again_and_holds_nothing_that_acts() -> None:
    text = comment("production", preview(error("<script> @everyone | <!-- x -->"), END), deployed=True)
    assert text.startswith(f"{marker('production')}\n")
    assert "is refused" in text
    body = text.partition("\n")[2]
    assert "<" not in body and "@" not in body
