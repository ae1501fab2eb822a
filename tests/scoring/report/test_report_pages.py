"""The text of the pages, and the data they load."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from report_folder import WRITTEN, ids_of, read_data, write
from report_store import COMMAND, METRICS, publish_scores, shapes, write_dataset

from scoring.errors import Damaged
from scoring.report import MetricInfo, gather, take_snapshot
from scoring.report.pages import PAGES, render
from scoring.store.keys import SPLITS
from scoring.store.storage import Storage
from scoring.tables.findings import PLANE, Finding, publish_evaluation


class Page(HTMLParser):
    """The words and addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.addresses += [given[name] for name in ("src", "href") if given.get(name)]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def report(store):
    return gather(take_snapshot(store), METRICS, WRITTEN)


@pytest.fixture(scope="module")
def index(folder):
    return Page((folder / "index.html").read_text())


@pytest.mark.parametrize("page", PAGES)
def test_pages_load_nothing_from_outside_their_folder(folder, page):
    html = (folder / f"{page}.html").read_text()
    for address in Page(html).addresses:
        path = re.split("[?#]", address)[0]
        assert address == "data:," or (folder / path).is_file()
    assert "http://" not in html
    assert "https://" not in html
    assert "default-src 'none'" in html


def test_scripts_insert_data_as_text_only(folder):
    for script in (folder / "js").iterdir():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|fetch\(|eval\(", script.read_text()
        )


def test_the_header_gives_counts_and_provenance(index, report):
    assert "shapes" in index.words
    assert COMMAND in index.words
    for words in ("train examples 90", "test examples 66", "classes 3", "runs 5"):
        assert words in index.text
    for split in report.splits:
        assert split.version.version in index.words
    assert "Night of 20 November 2026, 02:30 UTC, 3 min 2 s · 0 undecodable examples" in index.text
    assert "circle, square, star" in index.words


def test_metrics_are_described(index):
    assert "L2 norm of the smallest perturbation that changes the predicted class" in index.words
    assert "unit: nats" in index.words
    assert "↑ high values are prototypical" in index.text
    assert "↓ low values are prototypical" in index.text
    assert "ranked by value" in index.text
    assert "purpose: robustness" in index.text


def test_errors_and_correlations_match_the_tables(folder, index, report, examples):
    test = report.splits[-1]
    wrong = examples["test"].predicted != examples["test"].label
    assert sum(test.errors["agr"].wrong) == wrong.sum()
    assert f"{100 * test.errors['agr'].rates[0]:.1f}%" in index.words
    assert f"{100 * (1 - wrong.mean()):.1f}%" in index.words  # test accuracy
    drawn = (folder / "index.html").read_text().split('id="errors"')[1].split("</section>")[0]
    assert drawn.count("<svg") == len(test.columns)
    correlations = Page((folder / "correlations.html").read_text())
    assert f"{test.correlations[0, 1]:.2f}" in correlations.words


def test_runs_are_grouped_and_nights_listed(index):
    assert "plain, on train 3 runs" in index.text
    assert "private, on train 2 runs" in index.text
    assert "0.5 to 8" in index.words
    assert "37.5 s" in index.words  # three times 12.5
    assert index.text.count("20 November 2026, 02:30 UTC") == 2


def finding(subject="agr", part="", measure="auroc", value=0.875):
    return Finding(subject=subject, part=part, measure=measure, value=value, rows=12)


def test_findings_are_listed_and_drawn(tmp_path, examples):
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["circle", "square", "star"])
    publish_scores(storage, "shapes", versions, examples)
    empty = write(storage.uri, METRICS, tmp_path / "empty")
    assert "Nothing has been evaluated yet" in (empty / "evaluations.html").read_text()
    points = [
        *(finding("test 7", "star", measure) for measure in ("label", "predicted")),
        *(finding("train 3", "star", m) for m in ("distance", "influence", "representer")),
    ]
    findings_of = {
        "mine": [finding(value=math.nan), finding(part="a")],
        "representers_example": points,
    }
    for name, findings in findings_of.items():
        publish_evaluation(storage, "shapes", name, findings, "protoscore evaluate")
    publish_evaluation(storage, PLANE, "toy", [finding(value=-0.75)], "")
    publish_evaluation(storage, "others", "deciles", [finding()], "")
    folder = write(storage.uri, METRICS, tmp_path / "report")
    html = (folder / "evaluations.html").read_text()
    assert html.count("<svg") == 3
    # The points of a scatter are drawn, but not listed.
    assert re.findall(r'data-evaluation="(\w+)"', html) == ["mine", "toy"]
    assert sorted(p.stem for p in (folder / "data/evaluations").iterdir()) == ["mine", "toy"]
    row = ["agr", "", "auroc", None, None, 12]
    assert read_data(folder, "data/evaluations/mine.js")[0] == row
    assert read_data(folder, "data/evaluations/toy.js")[0][3] == -0.75


