"""`protoscore evaluate` on what is published: correlations, sets with their maps, classes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from report_store import Examples, MetricInfo, publish_scores, write_dataset
from scipy.stats import pearsonr, spearmanr

from ray_jobs.cli import main
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import Store

CLASSES = ["bag", "coat"]
METRICS = {"adv_l2": "high", "ret": "low", "agr": "low", "conf": "high", "priv": "low"}
TEXTS = [MetricInfo(name=name, prototypical=end) for name, end in METRICS.items()]


def examples(rows: int, seed: int) -> Examples:
    """Images that are dark or light; five metrics that partly agree."""
    random = np.random.default_rng(seed)
    label, light = np.arange(rows) % 2, np.arange(rows) // 2 % 2
    images = random.integers(0, 90, (rows, 6, 6, 1)) + 150 * light[:, None, None, None]
    typical = random.random(rows)
    signs = {"high": 1, "low": -1}
    values = {m: signs[end] * (typical + random.random(rows)) for m, end in METRICS.items()}
    return Examples(images=images.astype(np.uint8), label=label, predicted=label, values=values)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with five metrics of 400 training examples in two classes."""
    storage = Storage(str(tmp_path_factory.mktemp("published") / "store"))
    ensure_marked(storage)
    of = {"train": examples(400, 0), "test": examples(60, 1)}
    versions = write_dataset(storage, "shapes", of, CLASSES)
    publish_scores(storage, "shapes", versions, of, TEXTS)
    return storage.uri


@pytest.fixture
def evaluate(store: str) -> Callable[..., int]:
    """Run `protoscore evaluate` on that store."""

    def run(*args: str) -> int:
        return main(["evaluate", args[0], "--store", store, *args[1:]])

    return run


def findings(store, evaluation):
    rows = Store(store).evaluations("shapes", evaluation).to_pylist()
    return {(row["subject"], row["part"], row["measure"]): row["value"] for row in rows}


def test_correlations_of_what_is_published(evaluate, store, capsys):
    assert evaluate("correlations") == 0
    found = findings(store, "correlations_train")
    assert len(found) == 10 * 4
    values = examples(400, 0).values
    pair = values["adv_l2"], -values["ret"]  # turned so that high = prototypical
    assert found["adv_l2 x ret", "", "pearson"] == pytest.approx(pearsonr(*pair).statistic)
    assert found["adv_l2 x ret", "", "spearman"] == pytest.approx(spearmanr(*pair).statistic)
    assert 0 < found["agr x conf", "lowest 25 %", "jaccard_distance"] < 1
    assert "highest 25 % jaccard_distance" in capsys.readouterr().out

    assert not findings(store, "pair_train")

    options = ("--split", "test", "--metrics", "priv", "conf", "--percent", "10")
    options += ("--pair", "conf", "priv")
    assert evaluate("correlations", *options) == 0
    found = findings(store, "correlations_test")
    assert {subject for subject, _, _ in found} == {"priv x conf"}
    assert ("priv x conf", "lowest 10 %", "jaccard_distance") in found
    points = findings(store, "pair_test")
    assert len(points) == 2 * 60
    rows = Store(store).scores("shapes", "test", "priv").to_pylist()
    for row in rows:
        point = f"example {row['example_id']}", CLASSES[row["label"]], "priv"
        assert points[point] == row["percentile"]


def test_classes_of_what_is_published(evaluate, store, capsys):
    assert evaluate("classes", "--metrics", "conf", "priv") == 0
    found = findings(store, "classes_train")
    assert {subject for subject, _, _ in found} == {"conf", "priv"}
    assert found["conf", "1", "share of bag"] + found["conf", "1", "share of coat"] == 1
    assert 0.5 <= found["priv", "all", "separation"] < 0.7
    assert "all separation" in capsys.readouterr().out


def test_sets_without_maps_need_no_cluster(evaluate, store, capsys):
    assert evaluate("sets", "--no-clusters") == 0
    rows = Store(store).example_sets("shapes", "train").to_pylist()
    found = findings(store, "sets_train")
    for name in {row["set"] for row in rows}:
        of_set = [row for row in rows if row["set"] == name]
        assert found[name, "all", "examples"] == len(of_set)
        assert found[name, "coat", "examples"] == sum(row["label"] for row in of_set)
    assert {row["cluster"] for row in rows} == {row["x"] for row in rows} == {None}
    percentiles = {
        (row["metric"], row["example_id"]): row["class_percentile"]
        for row in Store(store).scores("shapes", "train").to_pylist()
    }
    exceptions = [row for row in rows if row["set"] == "memorized_exceptions"]
    assert exceptions
    for row in exceptions:
        assert row["ensemble"] >= 75
        assert row["priv"] <= 50
        boundary = max(percentiles[m, row["example_id"]] for m in ("adv_l2", "ret"))
        assert row["boundary"] == boundary <= 50
        assert row["name"] == f"picture-{row['example_id']}.png"
    assert f"Published {len(rows)} rows" in capsys.readouterr().out


