"""For how long no client asked a node anything: read off its gateway's log and connections, by the node's own clock."""

import json
from datetime import datetime
from typing import Final

from nodestack.errors import ReachError
from nodestack.provisioning import reach

_TIMEOUT_S: Final = 30.0
_LINES: Final = 4

# A request is logged when it ends, so an open connection counts as well. The node's own probes are no client.
COMMAND: Final = """\
date +%s
stat -c %Y /var/lib/nodestack/applied.json
ss -Htn state established "sport = :{port}" | wc -l
sudo -n journalctl -t nodestack_gateway -o cat --reverse -n 1 --grep='"key":"(?!nodestack")[^"]' || echo '{{}}'
"""


def idle_s(connection: reach.Connection, port: int) -> float:
    """Return for how many seconds no client asked anything; 0 while one is connected.

    Args:
        connection: How the node is reached.
        port: TCP port that its gateway listens on.

    Raises:
        ReachError: The node does not answer, or not in words that are known.
    """
    return told(reach.run(connection, COMMAND.format(port=port), _TIMEOUT_S))


def told(text: str) -> float:
    r"""Return what the command's answer says; a node that nobody asked yet is idle since it was configured.

    Raises:
        ReachError: It is no such answer.

    >>> told('1000\n400\n0\n{"time":"1970-01-01T00:15:00+00:00","key":"default"}\n')
    100.0
    """
    lines = [line for line in text.splitlines() if line.strip()]
    try:
        now, applied, connected = (int(line) for line in lines[: _LINES - 1])
        # Where nothing is found some versions print `-- No entries --` before they fail.
        last: dict[str, str] = next((json.loads(line) for line in lines[_LINES - 1 :] if line.startswith("{")), {})
        asked = datetime.fromisoformat(last["time"]).timestamp() if last else 0.0
    except (ValueError, KeyError, TypeError) as error:
        raise ReachError(f"the node says nothing of its clients that can be read ({error})") from error
    return 0.0 if connected else max(0.0, now - max(float(applied), asked))
