"""What policies judge of a stack, from its settings, plan and catalogue."""

from nodestack.catalog import Catalog
from nodestack.planning.memory import GIB
from nodestack.planning.result import Plan
from nodestack.policies.facts import Environment, Facts
from nodestack.settings import Settings

GATES = ("fabric", "smoke")
"""What a node of ours has to pass before it takes traffic; no setting turns them off."""


def environment_of(settings: Settings) -> Environment:
    """Return the environment that a stack says it is; left out, that of its cloud and purpose."""
    if settings.policy.environment is not None:
        return settings.policy.environment
    return "local" if settings.is_on_this_machine else settings.node.purpose


def facts_of(settings: Settings, plan: Plan, catalog: Catalog) -> Facts:
    """Return what policies judge of a stack.

    Args:
        settings: The stack's settings.
        plan: Its plan, with the price it is judged by.
        catalog: Where licence and interconnect come from.
    """
    policy, gateway = settings.policy, settings.gateway
    pin = plan.commit or ""
    evaluation = policy.evaluations.get(pin)
    licence = catalog.model(plan.model).licence
    tokens = plan.cost.usd_per_million_output_tokens
    remote_code = bool(plan.options.get("trust-remote-code", False))
    on_gpus = catalog.shape(plan.shape).runs_on == "gpu"
    return Facts(
        environment=environment_of(settings),
        model=plan.model,
        format=plan.format,
        commit=plan.commit,
        # Told only where it decides something: `make up` writes it down once it is verified, which changes no more.
        manifest_sha256=settings.model.manifests.get(pin) if remote_code else None,
        remote_code=remote_code,
        reviewed_manifest_sha256=policy.reviewed_code.get(pin),
        licence=licence.name if licence else None,
        licence_acknowledged=policy.licence_acknowledged,
        evaluation_score=evaluation.score if evaluation else None,
        evaluation_minimum=evaluation.minimum if evaluation else None,
        cloud=settings.cloud.kind,
        region=settings.node.region,
        market=settings.node.market,
        interconnect=catalog.gpu(plan.shape).interconnect if on_gpus else "none",
        engine_version=plan.engine_version,
        engine_options=tuple(plan.options),
        volume_size_gib=settings.volume.size_gib,
        disk_need_gib=plan.disk_need_bytes / GIB,
        allowed_cidrs=gateway.allowed_cidrs,
        ssh_allowed_cidrs=gateway.ssh_allowed_cidrs,
        firewall=settings.has_firewall,
        api_key=bool(settings.keys),
        tls=True,
        gates=GATES,
        smoke_interval_minutes=settings.serving.smoke_interval_minutes,
        usd_per_hour=plan.cost.usd_per_hour,
        usd_per_month=plan.cost.usd_per_month,
        usd_per_million_output_tokens=max(tokens) if tokens else None,
        volume_usd_per_hour=plan.cost.volume.usd_per_hour if plan.cost.volume else None,
    )
