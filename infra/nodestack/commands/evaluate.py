"""`nodestack evaluate`: a user's own command asks a stack's endpoint, and its score is kept where policies read it."""

import argparse
from pathlib import Path

from nodestack.automation import evaluation, files, stack
from nodestack.automation.checkout import find
from nodestack.automation.evaluation import Task, Way
from nodestack.errors import SettingsError


def run(options: argparse.Namespace) -> int:
    """Run it and record the score; 0 when the minimum was reached, 3 when it was not.

    Raises:
        SettingsError: The command, its name or its minimum is wrong, or there is no such stack to record it in.
        NodestackError: The stack serves nothing, or the command told no score.
    """
    checkout = find(Path.cwd())
    command = options.evaluation[1:] if options.evaluation[:1] == ["--"] else options.evaluation
    task = Task(command, options.minimum, options.name or "")
    recorded_in = options.record_in or options.stack
    if not checkout.stack_file(recorded_in).is_file():
        raise SettingsError(f"there is no {checkout.stack_file(recorded_in).name} to record the score in")
    files.section(checkout, options.stack, "model")
    way = Way(
        outputs=stack.outputs(checkout, options.stack),
        api_key=stack.api_key(checkout, options.stack),
        in_environment=options.key_in_environment,
    )
    done, file = evaluation.evaluate(checkout, options.stack, way, task)
    verdict = "reached" if done.passed else "did not reach"
    print(f"{done.name} {verdict} its minimum: {done.score} of {done.minimum}, in {done.seconds:.0f} s")
    print(f"recorded in {file.relative_to(checkout.root)}, for commit {done.commit}", flush=True)
    evaluation.record(checkout, recorded_in, done, file)
    print(f"and in {checkout.stack_file(recorded_in).name}, where its policies look")
    return 0 if done.passed else 3
