"""An evaluation of the user's own: its way in is by file, never by argv, and its score is kept where policies look."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nodestack.automation import evaluation
from nodestack.automation.checkout import Checkout
from nodestack.automation.evaluation import Way
from nodestack.errors import NodestackError

KEY, COMMIT = "sk-for-tests-0123456789", "c" * 40
OUTPUTS = {
    "endpoint_url": "https://192.0.2.1/v1",
    "served_model_name": "trinity",
    "model_commit": COMMIT,
    "model_repository": "arcee-ai/Trinity",
    "manifest_sha256": "d" * 64,
    "engine_version": "0.23.0",
    "engine_options": {"max-num-seqs": 4},
    "ca_certificate": "-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n",
}
LOOK = """
import json, os, stat, sys
key = os.environ["NODESTACK_API_KEY_FILE"]
told = {
    "key": open(key).read(), "mode": stat.S_IMODE(os.stat(key).st_mode), "argv": sys.argv,
    "parent": open(f"/proc/{os.getppid()}/cmdline").read(), "environment": dict(os.environ),
    "authority": open(os.environ["NODESTACK_CA_FILE"]).read(), "trusted": open(os.environ["SSL_CERT_FILE"]).read(),
}
open(sys.argv[1], "w").write(json.dumps(told))
open(os.environ["NODESTACK_RESULT_FILE"], "w").write(json.dumps({"score": 0.83, "figures": {"tasks": 200}}))
"""


class Engine:
    """An engine that is only told to set something."""

    told: tuple[str, ...] = ()

    def __call__(self, checkout: Checkout, stack: str) -> "Engine":
        self.stack = stack
        return self

    def ask(self, *arguments: str) -> str:
        self.told = arguments
        return ""


def run(checkout: Checkout, script: str, *arguments: str, minimum: float = 0.8, **way: Any) -> Any:
    told = Way(outputs=OUTPUTS, api_key=KEY, **way)
    command = [sys.executable, "-c", script, *arguments]
    return evaluation.evaluate(checkout, "dev", told, command, name="agents", minimum=minimum)


def test_the_command_has_its_way_in_by_files_that_end_with_it(tmp_path: Path) -> None:
    run(Checkout(tmp_path), LOOK, str(tmp_path / "told"))
    told = json.loads((tmp_path / "told").read_text())
    assert (told["key"], told["mode"]) == (KEY, 0o600)
    environment = told["environment"]
    assert (environment["NODESTACK_BASE_URL"], environment["NODESTACK_MODEL"]) == (OUTPUTS["endpoint_url"], "trinity")
    assert told["authority"] == OUTPUTS["ca_certificate"]
    assert told["trusted"].count("BEGIN CERTIFICATE") > 10, "it may ask others, too"
    assert KEY not in json.dumps([told["argv"], told["parent"], environment])
    assert not Path(environment["NODESTACK_API_KEY_FILE"]).parent.exists()


def test_the_key_is_in_the_environment_only_where_that_was_asked_for(tmp_path: Path) -> None:
    run(Checkout(tmp_path), LOOK, str(tmp_path / "told"), in_environment=True)
    assert json.loads((tmp_path / "told").read_text())["environment"]["OPENAI_API_KEY"] == KEY


def test_the_record_says_what_was_served_and_how_it_did(tmp_path: Path) -> None:
    done, file = run(Checkout(tmp_path), LOOK, str(tmp_path / "told"))
    kept = json.loads(file.read_text())
    assert file.parent == tmp_path / "evaluations" and file.name.startswith(COMMIT[:12])
    assert (kept["score"], kept["minimum"], kept["commit"], kept["figures"]) == (0.83, 0.8, COMMIT, {"tasks": 200})
    assert (kept["engine_version"], kept["manifest_sha256"]) == ("0.23.0", "d" * 64)
    assert done.passed
    assert KEY not in file.read_text()


def test_policies_find_the_score_under_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(evaluation, "Engine", engine)
    done, file = run(Checkout(tmp_path), LOOK, str(tmp_path / "told"), minimum=0.9)
    assert not done.passed
    evaluation.record(Checkout(tmp_path), "production", done, file)
    assert engine.stack == "production"
    assert engine.told[:3] == ("config", "set-all", "--path")
    said = dict(word.rpartition("=")[::2] for word in engine.told if word.startswith("nodestack:"))
    key = f'nodestack:policy.evaluations["{COMMIT}"]'
    assert (said[f"{key}.score"], said[f"{key}.minimum"]) == ("0.83", "0.9")
    assert said[f"{key}.source"] == f"agents, evaluations/{file.name}"
    assert said[f"{key}.date"] == done.at[:10]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; sys.exit(7)", "ended with 7: nothing was recorded"),
        ("pass", "wrote nothing to the file"),
        ("import os; open(os.environ['NODESTACK_RESULT_FILE'], 'w').write('0.9?')", "wrote no JSON there"),
        ("import os; open(os.environ['NODESTACK_RESULT_FILE'], 'w').write('{\"score\": \"nan\"}')", "score: Input"),
    ],
)
def test_what_tells_no_score_is_not_recorded(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(NodestackError, match=said.replace("?", r"\?")):
        run(Checkout(tmp_path), script)
    assert not (tmp_path / "evaluations").exists()


def test_a_stack_that_serves_nothing_is_not_evaluated(tmp_path: Path) -> None:
    with pytest.raises(NodestackError, match="stack dev has no endpoint_url, served_model_name, model_commit"):
        evaluation.evaluate(Checkout(tmp_path), "dev", Way(outputs={}, api_key=KEY), ["true"], name="a", minimum=0)
