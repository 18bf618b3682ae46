"""Keys, names, versions, weights, metrics and the gateway: what is asked here costs few tokens or none."""

import time
from pathlib import Path

from nodestack_smoke.question import COMPLETIONS, Asked, Question, Wrong
from nodestack_smoke.server import WRONG_KEY, Refused, choice

UNAUTHORIZED = 401
GATEWAY_TOKENS = 4
# systemd and the file system read the clock at different moments.
CLOCK_SLACK_S = 1.0


def locked() -> Question:
    """Without a key nothing is answered."""
    return Question(
        "request without a key",
        f"HTTP {UNAUTHORIZED}",
        "anybody may use the model: stop the service, and look whether serve-engine got its credential",
        lambda asked: _status(asked, None),
    )


def wrong_key() -> Question:
    """With a key that nobody has nothing is answered."""
    return Question(
        "request with a wrong key",
        f"HTTP {UNAUTHORIZED}",
        "anybody may use the model: stop the service, and look whether serve-engine got its credential",
        lambda asked: _status(asked, WRONG_KEY),
    )


def served_model(asked: Asked) -> Question:
    """The name that clients ask for is served."""
    return Question(
        "served model", asked.model, "clients ask for another name: run up again, it sets served-model-name", _model
    )


def engine_version(asked: Asked) -> Question:
    """The version that answers is the one that was asked for."""
    return Question(
        "engine version", asked.engine_version, "another engine runs: restart the service, or run up again", _version
    )


def commit(asked: Asked) -> Question:
    """The weights that were loaded are those of the commit that was asked for."""
    remedy = "other weights are loaded than were asked for: run up again, it verifies them and starts the engine anew"
    return Question("commit of the weights", asked.commit, remedy, _commit)


def metrics(asked: Asked) -> Question:
    """Every metric that dashboards and alerts rely on is there."""
    remedy = "alerts that need them never fire: name them as this engine does in engine-metrics.json and in the rules"
    return Question("metrics", f"{len(asked.metrics)} names", remedy, _metrics)


def gateway() -> Question:
    """Clients get through the gateway, with a key and with its certificate, and nobody else does."""
    return Question(
        "through the gateway",
        f"HTTP {UNAUTHORIZED} without a key, and a reply with one",
        "clients come this way: read journalctl of the gateway's unit, and look at its certificate and its keys",
        _gateway,
    )


def _status(asked: Asked, key: str | None) -> str:
    status = asked.server.status("/v1/models", key)
    if status != UNAUTHORIZED:
        raise Wrong(f"HTTP {status}")
    return f"HTTP {status}"


def _model(asked: Asked) -> str:
    models = asked.server.models()
    names = ", ".join(str(model.get("id")) for model in models) or "none"
    served = next((model for model in models if model.get("id") == asked.model), None)
    if served is None:
        raise Wrong(names)
    length = served.get("max_model_len")
    asked.max_model_len = length if isinstance(length, int) else 0
    return names


def _version(asked: Asked) -> str:
    seen = str(asked.server.get("/version").get("version"))
    # A build says after a plus what it was built for.
    if seen.partition("+")[0] != asked.engine_version:
        raise Wrong(seen)
    return seen


def _commit(asked: Asked) -> str:
    loaded = next((str(m.get("root")) for m in asked.server.models() if m.get("id") == asked.model), "")
    path = Path(loaded)
    if not path.is_dir():
        raise Wrong(f"weights loaded from {loaded or 'nowhere'}, where no directory is")
    commit = path.resolve().name
    if commit != asked.commit:
        raise Wrong(commit)
    since = time.time() - asked.service.active_s
    if path.is_symlink() and asked.service.active_s and path.lstat().st_mtime > since + CLOCK_SLACK_S:
        raise Wrong(f"{commit}, but {path} was turned to it after the engine had started")
    return commit


def _metrics(asked: Asked) -> str:
    lines = asked.server.text("/metrics").splitlines()
    there = {line.split("{", 1)[0].split(" ", 1)[0] for line in lines if line and not line.startswith("#")}
    missing = [name for name in asked.metrics if name not in there]
    if missing:
        raise Wrong(f"{len(asked.metrics) - len(missing)}, without {', '.join(missing)}")
    return f"{len(asked.metrics)} names"


def _gateway(asked: Asked) -> str:
    gateway = asked.gateway
    if gateway is None:
        raise Refused("no gateway")
    status = gateway.status("/v1/models", None)
    if status != UNAUTHORIZED:
        raise Wrong(f"HTTP {status} without a key")
    choice(gateway.ask(COMPLETIONS, {"prompt": "The capital of France is", "max_tokens": GATEWAY_TOKENS}))
    return f"HTTP {status} without a key, and a reply with one"
