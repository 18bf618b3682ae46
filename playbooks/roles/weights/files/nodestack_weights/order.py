"""What one run is asked for."""

from typing import NamedTuple

from nodestack_weights.hub import Source
from nodestack_weights.layout import Layout
from nodestack_weights.patience import Patience
from nodestack_weights.records import Records


class Order(NamedTuple):
    """What is asked for.

    Attributes:
        source: The commit on its hub.
        places: Where it goes.
        expected_manifest_sha256: Digest recorded for the commit before; "" when there is none.
        records: Where this node records what it verified.
        workers: How many files are fetched at once.
        patience: How long to bear with a transfer.
        limit_bytes_per_s: Bandwidth that all files share; 0 for all there is.
    """

    source: Source
    places: Layout
    expected_manifest_sha256: str
    records: Records
    workers: int
    patience: Patience
    limit_bytes_per_s: float
