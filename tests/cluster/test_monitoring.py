"""Alerts and the board use what `protoscore check` and Ray's counters write, and nothing else."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from kustomize import render
from manifests import CLUSTER, KUBERAY, ROOT, nodes

from ray_jobs.checks.expectations import Expectations, judge
from ray_jobs.checks.facts import Changes, Facts
from ray_jobs.checks.gauges import registry

SCHEMA = yaml.safe_load((Path(__file__).parent / "monitoring_schema.yaml").read_text())
ALERTS = yaml.safe_load((CLUSTER / "monitoring" / "alerts.yaml").read_text())
BOARD = json.loads((CLUSTER / "monitoring" / "dashboard.json").read_text())
OBJECTS = {item["kind"]: item for item in render(KUBERAY / "monitoring")}
FACTS = Facts(
    dataset="mine",
    now=datetime.now(UTC),
    last_success=datetime.now(UTC),
    night_seconds=1.0,
    rows={"train": 1},
    accuracy={"base": 1.0},
    changes=Changes(
        gone={"train": 0},
        newly_lowest={("train", "conf"): 0},
        accuracy_before={"base": 1.0},
        shards=[],
    ),
)


def written() -> dict[str, set[str]]:
    """Name of each series that we write to its labels."""
    found = registry(FACTS, Expectations(), judge(FACTS, Expectations()))
    series = {s.name: {*s.labels} for family in found.collect() for s in family.samples}
    counters = (ROOT / "ray_jobs" / "on_ray" / "counters.py").read_text()
    for name, labels in re.findall(r'_counter\("(\w+)", "[^"]*"((?:, "\w+")+)\)', counters):
        series[f"ray_{name}_total"] = {*re.findall(r"\w+", labels)}
    return series


def expressions() -> list[str]:
    rules = [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]
    return rules + [target["expr"] for node in nodes(BOARD) for target in node.get("targets", ())]


def test_counters_of_ray_and_gauges_are_found():
    assert {"protoscore_rows", "ray_protoscore_units_total", "ray_protoscore_retries_total"} <= {
        *written()
    }


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_only_series_and_labels_that_exist(expression):
    series = written()
    names = re.findall(r"\b(?:ray_)?protoscore_\w+", expression)
    assert names
    assert {*names} <= series.keys()
    labels = {label for group in re.findall(r"by \((.*?)\)", expression) for label in group.split()}
    labels |= {*re.findall(r"[{,]\s*(\w+)=~?", expression)}
    assert labels <= {label for name in names for label in series[name]}


def test_every_gauge_is_on_the_board_or_in_an_alert():
    used = {name for e in expressions() for name in re.findall(r"\b(?:ray_)?protoscore_\w+", e)}
    assert written().keys() - used == {"ray_protoscore_passes_total"}


def test_legends_and_summaries_use_labels_that_exist():
    labels = {label for found in written().values() for label in found}
    shown = [target["legendFormat"] for node in nodes(BOARD) for target in node.get("targets", ())]
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    texts = [rule["annotations"]["summary"] for rule in rules]
    named = [name for text in shown for name in re.findall(r"{{(\w+)}}", text)]
    named += [name for text in texts for name in re.findall(r"\$labels\.(\w+)", text)]
    assert named
    assert {*named} <= labels


def test_the_board_lists_the_datasets_and_its_panels_do_not_overlap():
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert variables["dataset"]["query"]["query"] == "label_values(protoscore_rows, dataset)"
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len({*cells})
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule"])
def test_an_object_fits_its_schema(kind):
    jsonschema.validate(OBJECTS[kind], SCHEMA, jsonschema.Draft202012Validator)


def test_both_files_of_alerts_say_the_same():
    assert OBJECTS["PrometheusRule"]["spec"] == ALERTS


def test_the_alert_for_a_late_night_waits_as_long_as_the_check():
    rules = {rule["alert"]: rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]}
    assert f"> {Expectations().max_age_hours:g} * 3600" in rules["ProtoscoreNoNight"]
