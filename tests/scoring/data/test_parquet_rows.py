import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.data.files import list_files
from scoring.data.parquet_rows import RowReader, distinct, footer, head, reader
from scoring.errors import BadData

ROWS = 2000


@pytest.fixture(params=[64, 700, ROWS], ids=lambda rows: f"groups of {rows}")
def path(request, tmp_path):
    table = pa.table(
        {
            "n": np.arange(ROWS),
            "image": [bytes([i % 256]) * (i % 50) for i in range(ROWS)],
            "label": pa.array([str(i % 3) for i in range(ROWS)]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=request.param)
    return str(tmp_path / "a.parquet")


def read(rows, start, count):
    return rows.rows(start, count)["n"].to_pylist()


def test_pieces_are_read_in_any_order(path):
    rows = RowReader(path, path, ("n", "image", "label"))
    for start in range(0, ROWS, 300):
        assert read(rows, start, 300) == list(range(start, min(start + 300, ROWS)))
    assert read(rows, 0, 5) == [0, 1, 2, 3, 4]  # backwards
    assert read(rows, 0, 5) == [0, 1, 2, 3, 4]  # again
    random = np.random.default_rng(0)
    for _ in range(40):
        start, count = (int(n) for n in random.integers(0, (ROWS, 400)))
        table = rows.rows(start, count)
        expected = list(range(start, min(start + count, ROWS)))
        assert table["n"].to_pylist() == expected
        assert table["image"].to_pylist() == [bytes([i % 256]) * (i % 50) for i in expected]
        assert table["label"].to_pylist() == [str(i % 3) for i in expected]


def test_reading_past_the_end_gives_fewer_rows(path):
    rows = RowReader(path, path, ("n",))
    assert read(rows, ROWS, 5) == []
    assert read(rows, ROWS - 2, 5) == [ROWS - 2, ROWS - 1]
    assert read(rows, ROWS + 100, 5) == []
    assert read(rows, 7, 1) == [7]


def test_consecutive_pieces_read_the_file_once(path, monkeypatch):
    decoded = 0
    original = pq.ParquetFile.iter_batches

    def count(self, *arguments, **options):
        nonlocal decoded
        for batch in original(self, *arguments, **options):
            decoded += len(batch)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", count)
    rows = RowReader(path, path, ("n",))
    for start in range(0, ROWS, 100):
        rows.rows(start, 100)
    assert decoded == ROWS


def test_a_far_piece_skips_the_row_groups_before_it(tmp_path, monkeypatch):
    pq.write_table(pa.table({"n": np.arange(ROWS)}), tmp_path / "a.parquet", row_group_size=100)
    first_groups = []
    original = pq.ParquetFile.iter_batches

    def remember(self, *arguments, row_groups, **options):
        first_groups.append(row_groups[0])
        return original(self, *arguments, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", remember)
    rows = RowReader(str(tmp_path), str(tmp_path / "a.parquet"), ("n",))
    assert read(rows, 1950, 10) == list(range(1950, 1960))
    assert first_groups == [19]


def test_a_read_after_a_failed_one_is_right(path, monkeypatch):
    rows = RowReader(path, path, ("n",))
    original = pq.ParquetFile.iter_batches

    def fail_half_way(self, *arguments, **options):
        yield next(original(self, *arguments, **options))
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(pq.ParquetFile, "iter_batches", fail_half_way)
        with pytest.raises(BadData, match=r"the disk is gone"):
            rows.rows(0, ROWS)
    assert read(rows, 1100, 3) == [1100, 1101, 1102]


def test_a_changed_file_gets_a_new_reader(path):
    assert reader(path, path, "1", ("n",)) is reader(path, path, "1", ("n",))
    old = reader(path, path, "1", ("n",))
    assert reader(path, path, "2", ("n",)) is not old


def test_footers_and_columns_are_read(path):
    (file,) = list_files(path, ".parquet", "--train")
    assert footer(path, file).rows == ROWS
    assert list(footer(path, file).types) == ["n", "image", "label"]
    assert distinct(path, file, "label") == {"0", "1", "2"}
    assert head(path, file, "n", 3).to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"text, not Parquet" * 10])
def test_other_files_are_refused(tmp_path, data):
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    (file,) = list_files(str(path), ".parquet", "--train")
    with pytest.raises(
        BadData, match=r"expected a readable Parquet file, got .*a.parquet'"
    ) as error:
        footer(str(path), file)
    assert "\n" not in str(error.value)


def test_a_column_whose_name_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": [1]}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"label", b"l\xc1bel"))
    (file,) = list_files(str(path), ".parquet", "--train")
    with pytest.raises(BadData, match=r"expected a readable Parquet file, got .*a.parquet'"):
        footer(str(path), file)


def test_damaged_pages_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": np.arange(ROWS) ** 2}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[100:1000] = bytes(900)
    path.write_bytes(data)
    with pytest.raises(BadData, match=r"expected a readable Parquet file, got .*a.parquet'"):
        RowReader(str(path), str(path), ("n",)).rows(0, ROWS)
