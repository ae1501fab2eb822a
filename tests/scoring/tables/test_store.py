from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from score_tables import CLASSES, night_row, part, reader_options, run_row, write_classes

from scoring.errors import BadStore, Damaged, UnknownName, UserError
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.delta import open_table
from scoring.tables.history import HISTORY
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import SCORES_TABLE

PARTS = [part("conf"), part("agr", n=20), part("conf", split="train", n=12)]
CONF = pa.Table.from_batches(PARTS[0][1])


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


@pytest.fixture
def local(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    publish(storage, PARTS)
    return storage


@pytest.fixture
def store(local):
    return Store(local.uri)


def ids(table):
    return table["example_id"].to_pylist()


# -- scores ----------------------------------------------------------------------------------------


def test_scores_come_by_partition_label_and_column(storage):
    publish(storage, PARTS)
    store = Store(storage.uri)
    assert store.scores().schema.equals(SCORES_TABLE)
    assert len(store.scores()) == 62
    assert len(store.scores(split="test")) == 50
    got = store.scores("digits", "test", "conf", label=1, columns=["example_id", "value"])
    want = CONF.filter(pc.field("label") == 1).select(["example_id", "value"])
    assert got.equals(want)


def check_reading(uri):
    publish(Storage(uri), PARTS)
    store = Store(uri)
    got = store.sql("select split, metric, count(*) as n from scores group by all order by n")
    want = [("train", "conf", 12), ("test", "agr", 20), ("test", "conf", 30)]
    assert [tuple(row.values()) for row in got.to_pylist()] == want
    assert len(store.scores(metric="agr")) == 20


def test_folders_above_a_store_do_not_matter(store_uri):
    check_reading(f"{store_uri}/it's/metric=adv/split=train")


def test_a_folder_may_look_like_a_pattern(tmp_path):
    check_reading(str(tmp_path / "[1] *?{a,b}"))


def test_only_the_partitions_asked_for_are_read(local, store):
    """A partition can be read even if the files of all others are gone."""
    for file in open_table(local, "scores").file_uris():
        if "metric=agr" not in file:
            local.delete(file.removeprefix(f"{local.uri}/"))
    assert len(store.scores(metric="agr")) == 20
    assert len(store.outliers("agr", n=100)) == 19
    with pytest.raises(Damaged, match="got no such file"):
        store.scores()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "adv"}, "--metric: expected one of agr, conf, got 'adv'"),
        ({"dataset": "mnist"}, "--dataset: expected one of digits, got 'mnist'"),
        ({"metric": "agr", "split": "train"}, "--metric: expected one of conf, got 'agr'"),
        ({"columns": ["score"]}, "columns: expected one of class_percentile, .*, got 'score'"),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(store, arguments, message):
    with pytest.raises(UnknownName, match=message):
        store.scores(**arguments)


def test_an_unpublished_store_is_refused_with_advice(storage):
    store = Store(storage.uri)
    calls = (store.scores, store.history, lambda: store.sql("select 1"), lambda: store.outliers(""))
    for call in calls:
        with pytest.raises(BadStore) as caught:
            call()
        assert str(caught.value) == (
            f"--store: expected a store with published scores, got none at {store.uri}; "
            "run protoscore rescore first"
        )
    assert len(store.nights()) == len(store.runs()) == 0


def test_a_table_without_a_first_commit_counts_as_unpublished(storage):
    with pytest.raises(KeyboardInterrupt):
        publish(storage, _interrupted())
    with pytest.raises(BadStore, match="run protoscore rescore first"):
        Store(storage.uri).scores()


def _interrupted():
    yield part()
    raise KeyboardInterrupt


# -- sql -------------------------------------------------------------------------------------------


def test_sql_over_three_tables(storage):
    publish(storage, PARTS)
    append_night(storage, night_row("night-1"), [run_row("night-1", "r1")])
    store = Store(storage.uri)
    got = store.sql(
        "select metric, split, count(*) as n, max(rank) as last from scores group by all order by n"
    )
    want = [("conf", "train", 12, 10), ("agr", "test", 20, 18), ("conf", "test", 30, 28)]
    assert [tuple(row.values()) for row in got.to_pylist()] == want
    joined = store.sql(
        "select n.dataset, r.test_accuracy from nights n join runs r using (night_id)"
    )
    assert joined.to_pylist() == [{"dataset": "digits", "test_accuracy": 0.8}]


