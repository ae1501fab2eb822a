import gc
import multiprocessing
import signal
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake.exceptions import CommitFailedError
from score_tables import part, publish_and_die, publish_at, reader_options, rows_of

from scoring.errors import BadStore, IncompleteError
from scoring.store.storage import Storage
from scoring.tables import commit, delta
from scoring.tables.delta import open_table
from scoring.tables.log_entries import log_entries
from scoring.tables.manifest import Manifest, Partition
from scoring.tables.publish import Outcome, publish, published
from scoring.tables.schemas import PARTITION_COLUMNS, SCORES

SPAWN = multiprocessing.get_context("spawn")
CONF, AGR = Partition("digits", "test", "conf"), Partition("digits", "test", "agr")


@pytest.fixture
def storage(store_uri):
    return Storage(store_uri)


@pytest.fixture
def local(tmp_path):
    return Storage(str(tmp_path / "store"))


def read(storage: Storage, version: int | None = None) -> pa.Table:
    return open_table(storage, "scores", version).to_pyarrow_table()


def nights(storage: Storage, version: int | None = None) -> dict[str, int]:
    """Rows by metric and the night that made them: a replaced partition must be of one night."""
    rows = read(storage, version).select(["metric", "score_key"]).to_pylist()
    return dict(Counter(f"{row['metric']} {row['score_key']}" for row in rows))


def names(manifests):
    return [manifest.partition.metric for manifest in manifests]


def test_nothing_is_published_in_an_empty_store(storage):
    assert published(storage) == {}
    assert open_table(storage, "scores") is None


def test_published_rows_can_be_read(storage):
    one, two = part("conf"), part("agr", n=20)
    outcome = publish(storage, [one, two])
    assert (names(outcome.committed), outcome.version) == (["conf", "agr"], 1)  # one commit
    assert published(storage) == {CONF: one[0], AGR: two[0]}
    for metric, want in (("conf", one[1]), ("agr", two[1])):
        got = read(storage).filter(pc.field("metric") == metric)
        assert set(got["dataset"].to_pylist()) == {"digits"}
        assert got.select(SCORES.names).equals(pa.Table.from_batches(want))


def test_data_files_leave_out_the_partition_columns(local):
    publish(local, [part()])
    (file,) = open_table(local, "scores").file_uris()
    assert pq.read_schema(file).equals(SCORES)
    assert "/dataset=digits/split=test/metric=conf/k1-" in file


def test_the_same_key_again_commits_nothing(storage):
    publish(storage, [part()])
    files = storage.names("tables/manifests")
    outcome = publish(storage, [part(night=2)])
    assert outcome == Outcome(already=(part(night=2)[0],))
    assert open_table(storage, "scores").version() == 1
    assert storage.names("tables/manifests") == files


def test_a_new_key_replaces_exactly_its_partition(storage):
    publish(storage, [part("conf"), part("agr"), part("conf", split="train", n=10)])
    outcome = publish(storage, [part("conf", key="k2", night=2, n=40)])
    assert (names(outcome.committed), outcome.version) == (["conf"], 2)
    assert nights(storage) == {"conf night-2": 40, "agr night-1": 30, "conf night-1": 10}
    assert len(open_table(storage, "scores").file_uris()) == 3
    assert published(storage)[CONF].key == "k2"
    assert published(storage, version=1)[CONF].key == "k1"


def test_an_earlier_key_published_again_counts_as_the_later_plan(local):
    publish(local, [part(key="k1", night=1)])
    publish(local, [part(key="k2", night=2)])
    publish(local, [part(key="k1", night=4)])
    outcome = publish(local, [part(key="k3", night=3)])
    assert names(outcome.yielded) == ["conf"]
    assert published(local)[CONF].night_id == "night-4"


def test_an_older_plan_yields(storage):
    publish(storage, [part(key="k2", night=2)])
    outcome = publish(storage, [part(key="k1", night=1)])
    assert outcome == Outcome(yielded=(part(key="k1", night=1)[0],))
    assert nights(storage) == {"conf night-2": 30}


def test_partitions_are_decided_one_by_one(local):
    publish(local, [part("conf", key="later", night=3), part("agr", key="k")])
    outcome = publish(
        local, [part("conf", night=2), part("agr", key="k", night=2), part("ret", night=2)]
    )
    assert names(outcome.yielded) == ["conf"]
    assert names(outcome.already) == ["agr"]
    assert names(outcome.committed) == ["ret"]


def test_an_empty_partition_can_be_published(local):
    assert publish(local, [part(n=0)]).version == 1
    assert published(local)[CONF].rows == 0
    assert len(read(local)) == 0


def test_only_one_partition_is_in_memory(local):
    alive = []

    def parts():
        for metric in ("conf", "agr", "ret"):
            gc.collect()
            assert not any(reference() for reference in alive)
            manifest, rows = part(metric)
            alive.append(weakref.ref(rows[0]))
            yield manifest, rows
            del rows

    assert len(publish(local, parts()).committed) == 3


