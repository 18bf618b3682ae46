"""Options and variables that would have a node run or serve what nothing verified: a stack may set none of them.

A node has the files of one manifest and packages that are locked by hash, and its engine reaches no hub. What these
name is either not there, and the engine ends on a node that is paid for, or somebody put it there and nothing looked.
"""

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from nodestack.planning.option_values import decoded

CODE = re.compile(r".*[-_](cls|plugin|module_path)")
"""Names of options, and of keys at any depth, whose value is a class, a file of Python or a module."""

_CODE = "runs code that is in none of the locked packages"
_WEIGHTS = "serves weights that nothing verified, and the engine reaches no hub to fetch them"
_FILES = "takes files that are not those of the verified commit"

OPTIONS: Mapping[str, str] = {
    "trust-remote-code": "runs whatever code a model repository holds; what this version serves it has the code of",
    "middleware": _CODE,
    "logits-processors": _CODE,
    "model-class-overrides": _CODE,
    "lora-modules": _WEIGHTS,
    "spec-model": _WEIGHTS,
    "speculative-config.model": _WEIGHTS,
    "tokenizer": _FILES,
    "tokenizer-revision": _FILES,
    "revision": _FILES,
    "code-revision": _FILES,
    "hf-config-path": _FILES,
    "generation-config": _FILES,
    "allowed-local-media-path": "lets every client read files of the node",
}
"""What each does that is refused, by an option's own name, or that of a key of a group."""

HARMLESS: Mapping[str, frozenset[str]] = {
    "worker-cls": frozenset({"auto"}),
    # The verified files' own sampling, or the engine's.
    "generation-config": frozenset({"auto", "vllm"}),
    # The word that stands for no model: it guesses from the prompt.
    "speculative-config.model": frozenset({"ngram"}),
}
"""Values that name nothing of the kind, beside none at all."""

VALUES: Mapping[str, tuple[frozenset[str], str]] = {
    "load-format": (frozenset({"dummy"}), "serves random weights in place of the verified ones"),
}
"""What certain values of an option do that is refused, by its own name."""

VARIABLES: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "is nodestack's own: the engine reaches no hub",
    "TRANSFORMERS_OFFLINE": "is nodestack's own: the engine reaches no hub",
    "VLLM_USE_MODELSCOPE": _WEIGHTS,
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "lets clients load adapters that nothing verified",
    "VLLM_ALLOW_INSECURE_SERIALIZATION": "lets a request bring code",
    "PYTHONPATH": _CODE,
    "PYTHONSTARTUP": _CODE,
    "PYTHONHOME": _CODE,
    "LD_PRELOAD": _CODE,
    "LD_AUDIT": _CODE,
}
"""What each variable of the engine's environment does that is refused."""

_SECRET = re.compile(r".*_(TOKEN|API_KEY|PASSWORD|SECRET|SECRET_ACCESS_KEY)")


def in_option(name: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    """Yield the path of each thing in an option's value that is refused, and what it would do.

    >>> list(in_option("speculative-config", {"model": "somebody/draft", "num_speculative_tokens": 2}))[0][0]
    'speculative-config.model'
    """
    for path, given in _parts(name, value):
        key = path.rpartition(".")[2]
        why = _CODE if CODE.fullmatch(key) else OPTIONS.get(path)
        if why is not None and given not in HARMLESS.get(path, ()):
            yield path, why
        values, done = VALUES.get(path, (frozenset(), ""))
        if given in values:
            yield path, done


def in_environment(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield why a variable is refused, a line each."""
    for name in variables:
        if name in VARIABLES:
            yield f"engine.environment.{name} {VARIABLES[name]} (nodestack refuses it)"
        elif _SECRET.fullmatch(name):
            yield (
                f"engine.environment.{name} is a secret by its name, and stands in the clear: the hub's token is the "
                "stack's secret hub_token, clients' keys are api_key and api_keys (nodestack refuses it)"
            )


def _parts(path: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    """Yield what an option's value holds, as texts; nothing of what is not set."""
    group = decoded(value)
    if isinstance(group, dict):
        for key, inner in group.items():
            yield from _parts(f"{path}.{key}", inner)
    elif value not in (None, False, "", []):
        yield path, str(value)
