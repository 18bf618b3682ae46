"""What the commands of a stack's daily life take, and the help that teaches it. Imports nothing of nodestack."""

import argparse
import re
from collections.abc import Callable
from datetime import timedelta

WATCH_EXAMPLES = """\
examples:
  nodestack watch --stack spot          # until it is stopped; docs/spot.md has a systemd unit for it
  nodestack watch --stack spot --once   # one look and what follows from it, for a timer or a CI schedule

A node is replaced only where its cloud surely has it no more. What is bought then, for how much, and when a node goes
that is not needed, is nodestack:watch in the stack's file: nodestack config explain watch

exit codes of --once: 0 all is as it should be, 1 it is not (yet), 2 bad input, 130 interrupted
"""
PARK_EXAMPLES = """\
examples:
  nodestack park --stack spot
  nodestack unpark --stack spot

exit codes: 0 done, 1 failed: the same command, or a watch, goes on with it, 2 bad input, 130 interrupted
"""
LEASE_EXAMPLES = """\
examples:
  nodestack lease --stack dev --for 4h   # from now; 90m and 2d are understood, too
  nodestack lease --stack dev --renew    # as long again, from now
  nodestack lease --stack dev            # how long it lasts
  nodestack lease --stack dev --end      # it stays up

At its end the stack is parked, by the watch that runs for it. Bringing the stack up again gives no new lease.

exit codes: 0 done, 2 bad input
"""
DOCTOR_EXAMPLES = """\
examples:
  nodestack doctor                # this checkout, and every account that its stacks have; changes nothing
  nodestack doctor --stack spot
  nodestack doctor --json

Tools, room, passphrase, states, locks, journals, credentials, the clock, and what accounts hold that no state knows.

exit codes: 0 nothing is wrong, 1 something is, 2 bad input
"""
EVALUATE_EXAMPLES = """\
examples:
  nodestack evaluate --stack dev --minimum 0.8 -- python my_evaluation.py
  nodestack evaluate --stack dev --minimum 0.8 --record-in production --name agents -- ./my-evaluation --tasks 200

The command asks the stack's endpoint as any client does: NODESTACK_BASE_URL (and OPENAI_BASE_URL), NODESTACK_MODEL, the
key in the file NODESTACK_API_KEY_FILE, the certificate to trust in NODESTACK_CA_FILE (with all others in SSL_CERT_FILE,
CURL_CA_BUNDLE and REQUESTS_CA_BUNDLE). It writes {"score": 0.83} to the file NODESTACK_RESULT_FILE, and "figures"
besides if it likes.

exit codes: 0 the minimum was reached, 1 nothing was recorded, 2 bad input, 3 recorded, and the minimum not reached
"""
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_LONGEST = timedelta(days=90)

Command = Callable[[str, str, str, str], argparse.ArgumentParser]
"""Adds a command: its name, what it calls, its purpose and its examples."""


def add(command: Command) -> None:
    """Add all commands of this module."""
    watch = _stack(
        command(
            "watch", "watch:run", "Replace a node that its cloud took back, and park a stack in time.", WATCH_EXAMPLES
        )
    )
    watch.add_argument("--once", action="store_true", help="look once, do what follows, and say how it is")
    _stack(command("park", "watch:park", "Remove a stack's node, keep its volume, show both costs.", PARK_EXAMPLES))
    unpark = _stack(command("unpark", "watch:unpark", "Bring a parked stack up again, show both costs.", PARK_EXAMPLES))
    unpark.add_argument("--yes", action="store_true", help="do not ask; implied for the local stack")
    lease = _stack(command("lease", "watch:lease", "Have a stack parked at a time unless renewed.", LEASE_EXAMPLES))
    what = lease.add_mutually_exclusive_group()
    what.add_argument("--for", dest="duration", type=duration, metavar="TIME", help="park it after so long, such as 4h")
    what.add_argument("--renew", action="store_true", help="as long again, from now")
    what.add_argument("--end", action="store_true", help="take the lease away")
    doctor = command("doctor", "doctor:run", "Say what is wrong with a checkout and what to do.", DOCTOR_EXAMPLES)
    doctor.add_argument("-s", "--stack", metavar="NAME", help="this one alone (default: all of this checkout)")
    doctor.add_argument(
        "--json", action="store_true", help="print what was found as JSON; docs/state.md lists its keys"
    )
    _evaluate(command)


def duration(text: str) -> timedelta:
    """Return how long a text such as 4h means.

    >>> duration("90m")
    datetime.timedelta(seconds=5400)
    """
    found = re.fullmatch(r"(\d{1,4}(?:\.\d+)?)([mhd])", text)
    length = timedelta(**{_UNITS[found.group(2)]: float(found.group(1))}) if found else timedelta(0)
    if not timedelta(0) < length <= _LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 90m, 4h or 2d, of at most {_LONGEST.days} days")
    return length


def _evaluate(command: Command) -> None:
    added = _stack(
        command("evaluate", "evaluate:run", "Run an evaluation of your own, record its score.", EVALUATE_EXAMPLES)
    )
    added.add_argument("--minimum", type=float, required=True, metavar="SCORE", help="what must be reached")
    added.add_argument("--name", metavar="NAME", help="what it is called in the record (default: the command)")
    added.add_argument("--record-in", metavar="STACK", help="whose policies are to know (default: the same stack's)")
    added.add_argument(
        "--key-in-environment",
        action="store_true",
        help="give the key as OPENAI_API_KEY, too: for tools that read no file",
    )
    added.add_argument(
        "evaluation", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what is run, and its arguments"
    )


def _stack(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("-s", "--stack", default="local", help="the stack (default: local)")
    return command
