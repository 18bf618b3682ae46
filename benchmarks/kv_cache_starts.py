"""Starts of the real engine on this machine's CPU, until its log tells its KV cache; and what former starts told."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from nodestack.clouds.local import tiny_model

# Median of sixteen starts on two cores, 2026-11-22; used until this machine has measured its own.
SECONDS_A_START = 20.0
ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "auto",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
}
SIZE = re.compile(r"KV cache size: ([\d,]+) tokens")
CONCURRENCY = re.compile(r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x")
POLL_S = 0.2
GRACE_S = 3.0


class Failure(Exception):
    """A server ended or stayed silent; says what its log says."""


@dataclass(frozen=True)
class Setting:
    """What a server is started with; the checkpoint's window and layers are edited in a copy of it.

    Attributes:
        layers_full: How many of the layers are full, the last of equal periods.
        block_tokens: The option block-size, or None for the engine's default.
        blocks: The option num-gpu-blocks-override, or None.
        must_answer: Whether the server is kept until it answers /health.
        refused: Whether the plan refuses it, so that the server is expected to end.
    """

    name: str
    max_model_len: int = 1024
    max_num_batched_tokens: int = 1024
    max_num_seqs: int = 4
    sliding_window: int = 256
    layers: int = 4
    layers_full: int = 1
    dtype: str = "bfloat16"
    kv_cache_dtype: str = "auto"
    block_tokens: int | None = None
    blocks: int | None = None
    cache_gib: int = 1
    hybrid: bool = True
    must_answer: bool = False
    refused: bool = False

    def changes(self) -> dict[str, object]:
        """Return what the server is started with that is not every server's."""
        return {key: value for key, value in asdict(self).items() if getattr(PLAIN, key) != value and key != "name"}

    def described(self) -> str:
        """Return the name and what differs from the plain setting."""
        changed = [f"{key} {value}" for key, value in self.changes().items() if value is not True]
        return f"{self.name} ({', '.join(changed)})" if changed else self.name

    def options(self) -> list[str]:
        """Return the server's options."""
        options: dict[str, object] = {
            "--max-model-len": self.max_model_len,
            "--max-num-batched-tokens": self.max_num_batched_tokens,
            "--max-num-seqs": self.max_num_seqs,
            "--dtype": self.dtype,
            "--kv-cache-dtype": self.kv_cache_dtype,
            "--distributed-executor-backend": "uni",
        }
        options |= {"--block-size": self.block_tokens} if self.block_tokens else {}
        options |= {"--num-gpu-blocks-override": self.blocks} if self.blocks else {}
        words = [word for option, value in options.items() for word in (option, str(value))]
        return [*words, "--enforce-eager", *([] if self.hybrid else ["--disable-hybrid-kv-cache-manager"])]


PLAIN = Setting("plain")


@dataclass(frozen=True)
class Logged:
    """What a server's log said.

    Attributes:
        tokens: Of its KV cache; 0 when it ended before it had one.
        error: What it ended with, when that was expected.
        seconds: From the start to the end.
        healthy: Whether it answered /health before it was ended.
    """

    tokens: int
    concurrency: float
    seconds: float
    healthy: bool
    error: str = ""


