import numpy as np
import pytest
from scipy.stats import spearmanr
from score_tables import part

from scoring.errors import UnknownName, UserError
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.publish import publish


@pytest.fixture
def store(tmp_path):
    """Two versions of `conf`; `agr` stays the same, `priv` is added in version 2."""
    storage = Storage(str(tmp_path))
    publish(storage, [part("conf", n=400, seed=1), part("agr")])
    publish(
        storage, [part("conf", n=400, seed=2, key="k2", night=2), part("priv", night=2, key="p")]
    )
    return Store(storage.uri)


def percentiles(store, metric, at):
    table = store.scores(metric=metric, at=at).to_pandas().set_index("example_id")
    return table["percentile"].dropna()


def test_spearman_is_scipys_over_the_examples_that_both_rank(store):
    rows = {row["metric"]: row for row in store.agreement(1, 2).to_pylist()}
    one, two = percentiles(store, "conf", 1), percentiles(store, "conf", 2)
    common = one.index.intersection(two.index)
    assert rows["conf"]["compared"] == len(common) > 3
    assert rows["conf"]["spearman"] == pytest.approx(spearmanr(one[common], two[common]).statistic)
    assert rows["conf"]["mean_moved"] == pytest.approx(np.abs(one - two).mean())
    assert rows["agr"]["spearman"] == pytest.approx(1)
    assert rows["agr"]["mean_moved"] == 0
    assert rows["priv"]["spearman"] is None
    assert [rows["priv"][c] for c in ("rows_before", "rows_after", "compared")] == [0, 30, 0]


def test_relabelled_examples_come_first_then_the_most_moved_without_those_that_stayed(store):
    moved = store.moved(1, 2, n=1000).to_pandas()
    one, two = percentiles(store, "conf", 1), percentiles(store, "conf", 2)
    want = (two - one).dropna()
    relabelled = moved["label"].ne(moved["label_before"])
    assert relabelled.is_monotonic_decreasing  # they come first
    assert relabelled.any()
    assert set(moved["metric"]) == {"conf"}
    assert moved[~relabelled]["moved"].abs().is_monotonic_decreasing
    assert (moved[~relabelled]["moved"] != 0).all()
    want = want[(want != 0) | want.index.isin(moved[relabelled]["example_id"])]
    assert dict(zip(moved["example_id"], moved["moved"], strict=True)) == pytest.approx(dict(want))
    assert len(store.moved(1, 2, n=2)) == 2
    assert len(store.moved(1, 2, n=0)) == 0


def test_the_later_version_is_now_by_default(store):
    assert store.moved(1).equals(store.moved(1, 2))
    assert len(store.moved(2)) == 0


def test_partitions_can_be_selected(store):
    assert store.agreement(1, 2, metric="agr")["metric"].to_pylist() == ["agr"]
    with pytest.raises(UnknownName, match="--metric: expected one of agr, conf, priv, got 'vog'"):
        store.agreement(1, 2, metric="vog")
    with pytest.raises(UserError, match="--from: expected a version from 0 to 2, got 9"):
        store.moved(9)
    with pytest.raises(UserError, match="--to: expected a version from 0 to 2, got 9"):
        store.agreement(1, 9)
    with pytest.raises(UserError, match="-n: expected 0 or more rows, got -1"):
        store.moved(1, 2, n=-1)
