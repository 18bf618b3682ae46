"""Runs one command and prints what it took as JSON: seconds, seconds until all of it was on the disk, CPU seconds.

Copied to where it measures, so the standard library is all it needs: `python3 in_node.py DIRECTORY COMMAND…`.
"""

import json
import os
import resource
import subprocess
import sys
import time


def main(directory: str, *command: str) -> int:
    """Run the command in the directory; return its exit status."""
    began = time.monotonic()
    ended = subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.monotonic() - began
    subprocess.run(["sync", "--file-system", directory], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "status": ended.returncode,
                "seconds": seconds,
                "seconds_to_disk": time.monotonic() - began,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "load": os.getloadavg()[0],
                "said": ended.stderr.decode(errors="replace")[-500:],
            }
        )
    )
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
