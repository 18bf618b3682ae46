"""Settings of stacks as tests need them: the engine's configuration, built from a stack file."""

import json
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SECRETS = {"nodestack:api_key": "sk-for-tests-0123456789", "nodestack:ssh_private_key": "no key, never parsed here"}


def config(**sections: dict[str, Any] | None) -> dict[str, str]:
    """Return the engine's configuration of the local template with sections updated by key (None removes one)."""
    text = (ROOT / "stacks" / "templates" / "local.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)["config"]
    for section, changes in sections.items():
        key = f"nodestack:{section}"
        if changes is None:
            del values[key]
        else:
            values[key] = values.get(key, {}) | changes
    return {key: json.dumps(value) for key, value in values.items()} | SECRETS


def gpu_config(**sections: dict[str, Any] | None) -> dict[str, str]:
    """Return the configuration of a stack that computes on GPUs; clouds that sell them are not needed to plan one."""
    base: dict[str, dict[str, Any]] = {
        "node": {"shape": "8x-h100-sxm5"},
        "volume": {"size_gib": 600},
        "model": {"name": "trinity-large-thinking", "format": "fp8-block", "hub": "https://huggingface.co"},
        "engine": {"build": "cuda", "wheels": ""},
        "serving": {
            "max_model_len": 65536,
            "max_num_seqs": 64,
            "max_num_batched_tokens": 8192,
            "kv_cache_dtype": "fp8",
        },
    }
    for section, changes in sections.items():
        base[section] = base.get(section, {}) | (changes or {})
    return config(**base)