def test_sets_are_mapped_class_by_class(in_process, evaluate, store):
    command = ("sets", "--map-rows", "30", "--perplexity", "5", "--submode-priv", "60")
    assert evaluate(*command) == 0
    rows = Store(store).example_sets("shapes", "train").to_pylist()
    found = findings(store, "sets_train")
    groups: dict[tuple[str, int], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["label"]), []).append(row)
    for (name, label), members in groups.items():
        mapped = [row for row in members if row["x"] is not None]
        assert len(mapped) == (min(30, len(members)) if len(members) >= 5 else 0)
        assert all((row["cluster"] is None) == (row["x"] is None) for row in members)
        if mapped:
            clusters = {row["cluster"] for row in mapped} - {-1}
            assert found[name, CLASSES[label], "clusters"] == len(clusters)
    # Dark and light images are no neighbours.
    submodes = [row for row in groups["uncommon_submodes", 0] if row["x"] is not None]
    light = {row["example_id"]: row["example_id"] // 2 % 2 for row in submodes}
    for cluster in {row["cluster"] for row in submodes} - {-1}:
        assert len({light[r["example_id"]] for r in submodes if r["cluster"] == cluster}) == 1

    def places(rows):
        return {
            (row["set"], row["example_id"]): (row["x"], row["y"], row["cluster"]) for row in rows
        }

    assert evaluate(*command) == 0
    assert places(Store(store).example_sets("shapes", "train").to_pylist()) == places(rows)


def test_maps_of_features(rescore, tmp_path, capsys):
    digits = ("--limit-train", "200", "--limit-test", "40", "--shard-rows", "100")
    assert rescore(*digits, "--dataset", "digits", "--metrics", "msp", "gradient_norm") == 0
    store = str(tmp_path / "store")
    command = ["evaluate", "sets", "--store", store, "--batch-rows", "50"]
    command += ["--boundary", "msp", "--ensemble", "gradient_norm", "--priv", "msp"]
    assert main([*command, "--features", "last"]) == 0
    mapped = "select count(x) as n from example_sets where split = 'train'"
    assert Store(store).sql(mapped)["n"].to_pylist()[0] > 0
    assert Storage(store).names("features")
    capsys.readouterr()
    for layer, message in (("conv", "--features: expected one of"), ("last", "--run: expected")):
        wrong = ["--features", layer, *(["--run", "nosuch"] if layer == "last" else [])]
        assert main([*command, *wrong]) == 2
        assert capsys.readouterr().err.startswith(f"protoscore: error: {message}")


REFUSED = {
    "an unknown metric": ("correlations --metrics nosuch", "--metrics: expected one of adv_l2,"),
    "one metric": ("correlations --metrics conf", "--metrics: expected two or more to compare"),
    "more than half": ("correlations --percent 60", "--percent: expected a number above 0 and"),
    "a pair that is not compared": (
        "correlations --metrics conf priv --pair conf ret",
        "--pair: expected one of conf, priv, got 'ret'",
    ),
    "a pair of one": ("correlations --pair conf conf", "--pair: expected two metrics, got conf"),
    "a metric that is not there": ("sets --priv vog", "--priv: expected one of adv_l2, agr, conf"),
    "no metric at all": ("sets --boundary", "--boundary: expected a metric, got none"),
    "a cut beyond": ("sets --canonical 101", "--canonical: expected a percentile from 0 to 100"),
    "no rows to map": ("sets --map-rows 0", "--map-rows: expected 1 or more, got 0"),
    "clusters of one": (
        "sets --smallest-cluster 1",
        "--smallest-cluster: expected 2 or more, got 1",
    ),
    "a run for pixels": ("sets --run abc", "--run: expected it with --features last or a lay"),
    "no such dataset": ("classes --dataset nosuch", "--dataset: expected one of shapes, got 'nosu"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input(evaluate, store, capsys, name):
    command, message = REFUSED[name]
    before = len(Store(store).evaluations())
    assert evaluate(*command.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {message}")
    assert said.count("\n") == 1
    assert len(Store(store).evaluations()) == before


def test_a_split_that_is_not_published_is_refused(tmp_path, capsys):
    storage = Storage(str(tmp_path / "store"))
    ensure_marked(storage)
    of = {"train": replace(examples(60, 0), values={}), "test": examples(60, 1)}
    publish_scores(storage, "shapes", write_dataset(storage, "shapes", of, CLASSES), of, TEXTS)
    for evaluation in ("correlations", "sets", "classes"):
        assert main(["evaluate", evaluation, "--store", storage.uri]) == 2
        assert "--split: expected one of test, got 'train'" in capsys.readouterr().err
