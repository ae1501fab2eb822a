"""Nights whose scores are made of what runs added up while they trained."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from image_files import grey_pngs, write_parquet
from small_plans import SMALL

from ray_jobs.cli import main
from scoring.runs.record import load_records
from scoring.store.layout import run_path, tally_path
from scoring.store.records import read_json, write_record
from scoring.store.storage import Storage
from scoring.tables import Store

OVER_EPOCHS = ("fleet_aum", "oob_confidence_mean", "second_split_forgetting")
FINISHED = ("label_margin", "oob_conf", "ret")
FLAGS = (*SMALL, "--metrics", *OVER_EPOCHS, *FINISHED)


def scores(store, metric, split="train"):
    """Return ids, values, spreads and statuses, sorted by id."""
    rows = Store(str(store)).sql(
        "select example_id, value, spread, status from scores "
        f"where metric = '{metric}' and split = '{split}' order by example_id"
    )
    columns = [rows[name].to_numpy() for name in ("example_id", "value", "spread")]
    return (*columns, set(rows["status"].to_pylist()))


def records(store, kind, split="train"):
    """Return the records of all runs of a kind that keep a tally of a split."""
    storage = Storage(str(store))
    keys = sorted({*Store(str(store)).runs()["run_key"].to_pylist()})
    found = [r for r in load_records(storage, keys) if r.kind == kind and r.spec.tallies == split]
    return [r for r in found if r.kind != "plain" or r.spec.left_out]


def table(store, record):
    data = Storage(str(store)).read(tally_path(record.key))
    return pq.read_table(io.BytesIO(data)).to_pydict()


@pytest.fixture
def night(rescore, tmp_path):
    assert rescore(*FLAGS) == 0
    return tmp_path / "store"


def test_scores_are_means_of_what_members_added_up(night):
    members = records(night, "plain")
    assert len(members) == 6
    tallies = [table(night, member) for member in members]
    ids, values, spread, status = scores(night, "fleet_aum")
    margins = np.array([tally["margin"] for tally in tallies])
    assert {tuple(tally["example_id"]) for tally in tallies} == {tuple(ids)}
    np.testing.assert_allclose(values, margins.mean(axis=0), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(spread, margins.std(axis=0), rtol=1e-5)
    assert status == {None}
    unseen = ~np.array([tally["seen"] for tally in tallies])
    folds = np.array([member.spec.left_out.holds(ids) for member in members])
    np.testing.assert_array_equal(unseen, folds)
    each = np.array([tally["probability"] for tally in tallies])
    _, values, _, status = scores(night, "oob_confidence_mean")
    np.testing.assert_allclose(values, (each * unseen).sum(axis=0) / 2, rtol=1e-6)
    assert status == {None}
    assert {epochs for tally in tallies for epochs in tally["epochs"]} == {2}


@pytest.mark.parametrize("split", ["train", "test"])
def test_forgetting_is_the_mean_over_pairs(night, split):
    pairs = records(night, "finetuned", split)
    assert len(pairs) == 3
    since = np.array([table(night, pair)["wrong_since"] for pair in pairs])
    _, values, spread, status = scores(night, "second_split_forgetting", split)
    np.testing.assert_allclose(values, since.mean(axis=0))
    np.testing.assert_allclose(spread, since.std(axis=0), atol=1e-12)
    assert status == {None}
    assert ((values >= 1) & (values <= 3)).all()


def test_the_other_split_is_judged_by_finished_members(night):
    for metric, finished in zip(OVER_EPOCHS[:2], FINISHED[:2], strict=True):
        got, want = (scores(night, name, "test")[1] for name in (metric, finished))
        np.testing.assert_array_equal(got, want)


def test_rows_that_came_later_are_judged_by_finished_members(night, rescore):
    before = {metric: scores(night, metric) for metric in OVER_EPOCHS}
    assert rescore(*FLAGS, "--limit-train", "150", "--replace") == 0
    late = np.arange(150) >= 100
    for metric, finished in zip(OVER_EPOCHS, FINISHED, strict=True):
        _, values, _, status = scores(night, metric)
        np.testing.assert_array_equal(values[~late], before[metric][1])
        if finished == "ret":
            assert np.isnan(values[late]).all()
            assert status == {None, "epochs_unknown"}
        else:
            np.testing.assert_allclose(values[late], scores(night, finished)[1][late], rtol=1e-12)
            assert status == {None}


def test_runs_of_an_earlier_version_are_not_trained_again(night, rescore, capsys):
    storage = Storage(str(night))
    for path in night.glob("runs/*/epochs.parquet"):
        path.unlink()
        record = run_path(path.parent.name)
        without = {
            k: v for k, v in read_json(storage, record).items() if k not in ("tallied", "seal")
        }
        write_record(storage, record, without)
    for metric in OVER_EPOCHS:
        for path in night.glob(f"staging/{metric}/*.parquet"):
            path.unlink()
    capsys.readouterr()
    assert rescore(*FLAGS, "--as", "again") == 0
    assert "train    0 of" in capsys.readouterr().out
    storage = Store(str(night))
    rows = {
        metric: storage.scores(dataset="again", metric=metric, split="train").sort_by("example_id")
        for metric in (*OVER_EPOCHS, *FINISHED)
    }
    for metric, finished in zip(OVER_EPOCHS[:2], FINISHED[:2], strict=True):
        assert rows[metric]["value"].equals(rows[finished]["value"])
    assert {*rows["second_split_forgetting"]["status"].to_pylist()} == {"epochs_unknown"}


def test_a_label_that_was_corrected_since_is_judged_by_finished_members(night, rescore, tmp_path):
    before = scores(night, "fleet_aum")
    labels = Store(str(night)).scores(metric="fleet_aum", split="train").sort_by("example_id")
    (tmp_path / "mended.csv").write_text(
        f"split,id,label\ntrain,7,{(labels['label'][7].as_py() + 1) % 10}\n"
    )
    assert rescore(*FLAGS, "--corrections", str(tmp_path / "mended.csv")) == 0
    after, margin = (scores(night, metric)[1] for metric in ("fleet_aum", "label_margin"))
    rest = np.arange(100) != 7
    np.testing.assert_array_equal(after[rest], before[1][rest])
    np.testing.assert_allclose(after[7], margin[7], rtol=1e-12)
    assert after[7] != before[1][7]


def test_a_damaged_tally_is_made_again(night, rescore):
    want = scores(night, "fleet_aum")
    (path, *_) = sorted(night.glob("runs/*/epochs.parquet"))
    before = path.read_bytes()
    path.write_bytes(before[:-9] + b"x" + before[-8:])
    for staged in night.glob("staging/*/*.parquet"):
        staged.unlink()
    codes = [rescore(*FLAGS, "--as", "again")]
    if codes[0]:
        codes.append(rescore(*FLAGS, "--as", "again"))
    assert codes[-1] == 0
    assert path.read_bytes() == before
    got = Store(str(night)).scores(dataset="again", metric="fleet_aum", split="train")
    np.testing.assert_array_equal(got.sort_by("example_id")["value"].to_numpy(), want[1])


def test_a_shard_that_is_in_both_splits_was_looked_at_in_one(rescore, tmp_path):
    labels = [row % 3 for row in range(60)]
    file = write_parquet(tmp_path / "both.parquet", grey_pngs(60), labels)
    source = ("--dataset", "parquet", "--name", "both", "--train", file, "--test", file)
    assert rescore(*source, "--metrics", "fleet_aum", "label_margin") == 0
    store = tmp_path / "store"
    tested = scores(store, "fleet_aum", "test")[1]
    np.testing.assert_array_equal(tested, scores(store, "label_margin", "test")[1])
    assert (tested != scores(store, "fleet_aum")[1]).any()


def test_members_that_saw_every_row_have_a_fleet_aum(rescore, tmp_path):
    assert rescore(*SMALL, "--metrics", *OVER_EPOCHS[:2], "--ensemble", "seeds") == 0
    assert scores(tmp_path / "store", "fleet_aum")[3] == {None}
    assert scores(tmp_path / "store", "oob_confidence_mean")[3] == {"seen_by_all"}


def test_a_store_with_tallies_is_whole(night):
    store = ("--store", str(night))
    kept = {*night.glob("runs/*/epochs.parquet")}
    assert main(["verify", *store]) == 0
    assert main(["vacuum", "--older-than-days", "0", *store]) == 0
    assert {*night.glob("runs/*/epochs.parquet")} == kept
    told = {
        Path(p).parent.name: json.loads(Path(p).read_text()) for p in night.glob("runs/*/run.json")
    }
    assert {path.parent.name for path in kept} == {run for run, r in told.items() if r["tallied"]}
