"""A local node with the gateway and a stand-in behind it: what tests and benchmarks of the gateway run on."""

import json
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nodestack.provisioning import authority, keys
from tests.playbooks.reached import Play
from tests.playbooks.roles_bench import Bench, opened

UPSTREAM = Path(__file__).with_name("upstream.py")
PROBE = Path(__file__).parents[3] / "benchmarks" / "gateway_probe.py"
PORT, ENGINE_PORT = 8443, 8000
LOG = "/run/upstream.log"
ENGINE_KEY = "sk-engine-that-no-client-ever-learns-0123456"
KEYS = {"default": "sk-first-key-of-the-tests-0123456789-AbC", "alice": "sk-second-key-of-the-tests-987654321-xYz"}
IDENTITY = "test"
# Goes on for as long as a play takes on a machine that is busy, and ends when it is told to.
FINISH = "/run/finish-streams"
LONG_STREAM = {"chunks": 100_000, "pace_ms": 100, "until": FINISH}


class GatewayNode:
    """The node.

    Attributes:
        bench: The node itself.
        ssh_key: The stack's key, from which its authority follows.
    """

    def __init__(self, bench: Bench, directory: Path) -> None:
        self.bench = bench
        self.ssh_key = keys.generate()
        self._directory = directory
        self.ca = directory / "ca.pem"
        self.ca.write_text(authority.certificate(self.ssh_key))

    @property
    def address(self) -> str:
        """Where this host reaches it."""
        return self.bench.node.address

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"https://{self.address}:{PORT}"

    def prepare(self) -> None:
        """Give it what the roles before would: directories, the engine's key, and something that serves."""
        played = self.bench.play("base")
        assert played.exit_code == 0, played.text
        self.put(ENGINE_KEY + "\n", "/etc/nodestack/credentials/api_key", "600")
        self.put(UPSTREAM.read_text(), "/usr/local/lib/upstream.py")
        self.put(PROBE.read_text(), "/usr/local/lib/gateway_probe.py")
        self.start_upstream()

    def start_upstream(self) -> None:
        """Start the stand-in, and return once it answers."""
        self.bench.on(
            "sudo systemd-run --quiet --collect --unit=upstream "
            f"python3 /usr/local/lib/upstream.py {ENGINE_PORT} {LOG};"
            f"timeout 20 sh -c 'until curl -sfo /dev/null http://127.0.0.1:{ENGINE_PORT}/health; do sleep 0.1; done'"
        )

    def stop_upstream(self) -> None:
        """Stop the stand-in."""
        self.bench.on("sudo systemctl stop upstream")

    def put(self, text: str, path: str, mode: str = "644") -> None:
        """Write a file on the node."""
        self.bench.on(f"sudo install -m {mode} /dev/stdin {path} <<'ENDS'\n{text.rstrip()}\nENDS")

    def play(self, *, check: bool = False, api_keys: dict[str, str] | None = None, **changes: object) -> Play:
        """Play the role."""
        names = [self.address, *(str(changes[name]) for name in ("gateway_hostname",) if name in changes)]
        issuer = authority.issuer(self.ssh_key, IDENTITY, names)
        files = {"keys": json.dumps(KEYS if api_keys is None else api_keys), "issuer": issuer}
        for name, text in files.items():
            (self._directory / name).write_text(text)
        variables: dict[str, object] = {
            "vllm_host": "127.0.0.1",
            "vllm_port": ENGINE_PORT,
            "vllm_shutdown_timeout_s": 20,
            "gateway_address": self.address,
            "gateway_port": PORT,
            "gateway_names": [],
            "gateway_hostname": "",
            "gateway_acme_email": "",
            "gateway_acme_directory": "https://acme.invalid/directory",
            "gateway_allowed_cidrs": ["0.0.0.0/0", "::/0"],
            "gateway_ssh_allowed_cidrs": ["0.0.0.0/0", "::/0"],
            "gateway_firewall": True,
            "gateway_requests_per_minute": 60_000,
            "gateway_concurrent_requests": 256,
            "gateway_max_body_mib": 8,
            "gateway_request_timeout_s": 3600,
            "gateway_url": f"https://127.0.0.1:{PORT}",
            "gateway_ca": "/etc/nodestack/gateway/ca.pem",
            "gateway_key_file": "/etc/nodestack/credentials/gateway_key",
            "gateway_keys_file": str(self._directory / "keys"),
            "gateway_issuer_file": str(self._directory / "issuer"),
        }
        return self.bench.play("gateway", check=check, **{**variables, **changes})

    def curl(self, path: str, *options: str, key: str | None = KEYS["default"]) -> str:
        """Return what curl on this host prints of a request: the body, and on a last line the status."""
        bearer = [] if key is None else ["-H", f"Authorization: Bearer {key}"]
        command = ["curl", "-sS", "--path-as-is", "--cacert", str(self.ca), "--max-time", "20", "-w", "\n%{http_code}"]
        ended = subprocess.run(
            [*command, *bearer, *options, self.url + path], capture_output=True, text=True, check=False
        )
        return ended.stdout + ended.stderr

    def status(self, path: str, *options: str, key: str | None = KEYS["default"]) -> int:
        """Return the status of a request, 0 where there was no reply."""
        printed = self.curl(path, "-o", "/dev/null", *options, key=key).split()
        return int(printed[0]) if printed and printed[0].isdigit() else 0

    def reached(self) -> list[dict[str, object]]:
        """Return what reached the engine so far."""
        return [json.loads(line) for line in self.bench.on(f"sudo cat {LOG}").splitlines()]

    def probe(self, *arguments: object, timeout_s: float = 1500) -> Any:
        """Run the benchmarks' probe on the node as root, and return what it found."""
        command = shlex.join(["sudo", "python3", "/usr/local/lib/gateway_probe.py", *(str(word) for word in arguments)])
        printed = self.bench.on(f"{command} 2>&1", timeout_s)
        try:
            return json.loads(printed)
        except ValueError:
            raise AssertionError(f"the probe failed: {printed[-2000:]}") from None

    def stream(self, key: str, asked: Mapping[str, object]) -> "subprocess.Popen[str]":
        """Begin a streamed reply; what arrives is on its standard output."""
        command = [
            "curl", "-sSN", "--cacert", str(self.ca), f"{self.url}/v1/chat/completions",
            "-H", f"Authorization: Bearer {key}", "-d", json.dumps(asked),
        ]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def log(self, request_id: str) -> dict[str, object]:
        """Return the line of the access log with a request's id, once it is there."""
        asked = f"sudo journalctl -q -o cat -t nodestack_gateway --grep {shlex.quote(request_id)}"
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            lines = self.bench.on(asked).splitlines()
            if lines:
                content: dict[str, object] = json.loads(lines[-1])
                return content
            time.sleep(0.2)
        raise AssertionError(f"no line of request {request_id} in the journal")


@contextmanager
def gateway_node(directory: Path) -> Iterator[GatewayNode]:
    """Boot a node, and have the stand-in serve on it; the role is not yet played."""
    with opened(directory) as bench:
        node = GatewayNode(bench, directory)
        node.prepare()
        yield node
