"""`nodestack doctor`: what is wrong with this checkout and its accounts, each with what to do; changes nothing."""

import argparse
import json
from pathlib import Path

from nodestack.automation import holdings
from nodestack.automation.checkout import find
from nodestack.automation.doctor import Finding, examine
from nodestack.errors import SettingsError


def run(options: argparse.Namespace) -> int:
    """Print what was looked at; 0 when nothing is wrong, 1 when something is.

    Raises:
        SettingsError: There is no such stack.
    """
    checkout = find(Path.cwd())
    known = holdings.stacks(checkout)
    if options.stack and options.stack not in known:
        raise SettingsError(f"--stack {options.stack}: this checkout has {', '.join(known) or 'no stack yet'}")
    found: list[Finding] = []
    for finding in examine(checkout, [options.stack] if options.stack else known):
        found.append(finding)
        if not options.json:
            _print(finding)
    wrong = [finding for finding in found if finding.do]
    if options.json:
        print(json.dumps([finding.model_dump() for finding in found], indent=2))
    else:
        print(f"{len(found)} things looked at, {len(wrong) or 'nothing'} wrong")
    return int(bool(wrong))


def _print(finding: Finding) -> None:
    print(f"{'WRONG' if finding.do else 'ok':5} {finding.check}: {finding.about}: {finding.seen}", flush=True)
    if finding.do:
        print(f"      do: {finding.do}", flush=True)
