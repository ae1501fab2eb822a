import math

import numpy as np
import pytest

from scoring.report import together
from scoring.tables.findings import Finding


def finding(subject, part, measure, value=0.5):
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=20)


def correlations():
    measures = [("", "pearson"), ("", "spearman")]
    measures += [(f"{end} 10 %", "jaccard_distance") for end in ("lowest", "highest")]
    pairs = ("adv x conf", "adv x ret", "conf x ret")
    values = iter(np.linspace(-0.9, 0.9, 12).tolist())
    return [finding(pair, *of, next(values)) for pair in pairs for of in measures]


def classes(count=3):
    found = [
        finding(metric, tenth, f"share of class-{c}", 1 / count)
        for metric in ("conf", "priv")
        for tenth in ("1", "10")
        for c in range(count)
    ]
    return [*found, finding("conf", "1", "coverage", 1), finding("conf", "all", "separation")]


def sets():
    names = ("memorized_exceptions", "uncommon_submodes", "one x other")
    found = [finding(n, part, "examples", 3) for n in names for part in ("all", "bag", "coat")]
    return [*found, finding("uncommon_submodes", "bag", "clusters", 2)]


FOUND = {"correlations_test": correlations(), "classes_train": classes(), "sets_train": sets()}


@pytest.mark.parametrize("name", FOUND)
def test_equal_findings_give_equal_svg_in_the_colours_of_the_page(name):
    svg = together.FIGURES[name](FOUND[name])
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert together.FIGURES[name](FOUND[name]) == svg


def test_heat_maps_show_every_number():
    svg = together.FIGURES["correlations_train"](correlations())
    for f in correlations():
        assert f"{f.value:.2f}".replace("0.", ".", 1).replace("-", "−") in svg.replace(">-", ">−")
    assert "lowest 10% below, highest 10% above" in svg


def test_cells_without_a_value_stay_empty():
    found = [finding(f.subject, f.part, f.measure, math.nan) for f in correlations()]
    assert "nan" not in together.FIGURES["correlations_train"](found)


def test_classes_and_metrics_are_named():
    svg = together.FIGURES["classes_train"](classes())
    assert all(name in svg for name in ("conf", "priv", "class-0", "class-2"))


def test_only_classes_with_large_shares_are_drawn_if_there_are_many():
    found = [*classes(50), finding("conf", "5", "share of class-49", 0.9)]
    svg = together.FIGURES["classes_train"](found)
    assert svg.count(">class-") == 20
    assert "class-49" in svg


def test_sets_are_drawn_but_not_their_overlaps():
    svg = together.FIGURES["sets_train"](sets())
    assert all(name in svg for name in ("memorized exceptions", "uncommon submodes", "bag", "coat"))
    assert "one x other" not in svg
