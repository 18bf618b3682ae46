"""What the gate reads: real layouts are understood by their header, and nothing that is not understood passes."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nodestack_fabric import NotUnderstood, fabric_state, gpus, nvlink, topology
from nodestack_fabric.entries import Entry, all_well

from nodestack.clouds.local.hardware import load
from tests.playbooks.fabric.test_mutated import EXAMPLES
from tests.playbooks.fabric.world import answers, expected

PROFILE = load("h100-sxm5-x8")
TOLD = answers(PROFILE)
GPUS = gpus.read(TOLD["gpus"])
H100 = expected()
TOPOLOGY, NVLINK = TOLD["topology"], TOLD["nvlink"]
JUDGES: dict[str, Callable[[str], list[Entry]]] = {
    "gpus": lambda text: gpus.judge(gpus.read(text), H100),
    "remaps": lambda text: gpus.judge_remaps(text, GPUS),
    "fabric": lambda text: fabric_state.judge(fabric_state.read(text, 8), 0),
    "topology": lambda text: topology.judge(text, 8, H100),
    "nvlink": lambda text: nvlink.judge(text, GPUS, H100),
    "nvlink-errors": lambda text: nvlink.judge_errors(text, GPUS, H100, 600),
}


def passes(judge: str, text: str) -> bool:
    """Return whether a judge lets a text through; the gate turns whatever is raised into a fault."""
    try:
        return all_well(JUDGES[judge](text))
    except NotUnderstood:
        return False


@pytest.mark.parametrize("judge", JUDGES)
def test_what_is_well_passes(judge: str) -> None:
    assert passes(judge, TOLD[judge])


@pytest.mark.parametrize("judge", JUDGES)
@settings(max_examples=EXAMPLES)
@given(garbage=st.text() | st.text(alphabet="GPUNIC0123456789XVSYH ,\t\n"))
@example("")
@example("\n")
def test_garbage_never_passes(judge: str, garbage: str) -> None:
    assert not passes(judge, garbage)


@pytest.mark.parametrize("judge", JUDGES)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_an_answer_cut_short_never_passes_unless_only_blanks_and_the_legend_are_gone(
    judge: str, data: st.DataObject
) -> None:
    text = TOLD[judge]
    needed = len(text.rstrip())
    if judge == "topology":
        # The affinities of the last GPU's row say nothing about its links.
        last_row = text.index("\nGPU7")
        needed = text.index(" X ", last_row) + len(" X") + len("\tPIX") * PROFILE.network_cards
    assert not passes(judge, text[: data.draw(st.integers(0, needed - 1))])


@settings(max_examples=EXAMPLES)
@given(
    pair=st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda pair: pair[0] != pair[1]),
    seen=st.sampled_from(["PIX", "PXB", "PHB", "NODE", "SYS", "NV1", "NV6", "NV12", "NV17", "NV180", "X", "", "N/A"]),
)
def test_one_wrong_cell_in_one_direction_is_enough(pair: tuple[int, int], seen: str) -> None:
    lines = TOPOLOGY.splitlines()
    cells = lines[1 + pair[0]].split("\t")
    cells[1 + pair[1]] = seen
    lines[1 + pair[0]] = "\t".join(cells)
    assert not passes("topology", "\n".join(lines))


@settings(max_examples=EXAMPLES)
@given(
    line=st.integers(0, 8 * 19 - 1),
    seen=st.sampled_from(["<inactive>", "inactive", "inActive", "25.781 GB/s", "1.562 GB/s", "N/A"]),
)
def test_one_wrong_link_is_enough(line: int, seen: str) -> None:
    lines = NVLINK.splitlines()
    if "Link" in lines[line]:
        lines[line] = re.sub(r": .*", f": {seen}", lines[line])
    else:
        del lines[line]
    assert not passes("nvlink", "\n".join(lines))


@settings(max_examples=EXAMPLES)
@given(gpu=st.integers(0, 7), link=st.integers(0, 17))
def test_one_link_that_is_not_listed_is_enough(gpu: int, link: int) -> None:
    lines = NVLINK.splitlines()
    del lines[gpu * 19 + 1 + link]
    (short, _) = nvlink.judge("\n".join(lines), GPUS, H100)
    assert (short.title, short.seen, short.passed) == (f"NVLink count GPU{gpu}", "17", False)


def spaced(text: str) -> str:
    return re.sub(r"\t+", "    ", text)


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[\dm", "", text)


def glued_header(text: str) -> str:
    header, rest = text.split("\n", 1)
    return header.replace("\t", "") + "\n" + spaced(rest)


def glued_links(text: str) -> str:
    return text.replace("NV18\tNV18", "NV18NV18")


def no_cards(text: str) -> str:
    lines = [line for line in without_escapes(text).split("\n") if not line.startswith("NIC")]
    kept = [
        "\t".join([*line.split("\t")[:9], *line.split("\t")[17:]])
        if "GPU" in line.split("\t")[0] or number == 0
        else line
        for number, line in enumerate(lines)
    ]
    return "\n".join(kept)


def older_names(text: str) -> str:
    return text.replace("NIC", "mlx5_")


def bonded_cards(text: str) -> str:
    return text.replace("NIC", "mlx5_bond_")


def windows(text: str) -> str:
    return text.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "layout",
    [spaced, without_escapes, glued_header, glued_links, no_cards, older_names, bonded_cards, windows],
)
def test_layouts_seen_in_the_field_are_understood(layout: Callable[[str], str]) -> None:
    changed = layout(TOPOLOGY)
    assert changed != TOPOLOGY
    assert passes("topology", changed)


def test_cards_between_the_gpus_columns_do_not_shift_them() -> None:
    lines = without_escapes(no_cards(TOPOLOGY)).splitlines()
    moved = []
    for number, line in enumerate(lines):
        cells = line.split("\t")
        if number <= 8:
            cells.insert(5, "NIC0" if number == 0 else "SYS")
        moved.append("\t".join(cells))
    assert passes("topology", "\n".join(moved))


@pytest.mark.parametrize("affinity", ["0-47", "0,48", "0"])
def test_a_link_number_glued_to_an_affinity_is_not_guessed(affinity: str) -> None:
    glued = no_cards(TOPOLOGY).replace("NV18\t0-47,96-143", f"NV18{affinity}")
    with pytest.raises(NotUnderstood, match="instead of 8 columns"):
        topology.judge(glued, 8, H100)


@pytest.mark.parametrize("name", ["XPU3", "GPU", "GPU 3", "DPU0", "Affinity"])
def test_a_header_with_a_column_that_is_not_known_is_not_understood(name: str) -> None:
    with pytest.raises(NotUnderstood, match="the header"):
        topology.judge(TOPOLOGY.replace("\tNIC3\t", f"\t{name}\t", 1), 8, H100)


def test_any_number_of_links_will_do_on_a_board_without_switches_but_no_pcie() -> None:
    board = expected(nvswitch=False)
    direct = TOPOLOGY.replace("NV18", "NV6")
    assert all_well(topology.judge(direct, 8, board))
    mixed = direct.replace("NV6", "SYS", 1)
    (fault,) = topology.judge(mixed, 8, board)
    assert (fault.title, fault.seen) == ("topology GPU0-GPU1", "SYS there and NV6 back")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TOLD["gpus"].replace("7, NVIDIA", "8, NVIDIA"), "GPUs numbered 0, 1, 2, 3, 4, 5, 6, 8"),
        (TOLD["gpus"].replace(PROFILE.uuid(1), PROFILE.uuid(0)), "two GPUs with the same UUID"),
        ("No devices were found\n", "a line with 1 instead of 7 fields"),
    ],
)
def test_a_list_that_contradicts_itself_is_not_understood(text: str, words: str) -> None:
    with pytest.raises(NotUnderstood, match=words):
        gpus.read(text)


@pytest.mark.parametrize("memory", ["81558", "[N/A]", "-81559", "81559 MiB", "\uff18\uff11\uff15\uff15\uff19"])
def test_less_or_unreadable_memory_is_refused(memory: str) -> None:
    assert not passes("gpus", TOLD["gpus"].replace("81559", memory, 1))


@pytest.mark.parametrize("seen", ["Yes", "1", "Pending", "", "[N/A]"])
def test_a_row_remap_is_refused_unless_it_surely_is_not_pending(seen: str) -> None:
    assert not passes("remaps", TOLD["remaps"].replace("No", seen, 1))
    assert passes("remaps", TOLD["remaps"].replace("No", "0"))


def test_remapped_rows_that_are_told_twice_are_not_understood() -> None:
    first = TOLD["remaps"].splitlines()[0]
    with pytest.raises(NotUnderstood, match="twice"):
        gpus.judge_remaps(first.replace("No", "Yes", 1) + "\n" + TOLD["remaps"], GPUS)
