"""A folder that FiftyOne imports as `fiftyone.types.FiftyOneDataset`: images, and samples as JSON.

    metadata.json     the dataset: its classes, and the type of every field of a sample
    samples.json      {"samples": [...]}, one for each example
    data/             the images: original files, or PNG

A sample's tag is its split. `ground_truth` and `prediction` are Classifications, null if there is
no label; the other fields have the names and values of the columns of `scoring.exports.rows`. The
layout is that of FiftyOne's own exporter of that type in version 1.22. Every FiftyOne from 1.0 on
reads it, since newer ones migrate older layouts.
"""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from scoring.data.images import file_suffix
from scoring.exports.format import Format, OnWritten
from scoring.exports.selection import Selection
from scoring.store.keys import Split, digest

_LAYOUT = "1.0.0"
_FIELDS = "fiftyone.core.fields"
_KINDS = {pa.int64(): "IntField", pa.float64(): "FloatField", pa.string(): "StringField"}
_LABELS = {"ground_truth": "label_name", "prediction": "predicted_name"}
_NOT_FIELDS = ("split", "label", "label_name", "predicted", "predicted_name")

Json = dict[str, Any]


def write(selection: Selection, folder: Path, on_written: OnWritten) -> int:
    """Write a selection with its images, a few hundred examples at a time."""
    with (folder / "samples.json").open("w", encoding="utf-8") as file:
        file.write('{"samples": [')
        for i, sample in enumerate(_samples(selection, folder, on_written)):
            file.write((",\n" if i else "\n") + json.dumps(sample))
        file.write("\n]}\n")
    (folder / "metadata.json").write_text(json.dumps(_metadata(selection), indent=1))
    return selection.rows


FIFTYONE = Format(
    suffix="-fiftyone",
    read_with='fiftyone.Dataset.from_dir("{path}", dataset_type=fiftyone.types.FiftyOneDataset)',
    write=write,
    folder=True,
    images_only=True,
)


def _samples(selection: Selection, folder: Path, on_written: OnWritten) -> Iterator[Json]:
    fields = [name for name in selection.schema.names if name not in _NOT_FIELDS]
    for split in selection.splits:
        scored = selection.read(split)
        for shard in scored.shards:
            images = f"data/{split}/{shard.first_id}"
            (folder / images).mkdir(parents=True)
            for table in scored.tables_with_files(shard):
                for row in table.to_pylist():
                    path = _write_image(folder, images, row["example_id"], row["image"] or b"")
                    yield _sample(split, path, row) | {name: row[name] for name in fields}
                on_written(len(table))


def _write_image(root: Path, folder: str, example_id: int, data: bytes) -> str:
    """Write an image, readable or not; return its path relative to `root`."""
    path = f"{folder}/{example_id}{file_suffix(data) or '.unreadable'}"
    (root / path).write_bytes(data)
    return path


def _sample(split: Split, path: str, row: Mapping[str, Any]) -> Json:
    """Return the fields that FiftyOne itself requires, and the labels."""
    return {
        "filepath": path,
        "tags": [split],
        "_media_type": "image",
        "_rand": random.Random(path).random(),  # decides the order of `shuffle` and `take`
        **{
            field: None if row[column] is None else _classification(field, path, row[column])
            for field, column in _LABELS.items()
        },
    }


def _classification(field: str, path: str, label: str) -> Json:
    object_id = digest([field, path])[:24]
    return {"_id": {"$oid": object_id}, "_cls": "Classification", "tags": [], "label": label}


def _metadata(selection: Selection) -> Json:
    classes = selection.version(selection.splits[0]).classes
    scores = [_field(f.name, _KINDS[f.type]) for f in selection.schema if f.name not in _NOT_FIELDS]
    return {
        "name": selection.snapshot.dataset,
        "version": _LAYOUT,
        "media_type": "image",
        "info": {"protoscore": selection.provenance()},
        "default_classes": list(classes),
        "sample_fields": [
            _field("id", "ObjectIdField", db_field="_id"),
            _field("filepath", "StringField"),
            _field("tags", "ListField", subfield="StringField"),
            _image_metadata(),
            _field("created_at", "DateTimeField", read_only=True),
            _field("last_modified_at", "DateTimeField", read_only=True),
            _field("_media_type", "StringField"),
            _field("_rand", "FloatField"),
            _field("_dataset_id", "ObjectIdField"),
            *(_label_field(name) for name in _LABELS),
            *scores,
        ],
    }


def _image_metadata() -> Json:
    """Return the field that `dataset.compute_metadata()` fills."""
    numbers = ("size_bytes", "width", "height", "num_channels")
    parts = [_field("mime_type", "StringField"), *(_field(name, "IntField") for name in numbers)]
    return _document("metadata", "fiftyone.core.metadata.ImageMetadata", *parts)


def _label_field(name: str) -> Json:
    parts = [
        _field("id", "ObjectIdField", db_field="_id"),
        _field("tags", "ListField", subfield="StringField"),
        _field("label", "StringField"),
        _field("confidence", "FloatField"),
        _field("logits", "VectorField"),
    ]
    return _document(name, "fiftyone.core.labels.Classification", *parts)


def _document(name: str, kind: str, *parts: Json) -> Json:
    """Return the field of an embedded document with the fields `parts`."""
    field = _field(name, "EmbeddedDocumentField")
    return field | {"embedded_doc_type": kind, "fields": list(parts)}


def _field(
    name: str, kind: str, *, db_field: str = "", subfield: str = "", read_only: bool = False
) -> Json:
    return {
        "name": name,
        "ftype": f"{_FIELDS}.{kind}",
        "embedded_doc_type": None,
        "subfield": f"{_FIELDS}.{subfield}" if subfield else None,
        "fields": [],
        "db_field": db_field or name,
        "read_only": read_only,
    }
