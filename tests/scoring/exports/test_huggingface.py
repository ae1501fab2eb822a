import json

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from awkward import BROKEN, CLASSES, UNLABELLED

from scoring.exports import HUGGINGFACE


@pytest.fixture
def folder(write):
    return write(HUGGINGFACE)


def test_files_follow_the_layout_of_the_hub(folder):
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*")) == [
        "README.md",
        "data/test-00000-of-00002.parquet",
        "data/test-00001-of-00002.parquet",
        "data/train-00000-of-00003.parquet",
        "data/train-00001-of-00003.parquet",
        "data/train-00002-of-00003.parquet",
    ]
    schema = pq.read_schema(folder / "data/train-00000-of-00003.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"_type": "ClassLabel", "names": list(CLASSES)}
    assert features["agr_percentile"] == {"_type": "Value", "dtype": "float64"}


def test_scores_match_the_selection(folder, selection):
    files = sorted((folder / "data").glob("train-*")) + sorted((folder / "data").glob("test-*"))
    written = pa.concat_tables(map(pq.read_table, files))
    expected = pa.concat_tables(selection.tables())
    for name in written.column_names:
        if name not in ("image", "label", "predicted"):
            assert written[name] == expected[name]


def test_datasets_loads_it(folder, examples, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 60, "test": 40}
    for split, rows in loaded.items():
        assert rows.features["image"] == datasets.Image()
        assert rows.features["label"] == datasets.ClassLabel(names=list(CLASSES))
        assert rows.features["predicted"] == rows.features["label"]
        expected_split = examples[split]
        for i, row in enumerate(rows):
            expected = expected_split.label[i]
            assert row["label"] == (None if expected < 0 else expected)
            if i in expected_split.broken:
                assert row["image"] is None
            else:
                assert np.array_equal(np.asarray(row["image"]), expected_split.images[i, ..., 0])
    assert loaded["train"][UNLABELLED]["label"] is None
    assert loaded["train"][BROKEN]["agr_status"] == "undecodable_image"
