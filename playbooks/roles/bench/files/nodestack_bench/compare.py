"""Figures beside those of a former run: what became worse by more than its tolerance."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIGHER_IS_BETTER = frozenset({"output_tokens_per_second"})
SAME = ("engine_version", "engine_build", "commit", "options_sha256", "hardware", "through", "shape")
"""What must be the same in two records for their figures to be comparable."""


def baseline(records: Path, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the last comparable record that was itself no regression, or None.

    Held against the last record whatever it was, a regression would be told once and be the measure from then on.
    """
    for path in sorted(records.glob("*.json"), reverse=True):
        try:
            former = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(former, dict) and former.get("is_baseline") and all(former.get(k) == record[k] for k in SAME):
            return former
    return None


def regressions(
    figures: Mapping[str, float], before: Mapping[str, float], tolerances: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the figures that are worse than before by more than their tolerance, each with how much.

    Args:
        figures: Of this run.
        before: Of the run it is held against.
        tolerances: By figure, as a share of its former value; other figures are not compared.
    """
    found = []
    for name, tolerance in tolerances.items():
        was, now = before.get(name), figures[name]
        if not was:
            continue
        worse = (was - now) / was if name in HIGHER_IS_BETTER else (now - was) / was
        if worse > tolerance:
            found.append(
                {"figure": name, "before": was, "now": now, "worse_by": round(worse, 4), "tolerance": tolerance}
            )
    return found
