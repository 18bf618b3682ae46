"""What a simulated cloud sells when nothing else is asked for."""

from pathlib import Path
from typing import Any

import yaml

from nodestack.clouds.offers import Offer

_FILE = Path(__file__).with_name("market.yaml")


def standard() -> list[tuple[Offer, int]]:
    """Return the standard market: each offer with how many there are of it."""
    rows: list[dict[str, Any]] = yaml.safe_load(_FILE.read_text())["offers"]
    return [(Offer.model_validate({k: v for k, v in row.items() if k != "stock"}), int(row["stock"])) for row in rows]
