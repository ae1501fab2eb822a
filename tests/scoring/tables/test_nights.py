import multiprocessing

import pytest
from score_tables import append_at, night_row, part, run_row

from scoring.store.storage import Storage
from scoring.tables import Store, commit, nights
from scoring.tables.delta import open_table
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import NIGHTS, RUNS

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def storage(store_uri):
    storage = Storage(store_uri)
    publish(storage, [part()])
    return storage


def test_a_night_and_its_runs_are_recorded(storage):
    night, runs = night_row("n1"), [run_row("n1", "r1"), run_row("n1", "r2")]
    append_night(storage, night, runs)
    store = Store(storage.uri)
    assert store.nights().schema.equals(NIGHTS)
    assert store.nights().to_pylist() == [night]
    assert store.runs().schema.equals(RUNS)
    assert sorted(row["run_key"] for row in store.runs().to_pylist()) == ["r1", "r2"]


def test_a_night_is_recorded_once(storage):
    for _ in range(2):
        append_night(storage, night_row("n1"), [run_row("n1")])
    append_night(storage, night_row("n2"), [run_row("n2")])
    store = Store(storage.uri)
    assert store.nights()["night_id"].to_pylist() == ["n1", "n2"]
    assert sorted(store.runs()["night_id"].to_pylist()) == ["n1", "n2"]
    assert open_table(storage, "nights").version() == 2


def test_a_night_interrupted_between_its_tables_is_completed(storage, monkeypatch):
    once = nights._append_once

    def interrupted(storage, name, rows, night_id):
        if name == "nights":
            raise KeyboardInterrupt
        once(storage, name, rows, night_id)

    monkeypatch.setattr(nights, "_append_once", interrupted)
    with pytest.raises(KeyboardInterrupt):
        append_night(storage, night_row("n1"), [run_row("n1")])
    monkeypatch.setattr(nights, "_append_once", once)
    store = Store(storage.uri)
    assert (len(store.runs()), len(store.nights())) == (1, 0)
    append_night(storage, night_row("n1"), [run_row("n1")])
    assert (len(store.runs()), len(store.nights())) == (1, 1)


def test_processes_that_record_the_same_night_record_it_once(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    barrier = SPAWN.Barrier(2)
    processes = [SPAWN.Process(target=append_at, args=(storage.uri, barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    store = Store(storage.uri)
    assert store.nights()["night_id"].to_pylist() == ["n1"]
    assert store.runs()["run_key"].to_pylist() == ["run1"]


def test_an_unknown_commit_version_is_looked_up(storage):
    publish(storage, [part("agr", key="k2", night=2)])
    for night in ("night-1", "night-2", "never-published"):
        append_night(storage, night_row(night, commit_version=None), [])
    rows = Store(storage.uri).nights().to_pylist()
    found = {row["night_id"]: row["commit_version"] for row in rows}
    assert found == {"night-1": 1, "night-2": 2, "never-published": None}


def test_a_night_recorded_by_another_job_meanwhile_is_not_repeated(storage, monkeypatch):
    once = commit._commit_once

    def overtaken(table, change):
        monkeypatch.setattr(commit, "_commit_once", once)
        append_night(storage, night_row("n1"), [run_row("n1")])
        once(table, change)

    monkeypatch.setattr(commit, "_commit_once", overtaken)
    append_night(storage, night_row("n1"), [run_row("n1")])
    store = Store(storage.uri)
    assert (len(store.runs()), len(store.nights())) == (1, 1)


@pytest.mark.parametrize("odd", ["dropped", "added"])
def test_rows_must_have_the_columns(storage, odd):
    run = run_row("n1")
    run = {**run, "loss": 0.1} if odd == "added" else {k: run[k] for k in run if k != "delta"}
    with pytest.raises(ValueError, match=r"runs: .*odd \['(loss|delta)'\]"):
        append_night(storage, night_row("n1"), [run])
    assert len(Store(storage.uri).runs()) == 0
