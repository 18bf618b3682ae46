"""The stack's outputs: stable names, each documented in docs/outputs.md."""

from typing import Any

import pulumi

from nodestack.components.gpu_node import GpuNode
from nodestack.components.serving import Serving
from nodestack.components.weights_volume import WeightsVolume
from nodestack.planning.plan import PORT
from nodestack.planning.result import Plan
from nodestack.settings import Settings

LOOPBACK = "127.0.0.1"


def export(settings: Settings, plan: Plan, volume: WeightsVolume, node: GpuNode, serving: Serving) -> None:
    """Export what a user, a script or a later stack may rely on.

    Args:
        settings: The stack's settings.
        plan: Its plan.
        volume: The weights volume.
        node: The machine.
        serving: What was proved about it.
    """
    proved = serving.configuration
    machine = node.node
    tunnelled = settings.serving.listen_address == LOOPBACK
    endpoint = f"http://{LOOPBACK}:{PORT}/v1" if tunnelled else machine.address.apply(lambda a: f"http://{a}:{PORT}/v1")
    outputs = {
        "endpoint_url": endpoint,
        "served_model_name": plan.served_model_name,
        "model_repository": plan.repository,
        "model_commit": proved.modelCommit,
        "manifest_sha256": proved.manifestSha256,
        "engine_version": proved.engineVersion,
        "engine_options": plan.options,
        "fabric": proved.fabric,
        "smoke": proved.smoke,
        "bench": proved.bench.apply(lambda seen: seen or _unmeasured(pulumi.get_stack())),
        "volume": volume.summary,
        "node": machine_summary(settings, node),
        "capacity": capacity(settings, plan),
        "cost": plan.cost.model_dump(mode="json"),
        "phases": proved.phases,
        "next_steps": pulumi.Output.all(machine.address, machine.sshPort, machine.sshUser, endpoint).apply(
            lambda seen: _next_steps(*seen, stack=pulumi.get_stack(), tunnelled=tunnelled)
        ),
    }
    for name, value in outputs.items():
        pulumi.export(name, value)


def machine_summary(settings: Settings, node: GpuNode) -> dict[str, Any]:
    """Return which machine it is, where it stands and what its cloud bills for it, as it said when last asked."""
    machine = node.node
    return {
        "id": machine.nodeId,
        "cloud": settings.cloud.kind,
        "region": machine.region,
        "market": machine.market,
        "usd_per_hour": machine.usdPerHour,
        "created_at": machine.createdAt,
    }


def capacity(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Return what the endpoint holds, as planned; the cache's numbers are None where nothing says how large it is."""
    level = plan.service_level
    return {
        "profile": level.profile,
        "max_model_len": level.max_model_len.value,
        "max_num_seqs": level.max_num_seqs.value,
        "max_num_batched_tokens": level.max_num_batched_tokens.value,
        "kv_cache_tokens": plan.kv.tokens if plan.kv else None,
        "kv_cache_concurrency": plan.kv.concurrency if plan.kv else None,
        "warnings": list(plan.warnings),
        "trace_length_p95": settings.workload.trace_length_p95,
    }


def _unmeasured(stack: str) -> dict[str, str]:
    return {"kind": "none", "how": f"nodestack bench --stack {stack} measures it, the next up shows it here"}


def _next_steps(  # noqa: PLR0913 - each by name
    address: str, port: int, user: str, endpoint: str, *, stack: str, tunnelled: bool
) -> list[str]:
    # The stack that `make` takes where none is named.
    named = "" if stack == "local" else f" STACK={stack}"
    tunnel = [
        f"ssh -N -L {PORT}:{LOOPBACK}:{PORT} -p {port} {user}@{address}   # the endpoint listens on the node only"
    ]
    return [
        *(tunnel if tunnelled else []),
        f'curl -s {endpoint}/models -H "Authorization: Bearer $(make -s key{named})"',
        f"make outputs{named}   # everything this stack verified, as JSON",
        f"make down{named}      # remove the node, keep the weights",
    ]
