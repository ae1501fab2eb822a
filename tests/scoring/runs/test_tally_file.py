from dataclasses import replace

import numpy as np
import pytest
from test_membership import MEMBER, record

from scoring.errors import Damaged
from scoring.runs import tally_file
from scoring.runs.record import load_record
from scoring.runs.tally_file import (
    TallyRows,
    read_tally,
    strike_from_tallies,
    tallies_with,
    write_tally,
)
from scoring.store.layout import run_path, tally_path
from scoring.store.records import write_record
from scoring.store.sealed import check_seal
from scoring.store.storage import Storage

RUN = "0" * 32
IDS = np.arange(0, 200, 2)
LABELS = IDS % 7
PROBABILITIES = np.stack([IDS / 256, 1 - IDS / 256], axis=1).astype(np.float32)
RECORD = replace(record(MEMBER, {"train": "v"}), key=RUN, tallied=True)


@pytest.fixture
def storage(tmp_path, monkeypatch):
    """A store with a run and its tally, in small row groups."""
    monkeypatch.setattr(tally_file, "_GROUP_ROWS", 16)
    storage = Storage(str(tmp_path / "store"))
    columns = {"probability": IDS / 1000, "margin": IDS - 50.5}
    rows = TallyRows(
        ids=IDS,
        labels=LABELS,
        seen=IDS % 3 > 0,
        epochs=4,
        columns={name: column.astype(np.float32) for name, column in columns.items()},
        of_unseen=PROBABILITIES[IDS % 3 == 0],
    )
    write_tally(storage, RUN, rows)
    write_record(storage, run_path(RUN), RECORD)
    return storage


@pytest.mark.parametrize(("first", "last"), [(0, 200), (30, 71), (100, 101), (190, 260), (0, 0)])
def test_rows_of_a_shard_are_found(storage, first, last):
    ids = np.arange(first, last)
    got = read_tally(storage, RECORD, ids, ids % 7)
    held = np.isin(ids, IDS)
    np.testing.assert_array_equal(np.isfinite(got.margin), held)
    np.testing.assert_allclose(got.margin[held], ids[held] - 50.5)
    np.testing.assert_allclose(got.probability[held], ids[held] / 1000, rtol=1e-6)
    assert np.isnan(got.wrong_since).all()
    unseen = held & (ids % 3 == 0)
    if unseen.any():
        assert np.isfinite(got.probabilities).all(axis=1).tolist() == unseen.tolist()
        np.testing.assert_array_equal(got.probabilities[unseen, 0], ids[unseen] / 256)
    else:
        assert got.probabilities is None or np.isnan(got.probabilities).all()


def test_only_row_groups_of_the_shard_are_read(storage):
    data = bytearray(storage.read(tally_path(RUN)))
    data[20] ^= 1  # of the first row group
    storage.write(tally_path(RUN), bytes(data))
    assert np.isfinite(read_tally(storage, RECORD, IDS[80:], LABELS[80:]).margin).all()
    with pytest.raises(Damaged):
        read_tally(storage, RECORD, IDS[:3], LABELS[:3])


def test_a_row_of_another_label_is_not_known(storage):
    labels = LABELS.copy()
    labels[3], labels[5] = labels[3] + 1, -1
    got = read_tally(storage, RECORD, IDS, labels)
    assert np.flatnonzero(np.isnan(got.margin)).tolist() == [3, 5]


@pytest.mark.parametrize("way", ["gone", "garbled"])
def test_a_run_without_what_it_tells_of_is_set_aside(storage, way):
    if way == "gone":
        storage.delete(tally_path(RUN))
    else:
        storage.write(tally_path(RUN), b"PAR1 something else PAR1")
    storage.mends = True
    with pytest.raises(Damaged, match="--store: expected runs/0"):
        read_tally(storage, RECORD, IDS, LABELS)
    with pytest.raises(FileNotFoundError):
        load_record(storage, RUN)


def test_forgotten_examples_leave_it(storage):
    gone = [4, 5, 60, 198]
    assert tallies_with(storage, [RUN, "1" * 32], "test", gone) == []
    assert tallies_with(storage, [RUN], "train", [5, 7]) == []
    paths = tallies_with(storage, [RUN, "1" * 32], "train", gone)
    assert paths == [tally_path(RUN)]
    before = read_tally(storage, RECORD, IDS, LABELS)
    strike_from_tallies(storage, paths, gone)
    check_seal(storage, paths[0])
    assert tallies_with(storage, [RUN], "train", gone) == []
    after = read_tally(storage, RECORD, IDS, LABELS)
    left = ~np.isin(IDS, gone)
    np.testing.assert_array_equal(after.margin[left], before.margin[left])
    assert np.isnan(after.margin[~left]).all()


def test_a_tally_without_rows_knows_none(storage):
    strike_from_tallies(storage, [tally_path(RUN)], IDS.tolist())
    assert np.isnan(read_tally(storage, RECORD, IDS, LABELS).margin).all()
