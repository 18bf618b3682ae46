"""What each command takes, and the help that teaches it. Imports only more of the same: help comes at once."""

import argparse
from pathlib import Path
from typing import NoReturn

from nodestack.commands import environment_arguments, life_arguments

EXIT_CODES = (
    "exit codes: 0 it fits, 1 it does not fit or failed, 2 bad input: all problems in one message, 130 interrupted"
)
STACK_COMMANDS = {
    "up": "Bring a stack up and show a completion of its endpoint.",
    "down": "Tear a stack down, all but its weights volume.",
    "purge": "Tear a stack down and delete its weights volume too.",
    "outputs": "Print what a stack offers and what was verified, as JSON.",
    "key": "Print the API key of a stack's endpoint.",
    "ca": "Print the certificate that clients verify a stack's endpoint with, as PEM.",
    "init": "Create a stack's state and generate the secrets it lacks.",
}
PLAN_EXAMPLES = f"""\
examples:
  nodestack plan --stack production
  nodestack plan --model trinity-large-thinking --node 4x-h200-sxm5 --profile reasoning
  nodestack plan --model trinity-large-thinking --node 8x-h100-sxm5 --set serving.max_model_len=131072 --json
  nodestack plan --stack production --kv-bytes-per-gpu 26.73GiB   # as an engine's log says it

{EXIT_CODES}
"""
COMPARE_EXAMPLES = """\
examples:
  nodestack compare --model trinity-large-thinking
  nodestack compare --model trinity-large-thinking --format fp8-block --node 8x-h100-sxm5 --node 4x-h200-sxm5
  nodestack compare --model trinity-large-thinking --profile throughput --set cost.utilisation=0.6 --json

exit codes: 0 something fits, 1 nothing does, 2 bad input: all problems in one message
"""
REPORT_EXAMPLES = f"""\
examples:
  nodestack report --stack production --output production.html
  nodestack report --model trinity-large-thinking --node 4x-h200-sxm5 --output plan.html

The page is one file: it loads nothing from anywhere, and follows the reader's light or dark mode.

{EXIT_CODES}
"""
OFFERS_EXAMPLES = """\
examples:
  nodestack offers --cloud spheron
  nodestack offers --cloud verda --node 4x-h200-sxm5 --model trinity-large-thinking --market spot
  nodestack offers --cloud spheron --model trinity-large-thinking --max-usd-per-hour 20 --region us-east-1
  nodestack offers --stack production --json   # the stack's cloud, shape, market, region and limits

The key of a cloud is read from the environment: SPHERON_API_KEY, or VERDA_CLIENT_ID and VERDA_CLIENT_SECRET.
Nothing is ordered. docs/clouds.md lists the keys of the JSON.

exit codes: 0 an offer fits, 1 none does or the cloud could not be asked, 2 bad input
"""
SWEEP_EXAMPLES = """\
examples:
  nodestack sweep                                     # every account that this checkout's stacks have; changes nothing
  nodestack sweep --stack production --json
  nodestack sweep --cloud spheron --delete            # stray nodes of this checkout's stacks; asks first
  nodestack sweep --delete nodestack-old-node --yes   # one that is named, by name or id; for timers: does not ask
  nodestack sweep --delete --volumes-too              # stray volumes as well, with all that is on them

Stray is what carries a name of ours (nodestack-STACK-node, nodestack-STACK-weights) and is in no state of this
checkout. What belongs to stacks that this checkout does not have may be another checkout's: it is listed, and deleted
only when it is named. A stack that a run is at work on is left alone.

exit codes: 0 nothing stray is left, 1 strays are left or something failed, 2 bad input
"""
VERIFY_EXAMPLES = """\
examples:
  nodestack verify
  nodestack verify --stack production --json

The gates of verify.yml run on the node: GPUs and fabric, then the whole smoke test, which costs a few hundred tokens
and one prompt of the longest length. Nothing else is changed. docs/operate.md lists the keys of the JSON.

exit codes: 0 every gate passed, 1 one did not, or there is no node, 2 bad input, 130 interrupted
"""
BENCH_EXAMPLES = """\
examples:
  nodestack bench
  nodestack bench --stack production --json
  nodestack bench --requests 32 --concurrency 8 --output-tokens 512 --timeout-s 600
  nodestack bench --accept   # it is slower for a known reason: hold later runs against this one

`vllm bench serve` runs on the node, from the engine's own environment and through the gateway where there is one, with
the trace of the stack's profile. The load ends at its bound by itself. The record stays on the volume, and is held
against the last one of the same engine, commit, options and load. docs/operate.md lists the keys of the JSON.

exit codes: 0 measured, 1 nothing was measured, 2 bad input, 3 measured, and worse than before, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """A parser whose examples keep their lines, and whose errors point at the help."""

    def __init__(self, **settings: object) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where examples are, and exit with 2."""
        self.exit(2, f"error: {message}\nexamples: {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `command` of what it parses is `module:function` of `nodestack.commands`."""
    top = Parser(
        prog="nodestack", description="Declare a GPU node stack, get a verified, metered, private LLM endpoint."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, target: str, purpose: str, epilog: str | None = None) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=purpose, description=purpose, epilog=epilog)
        added.set_defaults(command=target)
        return added

    _plan(
        command(
            "plan", "plan:run", "Say whether a model fits a node, what it will hold and cost, and why.", PLAN_EXAMPLES
        )
    )
    _compare(
        command(
            "compare",
            "compare:run",
            "Put node shapes, formats and markets side by side, cheapest first.",
            COMPARE_EXAMPLES,
        )
    )
    _offers(
        command(
            "offers",
            "offers:run",
            "Show what a cloud sells now, cheapest first, and what the plan makes of it.",
            OFFERS_EXAMPLES,
        )
    )
    _sweep(
        command(
            "sweep",
            "sweep:run",
            "Find what clouds bill under our names and no stack knows; delete it on request.",
            SWEEP_EXAMPLES,
        )
    )
    _report(command("report", "report:run", "Write a plan with its plots as one HTML page.", REPORT_EXAMPLES))
    purpose = "Explain settings, or write a stack's."
    environment_arguments.config(commands.add_parser("config", help=purpose, description=purpose))
    environment_arguments.add(command)
    for name, purpose in STACK_COMMANDS.items():
        added = command(name, f"stacks:{name}", purpose, f"example:\n  nodestack {name} --stack local")
        added.add_argument("-s", "--stack", default="local", help="the stack (default: local)")
        if name in {"up", "down", "purge"}:
            added.add_argument("--yes", action="store_true", help="do not ask; implied for the local stack")
    _verify(
        command(
            "verify", "verify:run", "Run the gates again on a stack's node: fabric and smoke test.", VERIFY_EXAMPLES
        )
    )
    _bench(command("bench", "bench:run", "Measure a stack's node with a bounded load, and compare.", BENCH_EXAMPLES))
    life_arguments.add(command)
    command("prepare", "stacks:prepare", "Fetch and build what local nodes are made of, into the cache.")
    return top


