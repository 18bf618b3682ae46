"""What the commands about settings and policies take: imports nothing of nodestack, help comes at once."""

import argparse
from collections.abc import Callable
from pathlib import Path

POLICIES_EXAMPLES = """\
examples:
  nodestack policies
  nodestack policies no-spot               # why it is there, how to fix it, what is set about it
  nodestack policies --stack production    # what they say of a stack's file, without the engine
  nodestack policies --stack production --json

`pulumi preview --policy-pack policies` asks the same of what the program really declares. See docs/policies.md.

exit codes: 0 done, 1 a policy would stop the stack, 2 bad input
"""
DIFF_EXAMPLES = """\
examples:
  nodestack diff dev production
  nodestack diff dev production --json

Each name is a stack's file, or the template of that name. Secrets are not compared.

exit codes: 0 they are the same, 1 they differ, 2 bad input
"""
EXPLAIN_EXAMPLES = """\
examples:
  nodestack config explain
  nodestack config explain serving
  nodestack config explain serving.max_model_len
  nodestack config explain --json

exit codes: 0 done, 2 there is no such setting
"""
NEW_EXAMPLES = """\
examples:
  nodestack config new staging --from production
  nodestack config new eu --from production --set node.region=FIN-02 --set node.max_usd_per_hour=30

The file is checked and planned before it is written; the other stack's secrets are left out of it.

exit codes: 0 written, 1 it would not fit, 2 bad input, or there is such a stack
"""
REVIEW_EXAMPLES = """\
examples:
  nodestack review --stack production
  nodestack review --stack production --output comment.md

Previews with the policies and changes nothing. It is refused when a policy stops it, when a weights volume would be
replaced or deleted, or when anything fails. Of a stack that is not deployed yet all is new. docs/ci.md has the rest.

exit codes: 0 it may be brought up, 1 it is refused, 2 bad input
"""
Command = Callable[[str, str, str, str], argparse.ArgumentParser]


def add(command: Command) -> None:
    """Add the commands."""
    policies = command(
        "policies", "policies:run", "Show what is asked of stacks, or what it says of one.", POLICIES_EXAMPLES
    )
    policies.add_argument("name", nargs="?", metavar="NAME", help="one policy (default: all)")
    policies.add_argument("--stack", metavar="NAME", help="judge this stack by its file or template")
    policies.add_argument("--json", action="store_true", help="print them as JSON; docs/policies.md lists the keys")
    review = command(
        "review",
        "review:run",
        "Preview a stack with the policies: may it be brought up, at what cost?",
        REVIEW_EXAMPLES,
    )
    review.add_argument("--stack", required=True, metavar="NAME", help="the stack")
    review.add_argument("--output", type=Path, metavar="FILE", help="write the comment there instead of printing it")
    diff = command(
        "diff", "environments:diff", "Show what differs between two stacks: settings and plan.", DIFF_EXAMPLES
    )
    diff.add_argument("stacks", nargs=2, metavar="STACK", help="a stack, by its file or template")
    diff.add_argument("--json", action="store_true", help="print the differences as JSON")


def config(config: argparse.ArgumentParser) -> None:
    """Add the actions of `config`."""
    actions = config.add_subparsers(required=True, metavar="ACTION")
    purpose = "Explain every setting: type, default, allowed values and meaning."
    explain = actions.add_parser("explain", help=purpose, description=purpose, epilog=EXPLAIN_EXAMPLES)
    explain.set_defaults(command="explain:run")
    explain.add_argument("key", nargs="?", metavar="SECTION[.KEY]", help="one section or one setting (default: all)")
    explain.add_argument("--json", action="store_true", help="print the settings as JSON")
    purpose = "Write the file of a new stack, made from another."
    _new(actions.add_parser("new", help=purpose, description=purpose, epilog=NEW_EXAMPLES))


def _new(new: argparse.ArgumentParser) -> None:
    new.set_defaults(command="environments:new")
    new.add_argument("name", metavar="NAME", help="the new stack")
    new.add_argument(
        "--from", required=True, dest="source", metavar="STACK", help="the stack or template to start from"
    )
    new.add_argument(
        "--set",
        metavar="SECTION.KEY=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="a setting that differs; may be repeated",
    )
