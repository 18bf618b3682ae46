"""`nodestack plan`: whether a stack works, what it will hold and cost, and why."""

import argparse
import json

from nodestack.commands.selection import catalog_for, kv_bytes, selected
from nodestack.planning.plan import make_plan


def run(options: argparse.Namespace) -> int:
    """Print the plan as tables or as JSON; 0 when it fits, 1 when it does not."""
    catalog = catalog_for(options)
    request = selected(options, catalog)
    plan = make_plan(request, catalog, kv_bytes(options.kv_bytes_per_gpu))
    if options.json:
        print(json.dumps(plan.model_dump(mode="json"), indent=2))
    else:
        # What draws tables takes as long to import as a plan to make; JSON needs none of it.
        from nodestack.rendering.plan_table import plan_table  # noqa: PLC0415
        from nodestack.rendering.terminal import show  # noqa: PLC0415

        show(plan_table(plan))
    return int(not plan.fits)
