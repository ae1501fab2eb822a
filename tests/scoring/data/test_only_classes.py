import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoring.data.altered import Relabelled
from scoring.data.named import NamedSource
from scoring.data.only_classes import OnlyClasses
from scoring.data.parquet_source import ParquetSource
from scoring.data.sources import Source, first_rows
from scoring.errors import UnknownName
from scoring.store.keys import SPLITS


@pytest.fixture
def digits() -> Source:
    return NamedSource(name="digits", shard_rows=100)


def rows_of(source: Source, split: str, limit: int | None = None) -> list[tuple[object, str]]:
    read = [source.read(split, piece) for piece in first_rows(source.pieces(split), limit)]
    return [pair for rows in read for pair in zip(rows.labels, rows.names, strict=True)]


def test_only_rows_of_the_classes_remain_in_order(digits: Source) -> None:
    only = OnlyClasses(source=digits, classes=("8", "3"))
    assert only.name == "digits-8-3"
    assert only.layout().classes == ("3", "8")
    for split in SPLITS:
        wanted = [
            (int(label == 8), name) for label, name in rows_of(digits, split) if label in (3, 8)
        ]
        assert rows_of(only, split) == wanted
        pixels = np.concatenate([only.read(split, p).pixels for p in only.pieces(split)])
        assert len(pixels) == len(wanted)
        for piece in only.pieces(split):
            assert only.labels(split, piece) == only.read(split, piece).labels


def test_a_limit_counts_kept_rows(digits: Source) -> None:
    only = OnlyClasses(source=digits, classes=("0", "1"))
    assert rows_of(only, "train", limit=33) == rows_of(only, "train")[:33]


def test_kept_rows_can_be_relabelled_among_the_kept_classes(digits: Source) -> None:
    only = OnlyClasses(source=digits, classes=("0", "1"))
    both = Relabelled(source=only, share=1.0)
    before, after = (np.array([label for label, _ in rows_of(s, "train")]) for s in (only, both))
    assert set(after) == {0, 1}
    changed = np.concatenate([both.changed(piece) for piece in both.pieces("train")])
    np.testing.assert_array_equal(before != after, changed)
    assert 0.4 < changed.mean() < 0.6


def png(shade: int) -> bytes:
    sink = io.BytesIO()
    Image.new("L", (8, 8), shade).save(sink, "png")
    return sink.getvalue()


def test_encoded_images_and_unknown_labels_are_handled(tmp_path: Path) -> None:
    labels = ["cat", None, "dog", "cow", "cat", "cow"]
    images = [png(40 * i) for i in range(6)]
    for split in SPLITS:
        table = pa.table({"image": images, "label": labels})
        pq.write_table(table, tmp_path / f"{split}.parquet")
    source = ParquetSource(
        name="pets", train=str(tmp_path / "train.parquet"), test=str(tmp_path / "test.parquet")
    )
    only = OnlyClasses(source=source, classes=("cat", "cow"))
    (piece,) = only.pieces("train")
    rows = only.read("train", piece)
    assert rows.labels == [0, 1, 0, 1]
    assert rows.encoded == [images[i] for i in (0, 3, 4, 5)]


def test_an_unknown_class_is_refused_by_name(digits: Source) -> None:
    with pytest.raises(UnknownName, match=r"--only-classes: expected one of 0, 1, .* got 'cat'"):
        OnlyClasses(source=digits, classes=("1", "cat"))
