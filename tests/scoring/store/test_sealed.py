import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from scoring.errors import Damaged
from scoring.store.keys import jsonable
from scoring.store.mark import ensure_marked
from scoring.store.parquet import opened_parquet, read_parquet, write_parquet
from scoring.store.records import write_record
from scoring.store.sealed import check_seal, read_part, read_sealed, read_sound, write_sealed
from scoring.store.storage import Storage
from scoring.training.checkpoints import from_bytes, to_bytes

TABLE = pa.table({"example_id": range(40), "name": [f"n{i % 3}" for i in range(40)]})

RECORD = f"runs/{'0' * 32}/run.json"


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "store"))
    ensure_marked(storage)
    return storage


def write_json(storage, path):
    write_record(storage, path, {"name": "mlp", "width": 1.5})


def write_weights(storage, path):
    write_sealed(storage, path, to_bytes({"a": torch.arange(6.0), "b": torch.ones(2, 2)}))


def write_rows(storage, path):
    write_parquet(storage, path, TABLE, row_group_size=25)


WRITERS = {"a.json": write_json, "a.safetensors": write_weights, "a.parquet": write_rows}


@pytest.mark.parametrize("path", WRITERS)
def test_an_intact_file_reads_as_written_and_as_its_format(storage, path):
    WRITERS[path](storage, path)
    data = read_sealed(storage, path)
    check_seal(storage, path)
    if path == "a.json":
        assert json.loads(data)["width"] == 1.5
    elif path == "a.safetensors":
        assert torch.equal(from_bytes(data)["a"], torch.arange(6.0))
    else:
        assert pq.read_table(pa.BufferReader(data)).equals(TABLE)
        assert read_parquet(storage, path, TABLE.schema).equals(TABLE)


@pytest.mark.parametrize("path", WRITERS)
def test_every_flipped_bit_is_noticed(storage, path):
    WRITERS[path](storage, path)
    data = storage.read(path)
    for bit in range(0, 8 * len(data), 23):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        storage.write(path, bytes(changed))
        for check in (read_sealed, check_seal):
            with pytest.raises(Damaged, match=f"^--store: expected {path} as it was written, got"):
                check(storage, path)


@pytest.mark.parametrize("path", WRITERS)
def test_every_shorter_or_longer_file_is_noticed(storage, path):
    WRITERS[path](storage, path)
    data = storage.read(path)
    for changed in [*(data[:size] for size in range(0, len(data), 5)), data + b" ", data + data]:
        storage.write(path, changed)
        for check in (read_sealed, check_seal):
            with pytest.raises(Damaged):
                check(storage, path)


@pytest.mark.parametrize("path", WRITERS)
def test_a_whole_file_in_the_place_of_another_is_noticed(storage, path):
    WRITERS[path](storage, path)
    storage.write(f"elsewhere/{path}", storage.read(path))
    for check in (read_sealed, check_seal):
        with pytest.raises(Damaged):
            check(storage, f"elsewhere/{path}")


def test_flipped_bits_never_give_other_rows_to_those_who_read_a_part(storage):
    write_rows(storage, "a.parquet")
    data = storage.read("a.parquet")
    noticed = 0
    for bit in range(0, 8 * len(data), 5):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        storage.write("a.parquet", bytes(changed))
        try:
            with opened_parquet(storage, "a.parquet", TABLE.schema) as file:
                rows = file.read_row_group(1, columns=["example_id"])
        except Damaged:
            noticed += 1
        else:
            assert rows["example_id"].to_pylist() == list(range(25, 40))
    assert noticed > len(data) / 2  # the footer and one of four column chunks


def test_a_job_that_may_write_sets_a_damaged_file_aside(storage):
    write_json(storage, RECORD)
    storage.write(RECORD, b'{"name"')
    with pytest.raises(Damaged, match="damaged file; run verify --mend"):
        read_sealed(storage, RECORD)
    assert storage.exists(RECORD)
    storage.mends = True
    with pytest.raises(Damaged, match=rf"it is now damaged/{RECORD}\.\w{{8}}; run again"):
        read_sealed(storage, RECORD)
    assert not storage.exists(RECORD)
    (aside,) = storage.walk("damaged")
    assert storage.read(aside.path) == b'{"name"'


