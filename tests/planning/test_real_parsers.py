"""The options of every profile, on both flagship nodes, before the real parser of each engine version."""

import shlex

import pytest

from nodestack.catalog import load
from nodestack.planning.options import config_file
from nodestack.planning.result import Plan
from tests.engine_parsers import Asked, judge
from tests.planning.plans import plan


def plans(version: str) -> list[Plan]:
    made = [
        plan(engine={"version": version}, node={"shape": shape}, serving={"profile": profile})
        for shape in ("8x-h100-sxm5", "4x-h200-sxm5")
        for profile in load().profiles.profiles
    ]
    made.append(plan(engine={"version": version}, node={"shape": "3x-h200-sxm5"}, model={"format": "w4a16"}))
    made.append(plan(engine={"version": version}, serving={"enable_expert_parallel": True}))
    assert all(each.fits for each in made)
    return made


@pytest.mark.qualify
@pytest.mark.parametrize("version", sorted(load().engines))
def test_the_real_parser_takes_what_a_plan_would_start(version: str) -> None:
    made = plans(version)
    as_file = judge(version, [Asked(options=config_file(each.options)) for each in made])
    as_line = judge(version, [Asked(words=shlex.split(each.serve_command)[1:]) for each in made])
    for each, file, line in zip(made, as_file, as_line, strict=True):
        assert (file.kind, line.kind) == (None, None), (each.shape, file.said, line.said)
        for verdict in (file, line):
            assert verdict.values["max_num_seqs"] == each.service_level.max_num_seqs.value
            assert verdict.values["max_model_len"] == each.service_level.max_model_len.value
            assert verdict.values["kv_cache_dtype"] == each.service_level.kv_cache_dtype.value


@pytest.mark.qualify
@pytest.mark.parametrize("version", sorted(load().engines))
def test_the_real_parser_refuses_what_no_plan_would_start(version: str) -> None:
    """Else the test above could not fail."""
    refused, taken = judge(version, [Asked(options={"chunked-prefill-size": 512}), Asked(options={"max-num-seqs": 4})])
    assert (refused.kind, taken.kind) == ("parser", None)
