"""Our verdicts beside those of the real parsers and configurations, option by option."""

import pytest
from pydantic import JsonValue

from nodestack.catalog.engine_options import Option, option_table
from nodestack.clouds.local import tiny_model
from nodestack.planning.option_checks import Checked
from nodestack.planning.options import OWNED, config_file
from tests.engine_parsers import Asked, judge
from tests.option_sets import VERSIONS, checker

pytestmark = [pytest.mark.qualify, pytest.mark.vllm]


def values_to_try(option: Option) -> list[JsonValue]:
    values: list[JsonValue] = [True, False, 3, -1, 1.5, "abc", "8K", "1.5M", "", ["a", "b"], [1, 2], {"a": 1}, "[1]"]
    values += (option.choices or ())[:2]
    for key in option.keys or {}:
        values += [{key: True}, {key: "x"}]
    return values


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_real_parser_refuses_was_refused_before(version: str) -> None:
    tried: list[tuple[str, JsonValue, Checked]] = []
    for name, option in option_table(version).options.items():
        if name in OWNED:
            continue
        for value in values_to_try(option):
            tried.append((name, value, checker(version).check({name: value}, {})))
    written = [config_file({name: value} if checked.refusals else checked.options) for name, value, checked in tried]
    verdicts = judge(version, [Asked(options=options) for options in written])
    refused = [
        (name, value, verdict.said)
        for (name, value, checked), verdict in zip(tried, verdicts, strict=True)
        if verdict.kind == "parser" and not checked.refusals and not is_left_to_the_parser(version, name, value)
    ]
    assert refused == []
    assert sum(verdict.kind == "parser" for verdict in verdicts) > len(tried) / 4


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_said_to_end_the_configuration_does(version: str) -> None:
    sets: list[dict[str, JsonValue]] = [
        {"quantization": "compressed_tensors"},
        {"quantization": "awq"},
        {"quantization": "nonsense"},
        {"enable-auto-tool-choice": True},
        {"enable-log-outputs": True},
        {"enable-eplb": True},
        {"numa-bind-cpus": ["0-1"]},
        {"enable-chunked-prefill": False, "max-model-len": 4096, "max-num-batched-tokens": 1024},
        {"max-num-seqs": 32, "max-num-batched-tokens": 16},
    ]
    verdicts = judge(
        version, [Asked(options=config_file(options), directory=tiny_model.checkpoint()) for options in sets]
    )
    assert [verdict.kind for verdict in verdicts] == ["configuration"] * len(sets)
    for options in sets:
        free = {name: value for name, value in options.items() if name not in OWNED}
        kinds = {finding.kind for finding in checker(version, "plain").check(free, options).findings}
        assert kinds == {"configuration"}, options


def is_left_to_the_parser(version: str, name: str, value: JsonValue) -> bool:
    """Keys of groups whose class takes what cannot be told from its annotation."""
    keys = option_table(version).options[name].keys or {}
    return isinstance(value, dict) and any(keys[key].type == "any" for key in value if key in keys)
