"""Which metrics lead, and how they are grouped."""

from dataclasses import replace
from typing import get_args

from report_folder import read_data, write
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.analysis.error_by_tenth import Errors
from scoring.report import MetricInfo
from scoring.report.metric_groups import IN_FRONT, OTHER, PURPOSES, best_first, by_purpose, front
from scoring.spec import Purpose
from scoring.store.storage import Storage


def errors(share):
    """Return errors of which a share of ten rows is in the most outlying tenth."""
    return Errors(rows=(10,) * 10, wrong=(round(10 * share),) + (0,) * 9)


NAMED = {
    "noise": "label errors",
    "odd": "atypical",
    "gone": "",
    "loss": "hard",
    "margin": "label errors",
    "epoch": "hard",
    "vog": "hard",
    "far": "atypical",
}
SHARES = {"noise": 0.2, "odd": 0.1, "loss": 0.3, "margin": 0.9, "epoch": 0.8, "vog": 0.7, "far": 0}
SOME = [MetricInfo(name=name, purpose=purpose) for name, purpose in NAMED.items()]
FOUND = {name: errors(share) for name, share in SHARES.items()}


def test_purposes_are_those_of_the_metrics():
    assert get_args(Purpose) == PURPOSES


def test_metrics_are_grouped_by_purpose():
    names = {purpose: [m.name for m in group] for purpose, group in by_purpose(SOME).items()}
    assert names == {
        "label errors": ["noise", "margin"],
        "hard": ["loss", "epoch", "vog"],
        "atypical": ["odd", "far"],
        OTHER: ["gone"],
    }
    assert [*names] == ["label errors", "hard", "atypical", OTHER]


def test_the_best_of_each_purpose_lead():
    chosen = front(SOME, FOUND)
    assert len(chosen) == IN_FRONT
    assert chosen == ["margin", "epoch", "vog", "odd", "gone"]
    assert best_first(SOME, FOUND)[0].name == "margin"
    assert best_first(SOME, {})[0].name == "noise"


def test_the_overview_marks_the_best_and_folds_the_rest(tmp_path):
    examples = {split: shapes(60, 2, seed=4) for split in ("train", "test")}
    typical = examples["test"].values["adv_l2"]
    values = {name: typical[::-1] for name in NAMED} | {"vog": typical}
    examples = {split: replace(of, values=values) for split, of in examples.items()}
    metrics = [replace(METRICS[0], name=name, purpose=purpose) for name, purpose in NAMED.items()]
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples, metrics)
    folder = write(storage.uri, metrics, tmp_path / "report")
    html = (folder / "index.html").read_text()
    in_front, folded = html.split('id="errors"')[1].split("</section>")[0].split("<details")
    assert in_front.count("<figure") == IN_FRONT
    assert "<summary>3 more</summary>" in folded
    assert folded.count("<figure") == 3
    assert html.count('class="best"') == 1
    assert "<figcaption>vog" in in_front.split('class="best">')[1][:40]
    summary = read_data(folder, "data/report.js")
    assert summary["best"] == "vog"
    assert "vog" in summary["front"]
    assert summary["purposes"] == ["label errors", "hard", "atypical", OTHER]
