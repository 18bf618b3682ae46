"""Runs a judge so that whatever stops it is itself a fault: nothing is let through by a gate that breaks."""

from collections.abc import Callable

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import REPLACE, Entry, failed

READ_REMEDY = (
    "run the command on the node: a driver that does not answer needs a reboot, another form of answer a newer gate; "
    f"if a reboot does not help, {REPLACE}"
)


def guarded(check: str, judge: Callable[[], list[Entry]], remedy: str = READ_REMEDY) -> list[Entry]:
    """Return what a judge finds, or one entry that says why it could not."""
    try:
        return judge()
    except NotUnderstood as error:
        return [failed(check, "an answer that can be judged", str(error), remedy)]
    except Exception as error:  # Whatever it is, nothing is proven.
        return [failed(check, "an answer that can be judged", f"{type(error).__name__}: {error}", remedy)]
