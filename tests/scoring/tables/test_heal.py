"""Damaged data files are found, and published anew or taken out of their tables."""

import pytest
from score_tables import night_row, part, run_row

from scoring.store.keys import digest
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import log_check
from scoring.tables.delta import files, open_table
from scoring.tables.heal import damaged_files, take_out
from scoring.tables.manifest import Partition
from scoring.tables.nights import append_night, recorded_nights
from scoring.tables.publish import publish, published

PARTS = {metric: part(metric, key=digest(metric)) for metric in ("conf", "agr")}
JOB = "20260301T010000Z-00000001"


@pytest.fixture
def store(tmp_path):
    """A store with two published metrics, to be mended by a job."""
    storage = Storage(str(tmp_path / "store"))
    ensure_marked(storage)
    publish(storage, PARTS.values())
    append_night(storage, night_row(JOB), [run_row(JOB)])
    storage.mends = True
    return storage


def data_file(storage, metric):
    (path,) = (
        f["path"] for f in files(open_table(storage, "scores")) if f"metric={metric}" in f["path"]
    )
    return path


def flip(storage, path):
    data = bytearray(storage.read(path))
    data[len(data) // 3] ^= 1
    storage.write(path, bytes(data))


def test_a_flipped_bit_and_a_missing_file_are_found(store):
    conf, agr = (data_file(store, metric) for metric in ("conf", "agr"))
    flip(store, f"tables/scores/{conf}")
    store.remove([f"tables/scores/{agr}"])
    found = {
        file.path: (file.partition, line) for file, line in damaged_files(store, ["scores"], 1e9)
    }
    assert found.keys() == {conf, agr}
    assert Partition(**found[conf][0]) == Partition("digits", "test", "conf")
    assert f"expected tables/scores/{conf} as it was written, got a damaged file" in found[conf][1]
    assert f"expected tables/scores/{agr}, got no such file" in found[agr][1]
    assert not store.exists(f"tables/scores/{conf}")  # set aside


def test_beyond_the_budget_only_missing_files_are_found(store):
    conf, agr = (data_file(store, metric) for metric in ("conf", "agr"))
    flip(store, f"tables/scores/{conf}")
    store.remove([f"tables/scores/{agr}"])
    assert [file.path for file, _ in damaged_files(store, ["scores"], 0)] == [agr]


def test_a_table_with_a_damaged_log_does_not_keep_others_from_being_checked(
    store, caplog, monkeypatch
):
    monkeypatch.setattr(log_check, "_checked", set())
    for folder in ("tables/nights/_delta_log", "tables/log_copies/nights"):
        store.write(f"{folder}/{0:020}.json", b"{}")
    flip(store, f"tables/scores/{data_file(store, 'conf')}")
    found = damaged_files(Storage(store.uri), ["nights", "scores"], 1e9)
    assert [file.table for file, _ in found] == ["scores"]
    assert "tables/nights/_delta_log" in caplog.text


def test_the_same_scores_are_published_anew_in_place_of_a_lost_file(store):
    conf = data_file(store, "conf")
    store.remove([f"tables/scores/{conf}"])
    again = publish(store, PARTS.values())
    assert len(again.already) == 2  # what is published has these keys
    outcome = publish(store, PARTS.values(), lost=[conf])
    assert [m.partition.metric for m in outcome.committed] == ["conf"]
    assert [m.partition.metric for m in outcome.already] == ["agr"]
    assert len(files(open_table(store, "scores"))) == 2
    assert data_file(store, "conf") != conf
    assert len(publish(store, PARTS.values(), lost=[conf]).already) == 2  # another job was first


def test_rows_of_a_night_that_left_the_tables_can_be_recorded_again(store):
    for name in ("nights", "runs"):
        assert recorded_nights(store) == {JOB}
        (file,) = files(open_table(store, name))
        store.remove([f"tables/{name}/{file['path']}"])
        ((lost, _),) = damaged_files(store, ["nights", "runs"], 1e9)
        take_out(store, lost)
        assert damaged_files(store, ["nights", "runs"], 1e9) == []
        assert recorded_nights(store) == set()
        append_night(store, night_row(JOB), [run_row(JOB)])
    assert recorded_nights(store) == {JOB}
    assert [len(files(open_table(store, name))) for name in ("nights", "runs")] == [1, 1]


def test_a_lost_manifest_of_one_dataset_is_no_matter_of_another(store):
    publish(store, [part(dataset="other", key="kother")])
    (path,) = (
        name
        for name in store.names("tables/manifests")
        if name.startswith("kother") and "copy" not in name
    )
    store.remove([f"tables/manifests/{path}", f"tables/manifests/{path[:-5]}.copy.json"])
    assert len(published(store, dataset="digits")) == 2
    assert len(publish(store, PARTS.values()).already) == 2
