"""`protoscore evaluate slices` and `fleet`, on scores of scikit-learn's digits."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from ray_jobs.cli import main
from scoring.store.keys import SPLITS
from scoring.store.layout import logits_path
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("msp", "conf", "ret", "priv")
SMALL = ("--limit-train", "300", "--limit-test", "100", "--shard-rows", "60", "--batch-rows", "50")


@pytest.fixture(scope="module")
def store(in_process: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digits, scored by metrics of one run, of an ensemble, of pairs and of private runs."""
    uri = str(tmp_path_factory.mktemp("slices") / "store")
    command = ["rescore", "--store", uri, *SMALL, "--recipe", "smoke", "--net", "mlp"]
    assert main([*command, "--metrics", *METRICS, "gradient_norm"]) == 0
    return uri


def findings(store, evaluation):
    rows = Store(store).evaluations("digits", evaluation).to_pylist()
    return {(row["subject"], row["part"], row["measure"]): row["value"] for row in rows}


def runs(store):
    return Storage(store).names("runs")


def test_slices_are_trained_once_and_judged(store, capsys):
    before = runs(store)
    command = ["evaluate", "slices", "--store", store, "--metrics", "msp", "--batch-rows", "50"]
    command += ["--window", "120", "--step", "90", "--sizes", "60", "150", "9999"]
    command += ["--attacked", "10", "--epochs", "4", "--seeds", "0"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "9 nets, 9 to train" in said.out
    windows, ends = (findings(store, f"slices_{name}") for name in ("windows", "ends"))
    parts = {part for _, part, _ in windows}
    assert parts == {"20 %", "50 %", "80 %"}
    for part in parts:
        assert 0.1 < windows["msp", part, "test_accuracy"] <= 1
        assert 0 <= windows["msp", part, "prototypical_test_accuracy"] <= 1
        assert 0 < windows["msp", part, "mean_adv_linf"] < 1
    subjects = {subject for subject, _, _ in ends}
    assert subjects == {"msp", *(f"msp {e} prototypical" for e in ("most", "least")), "msp random"}
    assert {part for _, part, _ in ends} == {"", "60", "150"}
    matrix = findings(store, "slices_matrix")
    assert len(matrix) == 3 * 10
    # Tenths of equal size make up the whole.
    of_tenths = [matrix["msp trained on 50 %", str(t), "test_accuracy"] for t in range(1, 11)]
    assert np.mean(of_tenths) == pytest.approx(windows["msp", "50 %", "test_accuracy"])
    # What the slice held and how the net did is in the record of its run.
    made = [json.loads(Storage(store).read(f"runs/{r}/run.json")) for r in runs(store) - before]
    assert sorted(record["rows"] for record in made) == [60] * 3 + [120] * 3 + [150] * 3
    accuracies = {record["test_accuracy"] for record in made}
    assert windows["msp", "50 %", "test_accuracy"] in accuracies

    # The same again makes nothing, or what is lost.
    assert main(command) == 0
    assert not capsys.readouterr().err
    assert findings(store, "slices_windows") == windows
    lost = made[0]["key"]
    Storage(store).delete(f"runs/{lost}/run.json")
    assert main(command) == 0
    assert "9 nets, 1 to train" in capsys.readouterr().out
    assert findings(store, "slices_ends") == ends


def test_slices_with_noise_and_with_heavy_augmentation(store, capsys):
    before = runs(store)
    command = ["evaluate", "slices", "--store", store, "--metrics", "conf", "--window", "300"]
    command += ["--sizes", "--seeds", "2", "--robustness", "--heavy", "--label-noise", "0.4"]
    assert main([*command, "--recipe", "smoke", "--split", "train"]) == 0
    assert "3 nets, 3 to train" in capsys.readouterr().out
    found = findings(store, "slices_windows")
    assert {s for s, _, _ in found} == {"conf", "conf heavy", "conf 40 % noise"}
    made = [json.loads(Storage(store).read(f"runs/{r}/run.json")) for r in runs(store) - before]
    recipes = [record["spec"]["recipe"] for record in made]
    assert sorted((r["crop"], r["dropout"], r["epochs"]) for r in recipes) == [
        (0, 0.0, 2),
        (0, 0.0, 2),
        (4, 0.5, 4),
    ]
    learnt = {r["train_accuracy"] for r in made if not r["spec"]["recipe"]["crop"]}
    assert len(learnt) == 2


def test_the_test_split_may_be_sliced(store):
    command = ["evaluate", "slices", "--store", store, "--metrics", "msp", "--split", "test"]
    command += ["--window", "0", "--sizes", "50", "--seeds", "0", "--epochs", "1"]
    assert main(command) == 0
    assert 0 < findings(store, "slices_ends")["msp random", "50", "test_accuracy"] < 1
    # Random ones are what they were; ends of each class are others than of all classes.
    before = runs(store)
    assert main([*command, "--within-classes"]) == 0
    found = findings(store, "slices_ends")
    assert 0 < found["msp within classes most prototypical", "50", "test_accuracy"] < 1
    assert len(runs(store) - before) == 2


@pytest.mark.parametrize("split", SPLITS)
def test_parts_of_a_fleet_are_held_against_each_other(store, split, capsys):
    before = runs(store)
    command = ["evaluate", "fleet", "--store", store, "--split", split, "--draws", "2"]
    command += ["--sizes", "2", "5", "99"]
    assert main(command) == 0
    found = findings(store, f"fleet_{split}")
    # The demo fleet: 6 runs of the ensemble, 8 private ones; 3 pairs and one base are too few.
    assert {subject for subject, _, _ in found} == {"conf", "priv"}
    assert {part for s, part, _ in found if s == "conf"} == {"", "2", "3", "5"}
    assert {part for s, part, m in found if (s, m) == ("priv", "spearman_of_halves")} == {"2", "4"}
    for subject in ("conf", "priv"):
        assert found[subject, "2", "spearman_with_all"] < found[subject, "5", "spearman_with_all"]
    assert runs(store) == before
    capsys.readouterr()
    assert main(command) == 0
    assert "score:" not in capsys.readouterr().err
    assert findings(store, f"fleet_{split}") == found


def test_part_of_a_fleet_is_what_its_runs_say(store):
    command = ["evaluate", "fleet", "--store", store, "--metrics", "conf", "--draws", "1"]
    assert main([*command, "--sizes", "1"]) == 0
    found = findings(store, "fleet_train")["conf", "1", "spearman_with_all"]
    uri, scores = Storage(store), Store(store).scores("digits", "train", "conf")
    whole = dict(zip(*(scores[n].to_pylist() for n in ("example_id", "value")), strict=True))
    from scoring.analysis.snapshot import take_snapshot
    from scoring.staged.scores import read_logits

    snapshot = take_snapshot(store)
    manifest = snapshot.manifests["train", "conf"]
    correlations = []
    for run in manifest.runs:
        alone, every = [], []
        for shard in snapshot.data["train", manifest.dataset_version].shards:
            logits = read_logits(uri, logits_path(run, shard.content))
            odds = np.exp(logits - logits.max(axis=1, keepdims=True))
            alone += (odds.max(axis=1) / odds.sum(axis=1)).tolist()
            every += [whole[i] for i in range(shard.first_id, shard.first_id + shard.rows)]
        correlations.append(spearmanr(alone, every).statistic)
    assert min(abs(found - c) for c in correlations) < 1e-3  # ties in float32


REFUSED = {
    "a metric of one run": ("fleet --metrics msp", "--metrics: expected metrics that fold 4 runs"),
    "no part": ("fleet --sizes", "--sizes: expected numbers above 0, got none"),
    "no draw": ("fleet --draws 0", "--draws: expected a number above 0, got 0"),
    "more than all": ("fleet --enough 1", "--enough: expected a number between 0 and 1, got 1"),
    "other settings": (
        "fleet --dataset nosuch",
        "--dataset: expected one of digits, got 'nosuch'",
    ),
    "an unknown metric": ("slices --metrics vog", "--metrics, train split: expected one of conf,"),
    "no metric": ("slices --metrics", "--metrics: expected a metric, got none"),
    "a large window": ("slices --metrics msp", "--window: expected at most the 300 examples that"),
    "a step back": ("slices --step 0", "--step: expected 1 or more, got 0"),
    "no examples": ("slices --sizes 0", "--sizes: expected numbers above 0, got 0"),
    "nothing to train": (
        "slices --window 0 --sizes",
        "--sizes: expected at least one with --window",
    ),
    "all wrong": ("slices --label-noise 1", "--label-noise: expected a share in [0, 1), got 1.0"),
    "no seed": ("slices --seeds", "--seeds: expected numbers of 0 or more, got none"),
    "no prototypes": ("slices --prototypical 0", "--prototypical: expected a percentage in (0,"),
    "no attack": ("slices --robustness conf", "--robustness: expected one of adv_l2, adv_linf"),
    "an unknown net": ("slices --metrics msp --window 9 --net nosuch", "--net: expected one of"),
    "an unknown recipe": (
        "slices --metrics msp --window 9 --recipe nosuch",
        "--recipe: expected one of",
    ),
    "an unknown run": ("slices --metrics msp --window 9 --run nosuch", "--run: expected base, or"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input(store, capsys, name):
    command, message = REFUSED[name]
    before = len(Store(store).evaluations())
    evaluation, *flags = command.split()
    assert main(["evaluate", evaluation, "--store", store, *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"protoscore: error: {message}")
    assert said.count("\n") == 1
    assert len(Store(store).evaluations()) == before
