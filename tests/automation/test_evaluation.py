"""An evaluation of the user's own: its way in is by file, never by argv, and its score is kept where policies look."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nodestack.automation import evaluation
from nodestack.automation.checkout import Checkout
from nodestack.automation.evaluation import Task, Way
from nodestack.errors import NodestackError, SettingsError

EXAMPLE = Path(__file__).parents[2] / "examples" / "evaluation" / "ask.py"
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
    task = Task([sys.executable, "-c", script, *arguments], minimum, "agents")
    return evaluation.evaluate(checkout, "dev", told, task)


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
        evaluation.evaluate(Checkout(tmp_path), "dev", Way(outputs={}, api_key=KEY), Task(["true"], 0.5))


@pytest.mark.parametrize(
    ("command", "minimum", "name", "said"),
    [
        ([], 0.8, "", "no command is given"),
        (["no-such-program-of-ours"], 0.8, "", "no-such-program-of-ours is no program that can be run"),
        (["true"], float("nan"), "", "--minimum nan: no score can be held against that"),
        (["true"], float("inf"), "", "--minimum inf: no score can be held against that"),
        (["true"], 0.8, "a/b", "--name 'a/b': allowed are letters, digits"),
        (["true"], 0.8, "x" * 81, "80 at most"),
    ],
)
def test_what_could_not_be_recorded_is_refused_before_anything_is_run(
    command: list[str], minimum: float, name: str, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        Task(command, minimum, name)


def test_a_program_names_its_evaluation_as_far_as_a_record_takes_it(tmp_path: Path) -> None:
    program = tmp_path / "_my+evaluation.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Task([str(program)], 0.8).called == "myevaluation.sh"


def test_a_score_just_below_its_minimum_does_not_reach_it_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine()
    monkeypatch.setattr(evaluation, "Engine", engine)
    just_below = LOOK.replace("0.83", "0.79999999")
    done, file = run(Checkout(tmp_path), just_below, str(tmp_path / "told"))
    evaluation.record(Checkout(tmp_path), "production", done, file)
    assert not done.passed
    assert any(word.endswith(".score=0.79999999") for word in engine.told)


@pytest.fixture
def endpoint() -> Iterator[str]:
    """Serve an API that answers one question rightly, thinks without an answer, and has no other key."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            question = asked["messages"][0]["content"]
            content = "391" if "17 times 23" in question else None
            reply = json.dumps({"choices": [{"message": {"reasoning": "2:35", "content": content}}]}).encode()
            self.send_response(200 if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        serving.join()


def example(checkout: Checkout, endpoint: str, key: str = KEY) -> Any:
    outputs = {**OUTPUTS, "endpoint_url": endpoint, "ca_certificate": ""}
    return evaluation.evaluate(
        checkout, "dev", Way(outputs=outputs, api_key=key), Task([sys.executable, str(EXAMPLE)], 0.5)
    )


def test_the_example_scores_answers_and_no_thoughts(tmp_path: Path, endpoint: str) -> None:
    done, _ = example(Checkout(tmp_path), endpoint)
    assert (done.score, done.figures) == (0.2, {"questions": 5, "right": 1})


def test_the_example_tells_no_score_of_an_endpoint_that_refuses(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(NodestackError, match="nothing was recorded"):
        example(Checkout(tmp_path), endpoint, key="sk-another")
