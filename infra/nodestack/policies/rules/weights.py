"""What may be served: weights that are pinned, reviewed, licensed and, where they are quantised far, evaluated."""

import re
from collections.abc import Iterator

from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule, Terms

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Pinned(Given):
    """The pin."""

    model: str
    commit: str | None


def pinned(given: Pinned, _: NoTerms) -> Iterator[str]:
    """Yield what is wrong with the pin: only a whole commit names the same bytes tomorrow."""
    if given.commit is None:
        yield f"no commit of {given.model} is pinned"
    elif not _COMMIT.fullmatch(given.commit):
        yield f"the commit of {given.model} is {given.commit!r}, which is no 40 hex digits"


class Code(Given):
    """Whether code of the repository runs, and what was read of it."""

    commit: str | None
    remote_code: bool
    manifest_sha256: str | None
    reviewed_manifest_sha256: str | None


def reviewed(given: Code, _: NoTerms) -> Iterator[str]:
    """Yield why code of the model's repository may not run."""
    if not given.remote_code:
        return
    if given.manifest_sha256 is None:
        yield f"trust-remote-code is set, and no digest pins the files under {given.commit}"
    elif given.reviewed_manifest_sha256 is None:
        yield f"trust-remote-code is set, and nobody says to have read the code under {given.commit}"
    elif given.reviewed_manifest_sha256 != given.manifest_sha256:
        yield (
            f"trust-remote-code is set, the code that was read is of {given.reviewed_manifest_sha256}, "
            f"the files are of {given.manifest_sha256}"
        )


class Licensed(Given):
    """The licence, and which one a person agreed to."""

    model: str
    licence: str | None
    licence_acknowledged: str | None


def acknowledged(given: Licensed, _: NoTerms) -> Iterator[str]:
    """Yield why the licence does not count as agreed to."""
    if given.licence_acknowledged is None:
        yield f"the licence of {given.model} is {given.licence or 'not known'}, and nobody says to have agreed to it"
    elif given.licence is not None and given.licence != given.licence_acknowledged:
        yield f"the licence of {given.model} is {given.licence}, agreed to was {given.licence_acknowledged}"


class Evaluated(Given):
    """The format, and what the user's own evaluation of these weights gave."""

    model: str
    format: str
    commit: str | None
    evaluation_score: float | None
    evaluation_minimum: float | None


class EvaluatedTerms(Terms):
    """Which formats need an evaluation.

    Attributes:
        formats: Names of formats.
    """

    formats: tuple[str, ...] = ()


def evaluated(given: Evaluated, terms: EvaluatedTerms) -> Iterator[str]:
    """Yield why a format that loses accuracy may not serve."""
    if given.format not in terms.formats:
        return
    if given.evaluation_score is None or given.evaluation_minimum is None:
        yield f"{given.model} is served as {given.format}, and no evaluation of commit {given.commit} is recorded"
    elif given.evaluation_score < given.evaluation_minimum:
        yield (
            f"{given.model} as {given.format} reached {given.evaluation_score:g}, "
            f"{given.evaluation_minimum:g} was asked for"
        )


RULES = (
    Rule("pinned-commit", Pinned, NoTerms, pinned),
    Rule("reviewed-remote-code", Code, NoTerms, reviewed),
    Rule("licence-acknowledged", Licensed, NoTerms, acknowledged),
    Rule("evaluated-quantisation", Evaluated, EvaluatedTerms, evaluated),
)
