"""What nvidia-smi prints on a profile's hardware, in the layout of the 550 and 580 drivers.

Texts hold `@DRIVER@`, `@CUDA@`, `@DATE@`, `@FABRIC_STATE@` and `@FABRIC_STATUS@`: the stand-in puts in what is true on
the node; where blanks follow, a value and its blanks fill the same width.
"""

import json

from nodestack.clouds.local.hardware.profile import Profile

REPLAY_DIRECTORY = "/etc/nvidia-replay"
_LEGEND = """\
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
"""
_WIDTH = 89
_COLUMNS = (41, 24, 22)


def render(profile: Profile) -> dict[str, bytes]:
    """Return the recorded outputs by file name, and query.json with the single fields."""
    texts = {
        "summary.txt": summary(profile),
        "list.txt": gpu_list(profile),
        "topology.txt": topology(profile),
        "nvlink.txt": nvlink(profile),
        "nvlink-errors.txt": nvlink_errors(profile),
        "details.txt": details(profile),
        "query.json": json.dumps(query(profile), indent=1) + "\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def bus_id(profile: Profile, place: int) -> str:
    """Return a GPU's PCI address as nvidia-smi prints it."""
    return f"00000000:{profile.bus_ids[place]}:00.0"


def gpu_list(profile: Profile) -> str:
    """Return `nvidia-smi -L`."""
    lines = [
        f"GPU {index}: {profile.gpu.name} (UUID: {profile.uuid(place)})" for index, place in enumerate(profile.gpus)
    ]
    return "\n".join(lines) + "\n"


def summary(profile: Profile) -> str:
    """Return plain `nvidia-smi`."""
    rule, parts = f"+{'-' * _WIDTH}+", "+".join("-" * width for width in _COLUMNS)
    lines = [
        "@DATE@",
        rule,
        f"| NVIDIA-SMI {'@DRIVER@':<23}Driver Version: {'@DRIVER@':<15}CUDA Version: {'@CUDA@':<9}|",
        f"+{parts}+",
        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |",
        "|                                         |                        |               MIG M. |",
        f"|{'+'.join('=' * width for width in _COLUMNS)}|",
    ]
    for index, place in enumerate(profile.gpus):
        errors = profile.uncorrectable_errors.get(place, 0)
        lines += [
            f"|{index:4d}  {profile.gpu.name:<31}On  |   {bus_id(profile, place)} Off | {errors:20d} |",
            f"| N/A   32C    P0             71W / {profile.gpu.power_limit_w:4d}W |"
            f"{1:8d}MiB /{profile.gpu.memory_mib:7d}MiB |      0%      Default |",
            f"|{'':41}|{'':24}|{'Disabled':>21} |",
            f"+{parts}+",
        ]
    lines += ["", rule, f"| {'Processes:':<{_WIDTH - 1}}|"]
    lines += [
        f"|  {'GPU   GI   CI              PID   Type   Process name                        GPU Memory':<{_WIDTH - 2}}|",
        f"|  {'      ID   ID                                                               Usage':<{_WIDTH - 2}}|",
        f"|{'=' * _WIDTH}|",
        f"|  {'No running processes found':<{_WIDTH - 2}}|",
        rule,
    ]
    return "\n".join(lines) + "\n"


def topology(profile: Profile) -> str:
    """Return `nvidia-smi topo -m`: GPU and network card rows, affinity columns, escapes that underline the header."""
    gpus, cards = list(enumerate(profile.gpus)), range(profile.network_cards)
    names = [f"GPU{index}" for index, _ in gpus] + [f"NIC{card}" for card in cards]
    header = "\t".join(["", *names, "CPU Affinity", "NUMA Affinity", "GPU NUMA ID"])
    lines = [f"\x1b[4m{header}\x1b[0m"]
    for index, place in gpus:
        numa = profile.numa(place, len(profile.bus_ids))
        paths = [" X " if place == other else profile.path(place, other) for _, other in gpus]
        beside = [_beside(profile, place, card) for card in cards]
        lines.append("\t".join([f"GPU{index}", *paths, *beside, profile.numa_cpus[numa], f"{numa}\t", "N/A"]))
    for card in cards:
        paths = [_beside(profile, place, card) for _, place in gpus]
        between = [" X " if card == other else _between_cards(profile, card, other) for other in cards]
        lines.append("\t".join([f"NIC{card}", *paths, *between, "", ""]))
    cards_legend = "\n".join(["NIC Legend:", "", *(f"  NIC{card}: mlx5_{card}" for card in cards)])
    return "\n".join([*lines, "", _LEGEND, cards_legend, ""])


def _beside(profile: Profile, place: int, card: int) -> str:
    """Return how a GPU and a network card reach each other."""
    if place == card:
        return "PIX"
    board = len(profile.bus_ids)
    return "NODE" if profile.numa(place, board) == profile.numa(card, board) else "SYS"


def _between_cards(profile: Profile, one: int, other: int) -> str:
    """Return how two network cards reach each other."""
    board = len(profile.bus_ids)
    return "NODE" if profile.numa(one, board) == profile.numa(other, board) else "SYS"


def nvlink(profile: Profile) -> str:
    """Return `nvidia-smi nvlink -s`."""
    lines = []
    for index, place in enumerate(profile.gpus):
        lines.append(f"GPU {index}: {profile.gpu.name} (UUID: {profile.uuid(place)})")
        for link in range(profile.links_per_gpu):
            inactive = link in profile.inactive_links.get(place, ())
            lines.append(f"\t Link {link}: {'<inactive>' if inactive else f'{profile.link_speed_gb_s:.3f} GB/s'}")
    return "\n".join(lines) + "\n"


def nvlink_errors(profile: Profile) -> str:
    """Return `nvidia-smi nvlink -e`: three counters a link, with an empty line after each link."""
    lines = []
    for index, place in enumerate(profile.gpus):
        lines.append(f"GPU {index}: {profile.gpu.name} (UUID: {profile.uuid(place)})")
        for link in range(profile.links_per_gpu):
            lines += [f"\t Link {link}: {kind} Errors: 0" for kind in ("Replay", "Recovery", "CRC")]
            lines.append("")
    return "\n".join(lines) + "\n"


def pci_devices(profile: Profile) -> str:
    """Return `lspci -Dn -d 10de:`: NVIDIA's GPUs (class 0302) and the NVSwitches (class 0680) that the node sees."""
    gpus = [f"0000:{profile.bus_ids[place].lower()}:00.0 0302: {profile.gpu.pci_id} (rev a1)" for place in profile.gpus]
    switches = [f"0000:{bus.lower()}:00.0 0680: 10de:22a3 (rev a1)" for bus in profile.nvswitches]
    return "".join(f"{line}\n" for line in sorted([*gpus, *switches]))


def query(profile: Profile) -> dict[str, object]:
    """Return the single fields behind the `--query-…` options, one row a GPU, units included."""
    return {
        "fabric": profile.fabric.model_dump(),
        "compute_apps": [],
        "gpu": [_gpu_fields(profile, index, place) for index, place in enumerate(profile.gpus)],
        "remapped_rows": [_remapped_rows(profile, place) for place in profile.gpus],
    }


def _gpu_fields(profile: Profile, index: int, place: int) -> dict[str, str]:
    gpu = profile.gpu
    return {
        "index": str(index),
        "count": str(len(profile.gpus)),
        "name": gpu.name,
        "uuid": profile.uuid(place),
        "driver_version": "@DRIVER@",
        "vbios_version": gpu.vbios,
        "pci.bus_id": bus_id(profile, place),
        "pcie.link.gen.current": "5",
        "pcie.link.gen.max": "5",
        "pcie.link.width.current": "16",
        "pcie.link.width.max": "16",
        "pstate": "P0",
        "clocks.max.sm": f"{gpu.sm_clock_mhz} MHz",
        "clocks_event_reasons.hw_slowdown": "Not Active",
        "clocks_event_reasons.hw_thermal_slowdown": "Not Active",
        "clocks_event_reasons.sw_thermal_slowdown": "Not Active",
        "clocks_event_reasons.hw_power_brake_slowdown": "Not Active",
        "persistence_mode": "Enabled",
        "memory.total": f"{gpu.memory_mib} MiB",
        "memory.used": "1 MiB",
        "memory.free": f"{gpu.memory_mib - 1} MiB",
        "temperature.gpu": "32",
        "power.draw": "71.00 W",
        "power.limit": f"{gpu.power_limit_w}.00 W",
        "utilization.gpu": "0 %",
        "mig.mode.current": "Disabled",
        "ecc.mode.current": "Enabled",
        "ecc.mode.pending": "Enabled",
        "ecc.errors.corrected.volatile.total": "0",
        "ecc.errors.uncorrected.volatile.total": str(profile.uncorrectable_errors.get(place, 0)),
        "fabric.state": "@FABRIC_STATE@",
        "fabric.status": "@FABRIC_STATUS@",
    }


def _remapped_rows(profile: Profile, place: int) -> dict[str, str]:
    pending = place in profile.pending_row_remaps
    return {
        "gpu_name": profile.gpu.name,
        "gpu_bus_id": bus_id(profile, place),
        "gpu_uuid": profile.uuid(place),
        "remapped_rows.correctable": "0",
        "remapped_rows.uncorrectable": "1" if pending else "0",
        "remapped_rows.pending": "Yes" if pending else "No",
        "remapped_rows.failure": "No",
    }


def details(profile: Profile) -> str:
    """Return the sections of `nvidia-smi -q` that say whether a GPU is fit for service."""
    lines = ["", "==============NVSMI LOG==============", ""]
    lines += [_line(0, "Timestamp", "@DATE@"), _line(0, "Driver Version", "@DRIVER@")]
    lines += [_line(0, "CUDA Version", "@CUDA@"), "", _line(0, "Attached GPUs", str(len(profile.gpus)))]
    for index, place in enumerate(profile.gpus):
        fields, rows = _gpu_fields(profile, index, place), _remapped_rows(profile, place)
        lines += [
            f"GPU {bus_id(profile, place)}",
            _line(1, "Product Name", profile.gpu.name),
            _line(1, "Product Architecture", "Hopper"),
            _line(1, "Persistence Mode", fields["persistence_mode"]),
            _line(1, "GPU UUID", fields["uuid"]),
            _line(1, "VBIOS Version", fields["vbios_version"]),
            "    FB Memory Usage",
            _line(2, "Total", fields["memory.total"]),
            "    ECC Mode",
            _line(2, "Current", fields["ecc.mode.current"]),
            _line(2, "Pending", fields["ecc.mode.pending"]),
            "    ECC Errors",
            "        Volatile",
            _line(3, "DRAM Correctable", fields["ecc.errors.corrected.volatile.total"]),
            _line(3, "DRAM Uncorrectable", fields["ecc.errors.uncorrected.volatile.total"]),
            "    Remapped Rows",
            _line(2, "Correctable Error", rows["remapped_rows.correctable"]),
            _line(2, "Uncorrectable Error", rows["remapped_rows.uncorrectable"]),
            _line(2, "Pending", rows["remapped_rows.pending"]),
            _line(2, "Remapping Failure Occurred", rows["remapped_rows.failure"]),
            "    Fabric",
            _line(2, "State", "@FABRIC_STATE@"),
            _line(2, "Status", "@FABRIC_STATUS@"),
            "",
        ]
    return "\n".join(lines)


def _line(depth: int, key: str, value: str) -> str:
    return f"{'    ' * depth + key:<50}: {value}"