class Known:
    """What starts told so far, in a file that is complete after each of them.

    Args:
        path: The file, JSON.
        engine: Interpreter of the engine's environment, whose name is part of every key.
    """

    def __init__(self, path: Path, engine: Path) -> None:
        self._path = path
        self._environment = engine.parent.parent.name
        self._entries: dict[str, Logged] = {}
        if path.exists():
            self._entries = {key: Logged(**entry) for key, entry in json.loads(path.read_text("utf-8")).items()}

    def get(self, setting: Setting) -> Logged | None:
        """Return what a start with this content told, or None."""
        return self._entries.get(self._key(setting))

    def keep(self, setting: Setting, logged: Logged) -> None:
        """Write down what a start told."""
        self._entries[self._key(setting)] = logged
        self.write(self._path, {key: asdict(entry) for key, entry in self._entries.items()})

    def estimate(self, left: int, all_of_them: int) -> str:
        """Return how long `left` starts will take, in words."""
        seconds = [entry.seconds for entry in self._entries.values()]
        each = statistics.median(seconds) if seconds else SECONDS_A_START
        source = "as measured here" if seconds else "as measured on two cores"
        known = all_of_them - left
        return f"{left} starts to make, {known} known; about {left * each / 60:.1f} minutes, {each:.0f} s each {source}"

    @staticmethod
    def write(path: Path, content: dict[str, object]) -> None:
        """Write JSON that a killed run leaves whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        beside.replace(path)

    def _key(self, setting: Setting) -> str:
        content = [self._environment, tiny_model.COMMIT, ENVIRONMENT, setting.changes()]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def interpreter(root: Path, version: str) -> Path:
    """Return the interpreter of an environment with this vLLM, made where it is missing.

    Raises:
        Failure: There is none; why was said on stderr.
    """
    command: list[str | Path] = [sys.executable, root / "tools" / "engine_environment.py", version]
    variables = os.environ | {"PYTHONPATH": str(root / "infra")}
    made = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode != 0:
        raise Failure(f"there is no environment with vLLM {version}")
    return Path(made.stdout.strip())


def start(setting: Setting, engine: Path, timeout_s: float) -> Logged:
    """Start a server, wait for what is asked of it, and end it.

    Args:
        setting: What it is started with.
        engine: Interpreter of the engine's environment.
        timeout_s: Seconds it may take.

    Raises:
        Failure: It ended by itself or said nothing in time.
    """
    begun, awaited = time.monotonic(), setting.must_answer or setting.refused
    with tempfile.TemporaryDirectory(prefix="nodestack-kv-cache-") as scratch:
        place = Path(scratch)
        with _server(setting, engine, place) as (server, url):
            while True:
                seconds = time.monotonic() - begun
                text = (place / "log").read_text("utf-8", "replace")
                size, concurrency = SIZE.search(text), CONCURRENCY.search(text)
                healthy = awaited and _answers(url)
                if size and concurrency and (healthy or not awaited):
                    tokens = int(size[1].replace(",", ""))
                    return Logged(tokens, float(concurrency[1]), seconds, healthy)
                if server.poll() is not None and setting.refused:
                    return Logged(0, 0.0, seconds, False, _last_words(text))
                if server.poll() is not None:
                    raise Failure(f"the server ended with {server.returncode}: {_last_words(text)}")
                if seconds > timeout_s:
                    raise Failure(f"the log named no KV cache in {timeout_s:.0f} s: {_last_words(text)}")
                time.sleep(POLL_S)


@contextmanager
def _server(setting: Setting, engine: Path, place: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a server in a session of its own, and end all of it."""
    port = _free_port()
    words: list[str | Path] = [engine, "-m", "vllm.entrypoints.cli.main", "serve", _checkpoint(setting, place)]
    words += ["--host", "127.0.0.1", "--port", str(port), *setting.options()]
    variables = os.environ | ENVIRONMENT | {"VLLM_CPU_KVCACHE_SPACE": str(setting.cache_gib)}
    with (place / "log").open("wb") as log:
        server = subprocess.Popen(
            words, cwd=place, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield server, f"http://127.0.0.1:{port}"
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server's process group; nothing of it is worth waiting for, so what does not listen is killed."""
    try:
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(GRACE_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _checkpoint(setting: Setting, place: Path) -> Path:
    """Return a copy of the tiny checkpoint with the setting's window and layers in its config.json."""
    copy = place / "checkpoint"
    shutil.copytree(tiny_model.checkpoint(), copy)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    period = setting.layers // setting.layers_full if setting.layers_full else setting.layers + 1
    # A model of one kind of layers gets its window in all of them, whatever they are called.
    config["sliding_window"] = setting.sliding_window if setting.layers_full < setting.layers else None
    config["layer_types"] = [
        "sliding_attention" if (layer + 1) % period else "full_attention" for layer in range(setting.layers)
    ]
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return copy


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _last_words(log: str) -> str:
    """Return the last error that does not point to another one, or else the last line."""
    found: list[str] = re.findall(r"\b\w+Error: .+", log)
    errors = [error for error in found if "root cause above" not in error]
    return (errors or [line.strip() for line in log.splitlines() if line.strip()] or ["the log is empty"])[-1]
