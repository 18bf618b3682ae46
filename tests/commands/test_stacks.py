"""What `up` and `down` by hand tell a stack's journal: what was agreed to, and never more."""

import argparse
from pathlib import Path

import pytest

from nodestack.automation import recovery, simulation, stack, strays, summary
from nodestack.automation.checkout import Checkout
from nodestack.automation.journal import journal
from nodestack.commands import stacks
from tests.commands.clouds import checkout_at


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    found = checkout_at(tmp_path)
    found.checkpoint("prod").parent.mkdir(parents=True)
    found.checkpoint("prod").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    for module, name, answer in (
        (stack, "prepare", None),
        (stack, "api_key", "sk"),
        (stack, "record_manifest", ""),
        (stack, "outputs", {}),
        (simulation, "start", ""),
        (simulation, "credentials", {}),
        (simulation, "account_of", None),
        (simulation, "end_if_empty", []),
        (recovery, "recover", []),
        (strays, "remove", []),
        (summary, "show", None),
    ):
        monkeypatch.setattr(module, name, lambda *_, answer=answer: answer)
    return found


def said(checkout: Checkout) -> list[str]:
    return [entry.what for entry in journal(checkout, "prod").entries()]


@pytest.mark.parametrize(
    ("command", "asks", "expected"),
    [
        ("up 0", False, ["wanted", "trying", "up"]),
        ("up 255", False, ["wanted", "trying", "failed"]),
        ("up 0", True, ["wanted", "up"]),
        ("up 255", True, []),
        ("down 0", False, ["parking", "parked"]),
        ("down 255", False, ["parking"]),
        ("down 0", True, ["parked"]),
        ("down 255", True, []),
    ],
)
def test_a_no_at_the_engines_question_is_no_yes_to_a_watch(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, command: str, asks: bool, expected: list[str]
) -> None:
    command, _, ends_with = command.partition(" ")
    status = int(ends_with)
    monkeypatch.setattr("sys.stdin.isatty", lambda: asks)
    monkeypatch.setattr(stack, command, lambda *_, yes: status)
    assert getattr(stacks, command)(argparse.Namespace(stack="prod", yes=False)) == status
    assert said(checkout) == expected
