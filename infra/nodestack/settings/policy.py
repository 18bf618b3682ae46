"""What a stack says to policies: which environment it is, and what a person read, agreed to and measured."""

from datetime import date
from typing import Annotated

from pydantic import Field

from nodestack.policies.facts import Environment
from nodestack.settings.sections import Commit, Section, Sha256

Score = Annotated[float, Field(allow_inf_nan=False)]


class Evaluation(Section):
    """What an evaluation of one's own gave.

    Attributes:
        score: What was reached; more is better.
        minimum: What had to be reached.
        source: What was run, and where its record is.
        date: The day it was.
    """

    score: Score
    minimum: Score
    source: str
    date: date


class PolicySettings(Section):
    """What policies are told.

    Attributes:
        environment: Whose severities and limits hold; left out, `local` on this machine, elsewhere the node's purpose.
        licence_acknowledged: Name of the licence of the weights that you read and agreed to.
        reviewed_code: Digest of the manifest whose code you read, by commit, where code of the repository is to run.
        evaluations: What your own evaluation of the weights gave, by commit.
    """

    environment: Environment | None = None
    licence_acknowledged: Annotated[str, Field(min_length=1)] | None = None
    reviewed_code: dict[Commit, Sha256] = Field(default_factory=dict)
    evaluations: dict[Commit, Evaluation] = Field(default_factory=dict)
