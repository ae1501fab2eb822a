import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from score_tables import night_row, part, publish_and_die

from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.explanations import RepresenterModel, publish_model
from scoring.tables.leftovers import leftovers
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import REPRESENTER_MODELS

SOON = timedelta(hours=1)


def published_part(night, staged=(), runs=("run1",)):
    from dataclasses import replace

    manifest, rows = part(key=f"k{night}", night=night)
    return replace(manifest, staged=tuple(staged), runs=tuple(runs)), rows


def build_two_nights(storage):
    for night in (1, 2):
        files = (f"staging/conf/s{night}.parquet", f"outputs/run{night}/c.parquet")
        files += (f"runs/run{night}/run.json", f"nights/night-{night}.json")
        for path in files:
            storage.write(path, b"{}")
        publish(storage, [published_part(night, files[:1], [f"run{night}"])])
    append_night(storage, night_row("night-1"), [])


@pytest.fixture
def storage(store_uri, lay_down):
    """Two nights of one partition, each with its own staged shard and its own run."""
    storage = Storage(store_uri)
    lay_down(storage, build_two_nights)
    return storage


def found(storage, before=None):
    everything = leftovers(storage, before or datetime.now(UTC) + SOON)
    return sorted(file.path for files in everything.values() for file in files)


def test_files_of_an_earlier_version_are_leftovers(storage):
    # Its run is kept, because that version can still be queried.
    assert found(storage) == [
        "nights/night-1.json",  # already in the table of nights
        "outputs/run1/c.parquet",
        "staging/conf/s1.parquet",
    ]


def test_recent_files_stay(storage):
    assert found(storage, datetime.now(UTC) - SOON) == []


def test_orphans_of_every_kind_are_found(storage):
    orphans = [
        "imports/abc.safetensors",
        "jobs/j.json",
        "nights/night-9.json",
        "outputs/run9/c.parquet",
        "runs/run2/training.safetensors",
        "runs/run9/model.safetensors",
        "staging/conf/s9.parquet",
        "tables/manifests/k9.json",
        "tables/scores/dataset=digits/split=test/metric=conf/k9-1.parquet",
        "datasets/digits/shards/nobody.parquet",
    ]
    known = ["datasets/digits/shards/a.parquet", "datasets/digits/shards/b.parquet"]
    for path in (*orphans, *known):
        storage.write(path, b"")
    storage.write("datasets/digits/receipts/r.json", json.dumps({"content": "a"}).encode())
    version = {"shards": [{"content": "b"}], "classes": []}
    storage.write("datasets/digits/train/v.json", json.dumps(version).encode())
    assert set(orphans) <= set(found(storage))
    assert not set(known) & set(found(storage))


def test_files_behind_explanations_stay(storage):
    model = RepresenterModel(**dict.fromkeys(REPRESENTER_MODELS.names) | {"base_run": "base"})
    publish_model(storage, "digits", "rest", model)
    needed = ["runs/rest/run.json", "runs/base/run.json", "features/base/last/c.parquet"]
    needed.append("features/run2/last/c.parquet")  # by a run behind the published scores
    orphans = ["features/run9/last/c.parquet", "explanations/rest/x.parquet"]
    for path in (*needed, *orphans):
        storage.write(path, b"")
    assert set(orphans) <= set(found(storage))
    assert not set(needed) & set(found(storage))


def test_removing_leftovers_changes_no_scores(storage):
    store = Store(storage.uri)
    before = [store.scores(at=version) for version in (1, 2)]
    storage.remove(found(storage))
    assert found(storage) == []
    assert [store.scores(at=version) for version in (1, 2)] == before


def test_an_unfinished_file_is_found(tmp_path):
    storage = Storage(str(tmp_path))
    publish(storage, [part()])
    unfinished = tmp_path / "staging" / "conf" / ".s.parquet.1234.partial"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half")
    old = time.time() - 3 * 86400
    os.utime(unfinished, (old, old))
    assert found(storage, datetime.now(UTC) - timedelta(days=2)) == [
        "staging/conf/.s.parquet.1234.partial"
    ]


def test_files_of_a_job_killed_before_its_commit_are_found(storage):
    import multiprocessing

    job = multiprocessing.get_context("spawn").Process(
        target=publish_and_die, args=(storage.uri, [part(key="killed", night=3)])
    )
    job.start()
    job.join()
    new = [path for path in found(storage) if "killed" in path]
    assert len(new) == 2  # the data file and its manifest
    storage.remove(new)
    assert len(Store(storage.uri).scores()) == 30