def doubled(rows):
    return pa.concat_tables([rows.slice(0, 1), rows.slice(0, len(rows) - 1)])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda rows: rows.slice(1), "digits/test/conf: expected 30 rows, got 29"),
        (doubled, "expected every example once, got 29 different ids"),
        (lambda rows: rows.sort_by("example_id"), "expected rows sorted by label and rank"),
        (lambda rows: rows.sort_by([("label", "descending")]), "expected rows sorted"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_incomplete_rows_are_refused_and_change_nothing(local, damage, message, chunk):
    publish(local, [part("agr")])
    manifest, batches = part("conf")
    rows = damage(pa.Table.from_batches(batches))
    with pytest.raises(IncompleteError, match=message) as caught:
        publish(local, [part("ret"), (manifest, rows.to_batches(max_chunksize=chunk))])
    assert caught.value.exit_code == 4
    assert nights(local) == {"agr night-1": 30}
    folder = Path(local.uri, "tables", "scores", "dataset=digits", "split=test", "metric=conf")
    assert not folder.exists() or list(folder.iterdir()) == []


def test_other_columns_are_refused(local):
    manifest, (rows,) = part()
    with pytest.raises(ValueError, match="expected the columns of SCORES"):
        publish(local, [(manifest, [rows.drop_columns("spread")])])


def test_a_partition_given_twice_is_refused(local):
    with pytest.raises(ValueError, match="digits/test/conf: expected each partition once"):
        publish(local, [part(), part(key="k2")])


def test_a_lost_manifest_is_named(local):
    publish(local, [part()])
    names = local.names("tables/manifests")
    name = next(name for name in names if "copy" not in name)
    local.remove(f"tables/manifests/{name}" for name in names)
    with pytest.raises(BadStore, match=f"expected all of tables/manifests.*{name}"):
        published(local)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("key", "k/1", "expected letters and digits"),
        ("planned_at", "2026-03-01T00:00", "expected a time with UTC offset"),
    ],
)
def test_a_manifest_checks_its_key_and_time(field, value, message):
    fields = vars(part()[0]) | {field: value}
    with pytest.raises(ValueError, match=message):
        Manifest(**fields)


# -- names that need encoding, other readers -------------------------------------------------------


@pytest.mark.parametrize("dataset", ["plain", "Straße 1/50% = a+b&c#d?"])
def test_other_readers_see_the_same_rows(storage, dataset):
    publish(storage, [part("conf", dataset=dataset), part("agr", dataset=dataset)])
    publish(storage, [part("conf", dataset=dataset, key="k2", night=2, n=7)])
    want = {(dataset, "conf", 7), (dataset, "agr", 30)}
    uri, options = f"{storage.uri}/tables/scores", reader_options(storage.uri)

    by_polars = pl.scan_delta(uri, storage_options=options or None)
    counted = by_polars.group_by("dataset", "metric").len().collect()
    assert set(counted.rows()) == want

    scores = open_table(storage, "scores").to_pyarrow_dataset()
    query = "select dataset, metric, count(*) from scores group by 1, 2"
    with duckdb.connect() as connection:
        assert set(connection.register("scores", scores).execute(query).fetchall()) == want
    assert {(p.dataset, p.metric) for p in published(storage)} == {row[:2] for row in want}


def test_history_is_kept_for_a_year(local):
    publish(local, [part()])
    publish(local, [part(key="k2", night=2)])
    table = open_table(local, "scores")
    assert table.metadata().configuration == {
        "delta.logRetentionDuration": "interval 365 days",
        "delta.deletedFileRetentionDuration": "interval 365 days",
    }
    assert table.vacuum(dry_run=False) == []
    assert nights(local, version=1) == {"conf night-1": 30}


def test_a_long_history_is_read_whole(local):
    """Also through the checkpoints of an earlier protoscore; encoded paths must survive them."""
    for i in range(1, 121):
        publish(local, [part(dataset="a b/100%", key=f"k{i}", n=1)])
        if i == 99:
            open_table(local, "scores").create_checkpoint()
    assert "00000000000000000099.checkpoint.parquet" in local.names("tables/scores/_delta_log")
    assert len(open_table(local, "scores").file_uris()) == 1
    (now,), (then,) = published(local).values(), published(local, version=7).values()
    assert (now.key, then.key) == ("k120", "k7")
    assert len(log_entries(local, "scores")) == 121


def test_vacuum_removes_replaced_files_and_orphans_only(local):
    publish(local, [part()])
    publish(local, [part(key="k2", night=2)])
    table = open_table(local, "scores")
    gone = table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert len(gone) == 1
    assert "k1-" in gone[0]
    assert nights(local) == {"conf night-2": 30}


