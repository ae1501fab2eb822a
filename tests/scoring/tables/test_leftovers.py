import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from score_tables import night_row, part, publish_and_die, run_row

from scoring.data.shards import ShardRecord
from scoring.data.texts import TextShape
from scoring.data.versions import DatasetVersion
from scoring.errors import BadStore
from scoring.store.keys import digest
from scoring.store.records import write_record
from scoring.store.storage import Storage
from scoring.tables import Store
from scoring.tables.explanations import RepresenterModel, publish_model
from scoring.tables.leftovers import leftovers
from scoring.tables.nights import append_night
from scoring.tables.publish import publish
from scoring.tables.schemas import REPRESENTER_MODELS

SOON = timedelta(hours=1)
NONE = {"undecodable": 0, "trainable": 1}
JOB = "20260301T010000Z-0000000"  # and a digit: ids of jobs and nights


def key(name):
    """Make a key: what we write is named by hashes."""
    return digest(name)


def published_part(night, staged, runs):
    from dataclasses import replace

    manifest, rows = part(key=key(f"k{night}"), night=night)
    night_id = f"{JOB}{night}"
    made_of = {"staged": tuple(staged), "runs": tuple(runs), "night_id": night_id}
    return replace(manifest, **made_of), rows


def build_two_nights(storage):
    for night in (1, 2):
        run = key(f"run{night}")
        files = (f"staging/conf/{key(f's{night}')}.parquet", f"outputs/{run}/{key('c')}.parquet")
        files += (f"runs/{run}/run.json", f"nights/{JOB}{night}.json")
        for path in files:
            storage.write(path, b"{}")
        publish(storage, [published_part(night, files[:1], [run])])
    append_night(storage, night_row(f"{JOB}1"), [run_row(f"{JOB}1")])


@pytest.fixture
def storage(store_uri, lay_down):
    """Two nights of one partition, each with its own staged shard and its own run."""
    storage = Storage(store_uri)
    lay_down(storage, build_two_nights)
    return storage


@pytest.fixture
def local(tmp_path):
    return Storage(str(tmp_path / "local"))


def found(storage, before=None):
    everything = leftovers(storage, before or datetime.now(UTC) + SOON)
    return sorted(file.path for files in everything.values() for file in files)


def test_files_of_an_earlier_version_are_leftovers(storage):
    # Its run is kept, because that version can still be queried.
    assert found(storage) == [
        f"nights/{JOB}1.json",  # already in the table of nights
        f"outputs/{key('run1')}/{key('c')}.parquet",
        f"staging/conf/{key('s1')}.parquet",
    ]


def test_recent_files_stay(storage):
    assert found(storage, datetime.now(UTC) - SOON) == []


def test_orphans_of_every_kind_are_found(storage):
    partition = "dataset=digits/split=test/metric=conf"
    orphans = [
        f"imports/{key('w')}.safetensors",
        f"jobs/{JOB}1.json",
        f"nights/{JOB}9.json",
        f"outputs/{key('run9')}/{key('c')}.parquet",
        f"runs/{key('run2')}/training.safetensors",
        f"runs/{key('run9')}/model.safetensors",
        f"staging/conf/{key('s9')}.parquet",
        f"tables/manifests/{key('k9')}-00000001.json",
        f"tables/manifests/{key('k9')}-00000001.copy.json",
        f"tables/scores/{partition}/{key('k9')}-00000001.parquet",
        f"datasets/digits/shards/{key('nobody')}.parquet",
        "damaged/staging/conf/s.parquet.00000001",
    ]
    shards = {name: f"datasets/digits/shards/{key(name)}.parquet" for name in "ab"}
    for path in (*orphans, *shards.values()):
        storage.write(path, b"")
    record = {name: ShardRecord(content=key(name), first_id=0, rows=1, **NONE) for name in "ab"}
    write_record(storage, f"datasets/digits/receipts/{key('r')}.json", record["a"])
    DatasetVersion(
        name="digits",
        split="train",
        classes=(),
        shape=TextShape(tokens=4),
        shards=(record["b"],),
        ranges={},
    ).save(storage)
    assert set(orphans) <= set(found(storage))
    assert not set(shards.values()) & set(found(storage))


def test_files_behind_explanations_stay(storage):
    model = RepresenterModel(**dict.fromkeys(REPRESENTER_MODELS.names) | {"base_run": key("base")})
    publish_model(storage, "digits", key("rest"), model)
    needed = [f"runs/{key(run)}/run.json" for run in ("rest", "base")]
    # By the base run, and by a run behind the published scores.
    needed += [f"features/{key(run)}/last/{key('c')}.parquet" for run in ("base", "run2")]
    orphans = [f"features/{key('run9')}/last/{key('c')}.parquet"]
    orphans.append(f"explanations/{key('rest')}/{key('x')}.parquet")
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
    name = f".{key('s')}.parquet.{key('uuid')}.partial"
    unfinished = tmp_path / "staging" / "conf" / name
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half")
    old = time.time() - 3 * 86400
    os.utime(unfinished, (old, old))
    assert found(storage, datetime.now(UTC) - timedelta(days=2)) == [f"staging/conf/{name}"]


def test_files_of_a_job_killed_before_its_commit_are_found(storage):
    import multiprocessing

    job = multiprocessing.get_context("spawn").Process(
        target=publish_and_die, args=(storage.uri, [part(key=key("killed"), night=3)])
    )
    job.start()
    job.join()
    new = [path for path in found(storage) if key("killed") in path]
    assert len(new) == 3  # the data file, its manifest and the copy
    storage.remove(new)
    assert len(Store(storage.uri).scores()) == 30


FOREIGN = [
    "runs/tb/events",
    "outputs/thesis.csv",
    "datasets/digits/notes.txt",
    "datasets/thesis.parquet",
    "staging/conf/mine.parquet",
    "staging/conf/.mine.swp",
    f"runs/{digest('run9')}/tensorboard/events",
    "tables/scores/backup.parquet",
    "tables/opinions/0123456789abcdef0123456789abcdef.parquet",  # a table of a later version
    "features/readme.md",
    "jobs/crontab",
]


def test_files_that_we_did_not_write_are_never_leftovers(storage):
    for path in FOREIGN:
        storage.write(path, b"mine")
    assert not set(FOREIGN) & set(found(storage))


@pytest.mark.parametrize("lost", ["all of it", "an entry"])
def test_a_table_without_its_log_is_refused(local, lost):
    build_two_nights(local)
    log = "tables/scores/_delta_log"
    local.remove(f"{log}/{n:020}.json" for n in (range(9) if lost == "all of it" else [1]))
    with pytest.raises(BadStore, match=f"expected the whole of {log}, got no entry [01]; restore"):
        found(local)


def test_a_store_without_published_scores_is_refused(local):
    local.write(f"runs/{key('run')}/run.json", b"{}")
    with pytest.raises(BadStore, match="expected published scores, which say what is needed"):
        found(local)


def test_a_damaged_manifest_is_refused(local):
    build_two_nights(local)
    for name in local.names("tables/manifests"):
        local.write(f"tables/manifests/{name}", b"{")
    with pytest.raises(BadStore, match="expected a Manifest in tables/manifests/"):
        found(local)
