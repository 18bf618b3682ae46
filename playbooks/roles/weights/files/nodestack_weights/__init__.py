"""Fetch the pinned weights onto a node and verify them: runs on the node, with Python 3.10 or later.

`fetch` needs the hub's client (requirements.txt beside this package), all else only the standard library:

    manifest   what a commit consists of, and the digest of that
    layout     where things are on the volume and on the node
    tree       hashing in parallel, and the record of what was verified
    hub        what the hub says a commit consists of; what it refuses
    transfer   one file by ranges, continued where it was cut
    guard      one run at a time, that ends with whoever started it; progress
    fetch      brings it all together
    verify     the same check without a network, before each start of the service
"""


class WeightsError(Exception):
    """Something a person must act on; the message is one line that says what."""
