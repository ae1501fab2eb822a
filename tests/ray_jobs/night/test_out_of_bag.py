"""Nights whose scores are made by the models that did not see the example."""

import shutil

import numpy as np
import pytest
from image_files import grey_pngs, write_parquet
from small_plans import SMALL

from scoring.data.versions import all_versions
from scoring.left_out import LeftOut
from scoring.metrics.memorisation import METRIC as MEMORISATION
from scoring.runs.record import load_records
from scoring.staged.scores import read_logits
from scoring.store.layout import logits_path
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("--metrics", "oob_conf", "label_conf", MEMORISATION.name)
FLAGS = (*SMALL, *METRICS)


def scores(folder, metric, split):
    """Return ids, labels, values and statuses, sorted by id."""
    rows = Store(str(folder)).sql(
        "select example_id, label, value, status from scores "
        f"where metric = '{metric}' and split = '{split}' order by example_id"
    )
    value = rows["value"].to_numpy()
    return (
        rows["example_id"].to_numpy(),
        rows["label"].to_numpy(),
        value,
        set(rows["status"].to_pylist()),
    )


def members(folder):
    storage = Storage(str(folder))
    keys = Store(str(folder)).sql("select run_key from runs where seed >= 1000")["run_key"]
    return [r for r in load_records(storage, keys.to_pylist()) if r.kind == "plain"]


def probabilities(folder, records, labels, shards):
    """Return what each member gives the label of each row, [M, N]."""
    storage, found = Storage(str(folder)), []
    for record in records:
        logits = np.concatenate([read_logits(storage, logits_path(record.key, s)) for s in shards])
        shifted = np.exp(logits.astype(float) - logits.max(axis=1, keepdims=True))
        found.append((shifted / shifted.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels])
    return np.array(found)


def contents(folder, split):
    """Return the content hashes of a split's shards, by first id."""
    (version,) = all_versions(Storage(str(folder)), "digits", split)
    return [s.content for s in sorted(version.shards, key=lambda s: s.first_id)]


@pytest.fixture
def night(rescore, tmp_path):
    assert rescore(*FLAGS) == 0
    return tmp_path / "store"


def test_training_rows_are_scored_by_the_members_that_left_them_out(night):
    ids, labels, values, status = scores(night, "oob_conf", "train")
    records = members(night)
    folds = [r.spec.left_out for r in records]
    assert {*folds} == {LeftOut(seed=0, round=i // 3, fold=i % 3, folds=3) for i in range(6)}
    outside = np.array([r.spec.left_out.holds(ids) for r in records])
    assert [r.rows for r in records] == (~outside).sum(axis=1).tolist()
    each = probabilities(night, records, labels, contents(night, "train"))
    np.testing.assert_allclose(values, (each * outside).sum(axis=0) / 2, rtol=1e-6)
    assert status == {None}
    learnt = (each * ~outside).sum(axis=0) / 4 - values
    np.testing.assert_allclose(scores(night, "memorisation", "train")[2], learnt, atol=1e-7)


def test_no_member_saw_the_other_split(night):
    np.testing.assert_allclose(
        scores(night, "oob_conf", "test")[2], scores(night, "label_conf", "test")[2], rtol=1e-9
    )
    _, _, values, status = scores(night, "memorisation", "test")
    assert np.isnan(values).all()
    assert status == {"seen_by_none"}


def test_members_that_differ_in_seed_alone_saw_every_training_row(rescore, tmp_path, capsys):
    assert rescore(*FLAGS, "--ensemble", "seeds") == 0
    for metric in ("oob_conf", "memorisation"):
        _, _, values, status = scores(tmp_path / "store", metric, "train")
        assert np.isnan(values).all()
        assert status == {"seen_by_all"}
    said = capsys.readouterr()
    reason = "every member of --ensemble seeds sees every training row"
    assert f"  no value oob_conf, memorisation: {reason}" in said.out + said.err


def test_rows_that_came_later_were_seen_by_none(night, rescore):
    before = scores(night, "oob_conf", "train")
    assert rescore(*FLAGS, "--limit-train", "150", "--replace") == 0
    ids, _, values, _ = scores(night, "oob_conf", "train")
    assert len(members(night)) == 12  # the same six, on two nights
    late = ids >= 100
    assert late.sum() == 50
    np.testing.assert_array_equal(values[~late], before[2])
    np.testing.assert_allclose(values[late], scores(night, "label_conf", "train")[2][late])
    learnt = scores(night, "memorisation", "train")
    assert np.isnan(learnt[2]).tolist() == late.tolist()
    assert learnt[3] == {None, "seen_by_none"}


def test_a_shard_that_is_in_both_splits_was_seen_in_one(rescore, tmp_path):
    labels = [row % 3 for row in range(60)]
    file = write_parquet(tmp_path / "both.parquet", grey_pngs(60), labels)
    source = ("--dataset", "parquet", "--name", "both", "--train", file, "--test", file)
    assert rescore(*source, *METRICS) == 0
    outside = scores(tmp_path / "store", "oob_conf", "train")[2]
    assert (outside != scores(tmp_path / "store", "oob_conf", "test")[2]).any()
    assert scores(tmp_path / "store", MEMORISATION.name, "train")[3] == {None}
    assert scores(tmp_path / "store", MEMORISATION.name, "test")[3] == {"seen_by_none"}


def test_probabilities_are_published_with_the_night(night, rescore):
    store = Store(str(night))
    for split in ("train", "test"):
        rows = store.probabilities("digits", split)
        ids, labels, values, _ = scores(night, "oob_conf", split)
        assert rows["example_id"].to_pylist() == ids.tolist()
        assert rows["label"].to_pylist() == labels.tolist()
        assert set(rows["models"].to_pylist()) == {2 if split == "train" else 6}
        assert rows["classes"][0].as_py() == list(range(10))
        every = np.array(rows["probabilities"].to_pylist())
        np.testing.assert_allclose(every.sum(axis=1), 1, atol=2e-3)
        np.testing.assert_allclose(every[np.arange(len(ids)), labels], values, atol=5e-4)
    query = "select split, max(list_max(probabilities)) as most from probabilities group by 1"
    assert len(store.sql(query)) == 2
    before = [file.name for file in (night / "tables" / "probabilities").rglob("*.parquet")]
    assert len(before) == 2
    assert rescore(*FLAGS) == 0
    assert rescore(*FLAGS, "agr") == 0  # another metric of the same models
    after = [file.name for file in (night / "tables" / "probabilities").rglob("*.parquet")]
    assert after == before


def test_a_night_that_died_before_its_probabilities_publishes_them(night, rescore, capsys):
    shutil.rmtree(night / "tables" / "probabilities")
    shutil.rmtree(night / "tables" / "log_copies" / "probabilities")
    log = sorted((night / "tables" / "scores" / "_delta_log").iterdir())
    assert rescore(*FLAGS) == 0
    assert len(Store(str(night)).probabilities()) == 150
    assert sorted((night / "tables" / "scores" / "_delta_log").iterdir()) == log
    assert rescore(*FLAGS) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_without_an_ensemble_there_are_none(rescore, tmp_path):
    assert rescore(*SMALL, "--metrics", "msp") == 0
    assert len(Store(str(tmp_path / "store")).probabilities()) == 0
    assert not (tmp_path / "store" / "staging" / "probabilities").exists()
