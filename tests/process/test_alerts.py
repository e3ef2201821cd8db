"""Alert rules and dashboard: every name exists, promtool agrees, and each alert is told as a story."""

import json
import os
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.live.metric_names import HISTORY, LIVE, REST, STREAM
from tests.conftest import PROJECT
from tests.promql import OTHERS, alerts, alerts_table, labels, names
from tests.waiting import PATIENCE_S

FOLDER = PROJECT / "monitoring/prometheus"
RULES: dict[str, Any] = yaml.safe_load((FOLDER / "rules.yml").read_text())
STORIES: dict[str, Any] = yaml.safe_load((FOLDER / "rules_test.yml").read_text())
ALERTS = {rule["alert"]: rule for rule in alerts(RULES)}
DASHBOARD: dict[str, Any] = json.loads((PROJECT / "monitoring/grafana/dashboards/credit-scoring.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {"$job": ".*", "$__rate_interval": "1m"}
KINDS = {"bargauge", "heatmap", "stat", "table", "timeseries"}
DOCUMENT = (PROJECT / "docs/monitoring.md").read_text()


def tool(name: str) -> str:
    """Find a program of the Debian package prometheus; where the gate runs, it is there."""
    found = shutil.which(name)
    if found is None and os.environ.get("CREDIT_GATE"):
        pytest.fail(f"the gate brings {name}, but it is not on the PATH")
    if found is None:
        pytest.skip(f"no {name} on this machine (Debian package prometheus)")
    return found


def promtool(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [tool("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def expressions(panel: dict[str, Any]) -> list[str]:
    found = [target["expr"] for target in panel["targets"]]
    for variable, value in VARIABLES.items():
        found = [expression.replace(variable, value) for expression in found]
    return found


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_names_what_exists_and_says_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    found = labels(rule["expr"])
    notes = rule["annotations"]
    assert set(re.findall(r"\$labels\.(\w+)", " ".join(notes.values()))) <= found
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert len(notes["summary"]) > 10
    assert len(notes["action"]) > 10
    path, anchor = notes["runbook_url"].split("#")
    headings = re.findall(r"^#+ (.*)$", (PROJECT / path).read_text(), re.MULTILINE)
    assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_names_what_exists(panel: dict[str, Any]) -> None:
    for target, expression in zip(panel["targets"], expressions(panel), strict=True):
        assert "$" not in expression
        assert set(re.findall(r"{{(\w+)}}", target.get("legendFormat", ""))) <= labels(expression)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("sum(credit_stream_lag)", "no series is called credit_stream_lag"),
        ("rate(credit_rest_request_seconds[5m])", "no series is called"),
        ('credit_feature_psi{column="age"}', "has no label"),
        ("sum by (feature) (rate(credit_rest_decisions_total[5m]))", "has no label"),
        ("max(credit_score_psi) and credit_nothing > 1", "no series is called credit_nothing"),
    ],
)
def test_a_name_that_does_not_exist_is_seen(wrong: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        labels(wrong)


def test_every_metric_is_shown_or_watched() -> None:
    used = {name for rule in ALERTS.values() for name in names(rule["expr"])}
    used |= {name for panel in PANELS for expression in expressions(panel) for name in names(expression)}
    series = {re.sub("_(bucket|sum|count)$", "", name) for name in used - OTHERS.keys()}
    assert series == {metric.name for metric in (*LIVE, *HISTORY, *STREAM, *REST)}


@pytest.mark.process
def test_promtool_accepts_rules_and_configuration() -> None:
    for arguments in (("check", "rules", FOLDER / "rules.yml"), ("check", "config", FOLDER / "prometheus.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
def test_each_alert_fires_in_its_story_and_is_silent_in_the_others() -> None:
    done = promtool("test", "rules", FOLDER / "rules_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [check for story in STORIES["tests"] for check in story.get("promql_expr_test", ())]
    fires = {re.findall(r'"(\w+)"', s["labels"])[0] for check in told for s in check["exp_samples"]}
    assert fires == ALERTS.keys()
    usual = {name for series in STORIES["tests"][0]["input_series"] for name in names(series["series"])}
    watched = {name for rule in ALERTS.values() for name in names(rule["expr"])}
    assert watched == usual, "the usual day, on which nothing fires, has all that is watched"


@pytest.mark.process
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("max by (job, feature) (credit_feature_psi) > 0.2", "max by (job, feature) (credit_feature_psi) > 0.4"),
        (
            "max by (job, feature) (credit_feature_psi) > 0.2\n        for: 1h",
            "credit_feature_psi > 0.2\n        for: 5m",
        ),
        ('status=~"5.."', 'status=~"4.."'),
        ("credit_stream_refused_share > 0.5", "credit_stream_refused_share > 1"),
    ],
)
def test_a_changed_rule_fails_the_stories(right: str, wrong: str, tmp_path: Path) -> None:
    text = (FOLDER / "rules.yml").read_text()
    assert right in text
    (tmp_path / "rules.yml").write_text(text.replace(right, wrong))
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)
    assert promtool("check", "rules", tmp_path / "rules.yml").returncode == 0
    done = promtool("test", "rules", tmp_path / "rules_test.yml")
    assert done.returncode == 1
    assert "FAILED" in done.stderr


def test_grafanas_own_types_read_the_dashboard_and_lose_nothing() -> None:
    register_default_plugins()
    assert_kept(DASHBOARD, as_grafana_reads(DASHBOARD))
    wrong = {**DASHBOARD, "titel": "Now"}
    with pytest.raises(AssertionError, match="titel"):
        assert_kept(wrong, as_grafana_reads(wrong))


def as_grafana_reads(dashboard: dict[str, Any]) -> Any:
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def assert_kept(ours: Any, theirs: Any) -> None:
    """All that we say is still there; they may add defaults."""
    if isinstance(ours, dict):
        assert ours.keys() <= theirs.keys()
        for name, value in ours.items():
            assert_kept(value, theirs[name])
    elif isinstance(ours, list):
        for one, other in zip(ours, theirs, strict=True):
            assert_kept(one, other)
    else:
        assert ours == theirs


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    """Its required parts, as far as they can be checked without Grafana."""
    assert isinstance(DASHBOARD["schemaVersion"], int)
    assert {"uid", "title", "time", "refresh"} <= DASHBOARD.keys()
    assert "id" not in DASHBOARD, "Grafana gives the number"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert {f"${name}" for name in variables} == {"$datasource", *VARIABLES} - {"$__rate_interval"}
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["type"] in KINDS
        assert [target["refId"] for target in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        assert panel["targets"]
        assert all(part["datasource"] == source for part in (panel, *panel["targets"]))
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [{"value": None}])
        assert [step["value"] is None for step in steps] == [True, *[False] * (len(steps) - 1)]


def test_panels_lie_side_by_side_on_the_grid() -> None:
    cells = [
        {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        for g in (panel["gridPos"] for panel in DASHBOARD["panels"])
    ]
    assert not any(a & b for a, b in combinations(cells, 2))
    assert max(x for own in cells for x, _ in own) == 23
    covered = {y for own in cells for _, y in own}
    assert covered == set(range(len(covered)))


def test_the_document_has_the_tables_of_alerts() -> None:
    for group in RULES["groups"]:
        assert alerts_table(group) in DOCUMENT, alerts_table(group)
