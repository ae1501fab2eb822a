from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from awkward import CLASSES
from report_store import METRICS, publish_scores, shapes, write_dataset

from scoring.analysis.snapshot import take_snapshot
from scoring.errors import Damaged, UnknownName, UserError
from scoring.exports import select
from scoring.report import MetricInfo
from scoring.store.storage import Storage
from scoring.tables import Store

EXAMPLES = {"train": shapes(30, 3, seed=1), "test": shapes(26, 3, seed=2)}
BOTH = ("train", "test")


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    versions = write_dataset(storage, "shapes", EXAMPLES, CLASSES)
    publish_scores(storage, "shapes", versions, EXAMPLES)
    return storage


def rescore(storage, examples, texts, night):
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples, texts, night=night)


def test_each_example_is_one_row_with_its_published_scores(selection, store):
    rows = pa.concat_tables(selection.tables())
    assert rows.schema == selection.schema
    assert rows["example_id"].to_pylist() == list(range(100))
    assert rows["split"].to_pylist() == ["train"] * 60 + ["test"] * 40
    published = Store(store).scores().to_pylist()
    assert len(published) == 200
    by_id = {row["example_id"]: row for row in rows.to_pylist()}
    for row in published:
        wide = by_id[row["example_id"]]
        for name in ("split", "name", "label", "predicted"):
            assert wide[name] == row[name]
        for name in ("value", "percentile", "class_percentile", "status"):
            assert wide[f"{row['metric']}_{name}"] == row[name]
        for name in ("label", "predicted"):
            expected = None if row[name] is None else CLASSES[row[name]]
            assert wide[f"{name}_name"] == expected


def test_a_metric_that_is_ranked_by_class_z_has_it(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    vog = MetricInfo(name="vog", prototypical="low", ranked_by="class_z")
    examples = {
        split: replace(found, values={**found.values, "vog": found.values["agr"]})
        for split, found in EXAMPLES.items()
    }
    versions = write_dataset(storage, "shapes", examples, CLASSES)
    publish_scores(storage, "shapes", versions, examples, (*METRICS, vog))
    selection = select(take_snapshot(storage.uri), BOTH, ("agr", "vog"))
    assert [n for n in selection.schema.names if n.endswith("class_z")] == ["vog_class_z"]
    assert selection.provenance()["ranked_by"] == {"agr": "value", "vog": "class z"}
    rows = pa.concat_tables(selection.tables())
    published = Store(storage.uri).scores("shapes", "test", "vog").sort_by("example_id")
    assert rows.slice(30)["vog_class_z"].to_pylist() == published["class_z"].to_pylist()


def test_some_metrics_of_one_split(store):
    selection = select(take_snapshot(store), ("test",), ("agr",))
    assert (selection.splits, selection.metrics, selection.rows) == (("test",), ("agr",), 40)
    (first, second) = selection.tables()  # a shard each
    assert (len(first), len(second)) == (25, 15)
    assert [name for name in first.column_names if "adv" in name] == []


def test_a_metric_of_one_split_is_null_in_the_other(storage):
    fewer = {**EXAMPLES, "test": replace(EXAMPLES["test"], values={})}
    rescore(storage, fewer, [replace(METRICS[0], name="priv")], night=2)
    values = {**EXAMPLES["train"].values, "priv": np.arange(30.0)}
    more = {**fewer, "train": replace(EXAMPLES["train"], values=values)}
    rescore(storage, more, [replace(METRICS[0], name="priv")], night=3)
    selection = select(take_snapshot(storage.uri), BOTH, ())
    rows = pa.concat_tables(selection.tables())
    assert selection.metrics == ("adv_l2", "agr", "priv")
    assert rows["priv_value"].to_pylist() == [*range(30), *[None] * 26]
    assert select(take_snapshot(storage.uri), BOTH, ("priv",)).splits == ("train",)


def test_scores_of_different_dataset_versions_do_not_mix(storage):
    grown = {**EXAMPLES, "test": shapes(40, 3, seed=2)}
    rescore(storage, grown, [METRICS[1]], night=2)
    snapshot = take_snapshot(storage.uri)
    selection = select(snapshot, BOTH, ())
    assert selection.left_out == ["test/adv_l2"]
    assert selection.partitions == {"train": ["adv_l2", "agr"], "test": ["agr"]}
    assert selection.rows == 30 + 40
    assert sum(map(len, selection.tables())) == 70
    with pytest.raises(UserError, match=r"--metrics: expected metrics scored on one version of th"):
        select(snapshot, BOTH, ("agr", "adv_l2"))
    older = select(snapshot, ("test",), ("adv_l2",))
    assert (older.rows, sum(map(len, older.tables()))) == (26, 26)


def test_an_unknown_metric_is_refused(store):
    with pytest.raises(UnknownName, match="--metrics: expected one of adv_l2, agr, got 'aum'"):
        select(take_snapshot(store), ("train",), ("agr", "aum"))


def test_later_publications_do_not_change_a_selection(storage):
    selection = select(take_snapshot(storage.uri), BOTH, ())
    before = pa.concat_tables(selection.tables())
    values = {name: -value for name, value in EXAMPLES["test"].values.items()}
    changed = {**EXAMPLES, "test": replace(EXAMPLES["test"], values=values)}
    rescore(storage, changed, METRICS, night=2)
    assert pa.concat_tables(selection.tables()) == before
    assert pa.concat_tables(select(take_snapshot(storage.uri), BOTH, ()).tables()) != before


def test_a_missing_shard_is_reported_in_one_line(storage):
    selection = select(take_snapshot(storage.uri), BOTH, ())
    gone = selection.version("test").shards[-1].path("shapes")
    Path(storage.uri, gone).unlink()
    with pytest.raises(Damaged, match=rf"--store: expected {gone}, got no such file"):
        list(selection.tables())
