"""Change the node's firewall without being locked out: new rules are taken back unless they are kept in time.

Prints {"changed"} for `try` and `remove`. Exit 1 and one line on stderr when nft refuses.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nodestack_gateway import GatewayError, read_json, replace_file

DIRECTORY = Path("/etc/nodestack/gateway")
KEPT, CANDIDATE = DIRECTORY / "firewall.nft", DIRECTORY / "firewall.candidate.nft"
# What the kernel has now: gone with a reboot, after which the kept rules are loaded.
LOADED = Path("/run/nodestack/firewall.json")
TABLE = ("inet", "nodestack")
ROLLBACK = "nodestack-firewall-rollback"
PROGRAM = "/usr/local/lib/nodestack/gateway-firewall"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="gateway-firewall", description="Change the node's firewall.")
    parser.add_argument("action", choices=["try", "keep", "rollback", "remove"])
    parser.add_argument("--rollback-s", type=int, default=60)
    parser.add_argument("--check", action="store_true", help="only say whether something would change")
    given = parser.parse_args(arguments)
    try:
        if given.action == "try":
            print(json.dumps({"changed": attempt(given.rollback_s, check=given.check)}))
        elif given.action == "keep":
            keep()
        elif given.action == "rollback":
            rollback()
        else:
            print(json.dumps({"changed": remove(check=given.check)}))
    except GatewayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def attempt(rollback_s: int, *, check: bool) -> bool:
    """Load the candidate where the kernel does not have it, with a timer that takes it back; return whether it did."""
    wanted = hashlib.sha256(CANDIDATE.read_bytes()).hexdigest()
    kept = KEPT.exists() and KEPT.read_bytes() == CANDIDATE.read_bytes()
    loaded = (read_json(LOADED) or {}).get("sha256") == wanted
    # After a reboot the unit has loaded what was kept, and nobody has noted it.
    if kept and _is_there() and (loaded or not LOADED.exists()):
        return False
    if check:
        return True
    _run("nft", "-c", "-f", str(CANDIDATE))
    _end_timer()
    when = [f"--on-active={rollback_s}s", "--timer-property=AccuracySec=1s"]
    _run("systemd-run", "--quiet", "--collect", f"--unit={ROLLBACK}", *when, PROGRAM, "rollback")
    _run("nft", "-f", str(CANDIDATE))
    replace_file(LOADED, json.dumps({"sha256": wanted}) + "\n")
    return True


def keep() -> None:
    """Keep what was tried, over reboots as well."""
    replace_file(KEPT, CANDIDATE.read_text())
    _end_timer()


def rollback() -> None:
    """Have the rules that were kept last, or none."""
    if KEPT.exists():
        _run("nft", "-f", str(KEPT))
    elif _is_there():
        _run("nft", "delete", "table", *TABLE)
    LOADED.unlink(missing_ok=True)


def remove(*, check: bool) -> bool:
    """Have no rules of ours, now and after reboots; return whether there were any."""
    there = _is_there() or KEPT.exists()
    if there and not check:
        subprocess.run(
            ["systemctl", "disable", "--now", "nodestack-firewall.service"], capture_output=True, check=False
        )
        if _is_there():
            _run("nft", "delete", "table", *TABLE)
        for path in (KEPT, CANDIDATE, LOADED):
            path.unlink(missing_ok=True)
    return there


def _is_there() -> bool:
    return subprocess.run(["nft", "list", "table", *TABLE], capture_output=True, check=False).returncode == 0


def _end_timer() -> None:
    for kind in ("timer", "service"):
        subprocess.run(["systemctl", "stop", f"{ROLLBACK}.{kind}"], capture_output=True, check=False)


def _run(*command: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        lines = ended.stderr.strip().splitlines() or ["it does not say why"]
        raise GatewayError(f"{command[0]} refuses: {lines[0]}")


if __name__ == "__main__":
    sys.exit(main())
