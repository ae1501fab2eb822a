"""Tables of stores of an earlier protoscore get the columns that were added since."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from score_tables import night_row, part, run_row

from scoring.store.layout import manifest_path
from scoring.store.records import write_twice
from scoring.store.storage import Storage
from scoring.tables import Store, commit, delta, log_check
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import (
    ADDED,
    NIGHTS,
    PARTITION_COLUMNS,
    SCORES,
    SCORES_TABLE,
    without_added,
)


def publish_as_before(storage: Storage, metric: str) -> None:
    """Publish a partition as an earlier protoscore did."""
    manifest, batches = part(metric)
    old = without_added(SCORES)
    rows = pa.Table.from_batches(batches).select(old.names).to_batches()
    delta.ensure_table(storage, "scores", without_added(SCORES_TABLE), PARTITION_COLUMNS)
    path = manifest.new_data_path()
    add = commit.write_file(storage, "scores", path, rows, old, manifest.partition._asdict())
    write_twice(storage, manifest_path(path), manifest)
    commit.commit(storage, "scores", lambda _: commit.Change(adds=[add]))


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    publish_as_before(storage, "conf")
    return storage


def test_scores_of_an_earlier_protoscore_are_read_with_nulls(storage):
    table = Store(storage.uri).scores()
    assert table.schema.equals(SCORES_TABLE)
    assert len(table) == 30
    assert table["given_label"].null_count == 30


def test_old_and_new_data_files_are_read_together(storage, monkeypatch):
    before = Store(storage.uri).scores(metric="conf")
    manifest, batches = part("agr")
    given = pa.array([2] + [None] * (len(batches[0]) - 1), pa.int32())
    at = SCORES.get_field_index("given_label")
    batches = [batches[0].set_column(at, SCORES.field(at), given)]
    outcome = publish(storage, [(manifest, batches)])
    store = Store(storage.uri)
    assert store.scores(metric="conf") == before
    assert store.scores(metric="agr")["given_label"].drop_null().to_pylist() == [2]
    both = (
        "select metric, count(given_label) as n, count(*) as rows from scores group by 1 order by 1"
    )
    assert store.sql(both).to_pylist() == [
        {"metric": "agr", "n": 1, "rows": 30},
        {"metric": "conf", "n": 0, "rows": 30},
    ]
    assert store.scores(at=1) == before
    assert outcome.version == 3  # the columns are a commit of their own
    assert store.history()["night_id"].to_pylist() == ["night-1", None, None, None]
    by_others = DeltaTable(f"{storage.uri}/tables/scores").to_pyarrow_table()
    assert by_others["given_label"].drop_null().to_pylist() == [2]
    monkeypatch.setattr(log_check, "_checked", set())  # as another process
    assert len(Storage(storage.uri, mends=True).names("tables/log_copies/scores")) == 4
    assert len(Store(storage.uri).scores()) == 60


def test_two_jobs_may_add_the_columns_at_once(storage):
    late = delta.open_table(storage, "scores")
    delta.ensure_table(storage, "scores", SCORES_TABLE, PARTITION_COLUMNS)
    table = delta._with_columns(storage, "scores", late, SCORES_TABLE)
    assert {field.name for field in table.schema().fields} == {*SCORES_TABLE.names}
    assert table.version() == 2


def test_a_night_recorded_by_an_earlier_protoscore_has_nulls(storage):
    old = {name: value for name, value in night_row("night-1").items() if name not in ADDED}
    delta.ensure_table(storage, "nights", without_added(NIGHTS))
    rows = pa.Table.from_pylist([old], schema=without_added(NIGHTS))
    file = commit.write_file(
        storage, "nights", "night-1-0123abcd.parquet", rows.to_batches(), rows.schema, {}
    )
    commit.commit(storage, "nights", lambda _: commit.Change(adds=[file]))
    append_night(storage, {**old, "night_id": "night-2"}, [run_row("night-2")])
    append_night(storage, night_row("night-3"), [run_row("night-3")])
    nights = Store(storage.uri).nights()
    assert nights["night_id"].to_pylist() == ["night-1", "night-2", "night-3"]
    assert nights["test_accuracy"].to_pylist() == [None, None, 0.9]
    assert nights["corrected"].to_pylist() == [None, None, 0]
