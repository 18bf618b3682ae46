"""The tiny model: the same bytes each time, and consistent in itself."""

import json
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pytest
from safetensors import safe_open

from nodestack.clouds.local import tiny_model
from nodestack.clouds.local.tiny_model import tokenizer

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    return tiny_model.checkpoint()


def read_json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def rendered(checkpoint: Path, **context: Any) -> str:
    environment = jinja2.Environment(undefined=jinja2.Undefined, autoescape=False)  # noqa: S701
    return environment.from_string((checkpoint / "chat_template.jinja").read_text()).render(**context)


def test_making_it_again_gives_the_pinned_commits() -> None:
    assert tiny_model.commit_ids() == (tiny_model.COMMIT, tiny_model.NEXT_COMMIT)


def test_the_second_commit_differs_in_one_shard_only(checkpoint: Path) -> None:
    later = tiny_model.checkpoint(tiny_model.NEXT_COMMIT)

    differing = [path.name for path in checkpoint.iterdir() if path.read_bytes() != (later / path.name).read_bytes()]

    assert differing == ["model-00005-of-00005.safetensors"]


def test_there_are_shards_of_about_a_megabyte(checkpoint: Path) -> None:
    sizes = [path.stat().st_size for path in checkpoint.glob("*.safetensors")]

    assert len(sizes) >= 4
    assert max(sizes) < 1_010_000


def test_each_tensor_of_the_index_is_in_the_shard_it_names_and_nothing_else_is(checkpoint: Path) -> None:
    index = read_json(checkpoint / "model.safetensors.index.json")
    found: dict[str, str] = {}
    parameters = total_bytes = 0
    for shard in sorted(checkpoint.glob("*.safetensors")):
        with safe_open(shard, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - a handle, not a mapping
                piece = tensors.get_slice(name)
                count = int(np.prod(piece.get_shape()))
                parameters += count
                total_bytes += count * {"BF16": 2, "F32": 4}[piece.get_dtype()]
                found[name] = shard.name

    assert found == index["weight_map"]
    assert total_bytes == index["metadata"]["total_size"]
    assert 1_900_000 < parameters < 2_100_000


def test_shapes_follow_the_configuration(checkpoint: Path) -> None:
    config = read_json(checkpoint / "config.json")
    with safe_open(checkpoint / "model-00001-of-00005.safetensors", framework="numpy") as tensors:
        embedding = tensors.get_slice("model.embed_tokens.weight").get_shape()
        queries = tensors.get_slice("model.layers.0.self_attn.q_proj.weight").get_shape()

    assert embedding == [config["vocab_size"], config["hidden_size"]]
    assert queries == [config["num_attention_heads"] * config["head_dim"], config["hidden_size"]]
    assert config["layer_types"].count("sliding_attention") == 3


def test_the_vocabulary_is_full_and_has_the_tokens_that_parsers_look_for(checkpoint: Path) -> None:
    content = read_json(checkpoint / "tokenizer.json")
    added = {token["content"]: token["id"] for token in content["added_tokens"]}
    config = read_json(checkpoint / "config.json")

    ids = [*content["model"]["vocab"].values(), *added.values()]
    assert sorted(ids) == list(range(tokenizer.VOCABULARY_SIZE))
    assert added["<|im_end|>"] == config["eos_token_id"]
    assert added["<|pad|>"] == config["pad_token_id"]
    assert {"<think>", "</think>", "<tool_call>", "</tool_call>"} <= added.keys()


def test_each_merge_is_of_two_known_tokens_into_a_known_one(checkpoint: Path) -> None:
    model = read_json(checkpoint / "tokenizer.json")["model"]

    for merge in model["merges"]:
        left, right = merge.split(" ")
        assert {left, right, left + right} <= model["vocab"].keys()


def test_a_corpus_too_small_for_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="merges, 744 are needed"):
        tokenizer.tokenizer("too short")


def test_the_template_opens_the_thinking_and_keeps_the_turns_apart(checkpoint: Path) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]

    assert rendered(checkpoint, messages=messages, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n"
    )


def test_the_template_names_the_tools_and_gives_back_calls_reasoning_and_results(checkpoint: Path) -> None:
    call = {"function": {"name": "get_weather", "arguments": {"location": "Paris", "days": 2}}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Weather?"}]},
        {"role": "assistant", "content": None, "reasoning": "Look it up.", "tool_calls": [call]},
        {"role": "tool", "content": "sunny"},
    ]

    text = rendered(checkpoint, messages=messages, tools=[TOOL], add_generation_prompt=True)

    assert '{"name": "get_weather", "parameters": {"type": "object"}}' in text
    assert "Weather?" in text
    assert "<think>\nLook it up.\n</think>" in text
    assert (
        "<function=get_weather>\n<parameter=location>\nParis\n</parameter>\n<parameter=days>\n2\n</parameter>" in text
    )
    assert "<tool_response>\nsunny\n</tool_response>" in text
