"""The plan's KV cache against the real engine: vLLM on this machine's CPU, started with one setting after the other.

Run `python -m benchmarks.kv_cache_on_cpu [--engine 0.23.0] [--record FILE]`. Each server listens on the loopback with a
checkpoint of two million random parameters and is ended as soon as its log names "KV cache size" and "Maximum
concurrency"; the first one answers /health before. What was measured is kept in .nodestack, so that another run goes on
where this one ended. Ends with a table; fails where plan and log differ by more than a block.
"""

import argparse
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.kv_cache_starts import Failure, Known, Logged, Setting, interpreter, start
from rich.console import Console
from rich.table import Table

from nodestack.automation.checkout import find
from nodestack.catalog import Catalog, load
from nodestack.clouds.local import tiny_model
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.kv_cache import CacheCapacity, capacity, layout
from nodestack.planning.option_rules import broken_rules

GIB = 2**30
MODEL = tiny_model.REPOSITORY.rpartition("/")[2]
BYTES = {"bfloat16": 2, "float32": 4}
SETTINGS = (
    Setting("as the local stack", must_answer=True),
    Setting("longer context", max_model_len=8192),
    Setting("more batched tokens", max_model_len=8192, max_num_batched_tokens=4096),
    Setting("odd lengths", max_model_len=4999, max_num_batched_tokens=701),
    Setting("narrow window", max_model_len=4096, max_num_batched_tokens=512, sliding_window=64),
    Setting("window of no whole blocks", max_model_len=8192, max_num_batched_tokens=512, sliding_window=1000),
    Setting("float32", dtype="float32", max_model_len=4096),
    Setting("more sequences", max_num_seqs=64, max_model_len=4096),
    Setting("small blocks", block_tokens=32, max_model_len=4096),
    Setting("more memory", cache_gib=2, max_model_len=4096),
    Setting("hybrid manager disabled", hybrid=False, max_model_len=4096),
    Setting("two full layers, two sliding", layers_full=2, max_model_len=4096),
    Setting("all layers full", layers_full=4, max_model_len=4096),
    Setting("all layers sliding", layers_full=0, max_model_len=4096),
    Setting("blocks overridden", blocks=100),
    Setting("fp8 KV cache", kv_cache_dtype="fp8", refused=True),
)