# -- jobs that die ---------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [part()]], ids=["first night", "later night"])
def test_a_job_killed_before_its_commit_leaves_the_table_as_it_was(storage, before):
    if before:
        publish(storage, before)
    before_the_job = published(storage)
    job = SPAWN.Process(
        target=publish_and_die,
        args=(storage.uri, [part(key="k2", night=2), part("agr", key="k2", night=2)]),
    )
    job.start()
    job.join()
    assert job.exitcode == -signal.SIGKILL
    orphans = [name for name in storage.names("tables/manifests") if name.startswith("k2-")]
    assert (
        len(orphans) == 4
    )  # of two partitions, with copies: it died late: only the commit is missing
    assert published(storage) == before_the_job
    assert len(read(storage)) == 30 * len(before)

    outcome = publish(storage, [part(key="k2", night=2), part("agr", key="k2", night=2)])
    assert names(outcome.committed) == ["conf", "agr"]
    assert nights(storage) == {"conf night-2": 30, "agr night-2": 30}


# -- jobs at the same time -------------------------------------------------------------------------


def at_once(uri, jobs):
    """Publish from several processes at the same moment; return their outcomes."""
    barrier, answers = SPAWN.Barrier(len(jobs)), SPAWN.Queue()
    processes = [
        SPAWN.Process(target=publish_at, args=(uri, barrier, parts, answers)) for parts in jobs
    ]
    for process in processes:
        process.start()
    got = [answers.get(timeout=120) for _ in jobs]
    for process in processes:
        process.join()
    return got


def test_jobs_that_find_no_table_create_it_once(storage):
    for table in ("one", "two", "three"):
        barrier = threading.Barrier(6)

        def create(name=table, barrier=barrier):
            barrier.wait()
            delta.ensure_table(storage, name, SCORES)

        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(create) for _ in range(6)]:
                done.result()
        assert open_table(storage, table).version() == 0


def test_processes_that_publish_the_same_publish_it_once(storage):
    got = at_once(storage.uri, [[part("conf"), part("agr")]] * 3)
    committed = [answer for answer in got if answer[0]]
    assert committed == [(["conf", "agr"], [], [], 1)]
    assert sorted(answer[1] for answer in got) == [[], *[["conf", "agr"]] * 2]
    assert nights(storage) == {"conf night-1": 30, "agr night-1": 30}


def test_processes_publishing_different_partitions_all_succeed(storage):
    metrics = ["conf", "agr", "ret"]
    got = at_once(storage.uri, [[part(metric)] for metric in metrics])
    assert sorted(answer[0][0] for answer in got) == sorted(metrics)
    assert sorted(answer[3] for answer in got) == [1, 2, 3]
    assert nights(storage) == {f"{metric} night-1": 30 for metric in metrics}


def test_the_latest_plan_of_several_concurrent_nights_wins(storage):
    jobs = [[part(key=f"k{night}", night=night, n=10 * night)] for night in (3, 1, 4)]
    got = at_once(storage.uri, jobs)
    assert all(answer[0] or answer[2] for answer in got)
    assert nights(storage) == {"conf night-4": 40}


def test_a_night_published_meanwhile_is_respected(local, monkeypatch):
    once = commit._commit_once

    def overtaken(table, change):
        monkeypatch.setattr(commit, "_commit_once", once)
        publish(local, [part(key="k3", night=3, n=50)])
        once(table, change)

    monkeypatch.setattr(commit, "_commit_once", overtaken)
    outcome = publish(local, [part(key="k2", night=2), part("agr", key="k2", night=2)])
    assert (names(outcome.yielded), names(outcome.committed)) == (["conf"], ["agr"])
    assert nights(local) == {"conf night-3": 50, "agr night-2": 30}


def test_a_commit_whose_response_is_lost_counts_once(local, monkeypatch):
    once = commit._commit_once

    def lost(table, change):
        once(table, change)
        raise CommitFailedError("no answer")

    monkeypatch.setattr(commit, "_commit_once", lost)
    outcome = publish(local, [part()])
    assert (names(outcome.committed), outcome.version) == (["conf"], 1)
    assert nights(local) == {"conf night-1": 30}


def test_endless_conflicts_are_reported_in_one_line(local, monkeypatch):
    def refused(table, change):
        raise CommitFailedError("somebody was faster")

    monkeypatch.setattr(commit, "_commit_once", refused)
    monkeypatch.setattr(commit.time, "sleep", lambda seconds: None)
    with pytest.raises(IncompleteError, match="within 3 tries, got a conflict") as caught:
        publish(local, [part()], tries=3)
    assert "\n" not in str(caught.value)
    assert published(local) == {}


def test_a_commit_applies_only_to_the_version_it_read(storage):
    """The retry loop relies on this: a stale snapshot never commits, even to other partitions."""
    publish(storage, [part()])
    stale = open_table(storage, "scores")
    publish(storage, [part("agr")])
    rows, values = rows_of(5), dict(zip(PARTITION_COLUMNS, ("digits", "test", "ret"), strict=True))
    file = commit.write_file(
        storage, "scores", "ret.parquet", rows.to_batches(), rows.schema, values
    )
    with pytest.raises(CommitFailedError):
        commit._commit_once(stale, commit.Change(adds=[file]))
    newest = partial(open_table, storage, "scores")
    commit._commit_once(newest(), commit.Change(adds=[file]))
    assert newest().version() == 3
