import importlib
import sys
from typing import get_args

import pytest

from scoring.declared import FILE, declared, ranked_by
from scoring.errors import UnknownName
from scoring.folds.prediction import PREDICTED
from scoring.folds.probabilities import PROBABILITIES
from scoring.registry import declarations, find, metric, metric_or_prediction, metrics
from scoring.spec import Purpose

SOURCE = """
from dataclasses import replace
from scoring.metrics.conf import METRIC
METRIC = replace(METRIC, name={name!r})
"""


def package_of(tmp_path, monkeypatch, modules):
    """Return a package of metric files, importable under a name of its own."""
    name = f"metrics_of_{tmp_path.name}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    for module, source in modules.items():
        (tmp_path / name / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name, *(f"{name}.{module}" for module in modules)]:
        monkeypatch.delitem(sys.modules, module, raising=False)
    return importlib.import_module(name)


def test_finds_every_metric_sorted():
    assert list(metrics()) == sorted(metrics())
    assert {"adv_l2", "adv_linf", "adv_steps", "agr", "agr_kl", "conf", "priv", "ret"} <= set(
        metrics()
    )
    assert metric("conf") is metrics()["conf"]


def test_every_metric_says_what_it_is_for():
    purposes = {found.purpose for found in metrics().values()}
    assert purposes == {*get_args(Purpose)}


def test_readers_of_tables_know_what_metrics_declare():
    assert FILE.read_text("utf-8") == declarations(), "run `python -m scoring.registry`"
    assert [*declared()] == [*metrics()]
    assert {name: found.ranked_by for name, found in declared().items()} == {
        name: found.ranked_by for name, found in metrics().items()
    }


def test_what_a_metric_is_ranked_by_in_words():
    assert [ranked_by(name) for name in ("vog", "aum", "gone")] == ["class z", "value", ""]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"--metrics: expected one of adv_l2, .*, got 'advl2'"):
        metric("advl2")


def test_predicted_classes_and_probabilities_are_computed_but_are_no_metrics():
    assert metric_or_prediction("predicted") is PREDICTED
    assert metric_or_prediction("probabilities") is PROBABILITIES
    assert metric_or_prediction("agr") is metric("agr")
    for name in ("predicted", "probabilities"):
        with pytest.raises(UnknownName):
            metric(name)


def test_only_these_statuses_rank_without_a_value():
    ranked = {name: found.statuses for name, found in metrics().items() if found.statuses}
    assert ranked == {
        "adv_l2": {"no_adversarial_found": "prototypical"},
        "adv_linf": {"no_adversarial_found": "prototypical"},
        "adv_steps": {"no_adversarial_found": "prototypical"},
        "priv": {"never_reliable": "outlying"},
    }


def test_a_new_file_is_a_new_metric(tmp_path, monkeypatch):
    modules = {name: SOURCE.format(name=name) for name in ("second", "first")}
    found = find(package_of(tmp_path, monkeypatch, modules))
    assert list(found) == ["first", "second"]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"mine": SOURCE.format(name="yours")}, "expected a metric named 'mine', got 'yours'"),
        ({"mine": "x = 1"}, "expected METRIC to be a FoldedMetric or a ModelMetric, got None"),
        ({"predicted": SOURCE.format(name="predicted")}, "expected a new name, got 'predicted'"),
    ],
)
def test_files_that_break_the_rules_are_refused(tmp_path, monkeypatch, modules, message):
    with pytest.raises(TypeError, match=message):
        find(package_of(tmp_path, monkeypatch, modules))
