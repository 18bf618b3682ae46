"""Each alert fires on what it is for, with promtool on the very rules that a node gets, and none when all is well."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nodestack.catalog import load
from tests.playbooks.monitoring import rendering
from tests.playbooks.monitoring.programs import promtool

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
HEALTHY: dict[str, str] = yaml.safe_load((HERE / "healthy.yml").read_text())
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((HERE / "cases.yml").read_text())
NAMED = [(alert, number) for alert, cases in CASES.items() for number in range(len(cases))]
CHANGED_AT, TOLD_BY = "20m", "40m"
# Hours of a node's time would take promtool minutes: what must hold holds a quarter as long, trends are of minutes.
WINDOWS = {"rate": 300, "trend": 600, "restarts": 900, "cost": 600}
HOLD = {name: seconds // 4 for name, seconds in rendering.defaults()["monitoring_hold_s"].items()}
FIRING = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'


def expected(alerts: list[str]) -> list[dict[str, Any]]:
    known = rendering.alerts()
    return [
        {"labels": f'{{alertname="{name}", severity="{known[name]["labels"]["severity"]}"}}', "value": 1}
        for name in alerts
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("rules"))


def write_rules(directory: Path, **changes: Any) -> Path:
    for group in rendering.GROUPS:
        text = rendering.rules(
            group, fabric_gpu_count=2, monitoring_windows_s=WINDOWS, monitoring_hold_s=HOLD, **changes
        )
        (directory / f"{group}.yml").write_text(text)
    return directory


def require(directory: Path, series: dict[str, str], at: dict[str, list[str]]) -> None:
    """Have promtool say whether exactly these alerts fire at these times."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": FIRING, "eval_time": when, "exp_samples": expected(alerts)} for when, alerts in at.items()
        ],
    }
    document = {"rule_files": [f"{group}.yml" for group in rendering.GROUPS], "evaluation_interval": "1m"}
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump(document | {"tests": [test]}, width=10_000))
    ended = promtool("test", "rules", path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_alert_fires_on_a_node_that_is_well(directory: Path) -> None:
    require(directory, HEALTHY, {"10m": [], CHANGED_AT: [], TOLD_BY: []})


@pytest.mark.parametrize(("alert", "number"), NAMED)
def test_an_alert_fires_on_what_it_is_for_and_no_other_does(directory: Path, alert: str, number: int) -> None:
    case = dict(CASES[alert][number])
    others = case.pop("with", [])
    assert case.keys() <= HEALTHY.keys(), "a case changes series that a healthy node has"
    from_the_start = all(" " not in values for values in case.values())
    before: dict[str, list[str]] = {} if from_the_start else {CHANGED_AT: []}
    require(directory, HEALTHY | case, {**before, TOLD_BY: [alert, *others]})


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    assert CASES.keys() == rendering.alerts().keys()


def test_every_alert_has_a_time_to_hold_and_no_time_is_for_nothing() -> None:
    assert rendering.defaults()["monitoring_hold_s"].keys() == rendering.alerts().keys()


@pytest.mark.parametrize("alert", rendering.alerts())
def test_an_alert_says_how_bad_it_is_and_leads_to_a_page_that_says_what_to_do(alert: str) -> None:
    rule = rendering.alerts()[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"] and rule["annotations"]["description"]
    page = ROOT / rule["annotations"]["runbook_url"]
    assert page == ROOT / "docs" / "runbooks" / f"{alert}.md"
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {alert}\n")
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## What it means", "## How to look", "## What to do"]


def test_no_page_is_about_an_alert_that_is_no_more() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == rendering.alerts().keys()


def test_the_overview_of_the_pages_has_each_alert_once() -> None:
    text = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert [text.count(f"]({alert}.md)") for alert in rendering.alerts()] == [1] * len(rendering.alerts())


def test_every_metric_of_a_target_that_alerts_rest_on_is_watched_for_being_there() -> None:
    """The rest comes with a first event, or is another role's file, whose absence is another alert's matter."""
    watched = {name for names in rendering.variables()["monitoring_series"].values() for name in names}
    used = {name.split("{")[0] for rule in rendering.alerts().values() for name in rendering.selectors(rule["expr"])}
    used |= {
        name.split("{")[0] for expression in rendering.recorded().values() for name in rendering.selectors(expression)
    }
    with_events = {"http_requests_total", "up", "process_start_time_seconds"}
    unwatched = {name for name in used - watched - with_events if name.startswith(("vllm:", "DCGM_", "node_"))}
    assert unwatched == {"node_filesystem_size_bytes"}
    assert watched <= used


def test_without_a_planned_cost_no_alert_compares_with_it(tmp_path: Path) -> None:
    idle = HEALTHY | {'vllm:generation_tokens_total{job="engine", engine="0"}': "0+0x40"}
    free = {"monitoring_planned_usd_per_million": 0, "monitoring_usd_per_hour": 0}
    require(write_rules(tmp_path, **free), idle, {TOLD_BY: []})


def test_service_levels_have_objectives_that_tell_them_apart() -> None:
    profiles = load().profiles.profiles
    first = {name: entry.objective.ttft_p95_s for name, entry in profiles.items()}
    assert min(first, key=lambda name: first[name]) == "ttft"
    assert max(first, key=lambda name: first[name]) == "throughput"
