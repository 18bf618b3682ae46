"""The plan's KV cache against the real engine: vLLM on this machine's CPU, started with one setting after the other.

Run `python -m benchmarks.kv_cache_on_cpu [--engine 0.23.0] [--record FILE]`. Each server listens on the loopback with a
checkpoint of two million random parameters and is ended as soon as its log names "KV cache size" and "Maximum
concurrency"; the first one answers /health before. What was measured is kept in .nodestack, so that another run goes on
where this one ended. Ends with a table; fails where plan and log differ by more than a block.
"""

import argparse
import signal
import sys
from pathlib import Path

from benchmarks.kv_cache_starts import Failure, Known, Logged, Setting, interpreter, start
from rich.console import Console
from rich.table import Table

from nodestack.automation.checkout import find
from nodestack.catalog import Catalog, load
from nodestack.clouds.local import tiny_model
from nodestack.errors import NodestackError
from nodestack.planning.dimensions import Dimensions, dimensions
from nodestack.planning.kv_cache import CacheCapacity, capacity, layout

GIB = 2**30
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
    Setting("blocks overridden", blocks=100, max_model_len=1024),
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
    engine = interpreter(root, options.engine)
    known = Known(root / ".nodestack" / "qualify" / "kv_cache_on_cpu.json", engine)
    left = [setting for setting in SETTINGS if known.get(setting) is None]
    console.print(known.estimate(len(left), len(SETTINGS)))
    for number, setting in enumerate(left, 1):
        try:
            logged = start(setting, engine, options.timeout)
        except (Failure, NodestackError) as error:
            console.print(f"{number}/{len(left)} {setting.name}: {error}")
            return 1
        known.keep(setting, logged)
        console.print(f"{number}/{len(left)} {setting.name}: {logged.tokens:,} tokens after {logged.seconds:.0f} s")
    found = {setting: told for setting in SETTINGS if (told := known.get(setting))}
    return _judge(found, options.engine, options.record, console)


def _judge(found: dict[Setting, Logged], version: str, record: Path | None, console: Console) -> int:
    """Print the table and the figures; return 1 where a difference is more than a block."""
    catalog = load()
    table = Table(
        "setting", *(f"{side} {what}" for what in ("tokens", "concurrency") for side in ("predicted", "logged"))
    )
    tokens_off, concurrency_off, wrong = 0, 0.0, 0
    for setting, logged in found.items():
        block_tokens = setting.block_tokens or catalog.engine(version).block_tokens.cpu
        held = predicted(setting, catalog, block_tokens)
        off = abs(held.tokens - logged.tokens)
        tokens_off = max(tokens_off, off)
        concurrency_off = max(concurrency_off, abs(round(held.concurrency, 2) - logged.concurrency))
        good = off <= block_tokens and f"{held.concurrency:.2f}" == f"{logged.concurrency:.2f}"
        wrong += not good
        row = (f"{held.tokens:,}", f"{logged.tokens:,}", f"{held.concurrency:.2f}", f"{logged.concurrency:.2f}")
        table.add_row(setting.described(), *row, style="" if good else "red")
    console.print(table)
    healthy = sum(logged.healthy for logged in found.values())
    console.print(
        f"vLLM {version} on this CPU: {len(found) - wrong} of {len(found)} settings as planned, largest difference "
        f"{tokens_off} tokens and {concurrency_off:.2f} sequences; {healthy} of the servers answered /health"
    )
    if record:
        Known.write(record, {"settings": len(found), "tokens off": tokens_off, "concurrency off": concurrency_off})
    return int(bool(wrong) or not healthy)


def predicted(setting: Setting, catalog: Catalog, block_tokens: int) -> CacheCapacity:
    """Return what the plan says of a setting."""
    cache = layout(
        _dimensions(setting, catalog),
        tensor=1,
        bytes_per_element=BYTES[setting.dtype],
        block_tokens=block_tokens,
        hybrid=setting.hybrid,
    )
    size = setting.cache_gib * GIB
    return capacity(cache, size, setting.max_model_len, setting.max_num_batched_tokens, blocks=setting.blocks)


def _dimensions(setting: Setting, catalog: Catalog) -> Dimensions:
    """Return the tiny model's numbers from the catalogue, with what the setting changes in its checkpoint."""
    name = tiny_model.REPOSITORY.rpartition("/")[2]
    architecture = catalog.model(name).architecture
    changes = {
        "sliding_window": setting.sliding_window,
        "layers_full": setting.layers_full,
        "layers_sliding": setting.layers - setting.layers_full,
    }
    return dimensions(name, architecture.model_copy(update=changes))


if __name__ == "__main__":
    sys.exit(main())
