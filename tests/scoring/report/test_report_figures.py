import math
import re
from dataclasses import replace

import pytest

from scoring.report import figures
from scoring.report.plain_figures import plain
from scoring.tables.findings import Finding


def finding(subject="agr", part="", measure="auroc", value=0.875):
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=12)


FINDINGS = {
    "memorisation": [finding(part="before"), finding(part="after", value=math.nan)],
    "ood": [finding(part="fog"), finding(part="mean")],
    "stability_test": [
        finding(part="a x b", measure="spearman"),
        finding(part="all", measure="spearman"),
    ],
    "debugging": [
        finding(part=part, measure=measure)
        for part in ("0 %", "30 %")
        for measure in ("flips_found", "test_accuracy")
    ],
    "representers": [
        replace(finding(part=split, measure="pearson"), subject="lambda 0.003")
        for split in ("train", "test")
    ],
    "classes_train": [
        finding(part=str(tenth), measure=f"share of {name}", value=0.5)
        for tenth in range(1, 11)
        for name in ("circle", "square")
    ],
    "deciles_test": [finding(part=str(tenth), measure="error_rate") for tenth in range(1, 11)],
    "mine": [finding(part="here"), finding(part="all", value=math.nan)],
}


@pytest.mark.parametrize("name", FINDINGS)
def test_figures_take_the_colours_of_the_page_and_are_reproducible(name):
    figure = figures.draw_evaluation(name, FINDINGS[name])
    assert figure.startswith("<svg")
    assert "currentColor" in figure
    assert "#010203" not in figure
    assert figures.draw_evaluation(name, FINDINGS[name]) == figure


def texts(figure):
    return set(re.findall(r">([^<>\n]+)<", figure))


def test_parts_that_are_numbers_make_curves():
    sizes = ("500", "5 000", "20,000", "all")
    findings = [
        finding(subject=s, part=p, measure="accuracy") for s in ("low", "high") for p in sizes
    ]
    figure = plain(findings)
    assert {"low", "high", "accuracy"} <= texts(figure)
    assert figure.count('id="line2d_') > 2
    assert not {"20000.0", "all"} & texts(figure)


def test_only_the_highest_and_lowest_of_many_curves_are_named():
    findings = [
        finding(subject=f"m{i:02}", part=str(part), measure="rho", value=i * part)
        for i in range(30)
        for part in (1, 2, 3)
    ]
    named = {word for word in texts(plain(findings)) if word.startswith("m")}
    assert named == {f"m{i:02}" for i in (0, 1, 2, 3, 4, 25, 26, 27, 28, 29)}


def test_parts_that_are_not_numbers_make_points():
    findings = [finding(subject=s, part=p) for s in ("agr", "conf") for p in ("a", "b", "all")]
    assert {"agr", "conf", "auroc"} <= texts(plain(findings))


def test_each_measure_has_a_panel():
    findings = [finding(measure=f"measure_{i}") for i in range(9)]
    titles = {word for word in texts(plain(findings)) if word.startswith("measure ")}
    assert titles == {f"measure {i}" for i in range(6)}


def test_no_findings_make_no_figure():
    assert plain([]) == ""