def test_no_file_of_another_shape_is_moved(storage):
    storage.mends = True
    storage.write("jobs/notes.json", b"{}")
    with pytest.raises(Damaged, match=r"expected jobs/notes\.json as it was written"):
        read_sealed(storage, "jobs/notes.json")
    assert storage.read("jobs/notes.json") == b"{}"


def test_a_file_cut_off_on_the_way_is_read_again(storage, monkeypatch):
    write_json(storage, "a.json")
    answers = [storage.read("a.json")[:-3], storage.read("a.json")]
    monkeypatch.setattr(Storage, "read", lambda self, path: answers.pop(0))
    assert json.loads(read_sealed(storage, "a.json"))["name"] == "mlp"


def test_a_record_goes_with_the_file_it_vouches_for(storage):
    storage.mends = True
    write_json(storage, RECORD)
    with pytest.raises(Damaged, match=rf"expected model, which {RECORD} tells of, got none"):
        read_part(storage, "model", RECORD)
    assert not storage.exists(RECORD)


def test_sound_files_are_read_and_others_named(storage, caplog):
    write_json(storage, "good.json")
    storage.write("bad.json", b"{}")
    found = read_sound(storage, ["gone.json", "bad.json", "good.json"])
    assert list(found) == ["good.json"]
    assert "bad.json" in caplog.text
    assert "gone.json" not in caplog.text


def test_files_of_an_earlier_store_need_no_seal(tmp_path):
    storage = Storage(str(tmp_path))
    storage.write("a.json", json.dumps(jsonable({"name": 1})).encode())
    assert read_sealed(storage, "a.json") == b'{"name": 1}'
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert read_parquet(storage, "a.parquet", TABLE.schema).equals(TABLE)
    with opened_parquet(storage, "a.parquet", TABLE.schema) as file:
        assert file.read().equals(TABLE)


ROWS = pa.list_(pa.float32(), 1)
COLUMN = pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2))
UNFIT = {
    "none": pa.table({"other": COLUMN}),
    "two": pa.table([COLUMN, COLUMN], ["rows", "rows"]),
    "another type": pa.table({"rows": ["a", "b"]}),
    "lists of any size": pa.table({"rows": COLUMN.cast(pa.list_(pa.float32()))}),
    "a null": pa.table({"rows": pa.array([[1.0], None], ROWS)}),
}


@pytest.mark.parametrize("table", UNFIT)
def test_a_file_with_other_columns_is_damaged(storage, table):
    schema = pa.schema([pa.field("rows", ROWS, nullable=False)])
    write_parquet(storage, "a.parquet", pa.table({"rows": COLUMN}))
    assert read_parquet(storage, "a.parquet", schema)["rows"].type == COLUMN.type
    write_parquet(storage, "a.parquet", UNFIT[table])
    with pytest.raises(Damaged, match=r"expected a\.parquet as it was written"):
        read_parquet(storage, "a.parquet", schema)


def test_large_files_are_checked_piece_by_piece(storage, monkeypatch):
    monkeypatch.setattr("scoring.store.sealed._PIECE", 1000)
    table = pa.table({"x": np.random.default_rng(0).random(5000)})
    write_parquet(storage, "a.parquet", table)
    check_seal(storage, "a.parquet")


@pytest.mark.parametrize("path", ["a.safetensors", "a.parquet"])
def test_a_file_of_an_earlier_version_has_no_seal_but_must_be_whole(tmp_path, path):
    earlier = Storage(str(tmp_path / "earlier"))  # without a mark
    if path == "a.parquet":
        pq.write_table(TABLE, tmp_path / "a")
    else:
        save_file({"a": torch.arange(6.0), "b": torch.ones(2, 2)}, tmp_path / "a")
    whole = (tmp_path / "a").read_bytes()
    earlier.write(path, whole)
    assert read_sealed(earlier, path) == whole
    check_seal(earlier, path)
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"\xff" * len(whole), b""):
        earlier.write(path, damaged)
        for check in (read_sealed, check_seal):
            with pytest.raises(Damaged, match=f"expected {path} as it was written"):
                check(earlier, path)
