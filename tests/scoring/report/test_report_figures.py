import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hostile import NAMES, unprintable

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
    "review_train": [
        *(
            replace(finding(measure=f"{measure}{end}", value=9), subject="all labels")
            for measure in ("wrong", "ambiguous")
            for end in ("", "_low", "_high")
        ),
        replace(finding(measure="expected_wrong"), subject="all labels"),
        *(
            replace(finding(part=part, measure=measure, value=value), subject="stratum")
            for part, value in (("from 0", math.nan), ("from 0.5", 0.75))
            for measure in ("share", "expected_share")
        ),
    ],
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


@pytest.mark.parametrize("name", figures.FIGURES)
def test_findings_of_another_version_are_drawn_or_not(name):
    for odd in (
        [finding(measure="nothing we know")],
        [finding(part="many %", measure="flips_found"), finding(part="x x", measure="spearman")],
        [replace(finding(part="1", measure="share of "), rows=0, value=math.nan)],
    ):
        drawn = figures.draw_evaluation(name, odd)
        assert not drawn or drawn.startswith("<svg")


HOSTILE = {
    "classes_train": [
        finding(part=str(tenth), measure=f"share of {name}", value=0.5)
        for tenth in range(1, 11)
        for name in NAMES
    ],
    "sets_train": [finding("core", name, "examples", 3.0) for name in NAMES],
    "memorisation": [finding(name, part) for name in NAMES for part in ("before", "after")],
    "ood": [finding(name, part) for name in NAMES for part in ("fog", "mean")],
    "debugging": [
        finding(name, part, measure)
        for name in NAMES
        for part in ("0 %", "30 %")
        for measure in ("flips_found", "test_accuracy")
    ],
    "correlations_train": [
        finding("$$ x $a$", part, measure)
        for part, measure in (
            ("", "pearson"),
            ("", "spearman"),
            ("lowest 5 %", "jaccard_distance"),
            ("highest 5 %", "jaccard_distance"),
        )
    ],
    "representers": FINDINGS["representers"],
    "my rows": [finding(name, name, name) for name in NAMES],
    "my curves": [finding(name, part) for name in NAMES for part in ("1", "2", "3")],
    "representers_example": [
        finding("test 1", "$$", "label"),
        finding("test 1", "$a_$", "predicted"),
        *(
            finding(f"train {i}", name, measure)
            for i, name in enumerate(("$$", "$a_$", *NAMES))
            for measure in ("distance", "influence", "representer")
        ),
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.filterwarnings("error")
def test_no_name_is_a_formula_or_breaks_a_figure(name):
    figure = figures.draw_evaluation(name, HOSTILE[name])
    assert figure.startswith("<svg")
    assert "mathdefault" not in figure
    assert not unprintable(figure)
    assert "<b>" not in figure
    assert "x" * 100 not in figure
    ElementTree.fromstring(
        f"<div>{figure.replace('xlink:', '')}</div>"
    )  # whole, whatever the names hold


def test_figures_are_drawn_in_one_place():
    """There the style says that text is no formula."""
    root = Path(figures.__file__).parents[2]
    sources = [path for room in ("scoring", "ray_jobs") for path in (root / room).rglob("*.py")]
    saving = [p.name for p in sources if re.search(r"savefig|pyplot", p.read_text())]
    assert saving == ["drawing.py"]
