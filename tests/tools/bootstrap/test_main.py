"""Set-up is done once for what it is made from, and says plainly why it cannot be done."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import environment, main
from bootstrap.checkout import Checkout
from tests.tools.bootstrap.conftest import program

TOOLS = Path(main.__file__).parents[1]


@pytest.fixture
def done(checkout: Checkout) -> Checkout:
    (checkout.root / environment.LOCK).write_text("pulumi==3.259.0")
    (checkout.root / "infra").mkdir()
    program(checkout.python, "")
    checkout.state.mkdir()
    stamps = {part: main._key(checkout, part) for part in ("venv", "local")}
    (checkout.state / main.STAMPS).write_text(json.dumps(stamps))
    return Checkout(checkout.root, {**checkout.versions, "commands": {}})


def test_what_was_set_up_from_the_same_is_not_set_up_again(done: Checkout) -> None:
    assert main.outstanding(done, ["venv", "local"]) == []


def test_a_changed_lock_sets_up_the_environment_and_what_came_of_it(done: Checkout) -> None:
    (done.root / environment.LOCK).write_text("pulumi==3.259.1")
    assert main.outstanding(done, ["venv", "local"]) == ["venv", "local"]


def test_changed_code_sets_up_what_nodes_are_made_from_and_not_the_environment(done: Checkout) -> None:
    (done.root / "infra" / "image.py").write_text("changed")
    assert main.outstanding(done, ["venv", "local"]) == ["local"]


def test_what_python_or_a_linter_leaves_behind_changes_nothing(done: Checkout) -> None:
    for name in ("__pycache__/image.pyc", ".mypy_cache/cache.db"):
        path = done.root / "infra" / name
        path.parent.mkdir()
        path.write_text("noise")
    assert main.outstanding(done, ["local"]) == []


def test_a_deleted_environment_is_made_again(done: Checkout) -> None:
    done.python.unlink()
    assert "venv" in main.outstanding(done, ["venv"])


def test_an_engine_nobody_wrote_down_is_outstanding(done: Checkout) -> None:
    assert main.outstanding(done, ["engine"]) == ["engine"]


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    said = subprocess.run([sys.executable, TOOLS / "setup.py", "engines"], capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert all(part in said.stderr for part in main.PARTS)


def test_under_an_old_python_there_is_one_sentence(tmp_path: Path) -> None:
    pretend = "import sys; sys.version_info = (3, 8, 10); sys.path.insert(0, sys.argv[1]); import setup; setup.main()"
    said = subprocess.run(
        [sys.executable, "-c", pretend, TOOLS], capture_output=True, text=True, check=False, env={"PATH": str(tmp_path)}
    )
    assert said.returncode == 1
    assert said.stderr.startswith("nodestack needs Python 3.11 or newer, found 3.8 at ")
