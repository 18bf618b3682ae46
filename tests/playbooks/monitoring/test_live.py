"""Every query of rules and dashboard finds data in a live Prometheus that scrapes what targets said."""

import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.playbooks.monitoring import dashboard, programs, rendering

RECORDED = Path(__file__).parent / "recorded"
JOBS = ("engine", "node", "gpu")
PATIENCE_S = 60.0
SCRAPE_S = 1
# Said once an Alertmanager is known, and once a request was served: the engine's logger was recorded, not its server.
NOT_RECORDED = {"prometheus_notifications_errors_total", "http_requests_total"}


class Recording(http.server.BaseHTTPRequestHandler):
    """Answers each job's path with what was recorded; counters that move are not needed to find a series."""

    def do_GET(self) -> None:
        body = (RECORDED / f"{self.path.split('/')[1]}.prom").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class Prometheus:
    """A started Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api(f"query?query={urllib.parse.quote(query)}")["result"]
        return found

    def api(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}", timeout=10) as reply:  # noqa: S310 - our own
            data: dict[str, Any] = json.load(reply)["data"]
        return data

    def wait(self) -> None:
        """Wait until every target was read a few times, so that rates are known."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if len(self.ask("count_over_time(up[1m]) > 3")) > len(JOBS):
                    return
            except OSError:
                pass
            time.sleep(0.3)
        pytest.fail("Prometheus does not read its targets")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Start one on the loopback with the rules of a stack, and end it."""
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recording) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        jobs = [
            {
                "job_name": job,
                "metrics_path": f"/{job}/metrics",
                "static_configs": [{"targets": [f"127.0.0.1:{server.server_address[1]}"]}],
            }
            for job in JOBS
        ]
        itself = {"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for group in rendering.GROUPS:
            (directory / f"{group}.yml").write_text(rendering.rules(group))
        config = {
            "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
            "rule_files": [f"{group}.yml" for group in rendering.GROUPS],
            "scrape_configs": [*jobs, itself],
        }
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            *(str(programs.directory() / "prometheus"), f"--config.file={directory}/prometheus.yml"),
            *(f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"),
        ]
        started = subprocess.Popen(command, cwd=directory)
        try:
            one = Prometheus(port)
            one.wait()
            yield one
        finally:
            started.terminate()
            started.wait()
            server.shutdown()


def test_every_metric_of_every_alert_is_among_what_real_targets_say(prometheus: Prometheus) -> None:
    selectors = {each for rule in rendering.alerts().values() for each in rendering.selectors(rule["expr"])}
    selectors |= {each for expression in rendering.recorded().values() for each in rendering.selectors(expression)}
    # What is matched is a value that only comes with a fault: the metric itself must be there.
    names = {each.split("{")[0] for each in selectors} - NOT_RECORDED
    assert {name for name in names if not prometheus.ask(name)} == set()


def test_every_panel_of_the_dashboard_has_data(prometheus: Prometheus) -> None:
    empty = {query for query in dashboard.queries() if not prometheus.ask(query)}
    assert empty <= dashboard.may_be_empty(), empty


def test_no_rule_fails_and_no_words_of_an_alert_either(prometheus: Prometheus) -> None:
    rules = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}, [rule["lastError"] for rule in rules if rule["health"] != "ok"]
    words = [text for rule in rules for alert in rule.get("alerts", []) for text in alert["annotations"].values()]
    assert not [text for text in words if "error" in text and "template" in text]


def test_the_guides_metric_is_in_no_rule_and_no_panel_since_the_engine_has_it_no_more(prometheus: Prometheus) -> None:
    assert prometheus.ask("vllm:gpu_cache_usage_perc") == []
    assert "gpu_cache_usage" not in "".join(rendering.rules(group) for group in rendering.GROUPS)
    assert "gpu_cache_usage" not in dashboard.PATH.read_text()
