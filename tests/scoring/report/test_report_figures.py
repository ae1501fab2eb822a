import math
import re
from dataclasses import replace

import pytest

from scoring.report import figures
from scoring.report.plain_figures import plain
from scoring.tables.findings import Finding


def found(subject="agr", part="", measure="auroc", value=0.875):
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=12)


TOLD = {
    "memorisation": [found(part="before"), found(part="after", value=math.nan)],
    "ood": [found(part="fog"), found(part="mean")],
    "stability_test": [
        found(part="a x b", measure="spearman"),
        found(part="all", measure="spearman"),
    ],
    "debugging": [
        found(part=part, measure=measure)
        for part in ("0 %", "30 %")
        for measure in ("flips_found", "test_accuracy")
    ],
    "representers": [
        replace(found(part=split, measure="pearson"), subject="lambda 0.003")
        for split in ("train", "test")
    ],
    "classes_train": [
        found(part=str(tenth), measure=f"share of {name}", value=0.5)
        for tenth in range(1, 11)
        for name in ("circle", "square")
    ],
    "deciles_test": [found(part=str(tenth), measure="error_rate") for tenth in range(1, 11)],
    "mine": [found(part="here"), found(part="all", value=math.nan)],
}


@pytest.mark.parametrize("name", TOLD)
def test_every_evaluation_is_drawn_in_the_colours_of_its_page(name):
    figure = figures.drawn(name, TOLD[name])
    assert figure.startswith("<svg")
    assert "currentColor" in figure
    assert "#010203" not in figure
    assert figures.drawn(name, TOLD[name]) == figure


def words(figure):
    return set(re.findall(r">([^<>\n]+)<", figure))


def test_parts_that_are_numbers_make_curves():
    sizes = ("500", "5 000", "20,000", "all")
    told = [found(subject=s, part=p, measure="accuracy") for s in ("low", "high") for p in sizes]
    figure = plain(told)
    assert {"low", "high", "accuracy"} <= words(figure)
    assert figure.count('id="line2d_') > 2
    assert not {"20000.0", "all"} & words(figure)


def test_of_many_curves_the_ends_are_named():
    told = [
        found(subject=f"m{i:02}", part=str(part), measure="rho", value=i * part)
        for i in range(30)
        for part in (1, 2, 3)
    ]
    named = {word for word in words(plain(told)) if word.startswith("m")}
    assert named == {f"m{i:02}" for i in (0, 1, 2, 3, 4, 25, 26, 27, 28, 29)}


def test_other_parts_make_points_of_their_subjects():
    told = [found(subject=s, part=p) for s in ("agr", "conf") for p in ("a", "b", "all")]
    assert {"agr", "conf", "auroc"} <= words(plain(told))


def test_each_measure_has_a_panel():
    told = [found(measure=f"measure_{i}") for i in range(9)]
    titles = {word for word in words(plain(told)) if word.startswith("measure ")}
    assert titles == {f"measure {i}" for i in range(6)}


def test_nothing_found_is_nothing_drawn():
    assert plain([]) == ""
