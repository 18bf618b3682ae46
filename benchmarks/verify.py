"""How fast weights are verified, cold and warm, against sha256 on every core, the disk alone, and `hf cache verify`.

Run anywhere in the checkout: `python -m benchmarks.verify [--rounds N]`. All of them read the same files in turn, in
another order each round. Cold means that none of their pages is in memory, which is looked at (fincore), and that each
reads them all from the disk; other files' pages are left alone. Ends with the ratio to what this machine can do at
most: the cores' sum, of sha256sum or OpenSSL, whichever is faster, or the disk where that is less. Fails below the
limit, or where `hf cache verify` is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import weights_source
from benchmarks.timed import Run, run
from benchmarks.weights_source import COMMIT, HUB, REPOSITORY

LIMIT = 0.8
OURS, DISK, HF = "nodestack", "the disk alone", "hf cache verify"
# A distribution's sha256sum may not use the processor's instructions for it, which OpenSSL does.
CORES = (SHA256SUM, OPENSSL) = ("sha256sum on each core", "openssl dgst on each core")
PROGRAMS = Path(__file__).resolve().parents[1] / "playbooks/roles/weights/files"
_PIECE_BYTES = 1 << 20
Taken = dict[str, list[Run]]


def main() -> int:
    """Measure, print the medians and the ratios; 1 below the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each reads them, cold and warm (default: 5)")
    parser.add_argument("--shards", type=int, default=8, help="large files (default: 8)")
    parser.add_argument("--shard-mb", type=int, default=500, help="size of each in MB (default: 500)")
    parser.add_argument("--directory", type=Path, help="where the files are made, on the disk to be measured")
    parser.add_argument("--record", type=Path, help="file that gets the ratios as JSON")
    options = parser.parse_args()
    total = options.shards * options.shard_mb * 10**6
    with tempfile.TemporaryDirectory(prefix="nodestack-verify-", dir=options.directory) as name:
        scratch = Path(name)
        weights_source.make(scratch / "hub", options.shards, options.shard_mb * 10**6)
        with weights_source.serving(scratch / "hub", scratch / "hub.jsonl"):
            directory = fetched(scratch)
            warm = measure(scratch, directory, options.rounds, cold=False)
            cold = measure(scratch, directory, options.rounds, cold=True)
    ratios = {"warm": judge("warm", warm, total), "cold": judge("cold", cold, total)}
    if options.record:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        figures = {f"verification {state} to what the machine can": round(of[0], 2) for state, of in ratios.items()}
        options.record.write_text(json.dumps(figures), encoding="utf-8")
    return int(any(ratio < LIMIT or hf <= 1 for ratio, hf in ratios.values()))


def fetched(scratch: Path) -> Path:
    """Fetch the commit as a node would; return its directory."""
    asked = [f"--endpoint={HUB}", f"--repository={REPOSITORY}", f"--commit={COMMIT}", f"--root={scratch}/weights"]
    places = [f"--state-directory={scratch}/state", f"--run-directory={scratch}/run"]
    command = [sys.executable, "-m", "nodestack_weights.fetch", *asked, *places]
    subprocess.run(command, cwd=PROGRAMS, check=True, stdout=subprocess.DEVNULL)
    return (scratch / "weights/current").resolve()


def commands(scratch: Path, directory: Path) -> dict[str, str]:
    """Return what each contestant runs."""
    hf = f"{Path(sys.executable).with_name('hf')} cache verify {REPOSITORY} --revision {COMMIT} --local-dir {directory}"
    cores = len(os.sched_getaffinity(0))
    return {
        OURS: f"cd {PROGRAMS} && {sys.executable} -m nodestack_weights.verify --state-directory {scratch}/state",
        SHA256SUM: f"ls {directory}/model-* | xargs -n 1 -P {cores} sha256sum",
        OPENSSL: f"ls {directory}/model-* | xargs -n 1 -P {cores} openssl dgst -sha256",
        DISK: f"ls {directory}/model-* | xargs -n 1 -P {cores} -I FILE dd if=FILE of=/dev/null bs=1M",
        HF: f"HF_ENDPOINT={HUB} HF_HOME={scratch}/home {hf} --fail-on-missing-files --fail-on-extra-files",
    }


def measure(scratch: Path, directory: Path, rounds: int, *, cold: bool) -> Taken:
    """Return what each took, in the order of rounds."""
    contestants = commands(scratch, directory)
    names = [name for name in contestants if cold or name != DISK]
    taken: Taken = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            forget(directory) if cold else remember(directory)
            one = run(str(directory), ["sh", "-c", contestants[name]])
            if one.status != 0:
                raise RuntimeError(f"{name} ended with {one.status}: {one.said}")
            taken[name].append(one)
            state = "cold" if cold else "warm"
            print(f"{state} {number + 1}, {name}: {one.seconds:.1f} s, load {one.load:.1f}", flush=True)
    return taken


def forget(directory: Path) -> None:
    """Have no page of these files in memory."""
    for path in directory.glob("model-*"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if left := resident(directory):
        raise RuntimeError(f"{left} bytes of {directory} are still in memory: does a process have them mapped?")


def remember(directory: Path) -> None:
    """Have all of these files in memory."""
    for path in directory.glob("model-*"):
        with path.open("rb") as file:
            while file.read(_PIECE_BYTES):
                pass


def resident(directory: Path) -> int:
    """Return how many bytes of these files are in memory."""
    command = ["fincore", "--bytes", "--noheadings", "--output", "RES", *map(str, directory.glob("model-*"))]
    return sum(map(int, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()))


def judge(state: str, taken: Taken, total: int) -> tuple[float, float]:
    """Print the medians; return our rate's ratio to what the machine can at most, and to that of `hf cache verify`."""
    rates = {name: total / statistics.median(one.seconds for one in runs) / 1e6 for name, runs in taken.items()}
    for name, runs in taken.items():
        each = ", ".join(f"{one.seconds:.1f}" for one in runs)
        cpu = statistics.median(one.cpu_seconds for one in runs)
        print(f"{state}, {name}: {rates[name]:.0f} MB/s, {cpu:.1f} CPU s; {each} s")
    cores = max(CORES, key=lambda name: rates[name])
    bound = min((cores, DISK), key=lambda name: rates.get(name, float("inf")))
    ratio, hf = rates[OURS] / rates[bound], rates[OURS] / rates[HF]
    loads = [one.load for runs in taken.values() for one in runs]
    print(
        f"{state}: {ratio:.2f} of {bound} (limit {LIMIT}), {hf:.2f} of {HF} (limit 1): medians of "
        f"{len(taken[OURS])} rounds, {total / 1e9:.1f} GB, load {min(loads):.1f} to {max(loads):.1f}"
    )
    return ratio, hf


if __name__ == "__main__":
    sys.exit(main())
