"""Compares with the layout of FiftyOne's own FiftyOneDatasetExporter; see the module docstring."""

import json

import numpy as np
import pyarrow as pa
import pytest
from awkward import BROKEN, CLASSES, UNLABELLED
from PIL import Image

from scoring.exports import FIFTYONE


@pytest.fixture
def folder(write):
    return write(FIFTYONE)


@pytest.fixture
def samples(folder):
    return json.loads((folder / "samples.json").read_text())["samples"]


def test_every_sample_has_its_image(folder, samples, examples):
    assert len({sample["filepath"] for sample in samples}) == 100
    images = np.concatenate([examples[split].images for split in ("train", "test")])
    for sample, image in zip(samples, images, strict=True):
        path = folder / sample["filepath"]
        if sample["example_id"] == BROKEN:
            assert path.suffix == ".unreadable"
            assert path.read_bytes() == b"no image"
        else:
            assert path.suffix == ".png"
            assert np.array_equal(np.asarray(Image.open(path)), image[..., 0])


def test_labels_and_scores_match_the_selection(samples, selection):
    rows = pa.concat_tables(selection.tables()).to_pylist()
    for sample, row in zip(samples, rows, strict=True):
        assert sample["tags"] == [row["split"]]
        for field, name in (("ground_truth", "label_name"), ("prediction", "predicted_name")):
            assert (sample[field] or {}).get("label") == row[name]
        for name in selection.schema.names:
            if name in sample:
                assert sample[name] == row[name]
    assert samples[UNLABELLED]["ground_truth"] is None


def test_fields_that_mongodb_and_the_app_need_exist(samples):
    for sample in samples:
        assert sample["_media_type"] == "image"
        assert 0 <= sample["_rand"] < 1
    labels = [sample[f] for sample in samples for f in ("ground_truth", "prediction")]
    given = [label for label in labels if label]
    assert {label["_cls"] for label in given} == {"Classification"}
    ids = {label["_id"]["$oid"] for label in given}
    assert len(ids) == len(given)
    assert all(len(bytes.fromhex(object_id)) == 12 for object_id in ids)


def test_metadata_types_every_field_of_a_sample(folder, samples, selection):
    metadata = json.loads((folder / "metadata.json").read_text())
    assert (metadata["name"], metadata["media_type"]) == ("shapes", "image")
    assert metadata["default_classes"] == list(CLASSES)
    fields = {field["name"]: field for field in metadata["sample_fields"]}
    assert set(samples[0]) < set(fields)
    assert fields["id"]["db_field"] == "_id"
    assert fields["agr_percentile"]["ftype"] == "fiftyone.core.fields.FloatField"
    assert fields["agr_status"]["ftype"] == "fiftyone.core.fields.StringField"
    assert fields["example_id"]["ftype"] == "fiftyone.core.fields.IntField"
    assert fields["tags"]["subfield"] == "fiftyone.core.fields.StringField"
    for name in ("ground_truth", "prediction"):
        assert fields[name]["embedded_doc_type"] == "fiftyone.core.labels.Classification"
        parts = [part["name"] for part in fields[name]["fields"]]
        assert parts == ["id", "tags", "label", "confidence", "logits"]