def main() -> int:
    """Start what is not known yet, print predicted against logged; 1 where they differ or a start failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="0.23.0", help="vLLM version (default: 0.23.0)")
    parser.add_argument("--timeout", type=float, default=300, help="seconds a start may take (default: 300)")
    parser.add_argument("--record", type=Path, help="file that gets the largest differences as JSON")
    options = parser.parse_args()
    # So that the server is ended as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(width=120, highlight=False)
    root = find(Path.cwd()).root
    starts = root / ".nodestack" / "qualify" / "kv_cache_on_cpu.json"
    if options.record and options.record.resolve() == starts.resolve():
        parser.error(f"--record {options.record} is where starts are kept: name another file")
    try:
        engine = interpreter(root, options.engine)
    except Failure as error:
        console.print(str(error))
        return 1
    known = Known(starts, engine)
    left = [setting for setting in SETTINGS if known.get(setting) is None]
    console.print(known.estimate(len(left), len(SETTINGS)))
    for number, setting in enumerate(left, 1):
        try:
            logged = start(setting, engine, options.timeout)
        except Failure as error:
            console.print(f"{number}/{len(left)} {setting.name}: {error}")
            return 1
        known.keep(setting, logged)
        outcome = logged.error or f"{logged.tokens:,} tokens"
        console.print(f"{number}/{len(left)} {setting.name}: {outcome} after {logged.seconds:.0f} s")
    found = {setting: told for setting in SETTINGS if (told := known.get(setting))}
    return _judge(found, options.engine, options.record, console)


@dataclass(frozen=True)
class Compared:
    """One setting's predicted and logged numbers.

    Attributes:
        cells: Tokens and concurrency, predicted and logged each, as the table shows them.
        is_as_planned: Whether the tokens differ by a block at most, and the concurrency in no digit that the log has.
        tokens_off: How far the tokens are apart.
        notes: Lines that belong below the table.
    """

    cells: tuple[str, str, str, str]
    is_as_planned: bool
    tokens_off: int = 0
    notes: tuple[str, ...] = ()


def _judge(found: dict[Setting, Logged], version: str, record: Path | None, console: Console) -> int:
    """Print the table and the figures; return 1 where something is not as planned or no server was healthy."""
    catalog = load()
    heads = (f"{side} {what}" for what in ("tokens", "concurrency") for side in ("predicted", "logged"))
    table = Table("setting", *heads)
    all_compared = {setting: _compare(setting, logged, catalog, version) for setting, logged in found.items()}
    for setting, compared in all_compared.items():
        table.add_row(setting.described(), *compared.cells, style="" if compared.is_as_planned else "red")
    notes = [note for compared in all_compared.values() for note in compared.notes]
    console.print(table, *notes, sep="\n")
    good = sum(compared.is_as_planned for compared in all_compared.values())
    tokens_off = max(compared.tokens_off for compared in all_compared.values())
    healthy = sum(logged.healthy for logged in found.values())
    console.print(
        f"vLLM {version} on this CPU: {good} of {len(found)} settings as planned, largest difference "
        f"{tokens_off} tokens; {healthy} of the servers answered /health"
    )
    if record:
        Known.write(record, {"settings": len(found), "as planned": good, "largest difference in tokens": tokens_off})
    return int(good < len(found) or not healthy)


def _compare(setting: Setting, logged: Logged, catalog: Catalog, version: str) -> Compared:
    if setting.refused:
        refusal = plans_refusal(setting, catalog, version)
        notes = (
            f"{setting.name}, the plan: {refusal or 'nothing against it'}",
            f"{setting.name}, the engine: {logged.error or 'starts on this CPU'}",
        )
        return Compared(
            ("refused" if refusal else "planned", "ended" if logged.error else "started", "-", "-"),
            bool(refusal),
            notes=notes,
        )
    held = predicted(setting, catalog, version)
    cells = (f"{held.tokens:,}", f"{logged.tokens:,}", f"{held.concurrency:.2f}", f"{logged.concurrency:.2f}")
    off = abs(held.tokens - logged.tokens)
    return Compared(cells, off <= _block_tokens(setting, catalog, version) and cells[2] == cells[3], off)


def predicted(setting: Setting, catalog: Catalog, version: str) -> CacheCapacity:
    """Return what the plan says of a setting."""
    cache = layout(
        _dimensions(setting, catalog),
        tensor=1,
        bytes_per_element=BYTES[setting.dtype],
        block_tokens=_block_tokens(setting, catalog, version),
        hybrid=setting.hybrid,
        steps_in_flight=catalog.engine(version).steps_in_flight.of(1, "cpu"),
    )
    size = setting.cache_gib * GIB
    return capacity(cache, size, setting.max_model_len, setting.max_num_batched_tokens, blocks=setting.blocks)


def plans_refusal(setting: Setting, catalog: Catalog, version: str) -> str:
    """Return what the plan says of a KV cache of this type on a CPU; nothing when it takes it."""
    options = {"kv-cache-dtype": setting.kv_cache_dtype}
    broken = broken_rules(catalog.engine(version).rules, options, "cpu", catalog.format(MODEL, "bf16"))
    return "; ".join(f"{rule.option} {setting.kv_cache_dtype} {why}" for rule, why in broken)


def _block_tokens(setting: Setting, catalog: Catalog, version: str) -> int:
    return setting.block_tokens or catalog.engine(version).block_tokens.cpu


def _dimensions(setting: Setting, catalog: Catalog) -> Dimensions:
    """Return the tiny model's numbers from the catalogue, with what the setting changes in its checkpoint."""
    architecture = catalog.model(MODEL).architecture
    changes = {
        "sliding_window": setting.sliding_window,
        "layers_full": setting.layers_full,
        "layers_sliding": setting.layers - setting.layers_full,
    }
    return dimensions(MODEL, architecture.model_copy(update=changes))


if __name__ == "__main__":
    sys.exit(main())