def _plan(command: argparse.ArgumentParser) -> None:
    _selection(command)
    command.add_argument("--json", action="store_true", help="print the plan as JSON; docs/plan.md lists its keys")


def _report(command: argparse.ArgumentParser) -> None:
    _selection(command)
    command.add_argument("--output", type=Path, required=True, metavar="FILE", help="the page to write")


def _selection(command: argparse.ArgumentParser) -> None:
    """Add what says which stack is planned: a stack's file, options, or options that differ from a stack's file."""
    command.add_argument(
        "--stack", metavar="NAME", help="start from stacks/Pulumi.NAME.yaml, or from stacks/templates/NAME.yaml"
    )
    command.add_argument("--model", metavar="NAME", help="a model of the catalogue")
    command.add_argument("--node", metavar="SHAPE", help="a node shape of the catalogue")
    command.add_argument("--format", metavar="NAME", help="a format of the model (default: the first listed that fits)")
    command.add_argument("--engine", metavar="VERSION", help="a vLLM version (default: the catalogue's)")
    _common(command)
    command.add_argument(
        "--kv-bytes-per-gpu",
        metavar="BYTES",
        help="memory of the KV cache on a GPU, in place of the estimate: a number of bytes, or like 26.73GiB",
    )


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", metavar="NAME", help="a model of the catalogue")
    command.add_argument(
        "--node", metavar="SHAPE", action="append", help="a node shape; may be repeated (default: all with GPUs)"
    )
    command.add_argument(
        "--format", metavar="NAME", action="append", help="a format; may be repeated (default: all of the model)"
    )
    command.add_argument("--engine", metavar="VERSION", help="a vLLM version (default: the catalogue's)")
    _common(command)
    command.add_argument("--json", action="store_true", help="print rows as JSON; docs/plan.md lists their keys")