def images_of(folder, split):
    """Cut every image of a split out of its packs, by position."""
    data = read_data(folder, f"data/{split}.js")
    for number, (_, rows, shape) in enumerate(data["shards"]):
        packing = data["packings"][shape]
        for row in range(rows):
            n, at = divmod(row, packing["rows"])
            path = folder / f"data/{split}/packs/{number}-{n}.webp"
            y, x = divmod(at, packing["columns"])
            pack = np.asarray(Image.open(path).convert("L"))
            top, left = y * packing["down"], x * packing["across"]
            yield pack[top : top + packing["height"], left : left + packing["width"]]


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_example_has_its_own_image_name_and_scores(folder, report, examples, split):
    data = read_data(folder, f"data/{split}.js")
    ids = ids_of(data)
    assert read_data(folder, f"data/{split}/names.js") == [
        f"picture-{i}.png" for i in range(len(ids))
    ]
    for shown, image in zip(images_of(folder, split), examples[split].images, strict=True):
        np.testing.assert_array_equal(shown, image[..., 0])
    ranking = read_data(folder, f"data/{split}/rankings/agr.js")
    scores = report.snapshot.scores(split, "agr")
    by_rank = scores.ids[np.argsort(scores.rank)]
    assert [ids[position] for position in ranking["order"]] == by_rank.tolist()
    rows = read_data(folder, f"data/{split}/rows/0-0.js")
    values = rows["value"].reshape(2, -1)[[*data["metrics"]].index("agr")]
    np.testing.assert_allclose(values, examples[split].values["agr"][: len(values)], rtol=1e-6)


def test_undecodable_images_have_no_rank(tmp_path):
    examples = {"train": shapes(40, 2, seed=1), "test": shapes(24, 2, seed=2)}
    examples["test"] = replace(examples["test"], broken=frozenset({3, 8}))
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    folder = write(storage.uri, METRICS, tmp_path / "report")
    page = Page((folder / "index.html").read_text())
    assert "2 undecodable examples" in page.text
    assert "0 of 40 train examples, 2 of 24 test examples (never ranked)" in page.text
    ranking = read_data(folder, "data/test/rankings/agr.js")
    assert ranking["unranked"].tolist() == [3, 8]
    assert len(ranking["order"]) == 22


