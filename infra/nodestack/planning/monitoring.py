"""The monitoring part of the node document: what alerts compare with, and where they go."""

from typing import Any

from nodestack.catalog import Catalog
from nodestack.planning.result import Plan
from nodestack.settings import Settings

MIB_PER_GIB = 1024


def monitoring_variables(settings: Settings, plan: Plan, catalog: Catalog) -> dict[str, Any]:
    """Return the variables of the monitoring role.

    Latencies come from the stack, else from its profile; cost from the plan, 0 where it knows none.

    Args:
        settings: The stack's settings.
        plan: Its plan.
        catalog: Where the profiles' objectives come from.
    """
    wanted = settings.monitoring
    objective = catalog.profiles.profiles[settings.serving.profile].objective
    planned = plan.cost.usd_per_million_output_tokens
    return {
        "monitoring_enabled": wanted.enabled,
        "monitoring_scrape": wanted.scrape,
        "monitoring_allowed_cidrs": list(wanted.allowed_cidrs),
        "monitoring_retention_days": wanted.retention_days,
        "monitoring_retention_mib": round(wanted.retention_gib * MIB_PER_GIB),
        "monitoring_ttft_p95_s": wanted.ttft_p95_s or objective.ttft_p95_s,
        "monitoring_inter_token_latency_p95_s": (
            wanted.inter_token_latency_p95_s or objective.inter_token_latency_p95_s
        ),
        "monitoring_usd_per_hour": plan.cost.usd_per_hour or 0.0,
        "monitoring_planned_usd_per_million": round(planned[1], 2) if planned else 0.0,
        "monitoring_alertmanager_url": wanted.alertmanager_url,
        "monitoring_webhook_url": wanted.webhook_url,
        "monitoring_email_to": wanted.email_to,
        "monitoring_email_from": wanted.email_from,
        "monitoring_email_smarthost": wanted.email_smarthost,
        "monitoring_grafana": wanted.grafana,
        "monitoring_runbook_base_url": wanted.runbook_base_url.rstrip("/"),
        "monitoring_journal_mib": round(wanted.journal_gib * MIB_PER_GIB),
        "monitoring_journal_days": wanted.journal_days,
    }
