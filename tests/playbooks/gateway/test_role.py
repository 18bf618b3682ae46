"""What the gateway lets through, what it refuses and how, and that nobody's reply is cut while it changes."""

import json
import shlex
import socket
import ssl
import subprocess
import threading
import time
from typing import Any

import pytest

from tests.playbooks.gateway.nodes import ENGINE_KEY, FINISH, KEYS, LONG_STREAM, PORT, GatewayNode

pytestmark = [pytest.mark.qualify, pytest.mark.node]

OPENAI_FORM = {"message", "type", "param", "code"}
FEW = {"chunks": 3, "pace_ms": 10}
BODY = ("-d", json.dumps(FEW))


def error(printed: str) -> tuple[int, str]:
    """Return status and code of an answer that curl printed, which must have the form that OpenAI's clients read."""
    body, _, status = printed.rpartition("\n")
    told: dict[str, Any] = json.loads(body)["error"]
    assert told.keys() == OPENAI_FORM
    return int(status), told["code"]


def raw(gateway: GatewayNode, request: bytes) -> bytes:
    """Return the first bytes of what a request gets that no client would send."""
    trust = ssl.create_default_context(cafile=str(gateway.ca))
    with (
        socket.create_connection((gateway.address, PORT), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=gateway.address) as connection,
    ):
        connection.sendall(request)
        return connection.recv(4096)


class Watched:
    """A streamed reply that is read all the while; `ended` joins it and tells how it ended."""

    def __init__(self, gateway: GatewayNode, key: str) -> None:
        self._gateway = gateway
        self._process = gateway.stream(key, LONG_STREAM)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + 30
        while len(self.lines) < 3:
            assert time.monotonic() < deadline, "no stream began"
            time.sleep(0.05)

    def _read(self) -> None:
        assert self._process.stdout
        self.lines.extend(line for line in self._process.stdout if line.startswith("data: "))

    def goes_on(self) -> None:
        """Require that more of it arrives."""
        before = len(self.lines)
        deadline = time.monotonic() + 10
        while len(self.lines) <= before:
            assert self._process.poll() is None, "the stream was cut"
            assert time.monotonic() < deadline, "the stream stands still"
            time.sleep(0.05)

    def ended(self) -> None:
        """Require that it comes to its own end, whole."""
        self._gateway.bench.on(f"sudo touch {FINISH}")
        assert self._process.wait(timeout=60) == 0
        self._gateway.bench.on(f"sudo rm {FINISH}")
        self._reader.join()
        assert self._process.stdout
        self._process.stdout.close()
        assert self.lines[-1] == "data: [DONE]\n"
        assert [json.loads(line[6:])["number"] for line in self.lines[:-1]] == list(range(len(self.lines) - 1))


def test_a_second_run_and_a_check_change_nothing(gateway: GatewayNode) -> None:
    for check in (False, True):
        played = gateway.play(check=check)
        assert (played.exit_code, played.changed) == (0, 0), played.text


def test_the_engine_gets_its_own_key_and_a_request_id_and_nothing_of_the_client(gateway: GatewayNode) -> None:
    sent = ("-H", "X-Request-Id: told-by-me.1", "-H", "X-Secret: mine", "-H", "Cookie: mine", *BODY)
    for key in KEYS.values():
        assert gateway.status("/v1/chat/completions", *sent, key=key) == 200
        headers: Any = gateway.reached()[-1]["headers"]
        assert headers["authorization"] == f"Bearer {ENGINE_KEY}"
        assert headers["x-request-id"] == "told-by-me.1"
        assert not {"x-secret", "cookie", "transfer-encoding", "upgrade"} & headers.keys()
        assert key not in json.dumps(headers)


@pytest.mark.parametrize(
    "key", [None, "", "sk-wrong-0123456789", KEYS["alice"].upper(), KEYS["alice"][:-1], ENGINE_KEY]
)
def test_whoever_has_no_key_that_is_known_is_refused(gateway: GatewayNode, key: str | None) -> None:
    before = len(gateway.reached())
    assert error(gateway.curl("/v1/models", key=key)) == (401, "invalid_api_key")
    assert len(gateway.reached()) == before


