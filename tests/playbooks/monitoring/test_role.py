"""The role on a real node: what runs, who may ask it, and that a second run has nothing to do."""

import json

import pytest

from tests.playbooks.monitoring.conftest import Watched

pytestmark = [pytest.mark.node, pytest.mark.qualify]


def test_whatever_is_asked_listens_on_the_loopback_alone(watched: Watched) -> None:
    listening = watched.bench.on("ss -Hltn | awk '{print $4}'").split()
    ours = {address for address in listening if address.rsplit(":", 1)[1] in {"9090", "9100", "9400", "9093"}}
    assert ours == {"127.0.0.1:9090", "127.0.0.1:9100", "127.0.0.1:9400"}


def test_every_target_but_the_missing_engine_answers(watched: Watched) -> None:
    def targets() -> dict[str, str]:
        return {sample["metric"]["job"]: sample["value"][1] for sample in watched.ask("up")}

    watched.until(lambda: targets() == {"engine": "0", "node": "1", "gpu": "1", "prometheus": "1"}, "targets answer")


def test_an_engine_that_is_missing_is_told_of_with_a_page_that_says_what_to_do(watched: Watched) -> None:
    annotations = watched.until_firing("EngineDown")["EngineDown"]["annotations"]
    assert "127.0.0.1:8000" in annotations["description"]
    assert annotations["runbook_url"] == "docs/runbooks/EngineDown.md"


def test_gpus_are_those_of_the_hardware_profile(watched: Watched) -> None:
    watched.until(lambda: len(watched.ask('DCGM_FI_DEV_GPU_TEMP{modelName="NVIDIA H100 80GB HBM3"}')) == 8, "8 GPUs")
    assert not {name for name in watched.alerts() if name.startswith(("Gpu", "Nvlink", "SeriesMissing"))}


def test_the_exporter_whose_names_the_rules_know_is_held(watched: Watched) -> None:
    said = watched.bench.on("dpkg-query -W -f '${db:Status-Abbrev}${Version}' datacenter-gpu-manager-exporter")
    assert said == "hi 4.8.2-1"


def test_files_of_other_roles_are_exported(watched: Watched) -> None:
    watched.write("/var/lib/nodestack/metrics/smoke.prom", "nodestack_smoke_pass 1")
    watched.until(lambda: watched.ask('nodestack_smoke_pass{job="node"} == 1'), "the file's metric is there")


def test_a_second_run_changes_nothing(watched: Watched) -> None:
    second = watched.play()
    assert (second.exit_code, second.changed) == (0, 0), second.text


def test_a_run_that_only_looks_would_change_nothing(watched: Watched) -> None:
    looking = watched.play(check=True)
    assert (looking.exit_code, looking.changed) == (0, 0), looking.text


def test_what_is_not_wanted_any_more_is_stopped_and_comes_back(watched: Watched) -> None:
    off = watched.play(monitoring_enabled=False)
    assert off.exit_code == 0, off.text
    assert (
        watched.bench.on("systemctl is-active prometheus prometheus-node-exporter nvidia-dcgm-exporter").split()
        == ["inactive"] * 3
    )
    again = watched.play(monitoring_enabled=False)
    assert (again.exit_code, again.changed) == (0, 0), again.text
    on = watched.play()
    assert on.exit_code == 0, on.text
    watched.until(lambda: watched.ask('up{job="node"} == 1'), "it watches again")


def test_rules_on_the_node_are_those_that_were_tested(watched: Watched) -> None:
    groups = json.loads(watched.bench.on("curl -s http://127.0.0.1:9090/api/v1/rules"))["data"]["groups"]
    assert {group["name"] for group in groups} == {"engine", "gpu", "node", "service"}
    assert all(rule["health"] in {"ok", "unknown"} for group in groups for rule in group["rules"]), groups
