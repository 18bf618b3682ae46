"""A user's own evaluation of a stack's endpoint: run with the way in by file, its score kept where policies read it."""

import json
import math
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import certifi
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodestack.automation import private
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.automation.engine_call import Engine
from nodestack.errors import NodestackError, SettingsError, parts_of
from nodestack.provisioning.workspace import workspace

KEY_VARIABLE = "OPENAI_API_KEY"
_NEEDED = ("endpoint_url", "served_model_name", "model_commit")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,79}")


class Told(BaseModel):
    """What the command wrote to NODESTACK_RESULT_FILE.

    Attributes:
        score: What was reached; more is better.
        figures: Whatever else it measured, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Annotated[float, Field(allow_inf_nan=False)]
    figures: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)


class Evaluation(Told):
    """An evaluation that was run.

    Attributes:
        name: What the user calls it.
        at: When it ended, in UTC.
        stack: Whose endpoint was asked.
        repository: What was served.
        commit: Its commit.
        manifest_sha256: Digest of the files that were verified.
        engine_version: The vLLM that served it.
        engine_options: With which options.
        minimum: What had to be reached.
        seconds: How long it took.
    """

    name: str
    at: str
    stack: str
    repository: str
    commit: str
    manifest_sha256: str
    engine_version: str
    engine_options: dict[str, Any]
    minimum: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether that was reached."""
        return self.score >= self.minimum


class Way(BaseModel):
    """How the endpoint is asked.

    Attributes:
        outputs: The stack's outputs.
        api_key: What clients send; only ever written to a file of mode 0600, or given where that was asked for.
        in_environment: Whether the command gets the key as OPENAI_API_KEY besides, for tools that read no file.
    """

    model_config = ConfigDict(frozen=True)

    outputs: Mapping[str, Any]
    api_key: str = Field(repr=False)
    in_environment: bool = False


@dataclass(frozen=True)
class Task:
    """What is to be run; looked at before it is, since a run may take hours.

    Attributes:
        command: A program that is there, and its arguments.
        minimum: What must be reached.
        name: What it is called in the record; "" for the program's name.

    Raises:
        SettingsError: The program is not there, the minimum is no number, or the name cannot be told by the record.
    """

    command: Sequence[str]
    minimum: float
    name: str = ""

    def __post_init__(self) -> None:
        if not self.command:
            raise SettingsError("no command is given: nodestack evaluate --stack dev --minimum 0.8 -- ./my-evaluation")
        if shutil.which(self.command[0]) is None:
            raise SettingsError(f"{self.command[0]} is no program that can be run: give its path, or chmod +x it")
        if not math.isfinite(self.minimum):
            raise SettingsError(
                f"--minimum {self.minimum}: no score can be held against that, give a number such as 0.8"
            )
        if self.name and not _NAME.fullmatch(self.name):
            allowed = "letters, digits, spaces, dots, dashes and underscores, 80 at most, a letter or digit first"
            raise SettingsError(f"--name {self.name!r}: allowed are {allowed}")

    @property
    def called(self) -> str:
        """Its name, or that of its program as far as a record takes it."""
        return self.name or re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9._ -]", "", Path(self.command[0]).name)[:80] or "command"


def evaluate(checkout: Checkout, stack: str, way: Way, task: Task) -> tuple[Evaluation, Path]:
    """Run a command against a stack's endpoint, and return what came of it and the file that has it.

    Raises:
        NodestackError: The stack serves nothing, or the command failed or told no score.
    """
    if missing := [key for key in _NEEDED if not way.outputs.get(key)]:
        raise NodestackError(f"stack {stack} has no {', '.join(missing)}: bring it up first")
    started = time.monotonic()
    with workspace() as directory:
        result = directory / "result.json"
        environment = os.environ | _environment(way, directory, result)
        status = subprocess.run(list(task.command), env=environment, check=False).returncode
        if status:
            raise NodestackError(f"{task.command[0]} ended with {status}: nothing was recorded")
        told = _told(result, task.command[0])
    evaluation = Evaluation(
        **told.model_dump(),
        name=task.called,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        stack=stack,
        repository=str(way.outputs.get("model_repository", "")),
        commit=way.outputs["model_commit"],
        manifest_sha256=str(way.outputs.get("manifest_sha256", "")),
        engine_version=str(way.outputs.get("engine_version", "")),
        engine_options=dict(way.outputs.get("engine_options") or {}),
        minimum=task.minimum,
        seconds=round(time.monotonic() - started, 1),
    )
    path = checkout.root / "evaluations" / f"{evaluation.commit[:12]}-{evaluation.at.replace(':', '')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{evaluation.model_dump_json(indent=2)}\n", encoding="utf-8")
    return evaluation, path


def record(checkout: Checkout, stack: str, evaluation: Evaluation, file: Path) -> None:
    """Write score and minimum to a stack's settings, where its policies look for them."""
    values = {
        # To the last digit: rounded, a score may reach what it did not.
        "score": repr(evaluation.score),
        "minimum": repr(evaluation.minimum),
        "source": f"{evaluation.name}, {file.relative_to(checkout.root)}",
        "date": evaluation.at[:10],
    }
    key = f'{PROJECT}:policy.evaluations["{evaluation.commit}"]'
    given = [word for name, text in values.items() for word in ("--plaintext", f"{key}.{name}={text}")]
    Engine(checkout, stack).ask("config", "set-all", "--path", *given)


def _environment(way: Way, directory: Path, result: Path) -> dict[str, str]:
    url, model = str(way.outputs["endpoint_url"]), str(way.outputs["served_model_name"])
    given = {
        "NODESTACK_BASE_URL": url,
        "NODESTACK_MODEL": model,
        "NODESTACK_API_KEY_FILE": str(private.write(directory / "api_key", way.api_key)),
        "NODESTACK_RESULT_FILE": str(result),
        "OPENAI_BASE_URL": url,
    }
    authority = str(way.outputs.get("ca_certificate") or "")
    if authority:
        given["NODESTACK_CA_FILE"] = str(private.write(directory / "ca.pem", authority))
        # What Python's ssl, curl and requests look at: it has to reach a hub for its tasks, too.
        everybody = str(private.write(directory / "bundle.pem", f"{authority}\n{_trusted_here()}"))
        given |= dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), everybody)
    return given | ({KEY_VARIABLE: way.api_key} if way.in_environment else {})


def _trusted_here() -> str:
    """Return whom this machine trusts, as PEM."""
    file = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or certifi.where()
    return Path(file).read_text(encoding="utf-8")


def _told(result: Path, program: str) -> Told:
    try:
        return Told.model_validate(json.loads(result.read_bytes()))
    except FileNotFoundError:
        wrong = "wrote nothing to the file that NODESTACK_RESULT_FILE names"
    except ValidationError as invalid:
        wrong = "; ".join(parts_of(invalid))
    except ValueError:
        wrong = "wrote no JSON there"
    raise NodestackError(
        f'{program} told no score ({wrong}): write {{"score": 0.83}}, "figures" besides where there are'
    )
