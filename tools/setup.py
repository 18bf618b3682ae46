#!/usr/bin/env python3
"""Set-up behind every `make` target: finds a Python that is new enough and hands over to tools/bootstrap.

Written for Python 3.8, so that a machine with an old one gets a sentence and not a syntax error.
"""

import os
import shutil
import sys

MINIMUM = (3, 11)
NEWER = ("python3.14", "python3.13", "python3.12", "python3.11")


def main() -> int:
    """Run the bootstrap under a Python of at least 3.11, or say that there is none."""
    if sys.version_info[:2] < MINIMUM:
        for name in NEWER:
            path = shutil.which(name)
            if path:
                os.execv(path, [path, *sys.argv])  # noqa: S606
        found = "%d.%d at %s" % (sys.version_info[0], sys.version_info[1], sys.executable)
        sys.exit("nodestack needs Python 3.11 or newer, found %s: install python3.11 and run this again" % found)
    from bootstrap.main import main as set_up

    return set_up(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