def test_sql_agrees_with_polars(storage):
    publish(storage, PARTS)
    uri = f"{storage.uri}/tables/scores"
    scores = pl.scan_delta(uri, storage_options=reader_options(uri) or None)
    query = "select label, avg(value) as mean from scores where metric = 'conf' group by label"
    one = {row["label"]: row["mean"] for row in Store(storage.uri).sql(query).to_pylist()}
    conf = scores.filter(pl.col("metric") == "conf")
    other = dict(conf.group_by("label").agg(pl.col("value").mean()).collect().rows())
    assert one.keys() == other.keys() == {0, 1, 2, None}
    np.testing.assert_allclose([one[k] for k in other], list(other.values()), rtol=1e-12)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selec 1", 'got Parser Error: syntax error at or near "selec"'),
        ("select nope from scores", 'Referenced column "nope" not found'),
        ("select * from score", "Table with name score does not exist!"),
        ("select name::int from scores", "Conversion Error"),
        ("", "expected a statement that returns rows, got ''"),
        ("select * from local", "Table with name local does not exist"),
    ],
)
def test_sql_errors_are_one_line(store, query, message):
    with pytest.raises(UserError) as caught:
        store.sql(query)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("query: expected ")


def test_a_query_cannot_change_what_is_published(store):
    with pytest.raises(UserError):
        store.sql("delete from scores")
    assert len(store.scores()) == 62


# -- outliers and prototypes -----------------------------------------------------------------------


def test_both_ends_of_a_ranking(storage):
    publish(storage, PARTS)
    store = Store(storage.uri)
    by_rank = CONF.filter(pc.field("rank").is_valid()).sort_by("rank")
    low, high = store.outliers("conf", n=5), store.prototypes("conf", n=5)
    assert ids(low) == ids(by_rank)[:5]
    assert ids(high) == ids(by_rank)[::-1][:5]
    assert low["rank"].to_pylist() == [0, 1, 2, 3, 4]
    assert len(store.outliers("conf", n=1000)) == 29  # the undecodable image is at neither end
    assert len(store.outliers("conf", n=0)) == 0
    assert len(store.outliers("conf", split="train")) == 10


def test_class_names_come_with_the_rows(storage):
    publish(storage, PARTS)
    store = Store(storage.uri)
    assert set(store.outliers("conf", n=100)["label_name"].to_pylist()) == {None}
    write_classes(storage, PARTS[0][0])
    rows = store.outliers("conf", n=100).to_pylist()
    assert len({row["label"] for row in rows}) == 4  # unknown is one of them
    for row in rows:
        assert row["label_name"] == (None if row["label"] is None else CLASSES[row["label"]])
        assert row["predicted_name"] == CLASSES[row["predicted"]]


@pytest.mark.parametrize("label", ["bag", "1", 1])
def test_one_class_by_name_or_index(local, store, label):
    write_classes(local, PARTS[0][0])
    ranked = CONF.filter(pc.field("rank").is_valid())
    want = ranked.filter(pc.field("label") == 1).sort_by("rank")
    assert ids(store.outliers("conf", label=label, n=3)) == ids(want)[:3]
    assert ids(store.prototypes("conf", label=label, n=3)) == ids(want)[::-1][:3]


def test_a_class_name_takes_precedence_over_an_index(local, store):
    write_classes(local, PARTS[0][0], ("2", "1", "0"))
    assert set(store.outliers("conf", label="2")["label"].to_pylist()) == {0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "adv"}, "--metric: expected one of agr, conf, got 'adv'"),
        ({"metric": "conf", "split": "valid"}, "--split: expected one of test, train, got 'valid'"),
        ({"metric": "conf", "dataset": "m"}, "--dataset: expected one of digits, got 'm'"),
        ({"metric": "conf", "label": "hat"}, "--label: expected one of ankle boot, bag, coat, got"),
        ({"metric": "conf", "label": 3}, "--label: expected one of .*, got '3'"),
        ({"metric": "conf", "n": -1}, "-n: expected 0 or more rows, got -1"),
    ],
)
def test_missing_names_are_reported(local, store, arguments, message):
    write_classes(local, PARTS[0][0])
    with pytest.raises(UserError, match=message):
        store.outliers(**arguments)


