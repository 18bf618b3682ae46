"""What was measured on this node, kept between runs: measuring takes minutes, and needs GPUs that nothing else uses."""

import json
import pathlib
from dataclasses import asdict, dataclass, replace

from nodestack_fabric.files import write


@dataclass(frozen=True)
class Measured:
    """What was measured on these very GPUs.

    Attributes:
        gpus: Their UUIDs.
        busbw_gb_s: Bus bandwidth of the last all-reduce in GB/s; None before the first.
        date: When that was, as ISO 8601 date.
        baseline_gb_s: Bus bandwidth of the first one that passed; later ones are compared with it.
        baseline_date: When that was.
        dcgm_level: Highest level of DCGM's diagnostics that has passed.
    """

    gpus: tuple[str, ...]
    busbw_gb_s: float | None = None
    date: str = ""
    baseline_gb_s: float | None = None
    baseline_date: str = ""
    dcgm_level: int = 0

    def with_all_reduce(self, busbw_gb_s: float, date: str, *, well: bool) -> "Measured":
        """Return it with another measurement, which is the baseline where there is none and it passed."""
        now = replace(self, busbw_gb_s=busbw_gb_s, date=date)
        first = well and self.baseline_gb_s is None
        return replace(now, baseline_gb_s=busbw_gb_s, baseline_date=date) if first else now

    @property
    def anything(self) -> bool:
        """Whether anything was measured at all."""
        return self.busbw_gb_s is not None or self.dcgm_level > 0

    def document(self) -> dict[str, object]:
        """Return what the verdict tells of it."""
        return {key: value for key, value in asdict(self).items() if key != "gpus"}


def read(path: pathlib.Path, gpus: tuple[str, ...]) -> Measured:
    """Return what was measured on these GPUs; what is damaged, or was measured on others, is as good as nothing."""
    nothing = Measured(gpus)
    try:
        kept = json.loads(path.read_text())
        found = Measured(**{**kept, "gpus": tuple(kept["gpus"])})
    except (OSError, ValueError, TypeError, KeyError):
        return nothing
    figures = (found.busbw_gb_s, found.baseline_gb_s)
    sound = all(figure is None or (type(figure) in (int, float) and figure > 0) for figure in figures)
    return found if sound and found.gpus == gpus and type(found.dcgm_level) is int else nothing


def keep(path: pathlib.Path, measured: Measured) -> None:
    """Keep it for later runs."""
    write(path, json.dumps(asdict(measured), indent=2) + "\n")
