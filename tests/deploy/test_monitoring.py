"""Rules and dashboard name metrics that exist; each alert fires under its fault and has an entry in the runbooks."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.alerts import FAULTS, alert_at, cases
from tests.unit.test_metrics_page import rows

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "monitoring"
RUNBOOKS: Final = "docs/operations/runbooks.md"
RUNBOOKS_AT: Final = f"{{{{ with $externalLabels.winnow_docs }}}}{{{{ . }}}}/{{{{ end }}}}{RUNBOOKS}"
PROCESS: Final = {"process_cpu_seconds_total", "process_resident_memory_bytes"}
HISTOGRAM: Final = ("_bucket", "_count", "_sum")


def groups() -> list[dict[str, Any]]:
    """The groups of rules."""
    return list(yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"])


def alerts() -> list[dict[str, Any]]:
    """The alerts of all groups."""
    return [rule for group in groups() for rule in group["rules"] if "alert" in rule]


def panels() -> list[str]:
    """The expressions of the dashboard."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in an expression, without those of records."""
    return set(re.findall(r"(?<![\w:])((?:winnow|process)_\w+)(?!:)", expression))


@pytest.fixture
def promtool() -> str:
    """The program that checks and tests rules."""
    return shutil.which("promtool") or pytest.skip("no promtool: install Debian's package prometheus")


def test_every_metric_of_rules_and_dashboard_is_exported() -> None:
    exported = set(PROCESS)
    for row in rows():
        exported |= {row.name + ending for ending in HISTOGRAM} if row.kind == "histogram" else {row.name}
    used = [rule["expr"] for group in groups() for rule in group["rules"]] + panels()
    assert len(used) > 50
    for expression in used:
        assert metrics_in(expression) <= exported, expression


def test_every_label_of_rules_and_dashboard_exists() -> None:
    known = {label for row in rows() for label in row.labels} | {"namespace", "le", "pod", "instance"}
    for expression in [rule["expr"] for group in groups() for rule in group["rules"]] + panels():
        selected = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!~|!=|=)", expression)
        grouped = [name for each in re.findall(r"(?:by|on) \(([^)]*)\)", expression) for name in each.split(", ")]
        assert {*selected, *grouped} <= known, expression


def test_every_record_that_is_used_is_made() -> None:
    made = {rule["record"] for group in groups() for rule in group["rules"] if "record" in rule}
    used = {
        name
        for text in [*panels(), *(each["expr"] for each in alerts())]
        for name in re.findall(r"winnow:\w+:\w+", text)
    }
    assert used <= made
    assert used, "records are used"


def test_the_operators_resource_has_the_same_rules() -> None:
    resource = yaml.safe_load((FOLDER / "prometheus-rule.yaml").read_text())
    assert (resource["kind"], resource["spec"]["groups"]) == ("PrometheusRule", groups())


def test_every_alert_has_an_entry_in_the_runbooks_and_no_other_has() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / RUNBOOKS).read_text("utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(each["alert"] for each in alerts())
    for each in alerts():
        assert each["annotations"]["runbook_url"] == f"{RUNBOOKS_AT}#{each['alert'].lower()}"
        assert each["labels"]["severity"] in ("critical", "warning")


@pytest.mark.parametrize("site", ["", "https://git.example.com/winnow/blob/main"])
def test_runbooks_are_full_addresses_where_an_external_label_says_where_the_docs_are(
    promtool: str, tmp_path: Path, site: str
) -> None:
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(alert_at(str(FOLDER / "rules.yaml"), "WinnowAbsent", site, RUNBOOKS), width=10_000))
    command = [promtool, "test", "rules", str(file)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_has_a_fault() -> None:
    assert set(FAULTS) == {each["alert"] for each in alerts()}


def test_alerts_fire_under_their_faults_and_are_silent_on_a_sound_run(promtool: str, tmp_path: Path) -> None:
    file = tmp_path / "tests.yaml"
    file.write_text(yaml.safe_dump(cases(str(FOLDER / "rules.yaml")), width=10_000))
    done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid(promtool: str) -> None:
    command = [promtool, "check", "rules", str(FOLDER / "rules.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_renders_the_rules_and_the_dashboard() -> None:
    kubectl = shutil.which("kubectl") or pytest.skip("no kubectl: its package has kustomize")
    done = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    assert {(each["kind"], each["metadata"]["name"]) for each in rendered} == {
        ("ConfigMap", "winnow-dashboard"),
        ("PrometheusRule", "winnow"),
    }