def test_each_metric_shows_the_images_it_was_scored_on(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    old = {"train": shapes(12, 2, seed=1), "test": shapes(12, 2, seed=2)}
    new = {**old, "test": shapes(14, 2, seed=3)}  # the same ids, other images
    versions = write_dataset(storage, "shapes", old, ["round", "square"])
    publish_scores(storage, "shapes", versions, old)
    versions = write_dataset(storage, "shapes", new, ["round", "square"])
    publish_scores(storage, "shapes", versions, new, METRICS[:1], night=2)
    folder = write(storage.uri, METRICS, tmp_path / "report")
    images = list(images_of(folder, "test"))
    for metric, examples in (("adv_l2", new["test"]), ("agr", old["test"])):
        order = read_data(folder, f"data/test/rankings/{metric}.js")["order"]
        sign = 1 if metric == "adv_l2" else -1
        for position, row in zip(order, (sign * examples.values[metric]).argsort(), strict=True):
            np.testing.assert_array_equal(images[position], examples.images[row][..., 0])


def test_names_of_classes_and_files_are_escaped(tmp_path):
    evil = "</script><script>alert(1)</script>"
    names = [evil, "<!--", "a&b", "c", "d", None]
    examples = {split: replace(shapes(6, 2), names=names) for split in ("train", "test")}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "<b>", examples, [evil, "<img src=x>"])
    publish_scores(storage, "<b>", versions, examples)
    pages = render(gather(take_snapshot(storage.uri), METRICS, WRITTEN))
    for html in pages.values():
        assert evil not in html
        assert "<img src=x>" not in html
        assert "<b>" not in html
    folder = write(storage.uri, METRICS, tmp_path / "report")
    assert read_data(folder, "data/report.js")["classes"] == [evil, "<img src=x>"]
    assert read_data(folder, "data/test/names.js") == names


def test_texts_are_packed_in_scripts(tmp_path):
    texts = [f"Review <br>{i} &lt; 9" for i in range(29)] + ["long " * 5_000]
    examples = {s: replace(shapes(30, 2), texts=texts) for s in ("train", "test")}
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "reviews", examples, ["bad", "good"])
    publish_scores(storage, "reviews", versions, examples)
    folder = write(storage.uri, METRICS, tmp_path / "report")
    first, second = (read_data(folder, f"data/test/packs/{n}-0.js") for n in (0, 1))
    assert first == [f"Review {i} < 9" for i in range(25)]
    assert second[-1].endswith("long …")
    assert len(second[-1]) == 20_001  # cut at a word
    assert not list(folder.rglob("*.webp"))
    assert 'data-kind="text"' in (folder / "index.html").read_text()


def test_metrics_may_miss_a_split_or_be_unregistered(tmp_path):
    examples = {"train": shapes(12, 2, seed=1), "test": shapes(12, 2, seed=2)}
    examples["train"] = replace(examples["train"], values={"agr": examples["train"].values["agr"]})
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples)
    metrics = [METRICS[1], MetricInfo(name="unpublished")]
    folder = write(storage.uri, metrics, tmp_path / "report")
    report = read_data(folder, "data/report.js")
    assert [metric["name"] for metric in report["metrics"]] == ["agr", "adv_l2"]
    assert [*read_data(folder, "data/train.js")["metrics"]] == ["agr"]
    assert [*read_data(folder, "data/test.js")["metrics"]] == ["agr", "adv_l2"]


def test_a_metric_that_ranks_nothing_correlates_with_none(tmp_path):
    nothing = np.full(12, np.nan)
    examples = {split: shapes(12, 2, seed=1) for split in SPLITS}
    values = {**examples["test"].values, "nothing": nothing}
    examples = {split: replace(of, values=values) for split, of in examples.items()}
    metrics = [replace(METRICS[0], name="nothing"), *METRICS]
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", examples, ["round", "square"])
    publish_scores(storage, "shapes", versions, examples, metrics)
    found = gather(take_snapshot(storage.uri), metrics, WRITTEN).splits[0].correlations
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:, 1:]).all()


def test_a_missing_shard_is_one_error_and_nothing_is_written(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    examples = {split: shapes(30, 2) for split in SPLITS}
    versions = write_dataset(storage, "shapes", examples, ["a", "b"])
    publish_scores(storage, "shapes", versions, examples)
    storage.remove([versions["train"].shards[0].path("shapes")])
    with pytest.raises(Damaged, match=r"--store: expected .*, got no such file; rescore makes"):
        write(storage.uri, METRICS, tmp_path / "report")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