def test_the_dataset_must_be_named_if_there_are_two(local, store):
    publish(local, [part("conf", dataset="mnist", n=9)])
    with pytest.raises(UserError, match="--dataset: expected one of digits, mnist, got none"):
        store.outliers("conf")
    assert len(store.outliers("conf", dataset="mnist")) == 8
    assert len(store.outliers("agr")) == 10


# -- as it was -------------------------------------------------------------------------------------


def build_three_nights(storage):
    for night in (1, 2, 3):
        publish(storage, [part(key=f"k{night}", night=night, n=10 * night)])
        append_night(storage, night_row(f"night-{night}", night), [run_row(f"night-{night}")])


@pytest.fixture
def three_nights(storage, lay_down):
    lay_down(storage, build_three_nights)
    return Store(storage.uri)


def test_at_a_version(three_nights):
    for at, want in ((1, 10), (2, 20), ("2", 20), (3, 30), (None, 30), (0, 0)):
        assert len(three_nights.scores(at=at)) == want
        assert three_nights.sql("select count(*) as n from scores", at=at)["n"].to_pylist() == [
            want
        ]


def test_at_a_time(three_nights):
    history = three_nights.history()
    assert history.schema.equals(HISTORY)
    assert history["version"].to_pylist() == [3, 2, 1, 0]
    assert history["night_id"].to_pylist() == ["night-3", "night-2", "night-1", None]
    times = {row["version"]: row["committed_at"] for row in history.to_pylist()}
    just_before = times[3] - timedelta(milliseconds=1)
    offset = times[2].astimezone(datetime.strptime("+0530", "%z").tzinfo).isoformat()
    naive = times[1].replace(tzinfo=None)
    future = datetime.now(UTC) + timedelta(days=1)
    for at, want in (
        (times[2], 20),
        (just_before, 20),
        (offset, 20),
        (naive, 10),
        (naive.isoformat(), 10),
        (future, 30),
    ):
        assert len(three_nights.scores(at=at)) == want


def build_four_nights(storage):
    for day, night in ((5, 1), (6, 2), (6, 3), (9, 4)):
        publish(storage, [part(key=f"k{night}", night=night, n=10 * night)])
        append_night(storage, night_row(f"night-{night}", night, date(2026, 3, day)), [])


def test_a_date_means_after_its_last_night(storage, lay_down):
    lay_down(storage, build_four_nights)
    store = Store(storage.uri)
    for day, want in ((5, 10), (6, 30), (8, 30), (9, 40), (10, 40)):
        assert len(store.scores(at=f"2026-03-{day:02d}")) == want
    with pytest.raises(UserError, match="--at: expected a date from 2026-03-05 on, got 2026-03-04"):
        store.scores(at="2026-03-04")


def test_nights_and_runs_as_they_were(three_nights):
    query = "select night_id from {} order by 1"
    for view in ("nights", "runs"):
        assert three_nights.sql(query.format(view), at=2)["night_id"].to_pylist() == [
            "night-1",
            "night-2",
        ]
        assert len(three_nights.sql(query.format(view))) == 3


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (7, "--at: expected a version from 0 to 1, got 7"),
        (-1, "--at: expected a version from 0 to 1, got -1"),
        ("March", "--at: expected a version from 0 to 1, a date like .*, got 'March'"),
        ("-3", "--at: expected a version from 0 to 1, a date like .*, got '-3'"),
        (
            "2001-01-01T00:00",
            r"--at: expected a time from 20\d\d-.* on, got 2001-01-01T00:00:00\+00:00",
        ),
    ],
)
def test_an_unknown_version_or_time_is_refused(store, at, message):
    with pytest.raises(UserError, match=message):
        store.scores(at=at)


def test_a_version_whose_log_is_gone(local, store):
    publish(local, [part(key="k2", night=2)])
    table = open_table(local, "scores")
    table.create_checkpoint()
    for version in (0, 1):
        local.delete(f"tables/scores/_delta_log/{version:020}.json")
        local.delete(f"tables/log_copies/scores/{version:020}.json")
    with pytest.raises(UserError, match="--at: expected a version that is kept, got 1"):
        store.scores(at=1)
    assert len(store.scores()) == 62
