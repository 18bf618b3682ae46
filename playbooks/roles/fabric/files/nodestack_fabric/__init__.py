"""Judges whether a node's GPUs and their fabric are fit for service.

Parsers turn what commands print into facts and raise NotUnderstood where they cannot; judges compare facts with what is
expected and return entries of the verdict. Neither reads anything by itself: `gate` does.
"""


class NotUnderstood(Exception):
    """What a command answered cannot be judged, so that nothing is proven."""
