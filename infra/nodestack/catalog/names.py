"""How names that nobody knows are answered: with those that are known, and the closest."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the known names in order, and which of them was probably meant.

    >>> suggestion("8x-h10", ["8x-h100", "local"])
    '8x-h100, local; did you mean 8x-h100?'
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=1) or [other for other in names if name and other.startswith(name)]
    return ", ".join(names) + (f"; did you mean {close[0]}?" if close else "")
