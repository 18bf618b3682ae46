"""The stack's outputs: stable names, each documented in docs/outputs.md."""

from typing import Any

import pulumi

from nodestack.components.gpu_node import GpuNode
from nodestack.components.serving import Serving
from nodestack.components.weights_volume import WeightsVolume
from nodestack.planning.result import Plan
from nodestack.settings import Settings
from nodestack.settings.stack import HTTPS_PORT


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
    endpoint = machine.address.apply(lambda address: endpoint_url(settings, address))
    outputs = {
        "endpoint_url": endpoint,
        "ca_certificate": proved.caCertificate,
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
        "next_steps": endpoint.apply(
            lambda url: _next_steps(url, stack=pulumi.get_stack(), acme=settings.gateway.acme_email is not None)
        ),
    }
    for name, value in outputs.items():
        pulumi.export(name, value)


def endpoint_url(settings: Settings, address: str) -> str:
    """Return where clients ask; by name where an ACME authority certified the name, since it certifies no address."""
    gateway = settings.gateway
    host = gateway.hostname if gateway.acme_email and gateway.hostname else address
    if ":" in host:
        host = f"[{host}]"
    port = settings.gateway_port
    return f"https://{host}/v1" if port == HTTPS_PORT else f"https://{host}:{port}/v1"


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


def _next_steps(endpoint: str, *, stack: str, acme: bool) -> list[str]:
    # The stack that `make` takes where none is named.
    named = "" if stack == "local" else f" STACK={stack}"
    trusted = "" if acme else f" --cacert <(make -s ca{named})"
    return [
        f'curl -s{trusted} {endpoint}/models -H "Authorization: Bearer $(make -s key{named})"',
        f"make outputs{named}   # everything this stack verified, as JSON",
        f"make down{named}      # remove the node, keep the weights",
    ]
