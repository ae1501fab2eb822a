"""A log that lies is noticed by every reader, and restored by a job that may write."""

import json
from pathlib import Path

import pytest
from score_tables import part

from scoring.errors import BadStore, Damaged
from scoring.store.mark import ensure_marked
from scoring.store.storage import Storage
from scoring.tables import log_check
from scoring.tables.delta import files, open_table
from scoring.tables.history import history
from scoring.tables.publish import publish

LOG = "tables/scores/_delta_log/"
COPIES = "tables/log_copies/scores/"
ENTRIES = [f"{version:020}.json" for version in range(3)]


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store whose scores have been published twice, as a process that checks it anew sees it."""
    storage = Storage(str(tmp_path / "store"))
    ensure_marked(storage)
    publish(storage, [part()])
    publish(storage, [part(key="k2", night=2)])
    monkeypatch.setattr(log_check, "_checked", set())
    return storage


def published(storage):
    table = open_table(storage, "scores")
    return [file["path"] for file in files(table)], history(storage)


def mending(storage):
    storage.mends = True
    return storage


def change(storage, path, old, new):
    data = storage.read(path)
    assert data.count(old) == 1
    storage.write(path, data.replace(old, new))


DAMAGE = {
    "cut off": lambda storage, path: storage.write(path, storage.read(path)[:-40]),
    "empty": lambda storage, path: storage.write(path, b""),
    "garbled": lambda storage, path: storage.write(path, b"\xff" * 80),
    "missing": lambda storage, path: storage.remove([path]),
    "another": lambda storage, path: storage.write(path, storage.read(f"{LOG}{ENTRIES[0]}")[:-1]),
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_named_and_restored(store, entry, damage, monkeypatch):
    want, data = published(store), store.read(LOG + entry)
    monkeypatch.setattr(log_check, "_checked", set())
    DAMAGE[damage](store, LOG + entry)
    with pytest.raises(Damaged, match=f"expected {LOG}{entry} as it was committed, got a damaged"):
        published(store)
    assert published(mending(store)) == want
    assert store.read(LOG + entry) == data


def test_a_table_that_lost_its_last_entry_is_not_what_it_was_before(store):
    """To delta-rs it is, and the scores of an earlier night would pass for the newest."""
    store.remove([f"{LOG}{ENTRIES[2]}"])
    with pytest.raises(Damaged, match=r"rescore or verify --mend restores it$"):
        published(store)


def test_a_table_that_lost_its_whole_log_is_not_a_new_one(store):
    want = published(store)
    store.delete(LOG)
    with pytest.raises(Damaged, match=f"expected {LOG}0"):
        open_table(store, "scores")
    assert published(mending(store)) == want


def test_without_an_intact_copy_only_a_backup_helps(store):
    store.write(f"{LOG}{ENTRIES[1]}", b"{}")
    store.write(f"{COPIES}{ENTRIES[1]}", b"{}")
    for storage in (store, mending(store)):
        with pytest.raises(Damaged, match=r"1\.json as it .*; restore it from a backup$"):
            published(storage)


def test_what_delta_needs_and_no_hash_covers_is_compared_with_the_copy(store):
    """A table of a protocol that nobody knows cannot be opened."""
    want = published(store)
    first = f"{LOG}{ENTRIES[0]}"
    change(store, first, b'"minReaderVersion":1', b'"minReaderVersion":9')
    with pytest.raises(Damaged, match=f"expected {first}"):
        published(store)
    assert published(mending(store)) == want


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"size":', b'"sizf":'), (b'"add"', b'"adc"'), (b'"protoscore_sha256"', b'"protoscore"')],
)
def test_a_changed_letter_is_noticed(store, old, new):
    change(store, f"{LOG}{ENTRIES[1]}", old, new)
    with pytest.raises(Damaged):
        published(store)


def test_when_a_file_was_replaced_is_hashed_too(store):
    """A vacuum keeps replaced files for a year, counted from then."""
    path = f"{LOG}{ENTRIES[2]}"
    (removed,) = (json.loads(line) for line in store.read(path).splitlines() if b'"remove"' in line)
    when = str(removed["remove"]["deletionTimestamp"]).encode()
    change(store, path, b'"deletionTimestamp":' + when, b'"deletionTimestamp":0' + when[1:])
    with pytest.raises((Damaged, BadStore)):
        published(store)


def test_an_entry_without_a_copy_is_copied_by_the_next_job(store):
    """Its job died after the commit, or an earlier protoscore made it."""
    copies = {entry: store.read(COPIES + entry) for entry in ENTRIES}
    store.delete(COPIES)
    published(store)
    assert not store.names(COPIES)
    published(mending(store))
    assert {entry: store.read(COPIES + entry) for entry in ENTRIES} == copies


def test_no_checkpoint_is_written_that_nothing_could_check(store):
    for key in range(100):
        publish(store, [part(key=f"more{key}", night=3, n=1)])
    names = {Path(name).suffix for name in store.names(LOG)}
    assert names == {".json"}
    assert len(published(store)[1]) == 103
