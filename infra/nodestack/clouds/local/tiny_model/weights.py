"""The tiny model's tensors and how they are cut into shards; the same bytes on every machine."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

SHARD_BYTES = 1_000_000
"""A shard is closed before it would grow beyond this."""


class Tensor(NamedTuple):
    """One tensor as safetensors stores it.

    Attributes:
        dtype: "BF16" or "F32".
        shape: Its dimensions.
        content: Row-major, little-endian.
    """

    dtype: str
    shape: tuple[int, ...]
    content: bytes


def tensors(config: Mapping[str, Any], final_norm: float) -> dict[str, Tensor]:
    """Return every tensor of the checkpoint by its name, in the order of the layers.

    Args:
        config: Content of config.json (`AfmoeConfig`).
        final_norm: Value of the last norm's weights; the one thing in which two revisions differ.
    """
    hidden, vocabulary = config["hidden_size"], config["vocab_size"]
    found = {"model.embed_tokens.weight": _random("model.embed_tokens.weight", (vocabulary, hidden))}
    for layer in range(config["num_hidden_layers"]):
        found.update(_layer(f"model.layers.{layer}", config, dense=layer < config["num_dense_layers"]))
    found["lm_head.weight"] = _random("lm_head.weight", (vocabulary, hidden))
    found["model.norm.weight"] = _constant(final_norm, (hidden,))
    return found


def shards(checkpoint: Mapping[str, Tensor]) -> dict[str, bytes]:
    """Return the files of a sharded checkpoint, the index among them, by file name."""
    groups: list[dict[str, Tensor]] = [{}]
    for name, tensor in checkpoint.items():
        size = sum(len(other.content) for other in groups[-1].values())
        if groups[-1] and size + len(tensor.content) > SHARD_BYTES:
            groups.append({})
        groups[-1][name] = tensor
    names = [f"model-{number:05d}-of-{len(groups):05d}.safetensors" for number in range(1, len(groups) + 1)]
    index = {
        "metadata": {"total_size": sum(len(tensor.content) for tensor in checkpoint.values())},
        "weight_map": {name: file for file, group in zip(names, groups, strict=True) for name in sorted(group)},
    }
    files = {file: _safetensors(group) for file, group in zip(names, groups, strict=True)}
    return files | {"model.safetensors.index.json": (json.dumps(index, indent=2, sort_keys=True) + "\n").encode()}


def _layer(prefix: str, config: Mapping[str, Any], *, dense: bool) -> dict[str, Tensor]:
    hidden, head = config["hidden_size"], config["head_dim"]
    queries, keys = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    shapes: dict[str, tuple[int, ...]] = {
        "self_attn.q_proj": (queries, hidden),
        "self_attn.k_proj": (keys, hidden),
        "self_attn.v_proj": (keys, hidden),
        "self_attn.o_proj": (hidden, queries),
        "self_attn.gate_proj": (queries, hidden),
    }
    if dense:
        shapes.update(_mlp("mlp", hidden, config["intermediate_size"]))
    else:
        expert = config["moe_intermediate_size"]
        shapes["mlp.router.gate"] = (config["num_experts"], hidden)
        shapes.update(_mlp("mlp.shared_experts", hidden, expert * config["num_shared_experts"]))
        for number in range(config["num_experts"]):
            shapes.update(_mlp(f"mlp.experts.{number}", hidden, expert))
    norms = {"input_layernorm": hidden, "post_attention_layernorm": hidden, "pre_mlp_layernorm": hidden}
    norms |= {"post_mlp_layernorm": hidden, "self_attn.q_norm": head, "self_attn.k_norm": head}
    found = {f"{prefix}.{part}.weight": _constant(1.0, (size,)) for part, size in norms.items()}
    found |= {(name := f"{prefix}.{part}.weight"): _random(name, shape) for part, shape in shapes.items()}
    if not dense:
        experts = config["num_experts"]
        found[f"{prefix}.mlp.expert_bias"] = Tensor("F32", (experts,), bytes(4 * experts))
    return found


def _mlp(prefix: str, hidden: int, intermediate: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{prefix}.gate_proj", (intermediate, hidden)
    yield f"{prefix}.up_proj", (intermediate, hidden)
    yield f"{prefix}.down_proj", (hidden, intermediate)


def _random(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return uniform values of standard deviation 0.02, drawn from the name by SHAKE-128.

    A hash and exact arithmetic give the same bits everywhere, which no random generator promises across versions.
    """
    drawn = hashlib.shake_128(name.encode()).digest(2 * int(np.prod(shape)))
    integers = np.frombuffer(drawn, dtype="<i2").astype(np.float32)
    return Tensor("BF16", shape, _bfloat16(integers * np.float32(0.02 * 3**0.5 / 2**15)))


def _constant(value: float, shape: tuple[int, ...]) -> Tensor:
    return Tensor("BF16", shape, _bfloat16(np.full(shape, value, dtype=np.float32)))


def _bfloat16(values: npt.NDArray[np.float32]) -> bytes:
    """Return the upper halves of the values, rounded to nearest even."""
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2").tobytes()


def _safetensors(group: Mapping[str, Tensor]) -> bytes:
    """Return a safetensors file written here, so that its bytes hang on no library's version."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, tensor in sorted(group.items()):
        end = position + len(tensor.content)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded + b"".join(group[name].content for name in sorted(group))
