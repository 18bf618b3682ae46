"""What a node without an engine can provoke is provoked, and told of: the same expressions, short times to hold."""

import time
from collections.abc import Iterator

import pytest

from tests.playbooks.monitoring.conftest import Watched

pytestmark = [pytest.mark.node, pytest.mark.qualify]

METRICS = "/var/lib/nodestack/metrics"


@pytest.fixture(autouse=True)
def _well(watched: Watched) -> Iterator[None]:
    """Leave the node as it was."""
    yield
    watched.bench.record("h100-sxm5-x8")
    watched.bench.on(f"sudo rm -f {METRICS}/*.prom")


def test_an_exporter_that_stops_is_told_of(watched: Watched) -> None:
    watched.bench.on("sudo systemctl stop prometheus-node-exporter")
    assert watched.until_firing("TargetDown")["TargetDown"]["labels"]["job"] == "node"
    watched.bench.on("sudo systemctl start prometheus-node-exporter")
    watched.until_quiet("TargetDown")


def test_a_hot_gpu_an_xid_and_a_link_that_is_retrained_are_told_of(watched: Watched) -> None:
    watched.measure(hot_gpus={3: 91}, hot_memories={3: 99}, xids={3: 79}, nvlink_recoveries={3: 12})
    found = watched.until_firing("GpuHot", "GpuMemoryHot", "GpuXid", "NvlinkErrors")
    assert {found[name]["labels"]["gpu"] for name in ("GpuHot", "GpuMemoryHot", "GpuXid", "NvlinkErrors")} == {"3"}
    watched.measure()
    watched.until_quiet("GpuHot", "GpuMemoryHot", "GpuXid")


def test_an_xid_that_a_program_causes_is_not(watched: Watched) -> None:
    watched.measure(xids={3: 13}, hot_gpus={2: 90})
    assert "GpuXid" not in watched.until_firing("GpuHot")


def test_memory_that_is_full_is_told_of(watched: Watched) -> None:
    watched.measure(memory_used_mib=81_000)
    watched.until_firing("GpuMemoryAlmostFull")


@pytest.mark.parametrize(
    ("profile", "alerts"),
    [("h100-ecc-errors", ("GpuEccErrors", "GpuRowRemap")), ("h100-missing-gpu", ("GpuMissing",))],
)
def test_broken_hardware_is_told_of(watched: Watched, profile: str, alerts: tuple[str, ...]) -> None:
    watched.bench.record(profile)
    watched.until_firing(*alerts)
    watched.bench.record("h100-sxm5-x8")
    watched.until_quiet(*alerts)


def test_a_volume_that_fills_is_told_of(watched: Watched) -> None:
    assert watched.play("storage").exit_code == 0
    watched.bench.on("sudo fallocate -l 940M /srv/nodestack/drill")
    watched.until(lambda: _filling(watched, "/srv/nodestack"), "DiskAlmostFull must fire")
    watched.bench.on("sudo rm /srv/nodestack/drill")
    watched.until(lambda: not _filling(watched, "/srv/nodestack"), "DiskAlmostFull must end")


def test_bad_verdicts_of_gates_and_checks_are_told_of(watched: Watched) -> None:
    now = time.time()
    watched.write(f"{METRICS}/fabric.prom", "nodestack_fabric_pass 0")
    watched.write(f"{METRICS}/weights.prom", "nodestack_weights_pass 0")
    ends = f'nodestack_certificate_expiry_seconds{{certificate="gateway"}} {now + 86_400:.0f}'
    watched.write(f"{METRICS}/gateway.prom", ends)
    stale = f"nodestack_smoke_pass 0\nnodestack_smoke_timestamp_seconds {now - 90_000:.0f}"
    watched.write(f"{METRICS}/smoke.prom", stale)
    found = watched.until_firing(
        *("FabricVerdictFailed", "WeightsDamaged", "CertificateExpiresSoon", "SmokeFailed", "SmokeStale")
    )
    assert found["CertificateExpiresSoon"]["annotations"]["summary"] == "The certificate gateway expires in 1.0 days"


def test_a_file_that_cannot_be_read_is_told_of(watched: Watched) -> None:
    watched.write(f"{METRICS}/smoke.prom", "this is no metric =")
    watched.until_firing("MetricsFileUnreadable")