@pytest.mark.parametrize(
    "path",
    [
        "/", "/metrics", "/v1", "/v1/", "/v1/../metrics", "/v1/%2e%2e/metrics", "/v1/..%2fmetrics", "/v1//models",
        "//v1/models", "/v1/models/", "/v1/models;x=1", "/v1/models%00", "/v1/.%2e/metrics", "/v1\\..\\metrics",
        "/V1/models", "/v1/./models", "/health/", "/health/../metrics", "/healthz", "/tokenize", "/openapi.json",
        "/invocations", "/.gateway/401", "/v1/%6dodels",
    ],
)  # fmt: skip
def test_nothing_but_v1_and_health_is_there(gateway: GatewayNode, path: str) -> None:
    before = len(gateway.reached())
    assert error(gateway.curl(path)) in [(404, "not_found"), (400, "bad_request")]
    assert len(gateway.reached()) == before


def test_health_needs_no_key(gateway: GatewayNode) -> None:
    assert gateway.status("/health", key=None) == 200


@pytest.mark.parametrize("framing", ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: xchunked",
                                     "Content-Length: 4\r\nContent-Length: 5", "Transfer-Encoding : chunked",
                                     "Content-Length: +4"])  # fmt: skip
def test_a_request_whose_end_can_be_read_in_two_ways_is_refused(gateway: GatewayNode, framing: str) -> None:
    before = len(gateway.reached())
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEYS['default']}\r\n{framing}\r\n\r\n"
    )
    answer = raw(gateway, head.encode() + b"0\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.split(b" ")[1] in (b"400", b"501", b"503", b"411"), answer
    assert all(reached["target"] == "/v1/chat/completions" for reached in gateway.reached()[before:])


def test_large_bodies_odd_methods_and_large_headers_are_refused(gateway: GatewayNode) -> None:
    large = ("-X", "POST", "-H", "Content-Length: 99999999999", "-H", "Expect:")
    assert error(gateway.curl("/v1/chat/completions", *large)) == (413, "request_too_large")
    assert error(gateway.curl("/v1/models", "-X", "DELETE")) == (405, "method_not_allowed")
    assert error(gateway.curl("/v1/models", "-H", f"X-Long: {'x' * 20_000}")) == (400, "bad_request")


def test_request_ids_are_taken_where_they_are_sane_and_made_where_not(gateway: GatewayNode) -> None:
    def returned(*sent: str) -> str:
        head = gateway.curl("/v1/models", "-D", "-", "-o", "/dev/null", *sent).lower()
        return head.partition("x-request-id: ")[2].splitlines()[0]

    assert returned("-H", "X-Request-Id: abc-1") == "abc-1"
    assert len(returned()) == 32
    assert len(returned("-H", 'X-Request-Id: a"b')) == 32
    assert len(returned("-H", f"X-Request-Id: {'x' * 65}")) == 32


def test_the_access_log_tells_who_asked_and_nothing_of_what(gateway: GatewayNode) -> None:
    prompt = "nobody-may-read-this"
    sent = ("-H", "X-Request-Id: of-the-log", "-d", json.dumps({**FEW, "prompt": prompt}))
    assert gateway.status(f"/v1/chat/completions?q={prompt}", *sent) == 200
    gateway.status(f"/v1/{prompt}", "-H", "X-Request-Id: other-path")
    gateway.status("/v1/models", key="sk-nobody-may-read-this-either")
    line = gateway.log("of-the-log")
    assert (line["key"], line["path"], line["status"], line["engine_status"]) == (
        "default", "/v1/chat/completions", 200, "200",
    )  # fmt: skip
    assert gateway.log("other-path")["path"] == "other"
    whole = gateway.bench.on("sudo journalctl -q -o cat -t nodestack_gateway -t nginx -u nodestack-gateway")
    assert "of-the-log" in whole
    assert not [text for text in (prompt, "either", *KEYS.values(), ENGINE_KEY) if text in whole]


def test_draining_refuses_what_is_new_and_lets_finish_what_runs(gateway: GatewayNode) -> None:
    running = gateway.stream(KEYS["alice"], {"chunks": 30, "pace_ms": 100})
    assert running.stdout
    running.stdout.readline()
    drain = "sudo /usr/local/lib/nodestack/gateway-drain"
    gateway.bench.on(f"{drain} on; {drain} on")
    try:
        printed = gateway.curl("/v1/chat/completions", *BODY, "-D", "-")
        head, _, body = printed.replace("\r", "").partition("\n\n")
        assert error(body) == (503, "engine_unavailable")
        assert "retry-after: 15" in head.lower()
        assert gateway.status("/health", key=None) == 503
        assert running.communicate(timeout=60)[0].endswith("data: [DONE]\n\n")
    finally:
        gateway.bench.on(f"{drain} off; {drain} off")
    assert gateway.status("/v1/models") == 200


def test_an_engine_that_is_down_is_said_so_and_found_again(gateway: GatewayNode) -> None:
    gateway.stop_upstream()
    try:
        assert error(gateway.curl("/v1/chat/completions", *BODY)) == (503, "engine_unavailable")
    finally:
        gateway.start_upstream()
    assert gateway.status("/v1/models") == 200


def test_a_revoked_key_is_refused_at_once_and_the_reply_of_another_goes_on(gateway: GatewayNode) -> None:
    engine = gateway.bench.on("systemctl show -P MainPID upstream")
    stream = Watched(gateway, KEYS["default"])
    played = gateway.play(api_keys={"default": KEYS["default"]})
    assert played.exit_code == 0, played.text
    assert error(gateway.curl("/v1/models", key=KEYS["alice"])) == (401, "invalid_api_key")
    stream.goes_on()
    again = gateway.play()
    assert again.exit_code == 0, again.text
    assert gateway.status("/v1/models", key=KEYS["alice"]) == 200
    stream.ended()
    assert gateway.bench.on("systemctl show -P MainPID upstream") == engine


def served(gateway: GatewayNode) -> bytes:
    trust = ssl.create_default_context(cafile=str(gateway.ca))
    with (
        socket.create_connection((gateway.address, PORT), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=gateway.address) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""


def test_a_certificate_is_renewed_without_cutting_a_stream(gateway: GatewayNode) -> None:
    before, settings = served(gateway), "/etc/nodestack/gateway/certificate.json"
    metric = "grep -v '^#' /var/lib/nodestack/metrics/gateway.prom"
    told = gateway.bench.on(metric)
    assert told.startswith('nodestack_certificate_expiry_seconds{certificate="gateway"} ')
    stream = Watched(gateway, KEYS["default"])
    gateway.bench.on(
        f'sudo cp {settings} /root/certificate.json; sudo sed -i \'s/"renew_days": 30/"renew_days": 90/\' {settings}'
    )
    gateway.bench.on(f"sudo systemctl start nodestack-certificate; sudo cp /root/certificate.json {settings}")
    after = served(gateway)
    assert after != before
    assert float(gateway.bench.on(metric).split()[1]) >= float(told.split()[1])
    stream.goes_on()
    gateway.bench.on("sudo systemctl start nodestack-certificate")
    assert served(gateway) == after
    stream.ended()


def test_a_key_has_its_own_share_and_whoever_takes_more_is_told_when_to_come_back(gateway: GatewayNode) -> None:
    played = gateway.play(gateway_concurrent_requests=2)
    assert played.exit_code == 0, played.text
    try:
        held = [gateway.stream(KEYS["alice"], {"chunks": 100, "pace_ms": 100}) for _ in range(2)]
        time.sleep(1)
        head, _, body = gateway.curl("/v1/models", "-D", "-", key=KEYS["alice"]).replace("\r", "").partition("\n\n")
        assert error(body) == (429, "rate_limit_exceeded")
        assert "retry-after: 1" in head.lower()
        assert gateway.status("/v1/models", key=KEYS["default"]) == 200
        for stream in held:
            stream.communicate(timeout=60)
        assert gateway.status("/v1/models", key=KEYS["alice"]) == 200
    finally:
        assert gateway.play().exit_code == 0


def test_what_only_root_may_read_no_other_user_does(gateway: GatewayNode) -> None:
    names = "keys.conf engine.conf issuer.pem server.pem ../credentials/gateway_key"
    told = gateway.bench.on(
        f"cd /etc/nodestack/gateway; for name in {names}; do cat $name >/dev/null 2>&1 && echo $name; done"
    )
    assert told == ""


def test_the_node_tells_of_a_stopped_gateway_and_of_keys_that_were_changed(gateway: GatewayNode) -> None:
    def status() -> Any:
        return json.loads(gateway.bench.on("sudo /usr/local/lib/nodestack/status"))["gateway"]

    keys = "/etc/nodestack/gateway/keys.conf"
    assert status() == {"service": "active", "changed": []}
    gateway.bench.on(f"sudo systemctl stop nodestack-gateway; echo '#' | sudo tee -a {keys}")
    assert status() == {"service": "inactive", "changed": [keys]}
    played = gateway.play()
    assert (played.exit_code, status()) == (0, {"service": "active", "changed": []}), played.text


def test_ssh_takes_keys_only(gateway: GatewayNode) -> None:
    told = gateway.bench.on("sudo sshd -T")
    assert {"passwordauthentication no", "kbdinteractiveauthentication no", "permitrootlogin without-password"} <= set(
        told.splitlines()
    )


def beyond(gateway: GatewayNode, *commands: str) -> list[str]:
    """Return what commands print that run beyond a network of the node's own, at 10.9.0.2; the node is 10.9.0.1."""
    inside = "; ".join(f"timeout 5 {command} >/dev/null 2>&1 && echo yes || echo no" for command in commands)
    script = f"""
        ip netns add beyond && ip link add near type veth peer name far netns beyond
        ip addr add 10.9.0.1/24 dev near && ip link set near up
        ip -n beyond addr add 10.9.0.2/24 dev far && ip -n beyond link set far up
        ip netns exec beyond sh -c '{inside}'
        ip netns delete beyond
    """
    return gateway.bench.on(f"sudo sh -c {shlex.quote(script)}").splitlines()


ASKED = (
    f"curl -sk --max-time 3 https://10.9.0.1:{PORT}/health",
    "curl -s --max-time 3 telnet://10.9.0.1:22 -o /dev/null --range 0-3 --http0.9 </dev/null",
    "curl -s --max-time 3 http://10.9.0.1:9000/",
)


@pytest.mark.timeout(1800)
def test_other_ports_are_closed_and_stay_so_over_a_reboot(gateway: GatewayNode) -> None:
    serve = "sudo systemd-run --quiet --collect --unit=other python3 -m http.server 9000"
    gateway.bench.on(serve)
    assert beyond(gateway, ASKED[0], ASKED[2]) == ["yes", "no"]
    gateway.bench.reboot()
    gateway.start_upstream()
    gateway.bench.on(f"{serve}; sleep 1; curl -so /dev/null --retry 5 --retry-connrefused http://127.0.0.1:9000/")
    assert beyond(gateway, ASKED[0], ASKED[2]) == ["yes", "no"]
    played = gateway.play()
    assert (played.exit_code, played.changed) == (0, 0), played.text
    gateway.bench.on("sudo systemctl stop other")


def test_a_firewall_that_locks_out_is_taken_back(gateway: GatewayNode) -> None:
    before = gateway.bench.on("sudo nft list chain inet nodestack input | grep -v counter")
    locked = gateway.play(
        gateway_ssh_allowed_cidrs=["203.0.113.0/24"], gateway_firewall_rollback_s=15, gateway_firewall_proof_s=5
    )
    assert locked.exit_code != 0
    assert "gateway.ssh_allowed_cidrs must" in " ".join(locked.text.split())
    deadline = time.monotonic() + 60
    while gateway.bench.on("sudo nft list chain inet nodestack input | grep -v counter") != before:
        assert time.monotonic() < deadline, "the rules were not taken back"
        time.sleep(1)
    assert gateway.play().exit_code == 0


def test_the_gateway_is_confined(gateway: GatewayNode) -> None:
    told = gateway.bench.on("systemd-analyze security --no-pager --threshold=30 nodestack-gateway; echo exit $?")
    assert told.endswith("exit 0"), told.splitlines()[-2:]


def test_the_log_of_nginx_itself_says_nothing_of_requests_that_fail(gateway: GatewayNode) -> None:
    gateway.stop_upstream()
    gateway.status("/v1/chat/completions?q=in-the-error-log", *BODY)
    gateway.start_upstream()
    assert "in-the-error-log" not in gateway.bench.on("sudo journalctl -q -o cat -u nodestack-gateway")


def test_nobody_is_answered_in_the_clear(gateway: GatewayNode) -> None:
    asked = ["curl", "-s", "--max-time", "10", f"http://{gateway.address}:{PORT}/v1/models"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    assert json.loads(answer)["error"]["code"] == "bad_request"


@pytest.mark.parametrize("version", ["--tls-max 1.1", "--tlsv1.0 --tls-max 1.0"])
def test_old_tls_is_refused(gateway: GatewayNode, version: str) -> None:
    assert gateway.status("/health", *version.split()) == 0
