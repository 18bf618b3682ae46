"""Have no request cut when the engine ends: keep new ones out, wait for those that run, let them in when it answers.

`on` runs before systemd tells the engine to end, `off` after each start. vLLM alone would not do: told to end, 0.23.0
lets running requests finish, but new ones find no listener at once, where a gateway can say 503 and when to come again.
By its source it also ends its renderer first, and answers what it had accepted but not begun with an empty reply.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nodestack_vllm import unit

GATEWAY = Path("/usr/local/lib/nodestack/gateway-drain")
GATEWAY_TIMEOUT_S = 30.0
POLL_S = 0.25
QUIET_POLLS = 3
"""Times in a row that nothing may be in flight: a request that was let in a moment ago is in no count yet."""
SETTLED_S = 5.0
"""Seconds without anything to compute after which replies count as sent: clients that hung up spoil their count."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status, 0 however long it took: what is told to stop has to stop."""
    parser = argparse.ArgumentParser(
        prog="engine-drain", description="Keep requests out of the engine, or let them in."
    )
    parser.add_argument("what", choices=["on", "off"])
    parser.add_argument("--server", required=True, help="URL of the engine, without a path")
    parser.add_argument("--timeout-s", type=float, required=True)
    parser.add_argument("--gateway", type=Path, default=GATEWAY)
    given = parser.parse_args(arguments)
    if given.what == "on":
        tell(given.gateway, "on")
        left = wait_until_idle(lambda: unit.load(given.server), given.timeout_s)
        if left:
            print(f"{left} requests still run after {given.timeout_s:.0f} s: the engine is told to end them")
        return 0
    if not wait_until(lambda: unit.answers(f"{given.server}/health"), given.timeout_s):
        print(f"{given.server} does not answer within {given.timeout_s:.0f} s: no requests are let in", file=sys.stderr)
        return 1
    tell(given.gateway, "off")
    return 0


def tell(gateway: Path, what: str) -> None:
    """Tell the gateway, where there is one; one that fails is no reason to cut requests."""
    if not gateway.exists():
        return
    try:
        run = subprocess.run(
            [gateway, what], capture_output=True, text=True, check=False, timeout=GATEWAY_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{gateway} {what} failed: {error}", file=sys.stderr)
        return
    if run.returncode != 0:
        said = (run.stderr.strip() or run.stdout.strip() or "nothing").splitlines()[-1]
        print(f"{gateway} {what} ended with {run.returncode}, it said: {said}", file=sys.stderr)


def wait_until_idle(
    look: Callable[[], unit.Load | None],
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Return once nothing is in flight, or how many requests are when the time is over.

    Args:
        look: What the server has to do; None where none answers, and then nothing can be waited for.
        timeout_s: Seconds that requests get.
        clock: Seconds that only grow.
        sleep: Waits for so many seconds.
    """
    deadline = clock() + timeout_s
    quiet, computed_at = 0, clock()
    while (load := look()) is not None:
        if load.scheduled > 0:
            computed_at = clock()
        settled = clock() - computed_at >= SETTLED_S
        quiet = quiet + 1 if load.scheduled == 0 and (load.answering <= 0 or settled) else 0
        if quiet >= QUIET_POLLS:
            return 0
        if clock() >= deadline:
            return load.requests
        sleep(POLL_S)
    return 0


def wait_until(
    holds: Callable[[], bool],
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Return whether something came to hold in time."""
    deadline = clock() + timeout_s
    while not holds():
        if clock() >= deadline:
            return False
        sleep(POLL_S)
    return True


if __name__ == "__main__":
    sys.exit(main())
