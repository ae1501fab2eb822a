"""SQL over data files: every type and name comes through, and nothing damaged is believed."""

import io
import random
import signal
from datetime import UTC, date, datetime
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score_tables import night_row, part, run_row

from ray_jobs.cli import main
from scoring.errors import Damaged, UserError
from scoring.store.mark import ensure_marked
from scoring.store.parquet import write_parquet
from scoring.store.storage import Storage
from scoring.tables import Store, sql
from scoring.tables.data_files import DataFiles
from scoring.tables.leftovers import TABLE_NAMES
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import (
    DATA_SCHEMAS,
    EVALUATIONS,
    EXAMPLE_SETS,
    NIGHTS,
    REPRESENTER_MODELS,
    REPRESENTERS,
    RUNS,
    SCORES,
)
from scoring.tables.whole_partitions import EVALUATIONS_TABLE, replace_partition

SCHEMAS = (SCORES, NIGHTS, RUNS, EVALUATIONS, EXAMPLE_SETS, REPRESENTERS, REPRESENTER_MODELS)
VALUES = {
    pa.string(): ["a", "it's", None, "", "ü;\n"],
    pa.int32(): [0, -1, None, 2**31 - 1, 5],
    pa.int64(): [0, -1, None, 2**63 - 1, 5],
    pa.float64(): [0.0, -1.5, None, 1e308, 0.1],
    pa.bool_(): [True, False, None, True, False],
    pa.date32(): [date(2026, 3, 1), date(1970, 1, 1), None, date(9999, 12, 31), date(1900, 2, 28)],
    pa.timestamp("us", tz="UTC"): [
        datetime(2026, 3, 1, 1, 2, 3, 456789, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        None,
        datetime(9999, 12, 31, tzinfo=UTC),
        datetime(1900, 1, 1, tzinfo=UTC),
    ],
    pa.list_(pa.string()): [["a", None], [], None, ["it's"], ["x", "y", "z"]],
}
HOSTILE = ("a b", "50%", "it's", "a=b", "a/b", "ü", "*?[x]", "x.parquet", "..", "2026-03-01", "007")


def test_the_columns_of_every_table_are_known():
    assert {*DATA_SCHEMAS} == {*TABLE_NAMES}


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


@pytest.fixture
def local(tmp_path):
    return Storage(str(tmp_path / "store"))


def write(storage, path, rows):
    """As earlier versions did, without hashes."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    storage.write(path, buffer.getvalue())


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("sealed", [True, False])
def test_every_column_comes_through(local, schema, sealed):
    rows = pa.table({field.name: VALUES[field.type] for field in schema}, schema)
    if sealed:
        ensure_marked(local)
        write_parquet(local, "tables/x/a.parquet", rows)
    else:
        write(local, "tables/x/a.parquet", rows)
    views = {"x": lambda: sql.files_sql(["tables/x/a.parquet"], schema)}
    assert sql.run(local, "select * from x", views).equals(rows)
    nothing = {"x": lambda: sql.files_sql([], schema)}
    assert sql.run(local, "select * from x", nothing).equals(rows.slice(0, 0))


def test_partition_values_come_from_the_paths(storage):
    rows = pa.table({field.name: VALUES[field.type] for field in REPRESENTERS}, REPRESENTERS)
    paths = [f"tables/x/dataset={quote(value, safe='')}/split=test/a.parquet" for value in HOSTILE]
    for path in paths:
        write(storage, path, rows.slice(0, 2))
    columns = pa.schema([("dataset", pa.string()), ("split", pa.string()), *REPRESENTERS])
    views = {"x": lambda: sql.files_sql(paths, columns, ("dataset", "split"))}
    query = "select dataset, split, count(*) as n from x group by all order by all"
    want = [{"dataset": value, "split": "test", "n": 2} for value in sorted(HOSTILE)]
    assert sql.run(storage, query, views).to_pylist() == want
    for value in HOSTILE:
        one = f"select test_id from x where dataset = {sql.quoted(value)}"
        assert len(sql.run(storage, one, views)) == 2


def test_a_query_opens_only_the_partitions_that_it_asks_for(local, monkeypatch):
    metrics = [f"m{n}" for n in range(6)]
    publish(local, [part(metric, n=9) for metric in metrics])
    opened, read_range = set(), Storage.read_range

    def watched(storage, path, start, stop):
        opened.add(path)
        return read_range(storage, path, start, stop)

    monkeypatch.setattr(Storage, "read_range", watched)
    assert len(Store(local.uri).sql("select * from scores where metric = 'm3'")) == 9
    assert any("metric=m3/" in path for path in opened)
    assert len(opened) <= 2  # the first file tells the columns


def test_the_first_rows_of_a_partition_in_order(local):
    publish(local, [part("conf"), part("agr", n=20)])
    rows = Store(local.uri).sql(
        "select * from scores where metric = 'agr' and split = 'test' order by rank limit 5"
    )
    assert rows["rank"].to_pylist() == [0, 1, 2, 3, 4]
    assert set(rows["metric"].to_pylist()) == {"agr"}


def test_two_views_of_one_query_and_a_join_with_itself(storage):
    publish(storage, [part("conf"), part("agr", n=20)])
    append_night(storage, night_row("night-1"), [run_row("night-1")])
    got = Store(storage.uri).sql(
        "select count(*) as n, max(test_accuracy) as accuracy from scores a "
        "join scores b using (dataset, split, name), runs where a.metric <> b.metric"
    )
    assert [row["accuracy"] for row in got.to_pylist()] == [0.8]


# -- damage ----------------------------------------------------------------------------------------


def published(storage):
    """Publish 1000 rows in a marked store; return the path of their file."""
    ensure_marked(storage)
    publish(storage, [part(n=1000)])
    (path,) = (f.path for f in storage.walk("tables/scores") if f.path.endswith(".parquet"))
    return path


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_flipped_bit_never_changes_an_answer(local):
    path = published(local)
    whole, want = local.read(path), Store(local.uri).scores()
    found = 0
    for bit in random.Random(0).sample(range(8 * len(whole)), 150):
        local.write(path, flipped(whole, bit))
        try:
            answer = Store(local.uri).scores()
        except Damaged:
            found += 1
        else:
            assert answer.equals(want), bit
    assert found >= 148  # the magic at the start does not matter


def test_damage_to_a_file_without_hashes_is_one_line_if_it_is_found(local):
    rows = pa.table({field.name: VALUES[field.type] * 200 for field in SCORES}, SCORES)
    write(local, "tables/x/a.parquet", rows)
    whole = local.read("tables/x/a.parquet")
    views = {"x": lambda: sql.files_sql(["tables/x/a.parquet"], SCORES)}
    found = 0
    for bit in random.Random(0).sample(range(8 * len(whole)), 150):
        local.write("tables/x/a.parquet", flipped(whole, bit))
        try:
            sql.run(local, "select * from x", views)
        except Damaged as error:
            found += "tables/x/a.parquet" in str(error) and "\n" not in str(error)
        except UserError as error:
            found += "\n" not in str(error)
    assert found > 20


@pytest.mark.parametrize("keep", [0, 3, 100, -1, -200])
def test_a_file_that_was_cut_off_is_named(local, keep):
    path = published(local)
    local.write(path, local.read(path)[:keep])
    with pytest.raises(Damaged, match=path):
        Store(local.uri).scores()


def test_a_command_says_so_in_one_line_and_exits_with_5(storage, capsys):
    path = published(storage)
    whole = storage.read(path)
    (found,) = [whole.find(b"\x28\xb5\x2f\xfd")]  # zstd's mark: the first compressed page
    storage.write(path, flipped(whole, 8 * (found + 30)))
    for command in (
        ["query", "select sum(example_id) from scores"],
        ["outliers", "--metric", "conf"],
    ):
        assert main([*command, "--store", storage.uri]) == 5
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == (
            f"protoscore: error: --store: expected {path} as it was written, got a damaged file; "
            "run verify --mend, then rescore\n"
        )
    assert main(["query", "select count(*) from scores", "--store", storage.uri]) == 0


def test_a_column_without_damage_is_still_read(local):
    path = published(local)
    whole = local.read(path)
    local.write(path, flipped(whole, 8 * (whole.find(b"\x28\xb5\x2f\xfd") + 30)))
    assert len(Store(local.uri).sql("select sum(value) from scores")) == 1
    with pytest.raises(Damaged):
        Store(local.uri).sql("select sum(example_id) from scores")


def test_a_mistake_in_a_query_is_not_taken_for_damage(local):
    publish(local, [part()])
    for query in (
        "select error('no') from scores",
        "select name::int from scores",
        "select chr(-1)",
    ):
        with pytest.raises(UserError):
            Store(local.uri).sql(query)


def test_a_file_that_is_gone_is_named(storage):
    publish(storage, [part()])
    (path,) = (f.path for f in storage.walk("tables/scores") if f.path.endswith(".parquet"))
    storage.delete(path)
    with pytest.raises(Damaged, match=f"expected {path}, got no such file"):
        Store(storage.uri).scores()


# -- what DuckDB sees ------------------------------------------------------------------------------


def test_threads_that_share_a_file_read_what_they_asked_for(local):
    """DuckDB seeks, then reads, and another thread may seek in between."""
    from threading import Thread

    write(local, "tables/x/a.parquet", pa.table({"x": list(range(1000))}))
    whole = local.read("tables/x/a.parquet")
    files = DataFiles(local)
    files.allow(["tables/x/a.parquet"])
    file = files.open("store://tables/x/a.parquet")
    file.seek(4)
    other = Thread(target=lambda: file.seek(100))
    other.start()
    other.join()
    assert file.read(10) == whole[4:14]
    assert file.tell() == 14


@pytest.mark.parametrize(
    "path", ["tables/x/b.parquet", "tables/x/../x/a.parquet", "/etc/passwd", "tables", ""]
)
def test_files_of_no_view_do_not_exist(local, path):
    files = DataFiles(local)
    files.allow(["tables/x/a.parquet"])
    for call in (files.open, files.info):
        with pytest.raises(UserError, match="expected the tables by their names, got"):
            call(f"store://{path}")


def test_a_query_reaches_only_the_tables_that_it_names(local):
    publish(local, [part(n=9)])
    write(local, "tables/x/a.parquet", pa.table({"x": [1]}))
    with pytest.raises(UserError, match="expected the tables by their names, got"):
        Store(local.uri).sql("from read_parquet('store://tables/x/a.parquet')")


@pytest.mark.parametrize("mode", ["wb", "ab", "xb", "r+b"])
def test_files_are_only_read(local, mode):
    with pytest.raises(UserError, match="expected to read"):
        DataFiles(local).open("store://tables/x/a.parquet", mode)
    assert local.walk("") == []


def test_evaluations_are_one_table(storage):
    rows = pa.table({f.name: VALUES[f.type] for f in EVALUATIONS}, EVALUATIONS)
    for dataset in ("it's", "b/c"):
        partition = {"dataset": dataset, "evaluation": "noise"}
        replace_partition(storage, EVALUATIONS_TABLE, partition, rows.to_batches())
    got = Store(storage.uri).evaluations("b/c")
    assert got.drop_columns(["dataset", "evaluation"]).equals(rows)
    assert set(got["dataset"].to_pylist()) == {"b/c"}


def test_a_signal_ends_a_query_as_it_would_end_any_other_work(local):
    publish(local, [part(n=9)])

    def stop(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(1)
    try:
        with pytest.raises(KeyboardInterrupt):
            Store(local.uri).sql("select count(*) from range(10000000) a, range(1000000) b, scores")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
