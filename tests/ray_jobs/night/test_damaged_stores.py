"""Nights on a store in which something is damaged or missing."""

import pytest
from in_process import jobs_in_process, rescoring
from small_plans import SMALL

from ray_jobs.cli import main
from scoring.store.layout import copy_path
from scoring.store.storage import Storage
from scoring.tables import Store

METRICS = ("--metrics", "msp", "gradient_norm")
ROWS = "select * exclude (scored_at) from scores order by all"


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """A store with one night."""
    store = tmp_path_factory.mktemp("seed") / "store"
    with jobs_in_process():
        assert rescoring(store)(*SMALL, *METRICS) == 0
    return Storage(str(store))


@pytest.fixture
def storage(seed, lay_down, tmp_path):
    """A copy of it."""
    storage = Storage(str(tmp_path / "store"))
    for file in seed.walk(""):
        storage.write(file.path.removeprefix("/"), seed.read(file.path.removeprefix("/")))
    return storage


def one(storage, folder, ending=".parquet"):
    return next(f.path for f in storage.walk(folder) if f.path.endswith(ending))


def cut_off(storage, path):
    storage.write(path, storage.read(path)[:-10])


def rows(storage):
    return Store(storage.uri).sql(ROWS).to_pylist()


@pytest.mark.parametrize("damage", [cut_off, lambda storage, path: storage.remove([path])])
def test_damaged_scores_are_published_anew(storage, rescore, capsys, damage):
    want = rows(storage)
    lost = one(storage, "tables/scores/dataset=digits/split=test/metric=msp")
    damage(storage, lost)
    assert rescore(*SMALL, *METRICS) == 0
    assert f"--store: expected {lost}" in capsys.readouterr().err
    assert rows(storage) == want
    assert rescore(*SMALL, *METRICS) == 0
    assert "Nothing to do" in capsys.readouterr().out


def test_damaged_scores_keep_their_settings(storage, rescore, capsys):
    """Damage is no leave to publish something else in their place."""
    lost = one(storage, "tables/scores/dataset=digits/split=test/metric=msp")
    storage.remove([lost])
    assert rescore(*SMALL, *METRICS, "--seed", "1") == 2
    assert "--seed: expected 0, as digits/" in capsys.readouterr().err


def test_damaged_scores_of_other_metrics_stay_damaged_rather_than_vanish(storage, rescore, capsys):
    lost = one(storage, "tables/scores/dataset=digits/split=test/metric=msp")
    storage.remove([lost])
    assert rescore(*SMALL, "--metrics", "gradient_norm") == 0
    assert main(["query", "select * from scores", "--store", storage.uri]) == 5
    assert lost in capsys.readouterr().err


@pytest.mark.parametrize("table", ["nights", "runs"])
def test_lost_rows_of_a_night_come_back_from_its_record(storage, rescore, table):
    want = getattr(Store(storage.uri), table)().to_pylist()
    storage.remove([one(storage, f"tables/{table}")])
    assert rescore(*SMALL, *METRICS) == 0
    assert getattr(Store(storage.uri), table)().to_pylist() == want


def test_without_its_record_they_are_lost_and_nothing_else_is(storage, rescore, capsys):
    path = one(storage, "tables/nights")
    storage.remove([path, one(storage, "nights", ".json")])
    assert rescore(*SMALL, *METRICS) == 0
    assert f"--store: expected {path}, got no such file" in capsys.readouterr().err
    assert len(Store(storage.uri).nights()) == 0
    assert len(rows(storage)) == 2 * 150


def test_a_lost_log_entry_of_the_scores_is_restored_before_the_night_plans(storage, rescore):
    want = rows(storage)
    storage.remove([one(storage, "tables/scores/_delta_log", "1.json")])
    assert rescore(*SMALL, *METRICS) == 0
    assert rows(storage) == want


def test_a_shard_that_is_missing_is_ingested_again(storage, rescore, capsys):
    want = rows(storage)
    path = one(storage, "datasets/digits/shards")
    storage.remove([path])
    for command in (["report", "--output"], ["export", "--to", "csv", "--output"]):
        assert main([*command, f"{storage.uri}-out", "--store", storage.uri]) == 5
        assert f"expected {path}, got no such file; rescore makes it" in capsys.readouterr().err
    assert rescore(*SMALL, *METRICS) == 0
    assert storage.exists(path)
    assert rows(storage) == want


def test_a_shard_that_is_damaged_is_ingested_again_by_the_second_night(storage, rescore, capsys):
    path = one(storage, "datasets/digits/shards")
    cut_off(storage, path)
    more = (*SMALL, *METRICS, "adv_steps")
    assert rescore(*more) == 5
    assert "; run again" in capsys.readouterr().err
    assert rescore(*more) == 0
    assert len(rows(storage)) == 3 * 150


def test_a_dataset_version_is_read_from_its_copy(storage, rescore):
    want = rows(storage)
    path = one(storage, "datasets/digits/train", ".json").replace(".copy.json", ".json")
    storage.remove([path])
    assert main(["outliers", "--metric", "msp", "--store", storage.uri]) == 0
    assert main(["evaluate", "classes", "--store", storage.uri]) == 0
    assert rescore(*SMALL, *METRICS) == 0
    assert main(["verify", "--mend", "--store", storage.uri]) == 5
    assert storage.exists(path)
    assert rows(storage) == want


def test_without_a_dataset_version_no_id_is_given_out(storage, rescore, capsys):
    path = one(storage, "datasets/digits/train", ".json").replace(".copy.json", ".json")
    storage.remove([path, copy_path(path)])
    commands = (["plan", *SMALL, *METRICS, "--recipe", "smoke"], ["ingest", *SMALL])
    for command in commands:
        assert main([*command, "--store", storage.uri]) == 2
        assert f"expected {path}, which keeps the ids of digits" in capsys.readouterr().err
    assert rescore(*SMALL, *METRICS) == 2


def test_vacuum_keeps_the_shards_of_a_version_that_is_there_as_a_copy_only(storage):
    shards = storage.names("datasets/digits/shards")
    for file in storage.walk("datasets/digits"):
        if "/receipts/" in file.path or ("/train/" in file.path and "copy" not in file.path):
            storage.write(file.path, b"{}")
    assert main(["vacuum", "--older-than-days", "0", "--store", storage.uri]) == 0
    assert storage.names("datasets/digits/shards") == shards
