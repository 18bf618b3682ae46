"""Whatever is asked for, there is a plan or a refusal; and plans move the way that their causes do."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodestack.catalog import load
from nodestack.errors import CatalogError, PlanError
from nodestack.planning.plan import make_plan
from nodestack.planning.result import Plan
from nodestack.settings import Request
from tests.planning.plans import request

CATALOG = load()
PROFILES = tuple(CATALOG.profiles.profiles)
# `make qualify-planning` asks for 10,000.
EXAMPLES = int(os.environ.get("NODESTACK_EXAMPLES", "300"))
FORMATS = [(name, form) for name, model in CATALOG.models.items() for form in model.formats]
OPTIONS = st.dictionaries(
    st.sampled_from(
        [
            "dtype",
            "block-size",
            "quantization",
            "chunked-prefill-size",
            "max-num-seqs",
            "seed",
            "enable-chunked-prefill",
            "tool-call-parser",
            "disable-hybrid-kv-cache-manager",
            "structured-outputs-config",
            "kv-cache-dtype",
            "nonsense",
        ]
    ),
    st.none()
    | st.booleans()
    | st.integers(-10, 10**7)
    | st.text(max_size=9)
    | st.dictionaries(st.text(max_size=3), st.none()),
    max_size=4,
)
REQUESTS = st.builds(
    lambda named, shape, purpose, market, version, build, serving, trace, cost, volume, cloud: Request.model_validate(
        {
            "model": {"name": named[0], "format": named[1]},
            "node": {"shape": shape, "purpose": purpose, "market": market},
            "engine": {"version": version, "build": build},
            "serving": {name: value for name, value in serving.items() if value is not None},
            "workload": {"trace_length_p95": trace},
            "cost": cost,
            "volume": {"size_gib": volume} if volume else None,
            "cloud": cloud,
        }
    ),
    st.sampled_from(FORMATS),
    st.sampled_from(sorted(CATALOG.nodes.shapes)),
    st.sampled_from(["production", "development"]),
    st.sampled_from(["on_demand", "spot"]),
    st.sampled_from(sorted(CATALOG.engines)),
    st.sampled_from(["cuda", "cpu"]),
    st.fixed_dictionaries(
        {
            "profile": st.sampled_from(PROFILES),
            "max_model_len": st.none() | st.integers(1, 600_000),
            "max_num_seqs": st.none() | st.integers(1, 5000),
            "max_num_batched_tokens": st.none() | st.integers(1, 200_000),
            "gpu_memory_utilization": st.floats(0.01, 1),
            "kv_cache_dtype": st.sampled_from([None, "auto", "fp8"]),
            "tensor_parallel_size": st.none() | st.integers(1, 1024),
            "pipeline_parallel_size": st.none() | st.integers(1, 1024),
            "enable_expert_parallel": st.booleans(),
            "options": OPTIONS,
        }
    ),
    st.none() | st.integers(1, 400_000),
    st.fixed_dictionaries(
        {
            "utilisation": st.floats(0.001, 1),
            "input_tokens_per_output_token": st.floats(0, 1000),
        }
    ),
    st.none() | st.integers(1, 64_000),
    st.sampled_from([None, "local", "spheron"]),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(asked=REQUESTS)
def test_there_is_a_plan_or_a_refusal(asked: Request) -> None:
    try:
        made = make_plan(asked, CATALOG)
    except (CatalogError, PlanError) as refusal:
        assert str(refusal)
        return
    assert made.fits != bool(made.refusals)
    assert all(made.refusals) and all(made.warnings)
    assert made.service_level.max_num_seqs.value >= 1
    assert Plan.model_validate_json(made.model_dump_json()) is not None


def trinity(**serving: Any) -> Request:
    return request(node={"shape": "4x-h200-sxm5"}, serving=serving)


def held(asked: Request, kv_bytes: int | None = None) -> float:
    kv = make_plan(asked, CATALOG, kv_bytes).kv
    assert kv is not None
    return kv.concurrency


@given(more=st.integers(0, 2**36), kv=st.integers(0, 2**37), length=st.integers(1, 262_144))
def test_more_memory_never_lowers_capacity(more: int, kv: int, length: int) -> None:
    asked = trinity(max_model_len=length, max_num_batched_tokens=8192)
    assert held(asked, kv + more) >= held(asked, kv)


@given(share=st.floats(0.5, 0.98), more=st.floats(0, 0.02), length=st.integers(1, 262_144))
def test_a_larger_share_of_memory_never_lowers_capacity(share: float, more: float, length: int) -> None:
    sizes = {"max_model_len": length, "max_num_batched_tokens": 8192}
    assert held(trinity(gpu_memory_utilization=share + more, **sizes)) >= held(
        trinity(gpu_memory_utilization=share, **sizes)
    )


@given(length=st.integers(1, 262_143), more=st.integers(1, 262_143), step=st.integers(1, 65_536))
def test_a_longer_context_never_raises_capacity(length: int, more: int, step: int) -> None:
    longer = min(length + more, 262_144)
    sizes = {"max_num_batched_tokens": step}
    assert held(trinity(max_model_len=longer, **sizes)) <= held(trinity(max_model_len=length, **sizes))


@given(price=st.floats(0.01, 1000), more=st.floats(0, 1000), utilisation=st.floats(0.01, 1))
def test_cost_follows_the_price(price: float, more: float, utilisation: float) -> None:
    def cost(usd_per_hour: float) -> tuple[float, float]:
        live = {"usd_per_hour": usd_per_hour, "source": "a test", "date": "2026-11-22"}
        made = make_plan(request(cost={"live_price": live, "utilisation": utilisation}), CATALOG).cost
        assert made.usd_per_hour is not None and made.usd_per_million_output_tokens is not None
        return made.usd_per_hour, made.usd_per_million_output_tokens[1]

    assert all(dearer >= cheaper for dearer, cheaper in zip(cost(price + more), cost(price), strict=True))


@pytest.mark.parametrize("usd_per_hour", [-1, 0])
def test_a_price_of_nothing_or_less_is_refused(usd_per_hour: float) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        request(cost={"live_price": {"usd_per_hour": usd_per_hour, "source": "a test", "date": "2026-11-22"}})
