"""Fetch the pinned weights onto a node and verify them: runs on the node, with Python 3.10 or later.

`fetch` needs the hub's client (requirements.txt beside this package), all else only the standard library:

    manifest   what a commit consists of, and the digest of that
    layout     where things are on the volume and on the node
    tree       hashing in parallel
    records    what was verified on this node
    hub        a commit on a hub
    listing    what the hub says it consists of; what it refuses
    streams    the body of a file over HTTP
    writing    a file that is hashed while it grows
    throttle   a bandwidth that all connections share
    patience   what is worth another attempt, and when
    transfer   one file by ranges, continued where it was cut
    room       whether the volume has room for what is still to come
    garbage    what takes room and is needed by nobody
    guard      one run at a time, that ends with whoever started it; progress
    assembly   brings it all together
    fetch      the program that does it
    verify     the same check without a network, before each start of the service
    metrics    what the node's monitoring is told
"""


class WeightsError(Exception):
    """Something a person must act on; the message is one line that says what."""