def test_a_unit_that_fails_and_one_that_is_restarted_are_told_of(watched: Watched) -> None:
    unit = "/etc/systemd/system/nodestack-drill.service"
    watched.write(unit, "[Service]\nType=oneshot\nExecStart=/bin/false")
    watched.bench.on("sudo systemctl daemon-reload; sudo systemctl start nodestack-drill")
    watched.bench.on("sudo systemctl kill --signal KILL prometheus-node-exporter")
    found = watched.until_firing("UnitFailed", "UnitRestarting")
    watched.bench.on(f"sudo rm {unit}; sudo systemctl daemon-reload; sudo systemctl reset-failed")
    assert found["UnitFailed"]["labels"]["name"] == "nodestack-drill.service"
    watched.until_quiet("UnitFailed")


def test_alerts_reach_a_webhook_with_its_token_which_nobody_else_can_read(watched: Watched) -> None:
    secret = watched.bench.directory / "alert_secret"
    secret.write_text("token-of-the-webhook\n")
    listener = (
        "import http.server\n"
        "class Hook(http.server.BaseHTTPRequestHandler):\n"
        "    def do_POST(self):\n"
        "        body = self.rfile.read(int(self.headers['Content-Length'])).decode()\n"
        "        with open('/run/hook', 'a') as hook: print(self.headers['Authorization'], body, file=hook)\n"
        "        self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', 9999), Hook).serve_forever()"
    )
    watched.write("/run/hook.py", listener)
    watched.bench.on("sudo systemd-run --quiet --unit drill-hook --property RuntimeMaxSec=300 python3 /run/hook.py")
    played = watched.play(monitoring_webhook_url="http://127.0.0.1:9999/", monitoring_receiver_secret_file=str(secret))
    assert played.exit_code == 0, played.text
    assert "token-of-the-webhook" not in played.text
    # Others may come first, and each waits for its group for half a minute.
    received = watched.until(
        lambda: watched.bench.on("grep EngineDown /run/hook 2>/dev/null"), "the webhook is called", patience_s=150
    )
    assert received.startswith("Bearer token-of-the-webhook {")
    assert watched.bench.on("cat /etc/nodestack/credentials/alert_secret 2>&1").endswith("Permission denied")
    watched.bench.on("sudo systemctl stop drill-hook")
    assert watched.play().exit_code == 0
    assert watched.bench.on("systemctl is-active prometheus-alertmanager") == "inactive", "no receiver, no carrier"


def test_a_monitor_outside_reads_everything_from_one_port(watched: Watched) -> None:
    played = watched.play(monitoring_scrape="external", monitoring_allowed_cidrs=["192.0.2.0/24"])
    assert played.exit_code == 0, played.text
    listening = watched.until(
        lambda: (ours := _listening(watched)) & {"*:9090", "0.0.0.0:9090", "[::]:9090"} and ours, "it may be reached"
    )
    assert {"127.0.0.1:9100", "127.0.0.1:9400"} <= listening
    # systemd lists networks in no order.
    allowed = set(watched.bench.on("systemctl show --property IPAddressAllow --value prometheus").split())
    denied = set(watched.bench.on("systemctl show --property IPAddressDeny --value prometheus").split())
    assert "192.0.2.0/24" in allowed and denied == {"0.0.0.0/0", "::/0"}
    federated = watched.bench.on("curl -sG 127.0.0.1:9090/federate --data-urlencode 'match[]={job=~\".+\"}'")
    assert "DCGM_FI_DEV_GPU_TEMP{" in federated and 'model="tiny-afmoe-thinking"' in federated
    assert watched.play().exit_code == 0
    watched.until(lambda: "127.0.0.1:9090" in _listening(watched), "back on the loopback")


def _listening(watched: Watched) -> set[str]:
    return set(watched.bench.on("ss -Hltn | awk '{print $4}'").split())


def _filling(watched: Watched, mountpoint: str) -> list[str]:
    """Return what is said of a disk that fills; the node's other disks are this machine's, and may be full, too."""
    said = [one["annotations"]["summary"] for one in watched.firing() if one["labels"]["alertname"] == "DiskAlmostFull"]
    return [summary for summary in said if f"of {mountpoint} is free" in summary]
