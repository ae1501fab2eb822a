"""`protoscore evaluate`, from the command line to the table, on scikit-learn's digits."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from report_store import shapes, write_dataset
from scipy.stats import spearmanr

from ray_jobs.cli import main
from ray_jobs.evaluations import representers
from scoring.data.altered import Relabelled
from scoring.data.corruptions import CORRUPTIONS
from scoring.data.named import NamedSource
from scoring.errors import UserError
from scoring.store.storage import Storage
from scoring.tables import Store

SMALL = ("--limit-train", "300", "--limit-test", "60", "--batch-rows", "60", "--shard-rows", "100")


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def values(store, dataset, evaluation):
    rows = Store(store).evaluations(dataset, evaluation).to_pylist()
    return {(row["subject"], row["part"], row["measure"]): row["value"] for row in rows}


def test_memorisation_finds_changed_labels_and_goes_on_where_it_was(in_process, store, capsys):
    command = [
        "evaluate",
        "memorisation",
        "--store",
        store,
        *SMALL,
        "--net",
        "mlp",
        "--lowest",
        "0.1",
    ]
    command += ["--before", "smoke", "--after", "smoke", "--metrics", "vog", "aum"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "base model, after: train_accuracy 0." in out
    found = values(store, "digits", "memorisation")
    assert 0.6 < found["aum", "after", "auroc"] <= 1
    assert found["base model", "before", "train_accuracy"] > 0.1
    # What the table says follows from the published scores and from who was relabelled.
    scores = Store(store).scores("digits-memorisation-after", "train", "aum").to_pylist()
    source = Relabelled(source=NamedSource(name="digits", shard_rows=100), share=0.2)
    changed = np.concatenate([source.changed(p) for p in source.pieces("train")[:3]])
    ranks = np.array([row["rank"] for row in sorted(scores, key=lambda row: row["example_id"])])
    lower = (ranks[changed][:, None] < ranks[~changed]).mean()
    assert found["aum", "after", "auroc"] == pytest.approx(lower)
    assert found["aum", "after", "precision"] == pytest.approx(changed[ranks < 30].mean())
    assert found["aum", "after", "recall"] == changed[ranks < 30].sum() / changed.sum()

    assert main(command) == 0
    assert "train:" not in capsys.readouterr().err
    assert values(store, "digits", "memorisation") == found
    assert len(Store(store).nights()) == 2


def test_memorisation_holds_the_verdict_against_the_truth_and_cleanlab(in_process, store, capsys):
    command = ["evaluate", "memorisation", "--store", store, "--dataset", "digits"]
    command += ["--limit-train", "800", "--limit-test", "50", "--after", "smoke"]
    assert main([*command, "--metrics", "conf"]) == 0
    said = capsys.readouterr().out
    found = values(store, "digits", "memorisation")
    changed = found["verdict", "before", "changed"]
    assert found["verdict", "before", "count"] == pytest.approx(changed, rel=0.15)
    assert found["verdict", "before", "auroc"] > 0.98
    said_precision = found["verdict", "before", "precision_said"]
    assert found["verdict", "before", "precision"] == pytest.approx(said_precision, abs=0.08)
    assert found["cleanlab", "before", "count"] > changed / 2
    assert found["cleanlab", "before", "recall"] > 0.5
    assert found["verdict", "before", "check_coverage"] > 0.8
    assert 0 < found["verdict", "before", "check_width"] < changed
    assert f" {changed:,.0f} in truth; " in said
    assert "; 200 checks: an interval " in said
    assert "; cleanlab: " in said


def test_ood_judges_every_corruption(in_process, store, capsys):
    command = ["evaluate", "ood", "--store", store, *SMALL, "--recipe", "smoke"]
    command += ["--metrics", "msp", "--detectors", "pca_reconstruction", "--fit-rows", "200"]
    assert main(command) == 0
    found = values(store, "digits", "ood")
    parts = {part for subject, part, _ in found if subject == "msp"}
    assert parts == {"mean", *CORRUPTIONS}
    for subject in ("msp", "pca_reconstruction"):
        each = [found[subject, name, "auroc"] for name in CORRUPTIONS]
        assert found[subject, "mean", "auroc"] == pytest.approx(np.mean(each))
    assert found["pca_reconstruction", "impulse_noise", "auroc"] > 0.9
    scores = Store(store).scores("digits-ood", "test", "msp")
    assert len(scores) == 60 * (1 + len(CORRUPTIONS))

    capsys.readouterr()
    assert main(command) == 0
    assert not capsys.readouterr().err
    assert values(store, "digits", "ood") == found


def test_stability_and_deciles(in_process, store, capsys):
    command = ["evaluate", "stability", "--store", store, *SMALL, "--recipe", "smoke"]
    command += ["--metrics", "aum", "vog", "--batches", "32", "--seeds", "0", "3", "--nets", "mlp"]
    assert main(command) == 0
    assert "train: 2/2 runs" in capsys.readouterr().err
    found = values(store, "digits", "stability_test")
    assert len([key for key in found if key[0] == "aum" and key[1] != "all"]) == 1
    ranks = [
        Store(store).sql(
            f"select percentile from scores where metric = 'aum' and split = 'test' "
            f"and dataset = 'digits-stability-seed-{seed}-mlp-batch-32' order by example_id"
        )["percentile"]
        for seed in (0, 3)
    ]
    want = spearmanr(*(column.to_numpy() for column in ranks)).statistic
    assert found["aum", "all", "spearman"] == pytest.approx(want)
    assert 0 < found["aum", "all", "instance_sd"] < 30
    batches = {json.loads(row["recipe"])["batch_rows"] for row in Store(store).runs().to_pylist()}
    assert batches == {32}

    assert {row["net"] for row in Store(store).runs().to_pylist()} == {"mlp"}

    dataset = "digits-stability-seed-3-mlp-batch-32"
    assert main(["evaluate", "deciles", "--store", store, "--dataset", dataset]) == 0
    rates = values(store, dataset, "deciles_test")
    scores = Store(store).scores(dataset, "test", "aum").to_pylist()
    tenth = sorted(scores, key=lambda row: row["rank"])[:6]
    wrong = np.mean([row["label"] != row["predicted"] for row in tenth])
    assert rates["aum", "1", "error_rate"] == pytest.approx(wrong)
    assert "upper half error_rate" in capsys.readouterr().out


def test_debugging_finds_flipped_labels(in_process, store, capsys):
    command = ["evaluate", "debugging", "--store", store, "--only-classes", "1", "8", *SMALL]
    command += ["--flips", "0.3", "--draws", "2", "--inspected", "0.2", "0.4", "--metrics", "aum"]
    command += ["--recipe", "smoke", "--net", "mlp"]
    assert main(command) == 0
    found = values(store, "digits-1-8", "debugging")
    orders = {subject for subject, _, _ in found}
    assert orders == {"aum", "representer_self", "influence", "loss", "random"}
    for order in orders:
        first, second = (found[order, part, "flips_found"] for part in ("20 %", "40 %"))
        assert 0 <= first <= second <= 1
        assert found[order, "0 %", "flips_found"] == 0
        assert 0.3 < found[order, "40 %", "test_accuracy"] <= 1
    assert found["aum", "40 %", "flips_found"] > found["random", "40 %", "flips_found"]
    names = {row["dataset"] for row in Store(store).nights().to_pylist()}
    assert names == {"digits-1-8-debugging-0", "digits-1-8-debugging-1"}
    assert "30 %" not in capsys.readouterr().out


def test_toy(store, capsys):
    assert main(["evaluate", "toy", "--store", store, "--seeds", "0"]) == 0
    out = capsys.readouterr().out
    assert values(store, "toy", "toy")["vog", "all", "spearman"] < -0.5
    assert "all spearman" in out
    said = values(store, "toy", "toy_representers")
    assert said["representer", "all", "nothing_said"] == 0
    assert said["influence as trained", "all", "nothing_said"] > 0.9
    assert "all for_same_class" in out
    assert "nan" not in out
    plane = values(store, "toy", "toy_plane")
    assert len({subject for subject, _, measure in plane if measure == "representer"}) == 600
    assert "findings of toy_plane on toy" in out


@pytest.mark.parametrize("kind", ["unreadable", "unlabelled"])
def test_an_example_that_no_layer_knows_cannot_be_drawn(store, kind):
    examples = {"train": shapes(30, 3), "test": shapes(30, 3)}
    label = np.where(np.arange(30) == 28, -1, examples["test"].label)
    changed = {"broken": frozenset({28})} if kind == "unreadable" else {"label": label}
    examples["test"] = replace(examples["test"], **changed)
    versions = write_dataset(Storage(store), "shapes", examples, ["x", "y", "z"])
    plan = SimpleNamespace(storage=Storage(store), versions=versions)
    representers._check_example(plan, 57)
    with pytest.raises(UserError, match="a label and a readable image, got 58, which lacks one"):
        representers._check_example(plan, 58)


REFUSED = {
    "no such evaluation": ("nosuch", "evaluate: expected one of classes, correlations, deb"),
    "no scores": ("deciles --store {}", "--store: expected"),
    "nothing relabelled": ("memorisation --relabel 0", "--relabel: expected a share above 0"),
    "a recipe": ("memorisation --recipe quick --before smoke", "--recipe: expected --before and"),
    "an unknown detector": ("ood --detectors nosuch", "--detectors: expected one of autoencoder"),
    "no rows to fit": ("ood --fit-rows 0", "--fit-rows: expected a number above 0, got 0"),
    "fleets that meet": (
        "stability --dataset digits --metrics ret --seeds 0 2 --limit-train 100",
        "--seeds: expected fleets without common runs, got 0 and 2, from which the seeds of their "
        "runs count up; pass 0 and 100",
    ),
    "one training": ("stability --seeds 1", "--seeds: expected two trainings or more"),
    "a batch of nothing": ("stability --batches 0", "--batches: expected numbers above 0, got 0"),
    "no seeds": ("toy --seeds", "--seeds: expected numbers of 0 or more, got none"),
    "an unknown metric": ("ood --metrics nosuch", "--metrics: expected one of adv_l2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input(tmp_path, capsys, name):
    command, message = REFUSED[name]
    before = sorted(tmp_path.rglob("*"))
    assert main(["evaluate", *command.format(tmp_path / "none").split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {message}")
    assert said.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_help(capsys):
    assert main(["evaluate", "--help"]) == 0
    assert "memorisation  whether metrics find labels" in capsys.readouterr().out
