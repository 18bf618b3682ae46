"""What tuning and quantising a model is said to need and to cost in accuracy, statement by statement."""

from nodestack.catalog.entry import Entry, Fact


class Floor(Fact):
    """The least hardware for an approach, as one source states it.

    Attributes:
        shapes: Node shapes, any of which is enough.
        note: What the source adds.
    """

    shapes: tuple[str, ...]
    note: str


class AccuracyLoss(Fact):
    """Accuracy that a precision loses against BF16, in percent, as one source states it.

    Attributes:
        benchmarks: On which.
    """

    low_percent: float
    high_percent: float
    benchmarks: str


class Tuning(Entry):
    """All statements; sources that contradict each other, or themselves, are kept side by side.

    Attributes:
        floors: By approach.
        accuracy_losses: By precision.
    """

    floors: dict[str, tuple[Floor, ...]]
    accuracy_losses: dict[str, AccuracyLoss]
