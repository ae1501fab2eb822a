import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_store import COMMAND, TEXTS, publish_scores, shapes, write_dataset

from scoring.ranking import rank
from scoring.report import MetricText, build, render, take_snapshot
from scoring.report.payload import payload
from scoring.storage import Storage
from scoring.tables.evaluations import PLANE, Finding, publish_evaluation


class Page(HTMLParser):
    """Texts and addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self._inside = given.get("id", tag) if tag in {"script", "style"} else ""
        names = ("src", "href", "srcset", "poster", "action")
        self.addresses += [given[name] for name in names if given.get(name)]

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "data":
            self.data += data
        elif not self._inside:
            self.words.append(data)


@pytest.fixture(scope="module")
def report(store):
    return build(take_snapshot(store), TEXTS)


@pytest.fixture(scope="module")
def html(report):
    return render(report)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def data(page):
    return json.loads(page.data)


ENDS = ("outlying", "prototypical")


def published(examples, split, metric, first_id):
    """Ids of a class by rising rank, straight from the ranking."""
    of_split = examples[split]
    ids = np.arange(len(of_split.label)) + first_id
    direction = "high" if metric == "adv_l2" else "low"
    value = of_split.values[metric]
    ranks = rank(value=value, label=of_split.label, example_id=ids, direction=direction).rank
    order = np.argsort(ranks)
    return lambda label: [int(ids[i]) for i in order if of_split.label[i] == label]


@pytest.mark.parametrize(("split", "first_id"), [("train", 0), ("test", 90)])
@pytest.mark.parametrize("metric", ["adv_l2", "agr"])
def test_every_grid_shows_both_ends_in_order_of_rank(data, examples, split, first_id, metric):
    of_class = published(examples, split, metric, first_id)
    shown = data["splits"][split]["examples"]
    grid = data["splits"][split]["grids"][metric]
    assert [data["classes"][ends["label"]] for ends in grid] == ["circle", "square", "star"]
    for ends in grid:
        ids = of_class(ends["label"])
        assert ends["ranked"] == len(ids)
        low, high = ([shown[row["example"]]["id"] for row in ends[end]] for end in ENDS)
        # Fewer than 2 x 25: split in the middle.
        assert len(low) - len(high) in (0, 1)
        assert low + high == ids


def test_rows_carry_what_the_table_says(data, report):
    for split in ("train", "test"):
        rows = report.snapshot.scores(split, "agr")
        table = {row["example_id"]: row for row in rows.take(np.arange(len(rows.ids)))}
        for ends in data["splits"][split]["grids"]["agr"]:
            for row in ends["outlying"] + ends["prototypical"]:
                example = data["splits"][split]["examples"][row["example"]]
                want = table[example["id"]]
                assert example["name"] == want["name"]
                assert (row["predicted"], ends["label"]) == (want["predicted"], want["label"])
                assert row["value"] == pytest.approx(want["value"], rel=1e-5)  # six digits shown
                assert row["class_percentile"] == pytest.approx(want["class_percentile"], rel=1e-5)
                assert example["percentiles"][1] == pytest.approx(want["percentile"], abs=1e-3)


def test_every_image_is_embedded_once_and_is_the_examples_own(data, examples):
    decoded = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image))).convert("L"))
        for image in data["images"]
    ]
    assert len({image.tobytes() for image in decoded}) == len(decoded)
    used = set()
    for split, first_id in (("train", 0), ("test", 90)):
        of_split = data["splits"][split]
        for grid in of_split["grids"].values():
            for row in (r for ends in grid for r in ends["outlying"] + ends["prototypical"]):
                example_id = of_split["examples"][row["example"]]["id"]
                want = examples[split].images[example_id - first_id][..., 0]
                np.testing.assert_array_equal(decoded[row["image"]], want)
                used.add(row["image"])
    assert used == set(range(len(decoded)))


def test_the_page_asks_nobody_for_anything(html, page):
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(
        r"url\((?!#)|@import|fetch\(|XMLHttpRequest|import\(", html.split("<script")[0]
    )
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html


def test_the_header_says_where_it_comes_from(page, report):
    assert "shapes" in page.words
    assert COMMAND in page.words
    for words in ("90 train examples", "66 test examples", "3 classes"):
        number, what = words.split(" ", 1)
        assert f"{what} {number}" in page.text
    for split in ("train", "test"):
        assert report.snapshot.current(split).version in page.words
    assert "Night of 20 November 2026, 02:30 UTC, 3 min 2 s · 0 undecodable images" in page.text
    assert "circle, square, star" in page.words


def test_metrics_are_explained(page):
    assert "L2 norm of the smallest perturbation that changes the predicted class" in page.words
    assert "unit: nats" in page.words
    assert "↑ high is prototypical" in page.text
    assert "↓ low is prototypical" in page.text


def test_correlations_and_errors_are_those_of_the_tables(page, report, examples):
    test = next(split for split in report.splits if split.split == "test")
    assert f"{test.correlations[0, 1]:.2f}" in page.words
    errors = test.metrics["agr"].errors
    wrong = examples["test"].predicted != examples["test"].label
    assert sum(errors.wrong) == wrong.sum()
    assert f"{100 * errors.rates[0]:.1f} %" in page.words
    assert f"{100 * (1 - wrong.mean()):.1f} %" in page.words  # test accuracy


def test_errors_are_drawn(html, report):
    drawn = html.split('id="errors"')[1].split("</section>")[0]
    (test,) = (split for split in report.splits if split.split == "test")
    assert drawn.count("<svg") == len(test.metrics)
    assert "currentColor" in drawn
    assert "#010203" not in drawn


def test_what_evaluations_found_is_told_and_drawn(tmp_path, examples):
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["circle", "square", "star"])
    publish_scores(storage, "shapes", versions, examples)
    assert "What evaluations found" not in render(build(take_snapshot(storage.uri), TEXTS))

    def found(part, measure, value=0.875):
        return Finding(subject="agr", part=part, measure=measure, value=value, rows=12)

    told = {
        "memorisation": [found("before", "auroc"), found("after", "auroc", math.nan)],
        "ood": [found("fog", "auroc"), found("mean", "auroc")],
        "stability_test": [found("a x b", "spearman"), found("all", "spearman")],
        "debugging": [
            found(part, measure)
            for part in ("0 %", "30 %")
            for measure in ("flips_found", "test_accuracy")
        ],
        "representers": [
            replace(found(split, "pearson"), subject="lambda 0.003") for split in ("train", "test")
        ],
        "representers_example": [
            *(replace(found("star", m), subject="test 7") for m in ("label", "predicted")),
            *(
                replace(found("star", m, 0.4321), subject="train 3")
                for m in ("distance", "influence", "representer")
            ),
        ],
        "mine": [found("", "anything")],
    }
    for name, findings in told.items():
        publish_evaluation(storage, "shapes", name, findings, "protoscore evaluate")
    publish_evaluation(storage, PLANE, "toy", [found("all", "spearman", -0.7654)], "")
    publish_evaluation(storage, "others", "deciles", [found("all", "error_rate", 0.5678)], "")
    html = render(build(take_snapshot(storage.uri), TEXTS))
    section = html.split('id="evaluations"')[1].split("</section>")[0]
    assert section.count("<svg") == 6
    assert section.count("0.875") == 12
    assert "stability, test" in section
    assert "representers, example" in section
    assert "0.4321" not in section  # of points, the figure alone
    assert "-0.7654" in section
    assert "0.5678" not in section
    assert "nan" not in Page(section).text
    assert render(build(take_snapshot(storage.uri), TEXTS)) == html


def test_runs_are_grouped_and_nights_listed(page):
    assert "plain, on train 3 runs" in page.text
    assert "private, on train 2 runs" in page.text
    assert "0.5 to 8" in page.words
    assert "37.5 s" in page.words  # three times 12.5
    assert page.text.count("20 November 2026, 02:30 UTC") == 2


def test_undecodable_images_are_counted_and_not_shown(tmp_path):
    examples = {"train": shapes(40, 2, seed=1), "test": shapes(24, 2, seed=2)}
    examples["test"] = replace(examples["test"], broken=frozenset({3, 8}))
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    report = build(take_snapshot(storage.uri), TEXTS)
    page = Page(render(report))
    assert "2 undecodable images" in page.text
    assert "0 of 40 train images, 2 of 24 test images" in page.text
    of_test = payload(report)["splits"]["test"]
    assert {43, 48}.isdisjoint(example["id"] for example in of_test["examples"])
    assert [ends["ranked"] for ends in of_test["grids"]["agr"]] == [11, 11]


def test_each_metric_shows_the_images_it_was_made_of(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    old = {"train": shapes(12, 2, seed=1), "test": shapes(12, 2, seed=2)}
    new = {**old, "test": shapes(14, 2, seed=3)}  # the same ids, other images
    versions = write_dataset(storage, "shapes", old, ["round", "square"])
    publish_scores(storage, "shapes", versions, old)
    versions = write_dataset(storage, "shapes", new, ["round", "square"])
    publish_scores(storage, "shapes", versions, new, TEXTS[:1], night=2)
    report = build(take_snapshot(storage.uri), TEXTS)
    of_test = payload(report)["splits"]["test"]
    for metric, examples in (("adv_l2", new), ("agr", old)):
        for row in (r for ends in of_test["grids"][metric] for r in ends["outlying"]):
            example_id = of_test["examples"][row["example"]]["id"]
            data = base64.b64decode(payload(report)["images"][row["image"]])
            got = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
            np.testing.assert_array_equal(got, examples["test"].images[example_id - 12][..., 0])
    assert np.isfinite(report.splits[1].correlations).all()  # over the twelve that both rank


def test_what_users_call_their_classes_and_files_is_text(tmp_path):
    evil = "</script><script>alert(1)</script>"
    examples = {
        split: replace(shapes(6, 2), names=[evil, "<!--", "a&b", "c", "d", None])
        for split in ("train", "test")
    }
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "<b>", examples, [evil, "<img src=x>"])
    publish_scores(storage, "<b>", versions, examples)
    html = render(build(take_snapshot(storage.uri), TEXTS))
    assert evil not in html
    assert "<img src=x>" not in html
    assert "<b>" not in html
    data = json.loads(Page(html).data)
    assert data["classes"][0] == evil
    names = {example["name"] for example in data["splits"]["test"]["examples"]}
    assert names == {evil, "<!--", "a&b", "c", "d", None}


def test_metrics_may_be_published_for_one_split_and_unknown_to_the_registry(tmp_path):
    examples = {"train": shapes(12, 2, seed=1), "test": shapes(12, 2, seed=2)}
    only = examples["test"].values
    examples["train"] = replace(examples["train"], values={"agr": examples["train"].values["agr"]})
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    report = build(take_snapshot(storage.uri), [TEXTS[1], MetricText(name="unpublished")])
    assert [metric.name for metric in report.metrics] == ["agr", "adv_l2"]
    assert set(only) == {"agr", "adv_l2"}
    data = json.loads(Page(render(report)).data)
    assert list(data["splits"]["train"]["grids"]) == ["agr"]
    assert list(data["splits"]["test"]["grids"]) == ["agr", "adv_l2"]
