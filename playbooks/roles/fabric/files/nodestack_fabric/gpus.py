"""The GPUs themselves: how many, which, their memory, its error correction, and whether they are divided."""

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import REPLACE, Entry, compared, failed, passed
from nodestack_fabric.expected import Expected
from nodestack_fabric.tables import Row, at_least, misfits, of_each_gpu, rows

FIELDS = (
    "index",
    "name",
    "uuid",
    "memory.total",
    "mig.mode.current",
    "ecc.mode.current",
    "ecc.errors.uncorrected.volatile.total",
)
REMAP_FIELDS = ("gpu_uuid", "remapped_rows.pending", "remapped_rows.failure")
MODEL_REMEDY = "choose the node shape that has this GPU, or ask the provider for the GPU that was ordered"
MIG_REMEDY = "have MIG switched off (nvidia-smi -mig 0, then a reboot): a part of a GPU has no NVLinks"
ECC_MODE_REMEDY = "have ECC switched on (nvidia-smi -e 1, then a reboot): errors in weights would go unnoticed"
ECC_REMEDY = "reboot; if errors come back, ask the provider to reset or replace this GPU"
PENDING_REMEDY = "reset the GPU or reboot, so that its memory is mapped around the broken row"
FAILURE_REMEDY = "ask the provider to replace this GPU: its spare memory rows are used up"


def read(text: str) -> list[Row]:
    """Return the GPUs, which must be numbered from 0 without a gap and have UUIDs of their own.

    Raises:
        NotUnderstood: The list contradicts itself, or is none.
    """
    gpus = of_each_gpu(text, FIELDS, len(rows(text, FIELDS)))
    if not gpus:
        raise NotUnderstood("an empty list of GPUs")
    if len({gpu["uuid"] for gpu in gpus}) != len(gpus):
        raise NotUnderstood("two GPUs with the same UUID")
    return gpus


def judge(gpus: list[Row], expected: Expected) -> list[Entry]:
    """Judge number, model, memory, division and ECC of the GPUs."""
    count, memory = expected.gpu_count, expected.gpu_memory_mib
    entries = [passed("GPU count", str(count)) if len(gpus) == count else _miscounted(len(gpus), count)]
    entries += compared("GPU model", expected.gpu_name, misfits(gpus, "name", expected.gpu_name.__eq__), MODEL_REMEDY)
    small = misfits(gpus, "memory.total", lambda cell: at_least(cell, memory))
    entries += compared("GPU memory", f"{memory} MiB", [(gpu, f"{seen} MiB") for gpu, seen in small], REPLACE)
    if expected.gpu_mig:
        entries += compared("MIG", "Disabled", misfits(gpus, "mig.mode.current", "Disabled".__eq__), MIG_REMEDY)
    off = misfits(gpus, "ecc.mode.current", "Enabled".__eq__)
    errors = misfits(gpus, "ecc.errors.uncorrected.volatile.total", "0".__eq__)
    entries += compared("ECC mode", "Enabled", off, ECC_MODE_REMEDY)
    return entries + compared("ECC uncorrectable errors", "0", errors, ECC_REMEDY)


def _miscounted(seen: int, count: int) -> Entry:
    missing = f"{REPLACE}, {'a GPU is' if count - seen == 1 else f'{count - seen} GPUs are'} missing on the PCI bus"
    remedy = missing if seen < count else "choose the node shape that has this many GPUs"
    return failed("GPU count", str(count), str(seen), remedy)


def judge_remaps(text: str, gpus: list[Row]) -> list[Entry]:
    """Judge whether a remap of memory rows is pending or has failed.

    Raises:
        NotUnderstood: A GPU is not spoken of, or twice, or is not listed.
    """
    told = rows(text, REMAP_FIELDS)
    remaps = {row["gpu_uuid"]: row for row in told}
    strange = set(remaps) - {gpu["uuid"] for gpu in gpus}
    if len(remaps) != len(told) or strange:
        raise NotUnderstood(f"remapped rows of {'GPUs that are not listed' if strange else 'one GPU twice'}")
    missing = [f"GPU{gpu['index']}" for gpu in gpus if gpu["uuid"] not in remaps]
    if missing:
        raise NotUnderstood(f"no remapped rows of {', '.join(missing)}")
    own = [{"index": gpu["index"], **remaps[gpu["uuid"]]} for gpu in gpus]
    no = {"No", "0"}.__contains__
    pending, failure = (misfits(own, f"remapped_rows.{kind}", no) for kind in ("pending", "failure"))
    entries = compared("row remap pending", "No", pending, PENDING_REMEDY)
    return entries + compared("row remap failure", "No", failure, FAILURE_REMEDY)
