"""The PCIe link of each GPU: its generation and width, against what the GPU can and what it should have."""

from nodestack_fabric.entries import REPLACE, Entry, Fault, compared
from nodestack_fabric.expected import Expected
from nodestack_fabric.tables import Row, at_least, number, of_each_gpu

FIELDS = (
    "index",
    "pstate",
    "pcie.link.gen.max",
    "pcie.link.gen.current",
    "pcie.link.width.max",
    "pcie.link.width.current",
)
GENERATION_REMEDY = "reboot; if it stays, ask the provider to check slot, riser and BIOS of this GPU"
WIDTH_REMEDY = f"{REPLACE} or reseat this GPU, its PCIe link has lost lanes"
FULL_SPEED = "P0"


def judge(text: str, expected: Expected, count: int) -> list[Entry]:
    """Judge both.

    A GPU at rest may lower the generation of its link: what it has now counts at P0 only. Its lanes always count.
    Source: `nvidia-smi --help-query-gpu` of driver 580.

    Raises:
        NotUnderstood: There is not one line for each GPU.
    """
    links = of_each_gpu(text, FIELDS, count)
    generation, width = expected.pcie_generation, expected.pcie_width
    slow: list[Fault] = []
    narrow: list[Fault] = []
    for link in links:
        name, best = f"GPU{link['index']}", number(link["pcie.link.gen.max"])
        if best is None or not at_least(link["pcie.link.gen.max"], generation):
            slow.append((name, f"at most {link['pcie.link.gen.max']}"))
        elif not _as_fast_as(link, best):
            slow.append((name, f"{link['pcie.link.gen.current']} of {best} at {link['pstate']}"))
        lanes = number(link["pcie.link.width.max"])
        if lanes is None or not at_least(link["pcie.link.width.max"], width):
            narrow.append((name, f"at most x{link['pcie.link.width.max']}"))
        elif not at_least(link["pcie.link.width.current"], lanes):
            narrow.append((name, f"x{link['pcie.link.width.current']} of x{lanes}"))
    entries = compared("PCIe generation", str(generation or "the GPU's own"), slow, GENERATION_REMEDY)
    return entries + compared("PCIe width", f"x{width}" if width else "the GPU's own", narrow, WIDTH_REMEDY)


def _as_fast_as(link: Row, best: int) -> bool:
    """Return whether a link runs at its best, or may rest."""
    current, state = number(link["pcie.link.gen.current"]), link["pstate"]
    if current is None or current < 1:
        return False
    resting = state != FULL_SPEED and state[:1] == "P" and number(state[1:]) is not None
    return current >= best or resting
