"""Version numbers as programs print them, compared."""

import re

Release = tuple[int, ...]


def parse(text: str) -> Release | None:
    """Return the first version number in a text, or None.

    >>> parse("go version go1.26.8 linux/amd64"), parse("v3.259.0-alpha.1"), parse("none")
    ((1, 26, 8), (3, 259, 0), None)
    """
    found = re.search(r"(?<![\d.])(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else None


def at_least(found: Release | None, minimum: str) -> bool:
    """Tell whether a version was found and is not older than the minimum.

    >>> at_least((1, 19, 8), "1.26"), at_least((1, 26), "1.26.0"), at_least(None, "1")
    (False, True, False)
    """
    wanted = parse(f"{minimum}.0")
    if found is None or wanted is None:
        return False
    width = max(len(found), len(wanted))
    return found + (0,) * (width - len(found)) >= wanted + (0,) * (width - len(wanted))