def _offers(command: argparse.ArgumentParser) -> None:
    _account(command)
    command.add_argument("--model", metavar="NAME", help="a model of the catalogue, to be planned on each")
    command.add_argument(
        "--node",
        metavar="SHAPE",
        action="append",
        help="a node shape; may be repeated (default: the stack's, or all of one machine with GPUs)",
    )
    command.add_argument("--format", metavar="NAME", help="a format of the model (default: the first listed that fits)")
    command.add_argument("--engine", metavar="VERSION", help="a vLLM version (default: the catalogue's)")
    command.add_argument("--market", choices=["on_demand", "spot"], help="(default: the stack's, or on_demand)")
    command.add_argument("--region", metavar="NAME", help="only there, as the cloud calls it")
    command.add_argument("--max-usd-per-hour", metavar="USD", type=_positive, help="only what costs at most this")
    _common(command)
    command.add_argument("--json", action="store_true", help="print rows as JSON; docs/clouds.md lists their keys")


def _sweep(command: argparse.ArgumentParser) -> None:
    _account(command)
    command.add_argument(
        "--delete",
        nargs="*",
        metavar="NAME",
        help="delete stray nodes: of this checkout's stacks, or exactly what is named, by name or id",
    )
    command.add_argument("--volumes-too", action="store_true", help="delete stray volumes as well: never without this")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.add_argument(
        "--json", action="store_true", help="print what was found as JSON; docs/clouds.md lists its keys"
    )


def _verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("-s", "--stack", default="local", help="the stack (default: local)")
    command.add_argument(
        "--json", action="store_true", help="print the verdict as JSON; docs/operate.md lists its keys"
    )


def _bench(command: argparse.ArgumentParser) -> None:
    command.add_argument("-s", "--stack", default="local", help="the stack (default: local)")
    for name, meaning in {
        "prompt-tokens": "tokens of each prompt (default: the profile's trace)",
        "output-tokens": "tokens of each reply (default: the profile's trace)",
        "requests": "requests in all (default: two for each in flight)",
        "concurrency": "requests in flight at most (default: what the engine runs side by side)",
        "timeout-s": "seconds after which the load ends (default: an hour)",
    }.items():
        command.add_argument(f"--{name}", type=_at_least_one, metavar="N", help=meaning)
    command.add_argument("--accept", action="store_true", help="hold later runs against this one, whatever it shows")
    command.add_argument("--json", action="store_true", help="print the record as JSON; docs/operate.md lists its keys")


def _account(command: argparse.ArgumentParser) -> None:
    command.add_argument("--stack", metavar="NAME", help="the cloud of this stack, by its file or template")
    command.add_argument("--cloud", choices=["spheron", "verda", "local"], help="this cloud")
    command.add_argument("--base-url", metavar="URL", help="where its API is asked, in place of its own address")


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no price above 0")
    return number


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", metavar="NAME", help="the service level: ttft, throughput, reasoning or tools")
    command.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="any setting, as `nodestack config explain` lists them; may be repeated",
    )
    command.add_argument(
        "--catalog",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="a file with models, nodes or prices of your own; may be repeated",
    )
