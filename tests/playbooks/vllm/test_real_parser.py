"""Options judged by the parser of the real vLLM, installed by the role's own program from the wheel cache."""

import getpass
import sys
from pathlib import Path

import pytest
import yaml

from nodestack.clouds.local import wheels
from nodestack.clouds.local.cache import cached
from tests.playbooks.vllm.conftest import PROGRAMS, run

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1200)]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
LOCKS = (PROGRAMS / "requirements-0.23.0-cpu.txt", PROGRAMS / "requirements-uv.txt")

# What the guide suggests for 8x H100, less what 0.23.0 refuses.
FULL = {
    "served-model-name": "trinity-large-thinking",
    "dtype": "bfloat16",
    "tensor-parallel-size": 8,
    "max-model-len": 65536,
    "kv-cache-dtype": "fp8",
    "gpu-memory-utilization": 0.9,
    "max-num-seqs": 64,
    "max-num-batched-tokens": 8192,
    "reasoning-parser": "deepseek_r1",
    "enable-auto-tool-choice": True,
    "tool-call-parser": "qwen3_coder",
    "kv-cache-metrics": True,
    "shutdown-timeout": 120,
    "structured-outputs-config": {"backend": "xgrammar", "disable_any_whitespace": True},
    "host": "127.0.0.1",
    "port": 8000,
}


@pytest.fixture(scope="module")
def engine() -> Path:
    def build(target: Path) -> None:
        installed = run(
            "install", f"--root={target}", "--version=0.23.0", "--build=cpu", f"--lock={LOCKS[0]}",
            f"--uv-lock={LOCKS[1]}", f"--find-links={wheels.directory(PYTHON)}", f"--additions={PROGRAMS / 'cpu'}",
            f"--progress={target / 'progress'}",
        )  # fmt: skip
        assert installed.returncode == 0, installed.stderr

    key = b"".join(
        [PYTHON.encode(), *(path.read_bytes() for path in (*LOCKS, PROGRAMS / "nodestack_vllm" / "install.py"))]
    )
    return next(cached("test-engine", key, build).glob("vllm-*"))


def check(engine: Path, directory: Path, options: dict[str, object]) -> tuple[int, str]:
    (engine / "nodestack-options-taken").unlink(missing_ok=True)
    file = directory / "options.yaml"
    file.write_text(yaml.safe_dump(options))
    judged = run(
        "check", f"--engine={engine}", f"--launcher={PROGRAMS / 'serve_engine.py'}", f"--user={getpass.getuser()}",
        f"--environment=PYTHONPYCACHEPREFIX={engine.parent / 'bytecode'}", "--environment=VLLM_NO_USAGE_STATS=1",
        f"--environment=HOME={directory}", file,
    )  # fmt: skip
    return judged.returncode, judged.stderr


def test_the_full_option_set_is_taken(engine: Path, tmp_path: Path) -> None:
    assert check(engine, tmp_path, FULL) == (0, "")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dtype": "fp8"}, "argument --dtype: invalid choice: 'fp8'"),
        ({"chunked-prefill-size": 512}, "unrecognized arguments: --chunked-prefill-size"),
        ({"structured-outputs-config": {"disable_any_whitespace": True}}, "only supported for xgrammar and guidance"),
    ],
)
def test_an_option_this_version_does_not_have_is_named_in_one_line(
    engine: Path, tmp_path: Path, wrong: dict[str, object], said: str
) -> None:
    status, words = check(engine, tmp_path, FULL | wrong)
    assert (status, words.count("\n")) == (1, 1)
    assert said in words
