"""`nodestack review`: preview a stack with the policies, say whether it may be brought up and what its cost becomes."""

import argparse
from pathlib import Path

from nodestack.automation import previewing
from nodestack.automation.checkout import find
from nodestack.errors import SettingsError
from nodestack.rendering.review_comment import comment
from nodestack.review.preview import read


def run(options: argparse.Namespace) -> int:
    """Print the comment, or write it; 0 when the stack may be brought up, 1 when it may not.

    Raises:
        SettingsError: There is no file of that stack.
        NodestackError: The engine could not begin.
    """
    checkout = find(Path.cwd())
    file = checkout.stack_file(options.stack)
    if not file.is_file():
        raise SettingsError(
            f"there is no {file.relative_to(checkout.root)}: `make init STACK={options.stack}` makes it, then commit it"
        )
    found = previewing.preview(checkout, options.stack, checkout.root / "policies", file)
    preview = read(found.events)
    refused = bool(preview.refusals) or found.status != 0
    text = comment(options.stack, preview, deployed=found.deployed)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    else:
        print(text)
    return int(refused)
