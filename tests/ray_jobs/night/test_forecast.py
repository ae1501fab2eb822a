"""Forecasts: before ingest as far as can be known, and what the night then really does."""

import json
from pathlib import Path

import pytest
import torch
from digit_files import write_digits
from in_process import jobs_in_process, rescoring
from small_plans import SMALL, forecast_of

from ray_jobs.cli import main
from scoring.nets import build
from scoring.registry import metrics
from scoring.run_spec import NetSpec
from scoring.tables import Store

NUMBERS = (
    "runs",
    "missing_runs",
    "results",
    "missing_results",
    "passes",
    "partitions",
    "changed_partitions",
    "logits_bytes",
    "largest_shard_bytes",
    "training_passes",
    "looking_passes",
)


def numbers(forecast):
    return {name: getattr(forecast, name) for name in NUMBERS}


@pytest.mark.parametrize("names", [("msp",), ("ret", "agr"), tuple(metrics())])
def test_a_first_night_is_forecast_before_ingest_as_after_it(ingested, tmp_path, names):
    before = forecast_of(tmp_path / "empty", "--metrics", *names)
    after = forecast_of(ingested, "--metrics", *names)
    assert len(before.situation.to_ingest) == 3
    assert not after.situation.to_ingest
    assert numbers(before) == numbers(after)
    assert before.missing_runs == before.runs
    besides = 1 if names == ("msp",) else 2  # predicted classes, and an ensemble's probabilities
    assert before.missing_results == before.results == 3 * (len(names) + besides)
    assert before.changed_partitions == before.partitions == 2 * len(names)


def test_sizes(ingested):
    ahead = forecast_of(ingested, "--metrics", "conf", "msp")
    assert len(ahead.runs) == 7
    assert ahead.logits_bytes == 7 * 150 * 10 * 4
    assert ahead.largest_shard_bytes == 50 * 64
    assert ahead.situation.rows == 150
    base, *members = ahead.runs
    smoke = base.recipe.epochs_for(100)
    on_part = 100 * 2 / 3 * members[0].recipe.epochs_for(66)
    assert ahead.training_passes == pytest.approx(100 * smoke + 6 * on_part)
    assert ahead.looking_passes == pytest.approx(on_part / 2 * 6)  # a third is left out


def test_pairs_look_at_the_split_that_they_are_scored_on(ingested):
    ahead = forecast_of(ingested, "--metrics", "ret")
    epochs = ahead.runs[0].recipe.epochs  # of smoke, as many as fine-tuning has at most
    pairs = sum(run.kind == "finetuned" for run in ahead.runs) // 2
    seeds = [r for r in ahead.runs if r.kind == "plain" and r.split == "train"]
    assert len(seeds) == pairs
    assert ahead.looking_passes == pairs * epochs * (100 + 50)


def staged(store):
    return sorted(Path(store).glob("staging/*/*.parquet"))


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Two nights, the second with a shard more: forecasts before and after ingest, and tables."""
    root = tmp_path_factory.mktemp("nights")
    store, folder = root / "store", root / "train"
    write_digits(root / "test.parquet", slice(1000, 1050))
    flags = (*SMALL, "--limit-train", "900", "--dataset", "parquet", "--name", "mine")
    flags += ("--train", str(folder), "--test", str(root / "test.parquet"))
    metrics = ("--metrics", "msp", "ret")
    outcomes = []
    with jobs_in_process():
        rescore = rescoring(store)
        for name, rows in (("a", slice(0, 100)), ("b", slice(100, 150))):
            write_digits(folder / f"{name}.parquet", rows)
            before = forecast_of(store, *flags, *metrics)
            assert main(["ingest", "--store", str(store), *flags]) == 0
            after = forecast_of(store, *flags, *metrics)
            already = len(staged(store))
            assert rescore(*flags, *metrics) == 0
            outcomes.append((before, after, len(staged(store)) - already))
        outcomes.append((forecast_of(store, *flags, *metrics),))
    return outcomes, Store(str(store))


def test_a_night_does_what_was_forecast(nights):
    outcomes, store = nights
    rows = store.sql("select * from nights order by started_at").to_pylist()
    assert len(rows) == 2
    for (before, after, new_files), row in zip(outcomes, rows, strict=False):
        for ahead in (before, after):
            assert row["runs_trained"] == len(ahead.missing_runs)
            assert row["runs_trained"] + row["runs_reused"] == len(ahead.runs)
            assert row["shards_scored"] == new_files == ahead.missing_results
            assert row["shards_scored"] + row["shards_reused"] == ahead.results
        runs = store.sql(f"select reused from runs where night_id = '{row['night_id']}'")
        assert runs["reused"].to_pylist().count(False) == len(before.missing_runs)


def test_after_an_appended_shard_a_forecast_before_ingest_is_exact(nights):
    _, (before, after, _), _ = nights[0]
    assert len(before.situation.to_ingest) == 1
    assert numbers(before) == numbers(after)


def test_an_appended_shard_costs_one_shard(nights):
    _, (before, _, _), _ = nights[0]
    assert before.missing_runs == ()
    assert before.training_passes == 0
    assert before.missing_results == 3  # two metrics and the prediction
    assert before.results == 4 * 3
    assert before.changed_partitions == 2  # of the training split
    assert before.passes.forward == 50 * (1 + 6)  # the base run, three pairs


def test_what_was_forecast_to_change_was_published(nights):
    outcomes, store = nights
    commits = [row["commit_version"] for row in store.sql("from nights").to_pylist()]
    assert len(set(commits)) == 2
    _, second = store.sql("select metrics, rows from nights order by started_at").to_pylist()
    assert second == {"metrics": ["msp", "ret"], "rows": 2 * 150}
    (nothing,) = outcomes[2]
    assert (nothing.missing_results, nothing.changed_partitions) == (0, 0)
    assert (nothing.passes.forward, nothing.passes.backward) == (0, 0)


def test_runs_that_are_imported_are_known_before_any_data(tmp_path):
    """They depend on no data, so a forecast before ingest knows which of them are there."""
    net = build(NetSpec(name="mlp"), shape=(8, 8, 1), classes=10).net
    torch.save(net.state_dict(), tmp_path / "net.pt")
    runs = {"runs": [{"weights": "net.pt", "net": "mlp"}]}
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    flags = ("--metrics", "msp", "--import-runs", str(tmp_path / "runs.json"))
    with jobs_in_process():
        assert rescoring(tmp_path / "store")(*SMALL, *flags) == 0
    more = (*flags, "--limit-train", "150", "--models", "retrain", "--replace")
    ahead = forecast_of(tmp_path / "store", *more)
    assert len(ahead.situation.to_ingest) == 1
    assert [run.kind for run in ahead.runs] == ["imported"]
    assert ahead.missing_runs == ()
