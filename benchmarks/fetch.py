"""How fast weights are fetched, against `hf download`, `curl --parallel` and as many curls as there are files.

Run anywhere in the checkout, as root: `python -m benchmarks.fetch [--rounds N]`. All of them run in turn inside one
local node, and fetch the same commit from the same hub and file server in the node's network onto the node's volume.
Time runs until the last byte is on the disk. Ours also verifies every byte, behind the line where cores are few: its
own result says when the last byte was on the disk, and the time until all is verified is held against curl and a hash
of each file after it. The order is another in each round. Ends with the ratio to the better of the first two and fails
below the limit, or where the server itself was not at least three times as fast.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import weights_source
from benchmarks.timed import Run
from benchmarks.weights_source import COMMIT, FILES, HUB, REPOSITORY
from tests.playbooks.roles_bench import Bench, opened

from nodestack.clouds.local import tiny_model

LIMIT, SERVER_LIMIT = 0.9, 3.0
OURS, HF, CURL, CURLS, NOBODY = "nodestack", "hf download", "curl --parallel", "one curl a file", "the server alone"
VERIFIED, CHECKED = "nodestack, verified", "curl --parallel, then openssl"
ROLES = ("base", "storage", "weights")
VOLUME = "/srv/nodestack"
PLACE = f"{VOLUME}/bench"
DOCUMENT = {
    "storage_device": "/dev/vdb",
    "storage_mount_point": VOLUME,
    "weights_endpoint": "http://127.0.0.1:8090",
    "weights_repository": tiny_model.REPOSITORY,
    "weights_commit": tiny_model.COMMIT,
    "weights_high_performance": False,
    "vllm_find_links": "http://127.0.0.1:8091/wheels/",
}


def main() -> int:
    """Measure, print the medians and the ratios; 1 below a limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each fetches (default: 5)")
    parser.add_argument("--shards", type=int, default=8, help="large files (default: 8)")
    parser.add_argument("--shard-mb", type=int, default=500, help="size of each in MB (default: 500)")
    parser.add_argument("--record", type=Path, help="file that gets the ratios as JSON")
    options = parser.parse_args()
    total = options.shards * options.shard_mb * 10**6
    with tempfile.TemporaryDirectory(prefix="nodestack-fetch-") as name:
        scratch = Path(name)
        root = scratch / "hub"
        weights_source.make(root, options.shards, options.shard_mb * 10**6)
        with opened(scratch, size_gib=-(-2 * total // 2**30)) as bench:
            played = bench.play(*ROLES, check=False, **DOCUMENT)
            if played.exit_code != 0:
                sys.exit(played.text)
            with weights_source.serving(root, scratch / "hub.jsonl", _network_of(bench)):
                runs = measure(bench, options)
    return judge(runs, total, options.record)


def measure(bench: Bench, options: argparse.Namespace) -> dict[str, list[Run]]:
    """Return what each fetch took, in the order of rounds."""
    files = weights_source.names(options.shards)
    bench.on(f"cat > /tmp/timed.py <<'ENDS'\n{Path(__file__).with_name('timed.py').read_text()}\nENDS")
    contestants = commands(bench, files)
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(options.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            run = once(bench, contestants[name])
            whole = bench.on(f"find {PLACE} -name 'model-*' -size {options.shard_mb * 10**6}c | wc -l")
            if name != NOBODY and int(whole) != options.shards:
                raise RuntimeError(f"{name} left {whole} whole files of {options.shards}")
            if name == OURS:
                runs.setdefault(VERIFIED, []).append(run)
                told = json.loads(bench.on(f"cat {PLACE}/state/results/weights.json"))
                run = run._replace(seconds_to_disk=run.seconds_to_disk - told["seconds"] + told["fetch_seconds"])
            runs[name].append(run)
            print(f"round {number + 1}, {name}: {run.seconds_to_disk:.1f} s, load {run.load:.1f}", flush=True)
    return runs


def once(bench: Bench, command: str) -> Run:
    """Run one contestant on an empty directory."""
    bench.on(f"sudo rm -rf {PLACE}; sudo mkdir {PLACE}; sync --file-system {VOLUME}")
    said = bench.on(f"sudo python3 -I /tmp/timed.py {PLACE} sh -c {shlex.quote(command)}", 600)
    run = Run(**json.loads(said))
    if run.status != 0:
        raise RuntimeError(f"{command} ended with {run.status}: {run.said}")
    return run


def commands(bench: Bench, files: list[str]) -> dict[str, str]:
    """Return what each contestant runs."""
    environment = bench.on(f"echo {VOLUME}/engines/hub-*")
    ours = [
        *(f"{environment}/bin/python", "-m", "nodestack_weights.fetch", f"--root={PLACE}", f"--endpoint={HUB}"),
        *(f"--repository={REPOSITORY}", f"--commit={COMMIT}", "--workers=16"),
        *(f"--state-directory={PLACE}/state", f"--run-directory={PLACE}/run"),
    ]
    hub_client = "HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1"
    hf = f"{environment}/bin/hf download {REPOSITORY} --revision {COMMIT} --local-dir {PLACE} --max-workers 8"
    curl = "curl --silent --show-error --fail --location"
    urls = {file: f"{HUB}/{REPOSITORY}/resolve/{COMMIT}/{file}" for file in [*files, "config.json"]}
    each = " ".join(f"-o {file} {url}" for file, url in urls.items())
    parallel = f"{curl} --parallel --parallel-immediate --parallel-max {len(files)} {each}"
    return {
        OURS: f"cd /usr/local/lib/nodestack && HF_HUB_DISABLE_TELEMETRY=1 {shlex.join(ours)}",
        HF: f"HF_ENDPOINT={HUB} HF_HOME={PLACE}/.home {hub_client} {hf}",
        CURL: parallel,
        CHECKED: f"{parallel} && ls model-* | xargs -P $(nproc) -n 1 openssl dgst -sha256",
        CURLS: " ".join(f"{curl} -o {file} {url} &" for file, url in urls.items()) + " wait",
        NOBODY: " ".join(f"{curl} -o /dev/null {FILES}/{REPOSITORY}/{COMMIT}/{file} &" for file in files) + " wait",
    }


def judge(runs: dict[str, list[Run]], total: int, record: Path | None) -> int:
    """Print the medians and the ratios; return 1 below a limit."""
    rates = {
        name: statistics.median(total / run.seconds_to_disk / 1e6 for run in taken) for name, taken in runs.items()
    }
    for name, taken in runs.items():
        cpu = statistics.median(run.cpu_seconds for run in taken)
        each = ", ".join(f"{run.seconds_to_disk:.1f}" for run in taken)
        print(f"{name}: {rates[name]:.0f} MB/s, {cpu:.1f} CPU s; until on the disk {each} s")
    fastest = max((HF, CURL), key=lambda name: rates[name])
    server, ratio = rates[NOBODY] / rates[fastest], rates[OURS] / rates[fastest]
    loads = [run.load for taken in runs.values() for run in taken]
    print(f"the server gives {server:.1f} times what {fastest} takes (at least {SERVER_LIMIT})")
    print(f"{rates[OURS] / rates[HF]:.2f} of {HF}, {rates[OURS] / rates[CURLS]:.2f} of {CURLS}")
    print(f"{rates[VERIFIED] / rates[CHECKED]:.2f} of {CHECKED}, until all is verified")
    print(
        f"{ratio:.2f} of the better of {HF} and {CURL}, which is {fastest} (limit {LIMIT}): "
        f"medians of {len(runs[OURS])} rounds, {total / 1e9:.1f} GB, load {min(loads):.1f} to {max(loads):.1f}"
    )
    if record:
        record.parent.mkdir(parents=True, exist_ok=True)
        figures = {
            "fetch to the better of hf and curl": round(ratio, 2),
            "fetch and verify to curl and openssl": round(rates[VERIFIED] / rates[CHECKED], 2),
            "fetch MB/s": round(rates[OURS]),
        }
        record.write_text(json.dumps(figures), encoding="utf-8")
    return int(ratio < LIMIT or server < SERVER_LIMIT)


def _network_of(bench: Bench) -> list[str]:
    """Return the command that runs another in the network of a node, which that of its own hub is."""
    log = str(bench.directory / "account/logs" / f"hub-{bench.node.name}.jsonl").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\x00")
        except OSError:
            continue
        if b"nodestack.clouds.local.hub" in words and log in words:
            return ["nsenter", f"--net={process}/ns/net"]
    raise RuntimeError(f"no hub of node {bench.node.name} runs")


if __name__ == "__main__":
    sys.exit(main())
